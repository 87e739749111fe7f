package mime

import (
	"bytes"
	"errors"
	"io"
)

// lineReader hands out a message line by line through one buffer. A line longer than the buffer comes in several fragments, so
// memory does not depend on the input.
type lineReader struct {
	r    io.ReaderAt
	size int64
	buf  []byte
	lo   int   // first byte of buf not handed out
	hi   int   // end of the bytes read into buf
	base int64 // offset of buf[0] in r
	err  error

	frag    []byte // the current fragment, with its line end; valid until the next call of next
	pos     int64  // offset of frag
	first   bool   // frag begins a line
	last    bool   // frag ends a line (or the message)
	eol     int    // octets of line end before the current line: 0, 1 or 2
	lines   int64  // line ends before frag
	endsCR  bool   // the fragment before frag, of the same line, ended in CR
	pending bool   // frag was put back
}

func newLineReader(r io.ReaderAt, size int64) *lineReader {
	return &lineReader{r: r, size: size, buf: make([]byte, min(size, bufferSize)), last: true}
}

// offset is where the next fragment begins.
func (l *lineReader) offset() int64 {
	if l.pending {
		return l.pos
	}
	return l.base + int64(l.lo)
}

// count is the number of line ends before offset.
func (l *lineReader) count() int64 {
	if n := len(l.frag); !l.pending && n > 0 && l.frag[n-1] == '\n' {
		return l.lines + 1
	}
	return l.lines
}

// next moves to the next fragment and reports whether there is one.
func (l *lineReader) next() bool {
	if l.pending {
		l.pending = false
		return true
	}
	l.settle()
	n := l.find()
	l.frag, l.pos = l.buf[l.lo:l.lo+n], l.base+int64(l.lo)
	l.lo += n
	if n == 0 {
		return false
	}
	l.last = l.frag[n-1] == '\n' || l.pos+int64(n) == l.size
	return true
}

// bareLF reports whether the current fragment ends in LF without CR.
func (l *lineReader) bareLF() bool {
	n := len(l.frag)
	if l.frag[n-1] != '\n' {
		return false
	}
	if n == 1 {
		return l.first || !l.endsCR
	}
	return l.frag[n-2] != '\r'
}

// unread makes next hand out the current fragment once more.
func (l *lineReader) unread() { l.pending = true }

// settle takes note of the fragment that is being left.
func (l *lineReader) settle() {
	l.first = l.last
	n := len(l.frag)
	if n == 0 {
		return
	}
	if l.frag[n-1] != '\n' {
		l.endsCR = l.frag[n-1] == '\r'
		l.eol = 0
		return
	}
	l.lines++
	l.eol = 1
	if n > 1 && l.frag[n-2] == '\r' || n == 1 && l.endsCR {
		l.eol = 2
	}
	l.endsCR = false
}

// find gives the length of the next fragment: up to a line end, or all that fits. A fragment that begins a line is therefore
// the whole line or as long as the buffer, which is what boundary matching relies on.
func (l *lineReader) find() int {
	searched := l.lo
	for {
		if i := bytes.IndexByte(l.buf[searched:l.hi], '\n'); i >= 0 {
			return searched + i + 1 - l.lo
		}
		searched = l.hi
		if l.hi == len(l.buf) {
			if l.lo == 0 {
				return l.hi
			}
			searched -= l.lo
			l.compact()
		}
		if !l.fill() {
			return l.hi - l.lo
		}
	}
}

// compact moves what was not handed out to the front of the buffer.
func (l *lineReader) compact() {
	copy(l.buf, l.buf[l.lo:l.hi])
	l.base += int64(l.lo)
	l.hi -= l.lo
	l.lo = 0
}

func (l *lineReader) fill() bool {
	at := l.base + int64(l.hi)
	want := min(int64(len(l.buf)-l.hi), l.size-at)
	if want <= 0 || l.err != nil {
		return false
	}
	n, err := l.r.ReadAt(l.buf[l.hi:l.hi+int(want)], at)
	l.hi += n
	if int64(n) == want {
		return true
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	l.err = err
	l.size = at + int64(n)
	return n > 0
}
