package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const sqlInsertEmail = `
INSERT INTO email (id, domain_id, account_id, actor, source, test, envelope_from, header_from, subject, message_id,
    file, size, sha256, status, tags, metadata, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`

const sqlInsertRecipients = `
INSERT INTO email_recipient (id, email_id, position, address, kind, destination, local, transport, status, next_at, updated_at)
SELECT r.id, $2, r.position, r.address, r.kind, r.destination, r.local, $8, $9, $10, $11
FROM unnest($1::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bool[])
    AS r (id, position, address, kind, destination, local)`

func insertEmail(ctx context.Context, q pg.Querier, e *Email) error {
	tags, err := encodeJSON(e.Tags)
	if err != nil {
		return err
	}
	metadata, err := encodeJSON(e.Metadata)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, sqlInsertEmail, e.ID, e.Domain, e.Account, e.Actor, e.Source, e.Test, e.EnvelopeFrom.String(), e.HeaderFrom,
		e.Subject, e.MessageID, e.File, e.Size, e.SHA256[:], string(e.Status), tags, metadata, e.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert email: %w", err)
	}
	return insertRecipients(ctx, q, e)
}

func insertRecipients(ctx context.Context, q pg.Querier, e *Email) error {
	n := len(e.Recipients)
	ids, positions, addresses := make([]string, n), make([]int, n), make([]string, n)
	kinds, destinations, local := make([]string, n), make([]string, n), make([]bool, n)
	for i, r := range e.Recipients {
		ids[i], positions[i], addresses[i] = r.ID.UUID(), r.Position, r.Address.String()
		kinds[i], destinations[i], local[i] = r.Kind, r.Destination, r.Local
	}
	first := e.Recipients[0]
	_, err := q.Exec(ctx, sqlInsertRecipients, ids, e.ID, positions, addresses, kinds, destinations, local,
		first.Transport, string(first.Status), first.NextAt, e.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert recipients: %w", err)
	}
	return nil
}

const emailColumns = `e.id, e.domain_id, e.account_id, e.actor, e.source, e.test, e.envelope_from, e.header_from, e.subject, e.message_id,
    e.file, e.size, e.sha256, e.status, e.tags, e.metadata, e.created_at`

const sqlGetEmail = `SELECT ` + emailColumns + ` FROM email e WHERE e.id = $1`

// A page is newest first; NULL parameters lift their condition. The recipient filter reads the few recipients of the
// emails on the way, never all.
const sqlListEmails = `
SELECT ` + emailColumns + `
FROM email e
WHERE ($1::uuid IS NULL OR e.id < $1)
    AND ($2::uuid[] IS NULL OR e.domain_id = ANY ($2))
    AND ($3::uuid IS NULL OR e.account_id = $3)
    AND ($4::text IS NULL OR e.status = $4)
    AND ($5::text IS NULL OR EXISTS (SELECT 1 FROM email_recipient r WHERE r.email_id = e.id AND r.address = $5))
ORDER BY e.id DESC
LIMIT $6`

func scanEmail(row pgx.CollectableRow) (*Email, error) {
	var (
		e              Email
		from, status   string
		sum            []byte
		tags, metadata []byte
	)
	err := row.Scan(&e.ID, &e.Domain, &e.Account, &e.Actor, &e.Source, &e.Test, &from, &e.HeaderFrom, &e.Subject, &e.MessageID,
		&e.File, &e.Size, &sum, &status, &tags, &metadata, &e.CreatedAt)
	if err != nil {
		return nil, err
	}
	e.Status = Status(status)
	copy(e.SHA256[:], sum)
	if err := errors.Join(e.EnvelopeFrom.UnmarshalText([]byte(from)), json.Unmarshal(tags, &e.Tags), json.Unmarshal(metadata, &e.Metadata)); err != nil {
		return nil, fmt.Errorf("email %s: %w", e.ID, err)
	}
	return &e, nil
}

func getEmail(ctx context.Context, q pg.Querier, id mail.EmailID) (*Email, error) {
	rows, err := q.Query(ctx, sqlGetEmail, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectExactlyOneRow(rows, scanEmail)
}

const recipientColumns = `r.id, r.email_id, r.position, r.address, r.kind, r.destination, r.local, r.status, r.attempts, r.next_at,
    r.transport, r.last_reply, r.updated_at`

const sqlRecipients = `SELECT ` + recipientColumns + ` FROM email_recipient r WHERE r.email_id = ANY ($1::uuid[]) ORDER BY r.email_id, r.position`

// One due recipient of an email that this server can finish: a local one, one of the test network, or any when the sink takes all.
// SKIP LOCKED: whoever holds the row is finishing it.
const sqlClaimRecipient = `
SELECT ` + recipientColumns + `
FROM email_recipient r
WHERE r.email_id = $1 AND r.status IN ('queued', 'deferred') AND (r.local OR r.transport = 'test' OR $2) AND r.position > $3
ORDER BY r.position
LIMIT 1
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
	r.Status = Status(status)
	return r, r.Address.UnmarshalText([]byte(address))
}

// addRecipients reads the recipients of all emails in one statement.
func addRecipients(ctx context.Context, q pg.Querier, emails []*Email) error {
	ids := make([]string, len(emails))
	byID := make(map[mail.EmailID]*Email, len(emails))
	for i, e := range emails {
		ids[i], byID[e.ID] = e.ID.UUID(), e
	}
	rows, err := q.Query(ctx, sqlRecipients, ids)
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

// claim locks the next recipient after the position; ok is false when none is left.
func claim(ctx context.Context, q pg.Querier, id mail.EmailID, all bool, after int) (r Recipient, ok bool, err error) {
	rows, err := q.Query(ctx, sqlClaimRecipient, id, all, after)
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

// The email's own state is derived from its recipients; see summarise, which says the same in Go.
const sqlSettleEmail = `
UPDATE email SET status = (
    SELECT CASE
        WHEN bool_or(status = 'queued') THEN 'queued'
        WHEN bool_or(status = 'deferred') THEN 'deferred'
        WHEN bool_or(status = 'bounced') THEN 'bounced'
        WHEN bool_or(status = 'failed') THEN 'failed'
        ELSE 'delivered' END
    FROM email_recipient WHERE email_id = $1)
WHERE id = $1`

// settle writes the result of an attempt. The email's row is locked first, so that the last two of its recipients cannot
// both miss that they were the last.
func settle(ctx context.Context, q pg.Querier, e *Email, r *Recipient) error {
	_, err := q.Exec(ctx, sqlSettleRecipient, r.ID, string(r.Status), r.NextAt, r.Transport, r.LastReply, r.UpdatedAt)
	if err != nil {
		return fmt.Errorf("settle recipient: %w", err)
	}
	if _, err := q.Exec(ctx, sqlSettleEmail, e.ID); err != nil {
		return fmt.Errorf("settle email: %w", err)
	}
	return nil
}

const sqlLockEmail = `SELECT id FROM email WHERE id = $1 FOR UPDATE`

func lockEmail(ctx context.Context, q pg.Querier, id mail.EmailID) error {
	var got mail.EmailID
	return q.QueryRow(ctx, sqlLockEmail, id).Scan(&got)
}

// Recipients that are due although nobody works on them: their wake-up was lost with a killed process, or a deferral has
// passed. Moving next_at forward is the lease that keeps two scanners from waking the same one.
const sqlDue = `
UPDATE email_recipient SET next_at = $2
WHERE id IN (
    SELECT id FROM email_recipient
    WHERE status IN ('queued', 'deferred') AND next_at <= $1 AND (local OR transport = 'test' OR $3)
    ORDER BY next_at
    LIMIT $4
    FOR UPDATE SKIP LOCKED)
RETURNING email_id`

func due(ctx context.Context, q pg.Querier, now, lease time.Time, all bool, limit int) ([]mail.EmailID, error) {
	rows, err := q.Query(ctx, sqlDue, now, lease, all, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[mail.EmailID])
}

const sqlDepth = `SELECT count(*) FROM email_recipient WHERE status IN ('queued', 'deferred')`

const sqlInsertSink = `
INSERT INTO sink_message (id, email_id, recipient_id, envelope_from, envelope_to, subject, file, size, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT ON CONSTRAINT sink_message_recipient_key DO NOTHING`

func insertSink(ctx context.Context, q pg.Querier, m *SinkMessage) error {
	_, err := q.Exec(ctx, sqlInsertSink, m.ID, m.Email, m.Recipient, m.EnvelopeFrom, m.EnvelopeTo, m.Subject, m.File, m.Size, m.CreatedAt)
	return err
}

const sinkColumns = `s.id, s.email_id, s.recipient_id, s.envelope_from, s.envelope_to, s.subject, s.file, s.size, s.created_at`

const sqlGetSink = `
SELECT ` + sinkColumns + `
FROM sink_message s JOIN email e ON e.id = s.email_id
WHERE s.id = $1 AND ($2::uuid[] IS NULL OR e.domain_id = ANY ($2))`

const sqlListSink = `
SELECT ` + sinkColumns + `
FROM sink_message s JOIN email e ON e.id = s.email_id
WHERE ($1::uuid IS NULL OR s.id < $1) AND ($2::uuid[] IS NULL OR e.domain_id = ANY ($2)) AND ($3::text IS NULL OR s.envelope_to = $3)
ORDER BY s.id DESC
LIMIT $4`

func scanSink(row pgx.CollectableRow) (SinkMessage, error) {
	var m SinkMessage
	err := row.Scan(&m.ID, &m.Email, &m.Recipient, &m.EnvelopeFrom, &m.EnvelopeTo, &m.Subject, &m.File, &m.Size, &m.CreatedAt)
	return m, err
}
