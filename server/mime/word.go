package mime

import (
	"strings"
)

// maxWord is the longest encoded word that is recognised. RFC 2047 §2 allows 75; many senders do not fold at all.
const maxWord = 4096

// word is one encoded word of RFC 2047.
type word struct {
	charset string
	base64  bool
	text    string
	size    int // octets of the whole word
}

// parseWord reads the encoded word at the beginning of s.
func parseWord(s string) (word, bool) {
	if !strings.HasPrefix(s, "=?") {
		return word{}, false
	}
	s = s[2:min(len(s), maxWord)]
	charset, rest, ok := strings.Cut(s[:min(len(s), 48)], "?")
	if !ok || charset == "" || strings.ContainsAny(charset, " \"<>,") || len(rest) < 2 || rest[1] != '?' {
		return word{}, false
	}
	w := word{base64: rest[0]|0x20 == 'b'}
	if !w.base64 && rest[0]|0x20 != 'q' {
		return word{}, false
	}
	w.charset, _, _ = strings.Cut(charset, "*") // RFC 2231 §5: language
	start := len(charset) + 3
	end := strings.Index(s[start:], "?=")
	if end < 0 {
		return word{}, false
	}
	w.text = s[start : start+end]
	w.size = 2 + start + end + 2
	return w, true
}

// bytes undoes the transfer encoding of the word. What is not valid is taken literally or left out.
func (w word) bytes(dst []byte) []byte {
	if w.base64 {
		var d base64Decoder
		return d.flush(d.decode(dst, []byte(w.text)))
	}
	for i := 0; i < len(w.text); i++ {
		c := w.text[i]
		switch {
		case c == '_':
			dst = append(dst, ' ')
		case c == '=' && i+2 < len(w.text) && isHex(w.text[i+1]) && isHex(w.text[i+2]):
			dst = append(dst, unhex(w.text[i+1])<<4|unhex(w.text[i+2]))
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// DecodeHeader decodes the encoded words of a header value (RFC 2047), tolerantly: words inside other text, unfolded long
// ones and characters split between two words are understood, an unknown charset is guessed. The result is one line of valid
// UTF-8 without control characters.
func DecodeHeader(raw string) string {
	if !strings.Contains(raw, "=?") {
		return cleanText(raw)
	}
	var out strings.Builder
	var pending []byte
	charset, plain := "", 0 // plain is where the text that is not yet written begins
	flush := func() {
		out.WriteString(decodeCharset(charset, pending))
		pending = pending[:0]
	}
	inWord := false // a word ended at plain
	for i := 0; i < len(raw); {
		step := strings.Index(raw[i:], "=?")
		if step < 0 {
			break
		}
		i += step
		w, ok := parseWord(raw[i:])
		if !ok {
			i += 2
			continue
		}
		between := raw[plain:i]
		if inWord && strings.Trim(between, " \t\r\n") == "" {
			between = "" // RFC 2047 §6.2: white space between two words is not shown
		}
		if between != "" || !strings.EqualFold(charset, w.charset) {
			flush()
			out.WriteString(between)
		}
		charset, pending = w.charset, w.bytes(pending)
		i += w.size
		plain, inWord = i, true
	}
	flush()
	out.WriteString(raw[plain:])
	return cleanText(out.String())
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
