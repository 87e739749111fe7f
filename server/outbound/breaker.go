package outbound

import "time"

// The breaker of a destination (O-42): after so many failures in a row it opens for a while that doubles, and then one letter
// is the probe. Its first success closes it with few connections, which grow again while all goes well.
const (
	opensAfter  = 5
	openFirst   = 5 * time.Minute
	openMost    = time.Hour
	reopenLanes = 2
)

// fail counts trouble with the destination. What fails while the breaker is open had begun before and says nothing new.
func (b *breaker) fail(now time.Time) {
	if b.failures >= opensAfter && now.Before(b.nextAt) {
		return
	}
	b.failures++
	if b.failures < opensAfter {
		return
	}
	open := openMost
	if doublings := b.failures - opensAfter; doublings < 4 {
		open = min(openFirst<<doublings, openMost)
	}
	b.nextAt = later(b.nextAt, now.Add(open))
}

// succeed counts a dialogue without trouble; good is how many there were in a row, and most the configured number of connections.
func (b *breaker) succeed(good, most int) {
	if b.failures >= opensAfter {
		b.connections = reopenLanes
	}
	b.failures = 0
	if b.connections > 0 && good%b.connections == 0 {
		b.connections++
	}
	if b.connections >= most {
		b.connections = 0 // as configured
	}
}
