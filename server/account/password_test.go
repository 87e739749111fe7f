package account

import (
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/fault"
)

func TestWhichPasswordsAreTaken(t *testing.T) {
	t.Parallel()
	s := New(Deps{}, Config{})
	for password, ok := range map[string]bool{
		"correct horse battery":            true,
		"twelve bytes":                     true,
		"eleven byte":                      false,
		"":                                 false,
		strings.Repeat("x", 127) + "y":     true,
		strings.Repeat("x", 128) + "y":     false,
		"ää ää ää":                         true, // 14 bytes
		strings.Repeat("a\u0308", 43):      true, // 129 bytes as typed, 86 in NFC
		strings.Repeat("a\u0308", 5):       false,
		"password1234":                     false,
		"PassWord1234":                     false,
		"123456789012":                     false,
		"QWERTYUIOPasdfghjkl":              false,
		"with\x00a NUL in it":              false,
		"\xff\xfe not text \xff":           false,
		"   leading and trailing spaces  ": true,
	} {
		err := s.checkPassword(password)
		if (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
		if err != nil && (!fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), password) && password != "") {
			t.Errorf("%q is refused with %v", password, err)
		}
	}
}

func TestTheMinimumMayBeLowered(t *testing.T) {
	t.Parallel()
	s := New(Deps{}, Config{PasswordMinLength: 6})
	if err := s.checkPassword("tr0ub4"); err != nil {
		t.Error(err)
	}
	if err := s.checkPassword("12345678"); err == nil {
		t.Error("one of the commonest is taken")
	}
}

func TestTheListOfCommonPasswordsIsWhatItShouldBe(t *testing.T) {
	t.Parallel()
	seen, long := map[string]bool{}, 0
	for line := range strings.Lines(commonPasswords) {
		p := strings.TrimSuffix(line, "\n")
		if p == "" || p != strings.ToLower(p) || p != strings.TrimSpace(p) || seen[p] {
			t.Errorf("%q is empty, not lower case, or twice in the list", p)
		}
		seen[p] = true
		if len(p) >= passwordMin {
			long++
		}
	}
	if long < 100 {
		t.Errorf("only %d of the list have the length that is asked for", long)
	}
}
