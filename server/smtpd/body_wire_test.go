package smtpd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/smtpd"
)

// smuggled is what an attacker wants to be read as commands after a false end of data.
const smuggled = "MAIL FROM:<ceo@d.test>\r\nRCPT TO:<bob@d.test>\r\nDATA\r\nSubject: forged\r\n\r\nx\r\n.\r\n"

// S-1: no variant of the end of data lets one message become two, on any port, by DATA and by BDAT.
func TestNoVariantOfTheEndOfDataSmugglesASecondMessage_S1(t *testing.T) {
	t.Parallel()
	variants := map[string]string{
		"LF.LF": "\n.\n", "LF.CRLF": "\n.\r\n", "CRLF.LF": "\r\n.\n", "CR.CR": "\r.\r", "CRLF.CR": "\r\n.\r", "CR.CRLF": "\r.\r\n",
		"CRCRLF.CRLF": "\r\r\n.\r\n", "CRLF.CRCRLF": "\r\n.\r\r\n", "CRLF.NUL CRLF": "\r\n.\x00\r\n", "LFCR.CRLF": "\n\r.\r\n",
	}
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		for name, end := range variants {
			body := "Subject: first\r\n\r\nhello" + end + smuggled
			for _, how := range []string{"DATA", "BDAT"} {
				c := w.dial(by)
				before := len(w.flowOf(by).all())
				c.envelope()
				if how == "DATA" {
					c.cmd("DATA", "354 ")
					c.raw(body + "\r\n.\r\n")
				} else {
					c.raw(fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), body))
				}
				got, err := c.reply()
				if err != nil {
					t.Fatalf("%s %s: %v", how, name, err)
				}
				// With DATA the smuggled text itself has a proper end; what follows is then read as commands of the honest client.
				stored := w.flowOf(by).all()[before:]
				if len(stored) > 1 {
					t.Errorf("%s %s: %d messages", how, name, len(stored))
				}
				for _, m := range stored {
					if m.env.From.Local == "ceo" || strings.ContainsAny(strings.ReplaceAll(m.body, "\r\n", ""), "\r\n\x00") {
						t.Errorf("%s %s: stored from %s: %q", how, name, m.env.From, m.body)
					}
				}
				if !strings.HasPrefix(got, "250 2.0.0") && !strings.HasPrefix(got, "550 5.6.0") {
					t.Errorf("%s %s: %q", how, name, got)
				}
				if by == clear25 && !strings.HasPrefix(got, "550 5.6.0") {
					t.Errorf("%s %s: port 25 must refuse a bare CR, LF or NUL: %q", how, name, got)
				}
			}
		}
	})
}

// I-33: what a signed-in user sends with bare line ends is stored with proper ones, and nothing else is changed.
func TestSubmissionNormalisesLineEnds_I33(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for sent, want := range map[string]string{
		"a\nb\nc":           "a\r\nb\r\nc\r\n",
		"a\rb":              "a\r\nb\r\n",
		"a\r\r\nb":          "a\r\nb\r\n",
		"..dot\r\n...\r\nx": ".dot\r\n..\r\nx\r\n",
		"a\n\nb":            "a\r\n\r\nb\r\n",
	} {
		c := w.dial(way465)
		if got := c.send(sent); !strings.HasPrefix(got, "250 ") {
			t.Fatalf("%q: %s", sent, got)
		}
		all := w.departs.all()
		if got := all[len(all)-1].body; got != want {
			t.Errorf("%q stored as %q, want %q", sent, got, want)
		}
	}
}

// after a stalled body nothing is read as a command, and the sender is told to try again.
func TestStalledDataNeverRunsTheBodyAsCommands_X1(t *testing.T) {
	t.Parallel()
	shorten := func(c *smtpd.Config) { c.Limits.DataBlock = 100 * time.Millisecond }
	eachWay(t, shorten, func(w *world, by way) {
		t := w.t
		for _, begin := range []string{"DATA\r\n", "BDAT 1000\r\n"} {
			c := w.dial(by)
			c.envelope()
			c.raw(begin)
			if begin == "DATA\r\n" {
				c.expect("354 ")
			}
			c.raw("Subject: slow\r\n\r\nthe rest comes too late\r\n")
			c.expect("451 4.4.2 timeout")
			c.throw(".\r\n" + smuggled + "NOOP\r\n")
			c.closed()
		}
		if n := len(w.flowOf(by).all()); n != 0 {
			t.Fatalf("%d messages stored", n)
		}
	})
}

// The same between two chunks; the reply is one line, and so is that of a client who sends nonsense there.
func TestAClientThatStopsBetweenChunksGetsOneReply_X1(t *testing.T) {
	t.Parallel()
	shorten := func(c *smtpd.Config) { c.Limits.DataBlock, c.Limits.ErrorsHard = 1500*time.Millisecond, 2 }
	eachWay(t, shorten, func(w *world, by way) {
		for sent, replies := range map[string][]string{
			"":                                 {"451 4.4.2 timeout"},
			"DATA\r\nDATA\r\nBDAT 1 LAST\r\nx": {"503 5.5.1", "503 5.5.1", "421 4.7.0 too many errors"},
			strings.Repeat("x", 100_000):       {"451 4.4.2 line too long"},
		} {
			c := w.dial(by)
			c.envelope()
			c.raw("BDAT 5\r\nhello")
			c.expect("250 2.0.0 chunk")
			go c.throw(sent)
			for _, want := range replies {
				c.expect(want)
			}
			c.closed()
		}
		if n := len(w.flowOf(by).all()); n != 0 {
			w.t.Fatalf("%d messages stored", n)
		}
	})
}

// who moves on, however slowly within the rate, is not cut by the timeout of a block.
func TestASlowHonestSenderIsAccepted_X2(t *testing.T) {
	t.Parallel()
	change := func(c *smtpd.Config) { c.Limits.DataBlock = time.Second }
	eachWay(t, change, func(w *world, by way) {
		c := w.dial(by)
		c.envelope()
		c.cmd("DATA", "354 ")
		for range 25 {
			tick(50 * time.Millisecond)
			c.raw("a line that moves on\r\n")
		}
		c.raw(".\r\n")
		c.expect("250 2.0.0 msg_1 accepted")
	})
}

// below the least rate, and beyond the total time, a body is cut although octets keep coming.
func TestADrippedBodyIsCut_X2(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*smtpd.Limits){
		"rate":  func(l *smtpd.Limits) { l.DataGrace, l.DataRate = 200*time.Millisecond, 100_000 },
		"total": func(l *smtpd.Limits) { l.DataTotal = 200 * time.Millisecond },
	} {
		eachWay(t, func(c *smtpd.Config) { change(&c.Limits) }, func(w *world, by way) {
			t := w.t
			c := w.dial(by)
			c.envelope()
			c.cmd("DATA", "354 ")
			go func() {
				for range 500 {
					if _, err := c.nc.Write([]byte("x\r\n")); err != nil {
						return
					}
					tick(10 * time.Millisecond)
				}
			}()
			if got := c.expect("451 4.4.2 timeout"); name == "rate" && !strings.Contains(got, "slowly") {
				t.Errorf("got %q", got)
			}
			if n := len(w.flowOf(by).all()); n != 0 {
				t.Fatalf("%d messages stored", n)
			}
		})
	}
}

// halfClose ends the sending side: by FIN in clear, by close_notify under TLS.
func halfClose(t *testing.T, nc net.Conn) {
	t.Helper()
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok {
		t.Fatalf("%T cannot be half closed", nc)
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// a chunk that ends early is not a message, in clear and after an orderly close of TLS.
func TestATruncatedChunkStoresNothing_X3(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		c := w.dial(by)
		c.envelope()
		c.raw("BDAT 1000 LAST\r\nSubject: half\r\n\r\n" + strings.Repeat("x", 300))
		halfClose(t, c.nc)
		c.expect("451 4.4.2 connection lost before the end of the chunk")
		c.closed()
		if n := len(w.flowOf(by).all()); n != 0 {
			t.Fatalf("%d messages stored", n)
		}
	})
}

// A client that vanishes in DATA leaves nothing behind, with a proper close, with a reset and with half a line.
func TestADisconnectInDataStoresNothing(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		read := make(chan error, 3)
		w.flowOf(by).onStore = func(_ context.Context, body io.Reader) (string, error) {
			_, err := io.Copy(io.Discard, body)
			read <- err
			return "stored-anyway", nil // a flow that does not look at the error must not get a 250 out
		}
		for _, body := range []string{"Subject: x\r\n\r\nhalf", "Subject: x\r\n\r\nline\r\n", "Subject: x\r\n\r\nline\r\n."} {
			c := w.dial(by)
			c.envelope()
			c.cmd("DATA", "354 ")
			c.raw(body)
			halfClose(t, c.nc)
			c.expect("451 4.4.2 connection lost")
			if err := <-read; fault.CodeOf(err) != "connection-lost" || !fault.Is(err, fault.Unavailable) {
				t.Errorf("the flow read %v", err)
			}
		}
		c := w.dial(by)
		c.envelope()
		c.cmd("DATA", "354 ")
		c.raw("Subject: x\r\n")
		reset(c.nc)
		if err := <-read; err == nil {
			t.Error("a reset passed as the end of the message")
		}
	})
}

func reset(nc net.Conn) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	nc.(*net.TCPConn).SetLinger(0) //nolint:errcheck // without it the close is an orderly one, and the test fails
	nc.Close()
}

// Trap 5: a message of exactly the limit is accepted, one octet more is not, and SIZE says the same number (L-1, I-17, I-18).
func TestTheSizeLimitIsExact_L1(t *testing.T) {
	t.Parallel()
	const limit = 70_000
	change := func(c *smtpd.Config) { c.Limits.MessageBytes = limit }
	eachWay(t, change, func(w *world, by way) {
		t := w.t
		c := w.dial(by)
		if got := c.cmd("EHLO client.test", "250 "); !strings.Contains(got, "|250-SIZE 70000|") {
			t.Errorf("EHLO: %q", got)
		}
		fill := func(n int) string {
			return strings.Repeat(strings.Repeat("x", 98)+"\r\n", (n-1000)/100) + strings.Repeat("y", 998+(n-1000)%100) + "\r\n"
		}
		for n, want := range map[int]string{limit: "250 2.0.0", limit + 1: "552 5.3.4 message size exceeds 70000 bytes"} {
			c.envelope()
			c.cmd("DATA", "354 ")
			c.raw(fill(n) + ".\r\n")
			c.expect(want)
			c.envelope()
			c.raw(fmt.Sprintf("BDAT 30000\r\n%sBDAT %d LAST\r\n%s", fill(n)[:30000], n-30000, fill(n)[30000:]))
			c.expect("250 2.0.0 chunk")
			c.expect(want)
		}
		for _, m := range w.flowOf(by).all() {
			if len(m.body) != limit {
				t.Errorf("stored %d octets", len(m.body))
			}
		}
		if n := len(w.flowOf(by).all()); n != 2 {
			t.Errorf("%d messages stored", n)
		}
		c.cmd("MAIL FROM:<alice@d.test> SIZE=70000", "250 ")
		c.cmd("RSET", "250 ")
		for _, size := range []string{"70001", "4294967296", "9999999999", "99999999999999999999999"} {
			c.cmd("MAIL FROM:<alice@d.test> size="+size, "552 5.3.4")
		}
		c.cmd("MAIL FROM:<alice@d.test> SIZE=many", "501 5.5.4")
		c.cmd(`MAIL FROM:<"a SIZE=9999999999 b"@d.test>`, map[bool]string{true: "550 5.7.1", false: "250 "}[by == way587 || by == way465])
	})
}

// I-18: a body far beyond the limit is not read to its end for ever; the sender still gets the reply.
func TestAnEndlessBodyIsCutAtTwiceTheLimit_I18(t *testing.T) {
	t.Parallel()
	change := func(c *smtpd.Config) { c.Limits.MessageBytes = 64 << 10 }
	eachWay(t, change, func(w *world, by way) {
		c := w.dial(by)
		c.envelope()
		c.cmd("DATA", "354 ")
		go c.throw(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 8000))
		c.expect("552 5.3.4")
		c.closed()
		c = w.dial(by)
		c.envelope()
		c.raw("BDAT 5000000000 LAST\r\n")
		go c.throw(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 8000))
		c.expect("552 5.3.4")
		c.closed()
	})
}

// The reply to such a body is not destroyed by closing while the client sends.
func TestTheConnectionIsClosedGentlyWhileTheClientSends_I18(t *testing.T) {
	t.Parallel()
	eachWay(t, func(c *smtpd.Config) { c.Limits.MessageBytes = 64 << 10 }, func(w *world, by way) {
		c := w.dial(by)
		c.envelope()
		c.cmd("DATA", "354 ")
		c.raw(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 1500))
		c.expect("552 5.3.4")
		c.closed()
		for range 4 {
			if _, err := io.WriteString(c.nc, "still sending\r\n"); err != nil {
				w.t.Fatalf("the server reset the connection: %v", err)
			}
			tick(10 * time.Millisecond)
		}
	})
}

// L-5: a line of 10,000 octets is accepted, a longer one refused without losing the connection (trap 4).
func TestALongLineIsRefusedAndTheSessionGoesOn_L5(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		c := w.dial(by)
		if got := c.send("Subject: x\r\n\r\n" + strings.Repeat("y", 10_000)); !strings.HasPrefix(got, "250 ") {
			t.Fatal(got)
		}
		for _, n := range []int{10_001, 500_000} {
			if got := c.send("Subject: x\r\n\r\n" + strings.Repeat("y", n)); !strings.HasPrefix(got, "500 5.5.2") {
				t.Fatal(got)
			}
		}
		if got := c.send("Subject: again\r\n\r\nfine"); !strings.HasPrefix(got, "250 ") {
			t.Fatal(got)
		}
	})
}

// Trap 6: RSET during BDAT is answered when the flow has let go of the message, and the next transaction is a fresh one.
func TestRsetDuringBdatEndsTheTransactionFirst(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		f := w.flowOf(by)
		returned := make(chan error, 1)
		f.onStore = func(_ context.Context, body io.Reader) (string, error) {
			_, err := io.Copy(io.Discard, body)
			returned <- err
			return "", fmt.Errorf("spool: %w", err)
		}
		c := w.dial(by)
		c.envelope()
		c.raw("BDAT 5\r\nhello")
		c.expect("250 2.0.0 chunk")
		for bad, want := range map[string]string{
			"MAIL FROM:<alice@d.test>": "503 5.5.1", "RCPT TO:<eve@d.test>": "503 5.5.1", "DATA": "503 5.5.1", "STARTTLS": "503 5.5.1", "NOOP": "250 ",
		} {
			c.cmd(bad, want)
		}
		c.raw("RSET\r\n")
		c.expect("250 2.0.0 Session reset")
		select {
		case err := <-returned:
			if fault.CodeOf(err) != "transaction-aborted" {
				t.Errorf("the flow read %v", err)
			}
		default:
			t.Fatal("RSET was answered while the message was still being stored")
		}
		f.onStore = nil
		c.raw("BDAT 3 LAST\r\nabc")
		c.expect("503 5.5.1")
		c.envelope()
		c.raw("BDAT 2\r\nokBDAT 0 LAST\r\n")
		c.expect("250 2.0.0 chunk")
		c.expect("250 2.0.0 msg_1 accepted")
		if all := f.all(); len(all) != 1 || all[0].body != "ok" || len(all[0].env.Recipients) != 1 {
			t.Errorf("stored %v", all)
		}
	})
}

func TestQuitAndEhloDuringBdatAreObeyed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(clear25)
	c.envelope()
	c.raw("BDAT 5\r\nhello")
	c.expect("250 2.0.0 chunk")
	c.cmd("EHLO again.test", "250 ")
	c.cmd("RCPT TO:<bob@d.test>", "503 5.5.1")
	c.envelope()
	c.raw("BDAT 5\r\nhelloQUIT\r\n")
	c.expect("250 2.0.0 chunk")
	c.expect("221 2.0.0")
	c.closed()
	if n := len(w.arrivals.all()); n != 0 {
		t.Errorf("%d messages stored", n)
	}
}

// RFC 3030 §4.2: the chunk of a refused BDAT is not read as commands.
func TestTheChunkOfARefusedBdatIsSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(clear25)
	chunk := "EXPN list\r\nRSET\r\n"
	c.raw(fmt.Sprintf("BDAT %d LAST\r\n%s", len(chunk), chunk))
	c.expect("503 5.5.1")
	c.cmd("NOOP", "250 ")
	c.cmd("MAIL FROM:<a@x.test>", "250 ")
	c.cmd("RCPT TO:<nobody@d.test>", "550 5.1.1")
	c.raw(fmt.Sprintf("BDAT %d\r\n%s", len(chunk), chunk))
	c.expect("503 5.5.1 no valid recipients")
	w.arrivals.onReady = func() error { return fault.New(fault.Storage, "", "insufficient system storage") }
	c.cmd("RCPT TO:<bob@d.test>", "250 ")
	c.raw(fmt.Sprintf("BDAT %d LAST\r\n%s", len(chunk), chunk))
	c.expect("452 4.3.1")
	c.cmd("NOOP", "250 ")
	for _, arg := range []string{"x", "-1", "+5", "5 LATE", "5 LAST x", "", "99999999999999999999"} {
		c := w.dial(clear25)
		c.envelope()
		c.cmd("BDAT "+arg, "501 5.5.4")
		c.expect("421 4.7.0 cannot tell where the chunk ends")
		c.closed()
	}
}

// D-6: what cannot be stored is refused before it is sent.
func TestDataIsNotAskedForWhenItCannotBeStored_D6(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		f := w.flowOf(by)
		c := w.dial(by)
		for want, err := range map[string]error{
			"452 4.3.1 insufficient system storage con_": fault.New(fault.Storage, "", "insufficient system storage"),
			"451 4.3.0 temporary failure con_":           fault.New(fault.Unavailable, "", "database is down: password=x"),
		} {
			f.onReady = func() error { return fmt.Errorf("ready: %w", err) }
			c.envelope()
			c.cmd("DATA", want)
			c.cmd("DATA", "503 5.5.1")
		}
	})
}

// Trap 1: a wrapped error keeps its reply; an unknown one is our fault, a 4xx, and shows nothing of itself.
func TestFlowErrorsBecomeTheRightReply(t *testing.T) {
	t.Parallel()
	loop := fault.New(fault.Invalid, "mail-loop", "mail loop detected")
	secret := errors.New("pq: password authentication failed for user mail at 10.0.0.5")
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		f := w.flowOf(by)
		c := w.dial(by)
		for _, tc := range []struct {
			err  error
			want string
		}{
			{fmt.Errorf("deliver: %w", fmt.Errorf("again: %w", loop)), "554 5.4.6 mail loop detected con_"},
			{secret, "451 4.3.0 temporary failure con_"},
			{fault.Wrap(secret, fault.Internal, "x", "secret %s", secret), "451 4.3.0 temporary failure con_"},
			{fault.Wrap(secret, fault.Unavailable, "", "database"), "451 4.3.0 temporary failure con_"},
			{fault.Wrap(secret, fault.Unavailable, "mail-loop", "a 5xx word on our own fault"), "451 4.3.0 temporary failure con_"},
			{fault.New(fault.OverQuota, "", "mailbox full"), "452 4.2.2 mailbox full con_"},
			{fault.New(fault.Forbidden, "dmarc-rejected", "rejected by DMARC policy of x.test"), "550 5.7.1 rejected by DMARC policy of x.test con_"},
			{fault.New(fault.Limited, "", "rate limit, try later"), "450 4.7.1"},
			{context.DeadlineExceeded, "451 4.3.0"},
			{fault.New(fault.Invalid, "message-rejected", "two\r\n250 lines\x00 é"), "550 5.6.0 two??250 lines? ? con_"},
		} {
			f.onStore = func(_ context.Context, body io.Reader) (string, error) {
				drain(body)
				return "receipt", tc.err
			}
			got := c.send("Subject: x\r\n\r\nx")
			if !strings.HasPrefix(got, tc.want) || strings.Contains(got, "password") || strings.Contains(got, "|") {
				t.Errorf("%v: got %q, want %q", tc.err, got, tc.want)
			}
		}
	})
}

// A flow that leaves the message unread, refuses it early or swallows the reader's error never makes a 250, and the session
// stays in step.
func TestAFlowThatStopsReadingKeepsTheSessionInStep(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		f := w.flowOf(by)
		c := w.dial(by)
		long := "Subject: x\r\n\r\n" + strings.Repeat("NOOP\r\n", 20_000) + "end"
		f.onStore = func(context.Context, io.Reader) (string, error) { return "unread", nil }
		if got := c.send(long); !strings.HasPrefix(got, "451 4.3.0") {
			t.Errorf("an unread message was accepted: %q", got)
		}
		f.onStore = func(context.Context, io.Reader) (string, error) {
			return "", fault.New(fault.Forbidden, "content-rejected", "message content rejected")
		}
		if got := c.send(long); !strings.HasPrefix(got, "554 5.7.1 message content rejected") {
			t.Errorf("got %q", got)
		}
		f.onStore = func(_ context.Context, body io.Reader) (string, error) {
			drain(body)
			return "swallowed", nil
		}
		if got := c.send("Subject: x\r\n\r\nNUL \x00"); !strings.HasPrefix(got, "550 5.6.0 NUL") {
			t.Errorf("got %q", got)
		}
		c.cmd("NOOP", "250 ")
	})
}
