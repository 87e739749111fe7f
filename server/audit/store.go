package audit

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const sqlRecord = `
INSERT INTO audit_event (id, at, actor, action, target, domain_id, remote, request_id, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

const sqlList = `
SELECT xid, id, at, actor, action, target, domain_id, remote, request_id, data FROM audit_event
WHERE (xid, id) < ($1::xid8, $2::uuid)
	AND ($3::boolean OR domain_id = ANY ($4::uuid[]))
	AND ($5::text = '' OR actor = $5) AND ($6::text = '' OR target = $6) AND ($7::text = '' OR action = $7)
ORDER BY xid DESC, id DESC LIMIT $8`

// Record writes one entry in the caller's transaction.
func Record(ctx context.Context, q pg.Querier, now time.Time, p mail.Principal, e Entry) error {
	data, err := event.EncodeData(e.Data)
	if err != nil {
		return err
	}
	remote := ""
	if p.Remote.IsValid() {
		remote = p.Remote.Unmap().String()
	}
	id := mail.AuditID{}.New(now)
	_, err = q.Exec(ctx, sqlRecord, id, now, p.Actor(), e.Action, e.Target, e.Domain, remote, requestOf(ctx), data)
	return err
}

func selectRows(ctx context.Context, q pg.Querier, all bool, domains []mail.DomainID, query Query) ([]Row, error) {
	from := query.After
	if from.IsZero() {
		from.xid = math.MaxInt64
	}
	ids := make([]pgtype.UUID, len(domains))
	for i, d := range domains {
		ids[i] = pgtype.UUID{Bytes: d, Valid: true}
	}
	rows, err := q.Query(ctx, sqlList, from.xid, pgtype.UUID{Bytes: from.id, Valid: true}, all, ids,
		query.Actor, query.Target, query.Action, query.Limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRow)
}

func scanRow(row pgx.CollectableRow) (Row, error) {
	var r Row
	var data []byte
	err := row.Scan(&r.Cursor.xid, &r.ID, &r.At, &r.Actor, &r.Action, &r.Target, &r.Domain, &r.Remote, &r.RequestID, &data)
	if err != nil {
		return r, err
	}
	r.At, r.Cursor.id = r.At.UTC(), r.ID
	return r, json.Unmarshal(data, &r.Data)
}
