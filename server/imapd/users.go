package imapd

import (
	"context"
	"sync"
	"time"

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
}

// user is one account with at least one connection. One goroutine for all of them watches for changed credentials.
type user struct {
	p    mail.Principal // of the first connection
	sub  *bus.Sub
	gone chan struct{}

	conns map[*conn]struct{} // users.mu

	mu     sync.Mutex
	tokens float64 // commands that may be given at once
	filled time.Time
}

func newUsers(config *Config) *users {
	return &users{limits: &config.Limits, accounts: config.Accounts, bus: config.Bus, clk: config.Clock, have: map[mail.UserID]*user{}}
}

// enter counts a connection to its user, or gives nil when there are too many.
func (u *users) enter(ctx context.Context, p mail.Principal, c *conn) *user {
	u.mu.Lock()
	defer u.mu.Unlock()
	have := u.have[p.User]
	if have == nil {
		have = &user{
			p: p, sub: u.bus.Subscribe(bus.Credentials(p.User)), gone: make(chan struct{}), conns: map[*conn]struct{}{},
			tokens: float64(u.limits.CommandsPerMinute), filled: u.clk.Now(),
		}
		u.have[p.User] = have
		go u.watch(context.WithoutCancel(ctx), have)
	}
	if reached(len(have.conns), u.limits.ConnectionsPerUser) {
		return nil
	}
	have.conns[c] = struct{}{}
	return have
}

func (u *users) leave(have *user, c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(have.conns, c)
	if len(have.conns) == 0 {
		have.sub.Close()
		close(have.gone)
		delete(u.have, have.p.User)
	}
}

// watch ends the sessions of a user whose password, role or status changed (S-24): who may still come in comes back at once, with
// what is valid now.
func (u *users) watch(ctx context.Context, have *user) {
	poll := u.clk.NewTicker(u.limits.Poll)
	defer poll.Stop()
	for {
		select {
		case <-have.gone:
			return
		case <-poll.C():
			if _, err := u.accounts.Recheck(ctx, have.p); !fault.Is(err, fault.Unauthenticated) {
				continue
			}
		case <-have.sub.C:
		}
		u.mu.Lock()
		for c := range have.conns {
			c.stop(byeCredentials)
		}
		u.mu.Unlock()
	}
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
