package imapd

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/mailserver-dev/mailserver/server/mime"
)

// The places of the fields in ENVELOPE (RFC 9051 §7.5.2).
const (
	placeDate = iota
	placeSubject
	placeFrom
	placeSender
	placeReplyTo
	placeTo
	placeCc
	placeBcc
	placeInReplyTo
	placeMessageID
	places
)

// envelopePlace is where ENVELOPE shows a header field as it is, -1 if it does not. Sender and Reply-To are not among them: there
// ENVELOPE may show From.
func envelopePlace(name string) int {
	switch strings.ToLower(name) {
	case "subject":
		return placeSubject
	case "from":
		return placeFrom
	case "to":
		return placeTo
	case "cc":
		return placeCc
	case "bcc":
		return placeBcc
	case "in-reply-to":
		return placeInReplyTo
	case "message-id":
		return placeMessageID
	}
	return -1
}

// envelopeText holds the values of a rendered ENVELOPE, still in the form of the wire.
type envelopeText [places][]byte

// splitEnvelope takes a rendered ENVELOPE apart. What is damaged is empty.
func splitEnvelope(b []byte) *envelopeText {
	var e envelopeText
	if len(b) < 2 || b[0] != '(' {
		return &e
	}
	b = b[1:]
	for i := range e {
		n := valueLen(b)
		if n == 0 {
			break
		}
		e[i], b = b[:n], bytes.TrimPrefix(b[n:], []byte(" "))
	}
	return &e
}

// text gives a field for people: words decoded, addresses as "name <local@domain>".
func (e *envelopeText) text(place int) string {
	v := e[place]
	if len(v) > 0 && v[0] == '(' {
		return addressText(v)
	}
	return mime.DecodeHeader(stringValue(v))
}

func addressText(list []byte) string {
	var out strings.Builder
	for rest := list[1:]; ; {
		n := valueLen(rest)
		if n == 0 || rest[0] != '(' {
			return out.String()
		}
		var parts [4]string
		inner := rest[1 : n-1]
		for i := range parts {
			m := valueLen(inner)
			if m == 0 {
				break
			}
			parts[i] = stringValue(inner[:m])
			inner = bytes.TrimPrefix(inner[m:], []byte(" "))
		}
		if out.Len() > 0 {
			out.WriteString(", ")
		}
		writeAddress(&out, mime.DecodeHeader(parts[0]), parts[2], parts[3])
		rest = rest[n:]
	}
}

func writeAddress(out *strings.Builder, name, local, domain string) {
	if name != "" {
		out.WriteString(name)
		out.WriteByte(' ')
	}
	if domain == "" {
		out.WriteString(mime.DecodeHeader(local)) // the name of a group
		return
	}
	out.WriteString("<" + local + "@" + domain + ">")
}

// valueLen is the length of the value at the start of b: NIL, a string, or a list. 0 if there is none.
func valueLen(b []byte) int {
	depth := 0
	for i := 0; i < len(b); {
		n := 1
		switch b[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '"', '{':
			n = stringLen(b[i:])
		case 'N':
			n = len("NIL")
		case ' ':
			if depth == 0 {
				return 0
			}
		default:
			return 0
		}
		if i += n; n == 0 || depth < 0 || i > len(b) {
			return 0
		}
		if depth == 0 {
			return i
		}
	}
	return 0
}

// stringLen is the length of the string at the start of b, 0 if it is not whole.
func stringLen(b []byte) int {
	if b[0] == '{' {
		start, size := literal(b)
		return start + size
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return 0
}

// literal gives where the octets of the literal at the start of b begin and how many there are, 0 and 0 if it is not whole.
func literal(b []byte) (start, size int) {
	end := bytes.Index(b, []byte("}\r\n"))
	if end < 0 {
		return 0, 0
	}
	size, err := strconv.Atoi(string(b[1:end]))
	start = end + len("}\r\n")
	if err != nil || size < 0 || size > len(b)-start {
		return 0, 0
	}
	return start, size
}

// stringValue reads a string; NIL is empty.
func stringValue(b []byte) string {
	switch {
	case len(b) == 0 || b[0] != '"' && b[0] != '{':
		return ""
	case b[0] == '{':
		start, size := literal(b)
		return string(b[start : start+size])
	}
	text := b[1:max(1, stringLen(b)-1)]
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text)
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		out = append(out, text[i])
	}
	return string(out)
}
