package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"

	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/queue"
)

type pingArgs struct {
	ID int `json:"id"`
}

func (pingArgs) Kind() string                 { return "ping" }
func (pingArgs) InsertOpts() queue.InsertOpts { return queue.InsertOpts{Queue: queue.Delivery} }

type lostArgs struct{}

func (lostArgs) Kind() string { return "lost" }

// pingWorker hands each job to a function.
type pingWorker struct {
	queue.Worker[pingArgs]
	work func(ctx context.Context, id, attempt int) error
}

func (w *pingWorker) Work(ctx context.Context, job *queue.Job[pingArgs]) error {
	return w.work(ctx, job.Args.ID, job.Attempt)
}

func start(t *testing.T, pool *pg.Pool, cfg queue.Config, work func(ctx context.Context, id, attempt int) error) *queue.Client {
	t.Helper()
	cfg.Register = func(workers *queue.Workers) error {
		return river.AddWorkerSafely(workers, &pingWorker{work: work})
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	client, err := queue.New(pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if client.Running() {
		t.Error("runs before Start")
	}
	if err := client.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if client.Running() {
			t.Error("runs after Stop")
		}
	})
	if !client.Running() {
		t.Error("does not run after Start")
	}
	return client
}

func insert(t *testing.T, pool *pg.Pool, ids ...int) {
	t.Helper()
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		for _, id := range ids {
			if err := queue.Insert(ctx, tx, pingArgs{id}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, from <-chan int, within time.Duration) int {
	t.Helper()
	select {
	case id := <-from:
		return id
	case <-time.After(within):
		t.Fatalf("no job within %v", within)
		return 0
	}
}

// awaitListening returns when the client's producers listen, so that what follows is not found by their first poll.
func awaitListening(t *testing.T, pool *pg.Pool, got <-chan int) {
	t.Helper()
	insert(t, pool, 0)
	if id := receive(t, got, 20*time.Second); id != 0 {
		t.Fatalf("got job %d", id)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var listening bool
		err := pool.QueryRow(t.Context(), `select exists (select 1 from pg_stat_activity where datname = current_database() and query ilike 'listen%')`).Scan(&listening)
		if err != nil {
			t.Fatal(err)
		}
		if listening {
			return
		}
		<-tick.C
	}
}

// The poll comes every 10 s: a job that is not woken up would miss these limits.
const soon = 5 * time.Second

func TestJobStartsRightAfterTheCommit(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	got := make(chan int, 100)
	start(t, pool, queue.Config{}, func(_ context.Context, id, _ int) error { got <- id; return nil })
	awaitListening(t, pool, got)
	// A transaction that commits long after its job was inserted, while others wake the queue: each job is found at once.
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := queue.Insert(ctx, tx, pingArgs{100}); err != nil {
			return err
		}
		for id := range 5 {
			insert(t, pool, id)
			if got := receive(t, got, soon); got != id {
				t.Errorf("job %d before its commit", got)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if id := receive(t, got, soon); id != 100 {
		t.Errorf("got job %d", id)
	}
	// In a transaction that InTx did not open.
	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return queue.Insert(t.Context(), tx, pingArgs{7}) })
	if err != nil {
		t.Fatal(err)
	}
	if id := receive(t, got, soon); id != 7 {
		t.Errorf("got job %d", id)
	}
}

// recordingTx remembers the statements that go through it.
type recordingTx struct {
	pgx.Tx
	statements []string
}

func (r *recordingTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	r.statements = append(r.statements, sql)
	return r.Tx.Exec(ctx, sql, args...)
}

func (r *recordingTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	r.statements = append(r.statements, sql)
	return r.Tx.Query(ctx, sql, args...)
}

func (r *recordingTx) notifies() bool {
	return len(r.statements) == 0 || strings.Contains(strings.Join(r.statements, ";"), "pg_notify")
}

func TestInsertionDoesNotNotifyInsideTheTransaction_D41(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		recorder := &recordingTx{Tx: tx}
		err := queue.Insert(ctx, recorder, pingArgs{1})
		if recorder.notifies() {
			t.Errorf("statements: %q", recorder.statements)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		recorder := &recordingTx{Tx: tx}
		err := queue.Insert(t.Context(), recorder, pingArgs{1})
		if !recorder.notifies() {
			t.Errorf("outside InTx nobody would be woken: %q", recorder.statements)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRolledBackJobNeverRuns(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	got := make(chan int, 100)
	start(t, pool, queue.Config{}, func(_ context.Context, id, _ int) error { got <- id; return nil })
	failed := errors.New("no")
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		return errors.Join(queue.Insert(ctx, tx, pingArgs{1}), failed)
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	insert(t, pool, 2)
	if id := receive(t, got, 20*time.Second); id != 2 {
		t.Errorf("job %d ran", id)
	}
}

func TestJobWithoutAWorkedQueueIsRefused(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	for _, item := range []queue.Item{{Args: lostArgs{}}, {Args: pingArgs{}, Opts: &queue.InsertOpts{Queue: "elsewhere"}}} {
		err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
			return queue.InsertMany(ctx, tx, []queue.Item{item})
		})
		if err == nil || !strings.Contains(err.Error(), item.Args.Kind()) {
			t.Errorf("%+v: %v", item, err)
		}
	}
	var jobs int
	if err := pool.QueryRow(t.Context(), "select count(*) from river_job").Scan(&jobs); err != nil || jobs != 0 {
		t.Errorf("%d jobs, %v", jobs, err)
	}
	if err := queue.InsertMany(t.Context(), nil, nil); err != nil {
		t.Errorf("no jobs: %v", err)
	}
}

func TestManyJobsAreInsertedAtOnceAndAllRun(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	got := make(chan int, 1000)
	start(t, pool, queue.Config{MaxWorkers: map[string]int{queue.Delivery: 4}}, func(_ context.Context, id, _ int) error { got <- id; return nil })
	awaitListening(t, pool, got)
	const count = 200
	var items []queue.Item
	for id := range count {
		items = append(items, queue.Item{Args: pingArgs{id}})
	}
	err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error { return queue.InsertMany(ctx, tx, items) })
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for len(seen) < count {
		seen[receive(t, got, 20*time.Second)] = true
	}
}

func TestNodeWorksOnlyItsQueues(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	direct, err := pg.Open(t.Context(), pg.Config{DSN: pool.Config().ConnString()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(direct.Close)
	bulk, delivery := make(chan int, 10), make(chan int, 10)
	start(t, pool, queue.Config{Queues: []string{queue.Bulk}}, func(_ context.Context, id, _ int) error { bulk <- id; return nil })
	start(t, pool, queue.Config{Queues: []string{queue.Delivery}, Listen: direct}, func(_ context.Context, id, _ int) error { delivery <- id; return nil })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for direct.Stat().TotalConns() > 0 {
		<-tick.C // until the listener has taken the connection out of this pool
	}
	err = pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		return queue.InsertMany(ctx, tx, []queue.Item{{Args: pingArgs{1}}, {Args: pingArgs{2}, Opts: &queue.InsertOpts{Queue: queue.Bulk}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if id := receive(t, bulk, 20*time.Second); id != 2 {
		t.Errorf("bulk got %d", id)
	}
	if id := receive(t, delivery, 20*time.Second); id != 1 {
		t.Errorf("delivery got %d", id)
	}
}

func TestFailedSnoozedAndCancelledJobs(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	var mu sync.Mutex
	attempts := map[int]int{}
	done := make(chan int, 10)
	start(t, pool, queue.Config{}, func(_ context.Context, id, attempt int) error {
		mu.Lock()
		attempts[id]++
		first := attempts[id] == 1
		mu.Unlock()
		defer func() { done <- id }()
		switch {
		case !first:
			if (id == 2) != (attempt == 1) {
				t.Errorf("job %d comes again as attempt %d", id, attempt)
			}
			return nil
		case id == 1:
			return errors.New("try again")
		case id == 2:
			return queue.Snooze(10 * time.Millisecond)
		default:
			return queue.Cancel(errors.New("never again"))
		}
	})
	insert(t, pool, 1, 2, 3)
	// River's scheduler makes due jobs available every few seconds.
	for range 5 {
		receive(t, done, 60*time.Second)
	}
	mu.Lock()
	defer mu.Unlock()
	if attempts[1] != 2 || attempts[2] != 2 || attempts[3] != 1 {
		t.Errorf("runs: %v", attempts)
	}
}

func TestStopLetsAJobFinishAndCutsItWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	started, release, cut := make(chan int, 2), make(chan struct{}), make(chan struct{})
	client := start(t, pool, queue.Config{}, func(ctx context.Context, id, _ int) error {
		started <- id
		if id == 1 {
			<-release
			return nil
		}
		<-ctx.Done()
		close(cut)
		return ctx.Err()
	})
	insert(t, pool, 1, 2)
	receive(t, started, 20*time.Second)
	receive(t, started, 20*time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- client.Stop(ctx) }()
	close(release)
	select {
	case <-cut:
		t.Error("a job was cut while there was time")
	case err := <-stopped:
		t.Errorf("Stop did not wait for the job: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	<-cut
	var state string
	if err := pool.QueryRow(t.Context(), "select state::text from river_job where args->>'id' = '1'").Scan(&state); err != nil || state != "completed" {
		t.Errorf("the finished job is %s, %v", state, err)
	}
	var again string
	if err := pool.QueryRow(t.Context(), "select state::text from river_job where args->>'id' = '2'").Scan(&again); err != nil || (again != "available" && again != "retryable") {
		t.Errorf("the cut job is %s, %v: it would not run again", again, err)
	}
}

func TestRetriesOfAWakeUpStaySoon(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	insert(t, pool, 1)
	var attempts int
	if err := pool.QueryRow(t.Context(), "select max_attempts from river_job").Scan(&attempts); err != nil || attempts != 1000 {
		t.Errorf("max attempts %d, %v: our rows decide when mail has failed", attempts, err)
	}
}

func TestEveryStatementIsPrepared(t *testing.T) {
	t.Parallel()
	pgtest.PrepareAll(t, pgtest.DB(t), ".")
}

// BenchmarkInsert shows what a job costs inside a transaction.
func BenchmarkInsert(b *testing.B) {
	pool := pgtest.DB(b)
	err := pg.InTx(b.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		b.ReportAllocs()
		for b.Loop() {
			if err := queue.Insert(ctx, tx, pingArgs{1}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
