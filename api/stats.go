package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/stats"
)

// StatsCounts is how often what happened in a stretch of time.
type StatsCounts struct {
	Received     int64  `json:"received" example:"120" doc:"Letters that came in and were filed, one for each recipient."`
	Accepted     int64  `json:"accepted" example:"80" doc:"Emails that were taken to be sent."`
	Delivered    int64  `json:"delivered" example:"95" doc:"Recipients whose server has the email."`
	Deferred     int64  `json:"deferred" example:"3" doc:"Attempts that failed and are repeated."`
	Bounced      int64  `json:"bounced" example:"1" doc:"Recipients that can never be delivered."`
	Failed       int64  `json:"failed" example:"0" doc:"Recipients that were given up."`
	Rejected     *int64 `json:"rejected" example:"7" doc:"Messages and recipients that were refused at the door. They belong to no domain: null unless the counts are those of the whole server."`
	LoginsFailed int64  `json:"logins_failed" example:"2" doc:"Failed sign-ins to existing users."`
}

// StatsQueue is what waits to be sent.
type StatsQueue struct {
	Queued             int64 `json:"queued" example:"3" doc:"Recipients before their first attempt."`
	Sending            int64 `json:"sending" example:"1" doc:"Recipients to whom a worker is sending."`
	Deferred           int64 `json:"deferred" example:"2" doc:"Recipients between two attempts."`
	Held               int64 `json:"held" example:"0" doc:"Recipients that are held one by one."`
	DestinationsPaused int64 `json:"destinations_paused" example:"0" doc:"Destinations to which nothing is sent now: held, with an open breaker, or on their own request."`
}

// StatsConnections is how many connections are open on the node that answers.
type StatsConnections struct {
	SMTP       int64 `json:"smtp" example:"2" doc:"Connections of other servers."`
	Submission int64 `json:"submission" example:"1" doc:"Connections of senders."`
	IMAP       int64 `json:"imap" example:"14" doc:"Connections of mail programs."`
	HTTP       int64 `json:"http" example:"3" doc:"Connections to API and console, this one included."`
}

// StatsServer is the node that answers.
type StatsServer struct {
	Version       string           `json:"version" example:"1.0.0" doc:"The program's version."`
	StartedAt     time.Time        `json:"started_at" example:"2026-11-25T15:00:00Z" doc:"When the process began."`
	UptimeSeconds int64            `json:"uptime_seconds" example:"3600" doc:"How long it has been running."`
	MemoryBytes   int64            `json:"memory_bytes" example:"73400320" doc:"The memory that the process holds."`
	Connections   StatsConnections `json:"connections" doc:"Its open connections."`
}

// StatsOverview is how the server does now.
type StatsOverview struct {
	At           time.Time    `json:"at" example:"2026-11-25T15:00:00Z" doc:"When the numbers were read."`
	LastMinute   StatsCounts  `json:"last_minute" doc:"The minute that is running and the one before it."`
	LastHour     StatsCounts  `json:"last_hour" doc:"The last 60 minutes, the running one included."`
	LastDay      StatsCounts  `json:"last_day" doc:"The last 24 hours, the running minute included."`
	PreviousDay  StatsCounts  `json:"previous_day" doc:"The 24 hours before those, to compare with."`
	Queue        StatsQueue   `json:"queue" doc:"What waits to be sent."`
	Domains      int64        `json:"domains" example:"2" doc:"How many domains there are."`
	Users        int64        `json:"users" example:"12" doc:"How many users there are."`
	StorageBytes int64        `json:"storage_bytes" example:"104857600" doc:"The octets of their mail."`
	Server       *StatsServer `json:"server,omitempty" doc:"The node that answers; absent unless the caller may see all domains and asks for no single one."`
}

// StatsPoint is one value of a series.
type StatsPoint struct {
	At    time.Time `json:"at" example:"2026-11-25T15:00:00Z" doc:"The beginning of the stretch of time."`
	Value *int64    `json:"value" example:"4" doc:"The count, or the mean of the samples; null when there is none."`
}

// StatsSeries is one metric over time.
type StatsSeries struct {
	Metric string       `json:"metric" enum:"received,accepted,delivered,deferred,bounced,failed,rejected,logins_failed,queue_depth,memory_bytes,connections_smtp,connections_submission,connections_imap,connections_http" example:"received" doc:"What is shown."`
	Kind   string       `json:"kind" enum:"count,gauge" example:"count" doc:"count: how often it happened in each stretch; gauge: how much there was."`
	Unit   string       `json:"unit" enum:"events,recipients,bytes,connections" example:"events" doc:"What is counted."`
	Points []StatsPoint `json:"points" nullable:"false" doc:"One point for each stretch, oldest first."`
}

// StatsTimeseries is some metrics over the same time.
type StatsTimeseries struct {
	Step   string        `json:"step" enum:"minute,hour,day" example:"minute" doc:"The length of each stretch."`
	From   time.Time     `json:"from" example:"2026-11-25T14:00:00Z" doc:"The beginning of the first stretch."`
	To     time.Time     `json:"to" example:"2026-11-25T15:00:00Z" doc:"The end of the last stretch, which may be running."`
	Series []StatsSeries `json:"series" nullable:"false" doc:"The metrics in the order in which they were asked for."`
}

func (a *API) registerStats() {
	const tag, scope = "stats", "stats:read"
	register(a, with(scoped(http.MethodGet, "/v1/stats/overview", "getStatsOverview", tag, scope, "Read the overview",
		"Gives how the server does now: what happened lately, what waits, and how much there is. The owner, and a key without domains, see the whole "+
			"server; an admin, and a key with domains, the sum of their domains. Numbers are at most a few seconds old; the event stream sends "+
			"them as stats.tick when they change."),
		http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity), a.getStatsOverview)
	register(a, with(scoped(http.MethodGet, "/v1/stats/timeseries", "getStatsTimeseries", tag, scope, "Read metrics over time",
		"Gives one or more metrics, in stretches of a minute, an hour or a day (UTC). Minutes are kept for 48 hours, hours for 60 days, days for 3 years. "+
			"Counts are 0 where nothing happened, gauges null where nothing was sampled. Rejected and the gauges belong to the whole server and are null for "+
			"a caller, or a question, of some domains. A series has at most 1,500 points."),
		http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity), a.getStatsTimeseries)
}

type overviewInput struct {
	DomainID string `query:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Only this domain."`
}

type overviewOutput struct{ Body StatsOverview }

func (a *API) getStatsOverview(ctx context.Context, in *overviewInput) (*overviewOutput, error) {
	var domain mail.DomainID
	if err := optionalID(in.DomainID, "query.domain_id", &domain); err != nil {
		return nil, err
	}
	o, err := a.Stats.Overview(ctx, principalOf(ctx), domain)
	if err != nil {
		return nil, err
	}
	return &overviewOutput{Body: overviewOf(o)}, nil
}

func overviewOf(o stats.Overview) StatsOverview {
	out := StatsOverview{
		At: o.At, LastMinute: countsOf(o.LastMinute, o.Whole), LastHour: countsOf(o.LastHour, o.Whole), LastDay: countsOf(o.LastDay, o.Whole),
		PreviousDay: countsOf(o.PreviousDay, o.Whole), Domains: o.Domains, Users: o.Users, StorageBytes: o.StorageBytes,
		Queue: StatsQueue{
			Queued: o.Queue.Queued, Sending: o.Queue.Sending, Deferred: o.Queue.Deferred, Held: o.Queue.Held, DestinationsPaused: o.Queue.Paused,
		},
	}
	if s := o.Server; s != nil {
		out.Server = &StatsServer{
			Version: s.Version, StartedAt: s.StartedAt, UptimeSeconds: int64(o.At.Sub(s.StartedAt).Seconds()), MemoryBytes: s.Memory,
			Connections: StatsConnections{SMTP: s.SMTP, Submission: s.Submission, IMAP: s.IMAP, HTTP: s.HTTP},
		}
	}
	return out
}

func countsOf(c stats.Counts, whole bool) StatsCounts {
	out := StatsCounts{
		Received: c.Received, Accepted: c.Accepted, Delivered: c.Delivered, Deferred: c.Deferred, Bounced: c.Bounced, Failed: c.Failed,
		LoginsFailed: c.LoginsFailed,
	}
	if whole {
		out.Rejected = &c.Rejected
	}
	return out
}

type timeseriesInput struct {
	Metric   []string  `query:"metric,explode" enum:"received,accepted,delivered,deferred,bounced,failed,rejected,logins_failed,queue_depth,memory_bytes,connections_smtp,connections_submission,connections_imap,connections_http" maxItems:"14" example:"[\"received\",\"delivered\"]" doc:"The metrics; repeat the parameter. Absent: all."`
	From     time.Time `query:"from" example:"2026-11-25T14:00:00Z" doc:"The beginning, taken back to that of its stretch. Absent: an hour before to, a day with step=hour, 30 days with step=day."`
	To       time.Time `query:"to" example:"2026-11-25T15:00:00Z" doc:"The end. Absent, or later than now: now, the running stretch included."`
	Step     string    `query:"step" enum:"auto,minute,hour,day" default:"auto" example:"auto" doc:"The length of a stretch. auto: the shortest that is kept for this time and gives at most 1,500 points."`
	DomainID string    `query:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Only this domain."`
}

type timeseriesOutput struct{ Body StatsTimeseries }

func (a *API) getStatsTimeseries(ctx context.Context, in *timeseriesInput) (*timeseriesOutput, error) {
	q := stats.SeriesQuery{Metrics: in.Metric, From: in.From, To: in.To}
	if in.Step != "auto" {
		q.Step = stats.StepNamed(in.Step)
	}
	if err := optionalID(in.DomainID, "query.domain_id", &q.Domain); err != nil {
		return nil, err
	}
	found, err := a.Stats.Timeseries(ctx, principalOf(ctx), q)
	if err != nil {
		return nil, err
	}
	out := StatsTimeseries{Step: found.Step.String(), From: found.From, To: found.To, Series: make([]StatsSeries, len(found.Series))}
	for i, s := range found.Series {
		points := make([]StatsPoint, len(s.Values))
		for j, v := range s.Values {
			points[j] = StatsPoint{At: found.At(j), Value: v}
		}
		out.Series[i] = StatsSeries{Metric: s.Metric.Name, Kind: s.Metric.Kind, Unit: s.Metric.Unit, Points: points}
	}
	return &timeseriesOutput{Body: out}, nil
}
