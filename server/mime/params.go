package mime

import (
	"slices"
	"strconv"
	"strings"
)

// parseParams reads "value; name=value; ..." of a cleaned Content-Type or Content-Disposition, tolerantly. value is in lower
// case. over says that parameters beyond MaxParams were left out.
func parseParams(s string) (value string, params []Param, over bool) {
	head, rest := cutField(s)
	value = strings.ToLower(firstWord(head))
	var pieces []piece
	for n := 0; rest != ""; n++ {
		if n >= MaxParams {
			over = true
			break
		}
		var item string
		item, rest = cutField(rest)
		name, raw, ok := strings.Cut(item, "=")
		name = strings.ToLower(strings.TrimSpace(dropComments(name)))
		if !ok {
			continue
		}
		if strings.Contains(name, "*") {
			if p, ok := newPiece(name, paramValue(name, raw)); ok {
				pieces = append(pieces, p)
			}
			continue
		}
		if isToken(name) && !hasParam(params, name) {
			params = append(params, Param{name, paramValue(name, raw)})
		}
	}
	return value, mergePieces(params, pieces), over
}

func hasParam(list []Param, name string) bool {
	return slices.ContainsFunc(list, func(p Param) bool { return p.Name == name })
}

// cutField splits s at the first semicolon outside quotes and comments.
func cutField(s string) (head, rest string) {
	quoted, depth := false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && (quoted || depth > 0):
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(' && (depth > 0 || i == 0 || s[i-1] == ' '):
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ';' && depth == 0:
			return s[:i], s[i+1:]
		}
	}
	if quoted || depth > 0 { // never closed: take the marks as plain characters
		head, rest, _ = strings.Cut(s, ";")
		return head, rest
	}
	return s, ""
}

// firstWord is the text before white space or a comment.
func firstWord(s string) string {
	s = strings.TrimLeft(dropComments(s), " ")
	if i := strings.IndexAny(s, " ("); i >= 0 {
		return s[:i]
	}
	return s
}

// dropComments removes a leading comment, the only place where comments in front of a name or value are seen.
func dropComments(s string) string {
	t := strings.TrimLeft(s, " ")
	if !strings.HasPrefix(t, "(") {
		return s
	}
	if n := commentEnd(t); n > 0 {
		return t[n:]
	}
	return s
}

// commentEnd gives the length of the comment s begins with (RFC 5322 §3.2.2), 0 if it is never closed.
func commentEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// paramValue gives the value of raw: a quoted string, or text up to white space. File names are often sent with spaces and
// without quotes, so they go on to the end.
func paramValue(name, raw string) string {
	raw = strings.Trim(dropComments(raw), " ")
	switch {
	case strings.HasPrefix(raw, `"`):
		end := quotedEnd(raw)
		if end == 0 {
			return unquote(raw + `"`)
		}
		return unquote(raw[:end])
	case name == "name" || name == "filename":
		return raw
	}
	value, _, _ := strings.Cut(raw, " ")
	return value
}

// quotedEnd gives the length of the quoted string s begins with, 0 if it is never closed.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// unquote gives the content of a quoted string. A backslash that is not before a quote or backslash stays, because senders
// write unescaped Windows paths.
func unquote(s string) string {
	s = s[1:max(1, len(s)-1)]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// piece is one parameter in the form of RFC 2231: name*, name*0, name*0*.
type piece struct {
	name    string
	index   int
	encoded bool
	value   string
}

func newPiece(name, value string) (piece, bool) {
	base, encoded := strings.CutSuffix(name, "*")
	p := piece{name: base, encoded: encoded, value: value}
	if head, digits, ok := strings.Cut(base, "*"); ok {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 0 || n > 9999 {
			return piece{}, false
		}
		p.name, p.index = head, n
	}
	return p, isToken(p.name)
}

// mergePieces joins RFC 2231 pieces by their numbers and adds the results; they win over a plain parameter of the same name,
// which is the fallback for old readers.
func mergePieces(params []Param, pieces []piece) []Param {
	for len(pieces) > 0 {
		name := pieces[0].name
		var same, others []piece
		for _, p := range pieces {
			if p.name == name {
				same = append(same, p)
			} else {
				others = append(others, p)
			}
		}
		pieces = others
		slices.SortStableFunc(same, func(a, b piece) int { return a.index - b.index })
		value := joinPieces(same)
		if i := slices.IndexFunc(params, func(p Param) bool { return p.Name == name }); i >= 0 {
			params[i].Value = value
		} else {
			params = append(params, Param{name, value})
		}
	}
	return params
}

func joinPieces(list []piece) string {
	charset := ""
	var raw []byte
	for i, p := range list {
		value := p.value
		if i > 0 && p.index == list[i-1].index {
			continue
		}
		if !p.encoded {
			raw = append(raw, value...)
			continue
		}
		if i == 0 { // charset'language'text
			if marks := strings.SplitN(value, "'", 3); len(marks) == 3 {
				charset, value = marks[0], marks[2]
			}
		}
		raw = unpercent(raw, value)
	}
	return cleanText(decodeCharset(charset, raw))
}

func unpercent(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			dst = append(dst, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		dst = append(dst, s[i])
	}
	return dst
}
