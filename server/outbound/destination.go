package outbound

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// A worker drains a destination while it holds its lease, which lives by the clock of the database. It is renewed at every
// heartbeat; a worker that could not renew it in time stops before the lease ends (leaseMargin).
const (
	leaseFor    = 30 * time.Second
	heartbeat   = 10 * time.Second
	leaseMargin = 5 * time.Second
)

// errLeaseLost ends a drain whose lease could not be renewed: another worker may have the destination.
var errLeaseLost = errors.New("the lease of the destination was lost")

// breaker is what is known of a destination's health (O-42).
type breaker struct {
	failures    int       // in a row
	connections int       // allowed at once; 0 means the configured number
	nextAt      time.Time // nothing is sent before
}

// last is what the newest attempt met.
type last struct {
	reply, host string
	at, success time.Time
}

const free = `(d.lease IS NULL OR d.lease_until <= now())`

// Taking the lease, or leaving word for its holder. The row's lock makes it certain: who finds the lease taken sets more while
// the holder cannot release, and the holder releases only when more is not set (sqlRelease). When more is set already, the
// holder has still to look, and nothing is written.
const sqlTakeLease = `
INSERT INTO destination AS d (name, lease, lease_until)
VALUES ($1, $2, now() + $3::interval)
ON CONFLICT (name) DO UPDATE SET
    lease = CASE WHEN ` + free + ` THEN EXCLUDED.lease ELSE d.lease END,
    lease_until = CASE WHEN ` + free + ` THEN EXCLUDED.lease_until ELSE d.lease_until END,
    more = NOT ` + free + `
WHERE ` + free + ` OR NOT d.more
RETURNING d.lease = $2, d.failures, d.connections, d.next_at, d.epoch, d.last_success_at`

// takeLease gives ok false when another worker has the lease; that one has been told.
func takeLease(ctx context.Context, q pg.Querier, name, token string) (b breaker, epoch int, success time.Time, ok bool, err error) {
	var nextAt, successAt *time.Time
	err = q.QueryRow(ctx, sqlTakeLease, name, token, leaseFor).Scan(&ok, &b.failures, &b.connections, &nextAt, &epoch, &successAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return b, 0, success, false, nil
	}
	if err != nil {
		return b, 0, success, false, fmt.Errorf("take the lease of %s: %w", name, err)
	}
	if nextAt != nil {
		b.nextAt = nextAt.UTC()
	}
	if successAt != nil {
		success = *successAt
	}
	return b, epoch, success, ok, nil
}

const sqlRenewLease = `UPDATE destination SET lease_until = now() + $3::interval WHERE name = $1 AND lease = $2 RETURNING held`

// renewLease gives errLeaseLost when another worker has taken it.
func renewLease(ctx context.Context, q pg.Querier, name, token string) (held bool, err error) {
	err = q.QueryRow(ctx, sqlRenewLease, name, token, leaseFor).Scan(&held)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, errLeaseLost
	}
	return held, err
}

// relaxed lets the transaction commit without waiting for the disk. What it changed may be undone by a crash of the database,
// and nothing is lost by that: a lease that comes back ends by itself.
const relaxed = `(SELECT set_config('synchronous_commit', 'off', true)) AS relaxed`

// The lease is given back only when nobody has asked for more meanwhile; then the holder looks once more. What it has learned
// about the destination is stored with it, unless a person has reset that meanwhile (epoch).
const sqlRelease = `
UPDATE destination
SET lease = CASE WHEN more AND NOT $3::boolean THEN lease END,
    lease_until = CASE WHEN more AND NOT $3::boolean THEN lease_until END,
    more = false,
    failures = CASE WHEN epoch = $11 THEN $4 ELSE failures END, connections = CASE WHEN epoch = $11 THEN $5 ELSE connections END,
    next_at = CASE WHEN epoch = $11 THEN $6 ELSE next_at END,
    last_reply = CASE WHEN $7::text = '' THEN last_reply ELSE $7 END, last_host = CASE WHEN $7::text = '' THEN last_host ELSE $8 END,
    last_attempt_at = COALESCE($9, last_attempt_at), last_success_at = COALESCE($10, last_success_at)
FROM ` + relaxed + `
WHERE name = $1 AND lease = $2
RETURNING lease IS NULL`

// releaseLease gives false when there is more to do. force gives it back all the same: the scanner will find what is left.
func releaseLease(ctx context.Context, q pg.Querier, name, token string, epoch int, b breaker, l last, force bool) (released bool, err error) {
	err = q.QueryRow(ctx, sqlRelease, name, token, force, b.failures, b.connections, nullTime(b.nextAt), l.reply, l.host,
		nullTime(l.at), nullTime(l.success), epoch).Scan(&released)
	if errors.Is(err, pgx.ErrNoRows) {
		return true, errLeaseLost
	}
	if err != nil {
		return false, fmt.Errorf("release the lease of %s: %w", name, err)
	}
	return released, nil
}

// The due recipients of a destination become those of this worker, oldest first. Those that another worker was sending when its
// lease ended are due like the others; that worker's result counts only if it was a delivery (sqlSettle). Nothing that an index
// holds is changed as a rule, so that a claim costs one short row version (HOT): who has a lease written on it is shown as
// "sending". Only what the scanner would look at much later is brought near, for the case that this worker is killed.
const sqlClaimDue = `
WITH c AS MATERIALIZED (
    SELECT r.id FROM email_recipient r
    WHERE r.destination = $1 AND r.status IN ('queued', 'deferred') AND r.next_at <= $2 AND r.lease <> $3
        AND NOT r.local AND r.transport <> 'test'
        AND NOT EXISTS (SELECT FROM destination t WHERE t.name = $1 AND t.held)
    ORDER BY r.next_at, r.email_id, r.position
    LIMIT $4
    FOR UPDATE SKIP LOCKED)
UPDATE email_recipient r SET lease = $3, wake_at = LEAST(r.wake_at, $5) FROM c WHERE r.id = c.id
RETURNING ` + recipientColumns

func claimDue(ctx context.Context, q pg.Querier, name, token string, now time.Time, limit int) ([]ownedRecipient, error) {
	rows, err := q.Query(ctx, sqlClaimDue, name, now, token, limit, now.Add(leaseFor+firstLease))
	if err != nil {
		return nil, fmt.Errorf("claim mail for %s: %w", name, err)
	}
	return pgx.CollectRows(rows, scanRecipient)
}

// What this worker has claimed and not attempted goes back as it was.
const sqlUnclaim = `
UPDATE email_recipient r
SET lease = '', wake_at = GREATEST(r.next_at, $3)
WHERE r.id = ANY ($1::uuid[]) AND r.status IN ('queued', 'deferred') AND r.lease = $2`

func unclaim(ctx context.Context, q pg.Querier, ids []mail.DeliveryID, token string, wake time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := q.Exec(ctx, sqlUnclaim, uuids(ids), token, wake); err != nil {
		return fmt.Errorf("give back mail: %w", err)
	}
	return nil
}

// A recipient whose domain has come to this server is filed here.
const sqlMoveHome = `
UPDATE email_recipient r SET local = true, destination = split_part(r.address, '@', -1), lease = ''
WHERE r.id = ANY ($1::uuid[]) AND r.lease = $2`

// A recipient whose route has changed since it was accepted moves to the queue of the new destination.
const sqlReroute = `
UPDATE email_recipient r
SET destination = $3, lease = ''
WHERE r.id = ANY ($1::uuid[]) AND r.lease = $2`

func reroute(ctx context.Context, q pg.Querier, ids []mail.DeliveryID, token, destination string) error {
	if _, err := q.Exec(ctx, sqlReroute, uuids(ids), token, destination); err != nil {
		return fmt.Errorf("move mail to %s: %w", destination, err)
	}
	return nil
}

// nullTime gives the zero time as NULL.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
