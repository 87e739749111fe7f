package imapwire

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/emersion/go-imap/v2"
)

// ErrRaw says that bytes rendered beforehand are not one well-formed IMAP value. Nothing of them was written.
var ErrRaw = errors.New("imapwire: the rendered value is malformed")

// BeginFetch starts "* seq FETCH (". Only FETCH items may be written until EndFetch. What can fail (opening the message) belongs
// before it.
func (w *Writer) BeginFetch(seq uint32) {
	w.str("* ")
	w.num(uint64(seq))
	w.str(" FETCH (")
	w.item = false
}

// EndFetch ends the line.
func (w *Writer) EndFetch() { w.str(")\r\n") }

// name starts an item: a separator, the name and a space.
func (w *Writer) name(name string) {
	w.start(name)
	w.byte(' ')
}

func (w *Writer) start(name string) {
	if w.item {
		w.byte(' ')
	}
	w.item = true
	w.str(name)
}

// FetchUID is the item UID.
func (w *Writer) FetchUID(uid imap.UID) {
	w.name("UID")
	w.num(uint64(uid))
}

// FetchFlags is the item FLAGS. What is not a flag is left out.
func (w *Writer) FetchFlags(flags []imap.Flag) {
	w.name("FLAGS")
	w.flags(flags)
}

// FetchSize is the item RFC822.SIZE, in bytes.
func (w *Writer) FetchSize(n int64) {
	w.name("RFC822.SIZE")
	w.num(uint64(max(n, 0)))
}

// FetchModSeq is the item MODSEQ (RFC 7162 §3.1.4).
func (w *Writer) FetchModSeq(modSeq uint64) {
	w.name("MODSEQ")
	w.byte('(')
	w.num(modSeq)
	w.byte(')')
}

// FetchInternalDate is the item INTERNALDATE, in the zone of t.
func (w *Writer) FetchInternalDate(t time.Time) {
	w.name("INTERNALDATE")
	w.dateTime(t)
}

// FetchSaveDate is the item SAVEDATE (RFC 8514).
func (w *Writer) FetchSaveDate(t time.Time) {
	w.name("SAVEDATE")
	w.dateTime(t)
}

// dateTime writes a date-time. It has four digits for the year, so a time out of their range becomes the nearest in it.
func (w *Writer) dateTime(t time.Time) {
	const layout = `"_2-Jan-2006 15:04:05 -0700"`
	switch year := t.Year(); {
	case year < 0:
		t = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	case year > 9999:
		t = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	if w.room(len(layout)) {
		w.buf = t.AppendFormat(w.buf, layout)
	}
}

// FetchID is an item whose value is an object id in parentheses: EMAILID, THREADID (RFC 8474 §5). An empty id is NIL.
func (w *Writer) FetchID(name, id string) {
	w.name(name)
	if !isAtom(id) {
		w.str("NIL")
		return
	}
	w.byte('(')
	w.str(id)
	w.byte(')')
}

// FetchRaw is an item whose value was rendered beforehand: ENVELOPE, BODY, BODYSTRUCTURE. A value that would break the line is
// not written and gives ErrRaw; the line can go on without the item.
func (w *Writer) FetchRaw(name string, value []byte) error {
	if !validValue(value) {
		return ErrRaw
	}
	w.name(name)
	w.bytes(value)
	return nil
}

// FetchSection is the item BODY[section]<offset> with exactly n bytes of rd. A short rd stops the Writer with ErrLiteral, which is
// returned too.
func (w *Writer) FetchSection(item *imap.FetchItemBodySection, n int64, rd io.Reader) error {
	w.section(item)
	w.literal("{", n, rd)
	return w.err
}

// FetchSectionBytes is FetchSection for bytes in memory.
func (w *Writer) FetchSectionBytes(item *imap.FetchItemBodySection, b []byte) {
	w.section(item)
	w.literalHead("{", int64(len(b)))
	w.bytes(b)
}

// FetchSectionNil is BODY[section] of a part that the message does not have.
func (w *Writer) FetchSectionNil(item *imap.FetchItemBodySection) {
	w.section(item)
	w.str("NIL")
}

// FetchLiteral is an item of a plain name with exactly n bytes of rd: RFC822, RFC822.HEADER, RFC822.TEXT.
func (w *Writer) FetchLiteral(name string, n int64, rd io.Reader) error {
	w.name(name)
	w.literal("{", n, rd)
	return w.err
}

// FetchLiteralBytes is FetchLiteral for bytes in memory.
func (w *Writer) FetchLiteralBytes(name string, b []byte) {
	w.name(name)
	w.literalHead("{", int64(len(b)))
	w.bytes(b)
}

// FetchBinary is the item BINARY[part]<offset> with exactly n decoded bytes of rd, NUL allowed (RFC 3516 §4.2).
func (w *Writer) FetchBinary(item *imap.FetchItemBinarySection, n int64, rd io.Reader) error {
	w.start("BINARY[")
	w.part(item.Part)
	w.byte(']')
	w.offset(item.Partial)
	w.byte(' ')
	w.literal("~{", n, rd)
	return w.err
}

// FetchBinarySize is the item BINARY.SIZE[part] (RFC 3516 §4.3).
func (w *Writer) FetchBinarySize(part []int, n int64) {
	w.start("BINARY.SIZE[")
	w.part(part)
	w.str("] ")
	w.num(uint64(max(n, 0)))
}

// section writes the name of a body section as the client asked for it, without PEEK and the size of the partial.
func (w *Writer) section(item *imap.FetchItemBodySection) {
	w.start("BODY[")
	w.part(item.Part)
	if len(item.Part) > 0 && item.Specifier != imap.PartSpecifierNone {
		w.byte('.')
	}
	w.str(string(item.Specifier))
	switch {
	case len(item.HeaderFields) > 0:
		w.fieldNames(".FIELDS (", item.HeaderFields)
	case len(item.HeaderFieldsNot) > 0:
		w.fieldNames(".FIELDS.NOT (", item.HeaderFieldsNot)
	}
	w.byte(']')
	w.offset(item.Partial)
	w.byte(' ')
}

func (w *Writer) fieldNames(start string, names []string) {
	w.str(start)
	for i, name := range names {
		if i > 0 {
			w.byte(' ')
		}
		if isAtom(name) {
			w.str(name)
		} else {
			w.string(withoutNUL(name))
		}
	}
	w.byte(')')
}

func (w *Writer) part(part []int) {
	for i, n := range part {
		if i > 0 {
			w.byte('.')
		}
		w.num(uint64(max(n, 0)))
	}
}

func (w *Writer) offset(partial *imap.SectionPartial) {
	if partial == nil {
		return
	}
	w.byte('<')
	w.num(uint64(max(partial.Offset, 0)))
	w.byte('>')
}

// validValue checks that bytes are one list: balanced, its strings ended, its literals whole, and nothing in it that ends a line.
func validValue(b []byte) bool {
	depth := 0
	for i := 0; i < len(b); {
		n := 1
		switch c := b[i]; {
		case c == '"':
			n = quotedLen(b[i:])
		case c == '{':
			n = literalLen(b[i:])
		case c == '(':
			depth++
		case c == ')':
			depth--
		case !isPrintable(c):
			return false
		}
		if i += n; n == 0 || depth < 0 || depth == 0 && i < len(b) {
			return false
		}
	}
	return depth == 0 && len(b) > 1
}

// quotedLen is the length of the quoted string at the start of b, 0 if it is none.
func quotedLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			if i++; i < len(b) && b[i] != '"' && b[i] != '\\' {
				return 0
			}
		case 0, '\r', '\n':
			return 0
		}
	}
	return 0
}

// literalLen is the length of the literal at the start of b, marker included, 0 if it is none or not whole.
func literalLen(b []byte) int {
	digits := span(b[1:], isDigit)
	head := 1 + digits
	if digits == 0 || !bytes.HasPrefix(b[head:], []byte("}\r\n")) {
		return 0
	}
	head += len("}\r\n")
	n := saturate(b[1 : 1+digits])
	if n > int64(len(b)-head) {
		return 0
	}
	return head + int(n)
}
