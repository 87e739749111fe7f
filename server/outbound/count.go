package outbound

import (
	"context"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// QueueCounts is what waits, in recipients, and to how many destinations nothing is sent now.
type QueueCounts struct {
	Queued, Sending, Deferred, Held, Paused int64
}

// DomainQueue is what waits of one sender domain's mail.
type DomainQueue struct {
	QueueCounts
	// PausedNames are the paused destinations for which some of it waits.
	PausedNames []string
}

// The states of what waits, as recipients show them: t is the destination of a recipient whose worker lives.
const (
	countStates = `count(*) FILTER (WHERE r.status = 'queued' AND t.name IS NULL), count(*) FILTER (WHERE t.name IS NOT NULL),
    count(*) FILTER (WHERE r.status = 'deferred' AND t.name IS NULL), count(*) FILTER (WHERE r.status = 'held')`
	withWorker = `
    LEFT JOIN destination t ON t.name = r.destination AND t.lease = r.lease AND r.lease <> '' AND r.status <> 'held' AND t.lease_until > now()`
	paused = `(d.held OR d.next_at > $1)`
)

const sqlCountQueue = `
SELECT ` + countStates + `, (SELECT count(*) FROM destination d WHERE ` + paused + `)
FROM email_recipient r` + withWorker + `
WHERE ` + open

// Each email that waits is looked up by its key: a join would read every email that was ever sent.
const sqlCountQueueByDomain = `
WITH r AS MATERIALIZED (
    SELECT e.domain_id, r.status, r.destination, r.lease, r.local OR r.transport = 'test' AS near
    FROM email_recipient r CROSS JOIN LATERAL (SELECT e.domain_id FROM email e WHERE e.id = r.email_id OFFSET 0) e
    WHERE ` + open + `)
SELECT r.domain_id, ` + countStates + `, array_agg(DISTINCT d.name) FILTER (WHERE d.name IS NOT NULL AND NOT r.near)
FROM r` + withWorker + `
    LEFT JOIN destination d ON d.name = r.destination AND ` + paused + `
GROUP BY r.domain_id`

// CountQueue counts all that waits. Its cost grows with what waits, not with what was sent: 100,000 recipients took 240 ms on two busy
// cores. The caller decides who may see it.
func (s *Service) CountQueue(ctx context.Context) (c QueueCounts, err error) {
	err = s.pool.QueryRow(ctx, sqlCountQueue, s.clock.Now()).Scan(&c.Queued, &c.Sending, &c.Deferred, &c.Held, &c.Paused)
	return c, pg.Fault(err)
}

// CountQueueByDomain counts what waits of each sender domain's mail; domains without any are absent. It costs several
// times as much as CountQueue. The caller decides who may see it.
func (s *Service) CountQueueByDomain(ctx context.Context) (map[mail.DomainID]DomainQueue, error) {
	rows, err := s.pool.Query(ctx, sqlCountQueueByDomain, s.clock.Now())
	if err != nil {
		return nil, pg.Fault(err)
	}
	defer rows.Close()
	out := map[mail.DomainID]DomainQueue{}
	for rows.Next() {
		var id mail.DomainID
		var d DomainQueue
		if err := rows.Scan(&id, &d.Queued, &d.Sending, &d.Deferred, &d.Held, &d.PausedNames); err != nil {
			return nil, pg.Fault(err)
		}
		d.Paused = int64(len(d.PausedNames))
		out[id] = d
	}
	return out, pg.Fault(rows.Err())
}
