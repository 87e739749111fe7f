package imapd

import (
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mime"
)

func render(t testing.TB, header string) []byte {
	t.Helper()
	text := header + "\r\n\r\nbody\r\n"
	m, err := mime.Scan(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return mime.AppendEnvelope(nil, m.Envelope)
}

func TestARenderedEnvelopeIsReadBack(t *testing.T) {
	t.Parallel()
	e := splitEnvelope(render(t, "Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nSubject: =?utf-8?q?a_=22quoted=22_gr=C3=BC=C3=9Fe?= \\ x\r\n"+
		"From: \"Doe, \\\"J\\\"\" <j@example.test>\r\nTo: team: a@example.test, B <b@example.test>;, c@example.test\r\n"+
		"Cc: J\xc3\xbcrgen <j2@example.test>\r\nMessage-ID: <1@example.test>\r\nIn-Reply-To: <0@example.test>"))
	for place, want := range map[int]string{
		placeDate:      "Mon, 2 Nov 2026 10:00:00 +0000",
		placeSubject:   `a "quoted" grüße \ x`,
		placeFrom:      `Doe, "J" <j@example.test>`,
		placeTo:        "team, <a@example.test>, B <b@example.test>, , <c@example.test>",
		placeCc:        "Jürgen <j2@example.test>",
		placeBcc:       "",
		placeInReplyTo: "<0@example.test>",
		placeMessageID: "<1@example.test>",
	} {
		if got := e.text(place); got != want {
			t.Errorf("field %d: got %q, want %q", place, got, want)
		}
	}
}

func FuzzSplitEnvelope(f *testing.F) {
	f.Add([]byte(`("d" "s" (("n" NIL "l" "d")) NIL NIL NIL NIL NIL NIL "m")`))
	f.Add([]byte("({3}\r\nabc NIL ((NIL NIL {1}\r\nx \"y\")) NIL"))
	f.Add([]byte(`((((((`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := splitEnvelope(b)
		for place := range places {
			e.text(place) // must end and not panic, whatever the column holds
		}
	})
}

func FuzzEnvelopeAgreesWithTheScanner(f *testing.F) {
	f.Add("plain", "Ann <ann@example.test>")
	f.Add(`back\slash "quotes"`, `"x" <y@z>, g: a@b, c@d;`)
	f.Add("üñ\x00\x7f {3}", "(((\" <>@,;:")
	f.Fuzz(func(t *testing.T, subject, from string) {
		clean := strings.NewReplacer("\r", " ", "\n", " ")
		text := "Subject: " + clean.Replace(subject) + "\r\nFrom: " + clean.Replace(from) + "\r\n\r\n"
		m, err := mime.Scan(strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		e := splitEnvelope(mime.AppendEnvelope(nil, m.Envelope))
		if got, want := e.text(placeSubject), mime.DecodeHeader(m.Envelope.Subject); got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
		for _, a := range m.Envelope.From {
			if a.Host != "" && !strings.Contains(e.text(placeFrom), strings.ReplaceAll(a.Mailbox+"@"+a.Host, "\x00", "")) {
				t.Errorf("%q is not in %q", a.Mailbox+"@"+a.Host, e.text(placeFrom))
			}
		}
	})
}
