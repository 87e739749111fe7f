package outbound

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

func party(t testing.TB, name, address string) Party {
	t.Helper()
	a, err := mail.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	return Party{Name: name, Address: a}
}

// sound is a draft that uses every field.
func sound(t testing.TB) Draft {
	t.Helper()
	return Draft{
		From: party(t, "Shop", "shop@d.test"), To: []Party{party(t, "Ann", "ann@e.test")}, Cc: []Party{party(t, "", "carl@e.test")},
		Bcc: []Party{party(t, "", "blind@e.test")}, ReplyTo: []Party{party(t, "Desk", "desk@d.test")},
		Subject: "hello", Text: "text", HTML: "<p>html</p>",
		Headers: []Header{{"X-Order", "42"}, {"In-Reply-To", "<1@e.test>"}, {"References", "<0@e.test> <1@e.test>"}, {"List-Id", "<l.d.test>"}},
		Attachments: []Attachment{
			{Filename: "a.txt", ContentType: "text/plain; charset=utf-8", Content: []byte("a")},
			{Filename: "logo.png", ContentType: "image/png", ContentID: "logo", Inline: true, Content: []byte("b")},
		},
		Tags: []Tag{{"kind", "receipt"}}, Metadata: map[string]string{"order": "42"},
	}
}

func TestASoundDraftIsNotRefused(t *testing.T) {
	t.Parallel()
	d := sound(t)
	if err := d.check(3); err != nil {
		t.Fatal(err)
	}
}

// manyParties makes n different recipients.
func manyParties(n int) []Party {
	out := make([]Party, n)
	for i := range out {
		out[i].Address = mail.Address{Local: fmt.Sprintf("u%d", i), Domain: "e.test"}
	}
	return out
}

func TestBadInputOfASendIsRefusedAtItsPlace(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	for name, tc := range map[string]struct {
		change      func(*Draft)
		field, code string
	}{
		"no sender":                   {func(d *Draft) { d.From = Party{} }, "body.from", "validation-failed"},
		"sender beyond ASCII":         {func(d *Draft) { d.From.Address.Local = "jörg" }, "body.from", "validation-failed"},
		"sender's domain":             {func(d *Draft) { d.From.Address.Domain = "a_b.test" }, "body.from", "validation-failed"},
		"line break in sender's name": {func(d *Draft) { d.From.Name = "a\r\nBcc: x@e.test" }, "body.from", "validation-failed"},
		"no recipients":               {func(d *Draft) { d.To, d.Cc, d.Bcc = nil, nil, nil }, "body.to", "recipient-invalid"},
		"too many recipients":         {func(d *Draft) { d.Bcc = manyParties(5) }, "body.to", "validation-failed"},
		"recipient that is none":      {func(d *Draft) { d.To = append(d.To, Party{Name: "x"}) }, "body.to[1]", "recipient-invalid"},
		"recipient beyond ASCII":      {func(d *Draft) { d.Cc[0].Address.Local = "jörg" }, "body.cc[0]", "recipient-invalid"},
		"bcc's domain":                {func(d *Draft) { d.Bcc[0].Address.Domain = "-" }, "body.bcc[0]", "recipient-invalid"},
		"reply_to":                    {func(d *Draft) { d.ReplyTo = []Party{{}} }, "body.reply_to[0]", "recipient-invalid"},
		"too many reply_to":           {func(d *Draft) { d.ReplyTo = manyParties(101) }, "body.reply_to", "validation-failed"},
		"line break in a name":        {func(d *Draft) { d.To[0].Name = "a\nb" }, "body.to[0]", "validation-failed"},
		"line break in the subject":   {func(d *Draft) { d.Subject = "a\r\nBcc: x@e.test" }, "body.subject", "validation-failed"},
		"NUL in the subject":          {func(d *Draft) { d.Subject = "a\x00" }, "body.subject", "validation-failed"},
		"line separator":              {func(d *Draft) { d.Subject = "a\u2028b" }, "body.subject", "validation-failed"},
		"subject not UTF-8":           {func(d *Draft) { d.Subject = "\xff" }, "body.subject", "validation-failed"},
		"subject too long":            {func(d *Draft) { d.Subject = strings.Repeat("x", 999) }, "body.subject", "validation-failed"},
		"no body":                     {func(d *Draft) { d.Text, d.HTML = "", "" }, "body.text", "validation-failed"},
		"NUL in the text":             {func(d *Draft) { d.Text = "a\x00" }, "body.text", "validation-failed"},
		"HTML not UTF-8":              {func(d *Draft) { d.HTML = "\xff" }, "body.html", "validation-failed"},
		"line break in a header":      {func(d *Draft) { d.Headers[0].Value = "a\r\n b" }, "body.headers.X-Order", "validation-failed"},
		"header too long":             {func(d *Draft) { d.Headers[0].Value = long }, "body.headers.X-Order", "validation-failed"},
		"line break in a name of one": {func(d *Draft) { d.Headers[0].Name = "X-A:\r\nBcc" }, "body.headers", "validation-failed"},
		"name of a header too long":   {func(d *Draft) { d.Headers[0].Name = "X-" + strings.Repeat("a", 63) }, "body.headers", "validation-failed"},
		"header given twice":          {func(d *Draft) { d.Headers[1] = Header{"x-ORDER", "1"} }, "body.headers.x-ORDER", "validation-failed"},
		"too many headers":            {func(d *Draft) { d.Headers = make([]Header, 101) }, "body.headers", "validation-failed"},
		"In-Reply-To":                 {func(d *Draft) { d.Headers[1].Value = "<1@e.test> <2@e.test>" }, "body.headers.In-Reply-To", "validation-failed"},
		"References":                  {func(d *Draft) { d.Headers[2].Value = "1@e.test" }, "body.headers.References", "validation-failed"},
		"no file name":                {func(d *Draft) { d.Attachments[0].Filename = "" }, "body.attachments[0].filename", "validation-failed"},
		"line break in a file name":   {func(d *Draft) { d.Attachments[0].Filename = "a\r\nX: y" }, "body.attachments[0].filename", "validation-failed"},
		"media type":                  {func(d *Draft) { d.Attachments[1].ContentType = "png" }, "body.attachments[1].content_type", "validation-failed"},
		"line break in a media type":  {func(d *Draft) { d.Attachments[1].ContentType = "image/png\r\nX: y" }, "body.attachments[1].content_type", "validation-failed"},
		"container as a file":         {func(d *Draft) { d.Attachments[1].ContentType = "Message/RFC822" }, "body.attachments[1].content_type", "validation-failed"},
		"content id":                  {func(d *Draft) { d.Attachments[1].ContentID = "a>\r\nX: y" }, "body.attachments[1].content_id", "validation-failed"},
		"too many attachments":        {func(d *Draft) { d.Attachments = make([]Attachment, 101) }, "body.attachments", "validation-failed"},
		"tag without a name":          {func(d *Draft) { d.Tags[0].Name = "" }, "body.tags[0].name", "validation-failed"},
		"line break in a tag":         {func(d *Draft) { d.Tags[0].Value = "a\nb" }, "body.tags[0].value", "validation-failed"},
		"too many tags":               {func(d *Draft) { d.Tags = make([]Tag, 11) }, "body.tags", "validation-failed"},
		"NUL in the metadata":         {func(d *Draft) { d.Metadata["a\x00"] = "b" }, "body.metadata", "validation-failed"},
		"metadata too large":          {func(d *Draft) { d.Metadata["a"] = long + long }, "body.metadata", "validation-failed"},
	} {
		d := sound(t)
		tc.change(&d)
		err := d.check(4)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Field != tc.field || f.Code != tc.code {
			t.Errorf("%s: got %#v, want %s at %s", name, err, tc.code, tc.field)
			continue
		}
		if strings.Contains(f.Text, "Bcc: x") || strings.ContainsAny(f.Text, "\r\n\x00") {
			t.Errorf("%s: the answer repeats the input: %q", name, f.Text)
		}
	}
}

// S-5: nobody sets a field that names a sender, a recipient, a signature or a hop.
func TestHeadersThatAreOursToWriteCannotBeSet_S5(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"From", "from", "Sender", "To", "CC", "Bcc", "Reply-To", "Subject", "Date", "Message-ID", "Return-Path", "Received", "Delivered-To",
		"DKIM-Signature", "ARC-Seal", "Authentication-Results", "Received-SPF", "Resent-From", "Resent-Bcc", "Content-Type", "MIME-Version",
		"Content-Transfer-Encoding", "Apparently-To", "Disposition-Notification-To", "Errors-To", "Status", "Xfoo",
	} {
		d := sound(t)
		d.Headers = []Header{{name, "x@e.test"}}
		if err := d.check(4); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestThousandsOfMistakesGiveAShortAnswer(t *testing.T) {
	t.Parallel()
	d := sound(t)
	d.To = make([]Party, 1000)
	var f *fault.Error
	if err := d.check(2000); !errors.As(err, &f) || len(f.Details) != maxFindings {
		t.Fatalf("%d findings", len(f.Details))
	}
}

// S-47: a domain is folded; the caller's lists are left alone.
func TestDomainsOfADraftAreFolded_S47(t *testing.T) {
	t.Parallel()
	d := sound(t)
	d.From = party(t, "", "Shop@Bücher.TEST")
	to := []Party{party(t, "", "Ann@BÜCHER.test"), party(t, "", "ann@xn--bcher-kva.test"), party(t, "", "Ann@xn--bcher-kva.test")}
	d.To, d.Cc, d.Bcc = to, nil, nil
	if err := d.check(4); err != nil {
		t.Fatal(err)
	}
	if d.From.Address.String() != "Shop@xn--bcher-kva.test" || to[0].Address.Domain != "bücher.test" {
		t.Fatalf("from %s; the caller's list holds %s", d.From.Address, to[0].Address)
	}
	var got []string
	for _, r := range d.recipients() {
		got = append(got, r.Address.String())
	}
	if want := []string{"Ann@xn--bcher-kva.test", "ann@xn--bcher-kva.test"}; !slices.Equal(got, want) {
		t.Fatalf("recipients %q, want %q: strangers' local parts are compared byte for byte", got, want)
	}
}
