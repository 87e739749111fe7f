package outbound

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// ladder holds the delays after failed attempts (O-20): the n-th after attempt n, the last one again and again.
type ladder []time.Duration

// defaultLadder is O-20's.
func defaultLadder() ladder {
	return ladder{
		5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour,
		24 * time.Hour,
	}
}

// jitterShare is how far a delay may lie from the ladder's, either way.
const jitterShare = 0.1

// lastStretch: an attempt that would come within this share of its delay before expiry is made at expiry instead. With O-20's
// ladder this gives 13 attempts whatever the jitter: the twelfth comes 5.8 h before expiry at the latest, an undelayed
// thirteenth would come 4.95 h before it at the earliest, and the share is 5.28 h.
const lastStretch = 0.22

// next gives the time after attempt number n (1 is the first) that failed at now; ok is false when it was the last one.
func (l ladder) next(id mail.EmailID, n int, now, expires time.Time) (at time.Time, ok bool) {
	if !now.Before(expires) {
		return time.Time{}, false
	}
	step := l[min(max(n, 1), len(l))-1]
	at = now.Add(time.Duration(float64(step) * (1 + jitter(id, n)))).Truncate(time.Microsecond)
	if at.Add(time.Duration(float64(step) * lastStretch)).After(expires) {
		at = expires
	}
	return at, true
}

// jitter is drawn for each email and attempt, so that recipients who share a dialogue go on sharing it, and two emails that
// failed together do not come back together. It lies between -0.1 and +0.1.
func jitter(id mail.EmailID, n int) float64 {
	h := fnv.New64a()
	h.Write(id[:])
	h.Write([]byte{byte(n), byte(n >> 8)})
	// FNV's high bits mix badly for short input; a multiplication spreads them.
	x := binary.BigEndian.Uint64(h.Sum(nil)) * 0x9e3779b97f4a7c15
	share := float64(x>>11) / (1 << 53)
	return jitterShare * (2*share - 1)
}
