package mime

// The specifiers Section knows besides "", the body of a part or the whole message.
const (
	SpecHeader = "HEADER"
	SpecText   = "TEXT"
	SpecMIME   = "MIME"
)

// Lookup finds the part with an IMAP part number (RFC 9051 §6.4.5), counted from 1: the parts of a multipart have theirs, the
// body of a message that is no multipart is its part 1, and numbers go on inside an embedded message. nil if there is none;
// the root for an empty path.
func (m *Message) Lookup(path []int) *Part {
	part := m.Root
	inMessage := true // part is the root of a message, whose number was not spent yet
	for _, n := range path {
		if !inMessage && part.IsMessage() {
			part, inMessage = part.Children[0], true
		}
		switch {
		case part.IsMultipart():
			if n < 1 || n > len(part.Children) {
				return nil
			}
			part = part.Children[n-1]
		case !inMessage || n != 1:
			return nil
		}
		inMessage = false
	}
	return part
}

// HeaderPart finds the part whose header block HEADER and its relatives mean: the root for an empty path, else the root of
// the message embedded in the part. nil if there is none.
func (m *Message) HeaderPart(path []int) *Part {
	part := m.Lookup(path)
	switch {
	case len(path) == 0:
		return m.Root
	case part == nil || !part.IsMessage():
		return nil
	}
	return part.Children[0]
}

// Section gives the octets [start, end) of the stored message, Prefix counted, that BODY[path.spec] means. spec is "" or one
// of the Spec constants; ok is false if there is no such section.
func (m *Message) Section(path []int, spec string) (start, end int64, ok bool) {
	switch spec {
	case "":
		if len(path) == 0 {
			return 0, m.Size, true
		}
		if part := m.Lookup(path); part != nil {
			return m.Prefix + part.BodyStart, m.Prefix + part.BodyEnd, true
		}
	case SpecMIME:
		if part := m.Lookup(path); part != nil && len(path) > 0 {
			start, end = m.headerRange(part)
			return start, end, true
		}
	case SpecHeader:
		if part := m.HeaderPart(path); part != nil {
			start, end = m.headerRange(part)
			return start, end, true
		}
	case SpecText:
		if part := m.HeaderPart(path); part != nil {
			return m.Prefix + part.BodyStart, m.Prefix + part.BodyEnd, true
		}
	}
	return 0, 0, false
}

// headerRange is where the header block of a part lies in the stored message, blank line included. That of the root begins
// with the prefix.
func (m *Message) headerRange(p *Part) (start, end int64) {
	start = m.Prefix + p.HeaderStart
	if p == m.Root {
		start = 0
	}
	return start, m.Prefix + p.BodyStart
}
