package inbound

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// believed is a message after examine.
func believed(t *testing.T, text string) string {
	t.Helper()
	bodies, err := body.Open(body.Options{Dir: t.TempDir()}, clock.System(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer bodies.Close()
	l := &letter{spool: bodies.NewSpool(), env: mail.Envelope{}}
	defer l.spool.Close()
	if _, err := l.spool.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	s := &Service{cfg: Config{Hostname: "Host.test"}}
	if _, err := s.examine(l); err != nil {
		t.Fatal(err)
	}
	joined := join(l.parts)
	if l.meta.Size != joined.size() {
		t.Errorf("the scanner saw %d octets of %d", l.meta.Size, joined.size())
	}
	out := make([]byte, joined.size())
	if _, err := joined.ReadAt(out, 0); err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// I-57: a forged result in our name never reaches the mailbox, and nothing else is touched.
func TestForgedTraceFieldsAreDroppedAndNothingElse_I57(t *testing.T) {
	t.Parallel()
	const from, rest = "From: x@far.test\r\n", "\r\nAuthentication-Results: host.test; in the body\r\n"
	comment := "(" + strings.Repeat("c", 40<<10) + ")"
	for name, tc := range map[string]struct{ in, out string }{
		"nothing":           {from + rest, from + rest},
		"first":             {"Authentication-Results: host.test; dmarc=pass\r\n" + from + rest, from + rest},
		"last":              {from + "Authentication-Results: host.test; dmarc=pass\r\n" + rest, from + rest},
		"folded":            {"AUTHENTICATION-RESULTS :\r\n\t(a) host.test\r\n ;dmarc=pass\r\n" + from + rest, from + rest},
		"version":           {"Authentication-Results: HOST.TEST 1; dmarc=pass\r\n" + from + rest, from + rest},
		"trick comment":     {"Authentication-Results: (a\\)b) host.test; dmarc=pass\r\n" + from + rest, from + rest},
		"huge comment":      {"Authentication-Results: " + comment + " host.test; dmarc=pass\r\n" + from + rest, from + rest},
		"too long to read":  {"Authentication-Results: " + comment + comment + " host.test; dmarc=pass\r\n" + from + rest, from + rest},
		"another server's":  {"Authentication-Results: mx.far.test; dmarc=fail\r\n" + from + rest, "Authentication-Results: mx.far.test; dmarc=fail\r\n" + from + rest},
		"only similar":      {"Authentication-Results: host.test.far.test; x\r\nX-Authentication-Results: host.test\r\n" + from + rest, "Authentication-Results: host.test.far.test; x\r\nX-Authentication-Results: host.test\r\n" + from + rest},
		"Return-Path":       {"return-path: <a@far.test>\r\nX: 1\r\nReturn-Path:\r\n <b@far.test>\r\n" + from + rest, "X: 1\r\n" + from + rest},
		"leading fold":      {" dmarc=pass\r\n\tmore\r\n" + from + rest, from + rest},
		"fold in between":   {from + " (c)\r\n" + rest, from + " (c)\r\n" + rest},
		"mbox line":         {"From x@far.test Wed Nov 25\r\n" + from + rest, "From x@far.test Wed Nov 25\r\n" + from + rest},
		"no blank line":     {from + "Return-Path: <a@far.test>\r\n", from},
		"no last line end":  {from + "Return-Path: <a@far.test>", from},
		"only dropped":      {"Return-Path: <a@far.test>\r\n\r\nx", "\r\nx"},
		"bare LF":           {"Return-Path: <a@far.test>\nAuthentication-Results: host.test; x\n" + from + rest, from + rest},
		"behind much else":  {from + strings.Repeat("X-A: "+strings.Repeat("a", 900)+"\r\n", 400) + "Authentication-Results: host.test; dmarc=pass\r\n" + rest, from + strings.Repeat("X-A: "+strings.Repeat("a", 900)+"\r\n", 400) + rest},
		"behind long lines": {from + "X-A: " + strings.Repeat("a", 300<<10) + "\r\nAuthentication-Results: host.test; dmarc=pass\r\n" + rest, from + "X-A: " + strings.Repeat("a", 300<<10) + "\r\n" + rest},
	} {
		if got := believed(t, tc.in); got != tc.out {
			t.Errorf("%s: got %.300q, want %.300q (%d octets, want %d)", name, got, tc.out, len(got), len(tc.out))
		}
	}
}

// The fields that are looked through are those that the scanner and IMAP see, or a forged one could hide between the two.
func FuzzFieldsAreSplitAsTheScannerDoes(f *testing.F) {
	for _, s := range []string{
		"From: a@b\r\nTo: c\r\n\r\nx", " fold\r\nFrom: a\r\n\r\n", "From: a\r\n b\r\n\tc\r\nX:\r\n\r\nY: no", "junk\r\nA :b\r\n\n", "A: b", "\r\n\r\n", "",
		"A: b\n B: c\nD: e\n\nx", "A\x00: b\r\n: c\r\n \r\n\r\n", "From a b\r\nA: b\r\n\r\n", "A: " + strings.Repeat("x", 40<<10) + "\r\n y\r\nB: c\r\n\r\n",
		"A:\rB: c\r\n\r\n", "A: b\r\n\r \r\nC: d", "ä: b\r\n\tc: d\r\n\r\n", "A: b\r\n\r", "Return-Path\t : <a>\r\n\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := strings.NewReader(text)
		m, err := mime.Scan(r, r.Size())
		if err != nil {
			t.Fatal(err)
		}
		want, err := mime.Header(r, m, m.Root)
		if err != nil || m.Root.BodyStart > mime.MaxHeaderBlock {
			return // the scanner looks at the beginning only
		}
		var got []headerField
		err = eachField(r, m.Root.BodyStart, func(string) bool { return true }, func(f headerField) {
			got = append(got, f)
		})
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d fields, want %d, %v", len(got), len(want), err)
		}
		for i, g := range got {
			w := want[i]
			if g.name != strings.ToLower(w.Name) || g.start != w.Start || g.end != w.End {
				t.Fatalf("field %d: %q %d-%d, want %q %d-%d", i, g.name, g.start, g.end, w.Name, w.Start, w.End)
			}
			if g.whole && (string(g.raw) != string(w.Raw) || g.value() != w.Value()) || g.whole != (len(w.Raw) <= mime.MaxHeaderField) {
				t.Fatalf("field %d: %.100q (%t), want %.100q", i, g.raw, g.whole, w.Raw)
			}
		}
	})
}
