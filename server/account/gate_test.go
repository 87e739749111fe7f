package account

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
)

func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func TestAFloodOfSignInsRunsFewHashesAndRefusesTheRest_S20(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(noon())
	g := newGate(clk, 2, nil)
	release := make(chan struct{})
	var running, most, ran, busy atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			err := g.do(t.Context(), func() {
				if n := running.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-release
				running.Add(-1)
				ran.Add(1)
			})
			if err != nil {
				if !fault.Is(err, fault.Unavailable) || fault.CodeOf(err) != "busy" {
					t.Error(err)
				}
				busy.Add(1)
			}
		})
	}
	// 2 run, 32 wait, 66 are refused at once.
	if err := clk.BlockUntil(t.Context(), gateQueue); err != nil {
		t.Fatal(err)
	}
	for busy.Load() < 66 {
		runtime.Gosched()
	}
	clk.Advance(gateWait)
	for busy.Load() < 98 {
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
	if most.Load() != 2 || ran.Load() != 2 || busy.Load() != 98 {
		t.Fatalf("at most %d at once, %d ran, %d were refused; want 2, 2, 98", most.Load(), ran.Load(), busy.Load())
	}
	if err := g.do(t.Context(), func() {}); err != nil {
		t.Fatalf("after the flood: %v", err)
	}
}

func TestWhoWaitsGetsItsTurnOrGivesUp(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(noon())
	g := newGate(clk, 1, nil)
	release, started := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.do(t.Context(), func() { close(started); <-release }); err != nil {
			t.Error(err)
		}
	})
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	wg.Go(func() { gone <- g.do(ctx, func() { t.Error("ran for a client that had left") }) })
	if err := clk.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	ran := false
	wg.Go(func() {
		if err := g.do(t.Context(), func() { ran = true }); err != nil {
			t.Error(err)
		}
	})
	if err := clk.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	close(release)
	wg.Wait()
	if !ran {
		t.Fatal("the waiting one never got its turn")
	}
}

// Twenty people who sign in one after the other must not leave their buffers in memory for minutes, nor cost twenty collections.
func TestTheMemoryOfHashesIsGivenBackOnceInARest(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(noon())
	tidied := make(chan time.Time, 10)
	g := newGate(clk, 2, func() { tidied <- clk.Now() })
	hash := func() {
		if err := g.do(t.Context(), func() {}); err != nil {
			t.Error(err)
		}
	}
	pass := func(d time.Duration) { // when the one who waits for the rest has looked and waits on, or has ended
		t.Helper()
		clk.Advance(d)
		for range 1000 {
			runtime.Gosched()
		}
	}
	none := func(when string) {
		t.Helper()
		select {
		case at := <-tidied:
			t.Fatalf("%s: given back after %s", when, at.Sub(noon()))
		default:
		}
	}
	for range 20 { // for ten seconds
		hash()
		pass(gateRest / 10)
		none("between hashes")
	}
	release, started := make(chan struct{}), make(chan struct{})
	var slow sync.WaitGroup
	slow.Go(func() {
		if err := g.do(t.Context(), func() { close(started); <-release }); err != nil {
			t.Error(err)
		}
	})
	<-started
	if err := clk.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	pass(3 * gateRest)
	none("while a hash runs")
	close(release)
	slow.Wait()
	if err := clk.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	clk.Advance(2 * gateRest)
	<-tidied
	pass(10 * gateRest)
	none("in the same rest")
	if n := clk.Waiters(); n != 0 {
		t.Fatalf("%d wait for nothing", n)
	}
	hash()
	clk.Advance(gateRest)
	<-tidied
}
