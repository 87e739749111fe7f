package outbound

import (
	"bufio"
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/mailserver-dev/mailserver/server/mail"
)

func newLines(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

// Whatever another server answers and whatever the original is, the report has the fields and the parts of a report (S-5).
func FuzzNoReplyOfAServerAddsAFieldOrAPartToAReport_S5(f *testing.F) {
	for _, payload := range []string{
		"", "550 5.1.1 no", "550-5.1.1 a\r\n550 5.1.1 b", "550 x\r\nBcc: evil@e.test", "550 x\r\n\r\nFinal-Recipient: rfc822; evil@e.test", "a\x00b\x1b[2J", "a\u2028X: y",
		"a\u0085X: y", "\u202egnp.exe", "550 \xff\xfe", strings.Repeat("x", 5000), strings.Repeat("\x80", 5000), strings.Repeat("ü ", 5000), "--=_report_", "\r\n--=_report_\r\n",
		".\r\nMAIL FROM:<x@e.test>", "=?utf-8?q?x=0D=0AX:_y?=", " \t ", "\u00a0", "5", "5.1.1", "evil@e.test",
	} {
		f.Add(payload, "mx.b.test", "5.1.1", "bob", []byte(reportedMessage))
		f.Add("550 5.1.1 no", payload, "5.1.1", "bob", []byte(reportedMessage))
		f.Add("550 5.1.1 no", "mx.b.test", payload, "bob", []byte(reportedMessage))
		f.Add("550 5.1.1 no", "mx.b.test", "5.1.1", payload, []byte(reportedMessage))
		f.Add("550 5.1.1 no", "mx.b.test", "5.1.1", "bob", []byte(payload))
	}
	f.Fuzz(func(t *testing.T, reply, host, status, local string, original []byte) {
		in := soundReport(string(original))
		r := &in.Recipients[0]
		r.Diagnostic, r.RemoteMTA, r.Status, r.Address = reply, host, status, mail.Address{Local: local, Domain: "b.test"}
		raw := written(t, in)
		got := readBack(t, raw)
		fields := []string{"From", "To", "Subject", "Date", "Message-Id", "Auto-Submitted", "Mime-Version", "Content-Type", "Content-Transfer-Encoding"}
		for name, values := range got.header {
			if !slices.Contains(fields, name) || len(values) != 1 {
				t.Fatalf("field %s: %q", name, values)
			}
		}
		if len(got.parts) != 3 || len(got.groups) != 2 || len(got.groups[0]) != 2 {
			t.Fatalf("%d parts, %d groups: %q", len(got.parts), len(got.groups), got.groups)
		}
		fields = []string{"Final-Recipient", "Action", "Status", "Remote-Mta", "Diagnostic-Code", "Last-Attempt-Date"}
		for name, values := range got.groups[1] {
			if !slices.Contains(fields, name) || len(values) != 1 {
				t.Fatalf("field %s: %q", name, values)
			}
		}
		if !isASCII(string(got.parts[1])) {
			t.Fatalf("not ASCII: %q", got.parts[1])
		}
		for _, c := range string(got.parts[0]) {
			if c != '\r' && c != '\n' && !unicode.IsPrint(c) {
				t.Fatalf("%U is shown to people: %q", c, got.parts[0])
			}
		}
	})
}
