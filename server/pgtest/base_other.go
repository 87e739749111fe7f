//go:build !linux

package pgtest

// runBase is where the clusters of test processes live, and whether that is memory.
func runBase() (dir string, inMemory bool) { return cacheBase(), false }
