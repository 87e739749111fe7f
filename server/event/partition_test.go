package event_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func partitions(t *testing.T, pool *pg.Pool) (names []string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event'::regclass ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func TestEveryDayHasItsPartitionBeforeItBegins(t *testing.T) {
	t.Parallel()
	pool, clk := pgtest.DB(t), clock.NewFake(noon())
	s := service(pool, clk)
	var wg sync.WaitGroup
	for range 5 { // several nodes start at once
		wg.Go(func() {
			if err := s.EnsurePartitions(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	want := "event_d20261125 event_d20261126 event_d20261127 event_d20261128 event_d20261129 event_d20261130 event_d20261201 event_d20261202 event_rest"
	if got := strings.Join(partitions(t, pool), " "); got != want {
		t.Fatalf("partitions %s", got)
	}
	add(t, pool, event.Event{Type: "x.y", Subject: "today"})
	var table string
	if err := pool.QueryRow(t.Context(), `SELECT tableoid::regclass::text FROM event`).Scan(&table); err != nil || table != "event_d20261125" {
		t.Fatalf("today's event lies in %s (%v)", table, err)
	}
	clk.Advance(24 * time.Hour)
	if err := s.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(partitions(t, pool)); n != 10 {
		t.Fatalf("%d partitions on the next day, want 10", n)
	}
	dropped, err := s.DropBefore(t.Context(), noon().Add(36*time.Hour))
	if err != nil || dropped != 2 {
		t.Fatalf("%d partitions dropped (%v), want the two days that have ended", dropped, err)
	}
}

func TestADayThatBeganWithoutItsPartitionLosesNothingAndStopsNothing(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := service(pool, clock.NewFake(noon()))
	add(t, pool, event.Event{Type: "x.y", Subject: "early"})
	if err := s.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	add(t, pool, event.Event{Type: "x.y", Subject: "later"})
	page, err := s.List(t.Context(), mail.System("test"), event.Query{})
	if err != nil || subjects(page.Items) != "early later" {
		t.Fatalf("%q, %v", subjects(page.Items), err)
	}
	if got := partitions(t, pool); len(got) != 8 || got[0] != "event_d20261126" {
		t.Fatalf("partitions %v", got)
	}
}

// plan is the part of EXPLAIN's answer that matters.
type plan struct {
	Type     string `json:"Node Type"`     //nolint:tagliatelle // PostgreSQL chose the name
	Relation string `json:"Relation Name"` //nolint:tagliatelle // PostgreSQL chose the name
	Index    string `json:"Index Name"`    //nolint:tagliatelle // PostgreSQL chose the name
	Plans    []plan `json:"Plans"`         //nolint:tagliatelle // PostgreSQL chose the name
}

func (p plan) walk(visit func(plan)) {
	visit(p)
	for _, child := range p.Plans {
		child.walk(visit)
	}
}

// explain gives the plan with these values, or the generic one that PostgreSQL may keep for a prepared statement.
func explain(t *testing.T, pool *pg.Pool, generic bool, sql, values string) plan {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	mode := map[bool]string{false: "force_custom_plan", true: "force_generic_plan"}[generic]
	var text string
	for _, statement := range []string{"SET plan_cache_mode = " + mode, "DEALLOCATE ALL", "PREPARE walk AS " + sql} {
		if _, err := conn.Conn().PgConn().Exec(t.Context(), statement).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	err = conn.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) EXECUTE walk ("+values+")", pgx.QueryExecModeSimpleProtocol).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	var out []struct{ Plan plan }
	if err := json.Unmarshal([]byte(text), &out); err != nil || len(out) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	return out[0].Plan
}

func TestReadingOnInALongLedgerNeverSortsOrScansIt(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := service(pool, clock.NewFake(noon().Add(-3*24*time.Hour)))
	if err := s.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	// 100,000 events over four days, in transactions of 200.
	_, err := pool.Exec(t.Context(), `
INSERT INTO event (xid, id, at, type, domain_id, account_id, subject, data)
SELECT ((i / 200) + 3)::text::xid8, gen_random_uuid(), $1::timestamptz + i * interval '3.4 seconds', 'x.y', NULL, NULL,
	'msg_' || i % 5000, '{}'
FROM generate_series(0, 99999) i`, noon().Add(-3*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `VACUUM ANALYZE event`); err != nil {
		t.Fatal(err)
	}
	const rest = ", '00000000-0000-0000-0000-000000000000', NULL, NULL, true, NULL, NULL, 100"
	for _, generic := range []bool{false, true} {
		checkPlan(t, explain(t, pool, generic, event.SQLForward, "'250'"+rest), "_xid_id_idx", true)
		checkPlan(t, explain(t, pool, generic, event.SQLBackward, "'250'"+rest), "_xid_id_idx", true)
		// What was found in order and kept may be sorted once more.
		checkPlan(t, explain(t, pool, generic, event.SQLWindow, "'250'"+rest), "_xid_id_idx", false)
		checkPlan(t, explain(t, pool, generic, event.SQLCount, "'250', '00000000-0000-0000-0000-000000000000', 5000"), "_xid_id_idx", false)
		// The few events of one object may be sorted.
		checkPlan(t, explain(t, pool, generic, event.SQLSubject, "'0'"+rest+", 'msg_77'"), "_subject_xid_id_idx", false)
	}
	page, err := s.List(t.Context(), mail.System("test"), event.Query{Subject: "msg_77"})
	if err != nil || len(page.Items) != 20 || page.More {
		t.Errorf("%d events of one subject (%v), want 20", len(page.Items), err)
	}
}

func checkPlan(t *testing.T, root plan, index string, ordered bool) {
	t.Helper()
	scans := 0
	root.walk(func(p plan) {
		day := strings.TrimPrefix(p.Relation, "event_d")
		empty := day != "" && day > "20261125" || p.Relation == "event_rest"
		switch p.Type {
		case "Sort", "Incremental Sort":
			if ordered {
				t.Errorf("the walk by %s sorts", index)
			}
		case "Seq Scan":
			if !empty {
				t.Errorf("the walk by %s scans all of %s", index, p.Relation)
			}
		case "Index Scan", "Index Only Scan", "Bitmap Index Scan":
			scans++
			if !empty && !strings.HasSuffix(p.Index, index) {
				t.Errorf("the walk by %s goes by %s", index, p.Index)
			}
		}
	})
	if scans < 4 {
		t.Errorf("the walk by %s has %d index scans, want one for each of four days", index, scans)
	}
}
