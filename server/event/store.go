package event

import (
	"context"
	"encoding/json"
	"strings"
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
	AND ($3::text[] IS NULL OR type LIKE ANY ($3)) AND ($4::uuid IS NULL OR domain_id = $4)
	AND ($5::boolean OR domain_id = ANY ($6::uuid[]) OR account_id = $7::uuid)
ORDER BY xid, id LIMIT $8`

const sqlBackward = `
SELECT xid, id, at, type, domain_id, account_id, subject, data FROM event
WHERE (xid, id) < ($1::xid8, $2::uuid) AND xid < pg_snapshot_xmin(pg_current_snapshot())
	AND ($3::text[] IS NULL OR type LIKE ANY ($3)) AND ($4::uuid IS NULL OR domain_id = $4)
	AND ($5::boolean OR domain_id = ANY ($6::uuid[]) OR account_id = $7::uuid)
ORDER BY xid DESC, id DESC LIMIT $8`

// The events of one object are found by an index of their own.
const sqlSubject = `
SELECT xid, id, at, type, domain_id, account_id, subject, data FROM event
WHERE subject = $9 AND (xid, id) > ($1::xid8, $2::uuid) AND xid < pg_snapshot_xmin(pg_current_snapshot())
	AND ($3::text[] IS NULL OR type LIKE ANY ($3)) AND ($4::uuid IS NULL OR domain_id = $4)
	AND ($5::boolean OR domain_id = ANY ($6::uuid[]) OR account_id = $7::uuid)
ORDER BY xid, id LIMIT $8`

// One step through a part of the ledger in which little may be wanted: it looks at $8 events and gives what is wanted of them, and
// the last one in any case, so that the next step goes on from there.
const sqlWindow = `
WITH w AS MATERIALIZED (
	SELECT xid, id, at, type, domain_id, account_id, subject, data FROM event
	WHERE (xid, id) > ($1::xid8, $2::uuid) AND xid < pg_snapshot_xmin(pg_current_snapshot())
	ORDER BY xid, id LIMIT $8)
SELECT w.xid, w.id, w.at, w.type, w.domain_id, w.account_id, w.subject, w.data, f.fits
FROM w CROSS JOIN LATERAL (SELECT COALESCE(
	($3::text[] IS NULL OR w.type LIKE ANY ($3)) AND ($4::uuid IS NULL OR w.domain_id = $4)
	AND ($5::boolean OR w.domain_id = ANY ($6::uuid[]) OR w.account_id = $7::uuid), false) AS fits) f
WHERE f.fits OR (w.xid, w.id) = (SELECT l.xid, l.id FROM w l ORDER BY l.xid DESC, l.id DESC LIMIT 1)
ORDER BY w.xid, w.id`

// The floor is the place of the newest event that was dropped; a place beyond every transaction is none of this ledger.
const sqlKept = `
SELECT (f.xid, f.id) <= ($1::xid8, $2::uuid) AND $1::xid8 <= pg_snapshot_xmax(pg_current_snapshot()) FROM event_floor f`

const sqlRaiseFloor = `UPDATE event_floor SET xid = $1, id = $2 WHERE (xid, id) < ($1::xid8, $2::uuid)`

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

// uuidOf is an id as a parameter that is never NULL.
func uuidOf(id mail.EventID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

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
	args := query.args(from, v)
	if query.Subject != "" {
		sql, args = sqlSubject, append(args, query.Subject)
	}
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEvent)
}

// args are the parameters that the walks share.
func (q Query) args(from Cursor, v view) []any {
	args := append([]any{from.xid, uuidOf(from.id), patterns(q.Types), uuid(q.Domain)}, v.args()...)
	return append(args, q.Limit)
}

// patterns turns types into patterns of LIKE; nil for none.
func patterns(types []string) []string {
	var out []string
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
	for _, t := range types {
		begin, ok := strings.CutSuffix(t, ".*")
		p := escape.Replace(begin)
		if ok {
			p += ".%"
		}
		out = append(out, p)
	}
	return out
}

// selectWindow looks at the next query.Limit events and gives those that are wanted, and the place after all of them.
func selectWindow(ctx context.Context, q pg.Querier, v view, query Query) (items []Event, next Cursor, err error) {
	next = query.After
	rows, err := q.Query(ctx, sqlWindow, query.args(query.After, v)...)
	if err != nil {
		return nil, next, err
	}
	defer rows.Close()
	for rows.Next() {
		var e Event
		var data []byte
		var fits bool
		if err := rows.Scan(&e.Cursor.xid, &e.ID, &e.At, &e.Type, &e.Domain, &e.Account, &e.Subject, &data, &fits); err != nil {
			return nil, query.After, err
		}
		e.At, e.Cursor.id = e.At.UTC(), e.ID
		if next = e.Cursor; !fits {
			continue
		}
		if err := json.Unmarshal(data, &e.Data); err != nil {
			return nil, query.After, err
		}
		items = append(items, e)
	}
	return items, next, rows.Err()
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
