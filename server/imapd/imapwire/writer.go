package imapwire

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
)

const (
	writeBufferSize = 32 << 10
	keepWriteBuffer = 4 << 10 // what an idle connection may hold on to
	maxText         = 512     // bytes of the text of a response
	maxQuoted       = 4 << 10 // longer strings go as literals
	emptyReads      = 100     // reads of nothing in a row before a source is given up
)

// Writer writes responses into a buffer of 32 KiB that goes out when it is full and at Flush. Methods that write return nothing:
// the first error stays, nothing is written after it, and Flush returns it. A Writer is not safe for concurrent use.
type Writer struct {
	w    io.Writer
	buf  []byte
	err  error
	utf8 bool
	item bool // the FETCH line has an item
}

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Reset writes to another connection from now on, after STARTTLS. What was not flushed is dropped.
func (w *Writer) Reset(to io.Writer) {
	*w = Writer{w: to, utf8: w.utf8}
}

// SetUTF8 says that the client has enabled UTF-8 in strings and mailbox names (RFC 6855, RFC 9051).
func (w *Writer) SetUTF8(on bool) { w.utf8 = on }

// Err is the error that stopped the Writer, or nil. With one set the connection has to be closed.
func (w *Writer) Err() error { return w.err }

// Buffered is the number of bytes not yet handed to the connection.
func (w *Writer) Buffered() int { return len(w.buf) }

// Flush hands everything to the connection, and gives a large buffer back.
func (w *Writer) Flush() error {
	w.drain()
	if cap(w.buf) > keepWriteBuffer {
		w.buf = nil
	}
	return w.err
}

func (w *Writer) drain() {
	if w.err == nil && len(w.buf) > 0 {
		_, err := w.w.Write(w.buf)
		w.fail(err)
	}
	w.buf = w.buf[:0]
}

func (w *Writer) fail(err error) {
	if w.err == nil && err != nil {
		w.err = err
		w.buf = nil
	}
}

// room makes place for n more bytes and says whether they fit the buffer.
func (w *Writer) room(n int) bool {
	if len(w.buf)+n > writeBufferSize {
		w.drain()
	}
	return n <= writeBufferSize && w.err == nil
}

func (w *Writer) str(s string) {
	for len(s) > 0 && w.err == nil {
		n := min(len(s), writeBufferSize)
		if w.room(n) {
			w.buf = append(w.buf, s[:n]...)
		}
		s = s[n:]
	}
}

func (w *Writer) bytes(b []byte) {
	if w.room(len(b)) {
		w.buf = append(w.buf, b...)
		return
	}
	if w.err == nil {
		_, err := w.w.Write(b)
		w.fail(err)
	}
}

func (w *Writer) byte(c byte) {
	if w.room(1) {
		w.buf = append(w.buf, c)
	}
}

func (w *Writer) num(n uint64) {
	if w.room(20) {
		w.buf = strconv.AppendUint(w.buf, n, 10)
	}
}

func (w *Writer) crlf() { w.str("\r\n") }

// string writes a quoted string, or a literal where a quoted one cannot hold the text.
func (w *Writer) string(s string) {
	if !w.quotable(s) {
		w.literalHead("{", int64(len(s)))
		w.str(s)
		return
	}
	w.byte('"')
	for i := strings.IndexAny(s, `"\`); i >= 0; i = strings.IndexAny(s, `"\`) {
		w.str(s[:i])
		w.byte('\\')
		w.byte(s[i])
		s = s[i+1:]
	}
	w.str(s)
	w.byte('"')
}

func (w *Writer) quotable(s string) bool {
	if len(s) > maxQuoted {
		return false
	}
	ascii := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f {
			return false
		}
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	return ascii || w.utf8 && utf8.ValidString(s)
}

// mailbox writes a name in the encoding the client has enabled.
func (w *Writer) mailbox(name string) {
	if !w.utf8 {
		name = EncodeUTF7(name)
	}
	w.string(name)
}

// delim writes a hierarchy delimiter, NIL for 0.
func (w *Writer) delim(r rune) {
	if r < ' ' || r >= 0x7f {
		w.str("NIL")
		return
	}
	w.byte('"')
	if r == '"' || r == '\\' {
		w.byte('\\')
	}
	w.byte(byte(r))
	w.byte('"')
}

// flags writes a list of flags. One that is not a flag is left out: half a line would cost the client the connection.
func (w *Writer) flags(flags []imap.Flag) {
	w.byte('(')
	first := true
	for _, f := range flags {
		if !ValidFlag(f) {
			continue
		}
		if !first {
			w.byte(' ')
		}
		first = false
		w.str(string(f))
	}
	w.byte(')')
}

// ValidFlag says whether f can stand in a list of flags: an atom, a backslash and an atom, or \*.
func ValidFlag(f imap.Flag) bool {
	if f == imap.FlagWildcard {
		return true
	}
	if len(f) > 0 && f[0] == '\\' {
		f = f[1:]
	}
	return isAtom(string(f)) && len(f) < maxFlag
}

func isAtom(s string) bool {
	for i := range len(s) {
		if !isAtomChar(s[i]) {
			return false
		}
	}
	return s != ""
}

// set writes a set without "$", which servers do not send.
func (w *Writer) set(set imap.NumSet) {
	switch set := set.(type) {
	case imap.UIDSet:
		for i, r := range set {
			w.rangeOf(i, uint32(r.Start), uint32(r.Stop))
		}
	case imap.SeqSet:
		for i, r := range set {
			w.rangeOf(i, r.Start, r.Stop)
		}
	}
}

func (w *Writer) rangeOf(i int, start, stop uint32) {
	if i > 0 {
		w.byte(',')
	}
	w.setNum(start)
	if stop != start {
		w.byte(':')
		w.setNum(stop)
	}
}

func (w *Writer) setNum(n uint32) {
	if n == 0 {
		w.byte('*')
		return
	}
	w.num(uint64(n))
}

func emptySet(set imap.NumSet) bool {
	switch set := set.(type) {
	case imap.UIDSet:
		return len(set) == 0
	case imap.SeqSet:
		return len(set) == 0
	}
	return true
}

// literalHead announces a literal. open is "{" or "~{".
func (w *Writer) literalHead(open string, n int64) {
	w.str(open)
	w.num(uint64(max(n, 0)))
	w.str("}\r\n")
}

// literal writes exactly n bytes of rd as a literal. If rd has fewer, the client would wait for the rest for ever or take the next
// response for it: the Writer stops with ErrLiteral.
func (w *Writer) literal(open string, n int64, rd io.Reader) {
	w.literalHead(open, n)
	for idle := 0; n > 0 && w.err == nil; {
		if cap(w.buf) < writeBufferSize {
			w.buf = slices.Grow(w.buf, writeBufferSize-len(w.buf))
		}
		if len(w.buf) >= writeBufferSize {
			w.drain()
			continue
		}
		free := w.buf[len(w.buf):writeBufferSize]
		got, err := rd.Read(free[:min(int64(len(free)), n)])
		w.buf = w.buf[:len(w.buf)+got]
		n -= int64(got)
		if idle++; got > 0 {
			idle = 0
		}
		if n > 0 && (err != nil || idle == emptyReads) {
			w.fail(shortLiteral(err))
		}
	}
}
