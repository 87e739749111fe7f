package imapwire_test

import (
	"testing"
	"unicode/utf8"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

func TestModifiedUTF7(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{
		"":                   "",
		"INBOX":              "INBOX",
		"R&D":                "R&-D",
		"&":                  "&-",
		"&&":                 "&-&-",
		"~peter/台北/日本語":      "~peter/&U,BTFw-/&ZeVnLIqe-",
		"Entwürfe":           "Entw&APw-rfe",
		"é&é":                "&AOk-&-&AOk-",
		"😀":                  "&2D3eAA-",
		"a-b":                "a-b",
		"Отправленные":       "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-",
		"\u00e9\u00e9\u00e9": "&AOkA6QDp-",
	} {
		if got := imapwire.EncodeUTF7(name); got != wire {
			t.Errorf("%q is written %q, want %q", name, got, wire)
		}
		if got, ok := imapwire.DecodeUTF7(wire); !ok || got != name {
			t.Errorf("%q is read %q, %v, want %q", wire, got, ok, name)
		}
	}
}

func TestOnlyOneSpellingOfANameIsTaken_S34(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{
		"hidden slash":       "&AC4ALgAv-",
		"hidden letter":      "a&AGI-c",
		"hidden ampersand":   "&ACY-",
		"split run":          "&ZeU-&ZyyKng-",
		"no end":             "&AOk",
		"no end at all":      "a&",
		"odd bytes":          "&AOkA-",
		"left over bits":     "&AOl-",
		"lone high half":     "&2D0-",
		"lone low half":      "&3gA-",
		"halves in disorder": "&3gDYPQ-",
		"padding":            "&AOk=-",
		"standard slash":     "&U/A-",
		"raw UTF-8":          "é",
		"line break":         "&AO\r\nk-",
		"space in run":       "&AO k-",
		"control":            "a\x01b",
	} {
		if got, ok := imapwire.DecodeUTF7(wire); ok {
			t.Errorf("%s: %q was read as %q", name, wire, got)
		}
	}
}

func FuzzUTF7(f *testing.F) {
	for _, seed := range []string{"INBOX", "R&-D", "&ZeVnLIqe-", "日本語", "&AC4ALgAv-", "&2D3eAA-", "&", "a\x00\xff", "&-&-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if utf8.ValidString(s) {
			wire := imapwire.EncodeUTF7(s)
			for i := range len(wire) {
				if wire[i] < ' ' || wire[i] > '~' {
					t.Fatalf("%q is written %q", s, wire)
				}
			}
			if back, ok := imapwire.DecodeUTF7(wire); !ok || back != s {
				t.Fatalf("%q is written %q and read %q, %v", s, wire, back, ok)
			}
		}
		if name, ok := imapwire.DecodeUTF7(s); ok && (!utf8.ValidString(name) || imapwire.EncodeUTF7(name) != s) {
			t.Fatalf("%q is read %q, which has another spelling", s, name)
		}
	})
}
