package limit

import (
	"errors"
	"net/netip"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// ProfileNone is the profile that lifts every rate and count.
const ProfileNone = "none"

// Limiter answers whether something may happen now. All methods may be called from many goroutines at once.
type Limiter struct {
	pool    *pg.Pool
	clk     clock.Clock
	lifted  bool
	exempt  []netip.Prefix
	buckets *buckets
}

// New returns a limiter. The profile is "default" or "none"; addresses in exempt are never limited for failed sign-ins.
func New(pool *pg.Pool, clk clock.Clock, profile string, exempt ...netip.Prefix) *Limiter {
	return &Limiter{
		pool:    pool,
		clk:     clk,
		lifted:  profile == ProfileNone,
		exempt:  exempt,
		buckets: newBuckets(clk, bucketsMost),
	}
}

// RetryAfter finds in an error of this package how long to wait, at least a second; ok is false for other errors.
func RetryAfter(err error) (wait time.Duration, ok bool) {
	var w *waitError
	if errors.As(err, &w) {
		return w.wait, true
	}
	return 0, false
}
