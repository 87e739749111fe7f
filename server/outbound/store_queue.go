package outbound

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// open are the states without a final result; the partial indexes of email_recipient say the same.
const open = `r.status IN ('queued', 'deferred', 'held')`

const selectEntry = `
SELECT ` + recipientColumns + `, e.domain_id, e.account_id, e.envelope_from, e.subject, e.created_at, e.expires_at
FROM email_recipient r JOIN email e ON e.id = r.email_id
WHERE ` + open

const sqlListQueue = selectEntry + ` AND ($1::boolean OR e.domain_id = ANY ($2::uuid[]))
    AND ($3::uuid IS NULL OR r.id > $3)
    AND ($4::uuid IS NULL OR e.domain_id = $4)
    AND ($5::uuid IS NULL OR r.email_id = $5)
    AND ($6::text IS NULL OR r.destination = $6)
    AND ($7::text IS NULL OR ` + shownStatus + ` = $7)
ORDER BY r.id
LIMIT $8`

// listQueue reads a page and one row more, planned with its values like listEmails.
func listQueue(ctx context.Context, q pg.Querier, v view, query QueueQuery) ([]Entry, error) {
	rows, err := q.Query(ctx, sqlListQueue, pgx.QueryExecModeCacheDescribe, v.all, uuids(v.domains), query.After, query.Domain, query.Email,
		nullText(query.Destination), nullText(string(query.Status)), query.Limit+1)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEntry)
}

const sqlGetEntry = selectEntry + ` AND r.id = $3 AND ($1::boolean OR e.domain_id = ANY ($2::uuid[]))`

const sqlLockEntry = sqlGetEntry + ` FOR UPDATE OF r`

func getEntry(ctx context.Context, q pg.Querier, v view, id mail.DeliveryID, lock bool) (Entry, error) {
	sql := sqlGetEntry
	if lock {
		sql = sqlLockEntry
	}
	rows, err := q.Query(ctx, sql, v.all, uuids(v.domains), id)
	if err != nil {
		return Entry{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanEntry)
}

const sqlOpenEntries = selectEntry + ` AND r.email_id = $1 ORDER BY r.position FOR UPDATE OF r`

// openEntries locks what is not finished of an email.
func openEntries(ctx context.Context, q pg.Querier, id mail.EmailID) ([]Entry, error) {
	rows, err := q.Query(ctx, sqlOpenEntries, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEntry)
}

func scanEntry(row pgx.CollectableRow) (Entry, error) {
	var (
		e                     Entry
		address, status, from string
		ms                    int64
	)
	err := row.Scan(&e.ID, &e.Email, &e.Position, &address, &e.Kind, &e.Destination, &e.Local, &status, &e.Attempts, &e.NextAt,
		&e.Transport, &e.LastReply, &e.UpdatedAt, &e.Host, &e.TLS, &e.Class, &ms, &e.warned, &e.Domain, &e.Account, &from, &e.Subject, &e.CreatedAt, &e.ExpiresAt)
	if err != nil {
		return e, err
	}
	e.Status, e.NextAt, e.UpdatedAt, e.Took = Status(status), e.NextAt.UTC(), e.UpdatedAt.UTC(), time.Duration(ms)*time.Millisecond
	e.CreatedAt, e.ExpiresAt = e.CreatedAt.UTC(), e.ExpiresAt.UTC()
	if err := e.From.UnmarshalText([]byte(from)); err != nil {
		return e, err
	}
	return e, e.Address.UnmarshalText([]byte(address))
}

// What waits, counted by destination, with what is known of each. A destination without anything to tell is not listed. The
// emails are asked only for whom some are hidden from, and for the oldest of each listed destination, which is that with the
// least id: a join would read every email that waits.
//
// $1 to $3 say who looks and, for $3, one domain; $4 after which name, $5 one name, $6 now, $7 how many.
const sqlListDestinations = `
WITH c AS (
    SELECT r.destination AS name, count(*) FILTER (WHERE r.status = 'queued') AS queued,
        count(*) FILTER (WHERE r.status = 'deferred') AS deferred,
        count(*) FILTER (WHERE r.status = 'queued' AND r.lease <> '') AS claimed, -- by a worker that may be dead
        count(*) FILTER (WHERE r.status = 'deferred' AND r.lease <> '') AS reclaimed,
        count(*) FILTER (WHERE r.status = 'held') AS held, min(r.next_at) FILTER (WHERE r.status <> 'held') AS next_at,
        min(r.email_id::text COLLATE "C") AS oldest
    FROM email_recipient r
    WHERE ` + open + ` AND NOT r.local AND r.transport <> 'test'
        AND ($1::boolean AND $3::uuid IS NULL OR EXISTS (
            SELECT FROM email e
            WHERE e.id = r.email_id AND ($1::boolean OR e.domain_id = ANY ($2::uuid[])) AND ($3::uuid IS NULL OR e.domain_id = $3)))
        AND ($4::text IS NULL OR r.destination > $4) AND ($5::text IS NULL OR r.destination = $5)
    GROUP BY r.destination)
SELECT name, COALESCE(c.queued - x.busy * c.claimed, 0), COALESCE(c.deferred - x.busy * c.reclaimed, 0),
    COALESCE(x.busy * (c.claimed + c.reclaimed), 0), COALESCE(c.held, 0),
    (SELECT e.created_at FROM email e WHERE e.id = c.oldest::uuid),
    GREATEST(c.next_at, d.next_at), COALESCE(d.held, false), COALESCE(d.lease_until > now(), false),
    COALESCE(d.failures, 0), CASE WHEN d.next_at > $6 THEN d.next_at END,
    COALESCE(d.last_reply, ''), COALESCE(d.last_host, ''), d.last_attempt_at, d.last_success_at
FROM c FULL JOIN destination d USING (name)
    CROSS JOIN LATERAL (SELECT COALESCE(d.lease_until > now(), false)::int AS busy) x
WHERE ($4::text IS NULL OR name > $4) AND ($5::text IS NULL OR name = $5)
    AND (c.name IS NOT NULL OR $1::boolean AND $3::uuid IS NULL AND (d.held OR d.failures > 0 OR $5 IS NOT NULL))
ORDER BY name
LIMIT $7`

func listDestinations(ctx context.Context, q pg.Querier, v view, query DestinationQuery, now time.Time) ([]Destination, error) {
	rows, err := q.Query(ctx, sqlListDestinations, pgx.QueryExecModeCacheDescribe, v.all, uuids(v.domains), query.Domain,
		nullText(query.After), nullText(query.Name), now, query.Limit+1)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Destination, err error) {
		return d, row.Scan(&d.Name, &d.Queued, &d.Deferred, &d.Sending, &d.Held, &d.OldestAt, &d.NextAt, &d.OnHold, &d.Busy, &d.Failures,
			&d.PausedUntil, &d.LastReply, &d.LastHost, &d.LastAttemptAt, &d.LastSuccessAt)
	})
}

const sqlHoldDestination = `
INSERT INTO destination (name, held) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET held = EXCLUDED.held`

// The breaker closes; who is sending keeps its lease and is told to look again.
const sqlResetDestination = `
UPDATE destination SET failures = 0, connections = 0, next_at = NULL, epoch = epoch + 1, more = lease IS NOT NULL WHERE name = $1`

// What waits for its next attempt becomes due, of a destination, or of a domain, or at all. What is due already stays as it is.
const sqlMakeDue = `
WITH d AS MATERIALIZED (
    SELECT r.id FROM email_recipient r JOIN email e ON e.id = r.email_id
    WHERE r.status IN ('queued', 'deferred') AND (r.next_at > $3 OR r.wake_at > $3) AND ($1::boolean OR e.domain_id = ANY ($2::uuid[]))
        AND ($4::text IS NULL OR r.destination = $4) AND ($5::uuid IS NULL OR e.domain_id = $5) AND ($6::uuid IS NULL OR e.id = $6)
    ORDER BY r.id LIMIT $7
    FOR UPDATE OF r SKIP LOCKED)
UPDATE email_recipient r SET next_at = LEAST(r.next_at, $3), wake_at = LEAST(r.wake_at, $3) FROM d WHERE d.id = r.id`

// dueAtOnce is how many recipients one transaction of makeDue changes.
const dueAtOnce = 5000

// makeDue works in transactions of a bounded size, so that a destination with any number of letters can be released.
func makeDue(ctx context.Context, pool *pg.Pool, v view, now time.Time, f RetryFilter) (n int64, err error) {
	for {
		tag, err := pool.Exec(ctx, sqlMakeDue, pgx.QueryExecModeCacheDescribe, v.all, uuids(v.domains), now, nullText(f.Destination), f.Domain, f.Email, dueAtOnce)
		n += tag.RowsAffected()
		if err != nil || tag.RowsAffected() < dueAtOnce {
			return n, err
		}
	}
}

// Rows of destinations that nobody has sent to for long and that nothing waits for.
const sqlForgetDestinations = `
DELETE FROM destination d
WHERE NOT d.held AND (d.lease IS NULL OR d.lease_until < now()) AND COALESCE(d.last_attempt_at, '-infinity') < $1 AND COALESCE(d.next_at, '-infinity') < $1
    AND NOT EXISTS (SELECT FROM email_recipient r WHERE r.destination = d.name AND r.status IN ('queued', 'deferred'))`
