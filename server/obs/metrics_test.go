package obs_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/obs"
)

// scrape returns the series as Prometheus sees them, name and labels to value.
func scrape(t *testing.T, m *obs.Metrics) map[string]string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("status %d", rec.Code)
	}
	series := map[string]string{}
	for line := range strings.Lines(rec.Body.String()) {
		if at := strings.LastIndexByte(line, ' '); !strings.HasPrefix(line, "#") && at > 0 {
			series[line[:at]] = strings.TrimSpace(line[at:])
		}
	}
	return series
}

func TestEveryMetricOfTheContractIsThereAtZeroFromTheStart_A68_A76(t *testing.T) {
	t.Parallel()
	got := scrape(t, obs.NewMetrics())
	want := []string{
		"mailserver_messages_received_total", "mailserver_messages_sent_total", "mailserver_messages_bounced_total",
		"mailserver_quota_exceeded_total", "mailserver_queue_depth", "mailserver_content_missing_total",
		"mailserver_outbound_connections", "mailserver_outbound_connections_limit",
		"mailserver_delivery_duration_seconds_count", "mailserver_delivery_duration_seconds_sum",
		`mailserver_delivery_duration_seconds_bucket{le="+Inf"}`,
	}
	for _, reason := range obs.Reasons() {
		want = append(want, `mailserver_messages_rejected_total{reason="`+string(reason)+`"}`)
	}
	for _, protocol := range []string{"smtp", "imap", "api", "dav", "console"} {
		for _, result := range []string{"ok", "fail", "throttled"} {
			want = append(want, `mailserver_auth_attempts_total{protocol="`+protocol+`",result="`+result+`"}`)
		}
	}
	for _, protocol := range []string{"smtp", "submission", "imap", "http"} {
		want = append(want, `mailserver_active_connections{protocol="`+protocol+`"}`)
	}
	for _, name := range want {
		if value, ok := got[name]; !ok || value != "0" {
			t.Errorf("%s = %q", name, value)
		}
		delete(got, name)
	}
	for name := range got {
		if !strings.HasPrefix(name, "mailserver_delivery_duration_seconds_bucket{") {
			t.Errorf("unexpected series %s", name)
		}
	}
}

func TestEachMethodMovesItsOwnSeries(t *testing.T) {
	t.Parallel()
	m := obs.NewMetrics()
	before := scrape(t, m)
	m.MessageReceived()
	m.MessageSent()
	m.MessageSent()
	m.MessageBounced()
	m.MessageRejected(obs.ReasonUnknownUser)
	m.MessageRejected("a reason nobody knows")
	m.Delivered(90 * time.Second)
	m.AuthAttempt(obs.AuthThrottled, obs.AuthIMAP)
	m.AuthAttempt("odd", obs.AuthIMAP)
	m.QuotaExceeded()
	m.ContentMissing()
	m.SetQueueDepth(func() float64 { return 42 })
	m.SetOutboundLimit(200)
	m.OutboundDialogue()
	m.OutboundDialogue()()
	closed := m.ConnectionOpened(obs.ConnIMAP)
	m.ConnectionOpened(obs.ConnHTTP)()
	m.ConnectionOpened("odd")()
	moved := map[string]string{}
	for name, value := range scrape(t, m) {
		if value != before[name] && !strings.Contains(name, "_bucket{") {
			moved[name] = value
		}
	}
	want := map[string]string{
		"mailserver_messages_received_total":                                 "1",
		"mailserver_messages_sent_total":                                     "2",
		"mailserver_messages_bounced_total":                                  "1",
		`mailserver_messages_rejected_total{reason="unknown_user"}`:          "1",
		`mailserver_messages_rejected_total{reason="other"}`:                 "1",
		"mailserver_delivery_duration_seconds_count":                         "1",
		"mailserver_delivery_duration_seconds_sum":                           "90",
		`mailserver_auth_attempts_total{protocol="imap",result="throttled"}`: "1",
		"mailserver_quota_exceeded_total":                                    "1",
		"mailserver_content_missing_total":                                   "1",
		"mailserver_queue_depth":                                             "42",
		"mailserver_outbound_connections":                                    "1",
		"mailserver_outbound_connections_limit":                              "200",
		`mailserver_active_connections{protocol="imap"}`:                     "1",
	}
	if diff := cmp.Diff(want, moved); diff != "" {
		t.Error(diff)
	}
	closed()
	closed()
	if got := scrape(t, m)[`mailserver_active_connections{protocol="imap"}`]; got != "0" {
		t.Errorf("closing a connection twice leaves %s", got)
	}
}

func TestNoMetricsAtAllIsAllowed(t *testing.T) {
	t.Parallel()
	var m *obs.Metrics
	m.MessageReceived()
	m.MessageSent()
	m.MessageBounced()
	m.MessageRejected(obs.ReasonLoop)
	m.Delivered(time.Second)
	m.AuthAttempt(obs.AuthOK, obs.AuthAPI)
	m.QuotaExceeded()
	m.ContentMissing()
	m.SetQueueDepth(nil)
	m.SetOutboundLimit(1)
	m.OutboundDialogue()()
	m.ConnectionOpened(obs.ConnSMTP)()
}

func TestReasonsAreListedOnce(t *testing.T) {
	t.Parallel()
	all := obs.Reasons()
	slices.Sort(all)
	if len(slices.Compact(all)) != len(obs.Reasons()) {
		t.Error("a reason is listed twice")
	}
}
