package mime

import (
	"bytes"
	"cmp"
)

// field is a header field the scanner knows.
type field uint8

const (
	fieldOther field = iota
	fieldContentType
	fieldContentEncoding
	fieldContentDisposition
	fieldContentID
	fieldContentDescription
	fieldContentLanguage
	fieldContentLocation
	fieldContentMD5
	fieldDate
	fieldSubject
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldInReplyTo
	fieldMessageID
	fieldReferences
	fieldReceived
)

// isContent reports whether the structure depends on the field.
func (f field) isContent() bool { return f >= fieldContentType && f <= fieldContentMD5 }

// header is the header block being read. One is used for all parts, one after the other.
type header struct {
	part     *Part
	entity   entity
	kind     field
	open     bool // a field (or junk line) was begun and may be continued
	junk     bool
	name     int    // octets of the raw value before the colon, colon included
	raw      []byte // the field begun, if it is one the scanner knows
	length   int    // octets of the field begun
	block    int
	fields   int
	over     string // the limit the block went over: the rest of it is not interpreted
	sealed   string // the limit a field went over that the structure depends on
	seen     uint32 // fields seen, as bits
	repeated uint32
	typed    bool // there was a Content-Type
}

// readHeader reads the header block of p up to and including the blank line. stopped says that a boundary or the end of the
// message came first.
func (s *scanner) readHeader(p *Part, e entity) (at stop, stopped bool) {
	h := &s.header
	*h = header{part: p, entity: e, raw: h.raw[:0]}
	p.Type, p.Subtype = "text", "plain"
	l := s.lines
	for l.next() {
		if e.root {
			s.look(l.frag)
		}
		if l.first {
			if at, ok := s.boundary(); ok {
				s.endHeader()
				return at, true
			}
			if isBlank(l.frag) {
				s.endHeader()
				return stop{}, false
			}
			if !e.root && h.block == 0 && fieldName(l.frag) == 0 && !isMboxLine(l.frag) {
				l.unread() // no header at all: this is the body
				s.endHeader()
				return stop{}, false
			}
		}
		s.headerLine(l.frag, l.first)
	}
	if e.root {
		s.msg.Faults |= FaultNoBlankLine
	}
	s.endHeader()
	return s.eof(), true
}

func isBlank(line []byte) bool {
	return line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
}

// isMboxLine reports whether a line is the separator of mbox files, which some programs leave in front of embedded messages.
func isMboxLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}

// look notes faults of the top-level header.
func (s *scanner) look(frag []byte) {
	var or byte
	for _, c := range frag {
		or |= c
	}
	if or >= 0x80 {
		s.msg.Faults |= FaultRaw8Bit
	}
	if bytes.IndexByte(frag, 0) >= 0 {
		s.msg.Faults |= FaultNUL
	}
	if s.lines.bareLF() {
		s.msg.Faults |= FaultBareLF
	}
}

// headerLine takes one line (or a fragment of a long one) of a header block.
func (s *scanner) headerLine(frag []byte, first bool) {
	h := &s.header
	h.block += len(frag)
	if h.over != "" {
		return
	}
	if h.block > MaxHeaderBlock {
		h.over = LimitHeader
		return
	}
	if first && (frag[0] != ' ' && frag[0] != '\t' || !h.open) {
		s.endField()
		s.beginField(frag)
		if h.fields > MaxHeaderFields {
			h.over = LimitFields
			h.open = false
			return
		}
	}
	h.length += len(frag)
	if h.kind != fieldOther && !h.junk && h.length <= MaxHeaderField {
		h.raw = append(h.raw, frag...)
	}
}

func (s *scanner) beginField(line []byte) {
	h := &s.header
	h.raw, h.length, h.open = h.raw[:0], 0, true
	n := fieldName(line)
	h.junk = n == 0
	if h.junk {
		h.kind = fieldOther
		if h.entity.root {
			s.msg.Faults |= FaultJunkLine
		}
		return
	}
	h.fields++
	h.kind = knownField(line[:n])
	h.name = bytes.IndexByte(line, ':') + 1
}

// fieldName gives the length of the field name a line begins with, 0 if the line is no field. White space between name and
// colon is tolerated (RFC 5322 §4.5).
func fieldName(line []byte) int {
	n := 0
	for n < len(line) && line[n] > ' ' && line[n] < 0x7f && line[n] != ':' {
		n++
	}
	i := n
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	if i == len(line) || line[i] != ':' {
		return 0
	}
	return n
}

// knownField finds the field of a name, whatever its case.
func knownField(name []byte) field {
	var buf [32]byte
	if len(name) > len(buf) {
		return fieldOther
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	lower := buf[:len(name)]
	if rest, ok := bytes.CutPrefix(lower, []byte("content-")); ok {
		return contentField(rest)
	}
	switch string(lower) {
	case "date":
		return fieldDate
	case "subject":
		return fieldSubject
	case "from":
		return fieldFrom
	case "sender":
		return fieldSender
	case "reply-to":
		return fieldReplyTo
	case "to":
		return fieldTo
	case "cc":
		return fieldCc
	case "bcc":
		return fieldBcc
	case "in-reply-to":
		return fieldInReplyTo
	case "message-id":
		return fieldMessageID
	case "references":
		return fieldReferences
	case "received":
		return fieldReceived
	}
	return fieldOther
}

func contentField(rest []byte) field {
	switch string(rest) {
	case "type":
		return fieldContentType
	case "transfer-encoding":
		return fieldContentEncoding
	case "disposition":
		return fieldContentDisposition
	case "id":
		return fieldContentID
	case "description":
		return fieldContentDescription
	case "language":
		return fieldContentLanguage
	case "location":
		return fieldContentLocation
	case "md5":
		return fieldContentMD5
	}
	return fieldOther
}

// endField evaluates the field that was begun.
func (s *scanner) endField() {
	h := &s.header
	if !h.open || h.junk {
		return
	}
	h.open = false
	if h.kind == fieldOther {
		return
	}
	if h.entity.root && h.kind == fieldReceived {
		s.msg.Received++
		return
	}
	bit := uint32(1) << h.kind
	if h.seen&bit != 0 {
		h.repeated |= bit
	}
	first := h.seen&bit == 0
	h.seen |= bit
	if h.length > MaxHeaderField {
		s.limit(LimitField)
		if first && h.kind.isContent() {
			h.sealed = LimitField
			return
		}
	}
	raw := h.raw[min(h.name, len(h.raw)):]
	switch {
	case h.kind.isContent() && first:
		s.contentField(clean(raw))
	case h.entity.envelope != nil:
		s.envelopeField(h.entity.envelope, raw, first)
	}
}

// endHeader evaluates the header block as a whole.
func (s *scanner) endHeader() {
	h := &s.header
	if h.over == "" {
		s.endField()
	}
	if h.entity.root {
		s.rootFaults()
	}
	p := h.part
	if limit := cmp.Or(h.over, h.sealed); limit != "" {
		s.opaque(p, limit)
		return
	}
	if h.entity.digest && !h.typed {
		p.Type, p.Subtype = "message", "rfc822"
	}
}

// rootFaults notes what is wrong with the fields of the message.
func (s *scanner) rootFaults() {
	h, m := &s.header, s.msg
	if h.seen&(1<<fieldFrom) == 0 {
		m.Faults |= FaultNoFrom
	} else if !hasAddress(m.Envelope.From) {
		m.Faults |= FaultFromNoAddress
	}
	if h.repeated&(1<<fieldFrom) != 0 {
		m.Faults |= FaultSeveralFrom
	}
	if h.seen&(1<<fieldDate) == 0 {
		m.Faults |= FaultNoDate
	}
	names := [...]struct {
		kind field
		name string
	}{
		{fieldDate, "date"},
		{fieldSubject, "subject"},
		{fieldFrom, "from"},
		{fieldSender, "sender"},
		{fieldReplyTo, "reply-to"},
		{fieldTo, "to"},
		{fieldCc, "cc"},
		{fieldBcc, "bcc"},
		{fieldInReplyTo, "in-reply-to"},
		{fieldMessageID, "message-id"},
		{fieldReferences, "references"},
		{fieldContentType, "content-type"},
		{fieldContentEncoding, "content-transfer-encoding"},
		{fieldContentDisposition, "content-disposition"},
	}
	for _, n := range names {
		if h.repeated&(1<<n.kind) != 0 {
			m.Duplicates = append(m.Duplicates, n.name)
		}
	}
}

func hasAddress(list []EnvelopeAddress) bool {
	for _, a := range list {
		if a.Kind == NoGroup && a.Mailbox != "" && a.Host != "" {
			return true
		}
	}
	return false
}
