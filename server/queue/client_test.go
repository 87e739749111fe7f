package queue

import (
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
)

func TestRetryWaitsGrowToAMinute(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for failures, want := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		job := &rivertype.JobRow{AttemptedAt: &at, Errors: make([]rivertype.AttemptError, failures)}
		if got := (retryPolicy{}).NextRetry(job).Sub(at).Seconds(); got != float64(want) {
			t.Errorf("after %d failures: %v s, want %d", failures, got, want)
		}
	}
}

// BenchmarkInserter is the price of not carrying a client around.
func BenchmarkInserter(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := inserter(); err != nil {
			b.Fatal(err)
		}
	}
}
