package account

import (
	"context"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
)

// Bounds of the gate (mail-rules S-20).
const (
	gateQueue = 32
	gateWait  = 3 * time.Second
)

// gate lets a few hashes run at once and a few more wait a short time; it refuses the rest. Without it 64 sign-ins at once
// take 17 s and 4 GiB.
type gate struct {
	clk     clock.Clock
	running chan struct{}
	inside  chan struct{} // running and waiting
}

func newGate(clk clock.Clock, running int) *gate {
	return &gate{
		clk:     clk,
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
	defer func() { <-g.running }()
	work()
	return nil
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
