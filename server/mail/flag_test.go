package mail_test

import (
	"slices"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mail"
)

func TestFlagsAreSpelledCanonicallyOrRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]mail.Flag{`\seen`: mail.Seen, `\DELETED`: mail.Deleted, "$Forwarded": "$Forwarded", "work": "work"} {
		if got, err := mail.ParseFlag(in); err != nil || got != want {
			t.Errorf("ParseFlag(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", `\Recent`, `\Foo`, "a b", "a)", "a\r", "ä", `a"b`, "a]"} {
		if got, err := mail.ParseFlag(in); err == nil {
			t.Errorf("ParseFlag(%q) = %q; want a refusal, since it would break a response line", in, got)
		}
	}
}

func TestFlagBitsNameTheMailboxKeywords(t *testing.T) {
	t.Parallel()
	set := mail.SeenBit | mail.DraftBit | 1<<(mail.FirstKeyword+1)
	got := set.Flags([]string{"a", "b"})
	if !slices.Equal(got, []mail.Flag{mail.Seen, mail.Draft, "b"}) {
		t.Fatalf("got %v", got)
	}
}
