package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits. System is the real one, Fake the one of tests.
// All methods may be called from many goroutines at once.
type Clock interface {
	// Now returns the present moment in UTC.
	Now() time.Time
	// NewTimer fires once on its channel after d; at once when d <= 0.
	NewTimer(d time.Duration) Timer
	// NewTicker fires each d until stopped. A d <= 0 counts as one nanosecond.
	NewTicker(d time.Duration) Ticker
	// After is the channel of a timer that nobody needs to stop.
	After(d time.Duration) <-chan time.Time
	// Sleep returns nil after d, or the context's error if that ends first.
	// A context that has already ended is reported even when d <= 0.
	Sleep(ctx context.Context, d time.Duration) error
}

// Timer is one pending moment.
type Timer interface {
	// C delivers the moment at which the timer fired. After Stop or Reset no
	// older moment is delivered.
	C() <-chan time.Time
	// Stop cancels the timer and reports whether it was still pending.
	Stop() bool
	// Reset starts the timer anew with d and reports whether it was still pending.
	Reset(d time.Duration) bool
}

// Ticker is a repeated moment. A receiver that is too slow misses ticks.
type Ticker interface {
	// C delivers the moments.
	C() <-chan time.Time
	// Stop ends the ticker. The channel is not closed.
	Stop()
}

// Since returns how long ago t was by the given clock.
func Since(clk Clock, t time.Time) time.Duration { return clk.Now().Sub(t) }

// Until returns how far ahead t is by the given clock.
func Until(clk Clock, t time.Time) time.Duration { return t.Sub(clk.Now()) }

// sleep is Sleep in terms of a timer, the same for every clock.
func sleep(ctx context.Context, clk Clock, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d <= 0 {
		return nil
	}
	t := clk.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
