package smtpd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/smtpd"
)

// S-14, L-30, I-21: beyond the connections of one address the next is told so and closed; when one ends, there is room again.
func TestConnectionsOfOneAddressAreCapped_L30(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*smtpd.Limits){
		"address": func(l *smtpd.Limits) { l.ConnectionsPerIP = 3 },
		"network": func(l *smtpd.Limits) { l.ConnectionsPerNetwork = 3 },
		"total":   func(l *smtpd.Limits) { l.Connections = 3; l.Stress = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *smtpd.Config) { change(&c.Limits) })
			var open []*client
			for range 3 {
				open = append(open, w.greeted(smtpd.Port25))
			}
			for range 2 {
				c := w.connect(smtpd.Port25)
				c.expect("421 4.7.0 too many connections, try later")
				c.closed()
			}
			w.greeted(smtpd.Port587) // a flood on 25 leaves room on the other ports
			open[0].cmd("QUIT", "221 ")
			open[0].closed()
			w.awaitRoom(smtpd.Port25)
			if got := w.metric(`mailserver_messages_rejected_total{reason="rate_limited"}`); got == "0" {
				t.Error("refused connections are not counted")
			}
		})
	}
}

// awaitRoom waits until the port takes a connection.
func (w *world) awaitRoom(port smtpd.Port) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); tick(time.Millisecond) {
		c := w.connect(port)
		got, err := c.reply()
		if err == nil && strings.HasPrefix(got, "220 ") {
			return
		}
	}
	w.t.Fatal("no room after a connection has ended")
}

func TestOpenConnectionsAreCounted_A76(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	smtp, submission := `mailserver_active_connections{protocol="smtp"}`, `mailserver_active_connections{protocol="submission"}`
	a, b := w.dial(clear25), w.dial(way465)
	if w.metric(smtp) != "1" || w.metric(submission) != "1" {
		t.Errorf("open: %s and %s", w.metric(smtp), w.metric(submission))
	}
	a.nc.Close()
	b.nc.Close()
	for deadline := time.Now().Add(10 * time.Second); w.metric(smtp) != "0" || w.metric(submission) != "0"; tick(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("closed connections are still counted")
		}
	}
}

// I-1: who talks before the greeting is refused on port 25; who waits is greeted.
func TestAnEarlyTalkerIsRefused_I1(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits.BannerDelay = 700 * time.Millisecond })
	c := w.connect(smtpd.Port25)
	c.raw("EHLO spam.test\r\n")
	c.expect("554 5.5.1")
	c.closed()
	if got := w.dial(clear25).send("Subject: x\r\n\r\nx"); !strings.HasPrefix(got, "250 ") {
		t.Error(got)
	}
}

// S-13: silence, dripped commands, a handshake that does not come and a sign-in that does not come all end in time.
func TestSilentClientsAreDropped_S13(t *testing.T) {
	t.Parallel()
	soon := 150 * time.Millisecond
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		eachWay(t, func(c *smtpd.Config) { c.Limits.Command = 1500 * time.Millisecond }, func(w *world, by way) {
			c := w.dial(by)
			c.expect("421 4.4.2 timeout")
			c.closed()
		})
	})
	t.Run("dripped command", func(t *testing.T) {
		t.Parallel()
		c := newWorld(t, func(c *smtpd.Config) { c.Limits.Command = soon }).greeted(smtpd.Port25)
		go func() {
			for range 1000 {
				if _, err := io.WriteString(c.nc, "N"); err != nil {
					return
				}
				tick(20 * time.Millisecond)
			}
		}()
		c.expect("421 4.4.2 timeout")
		c.closed()
	})
	t.Run("session life", func(t *testing.T) {
		t.Parallel()
		c := newWorld(t, func(c *smtpd.Config) { c.Limits.SessionLife = soon }).greeted(smtpd.Port25)
		c.expect("421 4.7.0 session too long")
		c.closed()
	})
	t.Run("handshake", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(c *smtpd.Config) { c.Limits.Handshake = soon })
		w.connect(smtpd.Port465).closed()
		c := w.greeted(smtpd.Port587)
		c.cmd("STARTTLS", "220 ")
		c.closed()
	})
	t.Run("sign-in", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(c *smtpd.Config) { c.Limits.PreAuth = 2 * time.Second })
		c, signed, stranger := w.greeted(smtpd.Port465), w.dial(way465), w.dial(clear25)
		c.expect("421 4.4.2 timeout")
		c.closed()
		signed.cmd("NOOP", "250 ")
		stranger.cmd("NOOP", "250 ")
	})
	t.Run("stress", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(c *smtpd.Config) { c.Limits.Connections, c.Limits.Stress = 4, time.Second })
		first := w.greeted(smtpd.Port25)
		first.cmd("NOOP", "250 ")
		for range 2 {
			w.connect(smtpd.Port25)
		}
		fourth := w.greeted(smtpd.Port25)
		first.cmd("NOOP", "421 4.7.0 too many commands without mail")
		fourth.expect("421 4.4.2 timeout")
		fourth.closed()
		first.closed()
	})
}

// A client that sends and never reads does not hold a session for ever.
func TestAClientThatNeverReadsIsDropped_S13(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits = c.Limits.Lifted(); c.Limits.Write = 200 * time.Millisecond })
	c := w.dial(clear25)
	many := strings.Repeat("NOOP\r\n", 10_000)
	for {
		if _, err := io.WriteString(c.nc, many); err != nil {
			break
		}
	}
	for deadline := time.Now().Add(10 * time.Second); w.metric(`mailserver_active_connections{protocol="smtp"}`) != "0"; tick(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the session is still there")
		}
	}
}

// L-34, I-53: errors slow a session down and end it; so do commands without mail.
func TestErrorsSlowASessionAndEndIt_L34(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) {
		c.Limits.ErrorsSlow, c.Limits.ErrorsSoft, c.Limits.ErrorsHard, c.Limits.ErrorDelay = 3, 4, 5, 60*time.Millisecond
	})
	c := w.dial(clear25)
	for i, least := range []int{0, 0, 60, 120, 0} {
		begin := time.Now()
		c.cmd("MAIL FROM:<broken", "501 ")
		if took := time.Since(begin); took.Milliseconds() < int64(least) {
			t.Errorf("error %d was answered after %v", i+1, took)
		}
	}
	c.expect("421 4.7.0 too many errors, closing connection con_")
	c.closed()
}

func TestCommandsWithoutMailEndASession_L34(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits.JunkCommands = 5 })
	for _, junk := range []string{"NOOP", "RSET", "VRFY x", "HELP", "EHLO x"} {
		c := w.dial(clear25)
		for range 4 {
			c.cmd(junk, "2")
		}
		c.cmd(junk, "421 4.7.0")
		c.closed()
	}
	c := w.dial(clear25)
	for range 6 {
		c.cmd("NOOP", "250 ")
		c.cmd("NOOP", "250 ")
		if got := c.send("Subject: x\r\n\r\nx"); !strings.HasPrefix(got, "250 ") {
			t.Fatalf("mail between them should count for the client: %s", got)
		}
	}
}

// L-36, X-6, I-10: messages, commands and guessed addresses of a session are bounded.
func TestTheRestOfASessionIsBounded_L36(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits.SessionMessages, c.Limits.UnknownUsers = 2, 4 })
	c := w.dial(clear25)
	c.send("x")
	c.send("x")
	c.cmd("MAIL FROM:<a@x.test>", "421 4.7.0 enough messages")
	c.closed()
	c = w.dial(clear25)
	c.cmd("MAIL FROM:<a@x.test>", "250 ")
	for range 4 {
		c.cmd("RCPT TO:<nobody@d.test>", "550 5.1.1")
	}
	c.expect("421 4.7.0 too many unknown recipients")
	c.closed()
	w = newWorld(t, func(c *smtpd.Config) { c.Limits.Commands = 6 })
	c = w.dial(clear25)
	for range 4 {
		c.cmd("MAIL FROM:<a@x.test>", "")
	}
	c.cmd("NOOP", "421 4.7.0 too many commands")
	c.closed()
}

// A profile without limits lifts counts and keeps sizes and times.
func TestLiftedLimitsKeepSizesAndTimes(t *testing.T) {
	t.Parallel()
	l := smtpd.DefaultLimits().Lifted()
	if l.MessageBytes != 35<<20 || l.LineBytes != 10_000 || l.Command != 5*time.Minute || l.RecipientsInbound != 100 || l.AuthDelay != time.Second {
		t.Errorf("a size or time is gone: %+v", l)
	}
	w := newWorld(t, func(c *smtpd.Config) { c.Limits = c.Limits.Lifted() })
	c := w.dial(clear25)
	for range 150 {
		c.cmd("XYZZY", "500 ")
		c.cmd("NOOP", "250 ")
		c.cmd("MAIL FROM:<a@x.test>", "250 ")
		c.cmd("RCPT TO:<nobody@d.test>", "550 ")
		c.cmd("RSET", "250 ")
	}
}

func TestAWebBrowserIsSentAway(t *testing.T) {
	t.Parallel()
	c := newWorld(t, nil).greeted(smtpd.Port25)
	c.raw("POST / HTTP/1.1\r\nHost: mx.d.test\r\n\r\nMAIL FROM:<a@x.test>\r\n")
	c.expect("421 4.7.0 this is a mail server")
	c.closed()
}

// I-55: idle sessions are told at once; a body that is being received is answered first.
func TestShutdownFinishesRunningTransactions_I55(t *testing.T) {
	t.Parallel()
	eachWay(t, nil, func(w *world, by way) {
		t := w.t
		idle, chunked, busy := w.dial(by), w.dial(by), w.dial(by)
		for _, c := range []*client{busy, chunked} {
			c.envelope()
		}
		busy.cmd("DATA", "354 ")
		busy.raw("Subject: last\r\n\r\n")
		chunked.raw("BDAT 3\r\nabc")
		chunked.expect("250 ")
		done := make(chan error, 1)
		go func() { done <- w.server.Shutdown(context.Background()) }()
		idle.expect("421 4.3.2 shutting down con_")
		idle.closed()
		if _, err := net.Dial("tcp", w.addr[smtpd.Port25]); err == nil {
			t.Error("a new connection is accepted")
		}
		chunked.raw("BDAT 3 LAST\r\ndef")
		busy.raw("finished\r\n.\r\n")
		for _, c := range []*client{busy, chunked} {
			c.expect("250 2.0.0 msg_")
			c.expect("421 4.3.2")
			c.closed()
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if n := len(w.flowOf(by).all()); n != 2 {
			t.Errorf("%d messages stored", n)
		}
	})
}

// I-55: a body that takes longer than the grace is given up with a temporary error, and so is a flow that hangs.
func TestShutdownCutsWhatTakesTooLong_I55(t *testing.T) {
	t.Parallel()
	eachWay(t, func(c *smtpd.Config) { c.Limits.Stop = 100 * time.Millisecond }, func(w *world, by way) {
		t := w.t
		sending, storing := w.dial(by), w.dial(by)
		sending.envelope()
		sending.cmd("DATA", "354 ")
		sending.raw("Subject: never\r\n")
		entered := make(chan struct{})
		w.flowOf(by).onStore = func(ctx context.Context, body io.Reader) (string, error) {
			drain(body)
			close(entered)
			<-ctx.Done()
			return "", ctx.Err()
		}
		storing.envelope()
		storing.cmd("DATA", "354 ")
		storing.raw("x\r\n.\r\n")
		<-entered
		if err := w.server.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		for _, c := range []*client{sending, storing} {
			c.expect("421 4.3.2 shutting down con_")
		}
	})
}

func TestShutdownEndsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	handshaking := w.connect(smtpd.Port465)
	c := w.dial(clear25)
	release := make(chan struct{})
	entered := make(chan struct{})
	w.arrivals.onReady = func() error {
		close(entered)
		<-release
		return nil
	}
	c.envelope()
	c.raw("DATA\r\n")
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	close(release)
	handshaking.closed()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if w.server.Serve(t.Context(), l, smtpd.Port25) == nil {
		t.Error("a server that has been shut down serves again")
	}
}

// The end of Serve's context is a shutdown.
func TestTheEndOfTheContextIsAShutdown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(clear25)
	w.stop()
	c.expect("421 4.3.2")
	c.closed()
	w.served.Wait()
}

func TestSubmissionWithoutACertificateIsNotServed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []smtpd.Port{smtpd.Port587, smtpd.Port465} {
		if smtpd.New(smtpd.Config{}).Serve(t.Context(), l, port) == nil {
			t.Errorf("%s is served without TLS", port)
		}
	}
}
