package mime_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/mime"
)

// sectionMessage is shaped like the example of RFC 9051 §6.4.5.1.
const sectionMessage = `Subject: top
Content-Type: multipart/mixed; boundary=a

--a
Content-Type: text/plain

one
--a
Content-Type: application/octet-stream

two
--a
Content-Type: message/rfc822

Subject: three
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

three.one
--b
Content-Type: application/octet-stream

three.two
--b--
--a
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: image/gif

four.one
--c
Content-Type: message/rfc822

Subject: four.two
Content-Type: text/html

four.two.one
--c--
--a--
`

func TestSectionsAreThoseOfRFC9051(t *testing.T) {
	t.Parallel()
	raw := crlf(sectionMessage)
	top := strings.Index(raw, "--a")
	plain := crlf("Subject: top\n\nbody\n")
	whole := crlf("Content-Type: message/rfc822\n\nSubject: in\n\nbody\n")
	cases := []struct {
		raw  string
		path []int
		spec string
		want string // "-" means no such section
	}{
		{raw, nil, "", raw},
		{raw, nil, "HEADER", crlf("Subject: top\nContent-Type: multipart/mixed; boundary=a\n\n")},
		{raw, nil, "TEXT", raw[top:]},
		{raw, nil, "MIME", "-"},
		{raw, []int{1}, "", "one"},
		{raw, []int{1}, "MIME", crlf("Content-Type: text/plain\n\n")},
		{raw, []int{1}, "HEADER", "-"},
		{raw, []int{1}, "TEXT", "-"},
		{raw, []int{1, 1}, "", "-"},
		{raw, []int{2}, "", "two"},
		{raw, []int{3}, "", raw[strings.Index(raw, "Subject: three") : strings.Index(raw, "--b--")+5]},
		{raw, []int{3}, "MIME", crlf("Content-Type: message/rfc822\n\n")},
		{raw, []int{3}, "HEADER", crlf("Subject: three\nContent-Type: multipart/mixed; boundary=b\n\n")},
		{raw, []int{3}, "TEXT", raw[strings.Index(raw, "--b") : strings.Index(raw, "--b--")+5]},
		{raw, []int{3, 1}, "", "three.one"},
		{raw, []int{3, 2}, "", "three.two"},
		{raw, []int{3, 2}, "MIME", crlf("Content-Type: application/octet-stream\n\n")},
		{raw, []int{3, 3}, "", "-"},
		{raw, []int{4}, "", raw[strings.Index(raw, "--c") : strings.Index(raw, "--c--")+5]},
		{raw, []int{4}, "HEADER", "-"},
		{raw, []int{4, 1}, "", "four.one"},
		{raw, []int{4, 2}, "HEADER", crlf("Subject: four.two\nContent-Type: text/html\n\n")},
		{raw, []int{4, 2}, "TEXT", "four.two.one"},
		{raw, []int{4, 2, 1}, "", "four.two.one"},
		{raw, []int{4, 2, 1}, "MIME", crlf("Subject: four.two\nContent-Type: text/html\n\n")},
		{raw, []int{4, 2, 2}, "", "-"},
		{raw, []int{4, 2, 1, 1}, "", "-"},
		{raw, []int{0}, "", "-"},
		{raw, []int{-1}, "", "-"},
		{raw, []int{5}, "", "-"},
		{raw, []int{1}, "NONSENSE", "-"},
		{plain, []int{1}, "", crlf("body\n")},
		{plain, []int{1}, "MIME", crlf("Subject: top\n\n")},
		{plain, []int{2}, "", "-"},
		{plain, []int{1, 1}, "", "-"},
		{plain, nil, "TEXT", crlf("body\n")},
		{whole, []int{1}, "", crlf("Subject: in\n\nbody\n")},
		{whole, []int{1}, "HEADER", crlf("Subject: in\n\n")},
		{whole, []int{1, 1}, "", crlf("body\n")},
	}
	prefix := crlf("Return-Path: <x@y>\nReceived: by us\n")
	for _, c := range cases {
		m := scan(t, c.raw)
		if got := section(m, c.raw, c.path, c.spec); got != c.want {
			t.Errorf("BODY[%v.%s] = %q, want %q", c.path, c.spec, got, c.want)
		}
		// With a trace block in front only what contains the top header grows (D-8).
		want := c.want
		if len(c.path) == 0 && c.spec != "TEXT" && want != "-" || c.raw == plain && c.spec == "MIME" {
			want = prefix + want
		}
		if got := section(m.WithPrefix(int64(len(prefix))), prefix+c.raw, c.path, c.spec); got != want {
			t.Errorf("with prefix: BODY[%v.%s] = %q, want %q", c.path, c.spec, got, want)
		}
	}
}

func section(m *mime.Message, raw string, path []int, spec string) string {
	start, end, ok := m.Section(path, spec)
	if !ok {
		return "-"
	}
	return raw[start:end]
}

func TestPrefixedMessageIsTheSameAsScanningTheStoredFile(t *testing.T) {
	t.Parallel()
	raw := crlf(sectionMessage)
	prefix := crlf("Return-Path: <x@y>\nReceived: by us\n")
	shifted, again := scan(t, raw).WithPrefix(int64(len(prefix))), scan(t, prefix+raw)
	if shifted.Size != again.Size || structureOf(shifted) != structureOf(again) {
		t.Errorf("sizes %d and %d", shifted.Size, again.Size)
	}
	if twice := shifted.WithPrefix(5); twice.Size != int64(len(raw)+5) || shifted.Prefix != int64(len(prefix)) {
		t.Errorf("second prefix: size %d, first has %d", twice.Size, shifted.Prefix)
	}
	for _, path := range [][]int{nil, {1}, {2}, {3}, {3, 1}, {3, 2}, {4}, {4, 1}, {4, 2}, {4, 2, 1}} {
		for _, spec := range []string{"", "HEADER", "TEXT", "MIME"} {
			if got, want := section(shifted, prefix+raw, path, spec), section(again, prefix+raw, path, spec); got != want {
				t.Errorf("BODY[%v.%s]: %q and %q", path, spec, got, want)
			}
		}
	}
	text, err := mime.Text(strings.NewReader(prefix+raw), shifted, 100)
	if err != nil || text != "one\nthree.one\nfour.two.one" {
		t.Errorf("text %q, %v", text, err)
	}
}

func TestHeaderSubsetKeepsOrderAndBytes(t *testing.T) {
	t.Parallel()
	raw := crlf("From: a@b\nSubject: one\n two\nfrom : second\njunk line\nX-Last: z\n\nbody")
	prefix := crlf("Received: by us\n")
	m := scan(t, raw).WithPrefix(int64(len(prefix)))
	cases := []struct {
		names []string
		not   bool
		want  string
	}{
		{[]string{"FROM"}, false, "From: a@b\nfrom : second\n\n"},
		{[]string{"x-last", "subject", "absent"}, false, "Subject: one\n two\nX-Last: z\n\n"},
		{[]string{"absent"}, false, "\n"},
		{nil, false, "\n"},
		{[]string{"from", "received"}, true, "Subject: one\n two\njunk line\nX-Last: z\n\n"},
		{nil, true, "Received: by us\nFrom: a@b\nSubject: one\n two\nfrom : second\njunk line\nX-Last: z\n\n"},
		{[]string{""}, true, "Received: by us\nFrom: a@b\nSubject: one\n two\nfrom : second\njunk line\nX-Last: z\n\n"},
	}
	for _, c := range cases {
		got, err := mime.HeaderSubset(strings.NewReader(prefix+raw), m, m.Root, c.names, c.not)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(crlf(c.want), string(got)); diff != "" {
			t.Errorf("%q not %v (-want +got):\n%s", c.names, c.not, diff)
		}
	}
	fields, err := mime.Header(strings.NewReader(prefix+raw), m, m.Root)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if string(f.Raw) != (prefix + raw)[f.Start:f.End] {
			t.Errorf("field %q is not at %d..%d", f.Raw, f.Start, f.End)
		}
	}
	if f := fields[2]; f.Name != "Subject" || f.Value() != "one two" {
		t.Errorf("%q %q", f.Name, f.Value())
	}
}

func TestHeaderSubsetOfAHeaderWithoutEndIsStillAHeader(t *testing.T) {
	t.Parallel()
	raw := "From: a@b"
	got, err := mime.HeaderSubset(strings.NewReader(raw), scan(t, raw), scan(t, raw).Root, []string{"from"}, false)
	if err != nil || string(got) != "From: a@b\r\n\r\n" {
		t.Errorf("%q, %v", got, err)
	}
}
