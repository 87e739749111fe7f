package local

import "time"

// Restarts after an abnormal end wait from firstPause up to lastPause. A run of stableAfter starts the series anew: ends that lie
// that far apart have causes of their own, and to wait longer after each would only keep mail waiting. lastPause bounds how long
// the service stays away after the cause is gone, such as a full disk.
const (
	firstPause  = 250 * time.Millisecond
	lastPause   = 5 * time.Second
	stableAfter = 10 * time.Second
)

// backoff counts the ends and the failed starts in a row. Its zero value is ready.
type backoff struct{ failures int }

// next gives the pause before the next start. It is doubled each time.
func (b *backoff) next() time.Duration {
	wait := lastPause
	if b.failures < 8 { // 2^8 times the first pause is above the last
		wait = min(firstPause<<b.failures, lastPause)
	}
	b.failures++
	return wait
}
