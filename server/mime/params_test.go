package mime_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/mime"
)

func TestContentTypeIsReadHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	type params = []mime.Param
	cases := map[string]struct {
		media string
		want  params
	}{
		"text/plain":                           {"text/plain", nil},
		"TEXT/HTML; Charset=\"UTF-8\"":         {"text/html", params{{"charset", "UTF-8"}}},
		"text/plain; charset=us-ascii (plain)": {"text/plain", params{{"charset", "us-ascii"}}},
		"text/plain (a; b) ; charset=utf-8":    {"text/plain", params{{"charset", "utf-8"}}},
		"text/plain;charset=utf-8;;format=flowed;": {
			"text/plain", params{{"charset", "utf-8"}, {"format", "flowed"}},
		},
		"text/plain; charset = utf-8 ; x":         {"text/plain", params{{"charset", "utf-8"}}},
		"text/plain; charset=a; charset=b":        {"text/plain", params{{"charset", "a"}}},
		"application/pdf; name=my file (1).pdf":   {"application/pdf", params{{"name", "my file (1).pdf"}}},
		`application/pdf; name="a;b\"c.pdf"`:      {"application/pdf", params{{"name", `a;b"c.pdf`}}},
		`application/pdf; name="C:\dir\f.pdf"`:    {"application/pdf", params{{"name", `C:\dir\f.pdf`}}},
		`application/pdf; name="open`:             {"application/pdf", params{{"name", "open"}}},
		`application/pdf; name="open; x=y`:        {"application/pdf", params{{"name", "open"}, {"x", "y"}}},
		"application/pdf; name*=utf-8''%e2%82%ac": {"application/pdf", params{{"name", "€"}}},
		"application/pdf; name*=utf-8'en'%e2%82%ac; name=fallback": {
			"application/pdf", params{{"name", "€"}},
		},
		"application/pdf; name*1*=%C3%A9; name*0*=iso-8859-1''caf%E9-; name*2=\".pdf\"": {
			"application/pdf", params{{"name", "café-Ã©.pdf"}},
		},
		"application/pdf; name*0=a; name*1=b; name*2=c": {"application/pdf", params{{"name", "abc"}}},
		"application/pdf; name*=%E9":                    {"application/pdf", params{{"name", "é"}}},
		"application/pdf; name*=utf-8''a%00%0D%0Ab":     {"application/pdf", params{{"name", "ab"}}},
		"application/pdf; name*x=a; name*-1=b; *=c":     {"application/pdf", nil},
		"text":              {"text/plain", nil},
		"text/":             {"text/plain", nil},
		"":                  {"text/plain", nil},
		"garbage; name=x.y": {"text/plain", params{{"name", "x.y"}}},
		"a/b/c":             {"text/plain", nil},
		"\"text/html\"":     {"text/plain", nil},
	}
	for value, c := range cases {
		m := scan(t, "Content-Type: "+value+"\r\n\r\nbody")
		if got := m.Root.MediaType(); got != c.media {
			t.Errorf("%q: media type %q, want %q", value, got, c.media)
		}
		if diff := cmp.Diff(c.want, m.Root.Params); diff != "" {
			t.Errorf("%q (-want +got):\n%s", value, diff)
		}
	}
}

func TestTwentyThousandParametersStopAtTheLimit_L24(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"; x%d=y", "; filename*%d=y", "; filename*%d*=%%41", ";;", "; x", " (;", `;"`, `; "" `} {
		value := strings.Repeat(strings.ReplaceAll(piece, "%d", "0"), 20_000)
		value = value[:min(len(value), mime.MaxHeaderField-100)]
		within(t, piece, func() {
			m := scan(t, "Content-Disposition: attachment"+value+"\r\n\r\nbody")
			if n := len(m.Root.DispParams); n > mime.MaxParams {
				t.Errorf("%q: %d parameters", piece, n)
			}
		})
	}
	m := scan(t, "Content-Disposition: attachment"+strings.Repeat("; a=b", 101)+"\r\n\r\nbody")
	if diff := cmp.Diff([]string{mime.LimitParams}, m.Limits); diff != "" {
		t.Error(diff)
	}
}

func TestFileNamesAreDecodedAndHaveNoFolder(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		`filename="a.pdf"`:                            "a.pdf",
		`filename="../../etc/passwd"`:                 "passwd",
		`filename="C:\Users\x\a.pdf"`:                 "a.pdf",
		`filename="=?utf-8?q?caf=C3=A9.txt?="`:        "café.txt",
		`filename*=utf-8''caf%C3%A9.txt`:              "café.txt",
		`filename=".."`:                               "attachment",
		`filename="/"`:                                "attachment",
		`filename="` + strings.Repeat("é", 200) + `"`: strings.Repeat("é", 127),
		``: "attachment",
	}
	for params, want := range cases {
		m := scan(t, "Content-Disposition: attachment; "+params+"\r\n\r\nbody")
		if diff := cmp.Diff([]string{want}, m.Attachments); diff != "" {
			t.Errorf("%q (-want +got):\n%s", params, diff)
		}
	}
}

func TestDispositionWithoutATypeIsAnAttachment(t *testing.T) {
	t.Parallel()
	m := scan(t, "Content-Disposition: filename=\"a.txt\"; x=y\r\n\r\nbody")
	if p := m.Root; p.Disposition != "attachment" || p.FileName() != "a.txt" || len(p.DispParams) != 2 {
		t.Errorf("%+v", p)
	}
}
