package local

import (
	"testing"
	"time"
)

// F-7: service is back within 10 s of each end of PostgreSQL, and soon after the cause of a crash loop is gone.
func TestPausesBeforeAStartGrowAndStayBounded_F7(t *testing.T) {
	t.Parallel()
	var b backoff
	if got := b.next(); got != firstPause {
		t.Errorf("the first pause is %s, want %s", got, firstPause)
	}
	last := firstPause
	for i := range 100 {
		got := b.next()
		if got < last || got > lastPause || got > 2*last {
			t.Fatalf("start %d: pause %s after %s", i+2, got, last)
		}
		last = got
	}
	if last != lastPause || last > 5*time.Second || stableAfter > 10*time.Second {
		t.Errorf("the pause ends at %s, a run counts after %s", last, stableAfter)
	}
}
