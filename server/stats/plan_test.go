package stats_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/stats"
)

// plan gives the plan of a prepared statement, with these values or the generic one that PostgreSQL may keep.
func plan(t *testing.T, pool *pg.Pool, generic bool, sql, values string) string {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	mode := map[bool]string{false: "force_custom_plan", true: "force_generic_plan"}[generic]
	for _, statement := range []string{"SET plan_cache_mode = " + mode, "DEALLOCATE ALL", "PREPARE tried AS " + sql} {
		if _, err := conn.Conn().PgConn().Exec(t.Context(), statement).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := conn.Query(t.Context(), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE tried ("+values+")", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// What dashboards ask every second reads the rows that it adds up and no others, however many domains there are.
func TestSumsAreReadByTheirKey(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	_, err := pool.Exec(t.Context(), `
INSERT INTO stat_count (domain_id, step, at, received)
SELECT ('00000000-0000-0000-0000-' || lpad(d::text, 12, '0'))::uuid, s.step, $1::timestamptz - n * s.step * interval '1 minute', 1
FROM generate_series(0, 99) d, (VALUES (1, 1200), (60, 48), (1440, 30)) s (step, many), generate_series(1, s.many) n`, noon())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `VACUUM ANALYZE stat_count, stat_gauge`); err != nil {
		t.Fatal(err)
	}
	at := func(hours int) string {
		return "'" + noon().Add(-time.Duration(hours)*time.Hour).Format(time.RFC3339) + "'"
	}
	one, some := `'{00000000-0000-0000-0000-000000000000}'`, `'{00000000-0000-0000-0000-000000000007,00000000-0000-0000-0000-000000000008}'`
	ranges := fmt.Sprintf(`'{0,1,2,2,2}', '{1,1,1,60,1}', ARRAY[%s,%s,%s,%s,%s]::timestamptz[], ARRAY[%s,%s,%s,%s,%s]::timestamptz[]`,
		at(1), at(1), at(24), at(23), at(1), at(0), at(0), at(23), at(1), at(0))
	for _, generic := range []bool{false, true} {
		for name, c := range map[string]struct{ sql, values string }{
			"sums of all":    {stats.SQLSums, one + ", " + ranges},
			"sums of some":   {stats.SQLSums, some + ", " + ranges},
			"series of all":  {stats.SQLCounts, one + ", 1, " + at(1) + ", " + at(0)},
			"series of some": {stats.SQLCounts, some + ", 60, " + at(24) + ", " + at(0)},
			"nothing is old": {stats.SQLExpireCounts, "1, " + at(10_000) + ", 5000"},
		} {
			got := plan(t, pool, generic, c.sql, c.values)
			if strings.Contains(got, "Seq Scan on stat_count") || strings.Contains(got, "Rows Removed by Filter") {
				t.Errorf("%s (generic: %t) reads what it does not need:\n%s", name, generic, got)
			}
		}
	}
}
