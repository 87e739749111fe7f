package mime_test

import (
	"testing"
	"time"
)

// patience is what bounded work may take on a loaded machine under the race detector; alone it takes well under 200 ms. What is
// quadratic takes far longer.
const patience = 4 * time.Second

func within(t *testing.T, what string, work func()) {
	t.Helper()
	best := time.Hour
	for range 3 {
		start := time.Now()
		work()
		if best = min(best, time.Since(start)); best < patience {
			break
		}
	}
	if best > patience {
		t.Errorf("%q took %v", what, best)
	}
}
