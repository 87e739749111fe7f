package pgtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	names := make(chan string, 8)
	t.Run("tests", func(t *testing.T) {
		for range cap(names) {
			t.Run("one", func(t *testing.T) {
				t.Parallel()
				pool := pgtest.DB(t)
				if _, err := pool.Exec(t.Context(), "create table only_mine (a int)"); err != nil {
					t.Errorf("the database is not mine alone: %v", err)
				}
				var name string
				if err := pool.QueryRow(t.Context(), "select current_database()").Scan(&name); err != nil {
					t.Error(err)
				}
				names <- name
			})
		}
	})
	close(names)
	seen := map[string]bool{}
	for name := range names {
		if seen[name] {
			t.Errorf("database %s was given twice", name)
		}
		seen[name] = true
	}
}

func TestDatabaseIsGoneAfterTheTest(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("user", func(t *testing.T) { dsn = pgtest.EmptyDSN(t) })
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			return
		}
		conn.Close(t.Context())
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the database is still there")
		}
	}
}

func TestDatabaseIsMigratedAndSafe_D4(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	var jobs bool
	if err := pool.QueryRow(t.Context(), "select to_regclass('river_job') is not null").Scan(&jobs); err != nil || !jobs {
		t.Errorf("the queue's tables are missing: %v", err)
	}
	var fsync string
	if err := pool.QueryRow(t.Context(), "show fsync").Scan(&fsync); err != nil || fsync != "on" {
		t.Errorf("fsync=%s, %v", fsync, err)
	}
}

func TestEmptyDatabaseHasNoTables(t *testing.T) {
	t.Parallel()
	pool, err := pg.Open(t.Context(), pg.Config{DSN: pgtest.EmptyDSN(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var tables int
	err = pool.QueryRow(t.Context(), "select count(*) from pg_class where relnamespace = 'public'::regnamespace").Scan(&tables)
	if err != nil || tables != 0 {
		t.Errorf("%d tables, %v", tables, err)
	}
}

// fakeT records failures instead of failing.
type fakeT struct {
	testing.TB
	errors []string
}

func (f *fakeT) Helper() {}
func (f *fakeT) Errorf(format string, args ...any) {
	f.errors = append(f.errors, args[0].(string))
}

func TestWrongStatementsAreFoundByName(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	dir := t.TempDir()
	source := `package x
const cols = "kind, queue"
const (
	sqlGood = "select " + cols + " from river_job where id = $1"
	sqlLock = ` + "`lock table river_job`" + `
	sqlTwo, other = ("select nonsense from river_job"), "x"
)
func f() { const sqlInside = "select 1 from no_such_table"; _ = sqlInside }
`
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	fake := &fakeT{TB: t}
	pgtest.PrepareAll(fake, pool, dir)
	if got := strings.Join(fake.errors, " "); got != "sqlInside sqlTwo" {
		t.Errorf("failed: %q, want the two bad ones", got)
	}
}

func TestKilledTestProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(t.TempDir(), "marker")
	cmd := exec.Command(self, "-test.run=^TestVictim$", "-test.count=1", "-victim="+marker)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text []byte
	await(t, "the victim has a database", func() bool {
		text, err = os.ReadFile(marker)
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	pid, dir, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "PostgreSQL ends", func() bool {
		status, err := os.ReadFile("/proc/" + pid + "/status")
		return syscall.Kill(number, 0) != nil || (err == nil && strings.Contains(string(status), "State:\tZ"))
	})
	await(t, "its files go", func() bool {
		_, err := os.Stat(filepath.Dir(filepath.Dir(dir)))
		return os.IsNotExist(err)
	})
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// BenchmarkDatabase shows what a test pays.
func BenchmarkDatabase(b *testing.B) {
	for b.Loop() {
		pgtest.DSN(b)
	}
}
