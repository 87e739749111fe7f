package stats

import (
	"slices"
	"time"

	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// Step is the length of a stretch of time.
type Step time.Duration

// The steps that are kept. The zero Step lets Timeseries choose.
const (
	Minute = Step(time.Minute)
	Hour   = Step(time.Hour)
	Day    = Step(24 * time.Hour)
)

// spare is how much longer rows are kept than they are promised, so that a window that begins just within is whole.
const spare = time.Hour

func steps() []Step { return []Step{Minute, Hour, Day} }

// String gives "minute", "hour" or "day", and "auto" for the zero Step.
func (s Step) String() string {
	switch s {
	case Minute:
		return "minute"
	case Hour:
		return "hour"
	case Day:
		return "day"
	}
	return "auto"
}

// StepNamed is the opposite of String.
func StepNamed(name string) Step {
	for _, s := range steps() {
		if s.String() == name {
			return s
		}
	}
	return 0
}

func (s Step) minutes() int { return int(time.Duration(s) / time.Minute) }

// begin gives the beginning of the stretch in which a moment lies; hours and days are those of UTC.
func (s Step) begin(at time.Time) time.Time { return at.UTC().Truncate(time.Duration(s)) }

// kept is how long the stretches of a step are kept.
func (s Step) kept() time.Duration {
	switch s {
	case Minute:
		return 48 * time.Hour
	case Hour:
		return 60 * 24 * time.Hour
	case Day:
	}
	return 3 * 365 * 24 * time.Hour
}

// Counts is how often each of the things happened that are counted.
type Counts struct {
	Received, Accepted, Delivered, Deferred, Bounced, Failed, Rejected, LoginsFailed int64
}

// countMetrics is how many numbers Counts has.
const countMetrics = 8

// all gives the numbers in the order of the columns and of Metrics.
func (c *Counts) all() [countMetrics]*int64 {
	return [...]*int64{&c.Received, &c.Accepted, &c.Delivered, &c.Deferred, &c.Bounced, &c.Failed, &c.Rejected, &c.LoginsFailed}
}

// into gives where a row of a first column and the numbers is read to.
func (c *Counts) into(first any) []any {
	out := []any{first}
	for _, v := range c.all() {
		out = append(out, v)
	}
	return out
}

// countOf gives which number counts the events of a type.
func countOf(kind string) (int, bool) {
	i := slices.Index([]string{
		event.MessageReceived, event.EmailAccepted, event.EmailDelivered, event.EmailDeferred, event.EmailBounced, event.EmailFailed,
		"", // refusals leave no event
		event.LoginFailed,
	}, kind)
	return i, i >= 0 && kind != ""
}

// Metric is something that has a value over time.
type Metric struct {
	Name string
	// Kind is "count" or "gauge", Unit "events", "recipients", "bytes" or "connections".
	Kind, Unit string
	// Global metrics belong to the whole server and to no domain.
	Global bool
}

// Metrics lists what there is: the counts, in the order of Counts, then the gauges.
func Metrics() []Metric {
	const count, gauge, events, recipients, connections = "count", "gauge", "events", "recipients", "connections"
	return []Metric{
		{"received", count, events, false},
		{"accepted", count, events, false},
		{"delivered", count, recipients, false},
		{"deferred", count, recipients, false},
		{"bounced", count, recipients, false},
		{"failed", count, recipients, false},
		{"rejected", count, events, true},
		{"logins_failed", count, events, false},
		{"queue_depth", gauge, recipients, true},
		{"memory_bytes", gauge, "bytes", true},
		{"connections_smtp", gauge, connections, true},
		{"connections_submission", gauge, connections, true},
		{"connections_imap", gauge, connections, true},
		{"connections_http", gauge, connections, true},
	}
}

func gaugeNames() []string {
	var out []string
	for _, m := range Metrics()[countMetrics:] {
		out = append(out, m.Name)
	}
	return out
}

func noDomain() mail.DomainID { return mail.DomainID{} }
