package remote

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestAnAcceptedMessageIsInTheLedgerAsItWas_F2(t *testing.T) {
	t.Parallel()
	m := Start(t)
	c, extensions := greet(t, m)
	for _, want := range []string{"PIPELINING", "SIZE 52428800", "8BITMIME", "STARTTLS", "ENHANCEDSTATUSCODES"} {
		if !strings.Contains(extensions, want) {
			t.Errorf("no %s in %q", want, extensions)
		}
	}
	c.cmd("MAIL FROM:<a@us.test> SIZE=100 BODY=8BITMIME", "250")
	c.cmd("RCPT TO:<One@b.test>", "250")
	c.cmd(`RCPT TO:<"a>b"@b.test>`, "250")
	c.cmd("DATA", "354")
	c.send(letter)
	c.want("250 2.0.0 accepted")
	c.cmd("MAIL FROM:<>", "250")
	c.cmd("RCPT TO:<one@b.test>", "250")
	c.cmd("DATA", "354")
	c.send(letter)
	c.want("250")
	c.cmd("QUIT", "221")
	c.wantEnd(false)
	got := m.WaitFor(t, 2)
	d := got[0]
	want := strings.TrimSuffix(strings.Replace(letter, "..a", ".a", 1), ".\r\n")
	if d.From != "a@us.test" || len(d.To) != 2 || d.To[0] != "One@b.test" || d.To[1] != `"a>b"@b.test` || string(d.Bytes) != want {
		t.Fatalf("got %+v %q", d, d.Bytes)
	}
	if d.ID != "<1@us.test>" || d.Params != "SIZE=100 BODY=8BITMIME" || d.TLS != "" || d.Session != 1 || d.Index != 1 || len(d.Sum) != 64 {
		t.Fatalf("got %+v", d)
	}
	if d := got[1]; d.From != "" || d.Index != 2 || d.Attempts[0] != 2 {
		t.Fatalf("got %+v", d)
	}
	if list := m.WaitForRecipient(t, "ONE@b.test", 2); len(list) != 2 || m.IDs()["<1@us.test>"] != 2 || m.Attempts("one@b.test") != 2 {
		t.Fatalf("got %d, ids %v", len(list), m.IDs())
	}
	m.WaitForIdle(t)
	s := m.Sessions()[0]
	if len(s.Faults) > 0 || s.Messages != 2 || s.Hello != "us.test" || !s.Ended || !strings.Contains(s.Transcript, "C: RCPT TO:<One@b.test>\nS: 250 2.1.5") {
		t.Fatalf("got %+v", s)
	}
	if m.Connections() != 1 || m.MaxConcurrent() != 1 || m.Open() != 0 {
		t.Fatalf("%d connections, %d at a time, %d open", m.Connections(), m.MaxConcurrent(), m.Open())
	}
}

// What happens to one recipient, as the wire shows it.
func TestEveryRecipientScriptIsSeenOnTheWire_F13(t *testing.T) {
	t.Parallel()
	toDot := func(c *client) {
		c.begin("x@b.test")
		c.cmd("DATA", "354")
		c.send(letter)
	}
	for name, tc := range map[string]struct {
		step     Step
		see      func(c *client)
		accepted int
	}{
		"refused at RCPT": {RefuseRcpt(550, "5.1.1 no such user"), func(c *client) {
			c.cmd("MAIL FROM:<a@us.test>", "250")
			c.cmd("RCPT TO:<x@b.test>", "550 5.1.1 no such user\r\n")
			c.cmd("DATA", "503")
		}, 0},
		"refused at RCPT in several lines": {RefuseRcpt(450, "4.7.1 wait\n4.7.1 greylisted"), func(c *client) {
			c.cmd("MAIL FROM:<a@us.test>", "250")
			c.cmd("RCPT TO:<x@b.test>", "450-4.7.1 wait\r\n450 4.7.1 greylisted\r\n")
		}, 0},
		"reset at RCPT": {Step{Rcpt: Reply{Form: FormSilent, Then: ThenReset}}, func(c *client) {
			c.cmd("MAIL FROM:<a@us.test>", "250")
			c.send("RCPT TO:<x@b.test>\r\n")
			c.wantEnd(true)
		}, 0},
		"refused at DATA": {RefuseData(451, "4.3.0 later"), func(c *client) {
			c.begin("x@b.test")
			c.cmd("DATA", "451 4.3.0 later\r\n")
			c.cmd("DATA", "503")
		}, 0},
		"refused at the dot": {RefuseDot(554, "5.6.0 bad content"), func(c *client) {
			toDot(c)
			c.want("554 5.6.0 bad content\r\n")
			c.cmd("NOOP", "250")
		}, 0},
		"dropped before the dot": {Step{Cut: 20}, func(c *client) {
			c.begin("x@b.test")
			c.cmd("DATA", "354")
			c.send("Subject: nineteen..")
			c.wantSilence()
			c.send("!")
			c.wantEnd(false)
		}, 0},
		"dropped before the dot of a short message": {Step{Cut: 10000}, func(c *client) {
			toDot(c)
			c.wantEnd(false)
		}, 0},
		"reset before the dot": {ResetBeforeDot(), func(c *client) {
			c.begin("x@b.test")
			c.cmd("DATA", "354")
			c.send("S")
			c.wantEnd(true)
		}, 0},
		"dropped after the dot": {DropAfterDot(), func(c *client) {
			toDot(c)
			c.wantEnd(false)
		}, 1},
		"reset after the dot": {ResetAfterDot(), func(c *client) {
			toDot(c)
			c.wantEnd(true)
		}, 1},
		"accepted and lost": {LoseMessage(), func(c *client) {
			toDot(c)
			c.want("250")
		}, 0},
		"354 and closed": {LieAtData(), func(c *client) {
			c.begin("x@b.test")
			c.cmd("DATA", "354")
			c.wantEnd(false)
		}, 0},
		"250 to DATA": {OKAtData(), func(c *client) {
			c.begin("x@b.test")
			c.cmd("DATA", "250")
			c.cmd("Subject: x", "500")
		}, 0},
		"drip": {Step{Dot: Reply{Text: "2.0.0 slow", Drip: time.Millisecond}}, func(c *client) {
			toDot(c)
			start := time.Now()
			c.want("250 2.0.0 slow\r\n")
			if took := time.Since(start); took < 16*time.Millisecond {
				c.t.Errorf("16 octets came in %v", took)
			}
		}, 1},
		"delay": {Step{Dot: Reply{Delay: 20 * time.Millisecond}}, func(c *client) {
			start := time.Now()
			toDot(c)
			c.want("250")
			if time.Since(start) < 20*time.Millisecond {
				c.t.Error("no delay")
			}
		}, 1},
		"endless reply": {Step{Rcpt: Reply{Form: FormEndless, Text: "more"}}, func(c *client) {
			c.cmd("MAIL FROM:<a@us.test>", "250")
			c.send("RCPT TO:<x@b.test>\r\n")
			for range 100_000 {
				if line, err := c.r.ReadSlice('\n'); err != nil || string(line) != "250-more\r\n" {
					c.t.Fatalf("got %q, %v", line, err)
				}
			}
			c.conn.Close()
		}, 0},
		"line of 64 KiB": {Step{Dot: Reply{Form: FormHuge}}, func(c *client) {
			toDot(c)
			if line := c.want("250 xxx"); len(line) != 64<<10 || !strings.HasSuffix(line, "x\r\n") {
				c.t.Errorf("a line of %d octets", len(line))
			}
		}, 1},
		"raw octets": {Step{Dot: Reply{Raw: "hello\x00\n"}}, func(c *client) {
			toDot(c)
			c.want("hello\x00\n")
		}, 1},
		"hangs after RCPT": {Step{Rcpt: Reply{Then: ThenHang}}, func(c *client) {
			c.begin("x@b.test")
			c.send("DATA\r\n")
			c.wantSilence()
		}, 0},
		"421 at the dot": {RefuseDot(421, ""), func(c *client) {
			toDot(c)
			c.want("421 4.3.2 closing\r\n")
			c.wantEnd(false)
		}, 0},
		"421 and goes on": {Step{Rcpt: Reply{Code: 421, Then: ThenStay}}, func(c *client) {
			c.cmd("MAIL FROM:<a@us.test>", "250")
			c.cmd("RCPT TO:<x@b.test>", "421")
			c.cmd("NOOP", "250")
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := Start(t)
			m.Recipient("X@b.test", tc.step)
			c, _ := greet(t, m)
			tc.see(c)
			c.conn.Close()
			m.WaitForIdle(t)
			if m.Count() != tc.accepted {
				t.Errorf("%d messages in the ledger, want %d", m.Count(), tc.accepted)
			}
		})
	}
}

func TestStepsFollowTheAttemptsAndTheLastOneStays(t *testing.T) {
	t.Parallel()
	m := Start(t)
	m.Recipient("x@b.test", RefuseRcpt(450, "4.2.0 one"), RefuseRcpt(451, "4.3.0 two"), Accept())
	c, _ := greet(t, m)
	c.cmd("MAIL FROM:<a@us.test>", "250")
	for _, want := range []string{"450 4.2.0 one", "451 4.3.0 two", "250", "250"} {
		c.cmd("RCPT TO:<x@b.test>", want)
	}
	c.cmd("RCPT TO:<y@b.test>", "250")
	m.SetScript(Script{Recipient: func(address string, attempt int) Step {
		if attempt < 3 {
			return RefuseRcpt(550, address)
		}
		return Accept()
	}})
	c.cmd("RCPT TO:<y@b.test>", "550 y@b.test")
	c.cmd("RCPT TO:<y@b.test>", "250")
	m.Recipient("x@b.test", RefuseRcpt(553, "5.1.3 now"))
	c.cmd("RCPT TO:<x@b.test>", "553 5.1.3 now")
	m.WaitForAttempts(t, "x@b.test", 5)
}

func TestAGateHoldsTheReplyAfterTheLedgerHasTheMessage(t *testing.T) {
	t.Parallel()
	m := Start(t)
	gate := NewGate()
	m.Recipient("x@b.test", HoldDot(gate))
	c, _ := greet(t, m)
	c.begin("x@b.test")
	c.cmd("DATA", "354")
	c.send(letter)
	<-gate.Arrived()
	m.WaitFor(t, 1)
	c.wantSilence()
	gate.Open()
	gate.Open()
	c.want("250")
	c.deliver("x@b.test", "250")
}

func TestAClientThatGoesAwayAtAGateIsNotCountedOn(t *testing.T) {
	t.Parallel()
	m := Start(t)
	m.Recipient("x@b.test", Step{Rcpt: Reply{Gate: NewGate()}})
	c, _ := greet(t, m)
	c.cmd("MAIL FROM:<a@us.test>", "250")
	c.send("RCPT TO:<x@b.test>\r\n")
	m.WaitForAttempts(t, "x@b.test", 1)
	c.conn.Close()
	m.WaitForIdle(t)
}

func TestOneTransactionHasOneFateForAllItsRecipients(t *testing.T) {
	t.Parallel()
	m := Start(t)
	m.Recipient("second@b.test", RefuseDot(452, "4.2.2 full"))
	m.Recipient("third@b.test", RefuseDot(554, "5.0.0 never"))
	c, _ := greet(t, m)
	c.cmd("MAIL FROM:<a@us.test>", "250")
	for _, to := range []string{"first", "second", "third"} {
		c.cmd("RCPT TO:<"+to+"@b.test>", "250")
	}
	c.cmd("DATA", "354")
	c.send(letter)
	c.want("452 4.2.2 full")
}

func TestPipelinedCommandsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	m := Start(t)
	c, _ := greet(t, m)
	c.send("MAIL FROM:<a@us.test>\r\nRCPT TO:<x@b.test>\r\nRCPT TO:<y@b.test>\r\nDATA\r\n")
	for _, want := range []string{"250 2.1.0", "250 2.1.5", "250 2.1.5", "354"} {
		c.want(want)
	}
	c.send(letter + "RSET\r\nQUIT\r\n")
	for _, want := range []string{"250 2.0.0 accepted", "250", "221"} {
		c.want(want)
	}
	if faults := m.Sessions()[0].Faults; len(faults) > 0 {
		t.Errorf("faults %q", faults)
	}
}

func TestWhatAClientDoesWrongIsNoted(t *testing.T) {
	t.Parallel()
	for fault, speak := range map[string]func(c *client){
		"bare LF in a message":                                    func(c *client) { c.say("a\nb\r\n") },
		"bare CR in a message":                                    func(c *client) { c.say("a\rb\r\n") },
		"line of more than 998 octets in a message":               func(c *client) { c.say(strings.Repeat("a", 999) + "\r\n") },
		"8-bit message without BODY=8BITMIME":                     func(c *client) { c.say("\r\nü\r\n") },
		"octets behind DATA before its reply":                     func(c *client) { c.begin("x@b.test"); c.send("DATA\r\nSubject: x\r\n"); c.want("354") },
		"octets in clear behind STARTTLS":                         func(c *client) { c.send("STARTTLS\r\nNOOP\r\n"); c.want("220") },
		"command line that ends in LF without CR":                 func(c *client) { c.send("NOOP\n"); c.want("250") },
		"AUTH in clear":                                           func(c *client) { c.cmd("AUTH PLAIN AGEAYg==", "502") },
		`unknown command "BDAT 5"`:                                func(c *client) { c.cmd("BDAT 5", "500") },
		"parameter SMTPUTF8 of MAIL was not offered":              func(c *client) { c.cmd("MAIL FROM:<a@us.test> SMTPUTF8", "555") },
		`MAIL that cannot be read: "FROM: <a@us.test>"`:           func(c *client) { c.cmd("MAIL FROM: <a@us.test>", "501") },
		"command line of more than 12288 octets":                  func(c *client) { c.cmd(strings.Repeat("a", 13000), "500") },
		"commands behind EHLO, which must be the last of a group": func(c *client) { c.send("EHLO us.test\r\nNOOP\r\n"); c.want("250") },
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			m := Start(t)
			c, _ := greet(t, m)
			speak(c)
			if got := m.Sessions()[0].Faults; len(got) != 1 || got[0] != fault {
				t.Errorf("faults %q", got)
			}
		})
	}
}

// say sends a message with the given octets.
func (c *client) say(octets string) {
	c.begin("x@b.test")
	c.cmd("DATA", "354")
	c.send(octets + ".\r\n")
	c.want("250")
}

func TestOnlyADotBetweenTwoCRLFEndsAMessage(t *testing.T) {
	t.Parallel()
	m := Start(t)
	c, _ := greet(t, m)
	long := strings.Repeat("x", bufferSize-1) + "\r\n" // the CR is the last octet of a full buffer
	text := "a\n.\nb\n.\r\nc\r\n.\nd\r.\r\n" + long + long + "..\r\n"
	c.begin("x@b.test")
	c.cmd("DATA", "354")
	c.send(text + ".\r\n")
	c.want("250")
	want := "a\n.\nb\n.\r\nc\r\n\nd\r.\r\n" + long + long + ".\r\n"
	if got := m.Received()[0].Bytes; !bytes.Equal(got, []byte(want)) {
		t.Errorf("got %q", got)
	}
}
