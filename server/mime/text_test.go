package mime_test

import (
	"io"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mime"
)

func TestTextIsDecodedForSearchAndDisplay(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ raw, want string }{
		"plain":            {"\nhello\nworld\n", "hello\nworld\n"},
		"latin1":           {"Content-Type: text/plain; charset=iso-8859-1\n\ncaf\xe9", "café"},
		"no charset":       {"\ncaf\xe9", "café"},
		"utf-8 no label":   {"\ncafé", "café"},
		"bad utf-8":        {"Content-Type: text/plain; charset=utf-8\n\na\xffb", "a\uFFFDb"},
		"bom":              {"Content-Type: text/plain; charset=utf-8\n\n\ufeffa", "a"},
		"controls":         {"\na\x00b\x1b[1mc\x7f\td", "ab[1mc\td"},
		"qp":               {"Content-Transfer-Encoding: quoted-printable\n\na=\nb=3D=C3=A9 \t\nc=zz=", "ab=é\nc=zz"},
		"qp lower, LF":     {"Content-Transfer-Encoding: Quoted-Printable\n\n=c3=a9= \nx", "éx"},
		"base64":           {"Content-Transfer-Encoding: base64\n\naGVs\nbG8=\n", "hello"},
		"base64 with dirt": {"Content-Transfer-Encoding: base64\n\na!G V\nsbG8==IQ\n-- \n", "hello!"},
		"base64 cut":       {"Content-Transfer-Encoding: base64\n\naGVsbG", "hell"},
		"unknown cte":      {"Content-Transfer-Encoding: x-rot13\n\nuryyb", "uryyb"},
		"html":             {"Content-Type: text/html\n\n<html><head><title>T</title><style>p{}</style></head><body><p>Hi&nbsp;&amp; <b>bo</b>ld</p><script>x()</script><div>two<br>three</div><td>a</td><td>b</td><img alt='pic' src=x></body>", "Hi & bold\ntwo\nthree\na b pic"},
		"html open style":  {"Content-Type: text/html\n\n<p>a</p><style>p{}", "a"},
		"html meta":        {"Content-Type: text/html\n\n<meta charset=koi8-r><p>\xf0\xd2\xc9", "При"},
		"html entities":    {"Content-Type: text/html\n\n&lt;b&gt; &#128512; &unknown; <", "<b> 😀 &unknown; <"},
		"image":            {"Content-Type: image/png\n\nabc", ""},
		"two parts": {
			"Content-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b\nContent-Type: text/html\n\n<p>two\n--b\nContent-Type: image/png\n\nthree\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\nfour\n--b--\n",
			"one\ntwo\nfour",
		},
	}
	for name, c := range cases {
		raw := crlf(c.raw)
		got, err := mime.Text(strings.NewReader(raw), scan(t, raw), 1000)
		if got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestTextKeepsItsLimitAndWholeRunes(t *testing.T) {
	t.Parallel()
	raw := "Content-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("é", 1000)
	for limit := range 20 {
		got, err := mime.Text(strings.NewReader(raw), scan(t, raw), limit)
		if want := strings.Repeat("é", limit/2); got != want || err != nil {
			t.Errorf("limit %d: %q, %v", limit, got, err)
		}
	}
}

func TestPreviewIsWhatAReaderSeesFirst(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ raw, want string }{
		"plain": {"\n  Hello,\n\n\tworld \n", "Hello, world"},
		"long":  {"\n" + strings.Repeat("ab ", 100), strings.Repeat("ab ", 66) + "ab"},
		"html":  {"Content-Type: text/html\n\n<p>&zwnj;&nbsp;&#847;Hello</p><p>world", "Hello world"},
		"empty plain, html": {
			"Content-Type: multipart/alternative; boundary=b\n\n--b\n\n \n--b\nContent-Type: text/html\n\n<p>two\n--b--\n", "two",
		},
		"attachment is no text": {"Content-Type: text/plain; name=x.txt\nContent-Disposition: attachment\n\nsecret", ""},
		"no text":               {"Content-Type: image/png\n\nabc", ""},
	}
	for name, c := range cases {
		if got := scan(t, crlf(c.raw)).Preview; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAttachmentsAreTheFilesAReaderWouldList(t *testing.T) {
	t.Parallel()
	raw := crlf(`Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

hello
--b
Content-Type: application/pdf; name=a.pdf

--b
Content-Type: image/png; name=logo.png
Content-ID: <logo@x>
Content-Disposition: inline; filename=logo.png

--b
Content-Type: text/plain; name=notes.txt

--b
Content-Type: message/rfc822

Subject: forwarded

x
--b
Content-Type: application/octet-stream

--b
Content-Type: application/pgp-signature

--b--
`)
	got := strings.Join(scan(t, raw).Attachments, " ")
	if want := "a.pdf notes.txt message.eml attachment"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	many := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
		strings.Repeat("--b\r\nContent-Type: image/png; name=x.png\r\n\r\n\r\n", 200)
	if n := len(scan(t, many).Attachments); n != 50 {
		t.Errorf("%d names", n)
	}
}

func TestDecodingDoesNotDependOnHowMuchIsReadAtOnce(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"qp":     "Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=C3=A9 x  \ny=\n= \t\nz=\n", 1000) + strings.Repeat(" ", 5000) + "e",
		"base64": "Content-Transfer-Encoding: base64\n\n" + strings.Repeat("aGVsbG8sIHdvcmxk\naGk=\n", 1000),
		"latin1": "Content-Type: text/plain; charset=iso-8859-1\n\n" + strings.Repeat("caf\xe9\n", 3000),
	} {
		raw = crlf(raw)
		m := scan(t, raw)
		whole, err := io.ReadAll(mime.DecodePart(strings.NewReader(raw), m, m.Root))
		if err != nil || len(whole) == 0 {
			t.Fatalf("%s: %v", name, err)
		}
		for _, step := range []int{1, 2, 3, 7, 4096, 5000} {
			got, err := io.ReadAll(mime.DecodePart(stutter{strings.NewReader(raw), step}, m, m.Root))
			if err != nil || string(got) != string(whole) {
				t.Errorf("%s: read %d at once: %d octets, not %d, %v", name, step, len(got), len(whole), err)
			}
		}
	}
}

// stutter reads at most step octets at once.
type stutter struct {
	r    io.ReaderAt
	step int
}

func (s stutter) ReadAt(p []byte, off int64) (int, error) {
	return s.r.ReadAt(p[:min(len(p), s.step)], off)
}

func TestHostileHTMLTakesLinearTime(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"<", "<!--", "<a ", "<p>", "&", "&#", "</", "<style>", "<title>", "<![CDATA[", "<a b='", "<svg><title>", "<textarea>"} {
		raw := "Content-Type: text/html\r\n\r\n" + strings.Repeat(piece, (1<<20)/len(piece))
		within(t, piece, func() {
			if _, err := mime.Text(strings.NewReader(raw), scan(t, raw), 1<<20); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBodyPartsForTheAPI(t *testing.T) {
	t.Parallel()
	raw := crlf("Content-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b\nContent-Type: text/html\n\n<p>two\n--b--\n")
	m := scan(t, raw)
	if m.TextPart() != m.Root.Children[0] || m.HTMLPart() != m.Root.Children[1] {
		t.Errorf("%+v %+v", m.TextPart(), m.HTMLPart())
	}
	if !m.Root.Children[0].KnownEncoding() || (&mime.Part{Encoding: "x-uuencode"}).KnownEncoding() {
		t.Error("known encodings")
	}
}
