package imapd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/imapd"
	"github.com/mailserver-dev/mailserver/server/mail"
)

func TestNobodySignsInInClear_S3_Trap13(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	c := e.dialPlain()
	caps := c.ok("CAPABILITY")[0]
	if !strings.Contains(caps, " STARTTLS") || !strings.Contains(caps, " LOGINDISABLED") || strings.Contains(caps, "AUTH=") {
		t.Error(caps)
	}
	c.want("NO [PRIVACYREQUIRED]", "LOGIN %s %q", w.email, password)
	c.want("NO [PRIVACYREQUIRED]", "AUTHENTICATE PLAIN AGFubkBleGFtcGxlLnRlc3QAY29ycmVjdCBob3JzZSBiYXR0ZXJ5")
	c.want("NO [PRIVACYREQUIRED]", "AUTHENTICATE PLAIN")
	c.ok("STARTTLS")
	secure := tls.Client(c.nc, e.clientTLS)
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.nc = secure
	c.br.Reset(secure)
	caps = c.ok("CAPABILITY")[0]
	if strings.Contains(caps, "STARTTLS") || strings.Contains(caps, "LOGINDISABLED") || !strings.Contains(caps, " AUTH=PLAIN") {
		t.Error(caps)
	}
	c.want("BAD", "STARTTLS")
	c.ok("LOGIN %s %q", w.email, password)
	c.ok("SELECT INBOX")
}

func TestCommandsBehindStartTLSAreForgotten_S2(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.person("ann")
	c := e.dialPlain()
	c.send("a STARTTLS\r\nevil1 ID NIL\r\nevil2 LOGOUT\r\n")
	if line := c.line(); !strings.HasPrefix(line, "a OK") {
		t.Fatal(line)
	}
	secure := tls.Client(c.nc, e.clientTLS)
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.nc = secure
	c.br.Reset(secure)
	if lines, status := c.do("NOOP"); len(lines) > 0 || !strings.HasPrefix(status, "OK") {
		t.Errorf("something that was sent in clear was answered under TLS: %q %q", lines, status)
	}
}

func TestPasswordsAreGuessedThreeTimesOnly_S16_L35(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	c := e.dial()
	began := time.Now()
	c.want("NO [AUTHENTICATIONFAILED]", "LOGIN %s wrong", w.email)
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("a wrong password was answered after %v", took)
	}
	c.want("NO [AUTHENTICATIONFAILED]", "LOGIN nobody@example.test wrong")
	c.want("NO [AUTHENTICATIONFAILED]", "AUTHENTICATE PLAIN AHgAeQ==")
	if line := c.line(); !strings.HasPrefix(line, "* BYE") {
		t.Error(line)
	}
	if _, err := c.tryLine(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is still open: %v", err)
	}
}

func TestNobodyActsForAnother(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.person("ann")
	c := e.dial()
	// eve NUL ann@example.test NUL password
	c.want("NO [AUTHORIZATIONFAILED]", "AUTHENTICATE PLAIN ZXZlAGFubkBleGFtcGxlLnRlc3QAY29ycmVjdCBob3JzZSBiYXR0ZXJ5")
}

func TestStrangersHaveLittleTime_S13_L42(t *testing.T) {
	t.Parallel()
	e := newEnv(t, limits(func(l *imapd.Limits) { l.PreAuth = 300 * time.Millisecond }))
	c := e.dial()
	c.send("a CAPABIL") // a slow writer gains nothing
	if line := c.line(); !strings.HasPrefix(line, "* BYE") {
		t.Error(line)
	}
	silent, err := net.Dial("tcp", e.secure)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	silent.SetReadDeadline(time.Now().Add(patience))
	if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a client that never shakes hands stays: %v", err)
	}
}

func TestSilentUsersAreSentAwayWithAWord_L42(t *testing.T) {
	t.Parallel()
	e := newEnv(t, limits(func(l *imapd.Limits) { l.Idle = 300 * time.Millisecond }))
	w := e.person("ann")
	c := w.login()
	if line := c.line(); !strings.HasPrefix(line, "* BYE") {
		t.Error(line)
	}
	idle := w.in("INBOX")
	idle.start("IDLE")
	if line := idle.line(); line != "+ Idling" {
		t.Error(line)
	}
	if line := idle.line(); !strings.HasPrefix(line, "* BYE") {
		t.Error(line)
	}
}

func TestConnectionsAreCounted_L31(t *testing.T) {
	t.Parallel()
	e := newEnv(t, limits(func(l *imapd.Limits) { l.PreAuthPerIP, l.ConnectionsPerUser, l.Connections = 2, 2, 5 }))
	w, v := e.person("ann"), e.person("bob")
	strangers := []*client{e.dial(), e.dial()}
	e.refused("a third stranger of one address")
	strangers[0].ok("LOGIN %s %q", w.email, password)
	strangers[1].ok("LOGIN %s %q", w.email, password)
	third := e.dial()
	third.want("NO [LIMIT]", "LOGIN %s %q", w.email, password)
	third.ok("LOGIN %s %q", v.email, password)
	strangers[0].ok("LOGOUT")
	e.eventually("a place of the user is free again", func() bool {
		fourth := e.dial()
		defer fourth.nc.Close()
		_, status := fourth.do("LOGIN %s %q", w.email, password)
		return strings.HasPrefix(status, "OK")
	})
}

// refused fails unless the plain port turns a new connection away with a word, and the TLS port without one.
func (e *env) refused(what string) {
	e.t.Helper()
	nc, err := net.Dial("tcp", e.plain)
	if err != nil {
		e.t.Fatal(err)
	}
	defer nc.Close()
	nc.SetReadDeadline(time.Now().Add(patience))
	if text, err := io.ReadAll(nc); err != nil || !strings.HasPrefix(string(text), "* BYE [UNAVAILABLE]") {
		e.t.Errorf("%s: %q %v", what, text, err)
	}
	if _, err := tls.Dial("tcp", e.secure, e.clientTLS); err == nil {
		e.t.Errorf("%s: admitted", what)
	}
}

// eventually tries until something is so.
func (e *env) eventually(what string, is func() bool) {
	e.t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			e.t.Fatal("never: " + what)
		}
	}
}

func TestAFastUserIsSlowedDownAndNotRefused_L32(t *testing.T) {
	t.Parallel()
	e := newEnv(t, limits(func(l *imapd.Limits) { l.CommandsPerMinute = 120 }))
	w := e.person("ann")
	began := time.Now()
	c, d := w.login(), w.login()
	for range 61 {
		c.ok("NOOP")
		d.ok("NOOP")
	}
	// The first 120 are free; the two others take half a second each.
	if took := time.Since(began); took < 990*time.Millisecond {
		t.Errorf("122 commands took %v", took)
	}
}

func TestNonsenseEndsASession(t *testing.T) {
	t.Parallel()
	e := newEnv(t, limits(func(l *imapd.Limits) { l.BadCommands = 3 }))
	c := e.dial()
	c.want("BAD", "FROBNICATE")
	c.send("\r\n")
	if line := c.line(); !strings.HasPrefix(line, "* BAD") {
		t.Error(line)
	}
	c.want("BAD", "LOGIN")
	if line := c.line(); !strings.HasPrefix(line, "* BYE") {
		t.Error(line)
	}
}

func TestLiteralAndListBombsCostNothing_S11(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	for name, bomb := range map[string]string{
		"huge literal":    "a LOGIN {4294967295}\r\n",
		"many lists":      "a ID (" + strings.Repeat("(", 40_000) + "\r\n",
		"long line":       "a LOGIN " + strings.Repeat("x", 60<<10) + "\r\n",
		"large literal":   "a LOGIN {200000+}\r\n" + strings.Repeat("x", 200_000) + " y\r\n",
		"literal in list": "a ID ({50000000+}\r\n",
	} {
		c := e.dial()
		c.send(bomb)
		if line := c.line(); !strings.HasPrefix(line, "a BAD") {
			t.Errorf("%s: %q", name, line)
		}
	}
	c := w.in("INBOX")
	w.deliver("INBOX", note(1))
	c.ok("NOOP")
	same(t, c.ok("UID FETCH 1:4294967295 UID"), "* 1 FETCH (UID 1)")
	same(t, c.ok("UID SEARCH UID 1:4294967295"), "* SEARCH 1")
	c.ok("UID STORE 1:4294967295 +FLAGS.SILENT (x)")
	c.want("BAD", "SEARCH %s ALL", strings.Repeat("NOT ", 60))
	c.want("BAD", "SEARCH %s", strings.Repeat("ALL ", 1100))
	c.ok("NOOP")
}

func TestAppendOverQuotaIsRefusedBeforeTheBytesCome_S12(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	quota := int64(1000)
	u, err := e.accounts.Create(t.Context(), mail.System("test"), account.Create{Email: "tiny@example.test", Password: password, QuotaBytes: &quota})
	if err != nil {
		t.Fatal(err)
	}
	w := &person{e: e, email: "tiny@example.test", id: u.ID, p: mail.Principal{User: u.ID, Role: mail.RoleUser}}
	c := w.login()
	c.want("NO [OVERQUOTA]", "APPEND INBOX {1001}")
	// Half of them would fit one by one: together no more than the quota.
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := 0
	for range 10 {
		one := w.login()
		wg.Go(func() {
			one.send("x APPEND INBOX {400}\r\n")
			line, _ := one.tryLine()
			if !strings.HasPrefix(line, "+ ") {
				return
			}
			one.send(strings.Repeat("a", 400) + "\r\n")
			if line, _ := one.tryLine(); strings.HasPrefix(line, "x OK") {
				mu.Lock()
				defer mu.Unlock()
				stored++
			}
		})
	}
	wg.Wait()
	if used := w.box("INBOX").Bytes; used > quota || stored == 0 || int64(stored)*400 != used {
		t.Errorf("%d stored, %d octets used of %d", stored, used, quota)
	}
}

// panicky panics for one name.
type panicky struct{ imapd.Accounts }

func (p panicky) Authenticate(ctx context.Context, protocol, name, password string, remote netip.Addr) (mail.Principal, error) {
	if name == "boom" {
		panic("boom")
	}
	return p.Accounts.Authenticate(ctx, protocol, name, password, remote)
}

func TestAPanicEndsOneConnectionOnly_S49(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(c *imapd.Config) { c.Accounts = panicky{c.Accounts} })
	w := e.person("ann")
	other := w.in("INBOX")
	c := e.dial()
	c.start("LOGIN boom boom")
	if line, err := c.tryLine(); !errors.Is(err, io.EOF) {
		t.Errorf("%q %v", line, err)
	}
	other.ok("NOOP")
	w.in("INBOX").ok("NOOP")
}

func TestChangedCredentialsEndSessions_S24(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w, v := e.person("ann"), e.person("bob")
	waiting, idle, bystander := w.login(), w.in("INBOX"), v.in("INBOX")
	idle.start("IDLE")
	if line := idle.line(); line != "+ Idling" {
		t.Fatal(line)
	}
	disabled := account.Disabled
	if _, err := e.accounts.Update(t.Context(), mail.System("test"), w.id, account.Update{Status: &disabled}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*client{"waiting": waiting, "idle": idle} {
		if line := c.line(); !strings.HasPrefix(line, "* BYE [EXPIRED]") {
			t.Errorf("%s: %q", name, line)
		}
	}
	e.dial().want("NO [AUTHENTICATIONFAILED]", "LOGIN %s %q", w.email, password)
	bystander.ok("NOOP")
}

func TestAStrangersMailboxesDoNotExist_S43(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w, v := e.person("ann"), e.person("bob")
	w.deliver("INBOX", note(1))
	w.login().ok("CREATE Secret")
	c := v.in("INBOX")
	c.want("NO [NONEXISTENT]", "SELECT Secret")
	c.want("NO [NONEXISTENT]", "STATUS Secret (MESSAGES)")
	if lines := c.ok(`LIST "" *`); strings.Contains(strings.Join(lines, ""), "Secret") {
		t.Error(lines)
	}
}

func TestShutdownSaysGoodbyeToEverybody_L46(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	stranger, waiting, idle := e.dial(), w.login(), w.in("INBOX")
	idle.start("IDLE")
	if line := idle.line(); line != "+ Idling" {
		t.Fatal(line)
	}
	busy := w.login()
	busy.send("x APPEND INBOX {10}\r\n")
	if line := busy.line(); !strings.HasPrefix(line, "+ ") {
		t.Fatal(line)
	}
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- e.server.Shutdown(ctx)
	}()
	for name, c := range map[string]*client{"stranger": stranger, "waiting": waiting, "idle": idle} {
		if line := c.line(); !strings.HasPrefix(line, "* BYE [UNAVAILABLE]") {
			t.Errorf("%s: %q", name, line)
		}
	}
	busy.send("Subject: x\r\n")
	if line := busy.line(); !strings.HasPrefix(line, "x OK [APPENDUID") {
		t.Errorf("a running command was cut: %q", line)
	}
	if line := busy.line(); !strings.HasPrefix(line, "* BYE") {
		t.Error(line)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", e.plain); err == nil {
		t.Error("connections are still taken")
	}
}

func TestShutdownCutsWhoDoesNotEnd(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	busy := w.login()
	busy.send("x APPEND INBOX {10}\r\n")
	if line := busy.line(); !strings.HasPrefix(line, "+ ") {
		t.Fatal(line)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := e.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if n := w.box("INBOX").Total; n != 0 {
		t.Errorf("half a message was stored: %d", n)
	}
}

func TestAMessageThatDoesNotArriveWholeIsNotStored(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	c := w.login()
	c.send(fmt.Sprintf("x APPEND INBOX {%d+}\r\n%s", 1000, strings.Repeat("a", 500)))
	c.nc.Close()
	other := w.in("INBOX")
	e.eventually("the session has ended", func() bool {
		return strings.Contains(metricsText(t, e), `mailserver_active_connections{protocol="imap"} 1`)
	})
	same(t, other.ok("NOOP"))
}
