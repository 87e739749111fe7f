//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSwaksSubmitsAndDeliversOverEveryPort(t *testing.T) {
	need(t, "swaks", "swaks")
	dir := t.TempDir()
	openUp(t, dir)
	s := start(t, dir, freePorts(t), "--seed", "none")
	alice := s.Users[0]
	auth := fmt.Sprintf("--auth PLAIN --au %s --ap '%s'", alice.Email, alice.Password)
	for _, tc := range []struct {
		name, args string
		code       int // swaks' exit code
		says       string
	}{
		{"arrival in clear", "--server " + s.Listen["smtp"] + " --from x@outside.test --to bob@demo.test --header 'Subject: plain'", 0, "250 2.0.0"},
		{"arrival with STARTTLS", "--server " + s.Listen["smtp"] + " --tls --from x@outside.test --to bob@demo.test --header 'Subject: tls'", 0, "250 2.0.0"},
		{"unknown user", "--server " + s.Listen["smtp"] + " --from x@outside.test --to nobody@demo.test", 24, "550 5.1.1"},
		{"relay", "--server " + s.Listen["smtp"] + " --from x@outside.test --to a@elsewhere.test", 24, "550 5.7.1"},
		{"auth offered on 25", "--server " + s.Listen["smtp"] + " --tls " + auth + " --from " + alice.Email + " --to bob@demo.test", 28, ""},
		{"587 STARTTLS", "--server " + s.Listen["submission"] + " --tls " + auth + " --from alice@demo.test --to bob@demo.test --header 'Subject: s587'", 0, "250 2.0.0"},
		{"587 LOGIN", "--server " + s.Listen["submission"] + " --tls " + strings.Replace(auth, "PLAIN", "LOGIN", 1) + " --from alice@demo.test --to bob@demo.test --header 'Subject: login'", 0, "250 2.0.0"},
		{"587 without TLS", "--server " + s.Listen["submission"] + " " + auth + " --from alice@demo.test --to bob@demo.test", 28, ""},
		{"587 without AUTH", "--server " + s.Listen["submission"] + " --tls --from alice@demo.test --to bob@demo.test", 23, "530 5.7.0"},
		{"465", "--server " + s.Listen["submissions"] + " --tls-on-connect " + auth + " --from alice@demo.test --to bob@demo.test,y@elsewhere.test --header 'Subject: s465'", 0, "250 2.0.0"},
		{"wrong password", "--server " + s.Listen["submission"] + " --tls --auth PLAIN --au alice@demo.test --ap wrong-password --from alice@demo.test --to bob@demo.test", 28, "535 5.7.8"},
		{"foreign sender", "--server " + s.Listen["submission"] + " --tls " + auth + " --from bob@demo.test --to bob@demo.test", 23, "550 5.7.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := s.tryShell(t, "swaks --timeout 30 --header-X-Mailer '' "+tc.args)
			code := 0
			if err != nil {
				code = exitCode(err)
			}
			if code != tc.code || !strings.Contains(out, tc.says) {
				t.Errorf("swaks ended with %d, want %d and %q:\n%s", code, tc.code, tc.says, out)
			}
		})
	}
	bob := s.Users[1]
	for _, subject := range []string{"plain", "tls", "s587", "login", "s465"} {
		eventually(t, "bob has "+subject, func() bool {
			out, _ := s.tryShell(t, fmt.Sprintf(`curl -s --cacert %s "imaps://%s/INBOX?SUBJECT%%20%s" -u '%s:%s'`,
				s.CAFile, s.Listen["imaps"], subject, bob.Email, bob.Password))
			return strings.HasPrefix(out, "* SEARCH ")
		})
	}
	// I-59: nobody learns the address from which alice submitted.
	out := s.shell(t, fmt.Sprintf(`curl -s --cacert %s "imaps://%s/INBOX;MAILINDEX=3" -u '%s:%s'`, s.CAFile, s.Listen["imaps"], bob.Email, bob.Password))
	received, _, _ := strings.Cut(out, "Date:")
	if strings.Contains(received, "127.0.0.1") {
		t.Errorf("the submitter's address is in\n%s", received)
	}
}

// A4, A44: a person's mail client keeps a copy. Two-way sync, twice; the second run moves nothing, the bytes are equal.
func TestMbsyncKeepsBothSidesEqual(t *testing.T) {
	need(t, "mbsync", "isync")
	dir := t.TempDir()
	openUp(t, dir)
	s := start(t, dir, freePorts(t), "--seed", "none")
	alice := s.Users[0]
	local := filepath.Join(dir, "md")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(local, "INBOX", sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	want := map[[32]byte]int{}
	for i := range 500 {
		message := generated(i)
		want[sha256.Sum256([]byte(message))]++
		name := filepath.Join(local, "INBOX", "cur", fmt.Sprintf("1700000000.%d.test:2,%s", i, []string{"", "S", "F", "RS"}[i%4]))
		// Maildir holds LF on disk; mbsync sends CRLF.
		if err := os.WriteFile(name, []byte(strings.ReplaceAll(message, "\r\n", "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, port, _ := strings.Cut(s.Listen["imaps"], ":")
	write(t, filepath.Join(dir, "mbsyncrc"), fmt.Sprintf(mbsyncConfig, port, alice.Email, alice.Password, s.CAFile, local, local))
	first := s.shell(t, "mbsync -V -c mbsyncrc c")
	second := s.shell(t, "mbsync -V -c mbsyncrc c")
	if moved := transfers(second); moved != "" {
		t.Errorf("the second run moved something: %s\nfirst:\n%s\nsecond:\n%s", moved, first, second)
	}
	got := s.downloads(t, alice, 500)
	if len(got) != len(want) {
		t.Fatalf("the server holds %d different messages, want %d", len(got), len(want))
	}
	for sum, n := range want {
		if got[sum] != n {
			t.Fatalf("a message came back with other bytes")
		}
	}
}

const mbsyncConfig = `IMAPAccount a
Host localhost
Port %s
User %s
Pass %s
SSLType IMAPS
SSLVersions TLSv1.2 TLSv1.3
CertificateFile %s
AuthMechs PLAIN

IMAPStore r
Account a

MaildirStore l
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel c
Far :r:
Near :l:
Patterns *
Create Both
Expunge Both
SyncState *
`

// generated is one of 500 messages of different shapes, with CRLF.
func generated(i int) string {
	head := fmt.Sprintf("From: Sender %d <s%d@outside.test>\r\nTo: alice@demo.test\r\nSubject: message %d\r\n"+
		"Date: Wed, 25 Nov 2026 15:00:%02d +0000\r\nMessage-ID: <gen-%d@outside.test>\r\nMIME-Version: 1.0\r\n", i, i, i, i%60, i)
	switch i % 4 {
	case 0:
		return head + "Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße Nummer " + fmt.Sprint(i) + "\r\n"
	case 1:
		return head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/octet-stream\r\n" +
			"Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\r\n", i) + "--b--\r\n"
	case 2:
		return head + "\r\n" + strings.Repeat(".dots and long lines "+strings.Repeat("x", 200)+"\r\n", i%30)
	}
	return head + "Content-Type: text/html\r\n\r\n<p>" + strings.Repeat("html ", i) + "</p>\r\n"
}

// downloads fetches every message of the inbox with curl and counts them by their bytes.
func (s *server) downloads(t *testing.T, who login, n int) map[[32]byte]int {
	t.Helper()
	var script strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&script, "url = \"imaps://%s/INBOX;MAILINDEX=%d\"\noutput = \"dl/%d\"\n", s.Listen["imaps"], i, i)
	}
	write(t, filepath.Join(s.dir, "downloads"), fmt.Sprintf("user = \"%s:%s\"\ncacert = \"%s\"\nsilent\ncreate-dirs\n", who.Email, who.Password, s.CAFile)+script.String())
	s.shell(t, "curl -K downloads")
	sums := map[[32]byte]int{}
	for i := 1; i <= n; i++ {
		raw, err := os.ReadFile(filepath.Join(s.dir, "dl", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		sums[sha256.Sum256(withoutSyncMark(raw))]++
	}
	return sums
}

// withoutSyncMark drops the X-TUID field that mbsync adds to what it uploads.
func withoutSyncMark(raw []byte) []byte {
	text := string(raw)
	at := strings.Index(text, "X-TUID: ")
	if at < 0 {
		return raw
	}
	end := strings.Index(text[at:], "\r\n")
	return []byte(text[:at] + text[at+end+2:])
}

// transfers gives the line in which mbsync counts what it moved, when any count is not zero.
func transfers(out string) string {
	for line := range strings.Lines(out) {
		if strings.ContainsAny(line, "+*#") && strings.Contains(line, "F:") {
			counts := strings.FieldsFunc(line, func(r rune) bool { return r < '0' || r > '9' })
			for _, c := range counts[min(2, len(counts)):] {
				if c != "0" {
					return strings.TrimSpace(line)
				}
			}
		}
	}
	return ""
}
