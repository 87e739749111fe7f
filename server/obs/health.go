package obs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

// The words of a Report.
const (
	HealthOK     = "ok"
	HealthFailed = "failed"
)

const (
	healthTimeout = 2 * time.Second
	healthCache   = time.Second
)

// Report is the state of the server at one moment. Its JSON is the body of
// /health/detailed and names no host, version or error (S-50).
type Report struct {
	// Status is "ok", or "failed" when any component failed.
	Status string `json:"status"`
	// Components maps each name to "ok" or "failed".
	Components map[string]string `json:"components"`
	// Errors maps the failed ones to their faults, for the log.
	Errors map[string]error `json:"-"`
}

// OK reports whether every component is well.
func (r Report) OK() bool { return r.Status == HealthOK }

// Health runs named checks: database, queue, storage.
type Health struct {
	clk    clock.Clock
	checks []*check

	mu     sync.Mutex
	last   Report
	lastAt time.Time
	// running is closed when the round of checks that is under way ends.
	running chan struct{}
}

// check is one named check. busy is true while a call has not come back.
type check struct {
	name string
	run  func(context.Context) error
	busy atomic.Bool
}

// NewHealth returns a registry without checks.
func NewHealth(clk clock.Clock) *Health { return &Health{clk: clk} }

// Register adds a check, which must give up when its context ends (2 s). Call
// it before the first Check.
func (h *Health) Register(name string, run func(context.Context) error) {
	h.checks = append(h.checks, &check{name: name, run: run})
}

// Check runs all checks at once and reports after 2 s at the latest. A report
// is reused for one second, and callers at the same time share one round, so
// that a flood of probes costs the database nothing.
func (h *Health) Check(ctx context.Context) Report {
	h.mu.Lock()
	if h.running == nil {
		if !h.lastAt.IsZero() && clock.Since(h.clk, h.lastAt) < healthCache {
			defer h.mu.Unlock()
			return h.last
		}
		h.running = make(chan struct{})
		// The round belongs to all who wait, so it outlives this caller.
		go h.round(context.WithoutCancel(ctx), h.running)
	}
	running := h.running
	h.mu.Unlock()

	select {
	case <-running:
	case <-ctx.Done():
		return h.failed(ctx.Err())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// round runs every check and keeps the report.
func (h *Health) round(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	faults := make([]error, len(h.checks))
	var wg sync.WaitGroup
	for i, c := range h.checks {
		wg.Go(func() { faults[i] = c.within(ctx) })
	}
	wg.Wait()

	report := Report{Status: HealthOK, Components: map[string]string{}, Errors: map[string]error{}}
	for i, c := range h.checks {
		report.add(c.name, faults[i])
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, h.lastAt, h.running = report, h.clk.Now(), nil
	close(done)
}

// failed is the report when the caller cannot wait.
func (h *Health) failed(err error) Report {
	report := Report{Status: HealthFailed, Components: map[string]string{}, Errors: map[string]error{}}
	for _, c := range h.checks {
		report.add(c.name, err)
	}
	return report
}

func (r *Report) add(name string, err error) {
	r.Components[name] = HealthOK
	if err != nil {
		r.Status = HealthFailed
		r.Components[name] = HealthFailed
		r.Errors[name] = err
	}
}

// within runs the check until ctx ends. A check that ignores its context keeps
// one goroutine at most, because it is not started again until it comes back.
func (c *check) within(ctx context.Context) error {
	if !c.busy.CompareAndSwap(false, true) {
		return errors.New("the previous check has not come back")
	}
	result := make(chan error, 1)
	go func() {
		defer c.busy.Store(false)
		result <- c.run(ctx)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
