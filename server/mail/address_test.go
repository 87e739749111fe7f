package mail_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// A32: what can be read in two ways is refused, so that no two programs disagree about where a letter goes.
func TestAddressesThatCanBeMisreadAreRefused(t *testing.T) {
	t.Parallel()
	refused := []string{
		"", "@", "a@", "@b.test", "a", "a..b@d.test", ".a@d.test", "a.@d.test", "a b@d.test", "a@b@d.test",
		"a@[127.0.0.1]", "a@d..test", "a@-d.test", "a@d-.test", "a@d.test\r\n", "a\x00@d.test", "a@d\x00.test",
		`"a@d.test`, `a"b@d.test`, `"a"b"@d.test`, `""@d.test`, "\"a\r\n\"@d.test", "a@d test", "<a@d.test>",
		"a,b@d.test", "a@" + strings.Repeat("x", 64) + ".test", strings.Repeat("x", 65) + "@d.test",
		"a@" + strings.Repeat("abcdefgh.", 40) + "test", "a\xff@d.test", "a@\xff.test", "(c)a@d.test", "@r.test:a@d.test",
	}
	for _, s := range refused {
		if a, err := mail.ParseAddress(s); !errors.Is(err, mail.ErrAddress) {
			t.Errorf("ParseAddress(%q) = %+v, %v; want ErrAddress", s, a, err)
		}
	}
}

func TestAddressesKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, local, domain, out string }{
		{"a@d.test", "a", "d.test", "a@d.test"},
		{"A.b+tag@D.Test.", "A.b+tag", "d.test", "A.b+tag@d.test"},
		{`"a b"@d.test`, "a b", "d.test", `"a b"@d.test`},
		{`"a@b"@d.test`, "a@b", "d.test", `"a@b"@d.test`},
		{`"a\"b"@d.test`, `a"b`, "d.test", `"a\"b"@d.test`},
		{"jörg@bücher.test", "jörg", "bücher.test", "jörg@bücher.test"},
		{"a@localhost", "a", "localhost", "a@localhost"},
		{"!#$%&'*+-/=?^_`{|}~@d.test", "!#$%&'*+-/=?^_`{|}~", "d.test", "!#$%&'*+-/=?^_`{|}~@d.test"},
	} {
		a, err := mail.ParseAddress(tc.in)
		if err != nil || a.Local != tc.local || a.Domain != tc.domain || a.String() != tc.out {
			t.Errorf("ParseAddress(%q) = %+v (%s), %v; want %q at %q printed %q", tc.in, a, a, err, tc.local, tc.domain, tc.out)
		}
	}
}

// go-smtp hands quoted local parts over unquoted; the last @ decides.
func TestUnquotedPathsAreSplitAtTheLastAt_X5(t *testing.T) {
	t.Parallel()
	a, err := mail.SplitAddress("x@y@d.test")
	if err != nil || a.Local != "x@y" || a.Domain != "d.test" {
		t.Fatalf("got %+v, %v", a, err)
	}
	for _, s := range []string{"@d.test", "plain", "a\r@d.test", strings.Repeat("a", 315) + "@d.test"} {
		if a, err := mail.SplitAddress(s); err == nil {
			t.Errorf("SplitAddress(%q) = %+v; want a refusal", s, a)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"a@d.test", `"a b"@d.test`, "jörg@bücher.test", "a@b@c", `"\\\""@x.y`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := mail.ParseAddress(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(a.String(), "\r\n\x00") {
			t.Fatalf("%q kept a control character", s)
		}
		again, err := mail.ParseAddress(a.String())
		if err != nil || again != a {
			t.Fatalf("%q: printed %q, read back %+v, %v", s, a.String(), again, err)
		}
	})
}
