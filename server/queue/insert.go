package queue

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/mailserver-dev/mailserver/server/pg"
)

// The words of River that workers and inserters need.
type (
	// Args are a job's arguments: JSON with ids only, and a Kind. A type that also has InsertOpts() queue.InsertOpts names its
	// queue there.
	Args = river.JobArgs
	// InsertOpts are the options of one job; Queue is required, here or in the Args.
	InsertOpts = river.InsertOpts
	// Workers is the registry that package jobs fills.
	Workers = river.Workers
	// PeriodicJob is a job inserted by the leading node at intervals.
	PeriodicJob = river.PeriodicJob
	// Job is what a worker gets.
	Job[T Args] = river.Job[T]
	// Worker is embedded by a worker for its defaults.
	Worker[T Args] = river.WorkerDefaults[T]
)

// Item is one job to insert.
type Item struct {
	Args Args
	// Opts override those of Args.
	Opts *InsertOpts
}

// Insert adds one job in the caller's transaction. It becomes visible with the commit, and the workers are woken right after it
// (no later than 20 ms, on every node); ctx must be the one that pg.InTx gave.
func Insert(ctx context.Context, tx pgx.Tx, args Args) error {
	return InsertMany(ctx, tx, []Item{{Args: args}})
}

// InsertMany adds many jobs in one round trip. A job whose queue is not one of Names is an error.
func InsertMany(ctx context.Context, tx pgx.Tx, items []Item) error {
	if len(items) == 0 {
		return nil
	}
	client, err := inserter()
	if err != nil {
		return err
	}
	params := make([]river.InsertManyParams, 0, len(items))
	for _, item := range items {
		params = append(params, river.InsertManyParams{Args: item.Args, InsertOpts: item.Opts})
	}
	results, err := client.InsertManyTx(ctx, tx, params)
	if err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	wake := map[string]struct{}{}
	for _, result := range results {
		if !slices.Contains(Names(), result.Job.Queue) {
			return fmt.Errorf("insert jobs: kind %s names queue %q, want one of %v", result.Job.Kind, result.Job.Queue, Names())
		}
		if string(result.Job.State) == "available" {
			wake[result.Job.Queue] = struct{}{}
		}
	}
	for name := range wake {
		if err := wakeQueue(ctx, tx, name); err != nil {
			return err
		}
	}
	return nil
}

// inserter gives a client that only inserts: it is never started and has no pool, so that one serves every database; a new one for
// each insert would ask for the server's version each time. It does not notify by itself: River would do so inside the
// transaction, where it slows all commits down (D-41), and would leave out every second one within its cooldown, whose job then
// waits for the poll.
var inserter = sync.OnceValues(newInserter) //nolint:gochecknoglobals // it holds nothing but constants

func newInserter() (*river.Client[pgx.Tx], error) {
	client, err := river.NewClient(silentDriver{riverpgxv5.New(nil)}, &river.Config{
		ID:          "inserter", // never started
		Logger:      slog.New(slog.DiscardHandler),
		MaxAttempts: maxAttempts,
	})
	if err != nil {
		return nil, fmt.Errorf("insert jobs: %w", err)
	}
	return client, nil
}

// silentDriver keeps River from notifying.
type silentDriver struct{ *riverpgxv5.Driver }

// SupportsListenNotify says no.
func (silentDriver) SupportsListenNotify() bool { return false }

// insertChannel is where River's producers listen, relative to the schema.
const insertChannel = ".river_insert"

// sqlNotify wakes from inside a transaction that is not one of pg.InTx, in a tool or a test.
const sqlNotify = `select pg_notify(concat(current_schema(), '.river_insert'), $1)`

func wakeQueue(ctx context.Context, tx pgx.Tx, name string) error {
	payload := fmt.Sprintf(`{"queue": %q}`, name)
	if pg.WakeAfterCommit(ctx, insertChannel, payload) {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlNotify, payload); err != nil {
		return fmt.Errorf("wake the workers: %w", err)
	}
	return nil
}
