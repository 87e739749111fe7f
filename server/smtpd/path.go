package smtpd

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// errPath is a MAIL or RCPT argument that is not "FROM:<path> parameters".
var errPath = errors.New("not a path in angle brackets")

// splitPath takes the argument of MAIL or RCPT apart: keyword "FROM:" or "TO:", path in angle brackets, parameters (RFC 5321
// §4.1.2). Quoted strings may hold ">" and spaces. A space after the colon is tolerated, as everybody does.
func splitPath(arg, keyword string) (path, params string, err error) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", "", errPath
	}
	rest := strings.TrimLeft(arg[len(keyword):], " ")
	if !strings.HasPrefix(rest, "<") {
		return "", "", errPath
	}
	end := closing(rest)
	if end < 0 {
		return "", "", errPath
	}
	params = rest[end+1:]
	if params != "" && params[0] != ' ' {
		return "", "", errPath
	}
	return rest[1:end], strings.TrimSpace(params), nil
}

// closing finds the ">" that ends the path which begins s, or -1.
func closing(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return i
		}
	}
	return -1
}

// parsePath reads a path without its brackets. A source route is dropped (RFC 5321 §4.1.1.3, appendix C); what remains must be
// a mailbox that can be read in one way only, so local parts with an unquoted "@" or an address literal are refused here (X-5,
// S-4).
func parsePath(path string) (mail.Address, error) {
	if strings.HasPrefix(path, "@") {
		_, mailbox, ok := strings.Cut(path, ":")
		if !ok {
			return mail.Address{}, errPath
		}
		path = mailbox
	}
	return mail.ParseAddress(path)
}

// declaredSize gives the SIZE parameter of MAIL (RFC 1870 §5): the largest number when it does not fit, zero when there is none
// or it is no number at all, which go-smtp refuses.
func declaredSize(params string) uint64 {
	for word := range strings.FieldsSeq(params) {
		name, value, _ := strings.Cut(word, "=")
		if !strings.EqualFold(name, "SIZE") {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return math.MaxUint64
		}
		return n
	}
	return 0
}

// chunkSize reads the argument of BDAT (RFC 3030 §2). Anything but a plain number that fits is an error, after which nobody
// knows where the chunk ends.
func chunkSize(arg string) (size int64, last bool, err error) {
	words := strings.Fields(arg)
	if len(words) == 0 || len(words) > 2 || strings.ContainsAny(words[0], "+-_") {
		return 0, false, errPath
	}
	if len(words) == 2 {
		if !strings.EqualFold(words[1], "LAST") {
			return 0, false, errPath
		}
		last = true
	}
	size, err = strconv.ParseInt(words[0], 10, 64)
	return size, last, err
}
