package mime_test

import (
	"bytes"
	"errors"
	"io"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/mime"
)

// counter is a source of boundaries that a golden file can hold.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		*c++
		p[i] = byte(*c)
	}
	return len(p), nil
}

func draft() mime.Draft {
	return mime.Draft{
		From:      []mime.Address{{Name: "Ann Lee", Email: "ann@example.test"}},
		To:        []mime.Address{{Email: "bob@example.test"}},
		Subject:   "Lunch",
		Date:      time.Date(2026, 11, 20, 9, 30, 0, 0, time.FixedZone("", 3600)),
		MessageID: "m1@example.test",
		Text:      "Hello\n",
		Random:    new(counter),
	}
}

func compose(t testing.TB, d mime.Draft) string {
	t.Helper()
	var b bytes.Buffer
	if err := mime.Compose(&b, d); err != nil {
		t.Fatalf("Compose: %v", err)
	}
	checkWire(t, b.String())
	return b.String()
}

// checkWire holds what every message we send keeps to (S-1, O-53, RFC 5322 §2.1.1).
func checkWire(t testing.TB, raw string) {
	t.Helper()
	if !strings.HasSuffix(raw, "\r\n") {
		t.Error("the last line has no end")
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(raw, "\r\n"), "\r\n") {
		if strings.ContainsAny(line, "\r\n\x00") || len(line) > 998 {
			t.Errorf("line of %d octets with a bare CR or LF, or too long: %.80q", len(line), line)
		}
		for i := range len(line) {
			if line[i] >= 0x80 {
				t.Fatalf("8-bit octet in %.80q", line)
			}
		}
	}
}

func fieldNames(t testing.TB, raw string) []string {
	t.Helper()
	m := scan(t, raw)
	fields, err := mime.Header(strings.NewReader(raw), m, m.Root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

func TestComposeGolden(t *testing.T) {
	t.Parallel()
	d := draft()
	d.From[0].Name = "Ann Ünlü (sales)"
	d.Sender = &mime.Address{Name: `Desk "7"`, Email: "desk@example.test"}
	d.ReplyTo = []mime.Address{{Name: "J. R. Lee", Email: "jr.lee@example.test"}}
	d.To = append(d.To, mime.Address{Name: "Carol Smith", Email: `"carol smith"@example.test`}, mime.Address{Email: `"odd one"@example.test`},
		mime.Address{Name: strings.Repeat("very long name ", 8), Email: "long@example.test"})
	d.Cc = []mime.Address{{Name: "山田太郎", Email: "yamada@example.test"}}
	d.Subject = "Grüße aus München, wie versprochen: die vollständige Rechnung für das ganze Jahr 2026"
	d.InReplyTo = "<m0@example.test>"
	d.References = []string{"a-rather-long-message-id-number-one@example.test", "<a-rather-long-message-id-number-two@example.test>", "m0@example.test"}
	d.Headers = []mime.HeaderField{
		{"X-Campaign", "spring"},
		{"List-Unsubscribe", "<https://example.test/u?a=?b>, <mailto:u@example.test>"},
		{"X-Note", "für dich"},
		{"X-Empty", ""},
		{"X-Long", strings.Repeat("several words  ", 20)},
	}
	d.Text = "Hello,\nthis has ümlauts and a long line: " + strings.Repeat("x", 100) + "\n\ttrailing space \n.\n"
	d.HTML = "<p>Hello</p>\r\n<img src=\"cid:logo\">"
	d.Attachments = []mime.Attachment{
		{FileName: "logo.png", ContentType: "image/png", ContentID: "<logo>", Inline: true, Content: strings.NewReader(strings.Repeat("\x89PNG", 40))},
		{FileName: "Rechnung für das ganze Geschäftsjahr 2026, endgültige Fassung.pdf", ContentType: "application/pdf", Content: strings.NewReader("%PDF")},
		{FileName: `a "b" \ c.txt`, ContentType: "text/plain; charset=iso-8859-1; format=flowed", Content: strings.NewReader("caf\xe9")},
		{ContentType: "message/rfc822"},
	}
	got := compose(t, d)
	file := filepath.Join("testdata", "composed.golden")
	if *update {
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(got, "\r\n", "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(crlf(string(want)), got); diff != "" {
		t.Error(diff)
	}
	for line := range strings.SplitSeq(got, "\r\n") {
		if len(line) > 78 {
			t.Errorf("line of %d octets: %s", len(line), line)
		}
	}
	readBack(t, d, got)
}

// readBack parses a composed message with our scanner and with the standard library and finds the draft again.
func readBack(t *testing.T, d mime.Draft, raw string) {
	t.Helper()
	m := scan(t, raw)
	checkMessage(t, raw, m)
	e := m.Envelope
	if got := mime.DecodeHeader(e.Subject); got != strings.TrimSpace(d.Subject) {
		t.Errorf("subject %q", got)
	}
	std, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for name, lists := range map[string][2][]mime.Address{
		"From": {d.From, mime.Decoded(e.From)}, "Reply-To": {d.ReplyTo, mime.Decoded(e.ReplyTo)},
		"To": {d.To, mime.Decoded(e.To)}, "Cc": {d.Cc, mime.Decoded(e.Cc)},
	} {
		want, got := lists[0], lists[1]
		other, err := std.Header.AddressList(name)
		if err != nil && len(want) > 0 || len(got) != len(want) || len(other) != len(want) {
			t.Fatalf("%s: %v and %v, not %v (%v)", name, got, other, want, err)
		}
		for i := range want {
			address := strings.ReplaceAll(got[i].Email, `"`, "") // the standard library unquotes
			if want[i].Name = strings.TrimSpace(want[i].Name); got[i].Name != want[i].Name || other[i].Name != want[i].Name {
				t.Errorf("%s: names %q and %q, not %q", name, got[i].Name, other[i].Name, want[i].Name)
			}
			if address != strings.ReplaceAll(want[i].Email, `"`, "") || other[i].Address != address {
				t.Errorf("%s: addresses %q and %q, not %q", name, got[i].Email, other[i].Address, want[i].Email)
			}
		}
	}
	if date, ok := e.Time(); !ok || !date.Equal(d.Date) {
		t.Errorf("date %v", date)
	}
	if m.MessageID() != "m1@example.test" || m.InReplyTo() != strings.Trim(d.InReplyTo, "<>") || len(m.References) != len(d.References) {
		t.Errorf("ids %q %q %q", m.MessageID(), m.InReplyTo(), m.References)
	}
	for i, file := range m.Attachments {
		attached := slices.DeleteFunc(slices.Clone(d.Attachments), func(a mime.Attachment) bool { return a.Inline })
		if want := attached[i].FileName; want != "" && file != want && want != `a "b" \ c.txt` {
			t.Errorf("file %q, not %q", file, want)
		}
	}
	if m.TextPart() != nil {
		text, err := io.ReadAll(mime.DecodePart(strings.NewReader(raw), m, m.TextPart()))
		if want := strings.TrimRight(d.Text, "\n"); err != nil || strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n") != want {
			t.Errorf("text %q, not %q", text, want)
		}
	}
}

func TestComposeBuildsOnlyTheLevelsItNeeds(t *testing.T) {
	t.Parallel()
	file := func(inline bool, id string) mime.Attachment {
		return mime.Attachment{FileName: "a.png", ContentType: "image/png", Inline: inline, ContentID: id, Content: strings.NewReader("x")}
	}
	cases := map[string]struct {
		text, html string
		files      []mime.Attachment
		want       string
	}{
		"nothing":           {"", "", nil, "plain"},
		"text":              {"a", "", nil, "plain"},
		"html":              {"", "a", nil, "html"},
		"both":              {"a", "b", nil, "alternative(plain html)"},
		"text, file":        {"a", "", []mime.Attachment{file(false, "")}, "mixed(plain png)"},
		"both, file":        {"a", "b", []mime.Attachment{file(false, "")}, "mixed(alternative(plain html) png)"},
		"html, cid":         {"", "b", []mime.Attachment{file(true, "x")}, "related(html png)"},
		"both, cid":         {"a", "b", []mime.Attachment{file(true, "x")}, "alternative(plain related(html png))"},
		"both, cid, file":   {"a", "b", []mime.Attachment{file(true, "x"), file(false, "")}, "mixed(alternative(plain related(html png)) png)"},
		"text, cid":         {"a", "", []mime.Attachment{file(true, "x")}, "mixed(plain png)"},
		"both, inline only": {"a", "b", []mime.Attachment{file(true, "")}, "mixed(alternative(plain html) png)"},
	}
	for name, c := range cases {
		d := draft()
		d.Text, d.HTML, d.Attachments = c.text, c.html, c.files
		m := scan(t, compose(t, d))
		if got := shape(m.Root); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if m.Faults != 0 {
			t.Errorf("%s: faults %v", name, m.Faults.Names())
		}
	}
}

func TestTextSurvivesComposing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"plain\n", "no end", "two\r\nlines\r\n", "lone\rreturn\n", "ümlaut\n", "trailing \n", "tab\t\n", "From here\n", ".\n..\n", "a\x00b\x1b\n",
		strings.Repeat("x", 5000) + "\n", "=3D=\n", strings.Repeat("word ", 300), "\n\n\n", "--=_\n", "\u2028\u0085",
	} {
		d := draft()
		d.Text = text
		raw := compose(t, d)
		m := scan(t, raw)
		got, err := io.ReadAll(mime.DecodePart(strings.NewReader(raw), m, m.Root))
		want := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(text)
		if err != nil || strings.TrimSuffix(string(got), "\r\n") != strings.TrimSuffix(want, "\r\n") {
			t.Errorf("%q came back as %q, %v", text, got, err)
		}
	}
}

func TestAttachmentsSurviveComposing(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 56, 57, 58, 114, 100_000} {
		content := strings.Repeat("\x00\xff\r\n\n", n/5+1)[:n]
		d := draft()
		d.Attachments = []mime.Attachment{{FileName: "x.bin", Content: iotestReader{strings.NewReader(content)}}}
		raw := compose(t, d)
		m := scan(t, raw)
		got, err := io.ReadAll(mime.DecodePart(strings.NewReader(raw), m, m.Root.Children[1]))
		if err != nil || string(got) != content {
			t.Errorf("%d octets came back as %d, %v", n, len(got), err)
		}
	}
}

func TestFileNamesOfAnyLengthSurviveComposing(t *testing.T) {
	t.Parallel()
	for n := range 100 {
		name := strings.Repeat("x", n%4) + strings.Repeat("é", n) + ".pdf"
		d := draft()
		d.Attachments = []mime.Attachment{{FileName: name}}
		if got := scan(t, compose(t, d)).Attachments[0]; got != name {
			t.Errorf("%q came back as %q", name, got)
		}
	}
}

// iotestReader hands out odd pieces.
type iotestReader struct{ r io.Reader }

func (i iotestReader) Read(p []byte) (int, error) { return i.r.Read(p[:min(len(p), 61)]) }

func TestBlindRecipientsAreNeverWritten(t *testing.T) {
	t.Parallel()
	d := draft()
	d.To = nil
	if got := scan(t, compose(t, d)); len(got.Envelope.Bcc) > 0 || len(mime.Decoded(got.Envelope.To)) > 0 || len(got.Envelope.To) != 2 {
		t.Errorf("%+v", got.Envelope)
	}
	for _, name := range []string{"Bcc", "bcc", "BCC", "Resent-Bcc"} {
		d.Headers = []mime.HeaderField{{name, "secret@example.test"}}
		refused(t, d, "headers[0].name")
	}
}

// refused checks that the draft is refused with the field named and that nothing was written.
func refused(t *testing.T, d mime.Draft, field string) {
	t.Helper()
	var b bytes.Buffer
	var problem *mime.DraftError
	if err := mime.Compose(&b, d); !errors.As(err, &problem) || problem.Field != field || b.Len() > 0 {
		t.Errorf("%s: %v, %d octets written", field, err, b.Len())
	}
}

func TestControlCharactersInHeadersAreRefused_S5(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"a\r\nBcc: x@y", "a\nb", "a\rb", "a\x00b", "a\tb", "a\x1bb", "a\x7fb", "a\xffb"} {
		for field, set := range map[string]func(*mime.Draft){
			"subject":                     func(d *mime.Draft) { d.Subject = bad },
			"from[0].name":                func(d *mime.Draft) { d.From[0].Name = bad },
			"from[0].email":               func(d *mime.Draft) { d.From[0].Email = bad + "@x" },
			"sender[0].name":              func(d *mime.Draft) { d.Sender = &mime.Address{Name: bad, Email: "a@b"} },
			"reply_to[0].name":            func(d *mime.Draft) { d.ReplyTo = []mime.Address{{Name: bad, Email: "a@b"}} },
			"to[1].name":                  func(d *mime.Draft) { d.To = append(d.To, mime.Address{Name: bad, Email: "a@b"}) },
			"cc[0].email":                 func(d *mime.Draft) { d.Cc = []mime.Address{{Email: "a@b" + bad}} },
			"message_id":                  func(d *mime.Draft) { d.MessageID = bad },
			"in_reply_to":                 func(d *mime.Draft) { d.InReplyTo = bad },
			"references[1]":               func(d *mime.Draft) { d.References = []string{"a@b", bad} },
			"headers[0].value":            func(d *mime.Draft) { d.Headers = []mime.HeaderField{{"X-A", bad}} },
			"headers[0].name":             func(d *mime.Draft) { d.Headers = []mime.HeaderField{{bad, "x"}} },
			"attachments[0].filename":     func(d *mime.Draft) { d.Attachments = []mime.Attachment{{FileName: bad}} },
			"attachments[0].content_type": func(d *mime.Draft) { d.Attachments = []mime.Attachment{{ContentType: bad}} },
			"attachments[0].content_id":   func(d *mime.Draft) { d.Attachments = []mime.Attachment{{ContentID: bad}} },
		} {
			d := draft()
			set(&d)
			refused(t, d, field)
		}
	}
}

func TestDraftsThatCannotBeWrittenAreRefused(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*mime.Draft) {
		return func(d *mime.Draft) { d.Headers = []mime.HeaderField{{name, value}} }
	}
	cases := []struct {
		field string
		set   func(*mime.Draft)
	}{
		{"from", func(d *mime.Draft) { d.From = nil }},
		{"sender", func(d *mime.Draft) { d.From = append(d.From, d.From[0]) }},
		{"date", func(d *mime.Draft) { d.Date = time.Time{} }},
		{"message_id", func(d *mime.Draft) { d.MessageID = "" }},
		{"message_id", func(d *mime.Draft) { d.MessageID = "a> <b" }},
		{"in_reply_to", func(d *mime.Draft) { d.InReplyTo = "é@x" }},
		{"references[0]", func(d *mime.Draft) { d.References = []string{""} }},
		{"references[0]", func(d *mime.Draft) { d.References = []string{strings.Repeat("x", 1000)} }},
		{"to[0].email", func(d *mime.Draft) { d.To[0].Email = "nobody" }},
		{"to[0].email", func(d *mime.Draft) { d.To[0].Email = "a@b, c@d" }},
		{"to[0].email", func(d *mime.Draft) { d.To[0].Email = "a@b>" }},
		{"to[0].email", func(d *mime.Draft) { d.To[0].Email = "odd one@b" }},
		{"to[0].email", func(d *mime.Draft) { d.To[0].Email = `"a" b"@b` }},
		{"to[0].email", func(d *mime.Draft) { d.To[0].Email = "@b" }},
		{"to[0].email", func(d *mime.Draft) { d.To[0].Email = "a@b c" }},
		{"to[0].email", func(d *mime.Draft) { d.To[0].Email = "é@x" }},
		{"to[0].email", func(d *mime.Draft) { d.To[0].Email = strings.Repeat("x", 400) + "@b" }},
		{"to", func(d *mime.Draft) { d.To = make([]mime.Address, 1001) }},
		{"to", func(d *mime.Draft) {
			d.To = slices.Repeat([]mime.Address{{Email: strings.Repeat("x", 300) + "@b"}}, 900)
		}},
		{"subject", func(d *mime.Draft) { d.Subject = strings.Repeat("x ", 60_000) }},
		{"headers", func(d *mime.Draft) { d.Headers = slices.Repeat([]mime.HeaderField{{"X-A", "x"}}, 501) }},
		{"headers[0].name", header("Subject", "x")},
		{"headers[0].name", header("Content-Type", "text/html")},
		{"headers[0].name", header("DKIM-Signature", "x")},
		{"headers[0].name", header("Authentication-Results", "x")},
		{"headers[0].name", header("Received", "x")},
		{"headers[0].name", header("X A", "x")},
		{"headers[0].name", header("X:A", "x")},
		{"headers[0].name", header("Bücher", "x")},
		{"headers[0].name", header("", "x")},
		{"headers[0].value", header("List-Unsubscribe", "<https://exämple.test>")},
		{"headers[0].value", header("List-Unsubscribe", "<https://example.test/"+strings.Repeat("x", 1000)+">")},
		{"text", func(d *mime.Draft) { d.Text = "\xff" }},
		{"html", func(d *mime.Draft) { d.HTML = "\xff" }},
		{"attachments[0].content_type", func(d *mime.Draft) { d.Attachments = []mime.Attachment{{ContentType: "nonsense"}} }},
		{"attachments[0].content_id", func(d *mime.Draft) { d.Attachments = []mime.Attachment{{ContentID: "a b"}} }},
	}
	for _, c := range cases {
		d := draft()
		c.set(&d)
		refused(t, d, c.field)
	}
}

func TestComposePassesErrorsOfItsReadersAndWriters(t *testing.T) {
	t.Parallel()
	d := draft()
	d.Random = nil
	if err := mime.Compose(io.Discard, d); err == nil {
		t.Error("no randomness accepted")
	}
	d = draft()
	d.HTML, d.Random = "x", strings.NewReader("short")
	if err := mime.Compose(io.Discard, d); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("random: %v", err)
	}
	d = draft()
	d.Attachments = []mime.Attachment{{Content: io.MultiReader(strings.NewReader("abc"), brokenReader{})}}
	if err := mime.Compose(io.Discard, d); !errors.Is(err, errBroken) {
		t.Errorf("content: %v", err)
	}
	d = draft()
	d.Text = strings.Repeat("line\n", 5000)
	if err := mime.Compose(brokenWriter{}, d); !errors.Is(err, errBroken) {
		t.Errorf("writer: %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// FuzzCompose puts one string into every header field that takes one: the fields that come out must be those of a harmless
// string, and the text must come back (S-5).
func FuzzCompose(f *testing.F) {
	for _, seed := range []string{
		"hello", "a\r\nBcc: x@y", "a\nb", "a\rb", "\u2028Bcc: x", "a\x00", "=?utf-8?q?=0D=0ABcc:_x?=", `"; x="`, "<a@b>", "a, b@c", "(c", "é", "  a  b ",
		strings.Repeat("x", 2000), strings.Repeat("é ", 500), "a@b", "=?", "\\", "%41'x'", ";:,", "\u0085", "From: x",
	} {
		f.Add(seed)
	}
	set := func(d *mime.Draft, s string) {
		d.Subject = s
		d.From[0].Name = s
		d.To[0].Name = s
		d.Headers = []mime.HeaderField{{"X-Custom", s}}
		d.Attachments = []mime.Attachment{{FileName: s, Content: strings.NewReader("x")}}
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := draft()
		set(&d, s)
		var b bytes.Buffer
		err := mime.Compose(&b, d)
		control := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.ToValidUTF8(s, "") != s
		if err != nil {
			if !control && len(s) < 10_000 {
				t.Fatalf("%q refused: %v", s, err)
			}
			return
		}
		if control {
			t.Fatalf("%q accepted", s)
		}
		raw := b.String()
		checkWire(t, raw)
		harmless := draft()
		set(&harmless, "x")
		want := fieldNames(t, compose(t, harmless))
		if strings.TrimSpace(s) == "" {
			want = slices.DeleteFunc(want, func(name string) bool { return name == "Subject" })
		}
		if diff := cmp.Diff(want, fieldNames(t, raw)); diff != "" {
			t.Fatalf("%q: %s", s, diff)
		}
		m := scan(t, raw)
		e := m.Envelope
		if len(e.From) != 1 || len(e.To) != 1 || e.From[0].Host != "example.test" || shape(m.Root) != "mixed(plain octet-stream)" {
			t.Fatalf("%q: from %+v, to %+v, %s", s, e.From, e.To, shape(m.Root))
		}
		// C1 controls and such come back as they are; outer white space does not.
		trimmed := strings.TrimSpace(s)
		if got := mime.DecodeHeader(e.Subject); got != trimmed {
			t.Fatalf("subject %q came back as %q", trimmed, got)
		}
		if got := mime.DecodeHeader(e.From[0].Name); got != trimmed {
			t.Fatalf("name %q came back as %q", trimmed, got)
		}
	})
}
