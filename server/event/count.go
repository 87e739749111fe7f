package event

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// The next events in order, counted, with the place of the last of them in every row.
const sqlCount = `
WITH w AS MATERIALIZED (
	SELECT xid, id, at, type, domain_id FROM event
	WHERE (xid, id) > ($1::xid8, $2::uuid) AND xid < pg_snapshot_xmin(pg_current_snapshot())
	ORDER BY xid, id LIMIT $3)
SELECT date_trunc('minute', at, 'UTC'), type, domain_id, count(*),
	(SELECT xid FROM w ORDER BY xid DESC, id DESC LIMIT 1), (SELECT id FROM w ORDER BY xid DESC, id DESC LIMIT 1)
FROM w GROUP BY 1, 2, 3`

// Count is how many events of one type and domain happened in one minute.
type Count struct {
	// Minute is its beginning, in UTC.
	Minute time.Time
	Type   string
	// Domain is zero for events of no domain.
	Domain mail.DomainID
	N      int64
}

// CountAfter counts the events after a place, at most limit of them, and gives the place after the last; that is the same place
// when there are none. Whoever keeps the place and the numbers in one transaction counts each event exactly once: late commits
// come after the place. The numbers are those of the whole server; the caller decides who may see them.
func CountAfter(ctx context.Context, q pg.Querier, after Cursor, limit int) (counts []Count, next Cursor, err error) {
	rows, err := q.Query(ctx, sqlCount, after.xid, uuidOf(after.id), limit)
	if err != nil {
		return nil, after, err
	}
	next = after
	counts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Count, err error) {
		err = row.Scan(&c.Minute, &c.Type, &c.Domain, &c.N, &next.xid, &next.id)
		c.Minute = c.Minute.UTC()
		return c, err
	})
	if err != nil {
		return nil, after, err
	}
	return counts, next, nil
}
