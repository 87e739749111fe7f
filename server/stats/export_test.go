package stats

import "time"

// The statements, for the tests of their plans.
const (
	SQLSums         = sqlSums
	SQLCounts       = sqlCounts
	SQLExpireCounts = sqlExpireCounts
)

// Due says when a node is measured.
func Due(now, next time.Time) bool { return due(now, next) }
