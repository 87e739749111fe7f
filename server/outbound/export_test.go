package outbound

import "time"

// What tests of the outside look at.
var (
	Summarise   = summarise
	SettleEmail = settleEmail
	DetailsOf   = detailsOf
)

// The statements of the lists, to be explained.
const (
	SQLListEmails   = sqlListEmails
	SQLListEmailsTo = sqlListEmailsTo
	SQLListSink     = sqlListSink
	SQLDue          = sqlDue
)

// CloseFleet closes the connections that wait for the next letter.
func (s *Service) CloseFleet() { s.fleet.sweep(s.clock.Now().Add(24 * time.Hour)) }

// BeforeRelease sets what a drain calls when nothing is due any more, before it gives the lease back.
func (s *Service) BeforeRelease(f func()) { s.beforeRelease = f }

// The statements of the queue, to be explained.
const (
	SQLHasDue             = sqlHasDue
	SQLClaimDue           = sqlClaimDue
	SQLNextWake           = sqlNextWake
	SQLListQueue          = sqlListQueue
	SQLCountQueue         = sqlCountQueue
	SQLCountQueueByDomain = sqlCountQueueByDomain
	SQLListDestinations   = sqlListDestinations
	SQLUnclaim            = sqlUnclaim
	SQLOpenEntries        = sqlOpenEntries
)
