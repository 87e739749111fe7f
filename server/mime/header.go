package mime

import (
	"bytes"
	"strings"
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
	over     string // the limit the block went over
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
		if h.kind.isContent() {
			h.over = LimitField
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
	if h.over != "" {
		s.opaque(p, h.over)
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

// contentField takes a Content- field into the part.
func (s *scanner) contentField(value string) {
	h := &s.header
	p := h.part
	switch h.kind {
	case fieldContentType:
		h.typed = true
		s.contentType(p, value)
	case fieldContentEncoding:
		if p.Encoding = s.keep(truncate(strings.ToLower(firstWord(value)), maxType)); p.Encoding == "7bit" {
			p.Encoding = ""
		}
	case fieldContentDisposition:
		s.disposition(p, value)
	case fieldContentID:
		p.ID = s.keep(value)
	case fieldContentDescription:
		p.Description = s.keep(value)
	case fieldContentLanguage:
		for tag := range strings.SplitSeq(value, ",") {
			if tag = strings.TrimSpace(tag); tag != "" && len(p.Language) < maxLanguages {
				p.Language = append(p.Language, s.keep(tag))
			}
		}
	case fieldContentLocation:
		p.Location = s.keep(value)
	case fieldContentMD5:
		p.MD5 = s.keep(value)
	}
}

// contentType reads a Content-Type. One that cannot be understood means text/plain (RFC 2045 §5.2).
func (s *scanner) contentType(p *Part, value string) {
	media, params, over := parseParams(value)
	if over {
		s.limit(LimitParams)
	}
	p.Params = s.keepParams(params)
	major, minor, ok := strings.Cut(media, "/")
	if ok && isToken(major) && isToken(minor) && len(media) <= maxType {
		p.Type, p.Subtype = s.keep(major), s.keep(minor)
	}
	if p.Type == "" || p.Subtype == "" {
		p.Type, p.Subtype = "text", "plain"
	}
}

// disposition reads a Content-Disposition. One without a type is an attachment (RFC 2183 §2.8).
func (s *scanner) disposition(p *Part, value string) {
	kind, params, over := parseParams(value)
	if strings.Contains(kind, "=") {
		kind, params, over = parseParams("attachment;" + value)
	}
	if over {
		s.limit(LimitParams)
	}
	if !isToken(kind) || len(kind) > maxType {
		kind = "attachment"
	}
	p.Disposition, p.DispParams = s.keep(kind), s.keepParams(params)
}

func (s *scanner) keepParams(list []Param) []Param {
	kept := list[:0]
	for _, p := range list {
		const overhead = 16
		if s.meta < len(p.Name)+len(p.Value)+overhead {
			s.limit(LimitMeta)
			break
		}
		s.meta -= len(p.Name) + len(p.Value) + overhead
		kept = append(kept, p)
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// envelopeField takes a field into the envelope. The first field of a name counts, but recipients are collected.
func (s *scanner) envelopeField(e *Envelope, raw []byte, first bool) {
	switch kind := s.header.kind; kind {
	case fieldTo:
		s.addresses(&e.To, raw)
	case fieldCc:
		s.addresses(&e.Cc, raw)
	case fieldBcc:
		s.addresses(&e.Bcc, raw)
	default:
		if first {
			s.singleField(e, kind, raw)
		}
	}
}

func (s *scanner) singleField(e *Envelope, kind field, raw []byte) {
	switch kind {
	case fieldFrom:
		s.addresses(&e.From, raw)
	case fieldSender:
		s.addresses(&e.Sender, raw)
	case fieldReplyTo:
		s.addresses(&e.ReplyTo, raw)
	case fieldDate:
		s.text(&e.Date, &e.Blank, BlankDate, raw)
	case fieldSubject:
		s.text(&e.Subject, &e.Blank, BlankSubject, raw)
	case fieldInReplyTo:
		s.text(&e.InReplyTo, &e.Blank, BlankInReplyTo, raw)
	case fieldMessageID:
		s.text(&e.MessageID, &e.Blank, BlankMessageID, raw)
	case fieldReferences:
		if s.header.entity.root {
			for _, id := range ids(clean(raw), maxReferences) {
				if id = s.keep(id); id != "" {
					s.msg.References = append(s.msg.References, id)
				}
			}
		}
	}
}

func (s *scanner) text(dst *string, blank *BlankField, bit BlankField, raw []byte) {
	value := clean(raw)
	if value == "" {
		*blank |= bit
	}
	*dst = s.keep(value)
}

func (s *scanner) addresses(dst *[]EnvelopeAddress, raw []byte) {
	list, over := ParseAddressList(string(raw))
	if len(list) > 0 && len(*dst) > 0 && len(list)+len(*dst) > MaxAddresses {
		list, over = nil, true // a repeated field
	}
	if over {
		s.limit(LimitAddresses)
	}
	for i := range list {
		const overhead = 24
		size := len(list[i].Name) + len(list[i].Route) + len(list[i].Mailbox) + len(list[i].Host) + overhead
		if s.meta < size {
			s.limit(LimitMeta)
			list = nil // a part of a list would be read as the whole
			break
		}
		s.meta -= size
	}
	*dst = append(*dst, list...)
}
