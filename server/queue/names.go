package queue

import (
	"slices"
	"time"

	"github.com/riverqueue/river"
)

// The queues. A job's InsertOpts name one of them.
const (
	// Delivery brings accepted mail into mailboxes of this server.
	Delivery = "delivery"
	// Remote sends mail to other servers. Its workers wait for strangers, so there are many and nothing else waits behind them.
	Remote = "remote"
	// Events calls webhooks and feeds streams.
	Events = "events"
	// Schedule carries out what was held until a time.
	Schedule = "schedule"
	// Bulk imports, exports and indexes.
	Bulk = "bulk"
	// Maintenance cleans up, rotates and checks.
	Maintenance = "maintenance"
)

// Names lists all queues.
func Names() []string { return []string{Delivery, Remote, Events, Schedule, Bulk, Maintenance} }

// Limits of a job. JobTimeout leaves room for the slowest SMTP dialogue (X-11, O-30); a worker may set a shorter one.
const (
	JobTimeout = 20 * time.Minute
	// rescueAfter is when the job of a killed process is run again. Mail does not wait for it: leases on our rows end much
	// sooner and the scanner of due rows finds them.
	rescueAfter = JobTimeout + 5*time.Minute
	// maxAttempts is high because our rows decide when work has failed for good (O-30).
	maxAttempts = 1000
)

const (
	// fastCooldown is the least time between two fetches of a queue that people wait for: a backlog drains at most at
	// workers / cooldown.
	fastCooldown = 20 * time.Millisecond
	slowCooldown = 100 * time.Millisecond
	// pollInterval is the safety net for a lost wake-up.
	pollInterval = 10 * time.Second
)

// settings returns how a queue is worked on this node; workers 0 means the default.
func settings(name string, workers int) river.QueueConfig {
	defaults := map[string]int{Delivery: 50, Remote: 500, Events: 16, Schedule: 4, Bulk: 2, Maintenance: 2}
	if workers <= 0 {
		workers = defaults[name]
	}
	cooldown := slowCooldown
	if slices.Contains([]string{Delivery, Remote, Events}, name) {
		cooldown = fastCooldown
	}
	return river.QueueConfig{MaxWorkers: workers, FetchCooldown: cooldown, FetchPollInterval: pollInterval}
}
