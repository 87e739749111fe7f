package webd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/webd"
)

// site is a router with everything mounted and one API route.
type site struct {
	chi.Router
	log     *bytes.Buffer
	storage error
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Router: chi.NewRouter(), log: &bytes.Buffer{}}
	health := obs.NewHealth(clock.System())
	health.Register("database", func(context.Context) error { return nil })
	health.Register("storage", func(context.Context) error { return s.storage })
	webd.Mount(s, webd.Options{
		Health:         health,
		Metrics:        obs.NewMetrics().Handler(),
		MayReadMetrics: func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer good" },
		Console: http.FileServerFS(fstest.MapFS{
			"index.html":         {Data: []byte("<title>start</title>")},
			"assets/app-1f2e.js": {Data: []byte("js")},
			"favicon.ico":        {Data: []byte("ico")},
		}),
		Logger: obs.NewLogger(s.log, obs.LogOptions{Log: config.Log{Level: "debug", Format: "json"}}),
		Clock:  clock.System(),
	})
	s.Get("/v1/things/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(obs.RequestID(r.Context())))
	})
	s.Post("/v1/things/{id}", func(http.ResponseWriter, *http.Request) {})
	s.Get("/v1/panic", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", "x")
		panic("the secret reason")
	})
	s.Get("/v1/late", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("too late")
	})
	return s
}

// get asks as a stranger unless edit says otherwise.
func (s *site) get(path string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for _, f := range edit {
		f(r)
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	return rec
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func method(name string) func(*http.Request) { return func(r *http.Request) { r.Method = name } }

func from(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }

func code(t *testing.T, rec *httptest.ResponseRecorder) string {
	t.Helper()
	var p struct {
		Code      string `json:"code"`
		Status    int    `json:"status"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v: %s", err, rec.Body)
	}
	if rec.Header().Get("Content-Type") != "application/problem+json" || p.Status != rec.Code || p.RequestID != rec.Header().Get("Request-Id") {
		t.Errorf("odd problem %s with %v", rec.Body, rec.Header())
	}
	return p.Code
}

func TestHealthIsExactlyTheContract_A78(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.storage = errors.New("x")
	rec := s.get("/health")
	if rec.Code != 200 || rec.Body.String() != `{"status":"ok"}` || rec.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %q %v", rec.Code, rec.Body, rec.Header())
	}
}

func TestDetailedHealthIs503WhenOneComponentFails_A79_S50(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if rec := s.get("/health/detailed"); rec.Code != 200 || rec.Body.String() != `{"status":"ok","components":{"database":"ok","storage":"ok"}}` {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	s = newSite(t)
	s.storage = errors.New("statfs /var/lib/mailserver: gone")
	rec := s.get("/health/detailed")
	if rec.Code != 503 || rec.Body.String() != `{"status":"failed","components":{"database":"ok","storage":"failed"}}` {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if !strings.Contains(s.log.String(), "statfs") {
		t.Errorf("the reason is not in the log: %s", s.log)
	}
}

func TestMetricsAreForThisMachineAndForTheScope_S50(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		edit []func(*http.Request)
		want int
		code string
	}{
		"loopback":            {[]func(*http.Request){from("127.0.0.1:5")}, 200, ""},
		"loopback 6":          {[]func(*http.Request){from("[::1]:5")}, 200, ""},
		"mapped loopback":     {[]func(*http.Request){from("[::ffff:127.0.0.1]:5")}, 200, ""},
		"stranger":            {[]func(*http.Request){from("192.0.2.1:5")}, 401, "unauthenticated"},
		"nobody":              {[]func(*http.Request){from("@")}, 401, "unauthenticated"},
		"good token":          {[]func(*http.Request){from("192.0.2.1:5"), header("Authorization", "Bearer good")}, 200, ""},
		"bad token":           {[]func(*http.Request){from("192.0.2.1:5"), header("Authorization", "Bearer bad")}, 403, "scope-missing"},
		"behind a proxy":      {[]func(*http.Request){from("127.0.0.1:5"), header("X-Forwarded-For", "192.0.2.1")}, 401, "unauthenticated"},
		"behind a good proxy": {[]func(*http.Request){from("127.0.0.1:5"), header("Forwarded", "for=192.0.2.1"), header("Authorization", "Bearer good")}, 200, ""},
	} {
		rec := s.get("/metrics", c.edit...)
		if rec.Code != c.want {
			t.Errorf("%s: %d", name, rec.Code)
			continue
		}
		if c.want == 200 && !strings.Contains(rec.Body.String(), "mailserver_messages_received_total 0") {
			t.Errorf("%s: %s", name, rec.Body)
		}
		if c.want != 200 && code(t, rec) != c.code {
			t.Errorf("%s: %s", name, rec.Body)
		}
		if (rec.Code == 401) != (rec.Header().Get("WWW-Authenticate") == "Bearer") {
			t.Errorf("%s: WWW-Authenticate %q", name, rec.Header().Get("WWW-Authenticate"))
		}
	}
}

func TestTheRequestIdIsTakenOverIfItIsHarmlessAndAlwaysAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	fresh := regexp.MustCompile(`^req_[a-z0-9]{26}$`)
	for given, keep := range map[string]bool{
		"":                      false,
		"short":                 false,
		"12345678":              true,
		"Trace-id_1":            true,
		strings.Repeat("a", 64): true,
		strings.Repeat("a", 65): false,
		"with blank":            false,
		"with\"quote":           false,
		"umlaut-ä":              false,
	} {
		rec := s.get("/v1/things/1", header("Request-Id", given))
		got := rec.Header().Get("Request-Id")
		if keep && got != given || !keep && !fresh.MatchString(got) {
			t.Errorf("%q became %q", given, got)
		}
		if rec.Body.String() != got {
			t.Errorf("the handler saw %q, the caller %q", rec.Body, got)
		}
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders_S39(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/", "/health", "/v1/none", "/v1/panic", "/metrics", "/domains"} {
		h := s.get(path).Header()
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") ||
			strings.Contains(h.Get("Content-Security-Policy"), "unsafe") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" ||
			h.Get("X-Frame-Options") != "DENY" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" || h.Get("Permissions-Policy") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestHSTSIsSentOverTLSButNeverForLocalhost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for url, want := range map[string]bool{
		"https://mail.demo.test/health":   true,
		"http://mail.demo.test/health":    false,
		"https://localhost:8444/health":   false,
		"https://127.0.0.1:8444/health":   false,
		"https://[::1]:8444/health":       false,
		"https://app.localhost/health":    false,
		"https://mail.demo.test:1/health": true,
	} {
		if got := s.get(url).Header().Get("Strict-Transport-Security") != ""; got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

func TestTheConsoleAnswersItsOwnPathsAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	html := header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	const start = "<title>start</title>"
	for path, c := range map[string]struct {
		edit  []func(*http.Request)
		code  int
		body  string
		cache string
	}{
		"/":                     {nil, 200, start, "no-cache"},
		"/domains":              {[]func(*http.Request){html}, 200, start, "no-cache"},
		"/domains/dom_1/dns":    {[]func(*http.Request){html}, 200, start, "no-cache"},
		"/mailboxes":            {[]func(*http.Request){html}, 200, start, "no-cache"},
		"/users":                {[]func(*http.Request){header("Accept", "*/*")}, 404, "", "no-store"},
		"/favicon.ico":          {nil, 200, "ico", "no-cache"},
		"/assets/app-1f2e.js":   {nil, 200, "js", "public, max-age=31536000, immutable"},
		"/assets/gone.js":       {[]func(*http.Request){html}, 404, "404 page not found\n", ""},
		"/v1/nothing":           {[]func(*http.Request){html}, 404, "", "no-store"},
		"/openapi.yml":          {[]func(*http.Request){html}, 404, "", "no-store"},
		"/docs":                 {[]func(*http.Request){html}, 404, "", "no-store"},
		"/mail/config-v1.1.xml": {[]func(*http.Request){html}, 404, "", "no-store"},
		"/Autodiscover/x.xml":   {[]func(*http.Request){html}, 404, "", "no-store"},
		"/.well-known/security": {[]func(*http.Request){html}, 404, "", "no-store"},
		"/compat/resend":        {[]func(*http.Request){html}, 404, "", "no-store"},
		"/problems/none":        {[]func(*http.Request){html}, 404, "", "no-store"},
		"/health/other":         {[]func(*http.Request){html}, 404, "", "no-store"},
		"/queue/example.org":    {[]func(*http.Request){html}, 200, start, "no-cache"},
		"/queue/example.org.":   {nil, 404, "", "no-store"},
		"/assets/gone":          {[]func(*http.Request){html}, 404, "404 page not found\n", ""},
		"/gone.txt":             {[]func(*http.Request){html}, 404, "404 page not found\n", ""},
		"/../etc/passwd.txt":    {nil, 404, "", "no-store"},
	} {
		rec := s.get(path, c.edit...)
		if rec.Code != c.code || rec.Header().Get("Cache-Control") != c.cache {
			t.Errorf("%s: %d %v", path, rec.Code, rec.Header())
		}
		if c.body != "" && rec.Body.String() != c.body {
			t.Errorf("%s: %s", path, rec.Body)
		}
		if c.body == "" && code(t, rec) != "not-found" {
			t.Errorf("%s: %s", path, rec.Body)
		}
	}
	if rec := s.get("/domains", html, method(http.MethodPost)); rec.Code != 404 || code(t, rec) != "not-found" {
		t.Errorf("POST to a page: %d", rec.Code)
	}
}

func TestWithoutAConsoleEverythingElseIsNotFound(t *testing.T) {
	t.Parallel()
	r := chi.NewRouter()
	webd.Mount(r, webd.Options{Logger: slog.New(slog.DiscardHandler), Clock: clock.System()})
	rec := httptest.NewRecorder()
	r.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != 404 || code(t, rec) != "not-found" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestAWrongMethodNamesTheRightOnes(t *testing.T) {
	t.Parallel()
	rec := newSite(t).get("/v1/things/7", method(http.MethodDelete))
	if rec.Code != 405 || code(t, rec) != "method-not-allowed" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if diff := cmp.Diff([]string{"GET", "POST"}, rec.Header().Values("Allow")); diff != "" {
		t.Error(diff)
	}
}

func TestAPanicIsAProblemThatSaysNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rec := s.get("/v1/panic")
	if rec.Code != 500 || code(t, rec) != "internal" || strings.Contains(rec.Body.String(), "secret reason") || rec.Header().Get("Etag") != "" {
		t.Errorf("%d %s %v", rec.Code, rec.Body, rec.Header())
	}
	if log := s.log.String(); !strings.Contains(log, "secret reason") || !strings.Contains(log, "webd_test.go") || !strings.Contains(log, rec.Header().Get("Request-Id")) {
		t.Errorf("the log does not help: %s", log)
	}
}

func TestAPanicAfterTheHeaderCutsTheConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	defer func() {
		if fault := recover(); fault != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			t.Errorf("recovered %v", fault)
		}
		if !strings.Contains(s.log.String(), "too late") {
			t.Errorf("log: %s", s.log)
		}
	}()
	s.get("/v1/late")
	t.Error("the half answer looks whole")
}

func TestTheAccessLogTellsTheRequestAndNoSecret_S37(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.get("/v1/things/7?token=planted&x=planted", header("Request-Id", "trace-0001"), header("Authorization", "Bearer planted"))
	var got map[string]any
	if err := json.Unmarshal(s.log.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	delete(got, "duration_ms")
	want := map[string]any{
		"level": "INFO", "msg": "request", "method": "GET", "path": "/v1/things/7", "route": "/v1/things/{id}",
		"status": 200.0, "bytes": 10.0, "remote": "192.0.2.1", "request_id": "trace-0001",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for path, level := range map[string]string{"/health": "DEBUG", "/v1/panic": "WARN"} {
		s := newSite(t)
		s.get(path)
		if !strings.Contains(s.log.String(), `"level":"`+level+`","msg":"request"`) {
			t.Errorf("%s: %s", path, s.log)
		}
	}
	s = newSite(t)
	s.get("/v1/things/1", method(http.MethodPost))
	if !strings.Contains(s.log.String(), `"status":200`) {
		t.Errorf("an empty answer: %s", s.log)
	}
}

func TestTheAccessLogMeasuresWithTheGivenClock(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	clk := clock.NewFake(time.Unix(0, 0))
	h := webd.AccessLog(slog.New(slog.NewJSONHandler(&log, nil)), clk)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		clk.Advance(1500 * time.Millisecond)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(log.String(), `"duration_ms":1500`) {
		t.Error(log.String())
	}
}
