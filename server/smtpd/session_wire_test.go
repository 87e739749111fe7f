package smtpd_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/smtpd"
)

// Golden transcripts: "C: " lines are sent, "S: " lines are read, "TLS" shakes hands, "EOF" expects the end. {id} stands for an id.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 3 {
		t.Fatalf("transcripts: %v %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, func(c *smtpd.Config) { c.Limits.MessageBytes = 1 << 20 })
			port := smtpd.Port25
			switch {
			case strings.Contains(file, "587"):
				port = smtpd.Port587
			case strings.Contains(file, "465"):
				port = smtpd.Port465
			}
			play(t, w.connect(port), string(text))
		})
	}
}

func play(t *testing.T, c *client, script string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(script), "\n") {
		switch {
		case strings.HasPrefix(line, "C: "):
			c.raw(line[3:] + "\r\n")
		case line == "C:":
			c.raw("\r\n")
		case strings.HasPrefix(line, "S: "):
			got, err := c.br.ReadString('\n')
			if err != nil {
				t.Fatalf("want %q: %v", line, err)
			}
			got = strings.TrimSuffix(anyID.ReplaceAllString(got, "{id}"), "\r\n")
			if got != line[3:] {
				t.Fatalf("got  %q\nwant %q", got, line[3:])
			}
		case line == "TLS":
			c.handshake()
		case line == "EOF":
			c.closed()
		case line != "" && line[0] != '#':
			t.Fatalf("line %q", line)
		}
	}
}

// What the flows are told about a message and its sender.
func TestThePeerAndTheEnvelopeAreDescribed(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		c := w.dial(by)
		c.cmd("MAIL FROM:<alice@d.test> SIZE=100 BODY=8BITMIME SMTPUTF8", "250 ")
		c.cmd("RCPT TO:<bob@d.test>", "250 ")
		c.cmd("RCPT TO:<bob@d.test>", "250 ")
		c.cmd(`RCPT TO:<"a b"@d.test>`, "250 ")
		c.cmd("DATA", "354 ")
		c.raw("Subject: x\r\n\r\nx\r\n.\r\n")
		c.expect("250 2.0.0 msg_1 accepted")
		all := w.flowOf(by).all()
		if len(all) != 1 {
			t.Fatalf("%d messages", len(all))
		}
		m := all[0]
		bob, quoted := mail.Address{Local: "bob", Domain: "d.test"}, mail.Address{Local: "a b", Domain: "d.test"}
		if m.env.From != alice().Address || len(m.env.Recipients) != 2 || m.env.Recipients[0] != bob || m.env.Recipients[1] != quoted ||
			!m.env.Body8Bit || !m.env.UTF8 || m.body != "Subject: x\r\n\r\nx\r\n" {
			t.Errorf("envelope %+v, body %q", m.env, m.body)
		}
		submitted := by == way587 || by == way465
		if m.peer.Helo != "client.test" || !m.peer.ESMTP || !m.peer.Addr.IsLoopback() || !strings.HasPrefix(m.peer.Session, "con_") ||
			m.peer.At.IsZero() || (m.peer.User == alice().User) != submitted || (m.user.User == alice().User) != submitted {
			t.Errorf("peer %+v, user %v", m.peer, m.user.User)
		}
		if want := "TLS1.3 TLS_"; strings.HasPrefix(m.peer.TLS, want) == (by == clear25) || by == clear25 && m.peer.TLS != "" {
			t.Errorf("TLS %q", m.peer.TLS)
		}
	})
}

// Trap 2: a second MAIL is refused, and RSET gives recipients of the first no way into the second.
func TestASecondMailCannotTakeOverRecipients(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		c := w.dial(by)
		c.envelope()
		c.cmd("MAIL FROM:<alice@d.test>", "503 5.5.1")
		c.cmd("RSET", "250 ")
		c.cmd("DATA", "503 5.5.1")
		c.cmd("RCPT TO:<bob@d.test>", "503 5.5.1")
		c.cmd("MAIL FROM:<alice@d.test>", "250 ")
		c.cmd("DATA", "503 5.5.1 no valid recipients")
		c.cmd("RCPT TO:<carol@d.test>", "250 ")
		c.cmd("DATA", "354 ")
		c.raw("x\r\n.\r\n")
		c.expect("250 2.0.0")
		c.cmd("DATA", "503 5.5.1")
		all := w.flowOf(by).all()
		if len(all) != 1 || len(all[0].env.Recipients) != 1 || all[0].env.Recipients[0].Local != "carol" {
			t.Errorf("stored %+v", all)
		}
	})
}

func TestCommandsOutOfOrderAreRefused_I53(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits = c.Limits.Lifted() })
	c := w.greeted(smtpd.Port25)
	for _, tc := range [][2]string{
		{"MAIL FROM:<a@x.test>", "503 5.5.1"},
		{"RCPT TO:<bob@d.test>", "503 5.5.1"},
		{"DATA", "503 5.5.1"},
		{"EHLO", "501 5.5.2"},
		{"EHLO ", "501 5.5.2"},
		{"NOOP", "250 "},
		{"NOOP x", "250 "},
		{"VRFY bob", "252 2.1.5"},
		{"EXPN list", "502 5.5.1"},
		{"HELP", "214 2.0.0"},
		{"XYZZY", "500 5.5.2"},
		{"ETRN x", "500 5.5.2"},
		{"LHLO x", "500 5.5.2"},
		{"", "500 5.5.2"},
		{"A", "500 5.5.2"},
		{"RSET", "250 "},
		{"helo client.test", "250 mx.d.test"},
		{"DATA now", "501 5.5.4"},
		{"STARTTLS now", "501 5.5.4"},
		{"MAIL", "501 5.5.4"},
		{"MAIL FROM:a@x.test", "501 5.5.4"},
		{"MAIL FROM:<a@x.test", "501 5.5.4"},
		{"MAIL FROM:<a@x.test>SIZE=1", "501 5.5.4"},
		{"MAIL FROM:<a@x.test> HOLDFOR=60", "500 5.5.4"},
		{"MAIL FROM: <a@x.test>", "250 "},
		{"RCPT TO:<>", "501 5.5.4"},
		{"RCPT bob", "501 5.5.4"},
	} {
		if got := c.cmd(tc[0], tc[1]); got[0] >= '4' && !anyID.MatchString(got) {
			t.Errorf("%q: a refusal without an id: %q", tc[0], got)
		}
	}
}

// S-2: what was sent in clear before the handshake is not carried out after it.
func TestCommandsInjectedBeforeTheHandshakeAreDropped_S2(t *testing.T) {
	t.Parallel()
	for _, port := range []smtpd.Port{smtpd.Port25, smtpd.Port587} {
		w := newWorld(t, nil)
		c := w.greeted(port)
		c.cmd("EHLO client.test", "250 ")
		if port == smtpd.Port25 {
			c.envelope()
		}
		c.raw("STARTTLS\r\nRSET\r\nEHLO injected.test\r\nMAIL FROM:<evil@x.test>\r\n")
		c.expect("220 ")
		c.handshake()
		// Had anything been carried out, its reply would come first.
		c.cmd("MAIL FROM:<alice@d.test>", map[smtpd.Port]string{smtpd.Port25: "503 5.5.1 say EHLO", smtpd.Port587: "503 5.5.1 say EHLO"}[port])
		c.cmd("RCPT TO:<bob@d.test>", "503 5.5.1")
		c.cmd("DATA", "503 5.5.1")
		if got := c.cmd("EHLO client.test", "250 "); strings.Contains(got, "STARTTLS") {
			t.Errorf("STARTTLS offered under TLS: %q", got)
		}
		c.cmd("STARTTLS", "503 5.5.1")
		if port == smtpd.Port25 {
			if got := c.send("Subject: x\r\n\r\nx"); !strings.HasPrefix(got, "250 ") {
				t.Error(got)
			}
			if m := w.arrivals.all()[0]; m.peer.Helo != "client.test" || len(m.env.Recipients) != 1 {
				t.Errorf("%+v", m)
			}
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.connect(smtpd.Port465)
	old := tls.Client(c.nc, &tls.Config{RootCAs: w.roots, ServerName: "mx.d.test", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if old.Handshake() == nil {
		t.Fatal("TLS 1.1 was accepted")
	}
}

// addresses that could be read in two ways never reach a flow; quoted ones keep their meaning.
func TestAddressesThatCanBeMisreadAreRefused_X5(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits = c.Limits.Lifted() })
	c := w.dial(clear25)
	for path, want := range map[string]string{
		"a\x00b@d.test": "501 5.5.2", "a@d.te\x01st": "501 5.5.2", "a\tb@d.test": "501 5.5.2", "a b@d.test": "501 5.1.7", "a@b@d.test": "501 5.1.7",
		strings.Repeat("a", 65) + "@d.test": "501 5.1.7", "a@" + strings.Repeat("b", 63) + strings.Repeat("."+strings.Repeat("b", 63), 3): "501 5.1.7",
		"jörg@d.test": "553 5.6.7", "a@dömain.test": "553 5.6.7", "a@[127.0.0.1]": "501 5.1.7", "a": "501 5.1.7", "@x.test": "501 5.1.7",
		"a..b@d.test": "501 5.1.7", ".a@d.test": "501 5.1.7", `"a@d.test`: "501 5.5.4", `"a"b@d.test`: "501 5.1.7", "a@d.test\r": "501 5.5.2", "a@d_.test-": "501 5.1.7",
	} {
		c.cmd("MAIL FROM:<"+path+">", want)
	}
	for path, want := range map[string]string{
		"<bob@d.test>": "bob@d.test", `<"x@y"@d.test>`: `"x@y"@d.test`, `<"a\"b c"@D.Test.>`: `"a\"b c"@d.test`, "<@relay.test,@b.test:bob@d.test>": "bob@d.test",
		"<postmaster>": "postmaster@mx.d.test", "<PostMaster>": "PostMaster@mx.d.test", "<bob@BÜCHER.test>": "bob@xn--bcher-kva.test", `<"bob"@d.test>`: "bob@d.test",
		"<a%b@d.test>": "a%b@d.test", "<us!a@d.test>": "us!a@d.test", `<"a>b"@d.test>`: `"a>b"@d.test`,
	} {
		c.cmd("MAIL FROM:<jörg@dömain.test> SMTPUTF8", "250 ")
		c.cmd("RCPT TO:"+path, "250 ")
		c.cmd("RSET", "250 ")
		asked := w.arrivals.asked()
		if got := asked[len(asked)-1]; got != want {
			t.Errorf("%s was asked for as %s, want %s", path, got, want)
		}
	}
}

// S-4: a recipient that nobody can read for certain is not relayed and not stored.
func TestUnreadableRecipientsAreAnAttemptToRelay_S4(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits = c.Limits.Lifted() })
	c := w.dial(clear25)
	c.cmd("MAIL FROM:<a@x.test>", "250 ")
	for _, path := range []string{
		"a@b@d.test", "a@[d.test]", "a@[127.0.0.1]", "us!a", "bob", `"a` + "\x00" + `b"@d.test`, "a b@d.test", "a@d.test@", "@d.test", "@x:", "a@.d.test", "a@d..test", `"@d.test"`, "<bob@d.test",
	} {
		if got := c.cmd("RCPT TO:<"+path+">", "5"); !strings.HasPrefix(got, "550 5.7.1") {
			t.Errorf("%q: %s", path, got)
		}
	}
	if asked := w.arrivals.asked(); len(asked) != 0 {
		t.Errorf("asked for %v", asked)
	}
	s := w.dial(way465)
	s.cmd("MAIL FROM:<alice@d.test>", "250 ")
	s.cmd("RCPT TO:<a@[127.0.0.1]>", "553 5.1.3")
	s.cmd("RCPT TO:<postmaster>", "553 5.1.3")
}

// I-10 to I-23, I-35: refusals of recipients keep the transaction and the accepted ones.
func TestRecipientsAreRefusedOneByOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits.RecipientsInbound = 3 })
	w.arrivals.onRecipient = func(to mail.Address) error {
		return map[string]error{
			"nobody":   fmt.Errorf("lookup: %w", fault.New(fault.NotFound, "no-such-user", "<%s>: no such user", to)),
			"relay":    fault.New(fault.Forbidden, "relaying-denied", "<%s>: relaying denied", to),
			"disabled": fault.New(fault.Forbidden, "mailbox-disabled", "<%s>: mailbox disabled", to),
			"full":     fault.New(fault.OverQuota, "", "<%s>: mailbox full", to),
			"grey":     fault.New(fault.Limited, "greylisted", "<%s>: greylisted, retry in 300 s", to),
			"broken":   io.ErrUnexpectedEOF,
		}[to.Local]
	}
	c := w.dial(clear25)
	c.cmd("MAIL FROM:<a@x.test>", "250 ")
	for local, want := range map[string]string{
		"nobody": "550 5.1.1 <nobody@d.test>: no such user con_", "relay": "550 5.7.1 <relay@d.test>: relaying denied con_",
		"disabled": "550 5.2.1 <disabled@d.test>: mailbox disabled con_", "full": "452 4.2.2 <full@d.test>: mailbox full con_",
		"grey": "451 4.7.1 <grey@d.test>: greylisted, retry in 300 s con_", "broken": "451 4.3.0 temporary failure con_",
		"bob": "250 2.1.5",
	} {
		c.cmd("RCPT TO:<"+local+"@d.test>", want)
	}
	c.cmd("RCPT TO:<b2@d.test>", "250 ")
	c.cmd("RCPT TO:<b3@d.test>", "250 ")
	c.cmd("RCPT TO:<b4@d.test>", "452 4.5.3 too many recipients con_")
	c.cmd("DATA", "354 ")
	c.raw("x\r\n.\r\n")
	c.expect("250 ")
	if got := w.arrivals.all()[0].env.Recipients; len(got) != 3 {
		t.Errorf("recipients %v", got)
	}
	c.cmd("MAIL FROM:<>", "250 ")
	c.cmd("RCPT TO:<bob@d.test>", "250 ")
	c.cmd("RCPT TO:<b2@d.test>", "452 4.5.3 one recipient for null sender con_")
	c.cmd("DATA", "354 ")
	c.raw("x\r\n.\r\n")
	c.expect("250 ")
	if m := w.arrivals.all()[1]; !m.env.From.IsNull() || len(m.env.Recipients) != 1 {
		t.Errorf("%+v", m.env)
	}
	for reason, want := range map[string]string{"unknown_user": "1", "relay_denied": "1", "recipient_disabled": "1", "greylisted": "1", "too_many_recipients": "2"} {
		if got := w.metric(`mailserver_messages_rejected_total{reason="` + reason + `"}`); got != want {
			t.Errorf("%s counted %s times", reason, got)
		}
	}
}

// L-4, X-5: command lines end in CR LF, have no control characters, and are bounded; each refusal leaves the session in step.
func TestCommandLinesAreStrict_L4(t *testing.T) {
	t.Parallel()
	eachWay(t, func(c *smtpd.Config) { c.Limits = c.Limits.Lifted() }, func(w *world, by way) {
		c := w.dial(by)
		for _, line := range []string{"NOOP\n", "NOOP x\n", "\n", "NOOP " + strings.Repeat("x", 2048) + "\r\n", "NOOP " + strings.Repeat("x", 60_000) + "\r\n"} {
			c.raw(line)
			c.expect("500 5.5.2")
		}
		for _, line := range []string{"NOOP\rRSET\r\n", "NOOP \x00\r\n", "NOOP \x1b[31m\r\n", "\r\r\n"} {
			c.raw(line)
			c.expect("501 5.5.2 control character")
		}
		c.raw("NOOP " + strings.Repeat("x", 2041) + "\r\n")
		c.expect("250 ")
		c.raw(strings.Repeat("x", 200_000))
		c.expect("421 4.7.0 line too long")
		c.closed()
	})
}

// RFC 2920: a whole session in one segment is answered in order.
func TestPipelinedCommandsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		c := w.dial(by)
		c.raw("MAIL FROM:<alice@d.test>\r\nRCPT TO:<nobody@d.test>\r\nRCPT TO:<bob@d.test>\r\nBDAT 6\r\nhello\n" +
			"BDAT 0 LAST\r\nMAIL FROM:<alice@d.test>\r\nRCPT TO:<bob@d.test>\r\nDATA\r\n")
		for _, want := range []string{"250 2.1.0", "550 5.1.1", "250 2.1.5"} {
			c.expect(want)
		}
		if by == way587 || by == way465 {
			c.expect("250 2.0.0 chunk")
			c.expect("250 2.0.0 msg_1 accepted")
		} else {
			c.expect("550 5.6.0 bare CR or LF in message")
			c.expect("503 5.5.1")
		}
		for _, want := range []string{"250 2.1.0", "250 2.1.5", "354 "} {
			c.expect(want)
		}
		c.raw("x\r\n.\r\nNOOP\r\nQUIT\r\n")
		for _, want := range []string{"250 2.0.0", "250 2.0.0", "221 2.0.0"} {
			c.expect(want)
		}
		c.closed()
	})
}

// S-49: a panic in a service ends that connection only, as our fault.
func TestAPanicEndsOneConnection_S49(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		f := w.flowOf(by)
		other := w.dial(by)
		c := w.dial(by)
		f.onRecipient = func(to mail.Address) error {
			if to.Local == "panic" {
				panic("in Recipient")
			}
			return nil
		}
		c.cmd("MAIL FROM:<alice@d.test>", "250 ")
		c.cmd("RCPT TO:<panic@d.test>", "451 4.3.0 temporary failure con_")
		c.expect("421 4.3.0")
		c.closed()
		f.onStore = func(_ context.Context, body io.Reader) (string, error) { panic("in store") }
		c = w.dial(by)
		if got := c.send("Subject: x\r\n\r\nx"); !strings.HasPrefix(got, "451 4.3.0 temporary failure con_") {
			t.Error(got)
		}
		c.expect("421 4.3.0")
		c.closed()
		f.onStore = nil
		if got := other.send("Subject: x\r\n\r\nx"); !strings.HasPrefix(got, "250 ") {
			t.Error(got)
		}
	})
}

// One client that does everything wrong costs two others nothing.
func TestOtherSessionsAreUnaffectedByAMisbehavingOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits.DataBlock = 300 * time.Millisecond; c.Limits.ErrorsHard = 3 })
	good, better := w.dial(clear25), w.dial(way465)
	stalled := w.dial(clear25)
	stalled.envelope()
	stalled.cmd("DATA", "354 ")
	stalled.raw("half a mess")
	for range 5 {
		noisy := w.dial(clear25)
		noisy.raw("XYZZY\r\nXYZZY\r\nXYZZY\r\nXYZZY\r\n")
		if got := good.send("Subject: x\r\n\r\nx"); !strings.HasPrefix(got, "250 ") {
			t.Error(got)
		}
		if got := better.send("Subject: x\r\n\r\nx"); !strings.HasPrefix(got, "250 ") {
			t.Error(got)
		}
		for _, want := range []string{"500 5.5.2", "500 5.5.2", "500 5.5.2", "421 4.7.0 too many errors"} {
			noisy.expect(want)
		}
		noisy.closed()
	}
	stalled.expect("451 4.4.2")
	stalled.closed()
	if a, d := len(w.arrivals.all()), len(w.departs.all()); a != 5 || d != 5 {
		t.Errorf("%d arrivals, %d departures", a, d)
	}
}
