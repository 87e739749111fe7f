package stats_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/seal"
	"github.com/mailserver-dev/mailserver/server/stats"
)

func noon() time.Time { return time.Date(2026, 11, 25, 12, 34, 56, 0, time.UTC) }

func system() mail.Principal { return mail.System("test") }

// world is the services below the statistics, with the domains a.test and b.test.
type world struct {
	t     *testing.T
	pool  *pg.Pool
	clk   *clock.Fake
	bus   *bus.Bus
	deps  stats.Deps
	stats *stats.Service
	a, b  domain.Domain
	// refused is what the node "one" has refused.
	refused atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, pgtest.DB(t))
}

func newWorldOn(t *testing.T, pool *pg.Pool) *world {
	t.Helper()
	w := &world{t: t, pool: pool, clk: clock.NewFake(noon()), bus: bus.New()}
	log := slog.New(slog.DiscardHandler)
	bodies, err := body.Open(body.Options{Dir: t.TempDir(), LowWater: func(int64) int64 { return 0 }}, w.clk, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bodies.Close() })
	box, err := seal.New(seal.Key{1})
	if err != nil {
		t.Fatal(err)
	}
	domains := domain.New(pool, w.clk, w.bus, log, domain.Config{AutoVerify: true, Box: box, DefaultKeys: domain.KeysNone})
	accounts := account.New(account.Deps{
		Pool: pool, Clock: w.clk, Log: log, Bus: w.bus, Limiter: limit.New(pool, w.clk, "none"), Domains: domains,
	}, account.Config{Argon2: account.Argon2{Time: 1, MemoryKiB: 64, Threads: 1}})
	w.deps = stats.Deps{
		Pool: pool, Clock: w.clk, Log: log, Bus: w.bus, Domains: domains, Accounts: accounts,
		Mailboxes: mailbox.New(pool, bodies, w.bus, w.clk, log, mailbox.Options{}),
		Outbound: outbound.New(outbound.Config{Hostname: "host.test", Mode: outbound.ModeSink, MaxBytes: 1 << 20}, outbound.Deps{
			Pool: pool, Clock: w.clk, Log: log, Bodies: bodies, Domains: domains, Accounts: accounts, Bus: w.bus,
		}),
	}
	w.stats = w.node("one")
	w.a, w.b = w.domain("a.test"), w.domain("b.test")
	w.count()
	return w
}

// node is one more server on the same database.
func (w *world) node(name string) *stats.Service {
	return stats.New(stats.Config{Node: name, Version: "1", StartedAt: noon().Add(-time.Hour), Read: func() stats.Reading {
		return stats.Reading{Memory: 1000, SMTP: 1, Submission: 2, IMAP: 3, HTTP: 4, Rejected: w.refused.Load()}
	}}, w.deps)
}

func (w *world) domain(name string) domain.Domain {
	w.t.Helper()
	d, err := w.deps.Domains.Create(w.t.Context(), system(), domain.Create{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// happen appends events; those without a time happen now.
func (w *world) happen(events ...event.Event) {
	w.t.Helper()
	for len(events) > 0 {
		n := min(len(events), 1000)
		if err := event.Append(w.t.Context(), w.pool, w.clk.Now(), events[:n]...); err != nil {
			w.t.Fatal(err)
		}
		events = events[n:]
	}
}

// count counts everything that happened.
func (w *world) count() {
	w.t.Helper()
	settle(w.t, w.pool)
	if err := w.stats.Collect(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// settle waits until no transaction of the cluster hides what was appended: other tests' count too.
func settle(t *testing.T, pool *pg.Pool) {
	t.Helper()
	for visible := false; !visible; {
		err := pool.QueryRow(t.Context(), `
SELECT coalesce((SELECT max(xid) FROM event) < pg_snapshot_xmin(pg_current_snapshot()), true) FROM pg_sleep(0.002)`,
			pgx.QueryExecModeSimpleProtocol).Scan(&visible)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) overview(p mail.Principal, d mail.DomainID) stats.Overview {
	w.t.Helper()
	w.clk.Advance(time.Second) // what was read before is old
	o, err := w.stats.Overview(w.t.Context(), p, d)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *world) series(q stats.SeriesQuery) stats.Timeseries {
	w.t.Helper()
	t, err := w.stats.Timeseries(w.t.Context(), system(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// sum adds the values of a series; nil when none is known.
func sum(values []*int64) (n int64) {
	for _, v := range values {
		if v != nil {
			n += *v
		}
	}
	return n
}

func stopAfter(t *testing.T, run func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}
