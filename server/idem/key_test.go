package idem

import (
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/fault"
)

func TestAKeyMayBeQuotedOrBare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw, want string
		ok        bool
	}{
		{"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324", true},
		{`"8e03978e"`, "8e03978e", true},
		{`"a\"b\\c"`, `a"b\c`, true},
		{`a"b`, `a"b`, true},
		{`with space`, `with space`, true},
		{strings.Repeat("k", 256), strings.Repeat("k", 256), true},
		{`"` + strings.Repeat("k", 256) + `"`, strings.Repeat("k", 256), true},
		{"", "", false},
		{`""`, "", false},
		{`"`, `"`, true},
		{`"a"b"`, "", false},
		{`"a\b"`, "", false},
		{`"a\"`, "", false},
		{strings.Repeat("k", 257), "", false},
		{"tab\there", "", false},
		{"line\nbreak", "", false},
		{"ünïcode", "", false},
		{"\x7f", "", false},
	} {
		got, err := parseKey(c.raw)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q gives %q, %v", c.raw, got, err)
		}
		if err != nil && (!fault.Is(err, fault.Malformed) || fault.CodeOf(err) != "idempotency-key-invalid") {
			t.Errorf("%q is refused with %v", c.raw, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"k", `"k"`, `"a\"b"`, `"\`, "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		text, err := parseKey(raw)
		if err == nil && (text == "" || len(text) > 256) {
			t.Fatalf("%q gives %q", raw, text)
		}
		for i := range len(text) {
			if text[i] < ' ' || text[i] > '~' {
				t.Fatalf("%q gives %q", raw, text)
			}
		}
	})
}
