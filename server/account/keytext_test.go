package account

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mail"
)

func TestAKeysTextCanBeRecognisedAndChecked_S25(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^ms_(live|test)_[0-9A-Za-z]{60}$`)
	seen := map[string]bool{}
	for _, mode := range []Mode{ModeLive, ModeTest} {
		for range 100 {
			k := newKeyText(mail.KeyID{}.New(noon()), mode)
			text := k.String()
			if !form.MatchString(text) || seen[text] {
				t.Fatalf("made %s", text)
			}
			seen[text] = true
			if back, ok := parseKeyText(text); !ok || back != k {
				t.Fatalf("%s is read as %+v, %v", text, back, ok)
			}
			for i := range text {
				wrong := []byte(text)
				wrong[i] = map[bool]byte{true: 'b', false: 'a'}[wrong[i] == 'a']
				if _, ok := parseKeyText(string(wrong)); ok {
					t.Fatalf("a slip at %d of %s is not noticed", i, text)
				}
			}
		}
	}
}

func TestWhatWasNeverAKeyReachesNoDatabase(t *testing.T) {
	t.Parallel()
	text := newKeyText(mail.KeyID{}.New(noon()), ModeLive).String()
	for _, bad := range []string{
		"", "ms_live_", text[1:], text + "0", " " + text, strings.ToUpper(text), "mk" + text[2:], strings.Replace(text, "live", "dead", 1),
		strings.Replace(text, "live", "test", 1), text[:20] + "\x00" + text[21:], strings.Repeat("ä", 34), strings.Repeat("x", 1<<20),
	} {
		if _, ok := parseKeyText(bad); ok {
			t.Errorf("%.80q is taken for a key", bad)
		}
	}
}

func TestNumbersInBase62HaveAFixedLength(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw  []byte
		n    int
		want string
	}{
		{[]byte{0}, 3, "000"},
		{[]byte{61}, 2, "0z"},
		{[]byte{62}, 2, "10"},
		{[]byte{0xff, 0xff, 0xff, 0xff}, 6, "4gfFC3"},
		{[]byte(strings.Repeat("\xff", 16)), 22, "7n42DGM5Tflk9n8mt7Fhc7"},
	} {
		if got := base62(c.raw, c.n); got != c.want {
			t.Errorf("%x gives %s, want %s", c.raw, got, c.want)
		}
	}
	count := map[rune]int{}
	for _, r := range randomBase62(62_000) {
		count[r]++
	}
	for _, r := range base62Digits {
		if count[r] < 700 || count[r] > 1300 {
			t.Errorf("digit %c came %d times of an expected 1000", r, count[r])
		}
	}
}

func FuzzParseKeyText(f *testing.F) {
	f.Add(newKeyText(mail.KeyID{}.New(noon()), ModeLive).String())
	f.Add("ms_test_")
	f.Fuzz(func(t *testing.T, text string) {
		if k, ok := parseKeyText(text); ok && k.String() != text {
			t.Fatalf("%q is read as %q", text, k.String())
		}
	})
}
