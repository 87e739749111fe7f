package mime

import (
	"path"
	"strings"
)

// Part is one part of a message: a leaf, a multipart, or an embedded message. Type, Subtype, Encoding, Disposition and
// parameter names are in lower case. Offsets are octets from the first scanned byte, without Message.Prefix.
type Part struct {
	Type        string   `json:"t"`
	Subtype     string   `json:"s"`
	Params      []Param  `json:"p,omitempty"`
	ID          string   `json:"id,omitempty"` // raw, with angle brackets
	Description string   `json:"de,omitempty"` // raw
	Encoding    string   `json:"en,omitempty"` // "" means 7bit
	Disposition string   `json:"di,omitempty"`
	DispParams  []Param  `json:"dp,omitempty"`
	Language    []string `json:"la,omitempty"`
	Location    string   `json:"lo,omitempty"`
	MD5         string   `json:"md,omitempty"`

	// HeaderStart is where the header of the part begins.
	HeaderStart int64 `json:"h"`
	// BodyStart is where the body begins, after the blank line: also the end of the header.
	BodyStart int64 `json:"b"`
	// BodyEnd is where the body ends; the line end before a boundary belongs to the boundary.
	BodyEnd int64 `json:"e"`
	// Lines is the number of line ends in the body of a text or message part; 0 for others.
	Lines int64 `json:"n,omitempty"`
	// Opaque says that a limit kept the part from being opened: a leaf of type application/octet-stream.
	Opaque bool `json:"q,omitempty"`

	// Children are the parts of a multipart (at least one), or the one embedded message of a message/rfc822.
	Children []*Part `json:"c,omitempty"`
	// Envelope is that of the embedded message, nil for all other parts.
	Envelope *Envelope `json:"v,omitempty"`
}

// Param is a parameter of Content-Type or Content-Disposition: RFC 2231 is decoded, encoded words are not.
type Param struct {
	Name  string `json:"n"`
	Value string `json:"v"`
}

// HeaderEnd is where the header ends, after the blank line.
func (p *Part) HeaderEnd() int64 { return p.BodyStart }

// Size is the size of the body in octets, still encoded.
func (p *Part) Size() int64 { return p.BodyEnd - p.BodyStart }

// MediaType is "type/subtype" in lower case.
func (p *Part) MediaType() string { return p.Type + "/" + p.Subtype }

// IsMultipart reports whether Children are parts of a multipart.
func (p *Part) IsMultipart() bool { return p.Type == "multipart" }

// IsMessage reports whether the part holds an embedded message, whose root is Children[0].
func (p *Part) IsMessage() bool { return p.Envelope != nil && len(p.Children) == 1 }

// Param gives a parameter of the Content-Type by its lower-case name, "" if absent.
func (p *Part) Param(name string) string { return param(p.Params, name) }

// FileName is the decoded name the sender gave the part, without folders and at most 255 octets; "" if there is none.
func (p *Part) FileName() string {
	name := param(p.DispParams, "filename")
	if name == "" {
		name = param(p.Params, "name")
	}
	if name = DecodeHeader(name); name == "" {
		return ""
	}
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if name == "." || name == "/" || name == ".." {
		return ""
	}
	return truncate(name, maxFileName)
}

// IsAttachment reports whether a reader would list the part as an attachment: it is no container, and the sender said so, or
// it has a file name, or it is not text. Pictures that the HTML text refers to by Content-ID are not attachments.
func (p *Part) IsAttachment() bool {
	switch {
	case p.IsMultipart():
		return false
	case p.Disposition == "attachment":
		return true
	case p.ID != "" && p.Type == "image":
		return false
	case p.Type == "text", p.Type == "message" && !p.IsMessage():
		return p.FileName() != ""
	case p.Type == "application" && strings.HasSuffix(p.Subtype, "-signature"):
		return false
	}
	return true
}

// Walk calls visit for p and every part below it, parents first. It stops when visit returns false.
func (p *Part) Walk(visit func(*Part) bool) bool {
	if !visit(p) {
		return false
	}
	for _, child := range p.Children {
		if !child.Walk(visit) {
			return false
		}
	}
	return true
}

func param(list []Param, name string) string {
	for _, p := range list {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}
