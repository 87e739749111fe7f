package smtpd_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/obs"
)

func scrape(t *testing.T, m *obs.Metrics, series string) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for text := range strings.Lines(rec.Body.String()) {
		if value, ok := strings.CutPrefix(text, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
