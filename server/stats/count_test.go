package stats_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/stats"
)

var errUndone = errors.New("undone")

// What the ledger says, by its own rows.
const sqlLedger = `
SELECT count(*) FILTER (WHERE type = 'message.received'), count(*) FILTER (WHERE type = 'email.accepted'),
	count(*) FILTER (WHERE type = 'email.delivered'), count(*) FILTER (WHERE type = 'email.deferred'),
	count(*) FILTER (WHERE type = 'email.bounced'), count(*) FILTER (WHERE type = 'email.failed'), 0,
	count(*) FILTER (WHERE type = 'security.login_failed')
FROM event WHERE ($1::uuid IS NULL OR domain_id = $1) AND at >= $2 AND at < $3`

const sqlSum = `
SELECT COALESCE(sum(received), 0)::bigint, COALESCE(sum(accepted), 0)::bigint, COALESCE(sum(delivered), 0)::bigint, COALESCE(sum(deferred), 0)::bigint,
	COALESCE(sum(bounced), 0)::bigint, COALESCE(sum(failed), 0)::bigint, COALESCE(sum(rejected), 0)::bigint, COALESCE(sum(logins_failed), 0)::bigint
FROM stat_count WHERE domain_id = COALESCE($1, '00000000-0000-0000-0000-000000000000'::uuid) AND step = $2`

func counts(t *testing.T, q pg.Querier, sql string, args ...any) (c stats.Counts) {
	t.Helper()
	err := q.QueryRow(t.Context(), sql, args...).Scan(&c.Received, &c.Accepted, &c.Delivered, &c.Deferred, &c.Bounced, &c.Failed, &c.Rejected, &c.LoginsFailed)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkSums holds the sums of all three steps against the ledger, for everything and for each domain.
func (w *world) checkSums(extra ...mail.DomainID) {
	w.t.Helper()
	for _, d := range append([]mail.DomainID{{}, w.a.ID, w.b.ID}, extra...) {
		var id any
		if !d.IsZero() {
			id = d.UUID()
		}
		want := counts(w.t, w.pool, sqlLedger, id, time.Unix(0, 0), noon().Add(365*24*time.Hour))
		for _, step := range []int{1, 60, 1440} {
			if got := counts(w.t, w.pool, sqlSum, id, step); got != want {
				w.t.Errorf("domain %s, step %d: %+v, the ledger says %+v", d, step, got, want)
			}
		}
	}
}

func types() []string {
	return []string{
		event.MessageReceived, event.EmailAccepted, event.EmailDelivered, event.EmailDeferred, event.EmailBounced, event.EmailFailed,
		event.LoginFailed, event.EmailQueued, "something.else",
	}
}

func pick[T any](list ...T) T { return list[rand.IntN(len(list))] }

// anything is some event of the last days.
func (w *world) anything() event.Event {
	at := w.clk.Now().Add(-time.Duration(rand.IntN(50*3600)) * time.Second)
	return event.Event{Type: pick(types()...), At: at, Domain: pick(w.a.ID, w.b.ID, mail.DomainID{}), Subject: "x"}
}

// Eight writers commit late and sometimes not at all; four nodes count at once; connections of those are killed all the time.
func TestEachEventIsCountedOnceWhoeverCountsAndDies(t *testing.T) {
	t.Parallel()
	const writers, each, nodes = 8, 60, 4
	dsn := pgtest.DSN(t)
	open := func(name string, conns int32) *pg.Pool {
		pool, err := pg.Open(t.Context(), pg.Config{DSN: dsn + "&application_name=" + name, MaxConns: conns, AcquireTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
	w := newWorldOn(t, open("writer", writers+4))
	counting := w.deps
	counting.Pool = open("counter", nodes)
	ctx, stop := context.WithCancel(t.Context())
	var writing, working sync.WaitGroup
	for range writers {
		writing.Go(func() { w.writeLate(each) })
	}
	aborted := 0
	for i := range nodes {
		node := stats.New(stats.Config{Node: fmt.Sprint(i)}, counting)
		working.Go(func() {
			for ctx.Err() == nil {
				_ = node.Collect(ctx) // the next finds what this did not count
			}
		})
	}
	working.Go(func() {
		for ctx.Err() == nil {
			var n int
			err := w.pool.QueryRow(t.Context(), `
SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
	WHERE application_name = 'counter' AND datname = current_database() AND xact_start IS NOT NULL ORDER BY random() LIMIT 1) x, pg_sleep(0.01)`).Scan(&n)
			if err != nil {
				t.Error(err)
				return
			}
			aborted += n
		}
	})
	writing.Wait()
	stop()
	working.Wait()
	w.count()
	w.checkSums()
	if all := counts(t, w.pool, sqlSum, nil, 1); all.Received == 0 || aborted == 0 {
		t.Errorf("%+v, %d connections killed", all, aborted)
	}
	w.count()
	w.checkSums()
}

func (w *world) writeLate(each int) {
	for i := range each {
		err := pg.InTx(w.t.Context(), w.pool, func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT pg_current_xact_id(), pg_sleep(random() * 0.01)`); err != nil {
				return err
			}
			if err := event.Append(ctx, tx, w.clk.Now(), w.anything(), w.anything(), w.anything()); err != nil {
				return err
			}
			if i%5 == 0 {
				return errUndone
			}
			_, err := tx.Exec(ctx, `SELECT pg_sleep(random() * 0.02)`)
			return err
		})
		if err != nil && !errors.Is(err, errUndone) {
			w.t.Error(err)
			return
		}
	}
}

func TestALateCommitIsCountedWhenItComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer late.Rollback(context.WithoutCancel(t.Context()))
	if err := event.Append(t.Context(), late, noon(), event.Event{Type: event.EmailBounced, Domain: w.a.ID, Subject: "late"}); err != nil {
		t.Fatal(err)
	}
	w.happen(event.Event{Type: event.EmailBounced, Domain: w.a.ID, Subject: "early"})
	if err := w.stats.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.count()
	w.checkSums()
	if o := w.overview(system(), mail.DomainID{}); o.LastHour.Bounced != 2 {
		t.Errorf("%+v", o.LastHour)
	}
}

func TestALongLedgerIsCountedInSteps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var list []event.Event
	for range 12_345 {
		list = append(list, w.anything())
	}
	w.happen(list...)
	w.count()
	w.checkSums()
}

// The counter runs when it is told, and now and then when it is not.
func TestEventsAreCountedSoonAndInAnyCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	changed := w.stats.Changed()
	defer changed.Close()
	stopAfter(t, w.stats.Run)
	received := func() (n int64) { return counts(t, w.pool, sqlSum, nil, 1).Received }
	for i, announced := range []bool{true, false, true, false} {
		w.happen(event.Event{Type: event.MessageReceived, Subject: "x"})
		settle(t, w.pool)
		if announced {
			w.bus.Publish("events")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		for received() != int64(i+1) {
			if ctx.Err() != nil {
				t.Fatalf("the event %d was not counted", i)
			}
			if err := w.clk.BlockUntil(ctx, 1); err != nil {
				t.Fatal(err)
			}
			w.clk.Advance(time.Second)
			pause(t, w.pool)
		}
		cancel()
	}
	select {
	case <-changed.C:
	default:
		t.Error("nobody is told that numbers changed")
	}
}

// pause gives others a moment.
func pause(t *testing.T, pool *pg.Pool) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `SELECT pg_sleep(0.005)`); err != nil {
		t.Fatal(err)
	}
}

// Each node adds what it has refused itself, also after a restart and when it stops; nothing twice.
func TestRefusalsOfEveryNodeAreAdded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.node("two")
	w.refused.Store(5)
	for _, node := range []*stats.Service{w.stats, other, w.stats, other} {
		if err := node.Sample(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.refused.Store(7)
	if err := other.Sample(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.stats.Run(ctx) // it stops at once and still adds the 2
	w.node("two").Run(ctx)
	if got := w.overview(system(), mail.DomainID{}).LastHour.Rejected; got != 5+5+2+2+7 {
		t.Errorf("%d", got)
	}
	if got := w.overview(system(), w.a.ID); got.Whole || got.LastHour.Rejected != 0 || got.Server != nil {
		t.Errorf("%+v", got)
	}
}

func TestOldSumsGoAndNewOnesStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.pool.Exec(t.Context(), `
INSERT INTO stat_count (domain_id, step, at, received)
SELECT $1, step, $2::timestamptz - age * interval '1 hour', 1
FROM (VALUES (1, 48), (1, 50), (60, 24 * 60), (60, 24 * 60 + 2), (1440, 24 * 3 * 365), (1440, 24 * 3 * 365 + 2)) x (step, age)`, w.a.ID.UUID(), noon())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.pool.Exec(t.Context(), `
INSERT INTO stat_count (domain_id, step, at, received)
SELECT gen_random_uuid(), 1, $1::timestamptz - interval '3 days', 1 FROM generate_series(1, 12000)`, noon())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.pool.Exec(t.Context(), `
INSERT INTO stat_gauge (metric, step, at, node, total, samples)
SELECT metric, 1, $1::timestamptz - age * interval '1 hour', 'one', 1, 1
FROM unnest(ARRAY['queue_depth', 'connections_http']) metric, (VALUES (48), (50)) x (age)`, noon())
	if err != nil {
		t.Fatal(err)
	}
	n, err := w.stats.Expire(t.Context())
	if err != nil || n != 12_000+3+2 {
		t.Errorf("%d rows went (%v)", n, err)
	}
	var left, gauges int
	if err := w.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM stat_count WHERE received = 1), (SELECT count(*) FROM stat_gauge)`).Scan(&left, &gauges); err != nil {
		t.Fatal(err)
	}
	if left != 3 || gauges != 2 {
		t.Errorf("%d sums and %d samples are left", left, gauges)
	}
}

// A clock that is set back by hours must not leave a hole of hours in the gauges.
func TestANodeIsMeasuredEveryMinuteWhateverItsClockDoes(t *testing.T) {
	t.Parallel()
	next := noon().Add(time.Minute)
	for now, want := range map[time.Time]bool{
		noon(): false, noon().Add(59 * time.Second): false, next: true, next.Add(24 * time.Hour): true, noon().Add(-24 * time.Hour): true,
	} {
		if stats.Due(now, next) != want {
			t.Errorf("at %v: %t", now, !want)
		}
	}
}
