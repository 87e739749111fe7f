package account

import (
	_ "embed" // common.txt
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// Lengths of a password in bytes of its NFC form (mail-rules §6.5). There are no rules of composition.
const (
	passwordMin = 12
	passwordMax = 128
	// passwordTried is the longest password that is compared at all. Old systems allowed longer ones than we do.
	passwordTried = 256
)

// commonPasswords holds the passwords that everybody tries first, one a line, lower case.
//
//go:embed common.txt
var commonPasswords string

// checkPassword refuses a new password that is too short, too long, not text, or among the commonest.
func (s *Service) checkPassword(password string) error {
	least := s.cfg.PasswordMinLength
	n := len(norm.NFC.String(password))
	switch {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return invalid("password", "the password must be UTF-8 text without NUL")
	case n < least:
		return invalid("password", "the password must have at least %d bytes", least)
	case n > passwordMax:
		return invalid("password", "the password must have at most %d bytes", passwordMax)
	case isCommon(password):
		return invalid("password", "this password is one of the commonest; choose another")
	}
	return nil
}

func isCommon(password string) bool {
	want := strings.ToLower(norm.NFC.String(password))
	for line := range strings.Lines(commonPasswords) {
		if strings.TrimSuffix(line, "\n") == want {
			return true
		}
	}
	return false
}

// invalid is a refusal of one field.
func invalid(field, format string, args ...any) error {
	return fault.New(fault.Invalid, "validation-failed", format, args...).At(field)
}
