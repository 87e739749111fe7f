package mime

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// clean makes a header value of raw bytes: unfolded (RFC 5322 §2.2.3), tabs as spaces, other control characters removed,
// outer white space trimmed, and valid UTF-8 (what is not is read as windows-1252).
func clean(raw []byte) string {
	raw = bytes.TrimRight(raw, "\r\n") // so that a field of one line is plain
	plain := true
	for _, c := range raw {
		if c < ' ' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return strings.Trim(string(raw), " ")
	}
	out := make([]byte, 0, len(raw))
	for _, c := range raw {
		switch {
		case c == '\t':
			out = append(out, ' ')
		case c >= ' ' && c != 0x7f:
			out = append(out, c)
		}
	}
	return strings.Trim(validUTF8(out), " ")
}

// cleanText does for decoded text what clean does for raw bytes.
func cleanText(s string) string {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return clean([]byte(s))
		}
	}
	return strings.Trim(s, " ")
}

// validUTF8 gives b as it is if it is valid UTF-8, else read as windows-1252, the usual unlabelled charset.
func validUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(out)
}

// truncate cuts s to at most n octets, at a rune border.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// isToken reports whether s is a token of RFC 2045 §5.1 and not empty.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
