package mime

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

// headerWriter collects header fields. Atoms are what must not be broken; lines are folded between them.
type headerWriter struct {
	b       strings.Builder
	tooLong string // the first field that went over a limit of our own scanner
}

// field writes a field of atoms with single spaces between them. An encoded word may go to a line of its own right after the
// colon, other first atoms stay behind it.
func (h *headerWriter) field(name string, atoms []string) {
	start := h.b.Len()
	h.b.WriteString(name)
	h.b.WriteByte(':')
	column := len(name) + 1
	for i, atom := range atoms {
		if column+1+len(atom) > softLine && (i > 0 || strings.HasPrefix(atom, "=?")) {
			h.b.WriteString("\r\n")
			column = 0
		}
		h.b.WriteByte(' ')
		h.b.WriteString(atom)
		column += 1 + len(atom)
	}
	h.b.WriteString("\r\n")
	if h.tooLong == "" && (h.b.Len()-start > MaxHeaderField || h.b.Len() > MaxHeaderBlock/2) {
		h.tooLong = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	}
}

func (h *headerWriter) addresses(list addressField) error {
	if len(list.addresses) > MaxAddresses {
		return &DraftError{list.field, fmt.Sprintf("more than %d addresses", MaxAddresses)}
	}
	var atoms []string
	for i, a := range list.addresses {
		email, reason := checkEmail(a.Email)
		if reason != "" {
			return &DraftError{fmt.Sprintf("%s[%d].email", list.field, i), reason}
		}
		if name := strings.TrimSpace(a.Name); name != "" {
			used := 0
			if i == 0 {
				used = len(list.name) + 1
			}
			atoms = append(atoms, phraseAtoms(name, used)...)
			email = "<" + email + ">"
		}
		if i < len(list.addresses)-1 {
			email += ","
		}
		atoms = append(atoms, email)
	}
	if len(atoms) > 0 {
		h.field(list.name, atoms)
	}
	return nil
}

// checkEmail gives the addr-spec to write, or why it cannot be written. Nothing is quoted here: text with a comma or a second @
// could be meant as two addresses.
func checkEmail(s string) (email, reason string) {
	at := strings.LastIndexByte(s, '@')
	switch {
	case at <= 0 || at == len(s)-1:
		return "", "no address of the form local@domain"
	case len(s) > 320:
		return "", "longer than 320 octets"
	case !isASCII(s):
		return "", "not ASCII"
	}
	local, domain := s[:at], s[at+1:]
	if !isDotAtom(domain) && !isLiteral(domain) {
		return "", "not a domain after the @"
	}
	if !isDotAtom(local) && (local[0] != '"' || quotedEnd(local) != len(local)) {
		return "", "not a local part before the @; odd ones must be quoted"
	}
	return s, ""
}

func isLiteral(s string) bool {
	return len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' && !strings.ContainsAny(s[1:len(s)-1], `[]\ `)
}

// phraseAtoms writes a display name: atoms, a quoted string, or encoded words (RFC 2047 §5 (3)). used is as in encodedWords.
func phraseAtoms(name string, used int) []string {
	const longest = 60
	if !isASCII(name) || strings.Contains(name, "=?") || len(name) > longest {
		return encodedWords(name, used)
	}
	for part := range strings.SplitSeq(name, " ") {
		if part == "" || strings.Contains(part, ".") || !isDotAtom(part) {
			return []string{quoted(name)}
		}
	}
	return strings.Split(name, " ")
}

// textAtoms writes unstructured text: as it is, or as encoded words when it is not ASCII or when encode says so. used is as in
// encodedWords.
func textAtoms(text string, encode bool, used int) []string {
	if encode || !isASCII(text) {
		return encodedWords(text, used)
	}
	var atoms []string
	start := 0
	for i := 1; i <= len(text); i++ {
		// An atom is a word with all but one of the spaces in front of it, so that no line consists of spaces only.
		if i < len(text) && (text[i] != ' ' || text[i-1] == ' ') {
			continue
		}
		if i-start > maxAtom {
			return encodedWords(text, used)
		}
		atoms = append(atoms, text[start:i])
		start = i + 1
	}
	return atoms
}

// encodedWords writes text as encoded words of at most 75 octets in UTF-8, cut between characters. It takes the shorter of the
// two encodings. The first word is made to fit on a line with used octets on it, unless that leaves too little.
func encodedWords(text string, used int) []string {
	const overhead = len("=?utf-8?q?") + len("?=")
	const least = 24
	room := softLine - 1 - overhead - used
	if room < least {
		room = softLine - 1 - overhead
	}
	plain := 0
	for i := range len(text) {
		if isPlainQ(text[i]) {
			plain++
		}
	}
	useQ := plain+3*(len(text)-plain) <= (len(text)+2)/3*4
	var words []string
	for text != "" {
		n, size := 0, 0
		for n < len(text) {
			_, width := utf8.DecodeRuneInString(text[n:])
			grown := base64.StdEncoding.EncodedLen(n + width)
			if useQ {
				grown = size + widthQ(text[n:n+width])
			}
			if grown > room {
				break
			}
			n, size = n+width, grown
		}
		if useQ {
			words = append(words, "=?utf-8?q?"+encodeQ(text[:n])+"?=")
		} else {
			words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		}
		text, room = text[n:], softLine-1-overhead
	}
	return words
}

// isPlainQ reports whether c stands for itself in a Q word also inside a phrase (RFC 2047 §5 (3)); a space becomes one octet too.
func isPlainQ(c byte) bool {
	return c == ' ' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("!*+-/", c) >= 0
}

func widthQ(s string) int {
	n := 0
	for i := range len(s) {
		if n++; !isPlainQ(s[i]) {
			n += 2
		}
	}
	return n
}

func encodeQ(s string) string {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, 3*len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			out = append(out, '_')
		case isPlainQ(c):
			out = append(out, c)
		default:
			out = append(out, '=', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}

func (h *headerWriter) ids(name, field string, list ...string) error {
	atoms := make([]string, 0, len(list))
	for i, id := range list {
		bare, reason := checkID(id)
		if reason != "" {
			if len(list) > 1 || name == "References" {
				field = fmt.Sprintf("%s[%d]", field, i)
			}
			return &DraftError{field, reason}
		}
		atoms = append(atoms, "<"+bare+">")
	}
	h.field(name, atoms)
	return nil
}

// checkID gives a message id or Content-ID without angle brackets, or why it cannot be written.
func checkID(id string) (bare, reason string) {
	bare = strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
	switch {
	case bare == "":
		return "", "empty id"
	case len(bare) > maxAtom:
		return "", "longer than an id may be"
	case !isASCII(bare) || strings.ContainsAny(bare, " <>(),;\\\""):
		return "", "not an id of printable ASCII"
	}
	return bare, ""
}

// extra writes a field of the caller's own.
func (h *headerWriter) extra(field string, f HeaderField) error {
	lower := strings.ToLower(f.Name)
	switch {
	case !isFieldName(f.Name):
		return &DraftError{field + ".name", "not a header field name"}
	case isReserved(lower):
		return &DraftError{field + ".name", "written by the server or not allowed"}
	}
	value := strings.TrimSpace(f.Value)
	if value == "" {
		h.field(f.Name, nil)
		return nil
	}
	structured := strings.HasPrefix(lower, "list-")
	if structured && !isASCII(value) {
		return &DraftError{field + ".value", "not ASCII"}
	}
	atoms := textAtoms(value, !structured && hasWord(value), len(f.Name)+1)
	if structured && strings.HasPrefix(atoms[0], "=?") {
		return &DraftError{field + ".value", "a piece without spaces is longer than a line may be"}
	}
	h.field(f.Name, atoms)
	return nil
}

// hasWord reports whether a reader would see an encoded word in ASCII text.
func hasWord(s string) bool {
	for i := strings.Index(s, "=?"); i >= 0; {
		if _, ok := parseWord(s[i:]); ok {
			return true
		}
		next := strings.Index(s[i+2:], "=?")
		if next < 0 {
			return false
		}
		i += 2 + next
	}
	return false
}

// isFieldName reports whether s is a field name (RFC 5322 §3.6.8) of at most 64 octets.
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// isReserved reports whether a field, in lower case, is not for callers: it has its own place in Draft, describes the body, or
// is a trace or verdict that only servers write.
func isReserved(lower string) bool {
	switch lower {
	case "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "in-reply-to", "references",
		"mime-version", "return-path", "received", "delivered-to", "received-spf", "authentication-results", "dkim-signature",
		"domainkey-signature", "apparently-to", "envelope-to":
		return true
	}
	for _, prefix := range [...]string{"content-", "arc-", "resent-"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return false
}
