package mailbox

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// explained are the statements of a command, with arguments that touch little. On 100,000 messages none of them may read a
// table from end to end.
func explained(w *person, other int64) map[string][]any {
	now := time.Now()
	id := uuid(mail.MessageID{}.New(now))
	out := map[string][]any{
		sqlMailboxByKey:     {w.inbox},
		sqlMailboxByName:    {uuid(w.id), "Archive"},
		sqlMailboxes:        {uuid(w.id)},
		sqlCatchUp:          {w.inbox, int64(19_990), int64(99_000)},
		sqlRowsRange:        {w.inbox, true, true, int32(50_000), int32(MaxUID)},
		sqlRowsSet:          {w.inbox, true, true, []int32{1, 2, 3}},
		sqlRowsElsewhere:    {w.inbox, true, true, []int32{1, 2, 3}, []int64{1, 2, 3}},
		sqlMessage:          {id},
		sqlSummaries:        {w.inbox, int64(90_000), int32(0), int32(0), 51},
		sqlAsk:              {[][16]byte{id}},
		sqlResolve:          {uuids(w.id), []string{"Archive"}},
		sqlLockMailboxes:    {[]int64{w.inbox}},
		sqlLockUsage:        {uuids(w.id)},
		sqlDeliverMailboxes: {[]int64{w.inbox}, []int32{1}, []int32{1}, []int64{10}},
		sqlDeliverUsage:     {uuids(w.id), []int64{1}, []int64{1}},
		sqlDeliverMessages: {
			[][16]byte{id},
			uuids(w.id),
			[]string{"f"},
			[]int64{1},
			[][]byte{{1}},
			[]time.Time{now},
			[][]byte{{1}},
			[][]byte{{1}},
			[]int64{w.inbox},
			[]int32{1},
			[]int32{0},
		},
		sqlAppendQuota: {uuid(w.id)},
		sqlGarbage:     {now},
	}
	var many UIDRanges
	for i := range uint32(500) {
		many = append(many, UIDRange{i * 190, i * 190})
	}
	for _, pick := range []selection{{UIDs(7)}, {UIDRanges{{500, 700}}}, {UIDs(7, 500, 90_000)}, {many.Normal()}} {
		what, from := pick.args()
		store := []any{w.inbox, what, from, int32(1), int32(allFlags), now, int32(0), int32(-1), int64(math.MaxInt64)}
		move := []any{w.inbox, what, from, other, []int32{}, []int32{}, now}
		add := func(byRange, byList string, args ...any) {
			out[pick.choose(byRange, byList)+fmt.Sprintf(" -- %d uids", pick.uids.Count())] = args
		}
		add(sqlStoreRange, sqlStoreList, append(store, UIDs(1).bytes())...)
		add(sqlStoreRangeSince, sqlStoreListSince, store...)
		add(sqlStoreFailedRange, sqlStoreFailedList, w.inbox, what, from, int64(5))
		add(sqlExpungeRange, sqlExpungeList, w.inbox, what, from, int32(0), now, uuid(w.id))
		add(sqlCopyRange, sqlCopyList, move[:6]...)
		add(sqlMoveRange, sqlMoveList, move...)
	}
	return out
}

// scans lists the tables that a plan (EXPLAIN FORMAT JSON) reads from end to end.
func scans(node map[string]any) []string {
	var out []string
	if name, ok := node["Relation Name"].(string); ok && node["Node Type"] == "Seq Scan" {
		out = append(out, name)
	}
	below, _ := node["Plans"].([]any)
	for _, x := range below {
		if child, ok := x.(map[string]any); ok {
			out = append(out, scans(child)...)
		}
	}
	return out
}

func TestNoCommandReadsAWholeTable(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	e.seed(w, w.inbox, 100_000)
	e.exec(`INSERT INTO mailbox_change SELECT $1, i, 1, '\x0000000100000001', 1, 0, now() FROM generate_series(3, 20000) i`, w.inbox)
	e.exec(`INSERT INTO body_garbage SELECT account_id, file, now() + interval '1 h' FROM message WHERE account_id = $1`, w.id)
	e.exec(`ANALYZE`)
	e.explainAll(t, w, "one mailbox only", "mailbox_message", "message", "mailbox_change", "body_garbage")
	for i := range 40 {
		other := e.person()
		e.seed(other, other.inbox, 50+i)
	}
	e.exec(`INSERT INTO account SELECT gen_random_uuid(), domain_id, 'x' || i, local, name, role, status, password_hash, auth_epoch, quota_bytes,
		next_uid_validity, version, created_at, updated_at FROM account, generate_series(1, 20000) i WHERE id = $1`, w.id)
	e.exec(`INSERT INTO account_usage SELECT id FROM account ON CONFLICT DO NOTHING`)
	e.exec(`INSERT INTO mailbox (id, account_id, name, uid_validity, created_at) SELECT gen_random_uuid(), id, 'INBOX', 1, now() FROM account ON CONFLICT DO NOTHING`)
	e.exec(`ANALYZE`)
	e.explainAll(t, w, "many mailboxes", "mailbox_message", "message", "mailbox_change", "body_garbage", "account", "account_usage", "mailbox")
}

// explainAll looks at the plans for these arguments, and at those for any.
func (e *env) explainAll(t *testing.T, w *person, shape string, tables ...string) {
	t.Helper()
	conn, err := e.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for sql, args := range explained(w, w.box("Archive").Key) {
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		generic := strings.TrimSuffix(strings.Repeat("NULL, ", len(args)), ", ")
		if _, err := tx.Exec(t.Context(), "PREPARE any_args AS "+sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		var plans [2]string
		err = tx.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+sql, args...).Scan(&plans[0])
		if err == nil {
			_, err = tx.Exec(t.Context(), "SET LOCAL plan_cache_mode = force_generic_plan")
		}
		if err == nil {
			err = tx.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) EXECUTE any_args ("+generic+")").Scan(&plans[1])
		}
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for i, text := range plans {
			var list []map[string]map[string]any
			if err := json.Unmarshal([]byte(text), &list); err != nil {
				t.Fatal(err)
			}
			found := slices.DeleteFunc(scans(list[0]["Plan"]), func(name string) bool { return !slices.Contains(tables, name) })
			if len(found) > 0 {
				t.Errorf("%s, %s: reads %s from end to end:\n%s\n%s", shape, []string{"custom plan", "generic plan"}[i], strings.Join(found, ", "), sql, text)
			}
		}
		if _, err := tx.Exec(t.Context(), "DEALLOCATE any_args"); err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A flag change on every message of a large mailbox is one statement, and one letter is found in any.
func TestALargeMailboxIsChangedAndEmptiedWhole(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	e.seed(w, w.inbox, 30_000)
	w.view(w.inbox)
	r, err := e.Store(t.Context(), w.p, w.inbox, AllUIDs(), FlagChange{Add: []mail.Flag{mail.Seen, mail.Deleted}})
	if err != nil || r.Count != 30_000 {
		t.Fatalf("%+v, %v", r, err)
	}
	if v := w.view(w.inbox); v.Unseen() != 0 || v.Deleted() != 30_000 {
		t.Fatalf("%d unseen", v.Unseen())
	}
	if hot := scan[float64](e, `SELECT n_tup_hot_upd::float8 / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = 'mailbox_message'`); hot > 0 && hot < 0.9 {
		t.Logf("only %.0f %% of the updates were in place", 100*hot)
	}
	c, err := e.Copy(t.Context(), w.p, w.inbox, UIDRanges{{1, 15_000}}, w.box("Archive").Key)
	if err != nil || c.Target() != (UIDRange{1, 15_000}) {
		t.Fatalf("%+v, %v", c, err)
	}
	x, err := e.Expunge(t.Context(), w.p, w.inbox, nil)
	if err != nil || fmt.Sprint(x.UIDs) != "[{1 30000}]" {
		t.Fatalf("%+v, %v", x, err)
	}
	if n := scan[int](e, `SELECT count(*) FROM mailbox_change WHERE kind = 2`); n != 3 {
		t.Fatalf("the expunge was %d transactions, want 3", n)
	}
	e.recount(t)
	if err := e.Delete(t.Context(), w.p, w.box("Archive").Key); err != nil {
		t.Fatal(err)
	}
	if n := scan[int](e, `SELECT count(*) FROM body_garbage`); n != 30_000 {
		t.Fatalf("%d files will be removed", n)
	}
	e.recount(t)
}
