package mime_test

import (
	"io"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mime"
)

// FuzzScan holds the promises of the package for any input: no panic, offsets in order and inside, children inside their
// parent, well-formed IMAP, a faithful stored form, readable sections, header bytes complete.
func FuzzScan(f *testing.F) {
	for _, raw := range corpus(f) {
		f.Add(raw)
	}
	for _, raw := range []string{"", "\r\n\r\n", "a", ":\r\n", crlf(sectionMessage), "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		m := scan(t, raw)
		checkMessage(t, raw, m)
		r := strings.NewReader(raw)
		if text, err := mime.Text(r, m, 500); err != nil || len(text) > 500 || strings.ContainsRune(text, 0) {
			t.Fatalf("text of %d octets, %v", len(text), err)
		}
		m.Root.Walk(func(p *mime.Part) bool {
			if _, err := io.Copy(io.Discard, mime.DecodePart(r, m, p)); err != nil {
				t.Fatal(err)
			}
			fields, err := mime.Header(r, m, p)
			if err != nil {
				t.Fatal(err)
			}
			at := p.HeaderStart
			for _, field := range fields {
				if field.Start != at || string(field.Raw) != raw[field.Start:field.End] {
					t.Fatalf("field %d..%d after %d", field.Start, field.End, at)
				}
				at = field.End
			}
			if rest := raw[at:p.BodyStart]; strings.Trim(rest, "\r\n") != "" && len(raw) < mime.MaxHeaderBlock {
				t.Fatalf("header bytes %q are in no field", rest)
			}
			return true
		})
		walkSections(t, raw, m, nil, 0)
	})
}

func walkSections(t *testing.T, raw string, m *mime.Message, path []int, depth int) {
	t.Helper()
	for _, spec := range []string{"", mime.SpecHeader, mime.SpecText, mime.SpecMIME} {
		if start, end, ok := m.Section(path, spec); ok && (start < 0 || start > end || end > int64(len(raw))) {
			t.Fatalf("BODY[%v.%s] is %d..%d of %d", path, spec, start, end, len(raw))
		}
	}
	for n := 1; n < 4 && depth < 4; n++ {
		if next := append(append([]int(nil), path...), n); m.Lookup(next) != nil {
			walkSections(t, raw, m, next, depth+1)
		}
	}
}

// FuzzDecodeHeader holds that decoded text is one clean line.
func FuzzDecodeHeader(f *testing.F) {
	for _, seed := range []string{"=?utf-8?q?a=0Ab?=", "=?utf-8?b?w6k=?= =?utf-8?b?w6k=?=", "=?iso-2022-jp?b?GyRC?=", "\xff\x00", "=?utf-16?b?AAA=?=", "=?hz?q?~{?="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := mime.DecodeHeader(raw)
		if strings.ToValidUTF8(got, "") != got || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("%q became %q", raw, got)
		}
	})
}
