package mime_test

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	_ "github.com/emersion/go-message/charset" // lets the library read koi8-r
	"github.com/emersion/go-message/textproto"
	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/mime"
)

// TestScannerAgreesWithGoMessageOnWellFormedMail compares structures and envelopes of generated mail with those of another
// implementation.
func TestScannerAgreesWithGoMessageOnWellFormedMail(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		g := &generator{rnd: rand.New(rand.NewPCG(seed, 7))}
		raw := g.message(0)
		m := scan(t, raw)
		checkMessage(t, raw, m)
		want := imapserver.ExtractBodyStructure(strings.NewReader(raw))
		if diff := cmp.Diff(theirs(want), ours(m.Root)); diff != "" {
			t.Fatalf("seed %d (-theirs +ours):\n%s\n%s", seed, diff, raw)
		}
		header, err := textproto.ReadHeader(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(theirEnvelope(imapserver.ExtractEnvelope(header)), ourEnvelope(m.Envelope)); diff != "" {
			t.Fatalf("seed %d (-theirs +ours):\n%s\n%s", seed, diff, raw)
		}
		compareSections(t, raw, m, want)
	}
}

// compareSections holds the bytes of every part against those the library extracts.
func compareSections(t *testing.T, raw string, m *mime.Message, structure imap.BodyStructure) {
	t.Helper()
	structure.Walk(func(path []int, _ imap.BodyStructure) bool {
		for spec, item := range map[string]imap.PartSpecifier{"": imap.PartSpecifierNone, "MIME": imap.PartSpecifierMIME} {
			if len(path) == 0 {
				continue
			}
			want := imapserver.ExtractBodySection(strings.NewReader(raw), &imap.FetchItemBodySection{Part: path, Specifier: item})
			got := section(m, raw, path, spec)
			if spec == "MIME" {
				want, got = bytes.ToLower(want), strings.ToLower(got) // the library rewrites field names
			}
			if string(want) != got {
				t.Fatalf("BODY[%v.%s]: theirs %q, ours %q\n%s", path, spec, want, got, raw)
			}
		}
		return true
	})
}

// generator writes well-formed messages.
type generator struct {
	rnd   *rand.Rand
	count int
}

func (g *generator) pick(choices ...string) string { return choices[g.rnd.IntN(len(choices))] }

func (g *generator) maybe(s string) string {
	if g.rnd.IntN(2) == 0 {
		return ""
	}
	return s
}

func (g *generator) message(depth int) string {
	address := func() string {
		return g.pick("a@b.test", "<c@d.test>", "Ann Lee <ann@x.test>", `"Lee, Ann" <ann@x.test>`,
			"=?utf-8?q?J=C3=BCrgen?= <j@x.test>", "=?iso-8859-1?b?SvxyZ2Vu?= <j@x.test>", "bob@y.test (Bob)")
	}
	list := func() string {
		return g.pick(address(), address()+", "+address(), address()+",\r\n "+address()+",\r\n\t"+address())
	}
	head := "From: " + address() + "\r\n" + g.maybe("Sender: "+address()+"\r\n") + g.maybe("Reply-To: "+list()+"\r\n") +
		g.maybe("To: "+list()+"\r\n") + g.maybe("Cc: "+list()+"\r\n") + g.maybe("Bcc: "+list()+"\r\n") +
		"Subject: " + g.pick("hello", "hello\r\n world", "=?utf-8?q?caf=C3=A9?=", "a =?utf-8?b?w6k=?= b", "=?koi8-r?b?8NLJ18XU?=") + "\r\n" +
		"Date: Fri, 20 Nov 2026 09:30:00 +0100\r\n" + g.maybe("Message-ID: <m1@x.test>\r\n") +
		g.maybe("In-Reply-To: <m0@x.test>\r\n") + g.maybe("References: <r@x.test>\r\n <m0@x.test>\r\n")
	return head + g.part(depth)
}

// part is a MIME header, blank line and body.
func (g *generator) part(depth int) string {
	kind := g.rnd.IntN(6)
	if depth > 4 {
		kind %= 4
	}
	head := g.maybe("Content-ID: <id@x.test>\r\n") + g.maybe("Content-Description: some text\r\n") +
		g.maybe("Content-Location: http://x.test/\r\n") + g.maybe("Content-Language: "+g.pick("en", "en, de")+"\r\n") +
		g.maybe("Content-Disposition: "+g.pick("inline", "attachment; filename=\"a b.txt\"; size=3",
			"ATTACHMENT;\r\n filename*=utf-8''%c3%a9.txt", "attachment; filename*0=a; filename*1=b.txt")+"\r\n")
	switch kind {
	case 0:
		return head + "\r\n" + g.text()
	case 1:
		return head + "Content-Type: text/" + g.pick("plain; charset=utf-8", "html; charset=\"us-ascii\"", "CSV; Header=present") + "\r\n" +
			g.maybe("Content-Transfer-Encoding: "+g.pick("8bit", "quoted-printable", "base64")+"\r\n") + "\r\n" + g.text()
	case 2, 3:
		return head + "Content-Type: " + g.pick("image/png; name=x.png", "application/pdf;\r\n\tname=\"a;b.pdf\"", "application/octet-stream") +
			"\r\n" + g.maybe("Content-Transfer-Encoding: base64\r\n") + "\r\n" + g.text()
	case 4:
		return head + "Content-Type: message/rfc822\r\n\r\n" + g.message(depth+1)
	}
	g.count++
	boundary := fmt.Sprintf("%s%d", g.pick("=_b", "a b", "(x)", "--"), g.count)
	out := head + "Content-Type: multipart/" + g.pick("mixed", "alternative", "related") + "; boundary=\"" + boundary + "\"\r\n\r\n" + g.maybe("preamble\r\n")
	for range 1 + g.rnd.IntN(3) {
		out += "--" + boundary + "\r\n" + g.part(depth+1) + "\r\n"
	}
	return out + "--" + boundary + "--\r\n" + g.maybe("epilogue\r\n")
}

func (g *generator) text() string {
	return g.pick("", "one line", "two\r\nlines\r\n", "--\r\nsignature\r\n", "\r\n\r\n", "-- \r\nx") + g.maybe(strings.Repeat("more text\r\n", 20))
}

// flat is what both sides know about a part.
type flat struct {
	Type, ID, Description, Encoding, Disposition, Location string
	Params, DispParams                                     map[string]string
	Language                                               []string
	Size, Lines                                            int64
	Envelope                                               *flatEnvelope
	Children                                               []flat
}

type flatEnvelope struct {
	Date, Subject, MessageID, InReplyTo string
	Lists                               [6][]mime.Address
}

func ours(p *mime.Part) flat {
	f := flat{
		Type: p.MediaType(), ID: p.ID, Description: p.Description, Encoding: p.Encoding, Disposition: p.Disposition,
		Location: p.Location, Params: paramMap(p.Params), DispParams: paramMap(p.DispParams), Language: p.Language,
	}
	if !p.IsMultipart() {
		f.Size, f.Lines = p.Size(), p.Lines
	} else {
		f.ID, f.Description, f.Encoding = "", "", ""
	}
	if p.Envelope != nil {
		f.Envelope = ourEnvelope(p.Envelope)
	}
	for _, child := range p.Children {
		f.Children = append(f.Children, ours(child))
	}
	return f
}

func paramMap(list []mime.Param) map[string]string {
	m := map[string]string{}
	for _, p := range list {
		m[p.Name] = p.Value
	}
	return m
}

func theirs(bs imap.BodyStructure) flat {
	f := flat{Type: bs.MediaType(), Params: map[string]string{}, DispParams: map[string]string{}}
	if d := bs.Disposition(); d != nil {
		f.Disposition = strings.ToLower(d.Value)
		maps.Copy(f.DispParams, d.Params)
	}
	params := map[string]string{}
	switch bs := bs.(type) {
	case *imap.BodyStructureMultiPart:
		params = bs.Extended.Params
		f.Language, f.Location = bs.Extended.Language, bs.Extended.Location
		for _, child := range bs.Children {
			f.Children = append(f.Children, theirs(child))
		}
	case *imap.BodyStructureSinglePart:
		params = bs.Params
		f.ID, f.Description, f.Encoding, f.Size = bs.ID, bs.Description, strings.ToLower(bs.Encoding), int64(bs.Size)
		f.Language, f.Location = bs.Extended.Language, bs.Extended.Location
		if bs.Text != nil {
			f.Lines = bs.Text.NumLines
		}
		if bs.MessageRFC822 != nil {
			f.Lines = bs.MessageRFC822.NumLines
			f.Envelope = theirEnvelope(bs.MessageRFC822.Envelope)
			f.Children = []flat{theirs(bs.MessageRFC822.BodyStructure)}
		}
	}
	maps.Copy(f.Params, params)
	return f
}

func ourEnvelope(e *mime.Envelope) *flatEnvelope {
	date, _ := e.Time()
	id := func(s string) string { return strings.Trim(s, "<>") }
	return &flatEnvelope{
		Date: date.UTC().String(), Subject: mime.DecodeHeader(e.Subject), MessageID: id(e.MessageID), InReplyTo: id(e.InReplyTo),
		Lists: [6][]mime.Address{
			mime.Decoded(e.From), mime.Decoded(e.Sender), mime.Decoded(e.ReplyTo), mime.Decoded(e.To), mime.Decoded(e.Cc), mime.Decoded(e.Bcc),
		},
	}
}

func theirEnvelope(e *imap.Envelope) *flatEnvelope {
	f := &flatEnvelope{Date: e.Date.UTC().String(), Subject: e.Subject, MessageID: e.MessageID, InReplyTo: strings.Join(e.InReplyTo, " ")}
	for i, list := range [...][]imap.Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		for _, a := range list {
			f.Lists[i] = append(f.Lists[i], mime.Address{Name: a.Name, Email: a.Mailbox + "@" + a.Host})
		}
	}
	return f
}
