package imapwire

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
)

//nolint:gochecknoglobals // immutable table: base64 with "," for "/" and without padding (RFC 3501 §5.1.3)
var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding)

// EncodeUTF7 writes valid UTF-8 as modified UTF-7 (RFC 3501 §5.1.3). Bytes that are not UTF-8 become U+FFFD.
func EncodeUTF7(s string) string {
	if plainUTF7(s) {
		return s
	}
	return string(appendUTF7(nil, s))
}

// plainUTF7 says that s is the same in modified UTF-7.
func plainUTF7(s string) bool {
	for i := range len(s) {
		if !isPrintable(s[i]) || s[i] == '&' {
			return false
		}
	}
	return true
}

func appendUTF7(out []byte, s string) []byte {
	for len(s) > 0 {
		switch c := s[0]; {
		case c == '&':
			out = append(out, "&-"...)
			s = s[1:]
		case isPrintable(c):
			out = append(out, c)
			s = s[1:]
		default:
			n := 0
			for n < len(s) && !isPrintable(s[n]) {
				n++
			}
			out = append(out, '&')
			out = utf7Base64.AppendEncode(out, utf16Bytes(s[:n]))
			out = append(out, '-')
			s = s[n:]
		}
	}
	return out
}

func utf16Bytes(s string) []byte {
	out := make([]byte, 0, 2*len(s))
	for _, unit := range utf16.Encode([]rune(s)) {
		out = append(out, byte(unit>>8), byte(unit))
	}
	return out
}

// DecodeUTF7 reads modified UTF-7. Only the one right spelling of a name is taken: one that hides ASCII in base64, leaves bits
// over or has half a surrogate pair is refused, so that two spellings never mean one mailbox (S-34).
func DecodeUTF7(s string) (string, bool) {
	if plainUTF7(s) {
		return s, true
	}
	var out strings.Builder
	for rest := s; rest != ""; {
		text, coded, found := strings.Cut(rest, "&")
		out.WriteString(text)
		if !found {
			break
		}
		run, after, ended := strings.Cut(coded, "-")
		if !ended {
			return "", false
		}
		if !decodeRun(&out, run) {
			return "", false
		}
		rest = after
	}
	if name := out.String(); EncodeUTF7(name) == s {
		return name, true
	}
	return "", false
}

// decodeRun decodes what stood between "&" and "-".
func decodeRun(out *strings.Builder, run string) bool {
	if run == "" {
		out.WriteByte('&')
		return true
	}
	raw, err := utf7Base64.DecodeString(run)
	if err != nil || len(raw)%2 != 0 {
		return false
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	for _, r := range utf16.Decode(units) {
		out.WriteRune(r)
	}
	return true
}

func isPrintable(c byte) bool { return c >= ' ' && c < 0x7f }
