package imapwire

import (
	"math"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// parseFetch reads FETCH (RFC 9051 §6.4.5, RFC 3501 §6.4.5, RFC 7162 §3.1.4).
func parseFetch(p *parser) any {
	p.sp()
	f := &Fetch{Set: p.numSet(p.uid)}
	p.sp()
	items := 0
	switch {
	case p.peek() != '(':
		name := p.fetchName()
		if !f.macro(name) {
			p.fetchItem(f, name)
		}
	default:
		p.list(func() {
			if items++; items > maxFetchItems {
				p.fail(tooMuch("Too many items"))
				return
			}
			p.fetchItem(f, p.fetchName())
		})
		if items == 0 {
			p.bad("Item is missing")
		}
	}
	if p.accept(' ') && p.peek() == '(' {
		p.fetchModifiers(f)
	}
	f.Options.UID = f.Options.UID || p.uid
	return f
}

func (p *parser) fetchModifiers(f *Fetch) {
	f.Modifiers = p.params()
	for _, param := range f.Modifiers {
		if param.Name != "CHANGEDSINCE" {
			continue
		}
		n, ok := modSeq(param)
		if !ok {
			p.bad("Bad value of CHANGEDSINCE")
		}
		f.Options.ChangedSince, f.Options.ModSeq = n, true
	}
}

// fetchName reads the name of an item up to its section.
func (p *parser) fetchName() string {
	return strings.ToUpper(string(p.take(func(c byte) bool { return isAtomChar(c) && c != '[' && c != '<' })))
}

// macro sets the items a macro stands for. Macros stand alone.
func (f *Fetch) macro(name string) bool {
	switch name {
	case "FULL":
		f.Body = true
		fallthrough
	case "ALL":
		f.Options.Envelope = true
		fallthrough
	case "FAST":
		f.Options.Flags, f.Options.InternalDate, f.Options.RFC822Size = true, true, true
		return true
	}
	return false
}

// fetchItem reads what follows the name of an item.
func (p *parser) fetchItem(f *Fetch, name string) {
	if field := f.plainItem(name); field != nil && p.peek() != '[' {
		*field = true
		return
	}
	switch name {
	case "BODYSTRUCTURE":
		f.Options.BodyStructure = &imap.FetchItemBodyStructure{Extended: true}
	case "BODY", "BODY.PEEK":
		p.bodySection(f, name == "BODY.PEEK")
	case "BINARY", "BINARY.PEEK":
		p.binarySection(f, name == "BINARY.PEEK")
	case "BINARY.SIZE":
		p.expect('[', "Section is missing")
		f.addBinarySize(p.sectionPart())
		p.expect(']', "Section does not end")
	case "EMAILID", "THREADID", "SAVEDATE":
		if !slices.Contains(f.Extra, name) {
			f.Extra = append(f.Extra, name)
		}
	default:
		p.bad("Unknown item of FETCH")
	}
}

// plainItem is the field of an item that is a name and nothing else.
func (f *Fetch) plainItem(name string) *bool {
	switch name {
	case "FLAGS":
		return &f.Options.Flags
	case "UID":
		return &f.Options.UID
	case "INTERNALDATE":
		return &f.Options.InternalDate
	case "ENVELOPE":
		return &f.Options.Envelope
	case "BODY":
		return &f.Body
	case "MODSEQ":
		return &f.Options.ModSeq
	case "RFC822":
		return &f.RFC822
	case "RFC822.SIZE":
		return &f.Options.RFC822Size
	case "RFC822.HEADER":
		return &f.RFC822Header
	case "RFC822.TEXT":
		return &f.RFC822Text
	}
	return nil
}

// bodySection reads "[" [section-spec] "]" [partial] (RFC 9051 §9, section).
func (p *parser) bodySection(f *Fetch, peek bool) {
	item := &imap.FetchItemBodySection{Peek: peek}
	p.expect('[', "Section is missing")
	item.Part = p.sectionPart()
	if len(item.Part) == 0 || p.accept('.') {
		p.sectionText(item)
	}
	p.expect(']', "Section does not end")
	item.Partial = p.partial()
	f.addSection(item)
}

// sectionPart reads part numbers and stops in front of the dot before anything else.
func (p *parser) sectionPart() []int {
	var part []int
	for isDigit(p.peek()) {
		if len(part) == maxPartDepth {
			p.fail(tooMuch("Part is too deep"))
		}
		part = append(part, int(p.nz()))
		if p.pos+1 >= len(p.b) || p.peek() != '.' || !isDigit(p.b[p.pos+1]) {
			break
		}
		p.pos++
	}
	return part
}

func (p *parser) sectionText(item *imap.FetchItemBodySection) {
	name := strings.ToUpper(string(p.take(isAtomChar)))
	switch {
	case name == "" && len(item.Part) == 0:
	case name == "HEADER":
		item.Specifier = imap.PartSpecifierHeader
	case name == "TEXT":
		item.Specifier = imap.PartSpecifierText
	case name == "MIME" && len(item.Part) > 0:
		item.Specifier = imap.PartSpecifierMIME
	case name == "HEADER.FIELDS":
		item.Specifier = imap.PartSpecifierHeader
		item.HeaderFields = p.headerFields()
	case name == "HEADER.FIELDS.NOT":
		item.Specifier = imap.PartSpecifierHeader
		item.HeaderFieldsNot = p.headerFields()
	default:
		p.bad("Unknown section")
	}
}

// headerFields reads names of header fields. They come back in the response, so only what can be a name is taken.
func (p *parser) headerFields() []string {
	p.sp()
	var names []string
	p.list(func() {
		name := p.astring()
		if !isFieldName(name) {
			p.bad("Bad header field name")
		}
		names = append(names, name)
	})
	if len(names) == 0 {
		p.bad("Header field name is missing")
	}
	return names
}

// isFieldName is ftext of RFC 5322 §3.6.8.
func isFieldName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return name != ""
}

// partial reads "<" offset "." size ">". The end, offset plus size, always fits in an int64.
func (p *parser) partial() *imap.SectionPartial {
	if !p.accept('<') {
		return nil
	}
	part := &imap.SectionPartial{Offset: p.num64()}
	p.expect('.', "Size of the partial is missing")
	if part.Size = p.num64(); part.Size == 0 {
		p.bad("Size of the partial is 0")
	}
	p.expect('>', "Partial does not end")
	part.Size = min(part.Size, math.MaxInt64-part.Offset)
	return part
}

func (p *parser) binarySection(f *Fetch, peek bool) {
	item := &imap.FetchItemBinarySection{Peek: peek}
	p.expect('[', "Section is missing")
	item.Part = p.sectionPart()
	p.expect(']', "Section does not end")
	item.Partial = p.partial()
	f.addBinary(item)
}

// addSection keeps one of items that have the same response. Of a pair that differs in Peek, the one that sets \Seen stays.
func (f *Fetch) addSection(item *imap.FetchItemBodySection) {
	for _, have := range f.Options.BodySection {
		if sameSection(have, item) {
			have.Peek = have.Peek && item.Peek
			return
		}
	}
	f.Options.BodySection = append(f.Options.BodySection, item)
}

func sameSection(a, b *imap.FetchItemBodySection) bool {
	return a.Specifier == b.Specifier && slices.Equal(a.Part, b.Part) && slices.Equal(a.HeaderFields, b.HeaderFields) &&
		slices.Equal(a.HeaderFieldsNot, b.HeaderFieldsNot) && samePartial(a.Partial, b.Partial)
}

func samePartial(a, b *imap.SectionPartial) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func (f *Fetch) addBinary(item *imap.FetchItemBinarySection) {
	for _, have := range f.Options.BinarySection {
		if slices.Equal(have.Part, item.Part) && samePartial(have.Partial, item.Partial) {
			have.Peek = have.Peek && item.Peek
			return
		}
	}
	f.Options.BinarySection = append(f.Options.BinarySection, item)
}

func (f *Fetch) addBinarySize(part []int) {
	for _, have := range f.Options.BinarySectionSize {
		if slices.Equal(have.Part, part) {
			return
		}
	}
	f.Options.BinarySectionSize = append(f.Options.BinarySectionSize, &imap.FetchItemBinarySectionSize{Part: part})
}
