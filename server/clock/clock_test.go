package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

func start() time.Time { return time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC) }

func fired(c <-chan time.Time) (time.Time, bool) {
	select {
	case t := <-c:
		return t, true
	default:
		return time.Time{}, false
	}
}

func TestATimerFiresAtItsMomentAndOnlyOnce(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start())
	timer := clk.NewTimer(time.Minute)
	clk.Advance(59 * time.Second)
	if _, ok := fired(timer.C()); ok {
		t.Fatal("the timer fired a second early")
	}
	clk.Advance(time.Hour)
	at, ok := fired(timer.C())
	if !ok || !at.Equal(start().Add(time.Minute)) {
		t.Fatalf("fired %v at %v, want the 60th second", ok, at)
	}
	clk.Advance(time.Hour)
	if _, ok := fired(timer.C()); ok {
		t.Fatal("the timer fired twice")
	}
	if timer.Stop() {
		t.Fatal("a timer that has fired is no longer pending")
	}
}

func TestAStoppedOrResetTimerNeverDeliversAnOldMoment(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start())
	timer := clk.NewTimer(time.Second)
	clk.Advance(time.Second)
	timer.Reset(time.Minute)
	if _, ok := fired(timer.C()); ok {
		t.Fatal("Reset left the old moment in the channel")
	}
	if !timer.Stop() {
		t.Fatal("the reset timer should have been pending")
	}
	clk.Advance(time.Hour)
	if _, ok := fired(timer.C()); ok {
		t.Fatal("a stopped timer fired")
	}
	if timer.Reset(0) {
		t.Fatal("a stopped timer is not pending")
	}
	if _, ok := fired(timer.C()); !ok {
		t.Fatal("Reset(0) should fire at once")
	}
}

func TestEachTimerDeliversItsOwnMoment(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start())
	late, early := clk.After(3*time.Second), clk.After(time.Second)
	clk.Advance(5 * time.Second)
	a, _ := fired(early)
	b, _ := fired(late)
	if !a.Equal(start().Add(time.Second)) || !b.Equal(start().Add(3*time.Second)) {
		t.Fatalf("moments %v and %v", a, b)
	}
	if got := clk.Now(); !got.Equal(start().Add(5 * time.Second)) {
		t.Fatalf("the clock shows %v", got)
	}
}

func TestATickerKeepsItsRhythmAndDropsTicksForASlowReader(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start())
	ticker := clk.NewTicker(10 * time.Second)
	for i := 1; i <= 3; i++ {
		clk.Advance(10 * time.Second)
		at, ok := fired(ticker.C())
		if want := start().Add(time.Duration(i) * 10 * time.Second); !ok || !at.Equal(want) {
			t.Fatalf("tick %d: %v at %v, want %v", i, ok, at, want)
		}
	}
	clk.Advance(1_000_000 * time.Hour)
	if _, ok := fired(ticker.C()); !ok {
		t.Fatal("no tick after a long jump")
	}
	if _, ok := fired(ticker.C()); ok {
		t.Fatal("a slow reader got more than one kept tick")
	}
	clk.Advance(13 * time.Second)
	if at, _ := fired(ticker.C()); !at.Equal(start().Add(1_000_000*time.Hour + 40*time.Second)) {
		t.Fatalf("the ticker lost its rhythm in the jump: %v", at)
	}
	ticker.Stop()
	clk.Advance(time.Hour)
	if _, ok := fired(ticker.C()); ok {
		t.Fatal("a stopped ticker ticked")
	}
}

func TestSleepEndsWithTheClockOrTheContext(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func(*clock.Fake, context.CancelFunc){
		"clock":   func(f *clock.Fake, _ context.CancelFunc) { f.Advance(time.Minute) },
		"context": func(_ *clock.Fake, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := clock.NewFake(start())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- clk.Sleep(ctx, time.Minute) }()
			if err := clk.BlockUntil(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			ends(clk, cancel)
			err := <-done
			if want := name == "context"; errors.Is(err, context.Canceled) != want {
				t.Fatalf("Sleep returned %v", err)
			}
			if clk.Waiters() != 0 {
				t.Fatal("Sleep left a waiter behind")
			}
		})
	}
}

func TestSleepReportsAnEndedContextEvenForNoTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, clk := range []clock.Clock{clock.System(), clock.NewFake(start())} {
		if err := clk.Sleep(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Fatalf("%T: %v", clk, err)
		}
		if err := clk.Sleep(t.Context(), 0); err != nil {
			t.Fatalf("%T: %v", clk, err)
		}
	}
}

func TestBlockUntilGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := clock.NewFake(start()).BlockUntil(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestSetMovesBothWays(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start())
	timer := clk.NewTimer(time.Minute)
	clk.Set(start().Add(-time.Hour))
	if _, ok := fired(timer.C()); ok {
		t.Fatal("turning the clock back fired a timer")
	}
	clk.Set(start().Add(time.Minute))
	if _, ok := fired(timer.C()); !ok {
		t.Fatal("the timer did not fire")
	}
	if clock.Since(clk, start()) != time.Minute || clock.Until(clk, start()) != -time.Minute {
		t.Fatal("Since and Until disagree with the clock")
	}
}

func TestTheSystemClockWaitsForReal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clk := clock.System()
		begin := clk.Now()
		if begin.Location() != time.UTC {
			t.Errorf("location %v", begin.Location())
		}
		if err := clk.Sleep(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
		<-clk.After(time.Second)
		timer := clk.NewTimer(time.Hour)
		timer.Reset(time.Second)
		<-timer.C()
		ticker := clk.NewTicker(time.Second)
		<-ticker.C()
		ticker.Stop()
		if timer.Stop() {
			t.Error("a fired timer is not pending")
		}
		if got := clock.Since(clk, begin); got != 4*time.Second {
			t.Errorf("slept %v, want 4s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := clk.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
