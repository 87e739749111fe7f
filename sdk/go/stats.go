package mailserver

import (
	"context"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Stats are the numbers of the server, now and over time.
type Stats struct{ api *api.ClientWithResponses }

// Overview gives how the server does now, or, when the id of a domain is given, how that domain does.
func (s Stats) Overview(ctx context.Context, domainID string, options ...CallOption) (*StatsOverview, error) {
	return got(s.api.GetStatsOverviewWithResponse(with(ctx, options), &api.GetStatsOverviewParams{DomainID: given(domainID)}))
}

// Timeseries says which numbers are wanted, and of when; zero fields do not narrow it.
type Timeseries struct {
	Metrics  []StatsSeriesMetric // all when empty
	From     time.Time           // an hour before To, or more with a longer Step, when zero
	To       time.Time           // now when zero
	Step     StatsTimeseriesStep // the shortest that fits when empty
	DomainID string
}

// Timeseries gives metrics over time, at most 1,500 points of each.
func (s Stats) Timeseries(ctx context.Context, f Timeseries, options ...CallOption) (*StatsTimeseries, error) {
	params := &api.GetStatsTimeseriesParams{
		From: given(f.From), To: given(f.To), Step: given(api.GetStatsTimeseriesParamsStep(f.Step)), DomainID: given(f.DomainID),
	}
	if len(f.Metrics) > 0 {
		metrics := make([]api.GetStatsTimeseriesParamsMetric, len(f.Metrics))
		for i, m := range f.Metrics {
			metrics[i] = api.GetStatsTimeseriesParamsMetric(m)
		}
		params.Metric = &metrics
	}
	return got(s.api.GetStatsTimeseriesWithResponse(with(ctx, options), params))
}
