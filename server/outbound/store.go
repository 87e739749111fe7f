package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const sqlInsertEmail = `
INSERT INTO email (id, domain_id, account_id, actor, source, test, envelope_from, header_from, subject, message_id,
    file, size, sha256, status, tags, metadata, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`

// queueEmail adds the statements for an email and its recipients.
func queueEmail(b *pgx.Batch, e *Email) error {
	tags, err := json.Marshal(e.Tags)
	if err != nil {
		return fmt.Errorf("encode tags: %w", err)
	}
	metadata, err := json.Marshal(e.Metadata)
	if err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	b.Queue(sqlInsertEmail, e.ID, e.Domain, e.Account, e.Actor, e.Source, e.Test, e.EnvelopeFrom.String(), e.HeaderFrom,
		e.Subject, e.MessageID, e.File, e.Size, e.SHA256[:], string(e.Status), tags, metadata, e.CreatedAt, e.ExpiresAt)
	return queueRecipients(b, e)
}

const sqlHasEmail = `SELECT EXISTS (SELECT FROM email WHERE id = $1)`

func hasEmail(ctx context.Context, q pg.Querier, id mail.EmailID) (found bool, err error) {
	err = q.QueryRow(ctx, sqlHasEmail, id).Scan(&found)
	return found, err
}

const emailColumns = `e.id, e.domain_id, e.account_id, e.actor, e.source, e.test, e.envelope_from, e.header_from, e.subject, e.message_id,
    e.file, e.size, e.sha256, e.status, e.tags, e.metadata, e.created_at, e.expires_at, e.signature, e.eight_bit, e.prepared`

const sqlGetEmail = `SELECT ` + emailColumns + ` FROM email e WHERE e.id = $1`

// $1 to $3 say who looks; NULL and false lift nothing there, elsewhere NULL lifts its condition.
const listedEmails = `
SELECT ` + emailColumns + `
FROM email e
WHERE ($1::boolean OR e.domain_id = ANY ($2::uuid[]) OR e.account_id = $3::uuid)
    AND ($4::uuid IS NULL OR e.domain_id = $4)
    AND ($5::uuid IS NULL OR e.id < $5)
    AND ($6::text IS NULL OR e.status = $6)`

const sqlListEmails = listedEmails + `
ORDER BY e.id DESC
LIMIT $7`

// Those to an address are found from the recipients, never by looking through all emails.
const sqlListEmailsTo = listedEmails + `
    AND e.id IN (SELECT r.email_id FROM email_recipient r WHERE r.address = $8)
ORDER BY e.id DESC
LIMIT $7`

// listEmails reads a page and one row more. The statement is planned with its values, so that conditions which do not apply
// cost nothing and the others find their index.
func listEmails(ctx context.Context, q pg.Querier, v view, query ListQuery) ([]*Email, error) {
	args := []any{
		pgx.QueryExecModeCacheDescribe, v.all, uuids(v.domains), v.sender, query.Domain, query.Before, nullText(string(query.Status)),
		query.Limit + 1,
	}
	sql := sqlListEmails
	if query.Recipient != "" {
		sql, args = sqlListEmailsTo, append(args, query.Recipient)
	}
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEmail)
}

func scanEmail(row pgx.CollectableRow) (*Email, error) {
	var (
		e              Email
		from, status   string
		sum            []byte
		tags, metadata []byte
	)
	err := row.Scan(&e.ID, &e.Domain, &e.Account, &e.Actor, &e.Source, &e.Test, &from, &e.HeaderFrom, &e.Subject, &e.MessageID,
		&e.File, &e.Size, &sum, &status, &tags, &metadata, &e.CreatedAt, &e.ExpiresAt, &e.Signature, &e.EightBit, &e.Prepared)
	if err != nil {
		return nil, err
	}
	e.Status, e.CreatedAt, e.ExpiresAt = Status(status), e.CreatedAt.UTC(), e.ExpiresAt.UTC()
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

// The email's own state is derived from its recipients; see summarise, which says the same in Go. With $2 the signature and
// what else is known of the bytes are stored too; the first ones stay, because what was sent once is sent again byte for byte.
// Most later attempts change nothing here, and then nothing is written.
const sqlSettleEmail = `
WITH s AS (
    SELECT CASE
        WHEN bool_or(status = 'queued') THEN 'queued'
        WHEN bool_or(status = 'deferred') THEN 'deferred'
        WHEN bool_or(status = 'held') THEN 'held'
        WHEN bool_or(status = 'bounced') THEN 'bounced'
        WHEN bool_or(status = 'failed') THEN 'failed'
        WHEN bool_or(status = 'delivered') THEN 'delivered'
        ELSE 'cancelled' END AS status
    FROM email_recipient WHERE email_id = $1)
UPDATE email e
SET status = s.status, prepared = e.prepared OR $2,
    signature = CASE WHEN $2 AND NOT e.prepared THEN $3 ELSE e.signature END,
    eight_bit = CASE WHEN $2 AND NOT e.prepared THEN $4 ELSE e.eight_bit END
FROM s WHERE e.id = $1 AND (e.status <> s.status OR $2::boolean AND NOT e.prepared)`

const sqlLockEmail = `SELECT id FROM email WHERE id = $1 FOR NO KEY UPDATE`

const sqlGetEmails = `SELECT ` + emailColumns + ` FROM email e WHERE e.id = ANY ($1::uuid[])`

// getEmails reads emails by id, without their recipients.
func getEmails(ctx context.Context, q pg.Querier, ids []mail.EmailID) (map[mail.EmailID]*Email, error) {
	rows, err := q.Query(ctx, sqlGetEmails, uuids(ids))
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanEmail)
	byID := make(map[mail.EmailID]*Email, len(list))
	for _, e := range list {
		byID[e.ID] = e
	}
	return byID, err
}

// settleEmail derives the email's state from its recipients, with its row locked; see record.
func settleEmail(ctx context.Context, q pg.Querier, id mail.EmailID) error {
	var got mail.EmailID
	if err := q.QueryRow(ctx, sqlLockEmail, id).Scan(&got); err != nil {
		return fmt.Errorf("lock email: %w", err)
	}
	if _, err := q.Exec(ctx, sqlSettleEmail, id, false, "", false); err != nil {
		return fmt.Errorf("settle email: %w", err)
	}
	return nil
}

// uuids gives ids as a parameter for uuid[]; nil is NULL.
func uuids[K mail.Kind](ids []mail.ID[K]) []string {
	if len(ids) == 0 {
		return nil
	}
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.UUID()
	}
	return out
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}
