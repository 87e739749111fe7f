package stats_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/stats"
)

// The windows of an overview are put together of minutes and hours; together they are what the ledger says, whatever the time is.
func TestTheWindowsAreExactToTheMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var list []event.Event
	for range 4000 {
		list = append(list, w.anything())
	}
	for age := range 130 { // each of the last minutes has something
		list = append(list, event.Event{Type: event.EmailDelivered, At: noon().Add(-time.Duration(age) * time.Minute), Domain: w.a.ID, Subject: "x"})
	}
	w.happen(list...)
	w.count()
	for _, now := range []time.Time{
		noon(), noon().Add(25 * time.Minute), time.Date(2026, 11, 25, 13, 0, 0, 0, time.UTC), time.Date(2026, 11, 25, 13, 59, 58, 0, time.UTC),
		time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 26, 0, 1, 30, 0, time.UTC),
	} {
		w.clk.Set(now)
		o := w.overview(system(), w.a.ID)
		end := w.clk.Now().Truncate(time.Minute).Add(time.Minute)
		for name, c := range map[string]struct {
			got         stats.Counts
			since, till time.Time
		}{
			"last minute":  {o.LastMinute, end.Add(-2 * time.Minute), end},
			"last hour":    {o.LastHour, end.Add(-time.Hour), end},
			"last day":     {o.LastDay, end.Add(-24 * time.Hour), end},
			"previous day": {o.PreviousDay, end.Add(-48 * time.Hour), end.Add(-24 * time.Hour)},
		} {
			if want := counts(t, w.pool, sqlLedger, w.a.ID.UUID(), c.since, c.till); c.got != want {
				t.Errorf("%v, %s: %+v, the ledger says %+v", now, name, c.got, want)
			}
		}
	}
}

func key(domains ...mail.DomainID) mail.Principal {
	return mail.Principal{Key: mail.KeyID{}.New(noon()), Scopes: []string{"stats:read"}, Domains: domains}
}

func person(role mail.Role, domains ...mail.DomainID) mail.Principal {
	return mail.Principal{User: mail.UserID{}.New(noon()), Role: role, Domains: domains}
}

func TestEverybodySeesTheSumOfTheirDomainsAndNoMore_S43(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for d, n := range map[mail.DomainID]int{w.a.ID: 1, w.b.ID: 10, {}: 100} {
		for range n {
			w.happen(event.Event{Type: event.MessageReceived, Domain: d, Subject: "x"})
		}
	}
	w.count()
	a, b, none := w.a.ID, w.b.ID, mail.DomainID{}
	for name, c := range map[string]struct {
		p       mail.Principal
		one     mail.DomainID
		want    int64
		domains int64
	}{
		"the owner":                       {person(mail.RoleOwner), none, 111, 2},
		"the owner of one":                {person(mail.RoleOwner), b, 10, 1},
		"an admin of one":                 {person(mail.RoleAdmin, a), none, 1, 1},
		"an admin of both":                {person(mail.RoleAdmin, b, a), none, 11, 2},
		"an admin of both asks for one":   {person(mail.RoleAdmin, a, b), b, 10, 1},
		"an admin of none":                {person(mail.RoleAdmin), none, 0, 0},
		"a key for everything":            {key(), none, 111, 2},
		"a key for one":                   {key(a), none, 1, 1},
		"a key for both":                  {key(a, b), none, 11, 2},
		"a key for one that asks for one": {key(a), a, 1, 1},
	} {
		o := w.overview(c.p, c.one)
		if o.LastHour.Received != c.want || o.Domains != c.domains || o.Whole != (c.want == 111) || (o.Server != nil) != o.Whole {
			t.Errorf("%s: %+v", name, o)
		}
		series, err := w.stats.Timeseries(t.Context(), c.p, stats.SeriesQuery{Domain: c.one, Metrics: []string{"received", "rejected", "queue_depth"}})
		if err != nil || sum(series.Series[0].Values) != c.want {
			t.Errorf("%s: %d (%v)", name, sum(series.Series[0].Values), err)
		}
		if known := series.Series[1].Values[0] != nil; known != o.Whole || series.Series[2].Values[0] != nil {
			t.Errorf("%s: what belongs to no domain is known: %t", name, known)
		}
	}
	for name, c := range map[string]struct {
		p    mail.Principal
		one  mail.DomainID
		kind fault.Kind
	}{
		"nobody":                       {mail.Principal{}, none, fault.Unauthenticated},
		"a user":                       {person(mail.RoleUser), none, fault.Forbidden},
		"a user of the domain":         {person(mail.RoleUser), a, fault.Forbidden},
		"a key without the scope":      {mail.Principal{Key: mail.KeyID{}.New(noon()), Scopes: []string{"events:read"}}, none, fault.Forbidden},
		"an admin of another":          {person(mail.RoleAdmin, a), b, fault.NotFound},
		"a key for another":            {key(a), b, fault.NotFound},
		"the owner, of what is no one": {person(mail.RoleOwner), mail.DomainID{}.New(noon()), fault.NotFound},
	} {
		_, err := w.stats.Overview(t.Context(), c.p, c.one)
		_, err2 := w.stats.Timeseries(t.Context(), c.p, stats.SeriesQuery{Domain: c.one})
		if !fault.Is(err, c.kind) || !fault.Is(err2, c.kind) {
			t.Errorf("%s: %v, %v", name, err, err2)
		}
	}
}

func TestASeriesHasAValueForEachStretch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := func(h, m int) time.Time { return time.Date(2026, 11, 25, h, m, 30, 0, time.UTC) }
	w.happen(
		event.Event{Type: event.EmailDelivered, At: at(12, 34), Subject: "x"}, event.Event{Type: event.EmailDelivered, At: at(12, 34), Subject: "x"},
		event.Event{Type: event.EmailDelivered, At: at(12, 10), Subject: "x"}, event.Event{Type: event.EmailDelivered, At: at(9, 10), Subject: "x"},
		event.Event{Type: event.EmailDelivered, At: at(9, 10).Add(-24 * time.Hour), Subject: "x"},
	)
	w.count()
	hour := w.series(stats.SeriesQuery{Metrics: []string{"delivered", "received", "delivered"}})
	if hour.Step != stats.Minute || len(hour.Series) != 2 || len(hour.Series[0].Values) != 61 || !hour.From.Equal(at(11, 34).Truncate(time.Minute)) ||
		!hour.To.Equal(at(12, 35).Truncate(time.Minute)) {
		t.Fatalf("%+v", hour)
	}
	for i, v := range hour.Series[0].Values {
		want := map[int]int64{60: 2, 36: 1}[i]
		if v == nil || *v != want || *hour.Series[1].Values[i] != 0 {
			t.Errorf("minute %d (%v): not %d", i, hour.At(i), want)
		}
	}
	day := w.series(stats.SeriesQuery{Metrics: []string{"delivered"}, Step: stats.Hour})
	if len(day.Series[0].Values) != 25 || *day.Series[0].Values[24] != 3 || *day.Series[0].Values[21] != 1 || sum(day.Series[0].Values) != 4 {
		t.Errorf("%+v", day)
	}
	month := w.series(stats.SeriesQuery{Metrics: []string{"delivered"}, Step: stats.Day})
	if n := len(month.Series[0].Values); n != 31 || *month.Series[0].Values[n-1] != 4 || *month.Series[0].Values[n-2] != 1 {
		t.Errorf("%+v", month)
	}
	part := w.series(stats.SeriesQuery{Metrics: []string{"delivered"}, From: at(12, 9), To: at(12, 11).Truncate(time.Minute)})
	if len(part.Series[0].Values) != 2 || *part.Series[0].Values[1] != 1 {
		t.Errorf("%+v", part)
	}
	all := w.series(stats.SeriesQuery{})
	if len(all.Series) != 14 {
		t.Errorf("%d metrics", len(all.Series))
	}
}

func TestGaugesAreTheMeanOfSamplesAndTheSumOfNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.node("two")
	for _, node := range []*stats.Service{w.stats, other, other} {
		if err := node.Sample(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.pool.Exec(t.Context(), `UPDATE stat_gauge SET total = 5 WHERE metric = 'queue_depth' AND node = 'one'`); err != nil {
		t.Fatal(err)
	}
	for _, step := range []stats.Step{stats.Minute, stats.Hour, stats.Day} {
		got := w.series(stats.SeriesQuery{Metrics: []string{"memory_bytes", "connections_imap", "queue_depth"}, Step: step})
		for i, want := range []int64{2000, 6, 3} { // half of 5 is 2.5
			list := got.Series[i].Values
			if v := list[len(list)-1]; v == nil || *v != want || list[len(list)-2] != nil {
				t.Errorf("%v: %s is not %d", step, got.Series[i].Metric.Name, want)
			}
		}
	}
}

func TestAQuestionThatCannotBeAnsweredSaysWhatToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		q     stats.SeriesQuery
		where string
	}{
		"backwards":                {stats.SeriesQuery{From: noon(), To: noon().Add(-time.Hour)}, "query.from"},
		"the future":               {stats.SeriesQuery{From: noon().Add(time.Hour)}, "query.from"},
		"minutes of long ago":      {stats.SeriesQuery{From: noon().Add(-3 * day), To: noon().Add(-3*day + time.Hour), Step: stats.Minute}, "query.from"},
		"hours of long ago":        {stats.SeriesQuery{From: noon().Add(-61 * day), To: noon().Add(-60 * day), Step: stats.Hour}, "query.from"},
		"days of long ago":         {stats.SeriesQuery{From: noon().Add(-4 * 365 * day)}, "query.from"},
		"too many minutes":         {stats.SeriesQuery{From: noon().Add(-26 * time.Hour), Step: stats.Minute}, "query.step"},
		"a metric there is not":    {stats.SeriesQuery{Metrics: []string{"received", "cheese"}}, "query.metric"},
		"before time was reckoned": {stats.SeriesQuery{From: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)}, "query.from"},
	} {
		_, err := w.stats.Timeseries(t.Context(), system(), c.q)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Field != c.where {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		ago, long time.Duration
		want      stats.Step
	}{
		"an hour":            {time.Hour, time.Hour, stats.Minute},
		"a day":              {day, day, stats.Minute},
		"two days":           {2 * day, 2 * day, stats.Hour},
		"an hour, last week": {7 * day, time.Hour, stats.Hour},
		"59 days":            {59 * day, 59 * day, stats.Hour},
		"a year":             {365 * day, 365 * day, stats.Day},
	} {
		got := w.series(stats.SeriesQuery{From: noon().Add(-c.ago), To: noon().Add(c.long - c.ago)})
		if got.Step != c.want || len(got.Series[0].Values) > 1500 {
			t.Errorf("%s: %s with %d points", name, got.Step, len(got.Series[0].Values))
		}
	}
}
