package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSessionsFollowTheConnectionsAndTheLastOneStays(t *testing.T) {
	t.Parallel()
	m := Start(t)
	m.Session(SessionStep{Drop: true}, At(StageBanner, Reply{Code: 554}), SessionStep{})
	dial(t, m).wantEnd(false)
	dial(t, m).want("554")
	for range 2 {
		dial(t, m).want("220")
	}
	m.SetScript(Script{DropAll: true})
	for range 2 {
		dial(t, m).wantEnd(false)
	}
	m.SetScript(Script{Blackhole: true})
	c := dial(t, m)
	c.send("EHLO us.test\r\n")
	c.wantSilence()
	m.SetScript(Script{Session: func(n int) SessionStep {
		if n%3 == 0 { // a server that flaps
			return SessionStep{Reset: true}
		}
		return SessionStep{}
	}})
	dial(t, m).want("220")
	dial(t, m).want("220")
	wantReset(t, m)
	dial(t, m).want("220")
	m.Disconnect()
	c.wantEnd(true)
	m.WaitForConnections(t, 11)
	m.WaitForIdle(t)
}

func TestConcurrentConnectionsAreCounted_F13(t *testing.T) {
	t.Parallel()
	m := Start(t)
	for range 3 {
		first, _ := greet(t, m)
		second, _ := greet(t, m)
		first.cmd("QUIT", "221")
		if open := m.Open(); open != 1 {
			t.Errorf("%d connections are open after a QUIT", open)
		}
		second.cmd("QUIT", "221")
	}
	if m.Connections() != 6 || m.MaxConcurrent() != 2 {
		t.Errorf("%d connections, %d at a time", m.Connections(), m.MaxConcurrent())
	}
}

func TestTheLimitsHold(t *testing.T) {
	t.Parallel()
	m := Start(t, func(c *Config) { c.MaxSessions, c.MaxMessages = 1, 1 })
	c, _ := greet(t, m)
	dial(t, m).want("421")
	c.deliver("x@b.test", "250")
	c.deliver("x@b.test", "452")
	m = Start(t, func(c *Config) { c.MaxKept, c.MaxSize = 70, 60 })
	c, _ = greet(t, m)
	c.deliver("x@b.test", "250")
	c.deliver("x@b.test", "452")
	c.begin("x@b.test")
	c.cmd("DATA", "354")
	c.send(strings.Repeat("x", 100_000) + "\r\n.\r\n")
	c.want("552")
}

func TestASilentClientIsNotKept(t *testing.T) {
	t.Parallel()
	m := Start(t, func(c *Config) { c.Idle = 20 * time.Millisecond })
	c := dial(t, m)
	c.want("220")
	c.wantEnd(false)
}

// Every way to be stuck ends at Close, and no goroutine stays. Not parallel: it counts goroutines.
func TestCloseEndsEverySession(t *testing.T) {
	before := runtime.NumGoroutine()
	m, err := Listen(Config{Script: Script{Recipients: map[string][]Step{
		"gate@b.test":    {{Rcpt: Reply{Gate: NewGate()}}},
		"delay@b.test":   {{Rcpt: Reply{Delay: time.Hour}}},
		"drip@b.test":    {{Rcpt: Reply{Drip: time.Hour}}},
		"endless@b.test": {{Rcpt: Reply{Form: FormEndless}}},
		"hang@b.test":    {{Rcpt: Reply{Then: ThenHang}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"gate", "delay", "drip", "endless", "hang", "idle"} {
		c, _ := greet(t, m)
		c.cmd("MAIL FROM:<a@us.test>", "250")
		c.send("RCPT TO:<" + to + "@b.test>\r\n")
		m.WaitForAttempts(t, to+"@b.test", 1)
	}
	m.Session(SessionStep{Hang: true})
	dial(t, m)
	m.WaitForConnections(t, 7)
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if m.Open() != 0 {
		t.Errorf("%d sessions are left", m.Open())
	}
	if _, err := net.Dial("tcp", m.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
	deadline := time.Now().Add(Patience)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines, %d before", now, before)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	m := Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Await(ctx, func() bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTheLedgerFileHasTheMessageBeforeThe250(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	if err := os.WriteFile(path, []byte(`{"id":"<0@us.test>"}`+"\n"+`{"id":"<torn`), 0o600); err != nil {
		t.Fatal(err)
	}
	gate := NewGate()
	m := Start(t, func(c *Config) { c.LedgerFile, c.Discard = path, true })
	m.Recipient("held@b.test", HoldDot(gate))
	m.Recipient("refused@b.test", RefuseDot(550, ""))
	m.Recipient("lost@b.test", LoseMessage())
	m.Recipient("dropped@b.test", DropAfterDot())
	c, _ := greet(t, m)
	c.deliver("refused@b.test", "550")
	c.deliver("lost@b.test", "250")
	c.begin("held@b.test")
	c.cmd("DATA", "354")
	c.send(letter)
	<-gate.Arrived()
	lines, err := ReadLedger(path)
	if err != nil || len(lines) != 2 {
		t.Fatalf("got %+v, %v", lines, err)
	}
	if l := lines[1]; l.ID != "<1@us.test>" || l.From != "a@us.test" || len(l.To) != 1 || l.To[0] != "held@b.test" || l.Session != 1 ||
		l.Index != 2 || l.Size != len(letter)-4 || len(l.Sum) != 64 || l.At.IsZero() {
		t.Errorf("got %+v", l)
	}
	gate.Open()
	c.want("250")
	c.begin("dropped@b.test")
	c.cmd("DATA", "354")
	c.send(letter)
	c.wantEnd(false)
	if lines, err = ReadLedger(path); err != nil || len(lines) != 3 {
		t.Fatalf("got %+v, %v", lines, err)
	}
	if m.Count() != 2 || m.IDs()["<1@us.test>"] != 2 || len(m.Received()) != 0 {
		t.Errorf("%d messages, ids %v, %d kept", m.Count(), m.IDs(), len(m.Received()))
	}
}

func TestAMessageThatTheLedgerFileCannotTakeIsNotAccepted(t *testing.T) {
	t.Parallel()
	m := Start(t, func(c *Config) { c.LedgerFile = filepath.Join(t.TempDir(), "ledger") })
	m.journal.err = errors.New("the disk is gone")
	c, _ := greet(t, m)
	c.deliver("x@b.test", "451")
	if m.Count() != 0 {
		t.Error("it is counted")
	}
}

func TestTheLedgerFileTakesManySessionsAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	m := Start(t, func(c *Config) { c.LedgerFile = path })
	const clients, each = 8, 25
	flood(t, m, clients, each)
	lines, err := ReadLedger(path)
	if err != nil || len(lines) != clients*each {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for _, l := range lines {
		if m.IDs()[l.ID] != 1 {
			t.Errorf("%s is in memory %d times", l.ID, m.IDs()[l.ID])
		}
	}
}

// flood sends messages over several connections, with pipelining.
func flood(t testing.TB, m *MX, clients, each int) {
	t.Helper()
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			if err := sendMany(m, n, each); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func sendMany(m *MX, n, each int) error {
	conn, err := net.Dial("tcp", m.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	replies := make([]byte, 64<<10)
	exchange := func(text, last string) error {
		if _, err := conn.Write([]byte(text)); err != nil {
			return err
		}
		for got := ""; ; {
			count, err := conn.Read(replies)
			if err != nil {
				return err
			}
			if got += string(replies[:count]); strings.Contains(got, last) {
				return nil
			}
		}
	}
	if err := exchange("", "220 "); err != nil {
		return err
	}
	if err := exchange("EHLO us.test\r\n", "250 STARTTLS"); err != nil {
		return err
	}
	pad := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 14)
	for i := range each {
		if err := exchange("MAIL FROM:<a@us.test>\r\nRCPT TO:<x@b.test>\r\nDATA\r\n", "354 "); err != nil {
			return err
		}
		body := fmt.Sprintf("Message-ID: <%d.%d@us.test>\r\n\r\n%s.\r\n", n, i, pad)
		if err := exchange(body, "250 2.0.0 accepted"); err != nil {
			return err
		}
	}
	return exchange("QUIT\r\n", "221 ")
}

func BenchmarkDrain(b *testing.B) {
	for name, ledger := range map[string]bool{"memory": false, "ledger file": true} {
		b.Run(name, func(b *testing.B) {
			m := Start(b, func(c *Config) {
				c.Discard = true
				if ledger {
					c.LedgerFile = filepath.Join(b.TempDir(), "ledger")
				}
			})
			const clients = 20
			each := b.N/clients + 1
			b.ResetTimer()
			flood(b, m, clients, each)
			b.ReportMetric(float64(m.Count())/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
