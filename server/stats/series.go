package stats

import (
	"context"
	"slices"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// mostPoints is how many values a series may have.
const mostPoints = 1500

// SeriesQuery says which values are wanted. Zero fields: all metrics, the last stretch of time, any step, all domains.
type SeriesQuery struct {
	Metrics  []string
	From, To time.Time
	Step     Step
	Domain   mail.DomainID
}

// Series is one metric: a value for each stretch, nil where none is known.
type Series struct {
	Metric Metric
	Values []*int64
}

// Timeseries is some metrics over the same time. From is the beginning of the first stretch, To the end of the last.
type Timeseries struct {
	Step     Step
	From, To time.Time
	Series   []Series
}

// At gives the beginning of the stretch with the number i.
func (t Timeseries) At(i int) time.Time { return t.From.Add(time.Duration(i) * time.Duration(t.Step)) }

func (t Timeseries) points() int { return int(t.To.Sub(t.From) / time.Duration(t.Step)) }

// Timeseries gives metrics of what the principal may see. Counts are 0 where nothing happened. Metrics of the whole server have no
// value for who asks for, or may see, some domains only.
func (s *Service) Timeseries(ctx context.Context, p mail.Principal, q SeriesQuery) (Timeseries, error) {
	v, err := s.viewOf(ctx, p, q.Domain)
	if err != nil {
		return Timeseries{}, err
	}
	wanted, err := metricsNamed(q.Metrics)
	if err != nil {
		return Timeseries{}, err
	}
	t, err := q.span(s.clk.Now())
	if err != nil {
		return Timeseries{}, err
	}
	found, err := counts(ctx, s.pool, v, t)
	if err != nil {
		return t, pg.Fault(err)
	}
	var samples map[sampled]int64
	if v.all {
		if samples, err = gauges(ctx, s.pool, gaugeNames(), t); err != nil {
			return t, pg.Fault(err)
		}
	}
	for _, m := range wanted {
		t.Series = append(t.Series, Series{Metric: m, Values: values(t, m, v, found, samples)})
	}
	return t, nil
}

func values(t Timeseries, m Metric, v view, found map[time.Time]Counts, samples map[sampled]int64) []*int64 {
	out := make([]*int64, t.points())
	if m.Global && !v.all {
		return out
	}
	column := slices.Index(Metrics(), m)
	for i := range out {
		if m.Kind == "count" {
			c := found[t.At(i)]
			out[i] = c.all()[column]
		} else if value, ok := samples[sampled{m.Name, t.At(i)}]; ok {
			out[i] = &value
		}
	}
	return out
}

func metricsNamed(names []string) ([]Metric, error) {
	all := Metrics()
	if len(names) == 0 {
		return all, nil
	}
	var out []Metric
	for _, name := range names {
		i := slices.IndexFunc(all, func(m Metric) bool { return m.Name == name })
		if i < 0 {
			return nil, fault.New(fault.Invalid, "validation-failed", "there is no metric of this name").At("query.metric")
		}
		if !slices.Contains(out, all[i]) {
			out = append(out, all[i])
		}
	}
	return out, nil
}

// span decides step, beginning and end.
func (q SeriesQuery) span(now time.Time) (Timeseries, error) {
	t := Timeseries{Step: q.Step, From: q.From, To: q.To}
	if t.To.IsZero() || t.To.After(now) {
		t.To = now
	}
	if t.From.IsZero() {
		t.From = t.To.Add(-lookBack(q.Step))
	}
	if !t.From.Before(t.To) {
		return t, fault.New(fault.Invalid, "validation-failed", "from must lie before to, and in the past").At("query.from")
	}
	if t.Step == 0 {
		t.Step = Day
		for _, step := range []Step{Hour, Minute} {
			if step.fits(t.From, t.To, now) {
				t.Step = step
			}
		}
	}
	if now.Sub(t.From) > t.Step.kept() {
		return t, fault.New(fault.Invalid, "validation-failed", "%s", tooOld(t.Step)).At("query.from")
	}
	t.align()
	if n := t.points(); n > mostPoints {
		return t, fault.New(fault.Invalid, "validation-failed",
			"this is %d points, more than %d: ask for a shorter time, or for a longer step", n, mostPoints).At("query.step")
	}
	return t, nil
}

// align widens the time to whole stretches.
func (t *Timeseries) align() {
	t.From = t.Step.begin(t.From)
	if end := t.Step.begin(t.To); end.Before(t.To) {
		t.To = end.Add(time.Duration(t.Step))
	} else {
		t.To = end
	}
}

// fits reports whether a step is kept long enough and gives few enough points.
func (s Step) fits(from, to, now time.Time) bool {
	t := Timeseries{Step: s, From: from, To: to}
	t.align()
	return now.Sub(from) <= s.kept() && t.points() <= mostPoints
}

// lookBack is how far a series goes back when nobody says.
func lookBack(s Step) time.Duration {
	switch s {
	case Hour:
		return 24 * time.Hour
	case Day:
		return 30 * 24 * time.Hour
	case Minute:
	}
	return time.Hour
}

func tooOld(s Step) string {
	switch s {
	case Minute:
		return "minutes are kept for 48 hours: begin later, or ask for step=hour"
	case Hour:
		return "hours are kept for 60 days: begin later, or ask for step=day"
	case Day:
	}
	return "days are kept for 3 years: begin later"
}
