package imapd

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// users knows who is signed in, on which connections.
type users struct {
	limits   *Limits
	accounts Accounts
	bus      *bus.Bus
	clk      clock.Clock

	mu   sync.Mutex
	have map[mail.UserID]*user
	// moment is the order in which sign-ins begin and notices of changed credentials are heard.
	moment uint64
}

// user is one account with at least one connection. One goroutine for all of them watches for changed credentials.
type user struct {
	id   mail.UserID
	sub  *bus.Sub
	gone chan struct{}

	conns   map[*conn]*admission // users.mu
	changed uint64               // the moment of the last notice; users.mu
	asking  atomic.Bool          // recheck is at work

	mu     sync.Mutex
	tokens float64 // commands that may be given at once
	filled time.Time
}

// admission is what a connection signed in with.
type admission struct {
	p     mail.Principal
	begun uint64 // the moment before its password was checked
	ended bool   // it was told to end, and may still be at its last command
}

func newUsers(config *Config) *users {
	return &users{limits: &config.Limits, accounts: config.Accounts, bus: config.Bus, clk: config.Clock, have: map[mail.UserID]*user{}}
}

// begin gives the moment at which a sign-in begins, for enter.
func (u *users) begin() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.next()
}

func (u *users) next() uint64 {
	u.moment++
	return u.moment
}

// enter counts a connection to its user. It refuses when there are too many, and when the account was changed since the sign-in
// began: what was checked may have been the old password.
func (u *users) enter(ctx context.Context, p mail.Principal, begun uint64, c *conn) (*user, answer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	have := u.have[p.User]
	if have == nil {
		have = &user{
			id: p.User, sub: u.bus.Subscribe(bus.Credentials(p.User)), gone: make(chan struct{}), conns: map[*conn]*admission{},
			tokens: float64(u.limits.CommandsPerMinute), filled: u.clk.Now(),
		}
		u.have[p.User] = have
		go u.watch(context.WithoutCancel(ctx), have)
	}
	switch {
	case begun < have.changed:
		return nil, no(imap.ResponseCodeUnavailable, "The account was changed just now, sign in again")
	case reached(len(have.conns), u.limits.ConnectionsPerUser):
		return nil, no(imap.ResponseCodeLimit, "You have too many connections, close one first")
	}
	have.conns[c] = &admission{p: p, begun: begun}
	return have, answer{}
}

func (u *users) leave(have *user, c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(have.conns, c)
	if len(have.conns) == 0 {
		have.sub.Close()
		close(have.gone)
		delete(u.have, have.id)
	}
}

// watch ends the sessions of a user whose password, role or status changed (S-24): who may still come in comes back at once, with
// what is valid now, and is left alone by what was heard before.
func (u *users) watch(ctx context.Context, have *user) {
	poll := u.clk.NewTicker(u.limits.Poll)
	defer poll.Stop()
	for {
		select {
		case <-have.gone:
			return
		case <-poll.C():
			if have.asking.CompareAndSwap(false, true) {
				go u.recheck(ctx, have) // which may take long: a notice is heard meanwhile
			}
		case <-have.sub.C:
			u.notice(have)
		}
	}
}

// notice ends the sessions whose sign-in began before now.
func (u *users) notice(have *user) {
	u.mu.Lock()
	defer u.mu.Unlock()
	have.changed = u.next()
	for c, in := range have.conns {
		in.ended = true
		c.stop(byeCredentials)
	}
}

// recheck finds what a lost notice would have said: it asks about the session that is there longest, and about the next one only
// when that one has to go.
func (u *users) recheck(ctx context.Context, have *user) {
	defer have.asking.Store(false)
	for {
		c, in := u.oldest(have)
		if c == nil {
			return
		}
		if _, err := u.accounts.Recheck(ctx, in.p); !fault.Is(err, fault.Unauthenticated) {
			return
		}
		u.mu.Lock()
		in.ended = true
		u.mu.Unlock()
		c.stop(byeCredentials)
	}
}

// oldest gives the session that signed in first, of those that have not been told to end.
func (u *users) oldest(have *user) (*conn, *admission) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var first *conn
	var its *admission
	for c, in := range have.conns {
		if !in.ended && (its == nil || in.begun < its.begun) {
			first, its = c, in
		}
	}
	return first, its
}

// pace waits until the user may give another command: a bucket of a minute's commands, filled evenly (L-32).
func (have *user) pace(ctx context.Context, limits *Limits, clk clock.Clock) {
	if limits.CommandsPerMinute <= 0 {
		return
	}
	have.mu.Lock()
	now := clk.Now()
	perMinute := float64(limits.CommandsPerMinute)
	have.tokens = min(perMinute, have.tokens+perMinute*now.Sub(have.filled).Minutes())
	have.filled = now
	have.tokens--
	debt := -have.tokens
	have.mu.Unlock()
	if debt > 0 {
		clk.Sleep(ctx, time.Duration(debt/perMinute*float64(time.Minute))) //nolint:errcheck // ended early, the connection ends too
	}
}
