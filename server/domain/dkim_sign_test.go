package domain_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

const head = "From: Alice <a@example.test>\r\nTo: b@x.test\r\nSubject: hi\r\nDate: Wed, 25 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n"

const simple = head + "\r\nhello\r\n"

// letters are messages of every shape that is sent.
func letters() map[string]string {
	multipart := head + "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n" +
		"--b\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n--b--\r\n"
	folded := "Received: from x\r\n\tby y\r\nFrom: \"A very long name\r\n  of somebody\" <a@example.test>\r\nTO: b@x.test,\r\n c@x.test ,\r\n\td@x.test \r\n" +
		"subject:   =?utf-8?q?a?=   \r\n =?utf-8?q?b?=\r\nX-Other: \r\n y\r\nReferences: <1@a.test>\r\n <2@a.test>\r\nReply-To:\r\n r@example.test\r\n\r\nhello\r\n"
	return map[string]string{
		"simple":         simple,
		"multipart":      multipart,
		"8bit":           head + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe aus K\u00f6ln \xff\r\n",
		"folded":         folded,
		"empty body":     head + "\r\n",
		"no body at all": head,
		"blank lines":    head + "\r\n\r\n \t\r\nwords  with\t blanks \t\r\n\r\n\r\n",
		"no last CRLF":   head + "\r\nhello",
		"list letter": head + "List-Id: <l.example.test>\r\nList-Unsubscribe: <https://example.test/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" +
			"Auto-Submitted: auto-generated\r\nSender: s@example.test\r\nResent-From: r@example.test\r\nResent-To: q@x.test\r\n\r\nhello\r\n",
		"large": head + "\r\n" + strings.Repeat("a line of some words and no end\r\n", 20_000),
	}
}

// signed is a node whose signatures are valid by the machine's clock, with a domain that has both keys.
func signed(t *testing.T) (signer, domain.Domain) {
	t.Helper()
	s := signerOn(t, pgtest.DB(t), clock.NewFake(time.Now()), func(c *domain.Config) { c.DefaultKeys = domain.KeysBoth })
	return s, make1(t, s.Service, "example.test")
}

// txt answers for the name servers.
func (s signer) txt(t *testing.T, d domain.Domain) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, k := range s.keys(t, d.ID) {
		out[k.RecordName()] = k.RecordValue()
	}
	return out
}

func TestTheHeaderIsOversigned_O52(t *testing.T) {
	t.Parallel()
	s, d := signed(t)
	headers, err := s.sign(t, d.ID, letters()["list letter"])
	if err != nil {
		t.Fatal(err)
	}
	const want = "h=From:From:To:To:Cc:Subject:Subject:Date:Date:Message-ID:Message-ID:Reply-To:In-Reply-To:References:MIME-Version:Content-Type:" +
		"Content-Transfer-Encoding:List-Unsubscribe:List-Unsubscribe-Post:List-Id:Auto-Submitted:Sender:Sender:Feedback-ID:Resent-From:Resent-To;"
	for _, text := range []string{want, "c=relaxed/relaxed;", "d=example.test;", fmt.Sprintf("x=%d;", s.clk.Now().Add(14*24*time.Hour).Unix()), "t="} {
		if strings.Count(headers, text) != 2 {
			t.Errorf("not %s in both of %s", text, headers)
		}
	}
	if strings.Contains(headers, "l=") && strings.Contains(headers, " l=") {
		t.Errorf("the length of the body is given: %s", headers)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(headers, "\r\n"), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

func TestFieldsThatOccurVeryOftenAreRefusedAndNotHalfSigned(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d := make1(t, s.Service, "example.test")
	for name, message := range map[string]string{
		"many To":     strings.Repeat("To: b@x.test\r\n", 500) + simple,
		"huge header": "X-A: " + strings.Repeat("a", 300<<10) + "\r\n" + simple,
		"huge fold":   "From: a\r\n" + strings.Repeat(" a\r\n", 100<<10) + simple,
	} {
		if _, err := s.sign(t, d.ID, message); code(err) != "invalid message-rejected" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Two are signed both, and a third one is noticed.
	twice := "Reply-To: r@x.test\r\nReply-To: q@x.test\r\n" + simple
	if headers, err := s.sign(t, d.ID, twice); err != nil || !strings.Contains(headers, "Reply-To:Reply-To:Reply-To:") {
		t.Errorf("%s %v", headers, err)
	}
}

// broken reads a part and fails.
type broken struct{ text string }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b.text)) {
		return 0, errors.New("the disk is broken")
	}
	return copy(p, b.text[off:]), nil
}

func TestALetterThatCannotBeReadIsNotSigned(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d := make1(t, s.Service, "example.test")
	for name, r := range map[string]io.ReaderAt{"header": broken{head[:20]}, "body": broken{simple}} {
		if headers, err := s.Sign(t.Context(), d.ID, s.clk.Now(), r, 1<<20); err == nil || headers != "" {
			t.Errorf("%s: %q", name, headers)
		}
	}
}

func TestTheSigningLibraryVerifiesBoth(t *testing.T) {
	t.Parallel()
	s, d := signed(t)
	records := s.txt(t, d)
	all := letters()
	all["obsolete blanks before the colon"] = strings.Replace(simple, "To:", "TO \t:", 1) // RFC 5322 §4.5
	for name, message := range all {
		headers, err := s.sign(t, d.ID, message)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found, err := dkim.VerifyWithOptions(strings.NewReader(headers+withEnd(message)), &dkim.VerifyOptions{
			LookupTXT: func(name string) ([]string, error) { return []string{records[name]}, nil },
		})
		if err != nil || len(found) != 2 || found[0].Err != nil || found[1].Err != nil {
			t.Errorf("%s: %+v %v", name, found, err)
		}
	}
}

// withEnd is what arrives: SMTP ends every message with CRLF, and verifiers of files want the end of a header without a body.
func withEnd(message string) string {
	if !strings.HasSuffix(message, "\r\n") || !strings.Contains(message, "\r\n\r\n") {
		return message + "\r\n"
	}
	return message
}

// attacks change a signed message on its way.
func attacks() map[string]func(string) string {
	top := func(field string) func(string) string {
		return func(m string) string { return field + "\r\n" + m }
	}
	return map[string]func(string) string{
		"another From":     top("From: ceo@example.test"),
		"another Subject":  top("Subject: pay now"),
		"another To":       top("To: all@x.test"),
		"a Cc":             top("Cc: all@x.test"),
		"a Reply-To":       top("Reply-To: thief@evil.test"),
		"a Sender":         top("Sender: thief@evil.test"),
		"another Date":     top("Date: Thu, 26 Nov 2026 12:00:00 +0000"),
		"a Content-Type":   top("Content-Type: text/html"),
		"a changed body":   func(m string) string { return strings.Replace(m, "hello", "hullo", 1) },
		"a longer body":    func(m string) string { return m + "more\r\n" },
		"a From below":     func(m string) string { return strings.Replace(m, "\r\n\r\n", "\r\nFrom: ceo@example.test\r\n\r\n", 1) },
		"a changed header": func(m string) string { return strings.Replace(m, "Subject: hi", "Subject: ho", 1) },
	}
}

// verifier says how many of the signatures of a message hold, for a set of files at once: name to number.
type verifier func(t *testing.T, files map[string]string, records map[string]string) map[string]int

func TestSignaturesVerifyElsewhereAndAnAddedFieldBreaksThem_X7(t *testing.T) {
	t.Parallel()
	for name, verify := range map[string]verifier{"python3-dkim": byPython, "opendkim": byOpenDKIM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, d := signed(t)
			files := map[string]string{}
			for letter, message := range letters() {
				headers, err := s.sign(t, d.ID, message)
				if err != nil {
					t.Fatal(err)
				}
				files["good "+letter] = headers + withEnd(message)
			}
			for attack, change := range attacks() {
				files["bad "+attack] = change(files["good simple"])
			}
			good := verify(t, files, s.txt(t, d))
			for file := range files {
				want := 0
				if strings.HasPrefix(file, "good ") {
					want = 2
				}
				if good[file] != want {
					t.Errorf("%s: %d of two signatures hold, want %d", file, good[file], want)
				}
			}
		})
	}
}

// write puts texts into files of a folder and gives their paths.
func write(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	dir, paths := t.TempDir(), map[string]string{}
	for name, text := range files {
		paths[name] = filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".eml")
		if err := os.WriteFile(paths[name], []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

const pythonVerifier = `
import sys, dkim
records = dict(line.rstrip("\n").split(" ", 1) for line in open(sys.argv[1]))
def dnsfunc(name, timeout=5):
    return records.get(name.decode().rstrip(".") if isinstance(name, bytes) else name.rstrip("."), "").encode()
for path in sys.argv[2:]:
    d = dkim.DKIM(open(path, "rb").read())
    good = 0
    for i in range(2):
        try:
            good += bool(d.verify(idx=i, dnsfunc=dnsfunc))
        except dkim.DKIMException as e:
            print(path, i, e, file=sys.stderr)
    print(path, good)
`

func byPython(t *testing.T, files, records map[string]string) map[string]int {
	t.Helper()
	python := "/usr/bin/python3" // the one that the system's packages belong to
	if err := exec.CommandContext(t.Context(), python, "-c", "import dkim, nacl").Run(); err != nil {
		t.Skip("python3-dkim and python3-nacl are not installed: .ci/install-packages.sh clients")
	}
	paths := write(t, files)
	args := []string{"-c", pythonVerifier, recordFile(t, records)}
	for _, path := range paths {
		args = append(args, path)
	}
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	good := map[string]int{}
	for name, path := range paths {
		for n := range 3 {
			if strings.Contains(string(out), fmt.Sprintf("%s %d\n", path, n)) {
				good[name] = n
			}
		}
	}
	t.Logf("%s", &errs)
	return good
}

func byOpenDKIM(t *testing.T, files, records map[string]string) map[string]int {
	t.Helper()
	program, err := exec.LookPath("opendkim")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/opendkim"); err != nil {
			t.Skip("opendkim is not installed: .ci/install-packages.sh clients")
		}
	}
	config := filepath.Join(t.TempDir(), "opendkim.conf")
	text := "Mode v\nAuthservID verifier.test\nOn-BadSignature accept\nTestPublicKeys " + recordFile(t, records) + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	good := map[string]int{}
	for name, path := range write(t, files) {
		out, err := exec.CommandContext(t.Context(), program, "-x", config, "-vv", "-t", path).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		for _, a := range []string{"rsa-sha256", "ed25519-sha256"} {
			for line := range strings.SplitSeq(string(out), "\n") {
				if strings.Contains(line, "dkim=pass") && strings.Contains(line, "header.a="+a) {
					good[name]++
				}
			}
		}
	}
	return good
}

// recordFile writes lines of name and text.
func recordFile(t *testing.T, records map[string]string) string {
	t.Helper()
	var b strings.Builder
	for name, text := range records {
		b.WriteString(name + " " + text + "\n")
	}
	path := filepath.Join(t.TempDir(), "records")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
