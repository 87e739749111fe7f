package limit

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg"
)

// One statement, so that counting and reading cannot be torn apart. Step 0 only reads.
const sqlAddFailures = `
INSERT INTO auth_failure AS f (key, window_start, count)
SELECT w.key, w.window_start, greatest($3::integer, 0)
FROM unnest($1::text[], $2::timestamptz[]) AS w (key, window_start)
ON CONFLICT (key, window_start) DO UPDATE SET count = greatest(f.count + $3::integer, 0)
RETURNING key, count`

const sqlHasGood = `SELECT EXISTS (SELECT FROM auth_failure WHERE key = $1 AND window_start >= $2)`

const sqlMarkGood = `
INSERT INTO auth_failure (key, window_start, count) VALUES ($1, $2, 0)
ON CONFLICT (key, window_start) DO NOTHING`

const sqlSweepFailures = `
DELETE FROM auth_failure
WHERE key LIKE 'account %' AND window_start < $1
   OR key LIKE 'net-minute %' AND window_start < $2
   OR key LIKE 'net-day %' AND window_start < $3
   OR key LIKE 'good %' AND window_start < $4`

func addFailures(ctx context.Context, q pg.Querier, now time.Time, counts []count, step int) (map[string]int, error) {
	keys, windows := make([]string, len(counts)), make([]time.Time, len(counts))
	for i, c := range counts {
		keys[i], windows[i] = c.key, now.Truncate(c.window)
	}
	rows, err := q.Query(ctx, sqlAddFailures, keys, windows, step)
	if err != nil {
		return nil, err
	}
	have := make(map[string]int, len(counts))
	var key string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error {
		have[key] = n
		return nil
	})
	return have, err
}

func hasGood(ctx context.Context, q pg.Querier, key string, since time.Time) (bool, error) {
	var good bool
	err := q.QueryRow(ctx, sqlHasGood, key, since).Scan(&good)
	return good, err
}

func markGood(ctx context.Context, q pg.Querier, key string, today time.Time) error {
	_, err := q.Exec(ctx, sqlMarkGood, key, today)
	return err
}

func sweepFailures(ctx context.Context, q pg.Querier, now time.Time) (int64, error) {
	tag, err := q.Exec(ctx, sqlSweepFailures, now.Add(-accountWindow), now.Add(-time.Minute), now.Add(-day), now.Add(-goodFor))
	return tag.RowsAffected(), err
}
