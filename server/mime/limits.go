package mime

// Limits of the scanner (mail-rules L-20..L-24). Sizes are octets.
const (
	// MaxDepth is how many parts may lie inside one another; a container at this depth is not opened.
	MaxDepth = 50
	// MaxParts is how many parts of one message get a Part, embedded messages included.
	MaxParts = 1000
	// MaxHeaderBlock is the largest header block that is interpreted.
	MaxHeaderBlock = 256 << 10
	// MaxHeaderField is the largest single header field that is interpreted.
	MaxHeaderField = 64 << 10
	// MaxHeaderFields is how many fields one header block may have.
	MaxHeaderFields = 1000
	// MaxAddresses is how many addresses of one header field are kept.
	MaxAddresses = 1000
	// MaxParams is how many parameters of one header field are kept, RFC 2231 pieces counted singly.
	MaxParams = 100

	maxBoundary    = 2048
	maxReferences  = 100
	maxAttachments = 50
	maxFileName    = 255
	maxLanguages   = 20
	maxType        = 127
	// maxMeta bounds the text that is kept of one message, so that its database row stays small.
	maxMeta = 512 << 10
	// previewRunes is the length of Message.Preview.
	previewRunes = 200
	bufferSize   = 32 << 10
)

// What Message.Limits can hold.
const (
	LimitDepth     = "depth"
	LimitParts     = "parts"
	LimitHeader    = "header_block"
	LimitField     = "header_field"
	LimitFields    = "header_fields"
	LimitAddresses = "addresses"
	LimitParams    = "params"
	LimitBoundary  = "boundary"
	LimitMeta      = "meta"
)
