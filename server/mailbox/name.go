package mailbox

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// Separator stands between the levels of a mailbox name.
const Separator = "/"

// Inbox is the name of the mailbox that every account has.
const Inbox = "INBOX"

// Limits of names (mail-rules L-11, S-34).
const (
	MaxName  = 255 // octets
	MaxDepth = 20  // levels
)

// CleanName checks a mailbox name and gives its stored form: UTF-8 in NFC, "INBOX" in capitals wherever it is the first level,
// one trailing separator removed (RFC 9051 §6.3.4). Names never become paths; all the same, what would be dangerous as one is
// refused. The error is fault.Invalid.
func CleanName(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", badName("it is not UTF-8")
	}
	name := norm.NFC.String(strings.TrimSuffix(s, Separator))
	switch {
	case name == "":
		return "", badName("it is empty")
	case len(name) > MaxName:
		return "", badName("it is longer than 255 octets")
	case name[0] == '#':
		return "", badName("# is kept for other name spaces")
	}
	levels := strings.Split(name, Separator)
	if len(levels) > MaxDepth {
		return "", badName("it has more than 20 levels")
	}
	for _, level := range levels {
		if err := checkLevel(level); err != nil {
			return "", err
		}
	}
	if strings.EqualFold(levels[0], Inbox) {
		levels[0] = Inbox
	}
	return strings.Join(levels, Separator), nil
}

func checkLevel(level string) error {
	switch {
	case level == "":
		return badName("a level is empty")
	case level == "." || level == "..":
		return badName("a level is only dots")
	case strings.ContainsAny(level, "*%"):
		return badName("* and % are wildcards of LIST")
	case strings.ContainsFunc(level, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
	}):
		return badName("it has a control character")
	case strings.TrimSpace(level) == "":
		return badName("a level is only blanks")
	}
	return nil
}

func badName(why string) error {
	return fault.New(fault.Invalid, "invalid-mailbox-name", "a mailbox cannot have this name: %s", why).At("name")
}

// parents gives the names above name, the highest first.
func parents(name string) []string {
	var out []string
	for i := range len(name) {
		if name[i] == Separator[0] {
			out = append(out, name[:i])
		}
	}
	return out
}

// isBelow reports whether name lies below parent.
func isBelow(name, parent string) bool { return strings.HasPrefix(name, parent+Separator) }
