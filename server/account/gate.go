package account

import (
	"context"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
)

// Bounds of the gate (mail-rules S-20).
const (
	gateQueue = 32
	gateWait  = 3 * time.Second
)

// After so long without a hash the memory of the last ones goes back to the system. Each of them leaves its buffer behind, 64 MiB by
// default, and a server that is at rest otherwise would hold several of them until the next collection, minutes later. Less than
// worthTidying is not worth a collection of the whole heap.
const (
	gateRest     = 2 * time.Second
	worthTidying = 8 << 10 // KiB of one hash
)

// gate lets a few hashes run at once and a few more wait a short time; it refuses the rest. Without it 64 sign-ins at once
// take 17 s and 4 GiB.
type gate struct {
	clk     clock.Clock
	running chan struct{}
	inside  chan struct{} // running and waiting

	tidy func() // gives memory back; nil does nothing
	mu   sync.Mutex
	last time.Time // end of the last hash
	due  bool      // somebody waits for the rest
}

func newGate(clk clock.Clock, running int, tidy func()) *gate {
	return &gate{
		clk:     clk,
		tidy:    tidy,
		running: make(chan struct{}, running),
		inside:  make(chan struct{}, running+gateQueue),
	}
}

// do runs work when it is its turn. It gives fault.Unavailable with code "busy" when the queue is full or the wait too long.
func (g *gate) do(ctx context.Context, work func()) error {
	select {
	case g.inside <- struct{}{}:
		defer func() { <-g.inside }()
	default:
		return errBusy()
	}
	select {
	case g.running <- struct{}{}:
	default:
		if err := g.wait(ctx); err != nil {
			return err
		}
	}
	defer func() {
		<-g.running
		g.tidyLater()
	}()
	work()
	return nil
}

// tidyLater gives memory back once the gate has been at rest for a while: once in each rest.
func (g *gate) tidyLater() {
	if g.tidy == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = g.clk.Now()
	if !g.due {
		g.due = true
		go g.tidyAtRest(g.clk.NewTimer(gateRest))
	}
}

func (g *gate) tidyAtRest(timer clock.Timer) {
	for {
		<-timer.C()
		left := g.atRest()
		if left <= 0 {
			g.tidy()
			return
		}
		timer.Reset(left)
	}
}

// atRest says how long the gate has still to be at rest. With 0 the next hash begins another rest.
func (g *gate) atRest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.running) > 0 {
		return gateRest
	}
	left := g.last.Add(gateRest).Sub(g.clk.Now())
	g.due = left > 0
	return left
}

func (g *gate) wait(ctx context.Context) error {
	timer := g.clk.NewTimer(gateWait)
	defer timer.Stop()
	select {
	case g.running <- struct{}{}:
		return nil
	case <-timer.C():
		return errBusy()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func errBusy() error {
	return fault.New(fault.Unavailable, "busy", "too many sign-ins at this moment; try again in a few seconds")
}
