package event

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const sqlAppend = `
INSERT INTO event (id, at, type, domain_id, account_id, subject, data)
SELECT id, at, type, domain_id, account_id, subject, data::jsonb
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[])
	AS e (id, at, type, domain_id, account_id, subject, data)`

// The two walks see only rows of finished transactions and use the index (xid, id) of each partition, merged.
// $5 to $7 say who reads: everything, these domains, this account.
const sqlForward = `
SELECT xid, id, at, type, domain_id, account_id, subject, data FROM event
WHERE (xid, id) > ($1::xid8, $2::uuid) AND xid < pg_snapshot_xmin(pg_current_snapshot())
	AND ($3::text[] IS NULL OR type = ANY ($3)) AND ($4::uuid IS NULL OR domain_id = $4)
	AND ($5::boolean OR domain_id = ANY ($6::uuid[]) OR account_id = $7::uuid)
ORDER BY xid, id LIMIT $8`

const sqlBackward = `
SELECT xid, id, at, type, domain_id, account_id, subject, data FROM event
WHERE (xid, id) < ($1::xid8, $2::uuid) AND xid < pg_snapshot_xmin(pg_current_snapshot())
	AND ($3::text[] IS NULL OR type = ANY ($3)) AND ($4::uuid IS NULL OR domain_id = $4)
	AND ($5::boolean OR domain_id = ANY ($6::uuid[]) OR account_id = $7::uuid)
ORDER BY xid DESC, id DESC LIMIT $8`

// The events of one object are found by an index of their own.
const sqlSubject = `
SELECT xid, id, at, type, domain_id, account_id, subject, data FROM event
WHERE subject = $9 AND (xid, id) > ($1::xid8, $2::uuid) AND xid < pg_snapshot_xmin(pg_current_snapshot())
	AND ($3::text[] IS NULL OR type = ANY ($3)) AND ($4::uuid IS NULL OR domain_id = $4)
	AND ($5::boolean OR domain_id = ANY ($6::uuid[]) OR account_id = $7::uuid)
ORDER BY xid, id LIMIT $8`

// Everything from here on belongs to a transaction that is not finished, or has not begun.
const sqlEnd = `SELECT pg_snapshot_xmin(pg_current_snapshot())`

const sqlPartitions = `
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event'::regclass ORDER BY c.relname`

const sqlRestHas = `SELECT EXISTS (SELECT FROM event_rest WHERE at >= $1 AND at < $2)`

const sqlRestFilled = `SELECT EXISTS (SELECT FROM event_rest)`

// One node at a time makes or drops partitions; the number is this package's own.
const sqlLockPartitions = `SELECT pg_advisory_xact_lock(4215002101)`

// Append writes the events in the caller's transaction, by one statement. It fills ids and times that are zero.
func Append(ctx context.Context, q pg.Querier, now time.Time, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	args, err := appendArgs(now, events)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, sqlAppend, args...)
	return err
}

// AppendBatch queues what Append does, for a transaction whose statements go out together.
func AppendBatch(b *pgx.Batch, now time.Time, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	args, err := appendArgs(now, events)
	if err == nil {
		b.Queue(sqlAppend, args...)
	}
	return err
}

func appendArgs(now time.Time, events []Event) ([]any, error) {
	n := len(events)
	ids, ats, types := make([]pgtype.UUID, n), make([]time.Time, n), make([]string, n)
	domains, accounts := make([]pgtype.UUID, n), make([]pgtype.UUID, n)
	subjects, data := make([]string, n), make([]string, n)
	for i, e := range events {
		if e.ID.IsZero() {
			e.ID = e.ID.New(now)
		}
		if e.At.IsZero() {
			e.At = now
		}
		text, err := EncodeData(e.Data)
		if err != nil {
			return nil, err
		}
		ids[i], ats[i], types[i], subjects[i], data[i] = uuid(e.ID), e.At, e.Type, e.Subject, text
		domains[i], accounts[i] = uuid(e.Domain), uuid(e.Account)
	}
	return []any{ids, ats, types, domains, accounts, subjects, data}, nil
}

// uuid is an id as a parameter; the zero id is NULL.
func uuid[K mail.Kind](id mail.ID[K]) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: !id.IsZero()} }

// view says which rows a principal sees.
type view struct {
	all     bool
	domains []mail.DomainID
	account mail.UserID
}

func (v view) args() []any {
	domains := make([]pgtype.UUID, len(v.domains))
	for i, d := range v.domains {
		domains[i] = uuid(d)
	}
	return []any{v.all, domains, uuid(v.account)}
}

func selectEvents(ctx context.Context, q pg.Querier, v view, query Query) ([]Event, error) {
	sql, from := sqlForward, query.After
	if query.Newest {
		sql = sqlBackward
		if from.IsZero() {
			from = Cursor{xid: maxXID}
		}
	}
	var types []string
	if len(query.Types) > 0 {
		types = query.Types
	}
	args := append([]any{from.xid, pgtype.UUID{Bytes: from.id, Valid: true}, types, uuid(query.Domain)}, v.args()...)
	args = append(args, query.Limit)
	if query.Subject != "" {
		sql, args = sqlSubject, append(args, query.Subject)
	}
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEvent)
}

func scanEvent(row pgx.CollectableRow) (Event, error) {
	var e Event
	var data []byte
	err := row.Scan(&e.Cursor.xid, &e.ID, &e.At, &e.Type, &e.Domain, &e.Account, &e.Subject, &data)
	if err != nil {
		return e, err
	}
	e.At, e.Cursor.id = e.At.UTC(), e.ID
	return e, json.Unmarshal(data, &e.Data)
}

func selectEnd(ctx context.Context, q pg.Querier) (Cursor, error) {
	var c Cursor
	err := q.QueryRow(ctx, sqlEnd).Scan(&c.xid)
	return c, err
}
