package stats

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

const (
	// fresh is how long an answer serves all who ask the same.
	fresh = time.Second
	// What is slow is not asked all the time: an answer serves at least so many times as long as it took.
	restOfViews = 5
	restOfQueue = 20
	// manyViews is how many answers are kept before old ones are thrown away.
	manyViews = 256
)

// key names a view: what two callers with the same key see is the same.
func (v view) key() string {
	if v.all {
		return "*"
	}
	ids := make([]string, len(v.domains))
	for i, d := range v.domains {
		ids[i] = string(d[:])
	}
	slices.Sort(ids)
	return "=" + strings.Join(ids, "")
}

// shared keeps the newest answer of each view, so that many dashboards cost no more than one.
type shared[T any] struct {
	rest    int
	mu      sync.Mutex
	answers map[string]*answer[T]
}

// answer is the newest of one view. at and until are guarded by the map's lock, value by whoever holds turn.
type answer[T any] struct {
	// turn holds one value: whoever takes it may read and load.
	turn  chan struct{}
	value T
	until time.Time
}

// get gives the answer of a view, at most a second old, or loads it. Only one caller loads; the others wait for it.
func (s *shared[T]) get(ctx context.Context, clk clock.Clock, v view, load func(context.Context, view) (T, error)) (T, error) {
	a := s.answerOf(v.key(), clk.Now())
	select {
	case <-a.turn:
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
	defer func() { a.turn <- struct{}{} }()
	begin := clk.Now()
	if begin.Before(s.validUntil(a)) {
		return a.value, nil
	}
	value, err := load(ctx, v)
	if err != nil {
		return value, err
	}
	a.value = value
	s.keep(a, begin.Add(max(fresh, time.Duration(s.rest)*clock.Since(clk, begin))))
	return value, nil
}

// answerOf finds the answer of a view, and forgets old ones when there are many.
func (s *shared[T]) answerOf(key string, now time.Time) *answer[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.answers[key]; a != nil {
		return a
	}
	if s.answers == nil {
		s.answers = map[string]*answer[T]{}
	}
	if len(s.answers) >= manyViews {
		for other, a := range s.answers {
			if !now.Before(a.until) {
				delete(s.answers, other)
			}
		}
	}
	a := &answer[T]{turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	s.answers[key] = a
	return a
}

func (s *shared[T]) validUntil(a *answer[T]) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return a.until
}

func (s *shared[T]) keep(a *answer[T], until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.until = until
}
