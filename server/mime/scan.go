package mime

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Scan reads a message of size octets once and describes it. It never fails because of what the message contains; the error
// is that of r, or io.ErrUnexpectedEOF when r holds less than size octets. Time is linear in size, memory is bounded.
func Scan(r io.ReaderAt, size int64) (*Message, error) {
	s := &scanner{
		lines: newLineReader(r, size),
		msg:   &Message{Root: new(Part), Envelope: new(Envelope), Size: size},
		parts: 1,
		meta:  maxMeta,
	}
	s.entity(s.msg.Root, entity{depth: 1, envelope: s.msg.Envelope, root: true})
	if s.lines.err != nil {
		return nil, fmt.Errorf("scan message: %w", s.lines.err)
	}
	s.finish()
	if err := s.preview(r); err != nil {
		return nil, fmt.Errorf("scan message: %w", err)
	}
	return s.msg, nil
}

// scanner walks the message by recursive descent. Every function that reads a body returns where and why it stopped.
type scanner struct {
	lines      *lineReader
	msg        *Message
	boundaries []string // of the open multiparts, outermost first
	parts      int
	meta       int // octets of text that may still be kept
	header     header
}

// entity says how a part is to be read.
type entity struct {
	depth    int
	envelope *Envelope // to fill, for the root and for embedded messages
	root     bool      // the message itself
	digest   bool      // a child of multipart/digest, which is a message by default (RFC 2046 §5.1.5)
}

// stop is the line at which a body ends: a boundary of the multipart at level, or the end of the message (level -1).
type stop struct {
	level   int
	closing bool
	at      int64 // offset of the line
	eol     int   // octets of line end before it, which belong to the boundary
	lines   int64 // line ends before it
}

// entity reads one part, header and body.
func (s *scanner) entity(p *Part, e entity) stop {
	p.HeaderStart = s.lines.offset()
	at, stopped := s.readHeader(p, e)
	if stopped {
		p.BodyStart = max(p.HeaderStart, at.at-int64(at.eol))
		p.BodyEnd = p.BodyStart
		if p.IsMultipart() || p.IsMessage() || p.mayEmbed() {
			s.demote(p)
		}
		return at
	}
	p.BodyStart = s.lines.offset()
	first := s.lines.count()
	switch {
	case p.Opaque:
		at = s.skip()
	case p.IsMultipart():
		at = s.multipart(p, e.depth)
	case p.mayEmbed():
		at = s.embedded(p, e.depth)
	default:
		at = s.skip()
	}
	s.end(p, at, first)
	return at
}

// mayEmbed reports whether the type of the part is that of an embedded message (RFC 2046 §5.2.1, RFC 6532 §3.7).
func (p *Part) mayEmbed() bool {
	return p.Type == "message" && (p.Subtype == "rfc822" || p.Subtype == "global")
}

// end sets where the body of p ends: before the line end that belongs to the boundary, but not before its last child ends.
func (s *scanner) end(p *Part, at stop, first int64) {
	floor := p.BodyStart
	if n := len(p.Children); n > 0 {
		floor = max(floor, p.Children[n-1].BodyEnd)
	}
	p.BodyEnd = max(floor, at.at-int64(at.eol))
	if p.Type != "text" && p.Type != "message" {
		return
	}
	p.Lines = at.lines - first
	if at.eol > 0 && p.BodyEnd == at.at-int64(at.eol) {
		p.Lines--
	}
}

// multipart reads the children of p. Without any it becomes text/plain of its whole body.
func (s *scanner) multipart(p *Part, depth int) stop {
	boundary := strings.TrimRight(p.Param("boundary"), " ")
	limit := ""
	switch {
	case depth >= MaxDepth:
		limit = LimitDepth
	case len(boundary) > maxBoundary:
		limit = LimitBoundary
	}
	if limit != "" {
		s.opaque(p, limit)
		return s.skip()
	}
	if boundary == "" {
		s.demote(p)
		return s.skip()
	}
	level := len(s.boundaries)
	s.boundaries = append(s.boundaries, boundary)
	at := s.skip() // preamble
	dropped := false
	for at.level == level && !at.closing {
		if !s.another() {
			dropped = true
			at = s.skip()
			continue
		}
		child := new(Part)
		p.Children = append(p.Children, child)
		at = s.entity(child, entity{depth: depth + 1, digest: p.Subtype == "digest"})
	}
	if at.level != level {
		s.msg.Faults |= FaultUnclosed
	}
	for at.level == level { // epilogue; the boundary stays known so that its lines are not taken for others
		at = s.skip()
	}
	s.boundaries = s.boundaries[:level]
	switch {
	case len(p.Children) > 0:
	case dropped:
		s.opaque(p, LimitParts)
	default:
		s.demote(p)
	}
	return at
}

// embedded reads the message inside a message/rfc822.
func (s *scanner) embedded(p *Part, depth int) stop {
	if depth >= MaxDepth {
		s.opaque(p, LimitDepth)
		return s.skip()
	}
	if !s.another() {
		s.opaque(p, LimitParts)
		return s.skip()
	}
	child := new(Part)
	p.Children = []*Part{child}
	p.Envelope = new(Envelope)
	return s.entity(child, entity{depth: depth + 1, envelope: p.Envelope})
}

// another takes one part from the budget.
func (s *scanner) another() bool {
	if s.parts >= MaxParts {
		s.limit(LimitParts)
		return false
	}
	s.parts++
	return true
}

// skip reads lines up to the next boundary or the end.
func (s *scanner) skip() stop {
	l := s.lines
	for l.next() {
		if l.first && len(s.boundaries) > 0 && l.frag[0] == '-' {
			if at, ok := s.boundary(); ok {
				return at
			}
		}
		if l.bareLF() {
			s.msg.Faults |= FaultBareLF
		}
	}
	return s.eof()
}

func (s *scanner) eof() stop { return stop{level: -1, at: s.lines.offset(), lines: s.lines.count()} }

// boundary tells whether the current line is a boundary line of an open multipart. The whole line must match, white space at
// its end aside: a boundary may begin with another one, and text may begin with a short one. The innermost multipart wins.
func (s *scanner) boundary() (stop, bool) {
	l := s.lines
	line, ok := bytes.CutPrefix(l.frag, []byte("--"))
	if !ok || !l.last {
		return stop{}, false
	}
	line = bytes.TrimRight(line, " \t\r\n")
	for level, boundary := range slices.Backward(s.boundaries) {
		if len(line) < len(boundary) || len(line) > len(boundary)+2 || string(line[:len(boundary)]) != boundary {
			continue
		}
		rest := string(line[len(boundary):])
		if rest == "" || rest == "--" {
			return stop{level: level, closing: rest != "", at: l.pos, eol: l.eol, lines: l.lines}, true
		}
	}
	return stop{}, false
}

// demote makes a container without content a text/plain leaf: IMAP has no way to say that a multipart has no part.
func (s *scanner) demote(p *Part) {
	s.msg.Faults |= FaultEmptyMultipart
	p.Type, p.Subtype, p.Params = "text", "plain", nil
	p.Children, p.Envelope = nil, nil
}

// opaque makes p a leaf that is not looked into because of a limit.
func (s *scanner) opaque(p *Part, limit string) {
	s.limit(limit)
	p.Type, p.Subtype, p.Params = "application", "octet-stream", nil
	p.Children, p.Envelope = nil, nil
	p.Opaque = true
}

func (s *scanner) limit(name string) {
	if !slices.Contains(s.msg.Limits, name) {
		s.msg.Limits = append(s.msg.Limits, name)
	}
}

// keep accounts for text that goes into the description of the message. When there is too much, text is left out.
func (s *scanner) keep(text string) string {
	if s.meta < len(text) {
		s.limit(LimitMeta)
		return ""
	}
	s.meta -= len(text)
	return text
}

// finish derives what needs the whole structure.
func (s *scanner) finish() {
	m := s.msg
	if m.MessageID() == "" {
		m.Faults |= FaultNoMessageID
	}
	m.Root.Walk(func(p *Part) bool {
		if len(m.Attachments) < maxAttachments && m.isAttachment(p) {
			m.Attachments = append(m.Attachments, p.attachmentName())
		}
		return true
	})
}

// attachmentName is the file name, or a stand-in.
func (p *Part) attachmentName() string {
	switch name := p.FileName(); {
	case name != "":
		return name
	case p.IsMessage():
		return "message.eml"
	}
	return "attachment"
}
