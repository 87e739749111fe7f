package mail

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Size limits of an address, in octets (RFC 5321 §4.5.3.1.1-3).
const (
	MaxLocal  = 64
	MaxDomain = 255
	MaxPath   = 254 // 256 with the angle brackets
)

// Address is a mailbox address, split at its last "@". Local is unquoted and keeps its case; Domain is lower case, without
// a trailing dot. The zero Address is the null sender of a bounce (RFC 5321 §4.5.5).
type Address struct {
	Local  string
	Domain string
}

// ErrAddress is wrapped by every refusal of ParseAddress.
var ErrAddress = errors.New("not a valid address")

// IsNull reports whether the address is the null sender "<>".
func (a Address) IsNull() bool { return a.Local == "" && a.Domain == "" }

// String gives the addr-spec form; the local part is quoted when it must be (RFC 5321 §4.1.2). The null sender is "".
func (a Address) String() string {
	if a.IsNull() {
		return ""
	}
	return quoteLocal(a.Local) + "@" + a.Domain
}

// Key gives the form under which our own users are compared: lower case throughout (mail-rules S-47).
func (a Address) Key() string { return strings.ToLower(a.Local) + "@" + a.Domain }

// IsASCII reports whether the address needs no SMTPUTF8 (RFC 6531).
func (a Address) IsASCII() bool { return isASCII(a.Local) && isASCII(a.Domain) }

// MarshalText implements encoding.TextMarshaler with the addr-spec form.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseAddress; empty text is the null sender.
func (a *Address) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*a = Address{}
		return nil
	}
	parsed, err := ParseAddress(string(b))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// ParseAddress reads an addr-spec: dot-atom or quoted local part, "@", domain name. It refuses what could be read in two
// ways: control characters, source routes, address literals, names without a letter or digit, over-long parts. Non-ASCII
// is accepted in both parts; the caller decides whether SMTPUTF8 allows it and turns the domain into A-labels.
func ParseAddress(s string) (Address, error) {
	if !utf8.ValidString(s) {
		return Address{}, fmt.Errorf("%w: not UTF-8", ErrAddress)
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return Address{}, fmt.Errorf("%w: no @ in it", ErrAddress)
	}
	local, err := parseLocal(s[:at])
	if err != nil {
		return Address{}, err
	}
	domain, err := ParseDomain(s[at+1:])
	if err != nil {
		return Address{}, err
	}
	a := Address{Local: local, Domain: domain}
	if len(a.String()) > MaxPath {
		return Address{}, fmt.Errorf("%w: longer than %d octets", ErrAddress, MaxPath)
	}
	return a, nil
}

// SplitAddress makes an Address of an already unquoted path such as go-smtp hands over ("a b@d.test" for `"a b"@d.test`):
// the local part is everything before the last "@" (protocol trap X-5).
func SplitAddress(path string) (Address, error) {
	at := strings.LastIndexByte(path, '@')
	if at <= 0 {
		return Address{}, fmt.Errorf("%w: no local part or no @", ErrAddress)
	}
	return ParseAddress(quoteLocal(path[:at]) + path[at:])
}

func parseLocal(s string) (string, error) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return parseQuoted(s[1 : len(s)-1])
	}
	switch {
	case s == "":
		return "", fmt.Errorf("%w: nothing before the @", ErrAddress)
	case len(s) > MaxLocal:
		return "", fmt.Errorf("%w: more than %d octets before the @", ErrAddress, MaxLocal)
	case s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, ".."):
		return "", fmt.Errorf("%w: a dot at the wrong place", ErrAddress)
	}
	for _, r := range s {
		if !isAtext(r) && r != '.' {
			return "", fmt.Errorf("%w: character %q before the @", ErrAddress, r)
		}
	}
	return s, nil
}

func parseQuoted(s string) (string, error) {
	var b strings.Builder
	escaped := false
	for _, r := range s {
		switch {
		case unicode.IsControl(r):
			return "", fmt.Errorf("%w: a control character before the @", ErrAddress)
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
			continue
		case r == '"':
			return "", fmt.Errorf("%w: a bare quote before the @", ErrAddress)
		}
		b.WriteRune(r)
	}
	if escaped || b.Len() == 0 || b.Len() > MaxLocal {
		return "", fmt.Errorf("%w: bad quoted part before the @", ErrAddress)
	}
	return b.String(), nil
}

// ParseDomain checks a domain name and gives it in lower case without a trailing dot. A name of one label is accepted
// (localhost, intranets); an address literal is not.
func ParseDomain(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" || len(name) > MaxDomain {
		return "", fmt.Errorf("%w: domain of %d octets", ErrAddress, len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return "", err
		}
	}
	return name, nil
}

func checkLabel(label string) error {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return fmt.Errorf("%w: bad label %q in the domain", ErrAddress, clip(label))
	}
	for _, r := range label {
		ok := r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
		if !ok {
			return fmt.Errorf("%w: character %q in the domain", ErrAddress, r)
		}
	}
	return nil
}

func quoteLocal(s string) string {
	plain := s != "" && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
	for _, r := range s {
		plain = plain && (isAtext(r) || r == '.')
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

// isAtext is RFC 5322 §3.2.3 with the non-ASCII of RFC 6532 §3.2.
func isAtext(r rune) bool {
	if r >= utf8.RuneSelf {
		return !unicode.IsControl(r) && !unicode.IsSpace(r)
	}
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
