package remote

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strings"
	"syscall"
	"testing"
)

// What happens to a connection, as the wire shows it.
func TestEverySessionScriptIsSeenOnTheWire_F13(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		step SessionStep
		see  func(c *client)
	}{
		"banner 554":     {At(StageBanner, Reply{Code: 554, Text: "5.3.2 go away"}), func(c *client) { c.want("554 5.3.2 go away\r\n") }},
		"banner 421":     {At(StageBanner, Reply{Code: 421}), func(c *client) { c.want("421"); c.wantEnd(false) }},
		"no banner":      {At(StageBanner, Reply{Form: FormSilent, Then: ThenHang}), func(c *client) { c.wantSilence() }},
		"closed":         {SessionStep{Drop: true}, func(c *client) { c.wantEnd(false) }},
		"never answered": {SessionStep{Hang: true}, func(c *client) { c.send("EHLO us.test\r\n"); c.wantSilence() }},
		"EHLO refused": {At(StageEHLO, Reply{Code: 502, Text: "5.5.1 what"}), func(c *client) {
			c.want("220")
			c.cmd("EHLO us.test", "502")
			c.cmd("MAIL FROM:<a@us.test>", "503")
			c.cmd("HELO us.test", "250 mx.remote.test\r\n")
			c.deliver("x@b.test", "250")
		}},
		"EHLO with more": {SessionStep{Extensions: []string{"SMTPUTF8"}}, func(c *client) {
			c.want("220")
			if got := c.cmd("EHLO us.test", "250"); !strings.HasSuffix(got, "250 SMTPUTF8\r\n") {
				c.t.Errorf("got %q", got)
			}
		}},
		"bare server": {SessionStep{NoPipelining: true, NoSize: true, No8BitMIME: true, TLS: TLSAbsent}, func(c *client) {
			c.want("220")
			if got := c.cmd("EHLO us.test", "250"); got != "250-mx.remote.test\r\n250 ENHANCEDSTATUSCODES\r\n" {
				c.t.Errorf("got %q", got)
			}
			c.cmd("STARTTLS", "502")
			c.cmd("MAIL FROM:<a@us.test> SIZE=1", "555")
		}},
		"small": {SessionStep{Size: 20}, func(c *client) {
			c.want("220")
			if got := c.cmd("EHLO us.test", "250"); !strings.Contains(got, "SIZE 20\r\n") {
				c.t.Errorf("got %q", got)
			}
			c.cmd("MAIL FROM:<a@us.test> SIZE=21", "552")
			c.deliver("x@b.test", "552")
			c.cmd("NOOP", "250")
		}},
		"421 at MAIL": {At(StageMail, Reply{Code: 421}), func(c *client) {
			c.want("220")
			c.cmd("EHLO us.test", "250")
			c.cmd("MAIL FROM:<a@us.test>", "421")
			c.wantEnd(false)
		}},
		"421 at the second dot": {SessionStep{After: 1, Replies: map[Stage]Reply{StageDot: {Code: 421}}}, func(c *client) {
			c.want("220")
			c.cmd("EHLO us.test", "250")
			c.deliver("x@b.test", "250")
			c.deliver("x@b.test", "421")
			c.wantEnd(false)
		}},
		"421 at everything else": {SessionStep{Replies: map[Stage]Reply{
			StageRcpt: {Code: 421, Then: ThenStay}, StageRset: {Code: 421, Then: ThenStay}, StageNoop: {Code: 421, Then: ThenStay}, StageQuit: {Code: 421},
		}}, func(c *client) {
			c.want("220")
			c.cmd("EHLO us.test", "250")
			c.cmd("MAIL FROM:<a@us.test>", "250")
			for _, line := range []string{"RCPT TO:<x@b.test>", "RSET", "NOOP", "QUIT"} {
				c.cmd(line, "421")
			}
			c.wantEnd(false)
		}},
		"one message": {SessionStep{Messages: 1}, func(c *client) {
			c.want("220")
			c.cmd("EHLO us.test", "250")
			c.deliver("x@b.test", "250")
			c.cmd("MAIL FROM:<a@us.test>", "421")
			c.wantEnd(false)
		}},
		"STARTTLS refused": {SessionStep{TLS: TLSRefused}, func(c *client) {
			c.want("220")
			if got := c.cmd("EHLO us.test", "250"); !strings.Contains(got, "STARTTLS") {
				c.t.Errorf("got %q", got)
			}
			c.cmd("STARTTLS", "454")
			c.deliver("x@b.test", "250")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := Start(t)
			m.Session(tc.step)
			tc.see(dial(t, m))
		})
	}
}

func TestEveryFaultOfTLSIsSeenByAClientThatChecks_O11(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mode TLSMode
		fits func(error) bool
	}{
		"good":       {TLSGood, func(err error) bool { return err == nil }},
		"wrong name": {TLSWrongName, says("not mx.remote.test")},
		"expired":    {TLSExpired, says("expired")},
		"untrusted":  {TLSUntrusted, says("unknown authority")},
		"old":        {TLSOld, says("protocol version")},
		"garbage":    {TLSGarbage, says("first record does not look like a TLS handshake")},
		"reset":      {TLSReset, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		"closed":     {TLSClosed, says("EOF")},
	} {
		for _, implicit := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				m := Start(t, func(c *Config) { c.ImplicitTLS = implicit })
				m.Session(SessionStep{TLS: tc.mode})
				c := dial(t, m)
				if !implicit {
					c.want("220")
					c.cmd("EHLO us.test", "250")
					c.cmd("STARTTLS", "220")
				}
				if err := c.handshake(m); !tc.fits(err) {
					t.Errorf("the handshake gave %v", err)
				}
			})
		}
	}
}

func says(part string) func(error) bool {
	return func(err error) bool { return err != nil && strings.Contains(err.Error(), part) }
}

func TestAStalledHandshakeIsNeverAnswered(t *testing.T) {
	t.Parallel()
	m := Start(t)
	m.Session(SessionStep{TLS: TLSStalled})
	c, _ := greet(t, m)
	c.cmd("STARTTLS", "220")
	c.send("\x16\x03\x01\x00\x05hello")
	c.wantSilence()
}

func TestTLSBeginsAnewAndIsInTheLedger_O13(t *testing.T) {
	t.Parallel()
	m := Start(t)
	c, _ := greet(t, m)
	c.cmd("MAIL FROM:<a@us.test>", "250")
	if err := c.startTLS(m); err != nil {
		t.Fatal(err)
	}
	c.cmd("MAIL FROM:<a@us.test>", "503 5.5.1 say EHLO")
	if again := c.cmd("EHLO us.test", "250"); strings.Contains(again, "STARTTLS") {
		t.Errorf("STARTTLS is offered under TLS: %q", again)
	}
	c.deliver("x@b.test", "250")
	if d := m.WaitFor(t, 1)[0]; d.TLS != "TLS1.3" {
		t.Errorf("the ledger says %q", d.TLS)
	}
	if s := m.Sessions()[0]; s.TLS != "TLS1.3" || s.ServerName != "mx.remote.test" {
		t.Errorf("the session says %+v", s)
	}
}

// A client that throws away what came in clear is served, one that keeps it reads the injected reply.
func TestInjectedRepliesComeInOneWriteWithThe220_O13(t *testing.T) {
	t.Parallel()
	m := Start(t)
	m.Session(SessionStep{TLS: TLSInjected})
	c, _ := greet(t, m)
	c.cmd("STARTTLS", "220")
	if kept, _ := c.r.Peek(c.r.Buffered()); string(kept) != "250-injected\r\n250 2.0.0 injected\r\n" {
		t.Errorf("behind the 220 came %q", kept)
	}
	if err := c.handshake(m); err != nil {
		t.Fatal(err)
	}
	c.cmd("EHLO us.test", "250-mx.remote.test")
}

func TestARelayNeedsAUserUnderTLS_O46(t *testing.T) {
	t.Parallel()
	encode := base64.StdEncoding.EncodeToString
	plain := encode([]byte("\x00joe\x00secret word"))
	for name, dialogue := range map[string][][2]string{
		"PLAIN at once":      {{"AUTH PLAIN " + plain, "235"}},
		"PLAIN when asked":   {{"AUTH PLAIN", "334 \r\n"}, {plain, "235"}},
		"LOGIN":              {{"AUTH LOGIN", "334 VXNlcm5hbWU6"}, {encode([]byte("joe")), "334 UGFzc3dvcmQ6"}, {encode([]byte("secret word")), "235"}},
		"LOGIN with initial": {{"AUTH LOGIN " + encode([]byte("joe")), "334"}, {encode([]byte("secret word")), "235"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := Start(t, func(c *Config) { c.Users = map[string]string{"joe": "secret word"} })
			c, clear := greet(t, m)
			if strings.Contains(clear, "AUTH") {
				t.Errorf("AUTH is offered in clear: %q", clear)
			}
			if err := c.startTLS(m); err != nil {
				t.Fatal(err)
			}
			if under := c.cmd("EHLO us.test", "250"); !strings.Contains(under, "AUTH PLAIN LOGIN") {
				t.Errorf("AUTH is not offered: %q", under)
			}
			c.cmd("MAIL FROM:<a@us.test>", "530")
			c.cmd("AUTH PLAIN "+encode([]byte("\x00joe\x00wrong")), "535")
			for _, turn := range dialogue {
				c.cmd(turn[0], turn[1])
			}
			c.deliver("x@b.test", "250")
			s := m.Sessions()[0]
			if d := m.Received()[0]; d.User != "joe" || s.User != "joe" {
				t.Errorf("the ledger says %q, the session %q", d.User, s.User)
			}
			if strings.Contains(s.Transcript, plain) || strings.Contains(s.Transcript, encode([]byte("secret word"))) {
				t.Errorf("a secret is in the transcript:\n%s", s.Transcript)
			}
		})
	}
}

func TestAuthInClearIsATrapAndAuthCanBeRefused(t *testing.T) {
	t.Parallel()
	m := Start(t, func(c *Config) { c.Users = map[string]string{"joe": "secret"} })
	m.Session(SessionStep{AuthInClear: true, Replies: map[Stage]Reply{StageAuth: {Code: 454, Text: "4.7.0 not now"}}})
	c, offered := greet(t, m)
	if !strings.Contains(offered, "AUTH PLAIN LOGIN") {
		t.Errorf("not offered: %q", offered)
	}
	c.cmd("AUTH PLAIN AGpvZQBzZWNyZXQ=", "454 4.7.0 not now")
	if faults := m.Sessions()[0].Faults; len(faults) != 1 || faults[0] != "AUTH in clear" {
		t.Errorf("faults %q", faults)
	}
}

func TestOneAuthorityServesSeveralServers(t *testing.T) {
	t.Parallel()
	authority, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mx1.b.test", "mx2.b.test"} {
		m := Start(t, func(c *Config) { c.Authority, c.Hostname, c.ImplicitTLS = authority, name, true })
		conn, err := tls.Dial("tcp", m.Addr().String(), &tls.Config{RootCAs: authority.Roots(), ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if !strings.HasPrefix(string(authority.PEM()), "-----BEGIN CERTIFICATE-----\n") {
		t.Errorf("no PEM: %q", authority.PEM())
	}
}
