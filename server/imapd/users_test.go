package imapd_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/imapd"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// dated are accounts that see whether a principal is of before the last change of the password.
type dated struct {
	imapd.Accounts

	mu      sync.Mutex
	now     string
	asked   int
	refused int
	checked chan struct{} // when not nil: the next password was found right, and
	hold    chan struct{} // its owner waits for this
}

func (d *dated) Authenticate(ctx context.Context, protocol, name, password string, remote netip.Addr) (mail.Principal, error) {
	p, err := d.Accounts.Authenticate(ctx, protocol, name, password, remote)
	d.mu.Lock()
	p.Job = d.now
	checked, hold := d.checked, d.hold
	d.checked, d.hold = nil, nil
	d.mu.Unlock()
	if checked != nil {
		close(checked)
		<-hold
	}
	return p, err
}

func (d *dated) Recheck(_ context.Context, p mail.Principal) (mail.Principal, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if p.Job != d.now {
		d.refused++
		return mail.Principal{}, fault.New(fault.Unauthenticated, "unauthenticated", "sign in again")
	}
	return p, nil
}

func (d *dated) change(to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = to
}

// holdNext makes the next sign-in wait between the check of its password and what follows.
func (d *dated) holdNext() (checked, hold chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checked, d.hold = make(chan struct{}), make(chan struct{})
	return d.checked, d.hold
}

func (d *dated) questions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func (d *dated) refusals() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused
}

func newDatedEnv(t *testing.T, poll time.Duration) (*env, *dated) {
	t.Helper()
	d := &dated{now: "first"}
	e := newEnv(t, limits(func(l *imapd.Limits) { l.Poll = poll }), func(c *imapd.Config) {
		d.Accounts = c.Accounts
		c.Accounts = d
	})
	return e, d
}

// busy is a session in the middle of a command, which it ends by more.
func (w *person) busy() (c *client, more func()) {
	w.e.t.Helper()
	c = w.login()
	c.send("x APPEND INBOX {10}\r\n")
	if line := c.line(); !strings.HasPrefix(line, "+ ") {
		w.e.t.Fatal(line)
	}
	return c, func() {
		w.e.t.Helper()
		c.send("Subject: x\r\n")
		if line := c.line(); !strings.HasPrefix(line, "x OK") {
			w.e.t.Error(line)
		}
	}
}

func (c *client) mustExpire(what string) {
	c.t.Helper()
	if line := c.line(); !strings.HasPrefix(line, "* BYE [EXPIRED]") {
		c.t.Errorf("%s: %q", what, line)
	}
}

func TestWhoSignedInWithTheNewPasswordStaysThoughAnOldSessionIsStillThere_S24(t *testing.T) {
	t.Parallel()
	e, d := newDatedEnv(t, 5*time.Millisecond)
	w := e.person("ann")
	old, more := w.busy()
	waiting := w.login()
	d.change("second")
	e.bus.Publish(bus.Credentials(w.id))
	waiting.mustExpire("a session of before the change")
	fresh := w.in("INBOX")
	for before := d.questions(); d.questions() < before+5; {
		fresh.ok("NOOP")
	}
	if n := d.refusals(); n > 10 { // a poll may have come between the change and its notice
		t.Errorf("asked %d times about sessions that had been told to end", n)
	}
	more()
	old.mustExpire("the session that was at a command")
	fresh.ok("NOOP")
}

func TestALostNoticeEndsTheOldSessionsAndNotTheNewOnes_S24(t *testing.T) {
	t.Parallel()
	e, d := newDatedEnv(t, 50*time.Millisecond)
	w := e.person("ann")
	old := []*client{w.login(), w.login(), w.login()}
	d.change("second") // and nobody is told
	fresh := w.in("INBOX")
	for _, c := range old {
		c.mustExpire("a session of before the change")
	}
	for before := d.questions(); d.questions() < before+3; {
		fresh.ok("NOOP")
	}
}

func TestAPasswordThatChangesWhileItIsCheckedLetsNobodyIn_S24(t *testing.T) {
	t.Parallel()
	e, d := newDatedEnv(t, time.Hour)
	w := e.person("ann")
	// The notice was heard, for the sake of a session that is still there.
	_, more := w.busy()
	waiting := w.login()
	checked, hold := d.holdNext()
	late := e.dial()
	tag := late.start("LOGIN %s %q", w.email, password)
	<-checked
	e.bus.Publish(bus.Credentials(w.id))
	waiting.mustExpire("a session of before the change")
	close(hold)
	if _, status := late.finish(tag); !strings.HasPrefix(status, "NO [UNAVAILABLE]") {
		t.Errorf("signed in with what may be the old password: %s", status)
	}
	late.ok("LOGIN %s %q", w.email, password)
	more()

	// Nobody was there to hear it: it is found by asking once more.
	v := e.person("bob")
	checked, hold = d.holdNext()
	late = e.dial()
	tag = late.start("LOGIN %s %q", v.email, password)
	<-checked
	d.change("second")
	e.bus.Publish(bus.Credentials(v.id))
	close(hold)
	if _, status := late.finish(tag); !strings.HasPrefix(status, "NO [AUTHENTICATIONFAILED]") {
		t.Errorf("signed in with the old password: %s", status)
	}
	late.ok("LOGIN %s %q", v.email, password)
}
