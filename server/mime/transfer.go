package mime

import (
	"bytes"
	"io"
)

// transferDecoder undoes a transfer encoding piece by piece: decode appends to dst what src yields; flush what was held back.
type transferDecoder interface {
	decode(dst, src []byte) []byte
	flush(dst []byte) []byte
}

// base64Decoder is tolerant (RFC 2045 §6.8): it skips what is not of the alphabet, goes on after padding in the middle, and
// keeps what a truncated last group holds.
type base64Decoder struct {
	group  uint32
	digits int
}

func (d *base64Decoder) decode(dst, src []byte) []byte {
	for _, c := range src {
		v, ok := base64Value(c)
		if !ok {
			if c == '=' {
				dst = d.flush(dst)
			}
			continue
		}
		d.group = d.group<<6 | uint32(v)
		if d.digits++; d.digits == 4 {
			dst = append(dst, byte(d.group>>16), byte(d.group>>8), byte(d.group))
			d.group, d.digits = 0, 0
		}
	}
	return dst
}

func (d *base64Decoder) flush(dst []byte) []byte {
	switch d.digits {
	case 2:
		dst = append(dst, byte(d.group>>4))
	case 3:
		dst = append(dst, byte(d.group>>10), byte(d.group>>2))
	}
	d.group, d.digits = 0, 0
	return dst
}

func base64Value(c byte) (byte, bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A', true
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26, true
	case c >= '0' && c <= '9':
		return c - '0' + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, false
}

// maxHeld bounds the white space that quotedDecoder holds back to see whether a line ends after it.
const maxHeld = 1000

// quotedDecoder reads quoted-printable (RFC 2045 §6.7) tolerantly: an equals sign that begins nothing stands for itself, line
// ends may be LF only, hexadecimal digits may be lower case.
type quotedDecoder struct {
	held []byte
}

func (d *quotedDecoder) decode(dst, src []byte) []byte {
	if len(d.held) > 0 {
		src = append(d.held, src...)
		d.held = nil
	}
	return d.run(dst, src, false)
}

func (d *quotedDecoder) flush(dst []byte) []byte {
	src := d.held
	d.held = nil
	return d.run(dst, src, true)
}

func (d *quotedDecoder) run(dst, src []byte, final bool) []byte {
	for i := 0; i < len(src); {
		switch c := src[i]; c {
		case '=', ' ', '\t':
			var n int
			dst, n = special(dst, src[i:], final)
			if n == 0 {
				d.held = append([]byte(nil), src[i:]...)
				return dst
			}
			i += n
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// special handles an equals sign or white space at the start of s and gives the number of octets used; 0 asks for more input.
func special(dst, s []byte, final bool) ([]byte, int) {
	blank := 0
	if s[0] == '=' {
		blank = 1
	}
	end := blank
	for end < len(s) && (s[end] == ' ' || s[end] == '\t') {
		end++
	}
	more := !final && len(s) < maxHeld
	switch {
	case end == len(s) && more, end == len(s)-1 && s[end] == '\r' && more:
		return dst, 0
	case end == len(s) && final, end < len(s) && (s[end] == '\n' || s[end] == '\r'):
		// White space before a line end was added on the way; an equals sign also takes the line end with it.
		if s[0] != '=' {
			return dst, end
		}
		return dst, end + lineEnd(s[end:])
	case s[0] != '=':
		return append(dst, s[:end]...), end
	case len(s) < 3 && more:
		return dst, 0
	case len(s) >= 3 && isHex(s[1]) && isHex(s[2]):
		return append(dst, unhex(s[1])<<4|unhex(s[2])), 3
	}
	return append(dst, '='), 1
}

func lineEnd(s []byte) int {
	switch {
	case bytes.HasPrefix(s, []byte("\r\n")):
		return 2
	case len(s) > 0 && (s[0] == '\n' || s[0] == '\r'):
		return 1
	}
	return 0
}

// transferReader is the io.Reader of a transferDecoder.
type transferReader struct {
	src  io.Reader
	dec  transferDecoder
	in   [4096]byte
	out  []byte // decoded
	rest []byte // the part of out not yet read
	err  error
}

func (t *transferReader) Read(p []byte) (int, error) {
	for len(t.rest) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		var n int
		n, t.err = t.src.Read(t.in[:])
		t.out = t.dec.decode(t.out[:0], t.in[:n])
		if t.err != nil {
			t.out = t.dec.flush(t.out)
		}
		t.rest = t.out
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// DecodeTransfer reads the body of p with its Content-Transfer-Encoding undone and its charset untouched. An encoding that is
// not known is left as it is (Part.KnownEncoding tells). Errors are those of r.
func DecodeTransfer(r io.ReaderAt, m *Message, p *Part) io.Reader {
	body := io.NewSectionReader(r, m.Prefix+p.BodyStart, p.Size())
	if p.IsMultipart() || p.IsMessage() {
		return body // RFC 2045 §6.4: no encoding there
	}
	switch p.Encoding {
	case "base64":
		return &transferReader{src: body, dec: new(base64Decoder)}
	case "quoted-printable":
		return &transferReader{src: body, dec: new(quotedDecoder)}
	}
	return body
}

// KnownEncoding reports whether DecodeTransfer understands the Content-Transfer-Encoding of the part (RFC 3516 §4.3).
func (p *Part) KnownEncoding() bool {
	switch p.Encoding {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable":
		return true
	}
	return false
}
