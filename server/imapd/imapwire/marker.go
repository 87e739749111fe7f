package imapwire

import "math"

// markerKind says what the end of a line announces.
type markerKind int

const (
	markerNone    markerKind = iota
	markerSync               // {n}: the client waits for a continuation
	markerNonSync            // {n+}: the bytes follow at once (RFC 7888 §4)
	markerUnsure             // bytes may or may not follow: the line is broken in front of {n+}
)

// marker is the announcement of a literal at the end of a line.
type marker struct {
	kind markerKind
	size int64 // math.MaxInt64 if the number is larger
	len  int   // bytes of the marker itself, braces included
}

// markerTail is how much of a line's end is looked at: {9223372036854775807+} and a line end fit.
const markerTail = 32

// lineScan follows a line in pieces and knows at its end whether a literal follows. A `{n}` inside a quoted string is text.
type lineScan struct {
	quoted  bool
	escaped bool
	tail    [markerTail]byte
	n       int
}

func (s *lineScan) feed(chunk []byte) {
	for _, c := range chunk {
		switch {
		case s.escaped:
			s.escaped = false
		case c == '"':
			s.quoted = !s.quoted
		case c == '\\' && s.quoted:
			s.escaped = true
		}
	}
	if len(chunk) >= markerTail {
		s.n = copy(s.tail[:], chunk[len(chunk)-markerTail:])
		return
	}
	keep := min(s.n, markerTail-len(chunk))
	copy(s.tail[:], s.tail[s.n-keep:s.n])
	s.n = keep + copy(s.tail[keep:], chunk)
}

// end reads the marker off the tail of a whole line, line end included.
func (s *lineScan) end() marker {
	tail := trimEOL(s.tail[:s.n])
	body, ok := cutLast(tail, '}')
	if !ok {
		return marker{}
	}
	kind := markerSync
	if rest, plus := cutLast(body, '+'); plus {
		kind, body = markerNonSync, rest
	}
	digits := len(body)
	for digits > 0 && isDigit(body[digits-1]) {
		digits--
	}
	number := body[digits:]
	truncated := digits == 0 && s.n == markerTail
	found := len(number) > 0 && digits > 0 && body[digits-1] == '{'
	if !found && !(truncated && kind == markerNonSync) {
		return marker{}
	}
	if s.quoted || truncated {
		return unsure(kind)
	}
	return marker{kind: kind, size: saturate(number), len: len(tail) - digits + 1}
}

// unsure is what a marker in a broken line means. A synchronising client sends nothing before it is asked to.
func unsure(kind markerKind) marker {
	if kind == markerSync {
		return marker{}
	}
	return marker{kind: markerUnsure}
}

func cutLast(b []byte, c byte) ([]byte, bool) {
	if len(b) == 0 || b[len(b)-1] != c {
		return b, false
	}
	return b[:len(b)-1], true
}

// trimEOL cuts LF or CRLF. A bare LF ends a line too: it cannot be anything else, and people type commands by hand.
func trimEOL(b []byte) []byte {
	b, ok := cutLast(b, '\n')
	if !ok {
		return b
	}
	b, _ = cutLast(b, '\r')
	return b
}

func saturate(digits []byte) int64 {
	var n int64
	for _, c := range digits {
		d := int64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			return math.MaxInt64
		}
		n = n*10 + d
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
