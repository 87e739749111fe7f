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
INSERT INTO email_recipient (id, email_id, position, address, kind, destination, local, transport, status, next_at, wake_at, updated_at)
SELECT r.id, $2, r.position, r.address, r.kind, r.destination, r.local, $8, $9, $10, $11, $12
FROM unnest($1::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bool[])
    AS r (id, position, address, kind, destination, local)`

func queueRecipients(b *pgx.Batch, e *Email) error {
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
	b.Queue(sqlInsertRecipients, ids, e.ID, positions, addresses, kinds, destinations, local,
		first.Transport, string(first.Status), first.NextAt, e.CreatedAt.Add(firstLease), e.CreatedAt)
	return nil
}

// Who waits and bears the lease of a living worker is being sent to.
const shownStatus = `CASE WHEN r.lease <> '' AND r.status IN ('queued', 'deferred') AND EXISTS (SELECT FROM destination t
    WHERE t.name = r.destination AND t.lease = r.lease AND t.lease_until > now()) THEN 'sending' ELSE r.status END`

const recipientColumns = `r.id, r.email_id, r.position, r.address, r.kind, r.destination, r.local, ` + shownStatus + `, r.attempts, r.next_at,
    r.transport, r.last_reply, r.updated_at, r.last_host, r.last_tls, r.last_class, r.last_ms, r.warned`

const sqlRecipients = `SELECT ` + recipientColumns + ` FROM email_recipient r WHERE r.email_id = ANY ($1::uuid[]) ORDER BY r.email_id, r.position`

// A recipient whom this server can finish by itself now ($2): a local one, one of the test network, or any when the sink takes
// all ($3).
const workable = `r.status IN ('queued', 'deferred') AND r.next_at <= $2 AND (r.local OR r.transport = 'test' OR $3::boolean)`

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
		ms              int64
	)
	err := row.Scan(&r.ID, &r.email, &r.Position, &address, &r.Kind, &r.Destination, &r.Local, &status, &r.Attempts, &r.NextAt,
		&r.Transport, &r.LastReply, &r.UpdatedAt, &r.Host, &r.TLS, &r.Class, &ms, &r.warned)
	if err != nil {
		return r, err
	}
	r.Status, r.NextAt, r.UpdatedAt, r.Took = Status(status), r.NextAt.UTC(), r.UpdatedAt.UTC(), time.Duration(ms)*time.Millisecond
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
		if r.Status == Sending { // it is not written on the email, which would cost a row version at each attempt
			e.Status = Sending
		}
	}
	return err
}

// workableOf reads the recipients of an email who can be finished now, without locking them.
func workableOf(ctx context.Context, q pg.Querier, id mail.EmailID, now time.Time, all bool) ([]ownedRecipient, error) {
	rows, err := q.Query(ctx, sqlWorkable, id, now, all)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRecipient)
}

// claim locks a recipient; ok is false when another has it or it is finished or no longer due.
func claim(ctx context.Context, q pg.Querier, id mail.DeliveryID, now time.Time, all bool) (r Recipient, ok bool, err error) {
	rows, err := q.Query(ctx, sqlClaim, id, now, all)
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
SET status = $2, attempts = $7, next_at = $3, wake_at = $3, lease = '', transport = $4, last_reply = $5, updated_at = $6
WHERE id = $1`

// settleRecipient writes the result of an attempt to a claimed recipient.
func settleRecipient(ctx context.Context, q pg.Querier, r *Recipient) error {
	_, err := q.Exec(ctx, sqlSettleRecipient, r.ID, string(r.Status), r.NextAt, r.Transport, r.LastReply, r.UpdatedAt, r.Attempts)
	if err != nil {
		return fmt.Errorf("settle recipient: %w", err)
	}
	return nil
}

const sqlDepth = `SELECT count(*) FROM email_recipient WHERE status IN ('queued', 'deferred')`
