package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/api"
)

func TestTheOverviewCountsWhatHappened(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.newTenant("tenanta"), e.newTenant(marker)
	e.refused.Store(3)
	e.settle()
	if err := e.stats.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.stats.Sample(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all, one, bound api.StatsOverview
	e.call(e.owner, "GET", "/v1/stats/overview", nil).want(200).into(&all)
	e.call(e.owner, "GET", "/v1/stats/overview?domain_id="+b.domain, nil).want(200).into(&one)
	e.call(e.newKey([]string{"stats:read"}, a.domain), "GET", "/v1/stats/overview", nil).want(200).into(&bound)
	// Each tenant has one letter filed here, one in the sink, and one that waits.
	if h := all.LastHour; h.Received != 2 || h.Accepted != 6 || h.Delivered != 4 || h.Rejected == nil || *h.Rejected != 3 || all.LastDay.Received != 2 {
		t.Errorf("%+v", h)
	}
	if all.Domains != 3 || all.Users != 3 || all.Queue.Queued != 2 || all.StorageBytes != one.StorageBytes+bound.StorageBytes || one.StorageBytes == 0 {
		t.Errorf("%+v", all)
	}
	if s := all.Server; s == nil || s.Version != "1.0.0" || s.Connections != (api.StatsConnections{SMTP: 1, Submission: 2, IMAP: 3, HTTP: 4}) || s.MemoryBytes != 64<<20 {
		t.Errorf("%+v", s)
	}
	for name, o := range map[string]api.StatsOverview{"of one domain": one, "of a key": bound} {
		h := o.LastHour
		if h.Received != 1 || h.Accepted != 3 || h.Delivered != 2 || h.Rejected != nil || o.Queue.Queued != 1 || o.Domains != 1 || o.Users != 1 || o.Server != nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
	var series api.StatsTimeseries
	got := e.call(e.owner, "GET", "/v1/stats/timeseries?metric=rejected&metric=accepted&metric=memory_bytes&step=hour", nil).want(200).into(&series)
	if strings.Contains(string(got.body), `"points":null`) || series.Step != "hour" || len(series.Series) != 3 || len(series.Series[0].Points) < 24 {
		t.Fatalf("%s", got.body)
	}
	for i, want := range []int64{3, 6, 64 << 20} {
		s := series.Series[i]
		last := s.Points[len(s.Points)-1]
		if last.Value == nil || *last.Value != want || !last.At.Equal(series.To.Add(-time.Hour)) {
			t.Errorf("%s: %+v", s.Metric, last)
		}
		if first := s.Points[0]; (first.Value == nil) != (s.Kind == "gauge") || !first.At.Equal(series.From) {
			t.Errorf("%s begins with %+v", s.Metric, first)
		}
	}
}

func TestAQuestionForStatisticsThatIsWrongSaysWhere(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for query, want := range map[string]string{
		"step=week":      "query.step",
		"metric=cheese":  "query.metric[0]",
		"from=yesterday": "query.from",
		"from=2026-01-01T00:00:00Z&to=2025-12-31T00:00:00Z":                            "query.from",
		"from=0001-01-01T00:00:01Z":                                                    "query.from",
		"to=9999-12-31T23:59:59Z&from=9999-12-31T00:00:00Z":                            "query.from",
		"step=minute&from=" + time.Now().Add(-30*time.Hour).UTC().Format(time.RFC3339): "query.step",
	} {
		p := e.call(e.key, "GET", "/v1/stats/timeseries?"+query, nil).problem(422, "validation-failed")
		if len(p.Errors) != 1 || p.Errors[0].Location != want {
			t.Errorf("%s: %+v", query, p.Errors)
		}
	}
	e.call(e.key, "GET", "/v1/stats/timeseries?domain_id=x", nil).problem(400, "invalid-id")
	e.call(e.newKey([]string{"events:read"}), "GET", "/v1/stats/overview", nil).problem(403, "scope-missing")
	e.newDomain("b.test")
	e.newUser("u@b.test", "user")
	e.call(e.signIn("u@b.test"), "GET", "/v1/stats/timeseries", nil).problem(403, "domain-forbidden")
}
