package outbound

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// One message for each recipient, however often it is attempted.
const sqlInsertSink = `
INSERT INTO sink_message (id, email_id, recipient_id, envelope_from, envelope_to, subject, file, size, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT ON CONSTRAINT sink_message_recipient_key DO NOTHING`

func insertSink(ctx context.Context, q pg.Querier, m *SinkMessage) error {
	_, err := q.Exec(ctx, sqlInsertSink, m.ID, m.Email, m.Recipient, m.EnvelopeFrom, m.EnvelopeTo, m.Subject, m.File, m.Size, m.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert sink message: %w", err)
	}
	return nil
}

const sinkColumns = `s.id, s.email_id, s.recipient_id, s.envelope_from, s.envelope_to, s.subject, s.file, s.size, s.created_at, e.signature`

const sqlGetSink = `
SELECT ` + sinkColumns + `
FROM sink_message s JOIN email e ON e.id = s.email_id
WHERE s.id = $1 AND ($2::boolean OR e.domain_id = ANY ($3::uuid[]))`

func getSink(ctx context.Context, q pg.Querier, v view, id mail.SinkID) (SinkMessage, error) {
	rows, err := q.Query(ctx, sqlGetSink, id, v.all, uuids(v.domains))
	if err != nil {
		return SinkMessage{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanSink)
}

const sqlListSink = `
SELECT ` + sinkColumns + `
FROM sink_message s JOIN email e ON e.id = s.email_id
WHERE ($1::boolean OR e.domain_id = ANY ($2::uuid[]))
    AND ($3::uuid IS NULL OR s.id < $3)
    AND ($4::text IS NULL OR s.envelope_to = $4)
ORDER BY s.id DESC
LIMIT $5`

// listSink reads a page and one row more, planned with its values like listEmails.
func listSink(ctx context.Context, q pg.Querier, v view, query SinkQuery) ([]SinkMessage, error) {
	rows, err := q.Query(ctx, sqlListSink, pgx.QueryExecModeCacheDescribe, v.all, uuids(v.domains), query.Before, nullText(query.To), query.Limit+1)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSink)
}

func scanSink(row pgx.CollectableRow) (SinkMessage, error) {
	var m SinkMessage
	err := row.Scan(&m.ID, &m.Email, &m.Recipient, &m.EnvelopeFrom, &m.EnvelopeTo, &m.Subject, &m.File, &m.Size, &m.CreatedAt, &m.Signature)
	m.CreatedAt = m.CreatedAt.UTC()
	return m, err
}
