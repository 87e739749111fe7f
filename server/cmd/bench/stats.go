package main

import (
	"math"
	"slices"
	"time"
)

// percentile is the nearest-rank percentile of some times in milliseconds: the smallest one that at least p percent do not
// exceed. No times have none, which is NaN.
func percentile(times []time.Duration, p float64) float64 {
	if len(times) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(times))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return millis(sorted[min(max(rank, 1), len(sorted))-1])
}

// median is the middle of some values, between the two middle ones of an even number. No values have none, which is NaN.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// rate is so many things a second.
func rate(n int, took time.Duration) float64 {
	if took <= 0 {
		return math.NaN()
	}
	return float64(n) / took.Seconds()
}

// share is what of a whole falls on each of n things.
func share(whole float64, n int) float64 {
	if n == 0 {
		return math.NaN()
	}
	return whole / float64(n)
}

// values are the results of one measure by the keys of the table.
type values map[string]float64

// spread adds percentiles of times below a key: p50, p95 and p99.
func (v values) spread(key string, times []time.Duration) {
	v[key+"_p50_ms"] = percentile(times, 50)
	v[key+"_p95_ms"] = percentile(times, 95)
	v[key+"_p99_ms"] = percentile(times, 99)
}
