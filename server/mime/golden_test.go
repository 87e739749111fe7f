package mime_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/mime"
)

var update = flag.Bool("update", false, "write the golden files anew")

// corpus gives the messages of testdata by name. They are kept with LF there and read with CRLF.
func corpus(tb testing.TB) map[string]string {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < 15 {
		tb.Fatalf("%d messages in testdata, %v", len(files), err)
	}
	all := map[string]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".eml")] = crlf(string(raw))
	}
	return all
}

func TestGoldenStructures(t *testing.T) {
	t.Parallel()
	for name, raw := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := scan(t, raw)
			checkMessage(t, raw, m)
			got := describe(t, raw, m)
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func describe(t *testing.T, raw string, m *mime.Message) string {
	t.Helper()
	text, err := mime.Text(strings.NewReader(raw), m, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ENVELOPE %s\n", mime.AppendEnvelope(nil, m.Envelope))
	fmt.Fprintf(&b, "BODYSTRUCTURE %s\n", mime.AppendBodyStructure(nil, m.Root, true))
	fmt.Fprintf(&b, "BODY %s\n", mime.AppendBodyStructure(nil, m.Root, false))
	fmt.Fprintf(&b, "subject %q\nfrom %q\nsender %q\nto %q\n", mime.DecodeHeader(m.Envelope.Subject), mime.Decoded(m.Envelope.From),
		mime.Decoded(m.Envelope.SenderOrFrom()), mime.Decoded(m.Envelope.To))
	date, ok := m.Envelope.Time()
	fmt.Fprintf(&b, "date %v %v\nid %q\nreply to %q\nreferences %q\n", date.UTC(), ok, m.MessageID(), m.InReplyTo(), m.References)
	fmt.Fprintf(&b, "preview %q\nattachments %q\nfaults %q\nduplicates %q\nlimits %q\ntext %q\n",
		m.Preview, m.Attachments, m.Faults.Names(), m.Duplicates, m.Limits, text)
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}
