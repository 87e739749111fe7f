package outbound

import (
	"context"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
)

// How long a connection waits for the next letter to its destination, how often that is looked at, and how many may wait (O-42).
const (
	idleFor     = 5 * time.Second
	idleTick    = time.Second
	idleMost    = 100
	idlePerName = 5
)

// fleet keeps the couriers that have just carried a letter, so that the next one to the same destination finds the connection
// open. It belongs to the node; leases do not cover it.
type fleet struct {
	mu     sync.Mutex
	parked map[berth][]parkedCourier
	count  int
	closed bool
}

// berth is where couriers wait: those of one destination that were opened in one name. What one sender's password opened never
// carries another's letter.
type berth struct{ destination, key string }

type parkedCourier struct {
	courier *smtpout.Courier
	until   time.Time
}

// take gives a parked courier, or nil.
func (f *fleet) take(at berth) *smtpout.Courier {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.parked[at]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1].courier // the one used last is the least likely to have been hung up on
	f.set(at, list[:len(list)-1])
	f.count--
	return c
}

// park keeps the courier, or closes it when there are enough.
func (f *fleet) park(at berth, c *smtpout.Courier, until time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.count >= idleMost || len(f.parked[at]) >= idlePerName {
		go c.Close() // bounded by the courier itself
		return
	}
	if f.parked == nil {
		f.parked = map[berth][]parkedCourier{}
	}
	f.parked[at] = append(f.parked[at], parkedCourier{c, until})
	f.count++
}

// sweep closes what has waited long enough, all at once: a host that does not answer QUIT must not keep the others waiting.
func (f *fleet) sweep(now time.Time) {
	var wg sync.WaitGroup
	for _, c := range f.expired(now) {
		wg.Go(c.Close)
	}
	wg.Wait()
}

func (f *fleet) expired(now time.Time) []*smtpout.Courier {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*smtpout.Courier
	for at, list := range f.parked {
		n := 0
		for n < len(list) && !now.Before(list[n].until) {
			out = append(out, list[n].courier)
			n++
		}
		if n > 0 {
			f.set(at, list[n:])
			f.count -= n
		}
	}
	return out
}

func (f *fleet) set(at berth, list []parkedCourier) {
	if len(list) == 0 {
		delete(f.parked, at)
		return
	}
	f.parked[at] = list
}

// run sweeps until ctx ends, then closes everything.
func (f *fleet) run(ctx context.Context, clk clock.Clock) {
	for clk.Sleep(ctx, idleTick) == nil {
		f.sweep(clk.Now())
	}
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.sweep(clk.Now().Add(time.Hour))
}

// KeepConnections looks after the open connections to other servers until ctx ends; then it closes them.
func (s *Service) KeepConnections(ctx context.Context) { s.fleet.run(ctx, s.clock) }
