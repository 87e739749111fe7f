package mime

import (
	"strconv"
	"strings"
)

// AppendBodyStructure renders p as the value of BODYSTRUCTURE, or of BODY when extended is false (RFC 3501 §7.4.2, RFC 9051
// §7.5.2). A multipart always has at least one child, so what is written is always well formed.
func AppendBodyStructure(dst []byte, p *Part, extended bool) []byte {
	dst = append(dst, '(')
	if p.IsMultipart() && len(p.Children) > 0 {
		for _, child := range p.Children {
			dst = AppendBodyStructure(dst, child, extended)
		}
		dst = appendString(append(dst, ' '), p.Subtype)
		if extended {
			dst = appendParams(append(dst, ' '), p.Params)
			dst = appendDisposition(append(dst, ' '), p)
			dst = appendPlace(append(dst, ' '), p)
		}
		return append(dst, ')')
	}
	dst = appendLeaf(dst, p)
	switch {
	case p.IsMessage():
		dst = AppendEnvelope(append(dst, ' '), p.Envelope)
		dst = AppendBodyStructure(append(dst, ' '), p.Children[0], extended)
		dst = strconv.AppendInt(append(dst, ' '), p.Lines, 10)
	case p.Type == "text":
		dst = strconv.AppendInt(append(dst, ' '), p.Lines, 10)
	}
	if extended {
		dst = appendNString(append(dst, ' '), p.MD5)
		dst = appendDisposition(append(dst, ' '), p)
		dst = appendPlace(append(dst, ' '), p)
	}
	return append(dst, ')')
}

// appendLeaf renders the fields that every part has but a multipart: type, subtype, parameters, id, description, encoding, size.
func appendLeaf(dst []byte, p *Part) []byte {
	dst = appendString(dst, p.Type)
	dst = appendString(append(dst, ' '), p.Subtype)
	dst = appendParams(append(dst, ' '), p.Params)
	dst = appendNString(append(dst, ' '), p.ID)
	dst = appendNString(append(dst, ' '), p.Description)
	encoding := p.Encoding
	if encoding == "" {
		encoding = "7bit"
	}
	dst = appendString(append(dst, ' '), encoding)
	return strconv.AppendInt(append(dst, ' '), p.Size(), 10)
}

// appendParams renders a parameter list. A value that is not ASCII goes out in the form of RFC 2231 (name*), which clients know
// how to read and which keeps the line 7-bit.
func appendParams(dst []byte, params []Param) []byte {
	if len(params) == 0 {
		return append(dst, "NIL"...)
	}
	for i, p := range params {
		sep := byte(' ')
		if i == 0 {
			sep = '('
		}
		name, value := p.Name, p.Value
		if !isASCII(value) {
			name, value = name+"*", string(appendPercent([]byte("utf-8''"), value))
		}
		dst = appendString(append(dst, sep), name)
		dst = appendString(append(dst, ' '), value)
	}
	return append(dst, ')')
}

func appendDisposition(dst []byte, p *Part) []byte {
	if p.Disposition == "" {
		return append(dst, "NIL"...)
	}
	dst = appendString(append(dst, '('), p.Disposition)
	dst = appendParams(append(dst, ' '), p.DispParams)
	return append(dst, ')')
}

// appendPlace renders language and location.
func appendPlace(dst []byte, p *Part) []byte {
	switch len(p.Language) {
	case 0:
		dst = append(dst, "NIL"...)
	case 1:
		dst = appendString(dst, p.Language[0])
	default:
		for i, language := range p.Language {
			sep := byte(' ')
			if i == 0 {
				sep = '('
			}
			dst = appendString(append(dst, sep), language)
		}
		dst = append(dst, ')')
	}
	return appendNString(append(dst, ' '), p.Location)
}

// appendPercent writes s as an extended value of RFC 2231 §7: attribute characters as they are, others as %XX.
func appendPercent(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c > ' ' && c < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=*'%`, c) < 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
