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

const sqlInsertRecipients = `
INSERT INTO email_recipient (id, email_id, position, address, kind, destination, local, transport, status, next_at, updated_at)
SELECT r.id, $2, r.position, r.address, r.kind, r.destination, r.local, $8, $9, $10, $11
FROM unnest($1::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bool[])
    AS r (id, position, address, kind, destination, local)`

func insertRecipients(ctx context.Context, q pg.Querier, e *Email) error {
	n := len(e.Recipients)
	if n == 0 {
		return errors.New("insert recipients: none")
	}
	ids, positions, addresses := make([]string, n), make([]int, n), make([]string, n)
	kinds, destinations, local := make([]string, n), make([]string, n), make([]bool, n)
	for i, r := range e.Recipients {
		ids[i], positions[i], addresses[i] = r.ID.UUID(), r.Position, r.Address.String()
		kinds[i], destinations[i], local[i] = r.Kind, r.Destination, r.Local
	}
	first := e.Recipients[0] // what follows is the same for all of a new email
	_, err := q.Exec(ctx, sqlInsertRecipients, ids, e.ID, positions, addresses, kinds, destinations, local,
		first.Transport, string(first.Status), first.NextAt, e.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert recipients: %w", err)
	}
	return nil
}

const recipientColumns = `r.id, r.email_id, r.position, r.address, r.kind, r.destination, r.local, r.status, r.attempts, r.next_at,
    r.transport, r.last_reply, r.updated_at`

const sqlRecipients = `SELECT ` + recipientColumns + ` FROM email_recipient r WHERE r.email_id = ANY ($1::uuid[]) ORDER BY r.email_id, r.position`

// A recipient whom this server can finish now: a local one, one of the test network, or any when the sink takes all ($3), and
// after a deferral not before its time ($2 is the newest result that may be followed by another attempt). next_at does not say
// this, because the scanner moves it forward.
const workable = `r.status IN ('queued', 'deferred') AND (r.status = 'queued' OR r.updated_at <= $2)
    AND (r.local OR r.transport = 'test' OR $3::boolean)`

const sqlWorkable = `
SELECT ` + recipientColumns + `
FROM email_recipient r
WHERE r.email_id = $1 AND ` + workable + `
ORDER BY r.position`

// SKIP LOCKED: whoever holds the row is finishing it, or has just inserted a job that will.
const sqlClaim = `
SELECT ` + recipientColumns + `
FROM email_recipient r
WHERE r.id = $1 AND ` + workable + `
FOR UPDATE SKIP LOCKED`

type ownedRecipient struct {
	email mail.EmailID
	Recipient
}

func scanRecipient(row pgx.CollectableRow) (ownedRecipient, error) {
	var (
		r               ownedRecipient
		address, status string
	)
	err := row.Scan(&r.ID, &r.email, &r.Position, &address, &r.Kind, &r.Destination, &r.Local, &status, &r.Attempts, &r.NextAt,
		&r.Transport, &r.LastReply, &r.UpdatedAt)
	if err != nil {
		return r, err
	}
	r.Status, r.NextAt, r.UpdatedAt = Status(status), r.NextAt.UTC(), r.UpdatedAt.UTC()
	return r, r.Address.UnmarshalText([]byte(address))
}

// addRecipients reads the recipients of all emails in one statement.
func addRecipients(ctx context.Context, q pg.Querier, emails []*Email) error {
	if len(emails) == 0 {
		return nil
	}
	ids := make([]mail.EmailID, len(emails))
	byID := make(map[mail.EmailID]*Email, len(emails))
	for i, e := range emails {
		ids[i], byID[e.ID] = e.ID, e
	}
	rows, err := q.Query(ctx, sqlRecipients, uuids(ids))
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, scanRecipient)
	for _, r := range all {
		e := byID[r.email]
		e.Recipients = append(e.Recipients, r.Recipient)
	}
	return err
}

// workableOf reads the recipients of an email who can be finished now, without locking them.
func workableOf(ctx context.Context, q pg.Querier, id mail.EmailID, before time.Time, all bool) ([]ownedRecipient, error) {
	rows, err := q.Query(ctx, sqlWorkable, id, before, all)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRecipient)
}

// claim locks a recipient; ok is false when another has it or it is finished or no longer due.
func claim(ctx context.Context, q pg.Querier, id mail.DeliveryID, before time.Time, all bool) (r Recipient, ok bool, err error) {
	rows, err := q.Query(ctx, sqlClaim, id, before, all)
	if err != nil {
		return r, false, err
	}
	owned, err := pgx.CollectExactlyOneRow(rows, scanRecipient)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, false, nil
	}
	return owned.Recipient, err == nil, err
}

const sqlSettleRecipient = `
UPDATE email_recipient
SET status = $2, attempts = attempts + 1, next_at = $3, transport = $4, last_reply = $5, updated_at = $6
WHERE id = $1`

// settleRecipient writes the result of an attempt to a claimed recipient.
func settleRecipient(ctx context.Context, q pg.Querier, r *Recipient) error {
	_, err := q.Exec(ctx, sqlSettleRecipient, r.ID, string(r.Status), r.NextAt, r.Transport, r.LastReply, r.UpdatedAt)
	if err != nil {
		return fmt.Errorf("settle recipient: %w", err)
	}
	return nil
}

// The due recipients, oldest first, and whether this server can finish them. Moving next_at forward is the lease that keeps
// two scanners from waking the same one. The lease grows with the time that a recipient has waited for a worker, so that a
// queue which stands still is not filled with ever more jobs. Who cannot be finished in this mode is looked at again after
// $5, so that many of them do not stand in the way.
const sqlDue = `
WITH d AS MATERIALIZED (
    SELECT r.id, (r.local OR r.transport = 'test' OR $6::boolean) AS ours
    FROM email_recipient r
    WHERE r.status IN ('queued', 'deferred') AND r.next_at <= $1
    ORDER BY r.next_at
    LIMIT $7
    FOR UPDATE SKIP LOCKED)
UPDATE email_recipient r
SET next_at = $1::timestamptz
    + CASE WHEN d.ours THEN LEAST(GREATEST($1 - r.updated_at - $2::interval, $3::interval), $4::interval) ELSE $5::interval END
FROM d
WHERE r.id = d.id
RETURNING r.email_id, d.ours`

// due gives the emails to wake, each once.
func due(ctx context.Context, q pg.Querier, now time.Time, all bool, limit int) ([]mail.EmailID, error) {
	rows, err := q.Query(ctx, sqlDue, now, retryDelay, shortLease, longLease, parkedFor, all, limit)
	if err != nil {
		return nil, err
	}
	var (
		ids  []mail.EmailID
		id   mail.EmailID
		ours bool
		seen = map[mail.EmailID]bool{}
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &ours}, func() error {
		if ours && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

const sqlDepth = `SELECT count(*) FROM email_recipient WHERE status IN ('queued', 'deferred')`
