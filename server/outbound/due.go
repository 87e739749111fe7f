package outbound

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// How often a node looks for due recipients: soon when one is near, and never later than scanMost, because other nodes add to
// the queue. dueBatch is how many it wakes at once.
const (
	scanLeast = 250 * time.Millisecond
	scanMost  = 5 * time.Second
	dueBatch  = 500
)

// How long a woken recipient may be worked on before it is woken again: the short wait at first, more when no worker comes
// for long; see sqlDue.
const (
	shortWait = 30 * time.Second
	longWait  = 10 * time.Minute
	// busyWait is how long the mail behind a worker is left alone: the worker takes it. One recipient and those that it has claimed
	// are looked at right after the worker's lease, for the case that it was killed.
	busyWait = 2 * time.Minute
	// parkedFor is how long those are left alone whom nobody may send: the destination is held, or this mode never dials.
	parkedFor = time.Hour
)

// Scan wakes what is due until ctx ends. A node may run one; several nodes may run theirs at once.
func (s *Service) Scan(ctx context.Context) {
	for {
		wait, err := s.scan(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the scan for due mail failed and is repeated", slog.Any("error", err))
			wait = scanMost
		}
		if err := s.clock.Sleep(ctx, wait); err != nil {
			return
		}
	}
}

// scan wakes everything that is due and says when to look again.
func (s *Service) scan(ctx context.Context) (time.Duration, error) {
	woken := map[string]bool{} // in this round
	for {
		n, err := s.wakeDue(ctx, woken)
		if err != nil {
			return 0, err
		}
		if n < dueBatch {
			break
		}
	}
	var next *time.Time
	if err := s.pool.QueryRow(ctx, sqlNextWake).Scan(&next); err != nil {
		return 0, pg.Fault(err)
	}
	if next == nil {
		return scanMost, nil
	}
	return min(max(next.Sub(s.clock.Now()), scanLeast), scanMost), nil
}

const sqlNextWake = `SELECT min(wake_at) FROM email_recipient WHERE status IN ('queued', 'deferred')`

// WakeDue inserts a wake-up job for what is due: recipients whose job died with its process, and those whose deferral has
// passed. It gives how many recipients it looked at, at most dueBatch.
func (s *Service) WakeDue(ctx context.Context) (looked int, err error) {
	return s.wakeDue(ctx, map[string]bool{})
}

// wakeDue leaves out what woken names, and adds to it.
func (s *Service) wakeDue(ctx context.Context, woken map[string]bool) (looked int, err error) {
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		found, err := due(ctx, tx, s.clock.Now(), s.dials(), s.cfg.Mode == ModeSink)
		looked = len(found)
		if err != nil {
			return err
		}
		return queue.InsertMany(ctx, tx, wakeupsOf(found, woken))
	})
	return looked, pg.Fault(err)
}

// found is one recipient that the scanner looked at; wake says that a job can do something for it now.
type found struct {
	email       mail.EmailID
	destination string
	near, wake  bool
}

func wakeupsOf(list []found, woken map[string]bool) []queue.Item {
	var items []queue.Item
	for _, f := range list {
		key, item := f.destination, drainItem(f.destination, lineMany)
		if f.near {
			key, item = f.email.String(), queue.Item{Args: AttemptArgs{Email: f.email}}
		}
		if f.wake && !woken[key] {
			woken[key] = true
			items = append(items, item)
		}
	}
	return items
}

// The recipients whose wake_at has come, oldest first. Moving wake_at forward keeps two scanners from waking the same one, and
// the step grows with the time that a recipient has waited for a worker, so that a queue which stands still is not filled with
// ever more jobs. A destination that is being drained needs no job: its worker takes what is due. What it has claimed, and the
// first of the others, are looked at right after its lease ends, for the case that it is dead. Behind an open breaker nothing is
// woken before it closes.
//
// $1 now, $2 the mode dials, $3 the sink takes all, $4 short and $5 long wait, $6 parked, $7 how many, $8 behind a worker.
const sqlDue = `
WITH d AS MATERIALIZED (
    SELECT r.id, r.email_id, r.destination, r.wake_at, r.local OR r.transport = 'test' OR $3::boolean AS near
    FROM email_recipient r
    WHERE r.status IN ('queued', 'deferred') AND r.wake_at <= $1
    ORDER BY r.wake_at
    LIMIT $7
    FOR UPDATE OF r SKIP LOCKED),
x AS MATERIALIZED (
    SELECT d.id, d.email_id, d.destination, d.near, NOT d.near AND (NOT $2::boolean OR COALESCE(t.held, false)) AS parked,
        CASE WHEN NOT d.near AND t.next_at > $1 THEN t.next_at END AS open_at,
        CASE WHEN NOT d.near AND t.lease_until > now() THEN t.lease_until - now() ELSE interval '0' END AS busy_for,
        row_number() OVER (PARTITION BY d.destination ORDER BY d.wake_at) = 1 AS first
    FROM d LEFT JOIN destination t ON t.name = d.destination)
UPDATE email_recipient r
SET wake_at = GREATEST(r.next_at, CASE
    WHEN x.parked THEN $1 + $6::interval
    WHEN x.open_at IS NOT NULL THEN x.open_at
    WHEN x.busy_for > interval '0' THEN $1 + CASE WHEN r.lease <> '' OR x.first THEN x.busy_for + interval '1 second' ELSE $8::interval END
    ELSE $1 + LEAST(GREATEST($1 - GREATEST(r.updated_at, r.next_at), $4::interval), $5::interval) END)
FROM x
WHERE r.id = x.id
RETURNING r.email_id, r.destination, x.near,
    NOT x.parked AND x.open_at IS NULL AND x.busy_for = interval '0' AND r.next_at <= $1`

func due(ctx context.Context, q pg.Querier, now time.Time, dials, sink bool) ([]found, error) {
	rows, err := q.Query(ctx, sqlDue, now, dials, sink, shortWait, longWait, parkedFor, dueBatch, busyWait)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f found, err error) {
		return f, row.Scan(&f.email, &f.destination, &f.near, &f.wake)
	})
}

// Depth counts recipients without a final result, for mailserver_queue_depth.
func (s *Service) Depth(ctx context.Context) (int64, error) {
	var n int64
	err := s.pool.QueryRow(ctx, sqlDepth).Scan(&n)
	return n, pg.Fault(err)
}
