package schema_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/migrations"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/schema"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func text(t *testing.T, conn *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	var out string
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// sqlShape describes every column, index, constraint and function outside the system's schemas.
const sqlShape = `select coalesce(string_agg(line, E'\n' order by line), '') from (
	select format('column %s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) as line
	from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
	where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v') and a.attnum > 0 and not a.attisdropped
	union all select indexdef from pg_indexes where schemaname = 'public'
	union all select format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint where connamespace = 'public'::regnamespace
	union all select format('function %s', oid::regprocedure) from pg_proc where pronamespace = 'public'::regnamespace
	union all select format('type %s', typname) from pg_type where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')
) as shape`

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	dsn := pgtest.EmptyDSN(t)
	conn := connect(t, dsn)
	all, err := schema.Files(migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	first, err := schema.Up(t.Context(), dsn, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Files) != len(all) || len(first.Queue) == 0 {
		t.Errorf("applied %d of %d files and %d migrations of the queue", len(first.Files), len(all), len(first.Queue))
	}
	full := text(t, conn, sqlShape)
	again, err := schema.Up(t.Context(), dsn, quiet())
	if err != nil || len(again.Files)+len(again.Queue) > 0 {
		t.Errorf("a second run did %+v, %v", again, err)
	}

	down, err := schema.Down(t.Context(), dsn, 0, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if len(down.Files) != len(all) || len(down.Queue) != len(first.Queue) {
		t.Errorf("taken back: %+v", down)
	}
	left := text(t, conn, "select coalesce(string_agg(relname, ' '), '') from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'S', 'v') and relname not like 'schema_migrations%'")
	if left != "" {
		t.Errorf("Down left %s", left)
	}
	if _, err := schema.Up(t.Context(), dsn, quiet()); err != nil {
		t.Fatal(err)
	}
	if second := text(t, conn, sqlShape); second != full {
		t.Errorf("the second Up built something else:\n%s\n--- instead of\n%s", second, full)
	}
	if err := schema.Check(t.Context(), dsn); err != nil {
		t.Error(err)
	}
}

func TestEachMigrationCanBeTakenBackAloneAndIsRecorded_A45(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	conn := connect(t, dsn)
	all, err := schema.Files(migrations.FS)
	if err != nil || len(all) == 0 {
		t.Fatalf("%d migrations, %v", len(all), err)
	}
	recorded := func(version int64) string {
		return text(t, conn, "select count(*)::text from schema_migrations where version_id = $1 and is_applied", version)
	}
	for _, m := range all {
		if recorded(m.Version) != "1" {
			t.Errorf("%s is not recorded", m.Name)
		}
	}
	full := text(t, conn, sqlShape)
	// Down to 0 would also take the queue's tables: the other test does.
	for i, m := range slices.Backward(all) {
		if i == 0 {
			break
		}
		report, err := schema.Down(t.Context(), dsn, all[i-1].Version, quiet())
		if err != nil || len(report.Files) != 1 || len(report.Queue) != 0 || report.Files[0].Version != m.Version {
			t.Fatalf("%s down: %+v, %v", m.Name, report, err)
		}
		if recorded(m.Version) != "0" {
			t.Errorf("%s is still recorded", m.Name)
		}
		var pending *schema.PendingError
		if err := schema.Check(t.Context(), dsn); !errors.As(err, &pending) || !strings.Contains(err.Error(), m.Name) {
			t.Errorf("check without %s: %v", m.Name, err)
		}
	}
	if _, err := schema.Up(t.Context(), dsn, quiet()); err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if recorded(m.Version) != "1" {
			t.Errorf("%s is not recorded after the second Up", m.Name)
		}
	}
	if text(t, conn, sqlShape) != full {
		t.Error("the second Up built something else")
	}
}

func file(up, down string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\n" + up + "\n-- +goose Down\n" + down + "\n")}
}

func own() fstest.MapFS {
	return fstest.MapFS{
		"20260101000000_a.sql": file("create table a (x int);", "drop table a;"),
		"20260102000000_b.sql": file("create table b (x int); insert into b select generate_series(1, 1000);", "drop table b;"),
		"20260103000000_c.sql": {Data: []byte("-- +goose NO TRANSACTION\n-- +goose Up\ncreate index concurrently b_x on b (x);\n-- +goose Down\ndrop index concurrently b_x;\n")},
	}
}

func TestManyNodesMayStartAtOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.EmptyDSN(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	applied, queue := 0, 0
	for range 5 {
		group.Go(func() {
			report, err := schema.UpFS(t.Context(), dsn, own(), quiet())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied += len(report.Files)
			if len(report.Queue) > 0 {
				queue++
			}
		})
	}
	group.Wait()
	if applied != 3 || queue != 1 {
		t.Errorf("%d files were applied and the queue was migrated %d times", applied, queue)
	}
	if valid := text(t, connect(t, dsn), "select indisvalid::text from pg_index where indexrelid = 'b_x'::regclass"); valid != "true" {
		t.Errorf("index built concurrently is valid: %s", valid)
	}
}

func TestWaitingForAnotherNodeEndsWithTheContext(t *testing.T) {
	t.Parallel()
	dsn := pgtest.EmptyDSN(t)
	other := connect(t, dsn)
	if _, err := other.Exec(t.Context(), "select pg_advisory_lock($1)", schema.LockKey); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(waiting, 1)
	done := make(chan error, 1)
	go func() {
		_, err := schema.UpFS(ctx, dsn, own(), slog.New(seen))
		done <- err
	}()
	<-seen // it says that it waits
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := text(t, other, "select (to_regclass('a') is null)::text"); got != "true" {
		t.Error("it migrated without the lock")
	}
}

// waiting is a log handler that tells of the first record.
type waiting chan struct{}

func (w waiting) Enabled(context.Context, slog.Level) bool { return true }
func (w waiting) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w waiting) WithGroup(string) slog.Handler            { return w }
func (w waiting) Handle(context.Context, slog.Record) error {
	select {
	case w <- struct{}{}:
	default:
	}
	return nil
}

func TestOlderBinaryRefusesANewerDatabase(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	conn := connect(t, dsn)
	if err := schema.Check(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "insert into schema_migrations (version_id, is_applied) values (20990101000000, true)"); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, river bool) {
		t.Helper()
		_, errUp := schema.Up(t.Context(), dsn, quiet())
		_, errDown := schema.Down(t.Context(), dsn, 0, quiet())
		for name, err := range map[string]error{"check": schema.Check(t.Context(), dsn), "up": errUp, "down": errDown} {
			var newer *schema.NewerError
			if !errors.As(err, &newer) || !strings.Contains(err.Error(), what) || (newer.River > 0) != river {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	refused("20990101000000", false)
	if _, err := conn.Exec(t.Context(), "delete from schema_migrations where version_id = 20990101000000"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "insert into river_migration (line, version) values ('main', 99)"); err != nil {
		t.Fatal(err)
	}
	refused("queue migration 99", true)
}

func TestStatusOfAnEmptyDatabaseChangesNothing(t *testing.T) {
	t.Parallel()
	dsn := pgtest.EmptyDSN(t)
	state, err := schema.StatusFS(t.Context(), dsn, own())
	if err != nil || len(state.Pending) != 3 || len(state.Applied) != 0 || state.Queue != 0 || state.QueueWanted == 0 {
		t.Errorf("%+v, %v", state, err)
	}
	if shape := text(t, connect(t, dsn), sqlShape); shape != "" {
		t.Errorf("Status created %s", shape)
	}
	var pending *schema.PendingError
	if err := schema.Check(t.Context(), dsn); !errors.As(err, &pending) || !pending.Queue {
		t.Errorf("check: %v", err)
	}
}

func TestFailedMigrationIsNotRecordedAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	dsn := pgtest.EmptyDSN(t)
	fsys := own()
	fsys["20260102000000_b.sql"] = file("create table b (x int); create table b (y int);", "drop table b;")
	report, err := schema.UpFS(t.Context(), dsn, fsys, quiet())
	if err == nil || !strings.Contains(err.Error(), "20260102000000_b.sql") || len(report.Files) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	report, err = schema.UpFS(t.Context(), dsn, own(), quiet())
	if err != nil || len(report.Files) != 2 {
		t.Errorf("repaired: %+v, %v", report, err)
	}
}

func TestFileFromAnotherBranchIsAppliedLate(t *testing.T) {
	t.Parallel()
	dsn := pgtest.EmptyDSN(t)
	fsys := own()
	delete(fsys, "20260101000000_a.sql")
	if _, err := schema.UpFS(t.Context(), dsn, fsys, quiet()); err != nil {
		t.Fatal(err)
	}
	report, err := schema.UpFS(t.Context(), dsn, own(), quiet())
	if err != nil || len(report.Files) != 1 || report.Files[0].Name != "20260101000000_a.sql" {
		t.Errorf("%+v, %v", report, err)
	}
	report, err = schema.DownFS(t.Context(), dsn, own(), 0, quiet())
	if err != nil || len(report.Files) != 3 {
		t.Errorf("down: %+v, %v", report, err)
	}
}

func TestFileThatWouldBeSkippedSilentlyIsAnError(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]fs.FS{
		"letter in the time": fstest.MapFS{"20261125T1500_init.sql": file("", "")},
		"no underscore":      fstest.MapFS{"20261125150000.sql": file("", "")},
		"capitals":           fstest.MapFS{"20261125150000_Init.sql": file("", "")},
		"same version":       fstest.MapFS{"20261125150000_a.sql": file("", ""), "20261125150000_b.sql": file("", "")},
	} {
		if list, err := schema.Files(fsys); err == nil {
			t.Errorf("%s: accepted as %+v", name, list)
		}
	}
}

func TestFingerprintFollowsTheMigrations(t *testing.T) {
	t.Parallel()
	one, err := schema.Fingerprint()
	if err != nil || len(one) != 16 {
		t.Errorf("%q, %v", one, err)
	}
}

func TestEveryStatementIsPrepared(t *testing.T) {
	t.Parallel()
	pgtest.PrepareAll(t, pgtest.DB(t), ".")
}
