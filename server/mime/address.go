package mime

import (
	"slices"
	"strings"
)

// EnvelopeAddress is one entry of an address list as ENVELOPE shows it (RFC 3501 §7.4.2): a mailbox, or the begin or end of a
// group. Name is raw: encoded words are not decoded, quotes are removed.
type EnvelopeAddress struct {
	Name    string       `json:"n,omitempty"`
	Route   string       `json:"a,omitempty"` // obsolete source route
	Mailbox string       `json:"m,omitempty"` // local part unquoted; the name of the group at its begin
	Host    string       `json:"h,omitempty"` // "" if the address has no @
	Kind    AddressGroup `json:"k,omitempty"`
}

// AddressGroup says what an EnvelopeAddress stands for.
type AddressGroup uint8

// The kinds of entries. The values are stored.
const (
	// NoGroup is an ordinary address.
	NoGroup AddressGroup = iota
	// GroupBegin opens a group named Mailbox.
	GroupBegin
	// GroupEnd closes it.
	GroupEnd
)

// Address is a mailbox for people: a decoded display name ("" if none) and an addr-spec.
type Address struct {
	Name  string
	Email string
}

// Email is the addr-spec, its local part quoted if it must be (RFC 5322 §3.4.1); without a host the bare local part.
func (a EnvelopeAddress) Email() string {
	local := quoteLocal(a.Mailbox)
	if a.Host == "" {
		return local
	}
	return local + "@" + a.Host
}

// Decoded gives the mailboxes of a list with decoded names; group marks are left out.
func Decoded(list []EnvelopeAddress) []Address {
	var out []Address
	for _, a := range list {
		if a.Kind == NoGroup {
			out = append(out, Address{Name: DecodeHeader(a.Name), Email: a.Email()})
		}
	}
	return out
}

// ParseAddressList reads the raw value of an address field, tolerantly: a broken entry does not harm its neighbours, an entry
// without @ is kept with an empty host. over says that entries beyond MaxAddresses were left out.
func ParseAddressList(value string) (list []EnvelopeAddress, over bool) {
	p := addressParser{s: cleanText(value)}
	p.run()
	return p.list, p.over
}

// addressParser walks an address list once. Marks that are never closed are ordinary characters; the no... fields remember
// that, so that the search for the closing mark is made once.
type addressParser struct {
	s    string
	i    int
	list []EnvelopeAddress
	over bool

	start   int    // where the current piece of element text begins
	text    []byte // element text before start, if a comment interrupted it
	angle   bool   // an angle address was seen: phrase is what stood before it, inner what is in it
	phrase  string
	inner   string
	comment string
	inGroup bool

	noQuote, noComment, noAngle, noLiteral bool
}

func (p *addressParser) run() {
	for p.i < len(p.s) && !p.over {
		switch p.s[p.i] {
		case '"':
			p.skip(p.find(&p.noQuote, quotedEnd))
		case '(':
			p.dropComment()
		case '<':
			p.openAngle()
		case '[':
			n := 0
			if p.i > 0 && p.s[p.i-1] == '@' {
				n = p.find(&p.noLiteral, literalEnd)
			}
			p.skip(n)
		case '=':
			w, _ := parseWord(p.s[p.i:])
			p.skip(w.size)
		case ',':
			p.element()
		case ';':
			p.element()
			p.closeGroup()
		case ':':
			p.openGroup()
		default:
			p.i++
		}
	}
	if !p.over {
		p.element()
	}
	p.closeGroup()
}

// skip passes n octets, at least one.
func (p *addressParser) skip(n int) { p.i += max(1, n) }

// find looks for the end of a marked piece at the current place; 0 if there is none, and then also from now on.
func (p *addressParser) find(never *bool, end func(string) int) int {
	if *never {
		return 0
	}
	n := end(p.s[p.i:])
	*never = n == 0
	return n
}

func literalEnd(s string) int { return strings.IndexByte(s, ']') + 1 }

func (p *addressParser) dropComment() {
	n := p.find(&p.noComment, commentEnd)
	if n == 0 {
		p.i++
		return
	}
	p.comment = strings.TrimSpace(p.s[p.i+1 : p.i+n-1])
	if !p.angle {
		p.text = append(append(p.text, p.s[p.start:p.i]...), ' ')
	}
	p.i += n
	p.start = p.i
}

// openAngle takes an angle address whole. One that is never closed ends at the next comma.
func (p *addressParser) openAngle() {
	if p.angle {
		p.i++
		return
	}
	p.phrase = p.elementText()
	p.angle = true
	rest := p.s[p.i:]
	n := p.find(&p.noAngle, angleEnd)
	if n > 0 {
		p.inner = rest[1 : n-1]
	} else {
		if n = strings.IndexAny(rest, ",;"); n < 0 {
			n = len(rest)
		}
		p.inner = strings.TrimRight(rest[1:n], "> ")
	}
	p.i += n
}

// angleEnd gives the length of the angle address s begins with, 0 if it is not closed before another one begins.
func angleEnd(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '>':
			return i + 1
		case c == '<':
			return 0
		}
	}
	return 0
}

// elementText is the text of the element so far, without comments.
func (p *addressParser) elementText() string {
	if len(p.text) > 0 {
		return strings.TrimSpace(string(append(p.text, p.s[p.start:p.i]...)))
	}
	return strings.TrimSpace(p.s[p.start:p.i])
}

// element ends an element at a comma, semicolon or the end.
func (p *addressParser) element() {
	var a EnvelopeAddress
	if p.angle {
		a = angleAddress(p.phrase, p.inner)
	} else {
		a = bareAddress(p.elementText())
	}
	if a.Name == "" {
		a.Name = p.comment // user@host (Full Name), the form of old programs
	}
	if a.Mailbox != "" || a.Host != "" {
		p.add(a)
	}
	p.reset()
}

// reset begins a new element after the current character.
func (p *addressParser) reset() {
	p.i++
	p.start = p.i
	p.text = p.text[:0]
	p.angle, p.phrase, p.inner, p.comment = false, "", "", ""
}

func (p *addressParser) add(a EnvelopeAddress) {
	if len(p.list) >= MaxAddresses {
		p.over = true
		return
	}
	p.list = append(p.list, a)
}

func (p *addressParser) openGroup() {
	if p.angle || p.inGroup {
		p.i++
		return
	}
	p.add(EnvelopeAddress{Kind: GroupBegin, Mailbox: phraseText(p.elementText())})
	p.inGroup = !p.over
	p.reset()
}

// closeGroup ends an open group; its mark is kept even when the list is full, because marks come in pairs.
func (p *addressParser) closeGroup() {
	if p.inGroup {
		p.list = append(p.list, EnvelopeAddress{Kind: GroupEnd})
		p.inGroup = false
	}
}

// angleAddress reads `phrase <inner>`.
func angleAddress(phrase, inner string) EnvelopeAddress {
	a := EnvelopeAddress{Name: phraseText(phrase)}
	inner = strings.TrimSpace(inner)
	if strings.HasPrefix(inner, "@") { // RFC 5322 §4.4: obsolete route
		if route, rest, ok := strings.Cut(inner, ":"); ok {
			a.Route, inner = route, strings.TrimSpace(rest)
		}
	}
	a.Mailbox, a.Host = splitSpec(inner)
	return a
}

// bareAddress reads an address without angle brackets. When there are several words, the last one with an @ is the address
// and the others are the name.
func bareAddress(text string) EnvelopeAddress {
	var a EnvelopeAddress
	if !strings.Contains(text, " ") || !strings.Contains(text, "@") {
		a.Mailbox, a.Host = splitSpec(text)
		return a
	}
	var name []string
	if end := leadingQuote(text); end > 0 {
		rest := strings.TrimSpace(text[end:])
		if rest == "" || rest[0] == '@' || rest[0] == '.' {
			a.Mailbox, a.Host = splitSpec(text)
			return a
		}
		name, text = append(name, text[:end]), rest
	}
	words := strings.Fields(closeGaps(text))
	for i, word := range slices.Backward(words) {
		if strings.Contains(word, "@") {
			a.Mailbox, a.Host = splitSpec(word)
			words = append(words[:i:i], words[i+1:]...)
			break
		}
	}
	a.Name = phraseText(strings.Join(append(name, words...), " "))
	return a
}

func leadingQuote(s string) int {
	if strings.HasPrefix(s, `"`) {
		return quotedEnd(s)
	}
	return 0
}

// closeGaps removes the white space that obsolete syntax allows around the @ and dots (RFC 5322 §4.4). White space after a dot
// in front of the @ stays if there is none before the dot: that is an initial in a name.
func closeGaps(s string) string {
	out := make([]byte, 0, len(s))
	at, glue := false, false
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '@' || c == '.':
			n := len(out)
			for len(out) > 0 && out[len(out)-1] == ' ' {
				out = out[:len(out)-1]
			}
			at = at || c == '@'
			glue = at || len(out) < n
		case c == ' ' && glue:
			continue
		default:
			glue = false
		}
		out = append(out, c)
	}
	return string(out)
}

// splitSpec splits an addr-spec at its last @ and unquotes the local part.
func splitSpec(spec string) (mailbox, host string) {
	at := strings.LastIndexByte(spec, '@')
	if strings.HasPrefix(spec, `"`) {
		if end := quotedEnd(spec); at < end {
			at = -1
		}
	}
	if at < 0 {
		return phraseText(spec), ""
	}
	return phraseText(strings.TrimSpace(spec[:at])), strings.TrimSpace(spec[at+1:])
}

// phraseText is a phrase (RFC 5322 §3.2.5) without quotes and with single spaces between its words.
func phraseText(s string) string {
	if !strings.ContainsAny(s, `"\`) && !strings.Contains(s, "  ") {
		return s
	}
	out := make([]byte, 0, len(s))
	closed := true // whether a closing quote may still come
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			n := 0
			if closed {
				n = quotedEnd(s[i:])
				closed = n > 0
			}
			if n > 0 {
				out = append(out, unquote(s[i:i+n])...)
				i += n - 1
			}
		case c == ' ' && (len(out) == 0 || out[len(out)-1] == ' '):
		default:
			out = append(out, c)
		}
	}
	return strings.TrimSpace(string(out))
}

// quoteLocal quotes a local part that is no dot-atom.
func quoteLocal(s string) string {
	if isDotAtom(s) || s == "" {
		return s
	}
	return quoted(s)
}

// quoted makes a quoted string.
func quoted(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '"'))
}

func isDotAtom(s string) bool {
	if strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if s[i] != '.' && !isAtext(s[i]) {
			return false
		}
	}
	return s != ""
}

// isAtext reports whether c may stand in an atom (RFC 5322 §3.2.3; RFC 6532 §3.2 for octets above 127).
func isAtext(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`()<>[]:;@\,."`, c) < 0
}
