package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/mailserver-dev/mailserver/server/pg"
)

// Config says what this node works on. Register and Logger are required.
type Config struct {
	// Register adds the workers.
	Register func(*Workers) error
	// Queues are worked on this node; nil means all.
	Queues []string
	// MaxWorkers overrides how many jobs of a queue run at once.
	MaxWorkers map[string]int
	// Periodic jobs are inserted by whichever node leads.
	Periodic []*PeriodicJob
	// Listen is a pool that leads to PostgreSQL itself when the main pool goes through a pooler in transaction mode. One
	// connection of it (or of the main pool) is held for as long as the client runs.
	Listen *pg.Pool
	// SoftStop is how long Stop lets running jobs finish before it cancels their contexts; 0 means 60 s.
	SoftStop time.Duration
	// Logger gets what River says.
	Logger *slog.Logger
}

// Client works on jobs. Make it with New.
type Client struct {
	river   *river.Client[pgx.Tx]
	running atomic.Bool
}

// New makes a client that is not started yet.
func New(pool *pg.Pool, cfg Config) (*Client, error) {
	workers := river.NewWorkers()
	if err := cfg.Register(workers); err != nil {
		return nil, fmt.Errorf("register workers: %w", err)
	}
	names := cfg.Queues
	if names == nil {
		names = Names()
	}
	queues := make(map[string]river.QueueConfig, len(names))
	for _, name := range names {
		queues[name] = settings(name, cfg.MaxWorkers[name])
	}
	softStop := cfg.SoftStop
	if softStop <= 0 {
		softStop = 60 * time.Second
	}
	client, err := river.NewClient(driver(pool, cfg.Listen), &river.Config{
		Logger:               cfg.Logger,
		Workers:              workers,
		Queues:               queues,
		PeriodicJobs:         cfg.Periodic,
		FetchCooldown:        fastCooldown,
		FetchPollInterval:    pollInterval,
		JobTimeout:           JobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		MaxAttempts:          maxAttempts,
		RetryPolicy:          retryPolicy{},
		SoftStopTimeout:      softStop,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the queue: %w", err)
	}
	return &Client{river: client}, nil
}

// Start begins to work. Jobs run in contexts below ctx; its end is like Stop.
func (c *Client) Start(ctx context.Context) error {
	if err := c.river.Start(ctx); err != nil {
		return fmt.Errorf("start the queue: %w", err)
	}
	c.running.Store(true)
	return nil
}

// Stop takes no more jobs, lets the running ones finish (Config.SoftStop), then cancels them. When ctx ends first they are
// cancelled at once and get five more seconds. An interrupted job runs again elsewhere or at the next start.
func (c *Client) Stop(ctx context.Context) error {
	defer c.running.Store(false)
	err := c.river.Stop(ctx)
	if err == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := c.river.StopAndCancel(hard); err != nil {
		return fmt.Errorf("stop the queue: %w", err)
	}
	return nil
}

// Running reports whether the client has been started and has not ended; health checks ask it.
func (c *Client) Running() bool {
	if !c.running.Load() {
		return false
	}
	select {
	case <-c.river.Stopped():
		return false
	default:
		return true
	}
}

// Cancel is returned by a worker whose job must not run again.
func Cancel(err error) error { return river.JobCancel(err) }

// Snooze is returned by a worker to run the same job again after d, without counting an attempt.
func Snooze(d time.Duration) error { return river.JobSnooze(max(d, 0)) }

// driver is River's driver; its listener comes from the other pool when there is one.
func driver(pool, listen *pg.Pool) riverdriver.Driver[pgx.Tx] {
	main := riverpgxv5.New(pool.Pool)
	if listen == nil {
		return main
	}
	return splitDriver{Driver: main, listen: riverpgxv5.New(listen.Pool)}
}

type splitDriver struct {
	*riverpgxv5.Driver
	listen *riverpgxv5.Driver
}

// GetListener listens on the other pool.
func (d splitDriver) GetListener(params *riverdriver.GetListenenerParams) riverdriver.Listener {
	return d.listen.GetListener(params)
}

// retryPolicy runs a failed wake-up again soon and then once a minute. When to try a delivery again is decided from our rows.
type retryPolicy struct{}

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// NextRetry doubles from one second to one minute.
func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	wait := lastRetry
	if failures := len(job.Errors); failures < 6 {
		wait = firstRetry << failures
	}
	if job.AttemptedAt == nil {
		return job.ScheduledAt.Add(wait)
	}
	return job.AttemptedAt.Add(wait)
}
