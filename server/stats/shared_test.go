package stats

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// loader counts how often it is asked, and takes a time of its own.
type loader struct {
	clk   *clock.Fake
	takes time.Duration
	fails error
	calls atomic.Int64
}

func (l *loader) load(context.Context, view) (int64, error) {
	l.clk.Advance(l.takes)
	return l.calls.Add(1), l.fails
}

func TestManyDashboardsCostAsMuchAsOne(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	l := &loader{clk: clk}
	var s shared[int64]
	ask := func(v view) int64 {
		got, err := s.get(t.Context(), clk, v, l.load)
		if err != nil {
			t.Error(err)
		}
		return got
	}
	all := view{all: true}
	var crowd sync.WaitGroup
	for range 50 {
		crowd.Go(func() {
			if got := ask(all); got != 1 {
				t.Errorf("load %d", got)
			}
		})
	}
	crowd.Wait()
	a, b := mail.DomainID{1}, mail.DomainID{2}
	for i, step := range []struct {
		v    view
		wait time.Duration
		want int64
	}{
		{all, 999 * time.Millisecond, 1},
		{all, time.Millisecond, 2},
		{view{domains: []mail.DomainID{a, b}}, 0, 3},
		{view{domains: []mail.DomainID{b, a}}, 0, 3},
		{view{domains: []mail.DomainID{a}}, 0, 4},
		{view{}, 0, 5},
		{all, 0, 2},
	} {
		clk.Advance(step.wait)
		if got := ask(step.v); got != step.want {
			t.Errorf("step %d: load %d, want %d", i, got, step.want)
		}
	}
}

func TestWhatIsSlowIsAskedSeldom(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	l := &loader{clk: clk, takes: 300 * time.Millisecond}
	s := shared[int64]{rest: restOfQueue}
	begin := clk.Now()
	for clock.Since(clk, begin) < time.Minute {
		if _, err := s.get(t.Context(), clk, view{all: true}, l.load); err != nil {
			t.Fatal(err)
		}
		clk.Advance(100 * time.Millisecond)
	}
	if n := l.calls.Load(); n < 9 || n > 11 {
		t.Errorf("asked %d times a minute", n)
	}
}

func TestAFailureIsNotKeptAndAWaiterMayLeave(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	l := &loader{clk: clk, fails: errors.New("down")}
	var s shared[int64]
	for range 2 {
		if _, err := s.get(t.Context(), clk, view{}, l.load); !errors.Is(err, l.fails) {
			t.Error(err)
		}
	}
	l.fails = nil
	if got, err := s.get(t.Context(), clk, view{}, l.load); got != 3 || err != nil {
		t.Error(got, err)
	}
	_, err := s.get(t.Context(), clk, view{all: true}, func(ctx context.Context, v view) (int64, error) {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, err := s.get(gone, clk, v, l.load)
		return 0, err
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestViewsOfLongAgoAreForgotten(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	l := &loader{clk: clk}
	var s shared[int64]
	for i := range 10 * manyViews {
		v := view{domains: []mail.DomainID{{byte(i), byte(i >> 8)}}}
		if _, err := s.get(t.Context(), clk, v, l.load); err != nil {
			t.Fatal(err)
		}
		clk.Advance(10 * time.Millisecond)
	}
	if len(s.answers) > manyViews {
		t.Errorf("%d views are kept", len(s.answers))
	}
}
