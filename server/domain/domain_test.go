package domain_test

import (
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
)

func TestADomainHasOneSpelling_S47(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Example.TEST":        "example.test",
		"example.test.":       "example.test",
		"münchen.test":        "xn--mnchen-3ya.test",
		"MÜNCHEN.test":        "xn--mnchen-3ya.test",
		"mu\u0308nchen.test":  "xn--mnchen-3ya.test",
		"xn--mnchen-3ya.test": "xn--mnchen-3ya.test",
		"straße.test":         "xn--strae-oqa.test",
		"例え。テスト":              "xn--r8jz45g.xn--zckzah",
		"ｅｘａｍｐｌｅ.test":        "example.test",
		"localhost":           "localhost",
		"a-b.test":            "a-b.test",
	} {
		if got, err := domain.ParseName(in); err != nil || got != want {
			t.Errorf("%q gives %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestWhatCannotBeADomainIsRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", ".", "a..b", ".a", "a b", "a_b.test", "-a.test", "a-.test", "a@b.test", "127.0.0.1", "[127.0.0.1]", "::1", "1", "a.1", "a.123",
		"a\x00.test", "a\r\n.test", "*.test", strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 127) + "test", "xn--a.test",
		"\u202eevil.test", "a\u200d.test", "a/b.test", "%.test", "\xff.test",
	} {
		if got, err := domain.ParseName(in); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is taken as %q (%v)", in, got, err)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"example.test", "MÜNCHEN.test.", "xn--", "..", "127.0.0.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		name, err := domain.ParseName(in)
		if err != nil {
			return
		}
		again, err := domain.ParseName(name)
		if err != nil || again != name {
			t.Fatalf("%q gives %q, which gives %q, %v", in, name, again, err)
		}
		for i := range len(name) {
			if c := name[i]; c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				t.Fatalf("%q gives %q", in, name)
			}
		}
	})
}
