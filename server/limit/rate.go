package limit

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
)

// bucketsMost bounds the memory of the rates (S-17): beyond it the bucket that was idle longest is forgotten.
const bucketsMost = 100_000

// Policy is a named rate: Count events in each Per, all of which may come at once.
type Policy struct {
	Name  string
	Count int
	Per   time.Duration
}

// buckets is a bounded set of token buckets, by policy and key.
type buckets struct {
	clk    clock.Clock
	most   int
	mu     sync.Mutex
	byKey  map[bucketKey]*list.Element
	recent *list.List // of *bucket, most recently used first
}

type bucketKey struct {
	policy Policy
	key    string
}

type bucket struct {
	key     bucketKey
	limiter *rate.Limiter
}

func newBuckets(clk clock.Clock, most int) *buckets {
	return &buckets{clk: clk, most: most, byKey: make(map[bucketKey]*list.Element), recent: list.New()}
}

// take takes one token, or says how long it takes until there is one.
func (b *buckets) take(policy Policy, key string) (ok bool, wait time.Duration) {
	now := b.clk.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	limiter := b.get(bucketKey{policy, key})
	r := limiter.ReserveN(now, 1)
	if !r.OK() {
		return false, policy.Per
	}
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return false, wait
	}
	return true, 0
}

func (b *buckets) get(key bucketKey) *rate.Limiter {
	if el, ok := b.byKey[key]; ok {
		b.recent.MoveToFront(el)
		return bucketOf(el).limiter
	}
	for b.recent.Len() >= b.most {
		oldest := b.recent.Back()
		b.recent.Remove(oldest)
		delete(b.byKey, bucketOf(oldest).key)
	}
	every := rate.Limit(float64(key.policy.Count) / key.policy.Per.Seconds())
	made := &bucket{key: key, limiter: rate.NewLimiter(every, key.policy.Count)}
	b.byKey[key] = b.recent.PushFront(made)
	return made.limiter
}

func bucketOf(el *list.Element) *bucket {
	b, _ := el.Value.(*bucket) // nothing else is ever put in
	return b
}

// Allow takes one token of the key's bucket. When it says false, retryAfter is when the next one will be there. The profile
// "none" and a policy without a count allow everything.
func (l *Limiter) Allow(_ context.Context, policy Policy, key string) (ok bool, retryAfter time.Duration) {
	if l.lifted || policy.Count <= 0 || policy.Per <= 0 {
		return true, 0
	}
	return l.buckets.take(policy, key)
}

// Check is Allow as an error: fault.Limited with code "rate-limited". RetryAfter finds the wait in it.
func (l *Limiter) Check(ctx context.Context, policy Policy, key string) error {
	if ok, wait := l.Allow(ctx, policy, key); !ok {
		return limited(wait, "too many requests (%d in %s); try again in %s", policy.Count, policy.Per, wait.Round(time.Second))
	}
	return nil
}

// waitError carries when to try again.
type waitError struct{ wait time.Duration }

func (e *waitError) Error() string { return "retry after " + e.wait.String() }

func limited(wait time.Duration, format string, args ...any) error {
	return fault.Wrap(&waitError{max(wait, time.Second)}, fault.Limited, "rate-limited", format, args...)
}
