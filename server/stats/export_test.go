package stats

// The statements, for the tests of their plans.
const (
	SQLSums         = sqlSums
	SQLCounts       = sqlCounts
	SQLExpireCounts = sqlExpireCounts
)
