package account

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/seal"
)

// world is a service with two domains and an owner.
type world struct {
	*Service
	clk     *clock.Fake
	pool    *pg.Pool
	bus     *bus.Bus
	metrics *counted
	owner   mail.Principal
	demo    domain.Domain
	other   domain.Domain
}

const (
	goodPassword = "correct horse battery"
	newPassword  = "another good password"
)

type counted struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *counted) AuthAttempt(result, protocol string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[result+" "+protocol]++
}

func (c *counted) get(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[what]
}

func newWorld(t *testing.T, profile string) world {
	t.Helper()
	w := world{clk: clock.NewFake(noon()), pool: pgtest.DB(t), bus: bus.New(), metrics: &counted{seen: map[string]int{}}}
	w.Service = w.node(profile)
	u, made, err := w.Bootstrap(t.Context(), "admin@demo.test", goodPassword)
	if err != nil || !made {
		t.Fatalf("bootstrap: %v, %v", made, err)
	}
	w.owner = u.principal()
	if w.demo, err = w.domains.GetByName(t.Context(), w.owner, "demo.test"); err != nil {
		t.Fatal(err)
	}
	if w.other, err = w.domains.Create(t.Context(), w.owner, domain.Create{Name: "other.test"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// node is another process on the same database.
func (w world) node(profile string) *Service {
	box, err := seal.New(seal.Key{1})
	if err != nil {
		panic(err)
	}
	return w.nodeWith(profile, box)
}

// nodeWith is a process with another master key.
func (w world) nodeWith(profile string, box *seal.Box) *Service {
	return w.nodeLogging(profile, box, slog.New(slog.DiscardHandler))
}

// nodeLogging is a process whose log is read.
func (w world) nodeLogging(profile string, box *seal.Box, log *slog.Logger) *Service {
	return New(Deps{
		Pool: w.pool, Clock: w.clk, Log: log, Bus: w.bus, Limiter: limit.New(w.pool, w.clk, profile), Metrics: w.metrics, Box: box,
		Domains: domain.New(w.pool, w.clk, w.bus, log, domain.Config{AutoVerify: true}),
	}, Config{Argon2: cheap()})
}

func (w world) user(t *testing.T, email string) User {
	t.Helper()
	return w.create(t, Create{Email: email, Password: goodPassword})
}

func (w world) create(t *testing.T, in Create) User {
	t.Helper()
	w.clk.Advance(time.Millisecond)
	u, err := w.Create(t.Context(), w.owner, in)
	if err != nil {
		t.Fatalf("create %s: %v", in.Email, err)
	}
	return u
}

func (w world) admin(t *testing.T, email string, domains ...mail.DomainID) mail.Principal {
	t.Helper()
	return w.create(t, Create{Email: email, Password: goodPassword, Role: mail.RoleAdmin, Domains: domains}).principal()
}

func (w world) key(scopes []string, domains ...mail.DomainID) mail.Principal {
	return mail.Principal{Key: mail.KeyID{}.New(noon()), Scopes: scopes, Domains: domains}
}

func here() netip.Addr { return netip.MustParseAddr("192.0.2.1") }

func (w world) login(ctx context.Context, email, password string) error {
	_, err := w.Authenticate(ctx, "imap", email, password, here())
	return err
}

// held runs a sign-in that must fail, and reports how long its answer was held back.
func (w world) held(t *testing.T, try func() error) (time.Duration, error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- try() }()
	var waited time.Duration
	for {
		if w.clk.Waiters() == 0 {
			select {
			case err := <-done:
				return waited, err
			case <-t.Context().Done():
				t.Fatal("never answered")
			default:
				runtime.Gosched()
				continue
			}
		}
		w.clk.Advance(500 * time.Millisecond)
		waited += 500 * time.Millisecond
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return fault.KindOf(err).String() + " " + fault.CodeOf(err)
}

func (w world) one(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	if err := w.pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
