package outbound

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	stdmime "mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/textproto"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

const reportedMessage = "From: Ann <ann@a.test>\r\nTo: bob@b.test\r\nSubject: hello\r\nMessage-ID: <1@a.test>\r\n\r\nHello Bob\r\n"

// soundReport reports one failed recipient.
func soundReport(original string) reportInput {
	at := time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)
	return reportInput{
		ReportingMTA: "mx.a.test", To: mail.Address{Local: "ann", Domain: "a.test"}, MessageID: "<r1@mx.a.test>", Date: at.Add(time.Hour),
		Arrival: at, Original: strings.NewReader(original), OriginalSize: int64(len(original)),
		Recipients: []reportedRecipient{{
			Address: mail.Address{Local: "bob", Domain: "b.test"}, Action: "failed", Status: "5.1.1", RemoteMTA: "mx.b.test",
			Diagnostic: "550 5.1.1 <bob@b.test>: no such user here", LastAttempt: at.Add(time.Minute),
		}},
	}
}

func written(t testing.TB, in reportInput) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeReport(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const wantReport = `From: Mail Delivery System <MAILER-DAEMON@mx.a.test>
To: <ann@a.test>
Subject: Your message could not be delivered
Date: Wed, 25 Nov 2026 16:00:00 +0000
Message-ID: <r1@mx.a.test>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="BOUNDARY"

This is a report about the delivery of a message, in MIME format.

--BOUNDARY
Content-Description: What happened
Content-Type: text/plain; charset=utf-8

This is the mail system at mx.a.test.

Your message could not be delivered.
It was accepted here on Wed, 25 Nov 2026 15:00:00 +0000.

bob@b.test
  Not delivered; it will not be tried again.
  The server mx.b.test said:
    550 5.1.1 <bob@b.test>: no such user here
  Last attempt: Wed, 25 Nov 2026 15:01:00 +0000
  What to do: check the address for a mistake. As it is written it does not
  exist, or takes no mail.

Your message, or its header when it was large, comes with this one.

--BOUNDARY
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.a.test
Arrival-Date: Wed, 25 Nov 2026 15:00:00 +0000

Final-Recipient: rfc822; bob@b.test
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.b.test
Diagnostic-Code: smtp; 550 5.1.1 <bob@b.test>: no such user here
Last-Attempt-Date: Wed, 25 Nov 2026 15:01:00 +0000

--BOUNDARY
Content-Description: Your message
Content-Type: message/rfc822

From: Ann <ann@a.test>
To: bob@b.test
Subject: hello
Message-ID: <1@a.test>

Hello Bob

--BOUNDARY--
`

func TestASenderReadsWhatHappenedToWhomAndWhatToDo_O25_O26(t *testing.T) {
	t.Parallel()
	in := soundReport(reportedMessage)
	got := string(written(t, in))
	got = strings.ReplaceAll(strings.ReplaceAll(got, "\r\n", "\n"), in.boundary(nil), "BOUNDARY")
	if got != wantReport {
		t.Errorf("got\n%s", got)
	}
}

// readReport is a report as other people's parsers see it.
type readReport struct {
	header   netmail.Header
	media    []string
	parts    [][]byte // decoded
	encoding []string
	groups   []textproto.MIMEHeader
}

// readBack reads a report with the standard library and holds what is true of each one.
func readBack(t testing.TB, raw []byte) readReport {
	t.Helper()
	for line := range bytes.Lines(raw) {
		text, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || len(text) > 998 || bytes.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("a line of %d octets, or with a bare CR, LF or NUL: %.200q", len(text), line)
		}
	}
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	r := readReport{header: m.Header}
	media, params, err := stdmime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || media != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("%s %v, %v", media, params, err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		r.add(t, p)
	}
	if len(r.parts) < 2 {
		t.Fatalf("%d parts\n%s", len(r.parts), raw)
	}
	status := textproto.NewReader(newLines(r.parts[1]))
	for {
		group, err := status.ReadMIMEHeader()
		if len(group) > 0 {
			r.groups = append(r.groups, group)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("%v in\n%s", err, r.parts[1])
			}
			return r
		}
	}
}

func (r *readReport) add(t testing.TB, p *multipart.Part) {
	t.Helper()
	for name := range p.Header {
		if !strings.HasPrefix(name, "Content-") {
			t.Fatalf("a part has the field %s", name)
		}
	}
	media, _, err := stdmime.ParseMediaType(p.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	encoding := p.Header.Get("Content-Transfer-Encoding")
	body := io.Reader(p)
	if encoding == "quoted-printable" {
		body = quotedprintable.NewReader(p)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	r.media, r.parts, r.encoding = append(r.media, media), append(r.parts, content), append(r.encoding, encoding)
}

func TestAnOriginalComesBackAsFarAsItCan_O25(t *testing.T) {
	t.Parallel()
	const head = "From: ann@a.test\r\nSubject: x\r\n"
	long := strings.Repeat("z", 998)
	for name, tc := range map[string]struct {
		original         string
		media, encoding  string
		want             string
		wholeReportEight bool
	}{
		"small":              {head + "\r\nhello\r\n", "message/rfc822", "", head + "\r\nhello\r\n", false},
		"longest line":       {head + "\r\n" + long + "\r\n", "message/rfc822", "", head + "\r\n" + long + "\r\n", false},
		"no line end":        {head + "\r\nhello", "message/rfc822", "", head + "\r\nhello", false},
		"8-bit":              {head + "\r\nhöllo\r\n", "message/rfc822", "8bit", head + "\r\nhöllo\r\n", true},
		"8-bit, no UTF-8":    {head + "\r\nh\xf6llo\r\n", "message/rfc822", "8bit", head + "\r\nh\xf6llo\r\n", true},
		"bare line ends":     {"A: b\nC: d\r\r\n\nx\ry", "message/rfc822", "", "A: b\r\nC: d\r\n\r\n\r\nx\r\ny", false},
		"line too long":      {head + "\r\n" + long + "z\r\n", "text/rfc822-headers", "", head, false},
		"NUL":                {head + "\r\n\x00\r\n", "text/rfc822-headers", "", head, false},
		"exactly 50 KiB":     {sized(head, 50<<10), "message/rfc822", "", sized(head, 50<<10), false},
		"above 50 KiB":       {sized(head, 50<<10+1), "text/rfc822-headers", "", head, false},
		"8-bit header":       {sized("Subject: ü\r\n", 60<<10), "text/rfc822-headers", "quoted-printable", "Subject: ü\r\n", false},
		"long header line":   {sized("Subject: "+long+"\r\n", 60<<10), "text/rfc822-headers", "quoted-printable", "Subject: " + long + "\r\n", false},
		"no header":          {sized("\r\n", 60<<10), "text/rfc822-headers", "", "", false},
		"endless header":     {strings.Repeat("X: "+long[:997-3]+"\r\n", 400), "text/rfc822-headers", "", strings.Repeat("X: "+long[:997-3]+"\r\n", 262), false},
		"header of one line": {strings.Repeat("x", 300<<10), "text/rfc822-headers", "quoted-printable", strings.Repeat("x", 256<<10), false},
		"empty":              {"", "message/rfc822", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := written(t, soundReport(tc.original))
			r := readBack(t, raw)
			if len(r.parts) != 3 || r.media[2] != tc.media || r.encoding[2] != tc.encoding || string(r.parts[2]) != tc.want {
				t.Errorf("parts %q, encodings %q, %d octets, want %d: %.300q", r.media, r.encoding, len(r.parts[2]), len(tc.want), r.parts[2])
			}
			if eight := r.header.Get("Content-Transfer-Encoding") == "8bit"; eight != tc.wholeReportEight || !eight && !isASCII(string(raw)) {
				t.Errorf("the report is labelled 8bit: %v, and is ASCII: %v", eight, isASCII(string(raw)))
			}
			scanned(t, raw, tc.media)
		})
	}
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 }) }

func sized(head string, size int) string {
	return head + "\r\n" + strings.Repeat("line\r\n", size)[:size-len(head)-2]
}

// scanned reads a report with our own scanner.
func scanned(t *testing.T, raw []byte, last string) {
	t.Helper()
	m, err := mime.Scan(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if m.Faults != 0 || len(m.Limits) > 0 || len(m.Root.Children) != 3 {
		t.Fatalf("faults %q, limits %q, %d parts", m.Faults.Names(), m.Limits, len(m.Root.Children))
	}
	for i, want := range []string{"text/plain", "message/delivery-status", last} {
		if p := m.Root.Children[i]; p.Type+"/"+p.Subtype != want {
			t.Errorf("part %d is %s/%s, want %s", i+1, p.Type, p.Subtype, want)
		}
	}
	if !strings.HasPrefix(m.Preview, "This is the mail system at mx.a.test. Your message could not be delivered") {
		t.Errorf("preview %q", m.Preview)
	}
}

func TestEachRecipientHasItsOwnFieldsAndWords(t *testing.T) {
	t.Parallel()
	in := soundReport(reportedMessage)
	bob := in.Recipients[0]
	until := bob.LastAttempt.Add(100 * time.Hour)
	change := func(f func(*reportedRecipient)) {
		r := bob
		f(&r)
		in.Recipients = append(in.Recipients, r)
	}
	change(func(r *reportedRecipient) {
		r.Action, r.Status, r.WillRetryUntil, r.Diagnostic = "delayed", "5.7.1", until, "554-5.7.1 blocked\r\n554 5.7.1 see https://rbl.test"
	})
	change(func(r *reportedRecipient) {
		r.Address, r.Status, r.RemoteMTA, r.Diagnostic = mail.Address{Local: "a b", Domain: "b.test"}, "4.4.7", "", "no server of b.test could be reached"
	})
	change(func(r *reportedRecipient) { r.Status, r.RemoteMTA, r.Diagnostic = "2.0.0", "192.0.2.1", "550 gefüllt" })
	change(func(r *reportedRecipient) { r.Address = mail.Address{Local: "jörg", Domain: "b.test"} })
	change(func(r *reportedRecipient) { r.Status, r.LastAttempt, r.Diagnostic = "5.1.1\r\nX: y", time.Time{}, "" })
	r := readBack(t, written(t, in))
	want := []string{
		"rfc822; bob@b.test|failed|5.1.1|dns; mx.b.test|smtp; 550 5.1.1 <bob@b.test>: no such user here|Wed, 25 Nov 2026 15:01:00 +0000|",
		"rfc822; bob@b.test|delayed|4.7.1|dns; mx.b.test|smtp; 554-5.7.1 blocked 554 5.7.1 see https://rbl.test|Wed, 25 Nov 2026 15:01:00 +0000|Sun, 29 Nov 2026 19:01:00 +0000",
		`rfc822; "a b"@b.test|failed|4.4.7||x-mailserver; no server of b.test could be reached|Wed, 25 Nov 2026 15:01:00 +0000|`,
		"rfc822; bob@b.test|failed|5.0.0|dns; [192.0.2.1]|smtp; 550 gef?llt|Wed, 25 Nov 2026 15:01:00 +0000|",
		`utf-8; j\x{F6}rg@b.test|failed|5.1.1|dns; mx.b.test|smtp; 550 5.1.1 <bob@b.test>: no such user here|Wed, 25 Nov 2026 15:01:00 +0000|`,
		"rfc822; bob@b.test|failed|5.0.0|dns; mx.b.test|||",
	}
	if len(r.groups) != len(want)+1 {
		t.Fatalf("%d groups", len(r.groups))
	}
	for i, g := range r.groups[1:] {
		fields := make([]string, 0, 7)
		for _, name := range []string{"Final-Recipient", "Action", "Status", "Remote-Mta", "Diagnostic-Code", "Last-Attempt-Date", "Will-Retry-Until"} {
			fields = append(fields, g.Get(name))
		}
		if got := strings.Join(fields, "|"); got != want[i] {
			t.Errorf("got  %s\nwant %s", got, want[i])
		}
	}
	words := string(r.parts[0])
	for _, want := range []string{
		"Your message is delayed or could not be delivered (6 recipients).\r\n", "    554-5.7.1 blocked\r\n    554 5.7.1 see https://rbl.test\r\n",
		"It will be tried again until Sun, 29 Nov 2026\r\n  19:01:00 +0000", "  What happened:\r\n    no server of b.test could be reached\r\n", "    550 gefüllt\r\n", "jörg@b.test\r\n",
		"the other server has\r\n  been out of reach",
	} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, words)
		}
	}
	if r.header.Get("Subject") != "Your message is delayed or could not be delivered" {
		t.Errorf("subject %q", r.header.Get("Subject"))
	}
}

func TestOnlyDelaysAreCalledADelay_O22(t *testing.T) {
	t.Parallel()
	in := soundReport(reportedMessage)
	in.Recipients[0].Action = "delayed"
	in.Original = nil
	r := readBack(t, written(t, in))
	if r.header.Get("Subject") != "Your message is delayed" || len(r.parts) != 2 || !strings.Contains(string(r.parts[0]), "Not delivered yet.") {
		t.Errorf("subject %q, parts %q\n%s", r.header.Get("Subject"), r.media, r.parts[0])
	}
}

func TestManyRecipientsAreAllInThePartForPrograms(t *testing.T) {
	t.Parallel()
	in := soundReport(reportedMessage)
	in.Recipients = slices.Repeat(in.Recipients, 1000)
	r := readBack(t, written(t, in))
	if len(r.groups) != 1001 || strings.Count(string(r.parts[0]), "bob@b.test\r\n") != 100 || !strings.Contains(string(r.parts[0]), "names 900 more.") {
		t.Errorf("%d groups\n%s", len(r.groups), r.parts[0])
	}
}

func TestASenderWithoutASCIIIsNotPutIntoTheHeader(t *testing.T) {
	t.Parallel()
	in := soundReport(reportedMessage)
	in.To = mail.Address{Local: "jörg", Domain: "a.test"}
	if to := readBack(t, written(t, in)).header.Get("To"); to != "undisclosed-recipients:;" {
		t.Errorf("To: %s", to)
	}
}

// An author can guess how boundaries are made, not the id of the report; and even then the boundary is another one.
func TestAnOriginalThatHoldsTheBoundaryStaysOnePart(t *testing.T) {
	t.Parallel()
	in := soundReport("")
	evil := "Subject: x\r\n\r\n--" + in.boundary(nil) + "--\r\n"
	in.Original, in.OriginalSize = strings.NewReader(evil), int64(len(evil))
	r := readBack(t, written(t, in))
	if len(r.parts) != 3 || string(r.parts[2]) != evil {
		t.Errorf("%d parts, the last one %q", len(r.parts), r.parts[len(r.parts)-1])
	}
}

func TestWhatCannotBeReportedIsAnErrorBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*reportInput){
		"null sender":        func(in *reportInput) { in.To = mail.Address{} },
		"no recipient":       func(in *reportInput) { in.Recipients = nil },
		"unknown action":     func(in *reportInput) { in.Recipients[0].Action = "failed\r\nX: y" },
		"bad host":           func(in *reportInput) { in.ReportingMTA = "mx\r\nX: y" },
		"host not in ASCII":  func(in *reportInput) { in.ReportingMTA = "mx.ä.test" },
		"bad id":             func(in *reportInput) { in.MessageID = "<1@a.test>\r\nX: y" },
		"two ids":            func(in *reportInput) { in.MessageID = "<1@a.test> <2@a.test>" },
		"no id":              func(in *reportInput) { in.MessageID = "" },
		"no date":            func(in *reportInput) { in.Date = time.Time{} },
		"original too short": func(in *reportInput) { in.OriginalSize++ },
	} {
		in := soundReport(reportedMessage)
		change(&in)
		var b bytes.Buffer
		if err := writeReport(&b, in); err == nil || b.Len() > 0 {
			t.Errorf("%s: %v, %d octets", name, err, b.Len())
		}
	}
	if err := writeReport(fullDisk{}, soundReport(reportedMessage)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// The parser of another language gives the parts, the groups of fields, and every defect it sees.
const pythonReader = `
import email, email.policy, json, sys
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
status = m.get_payload(1)
groups = [dict(g.items()) for g in status.get_payload()]
json.dump({
    "type": m.get_content_type(), "report": m.get_param("report-type"), "auto": m["Auto-Submitted"], "from": m["From"].addresses[0].addr_spec,
    "parts": [p.get_content_type() for p in m.get_payload()],
    "text": m.get_payload(0).get_content(),
    "groups": groups,
    "original": m.get_payload(2).get_payload(0)["Subject"] if m.get_payload(2).get_content_type() == "message/rfc822" else m.get_payload(2).get_content(),
    "defects": [repr(d) for p in m.walk() for d in p.defects],
}, sys.stdout)
`

func TestAnIndependentParserReadsTheReport(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3, whose parser is the second opinion, is not installed")
	}
	hostile := "550 5.1.1 nö " + strings.Repeat("x", 2000) + "\r\nSubject: evil\r\n\r\n--=_report_\x00\x1b[2J\u202e"
	for name, tc := range map[string]struct {
		original, subject, diagnostic string
	}{
		"plain":           {reportedMessage, "hello", "550 5.1.1 no"},
		"8-bit":           {"Subject: hello\r\n\r\nhöllo\r\n", "hello", "550 5.1.1 no"},
		"hostile":         {reportedMessage, "hello", hostile},
		"header":          {sized("Subject: hello\r\n", 60<<10), "Subject: hello\n", "550 5.1.1 no"},
		"header in 8-bit": {sized("Subject: höllo\r\n", 60<<10), "Subject: höllo\n", hostile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := soundReport(tc.original)
			in.Recipients[0].Diagnostic = tc.diagnostic
			in.Recipients = slices.Repeat(in.Recipients, 2)
			cmd := exec.CommandContext(t.Context(), python, "-c", pythonReader)
			cmd.Stdin = bytes.NewReader(written(t, in))
			var complaint bytes.Buffer
			cmd.Stderr = &complaint
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, &complaint)
			}
			var got struct {
				Type, Report, Auto, From, Text, Original string
				Parts, Defects                           []string
				Groups                                   []map[string]string
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Defects) > 0 || got.Type != "multipart/report" || got.Report != "delivery-status" || got.Auto != "auto-replied" ||
				got.From != "MAILER-DAEMON@mx.a.test" || len(got.Parts) != 3 || strings.ReplaceAll(got.Original, "\r\n", "\n") != tc.subject {
				t.Fatalf("got %+v", got)
			}
			if len(got.Groups) != 3 || len(got.Groups[0]) != 2 || got.Groups[0]["Reporting-MTA"] != "dns; mx.a.test" {
				t.Fatalf("groups %q", got.Groups)
			}
			for _, g := range got.Groups[1:] {
				if len(g) != 6 || g["Final-Recipient"] != "rfc822; bob@b.test" || g["Action"] != "failed" || g["Status"] != "5.1.1" {
					t.Errorf("group %q", g)
				}
			}
			if !strings.Contains(got.Text, "550 5.1.1 n") {
				t.Errorf("text %q", got.Text)
			}
		})
	}
}
