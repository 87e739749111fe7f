package outbound

import (
	"bytes"
	"errors"
	"io"
	stdmime "mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	ours "github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// stringFields puts a text into each string field of a draft in turn.
func stringFields() []func(*Draft, string) {
	return []func(*Draft, string){
		func(d *Draft, s string) { d.Subject = s },
		func(d *Draft, s string) { d.From.Name = s },
		func(d *Draft, s string) { d.To[0].Name = s },
		func(d *Draft, s string) { d.ReplyTo[0].Name = s },
		func(d *Draft, s string) { d.To[0].Address = address(s) },
		func(d *Draft, s string) { d.Bcc[0].Address = address(s) },
		func(d *Draft, s string) { d.Text = s },
		func(d *Draft, s string) { d.HTML = s },
		func(d *Draft, s string) { d.Headers[0].Name = s },
		func(d *Draft, s string) { d.Headers[0].Value = s },
		func(d *Draft, s string) { d.Headers[1].Value = s },
		func(d *Draft, s string) { d.Headers[2].Value = s },
		func(d *Draft, s string) { d.Headers[3].Value = s },
		func(d *Draft, s string) { d.Attachments[0].Filename = s },
		func(d *Draft, s string) { d.Attachments[0].ContentType = s },
		func(d *Draft, s string) { d.Attachments[1].ContentID = s },
		func(d *Draft, s string) { d.Attachments[0].Content = []byte(s) },
		func(d *Draft, s string) { d.Tags[0] = Tag{s, s} },
		func(d *Draft, s string) { d.Metadata = map[string]string{s: s} },
	}
}

func address(s string) ours.Address {
	a, err := ours.ParseAddress(s)
	if err != nil {
		return ours.Address{} // as the API does
	}
	return a
}

// S-5: whatever a caller writes into a field, the message has the fields and parts that it has without it.
func FuzzNoTextOfADraftAddsAHeader_S5(f *testing.F) {
	for _, payload := range []string{
		"", "plain", "a\r\nBcc: evil@e.test", "a\r\n Bcc: evil@e.test", "a\nBcc: evil@e.test", "a\rBcc: evil@e.test", "a\x00b", "a\u2028Bcc: x", "a\u0085Bcc: x",
		"=?utf-8?q?x=0D=0ABcc:_evil@e.test?=", "=?utf-8?b?DQpCY2M6IGV2aWxAZS50ZXN0?=", "\r\n\r\nbody", "\r\n--=_\r\n", `"; filename="b`, `a" <evil@e.test>, "b`,
		"a, evil@e.test", "(comment", "ü\xff", "X-Evil", "text/plain; charset=\"a\r\nX: y\"", "<1@e.test>\r\nBcc: x", "\"a\r\n\"@e.test", "\"a b\"@e.test",
		strings.Repeat("ü", 400), strings.Repeat("a ", 400), strings.Repeat("a", 998), "a\r\n.\r\nMAIL FROM:<x@e.test>", " lead", "trail ", "\t", "\x7f",
	} {
		for i := range stringFields() {
			f.Add(uint8(i), payload)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, payload string) {
		d := sound(t)
		fields := stringFields()
		fields[int(which)%len(fields)](&d, payload)
		raw, err := composed(&d)
		if err != nil {
			var refused *fault.Error
			if !errors.As(err, &refused) || refused.Kind != fault.Invalid || !strings.HasPrefix(refused.Field, "body.") {
				t.Fatalf("refused without a place: %v", err)
			}
			return
		}
		compare(t, &d, raw, payload)
	})
}

// composed is what Accept does with a draft before it is stored.
func composed(d *Draft) ([]byte, error) {
	if err := d.check(4); err != nil {
		return nil, err
	}
	return unchecked(d)
}

func unchecked(d *Draft) ([]byte, error) {
	e := &Email{CreatedAt: time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC), MessageID: "<1@d.test>"}
	var b bytes.Buffer
	if err := mime.Compose(&capped{w: &b, left: 1 << 20, limit: 1 << 20}, d.message(e)); err != nil {
		return nil, composeFault(err)
	}
	return b.Bytes(), nil
}

// compare reads the message with the parsers of the standard library.
func compare(t *testing.T, d *Draft, raw []byte, payload string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("the message cannot be read: %v\n%s", err, raw)
	}
	want := []string{
		"From", "To", "Cc", "Reply-To", "Date", "Message-Id", "Mime-Version", "Content-Type", "In-Reply-To", "References", "List-Id",
		textproto.CanonicalMIMEHeaderKey(d.Headers[0].Name),
	}
	if strings.Trim(d.Subject, " ") != "" {
		want = append(want, "Subject")
	}
	for name, values := range m.Header {
		if !slices.Contains(want, name) || len(values) != 1 {
			t.Fatalf("field %s: %q\n%s", name, values, raw)
		}
	}
	if len(m.Header) != len(want) {
		t.Fatalf("%d fields, want %d\n%s", len(m.Header), len(want), raw)
	}
	decoder := &stdmime.WordDecoder{}
	if subject, err := decoder.DecodeHeader(m.Header.Get("Subject")); err != nil || subject != strings.Trim(d.Subject, " ") {
		t.Fatalf("subject %q, %v, want %q\n%s", subject, err, d.Subject, raw)
	}
	for _, name := range []string{"From", "To", "Cc", "Reply-To"} {
		if list, err := m.Header.AddressList(name); err != nil || len(list) != 1 {
			t.Fatalf("%s holds %v, %v; payload %q\n%s", name, list, err, payload, raw)
		}
	}
	if got := leaves(t, m.Header.Get("Content-Type"), m.Body); got != expectedLeaves(d) {
		t.Fatalf("%d parts, want %d; payload %q\n%s", got, expectedLeaves(d), payload, raw)
	}
	if bytes.Contains(bytes.ReplaceAll(raw, []byte("\r\n"), nil), []byte("\n")) {
		t.Fatalf("a bare LF leaves the server\n%q", raw)
	}
}

func expectedLeaves(d *Draft) int {
	n := len(d.Attachments)
	for _, text := range []string{d.Text, d.HTML} {
		if text != "" {
			n++
		}
	}
	return n
}

func leaves(t *testing.T, contentType string, r io.Reader) int {
	t.Helper()
	media, params, err := stdmime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(media, "multipart/") {
		return 1
	}
	n := 0
	for parts := multipart.NewReader(r, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		for name := range p.Header {
			if !strings.HasPrefix(name, "Content-") {
				t.Fatalf("a part has the field %s", name)
			}
		}
		n += leaves(t, p.Header.Get("Content-Type"), p)
	}
}

func TestIdsInHeadersReachTheirFields(t *testing.T) {
	t.Parallel()
	d := sound(t)
	raw, err := composed(&d)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\r\nIn-Reply-To: <1@e.test>\r\n", "\r\nReferences: <0@e.test> <1@e.test>\r\n", "\r\nX-Order: 42\r\n"} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("no %q in\n%s", want, raw)
		}
	}
	if bytes.Contains(raw, []byte("blind")) {
		t.Errorf("the blind recipient is in the message\n%s", raw)
	}
}

func TestAMessageAboveTheLimitIsTooLarge_L1(t *testing.T) {
	t.Parallel()
	d := sound(t)
	d.Attachments[0].Content = make([]byte, 800<<10) // 4/3 of this in base64
	if _, err := composed(&d); !fault.Is(err, fault.TooLarge) || fault.CodeOf(err) != "message-too-large" {
		t.Fatalf("got %v", err)
	}
}

func TestWhatOnlyTheComposerRefusesHasAPlaceToo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*Draft)
		field  string
	}{
		"non-ASCII in a List field": {func(d *Draft) { d.Headers[3].Value = "jörg" }, "body.headers"},
		"too many long names": {func(d *Draft) {
			d.To = manyParties(20)
			for i := range d.To {
				d.To[i].Name = strings.Repeat("ü", 4000)
			}
		}, "body.to"},
		"too many long headers": {func(d *Draft) {
			d.Headers = nil
			for i := range 40 {
				d.Headers = append(d.Headers, Header{"X-" + strings.Repeat("a", i+1), strings.Repeat("b ", 4000)})
			}
		}, "body.headers"},
		"media type that cannot be written": {func(d *Draft) { d.Attachments[0].ContentType = "text/plain; a%b=c" }, "body.attachments[0].content_type"},
	} {
		d := sound(t)
		tc.change(&d)
		err := d.check(100)
		if err == nil {
			_, err = unchecked(&d)
		}
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Field != tc.field {
			t.Errorf("%s: %v at %q, want %q", name, err, f.Field, tc.field)
		}
	}
}
