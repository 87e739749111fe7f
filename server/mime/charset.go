package mime

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// charsetOf finds a charset by the name a message gives it. utf is true for UTF-8 and what mail calls ASCII; both nil and
// false mean the name is unknown.
func charsetOf(name string) (enc encoding.Encoding, utf bool) {
	name = strings.ToLower(strings.Trim(name, " \"'"))
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unicode-1-1-utf-8", "x-unknown", "unknown-8bit":
		return nil, true
	case "hz-gb-2312", "hz":
		return simplifiedchinese.HZGB2312, false
	}
	if len(name) > 64 {
		return nil, false
	}
	if found, err := htmlindex.Get(name); err == nil && found != encoding.Replacement {
		return found, false
	}
	if found, err := ianaindex.MIME.Encoding(name); err == nil && found != nil {
		return found, false
	}
	if short, ok := strings.CutPrefix(name, "cp"); ok {
		if found, err := htmlindex.Get("windows-" + short); err == nil {
			return found, false
		}
	}
	return nil, false
}

// decodeCharset turns bytes of a named charset into UTF-8 text. It never fails: an unknown charset, or bytes that are not of
// the charset named, are taken as UTF-8 or windows-1252.
func decodeCharset(name string, b []byte) string {
	enc, utf := charsetOf(name)
	if utf || enc == nil {
		return validUTF8(b)
	}
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil || !utf8.Valid(out) {
		return validUTF8(b)
	}
	return string(out)
}
