package stats

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const sqlPlace = `SELECT place FROM stat_cursor`

// Who finds the row locked lets the other count.
const sqlLockPlace = `SELECT place FROM stat_cursor FOR UPDATE SKIP LOCKED`

const sqlMovePlace = `UPDATE stat_cursor SET place = $1`

const countColumns = `received, accepted, delivered, deferred, bounced, failed, rejected, logins_failed`

// Rows are added in one order by everybody, so that two who add at once never wait for each other in a ring.
const sqlAdd = `
INSERT INTO stat_count AS c (domain_id, step, at, ` + countColumns + `)
SELECT domain_id, step, at, ` + countColumns + `
FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
	$10::bigint[], $11::bigint[]) AS n (domain_id, step, at, ` + countColumns + `)
ORDER BY domain_id, step, at
ON CONFLICT (domain_id, step, at) DO UPDATE SET
	received = c.received + EXCLUDED.received, accepted = c.accepted + EXCLUDED.accepted, delivered = c.delivered + EXCLUDED.delivered,
	deferred = c.deferred + EXCLUDED.deferred, bounced = c.bounced + EXCLUDED.bounced, failed = c.failed + EXCLUDED.failed,
	rejected = c.rejected + EXCLUDED.rejected, logins_failed = c.logins_failed + EXCLUDED.logins_failed`

const sqlSample = `
INSERT INTO stat_gauge AS g (metric, step, at, node, total, samples)
SELECT metric, step, at, $1, value, 1
FROM unnest($2::text[], $3::integer[], $4::timestamptz[], $5::bigint[]) AS n (metric, step, at, value)
ORDER BY metric, step, at
ON CONFLICT (metric, step, at, node) DO UPDATE SET total = g.total + EXCLUDED.total, samples = g.samples + 1`

// The sums of several stretches of time at once; a stretch may be put together of minutes and hours.
const sqlSums = `
SELECT r.part, sum(c.received)::bigint, sum(c.accepted)::bigint, sum(c.delivered)::bigint, sum(c.deferred)::bigint, sum(c.bounced)::bigint,
	sum(c.failed)::bigint, sum(c.rejected)::bigint, sum(c.logins_failed)::bigint
FROM unnest($2::integer[], $3::integer[], $4::timestamptz[], $5::timestamptz[]) AS r (part, step, since, until)
	JOIN stat_count c ON c.domain_id = ANY ($1::uuid[]) AND c.step = r.step AND c.at >= r.since AND c.at < r.until
GROUP BY r.part`

const sqlCounts = `
SELECT at, sum(received)::bigint, sum(accepted)::bigint, sum(delivered)::bigint, sum(deferred)::bigint, sum(bounced)::bigint,
	sum(failed)::bigint, sum(rejected)::bigint, sum(logins_failed)::bigint
FROM stat_count WHERE domain_id = ANY ($1::uuid[]) AND step = $2 AND at >= $3 AND at < $4
GROUP BY at`

// Each node counts with the mean of its samples. What a node measures of itself is added up; the queue is the same for all.
const sqlGauges = `
SELECT metric, at, round(CASE WHEN metric = 'queue_depth' THEN avg(total::numeric / samples) ELSE sum(total::numeric / samples) END)::bigint
FROM stat_gauge WHERE metric = ANY ($1::text[]) AND step = $2 AND at >= $3 AND at < $4
GROUP BY metric, at`

const sqlExpireCounts = `
DELETE FROM stat_count WHERE ctid = ANY (ARRAY(SELECT ctid FROM stat_count WHERE step = $1 AND at < $2 ORDER BY at LIMIT $3))`

const sqlExpireGauges = `
DELETE FROM stat_gauge WHERE ctid = ANY (ARRAY(SELECT ctid FROM stat_gauge WHERE metric = ANY ($4::text[]) AND step = $1 AND at < $2 LIMIT $3))`

// place reads how far the ledger has been counted.
func place(ctx context.Context, q pg.Querier) (text string, err error) {
	return text, q.QueryRow(ctx, sqlPlace).Scan(&text)
}

// lockPlace reads it for who goes on from there; not ok while another does.
func lockPlace(ctx context.Context, tx pgx.Tx) (text string, ok bool, err error) {
	err = tx.QueryRow(ctx, sqlLockPlace).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	return text, err == nil, err
}

// bucket is one stretch of time of one domain.
type bucket struct {
	domain mail.DomainID
	step   Step
	at     time.Time
}

// tally collects what is to be added.
type tally map[bucket]*Counts

// add notes what happened in a minute, for the sums of everything and for the domain when it is not zero.
func (t tally) add(minute time.Time, domain mail.DomainID, note func(*Counts)) {
	for _, step := range steps() {
		for _, d := range slices.Compact([]mail.DomainID{{}, domain}) {
			b := bucket{d, step, step.begin(minute)}
			if t[b] == nil {
				t[b] = &Counts{}
			}
			note(t[b])
		}
	}
}

// store adds the tally to the sums.
func (t tally) store(ctx context.Context, q pg.Querier) error {
	if len(t) == 0 {
		return nil
	}
	domains, lengths, begins := make([]pgtype.UUID, 0, len(t)), make([]int, 0, len(t)), make([]time.Time, 0, len(t))
	var columns [countMetrics][]int64
	for b, c := range t {
		domains, lengths, begins = append(domains, uuid(b.domain)), append(lengths, b.step.minutes()), append(begins, b.at)
		for i, v := range c.all() {
			columns[i] = append(columns[i], *v)
		}
	}
	args := []any{domains, lengths, begins}
	for _, c := range columns {
		args = append(args, c)
	}
	_, err := q.Exec(ctx, sqlAdd, args...)
	return err
}

// stretch is a part of a window: stretches of the same part are added up.
type stretch struct {
	part         int
	step         Step
	since, until time.Time
}

func sums(ctx context.Context, q pg.Querier, v view, list []stretch) (map[int]Counts, error) {
	var parts, lengths []int
	var since, until []time.Time
	for _, s := range list {
		parts, lengths, since, until = append(parts, s.part), append(lengths, s.step.minutes()), append(since, s.since), append(until, s.until)
	}
	rows, err := q.Query(ctx, sqlSums, uuids(v.rows()), parts, lengths, since, until)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int]Counts{}
	for rows.Next() {
		var part int
		var c Counts
		if err := rows.Scan(c.into(&part)...); err != nil {
			return nil, err
		}
		out[part] = c
	}
	return out, rows.Err()
}

func counts(ctx context.Context, q pg.Querier, v view, t Timeseries) (map[time.Time]Counts, error) {
	rows, err := q.Query(ctx, sqlCounts, uuids(v.rows()), t.Step.minutes(), t.From, t.To)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[time.Time]Counts{}
	for rows.Next() {
		var at time.Time
		var c Counts
		if err := rows.Scan(c.into(&at)...); err != nil {
			return nil, err
		}
		out[at.UTC()] = c
	}
	return out, rows.Err()
}

// sampled is one value of one gauge.
type sampled struct {
	metric string
	at     time.Time
}

func gauges(ctx context.Context, q pg.Querier, metrics []string, t Timeseries) (map[sampled]int64, error) {
	rows, err := q.Query(ctx, sqlGauges, metrics, t.Step.minutes(), t.From, t.To)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[sampled]int64{}
	for rows.Next() {
		var key sampled
		var value int64
		if err := rows.Scan(&key.metric, &key.at, &value); err != nil {
			return nil, err
		}
		key.at = key.at.UTC()
		out[key] = value
	}
	return out, rows.Err()
}

// sample adds one sample of each gauge to its minute, hour and day.
func sample(ctx context.Context, q pg.Querier, node string, now time.Time, values map[string]int64) error {
	var metrics []string
	var lengths []int
	var begins []time.Time
	var list []int64
	for name, value := range values {
		for _, step := range steps() {
			metrics, lengths, begins, list = append(metrics, name), append(lengths, step.minutes()), append(begins, step.begin(now)), append(list, value)
		}
	}
	_, err := q.Exec(ctx, sqlSample, node, metrics, lengths, begins, list)
	return err
}

func uuid(id mail.DomainID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

func uuids(ids []mail.DomainID) []pgtype.UUID {
	out := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		out[i] = uuid(id)
	}
	return out
}
