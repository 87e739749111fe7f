package dns

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of names (RFC 1035 §2.3.4), without the last dot.
const (
	maxNameLen  = 253
	maxLabelLen = 63
)

// profile is the lookup profile of RFC 5891 §5 with the mapping of UTS #46,
// nontransitional, and the lengths of DNS checked.
//
//nolint:gochecknoglobals // immutable
var profile = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.CheckHyphens(true),
	idna.CheckJoiners(true),
	idna.StrictDomainName(true),
	idna.ValidateLabels(true),
	idna.VerifyDNSLength(true),
	idna.Transitional(false),
)

// ToASCII returns a domain in the form that is stored and compared: lower case
// A-labels without the last dot. It fails with ErrInvalidName for what is no
// domain of host names: empty labels, other characters than letters, digits
// and inner hyphens, too long parts, broken punycode, mixed directions.
func ToASCII(domain string) (string, error) {
	domain = strings.TrimSuffix(domain, ".")
	if len(domain) > 4*maxNameLen {
		return "", invalid(domain[:maxNameLen], nil)
	}
	if !utf8.ValidString(domain) {
		return "", invalid(domain, errors.New("not UTF-8"))
	}
	if plainASCII(domain) {
		domain = strings.ToLower(domain)
		if !hostSyntax(domain) {
			return "", invalid(domain, nil)
		}
		return domain, nil
	}
	ascii, err := profile.ToASCII(domain)
	if err != nil || !hostSyntax(ascii) {
		return "", invalid(domain, err)
	}
	return ascii, nil
}

// ToUnicode returns a domain in the form that people read. What cannot be
// shown safely stays in A-labels.
func ToUnicode(domain string) string {
	ascii, err := ToASCII(domain)
	if err != nil {
		return domain
	}
	text, err := profile.ToUnicode(ascii)
	if err != nil {
		return ascii
	}
	return text
}

func invalid(domain string, cause error) error {
	return &Error{Type: "name", Name: domain, Outcome: ErrInvalidName, Cause: cause}
}

// plainASCII reports whether a name has neither U-labels nor A-labels. Such a
// name needs no mapping, and rules for those must not apply to it: "r3---x" is
// in use.
func plainASCII(domain string) bool {
	for i := range len(domain) {
		if domain[i] >= 0x80 {
			return false
		}
	}
	return !strings.Contains(strings.ToLower(domain), "xn--")
}

// hostSyntax checks letters, digits, inner hyphens and lengths (RFC 1123 §2.1).
func hostSyntax(domain string) bool {
	if len(domain) > maxNameLen {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > maxLabelLen || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
				return false
			}
		}
	}
	return true
}

// queryName returns a name as it is asked: with the last dot, in lower case,
// each label that needs it as A-label. Unlike ToASCII it accepts labels of
// records that are no hosts, such as _dmarc.
func queryName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || len(name) > 4*maxNameLen || !utf8.ValidString(name) {
		return "", errors.New("empty, too long or not UTF-8")
	}
	labels := strings.Split(name, ".")
	for i, label := range labels {
		if !plainASCII(label) && !strings.HasPrefix(label, "xn--") {
			ascii, err := profile.ToASCII(label)
			if err != nil {
				return "", err
			}
			labels[i], label = ascii, ascii
		}
		if label == "" || len(label) > maxLabelLen || strings.ContainsFunc(label, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' || r == '"' }) {
			return "", errors.New("a label is empty, too long or has odd characters")
		}
	}
	if name = strings.Join(labels, "."); len(name) > maxNameLen {
		return "", errors.New("too long")
	}
	return name + ".", nil
}
