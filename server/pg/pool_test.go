package pg_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pg/local"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

func show(t *testing.T, q pg.Querier, setting string) string {
	t.Helper()
	var value string
	if err := q.QueryRow(t.Context(), "show "+setting).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestStatementsOfMailHaveLimits_L45(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	for setting, want := range map[string]string{
		"statement_timeout": "10s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "15s",
		"application_name": "mailserver",
	} {
		if got := show(t, pool, setting); got != want {
			t.Errorf("%s=%s, want %s", setting, got, want)
		}
	}
	own, err := pg.Open(t.Context(), pg.Config{DSN: pgtest.DSN(t) + "&lock_timeout=7000", StatementTimeout: -1, IdleTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for setting, want := range map[string]string{
		"statement_timeout": "0", "lock_timeout": "7s", "idle_in_transaction_session_timeout": "1s",
	} {
		if got := show(t, own, setting); got != want {
			t.Errorf("own %s=%s, want %s", setting, got, want)
		}
	}
}

func TestDatabaseThatCouldForgetMailIsRefusedByName_D4(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for _, value := range []string{"off", "local", "remote_write"} {
		_, err := pg.Open(t.Context(), pg.Config{DSN: dsn + "&synchronous_commit=" + value})
		var unsafe *pg.UnsafeError
		if !errors.As(err, &unsafe) || unsafe.Setting != "synchronous_commit" || unsafe.Value != value {
			t.Fatalf("synchronous_commit=%s: %v", value, err)
		}
		if !strings.Contains(err.Error(), "Set synchronous_commit=on") || !pg.Unavailable(err) {
			t.Errorf("text %q, unavailable %v", err, pg.Unavailable(err))
		}
	}
}

// privateCluster is one that the test may break.
func privateCluster(t *testing.T) (*local.Cluster, string) {
	t.Helper()
	dir := t.TempDir()
	c, err := local.Start(t.Context(), local.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return c, dir
}

func TestSettingThatTurnsUnsafeIsFoundOnTheNextConnection_D4(t *testing.T) {
	t.Parallel()
	c, _ := privateCluster(t)
	pool, err := pg.Open(t.Context(), pg.Config{DSN: c.DSN()})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "alter role mailserver set synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	pool.Reset() // as after a restart
	_, err = pool.Exec(t.Context(), "select 1")
	var unsafe *pg.UnsafeError
	if !errors.As(err, &unsafe) || unsafe.Setting != "synchronous_commit" || !pg.Unavailable(err) {
		t.Errorf("got %v", err)
	}
}

func TestPoolWorksAgainAfterTheDatabaseWasKilled(t *testing.T) {
	t.Parallel()
	c, dir := privateCluster(t)
	pool, err := pg.Open(t.Context(), pg.Config{DSN: c.DSN()})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "create table kept as select 1 as one"); err != nil {
		t.Fatal(err)
	}
	// Some connections are busy, some idle, when it happens.
	var busy sync.WaitGroup
	for range 3 {
		busy.Go(func() {
			_, err := pool.Exec(t.Context(), "select pg_sleep(100)")
			if !pg.Unavailable(err) {
				t.Errorf("a lost connection: %v is not unavailable", err)
			}
		})
	}
	await(t, "the queries run", func() bool { return pool.Stat().AcquiredConns() == 3 })
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.SplitN(string(text), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	busy.Wait()
	await(t, "the cluster notices", func() bool { return !c.Healthy() })
	err = pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error { return nil })
	if err == nil || !pg.Unavailable(err) {
		t.Errorf("while the database is down: %v is not unavailable", err)
	}
	await(t, "the cluster is back", c.Healthy)
	var one int
	if err := pool.QueryRow(t.Context(), "select one from kept").Scan(&one); err != nil || one != 1 {
		t.Errorf("first query after the restart: %d, %v", one, err)
	}
}

func TestDatabaseThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"postgres:///x?host=" + t.TempDir(), "postgres://127.0.0.1:1/x"} {
		if _, err := pg.Open(t.Context(), pg.Config{DSN: dsn}); err == nil || !pg.Unavailable(err) {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	if _, err := pg.Open(t.Context(), pg.Config{DSN: "postgres://u:geheim@h:port/x"}); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("a bad connection string: %v", err)
	}
}

func TestErrorsMeanWhatTheyMean(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	mustExec(t, pool, "create table t (a int constraint t_a_key unique, b int)")
	mustExec(t, pool, "create unique index t_b_idx on t (b)")
	mustExec(t, pool, "insert into t (a, b) values (1, 1)")
	_, errA := pool.Exec(t.Context(), "insert into t (a, b) values (1, 2)")
	_, errB := pool.Exec(t.Context(), "insert into t (a, b) values (2, 1)")
	if !pg.IsUniqueViolation(errA, "t_a_key") || pg.IsUniqueViolation(errA, "t_b_idx") || !pg.IsUniqueViolation(errA, "") {
		t.Errorf("constraint: %v", errA)
	}
	if !pg.IsUniqueViolation(errB, "t_b_idx") || pg.IsUniqueViolation(nil, "") || pg.Unavailable(errB) {
		t.Errorf("index: %v", errB)
	}
	for code, want := range map[string][2]bool{ // unavailable, disk full
		"08006": {true, false}, "57P01": {true, false}, "57P03": {true, false}, "53300": {true, false}, "53100": {true, true},
		"57014": {true, false}, "55P03": {true, false}, "40P01": {true, false}, "25006": {true, false}, "58030": {true, false},
		"23505": {false, false}, "42P01": {false, false}, "22001": {false, false},
	} {
		_, err := pool.Exec(t.Context(), "do $$ begin raise sqlstate '"+code+"'; end $$")
		if pg.Unavailable(err) != want[0] || pg.DiskFull(err) != want[1] {
			t.Errorf("%s: unavailable %v, disk full %v, want %v", code, pg.Unavailable(err), pg.DiskFull(err), want)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pool.Exec(cancelled, "select 1"); err == nil || pg.Unavailable(err) {
		t.Errorf("a caller that left counts as a broken database: %v", err)
	}
}

func TestExhaustedPoolAnswersInsteadOfWaitingForever(t *testing.T) {
	t.Parallel()
	pool, err := pg.Open(t.Context(), pg.Config{DSN: pgtest.DSN(t), MaxConns: 1, AcquireTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = pg.InTx(t.Context(), pool, func(context.Context, pgx.Tx) error { return nil })
	if err == nil || !pg.Unavailable(err) {
		t.Errorf("got %v", err)
	}
	conn.Release()
	if err := pg.InTx(t.Context(), pool, func(context.Context, pgx.Tx) error { return nil }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestClosedPoolIsUnavailable(t *testing.T) {
	t.Parallel()
	pool, err := pg.Open(t.Context(), pg.Config{DSN: pgtest.DSN(t)})
	if err != nil {
		t.Fatal(err)
	}
	pool.Close()
	if err := pg.InTx(t.Context(), pool, func(context.Context, pgx.Tx) error { return nil }); !pg.Unavailable(err) {
		t.Errorf("got %v", err)
	}
}

func mustExec(t *testing.T, q pg.Querier, sql string, args ...any) {
	t.Helper()
	if _, err := q.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// listen runs a listener until the test ends and returns what it hears.
func listen(t *testing.T, dsn string, logs *bytes.Buffer, channels ...string) (messages chan pg.Notification, connects *atomic.Int32) {
	t.Helper()
	messages = make(chan pg.Notification, 10_000)
	connects = &atomic.Int32{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	listener := pg.NewListener(pg.ListenerConfig{
		DSN: dsn, Channels: channels,
		OnConnect: func() { connects.Add(1) },
		OnNotify:  func(n pg.Notification) { messages <- n },
		Logger:    slog.New(slog.NewTextHandler(logs, nil)),
	})
	go func() { done <- listener.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	await(t, "the listener connects", func() bool { return connects.Load() == 1 })
	return messages, connects
}

func next(t *testing.T, messages chan pg.Notification) pg.Notification {
	t.Helper()
	select {
	case n := <-messages:
		return n
	case <-time.After(20 * time.Second):
		t.Fatal("no message")
		return pg.Notification{}
	}
}

func TestListenerHearsAgainAfterALostConnection_D41(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	var logs bytes.Buffer
	messages, connects := listen(t, pool.Config().ConnString(), &logs, "plain", ".own", `we"ird`)
	mustExec(t, pool, `select pg_notify('plain', 'a')`)
	if n := next(t, messages); n != (pg.Notification{Channel: "plain", Payload: "a"}) {
		t.Errorf("got %+v", n)
	}
	mustExec(t, pool, `select pg_notify('we"ird', 'b')`)
	if n := next(t, messages); n.Payload != "b" {
		t.Errorf("got %+v", n)
	}
	mustExec(t, pool, `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ilike 'listen%'`)
	await(t, "the listener is back and told its owner", func() bool { return connects.Load() == 2 })
	mustExec(t, pool, `select pg_notify('public.own', 'c')`)
	if n := next(t, messages); n.Payload != "c" {
		t.Errorf("got %+v", n)
	}
}

func TestWakeUpsComeAfterTheCommitOnceAndNeverFromARollback_D41(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	var logs bytes.Buffer
	messages, _ := listen(t, pool.Config().ConnString(), &logs, "hints", ".own")
	failed := errors.New("no")
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, _ pgx.Tx) error {
		pg.WakeAfterCommit(ctx, "hints", "rolled back")
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	var together sync.WaitGroup
	for range 100 {
		together.Go(func() {
			err := pg.InTx(t.Context(), pool, func(ctx context.Context, _ pgx.Tx) error {
				if !pg.WakeAfterCommit(ctx, "hints", "same") {
					t.Error("not in a transaction?")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	pool.Wake(".own", "last")
	count := 0
	for {
		n := next(t, messages)
		if n.Payload == "last" {
			if n.Channel != "public.own" {
				t.Errorf("channel %s", n.Channel)
			}
			break
		}
		if n.Payload != "same" {
			t.Errorf("heard %+v", n)
		}
		count++
	}
	if count == 0 || count >= 100 {
		t.Errorf("heard the same hint %d times", count)
	}
	if pg.WakeAfterCommit(t.Context(), "hints", "x") {
		t.Error("a wake-up outside a transaction was taken")
	}
}

func TestWakeUpsAreSentBeforeThePoolCloses(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	var logs bytes.Buffer
	messages, _ := listen(t, pool.Config().ConnString(), &logs, "hints")
	other, err := pg.Open(t.Context(), pg.Config{DSN: pool.Config().ConnString()})
	if err != nil {
		t.Fatal(err)
	}
	other.Wake("hints", "first")
	other.Wake("hints", "second")
	other.Close()
	got := map[string]bool{next(t, messages).Payload: true, next(t, messages).Payload: true}
	if !got["first"] || !got["second"] {
		t.Errorf("heard %v", got)
	}
}
