package clock

import (
	"context"
	"sync"
	"time"
)

// Fake is a clock that stands still until a test moves it. Timers, tickers and
// sleepers whose moment has come fire while Advance runs, each with its own moment.
type Fake struct {
	mu      sync.Mutex
	now     time.Time
	waiters []*waiter
	// changed is closed and replaced whenever a waiter is added.
	changed chan struct{}
}

// waiter is a timer (every == 0) or a ticker of a fake clock.
type waiter struct {
	fake  *Fake
	at    time.Time
	every time.Duration
	c     chan time.Time
}

// NewFake returns a fake clock that shows start.
func NewFake(start time.Time) *Fake {
	return &Fake{now: start.UTC(), changed: make(chan struct{})}
}

// Now returns the moment to which the clock was last moved.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance moves the clock forward by d and fires everything that falls due. A
// negative d is taken as zero.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moveTo(f.now.Add(max(d, 0)))
}

// Set moves the clock forward to t as Advance does. An earlier t turns the
// clock back and fires nothing.
func (f *Fake) Set(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moveTo(t.UTC())
}

// BlockUntil waits until at least n timers, tickers and sleepers are pending,
// so that a test advances the clock only after the code under test waits for
// it. It returns the context's error if that ends first.
func (f *Fake) BlockUntil(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		pending, changed := len(f.waiters), f.changed
		f.mu.Unlock()
		if pending >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Waiters returns how many timers, tickers and sleepers are pending.
func (f *Fake) Waiters() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.waiters)
}

// NewTimer returns a timer that fires when the clock has been moved by d.
func (f *Fake) NewTimer(d time.Duration) Timer {
	w := &waiter{fake: f, c: make(chan time.Time, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start(w, d)
	return w
}

// NewTicker returns a ticker that fires each time the clock has been moved by d.
func (f *Fake) NewTicker(d time.Duration) Ticker {
	d = max(d, time.Nanosecond)
	w := &waiter{fake: f, every: d, c: make(chan time.Time, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start(w, d)
	return fakeTicker{w}
}

// After is the channel of a new timer.
func (f *Fake) After(d time.Duration) <-chan time.Time { return f.NewTimer(d).C() }

// Sleep waits until the clock has been moved by d or ctx ends.
func (f *Fake) Sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, f, d) }

// start makes w pending, or fires it when it is due already. f.mu is held.
func (f *Fake) start(w *waiter, d time.Duration) {
	w.at = f.now.Add(d)
	if d <= 0 && w.every == 0 {
		w.fire()
		return
	}
	f.waiters = append(f.waiters, w)
	close(f.changed)
	f.changed = make(chan struct{})
}

// moveTo fires what is due up to t. f.mu is held, so nobody sees a moment on
// the way.
func (f *Fake) moveTo(t time.Time) {
	f.now = t
	var pending []*waiter
	for _, w := range f.waiters {
		if w.at.After(t) {
			pending = append(pending, w)
			continue
		}
		w.fire()
		if w.every > 0 {
			// Only the first of the ticks up to t is kept for the receiver.
			w.at = w.at.Add(t.Sub(w.at).Truncate(w.every) + w.every)
			pending = append(pending, w)
		}
	}
	f.waiters = pending
}

func (f *Fake) remove(w *waiter) bool {
	for i, have := range f.waiters {
		if have == w {
			f.waiters = append(f.waiters[:i], f.waiters[i+1:]...)
			return true
		}
	}
	return false
}

// fire delivers the waiter's moment unless an older one still waits to be read.
func (w *waiter) fire() {
	select {
	case w.c <- w.at:
	default:
	}
}

func (w *waiter) C() <-chan time.Time { return w.c }

func (w *waiter) Stop() bool {
	w.fake.mu.Lock()
	defer w.fake.mu.Unlock()
	return w.stop()
}

func (w *waiter) Reset(d time.Duration) bool {
	w.fake.mu.Lock()
	defer w.fake.mu.Unlock()
	pending := w.stop()
	w.fake.start(w, d)
	return pending
}

// stop takes the waiter out and drops a moment nobody has read, as the timers
// of Go do since 1.23. The clock's lock is held.
func (w *waiter) stop() bool {
	pending := w.fake.remove(w)
	select {
	case <-w.c:
	default:
	}
	return pending
}

type fakeTicker struct{ w *waiter }

func (t fakeTicker) C() <-chan time.Time { return t.w.C() }
func (t fakeTicker) Stop()               { t.w.Stop() }
