package webd

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// Options is what Mount needs.
type Options struct {
	// Health answers /health/detailed.
	Health *obs.Health
	// Metrics answers /metrics once the caller is allowed to read them.
	Metrics http.Handler
	// MayReadMetrics decides for callers that are not on this machine: it
	// reports whether the request carries a credential with metrics:read. Nil
	// refuses them.
	MayReadMetrics func(*http.Request) bool
	// Console serves the files of the console, the start page at "/". Nil
	// means there is none.
	Console http.Handler
	// Problem writes an RFC 9457 problem with a stable code. Nil uses a plain one.
	Problem func(w http.ResponseWriter, r *http.Request, status int, code string)
	// Logger gets one line a request.
	Logger *slog.Logger
	// Clock times requests.
	Clock clock.Clock
}

// Mount puts the middleware, /health, /metrics, the console and the answers to
// unknown paths on r. It must come before any other route of r, because chi
// takes middleware only then; the API adds its routes afterwards.
func Mount(r chi.Router, opts Options) {
	if opts.Problem == nil {
		opts.Problem = writeProblem
	}
	h := &handlers{opts}
	r.Use(RequestID, SecurityHeaders, AccessLog(opts.Logger, opts.Clock), Recover(opts.Logger, opts.Problem))
	for path, handler := range map[string]http.HandlerFunc{
		"/health":          h.health,
		"/health/detailed": h.healthDetailed,
		"/metrics":         h.metrics,
	} {
		r.Get(path, handler)
		r.Head(path, handler)
	}
	r.NotFound(h.page)
	r.MethodNotAllowed(h.methodNotAllowed)
}

type handlers struct{ Options }

// health says that the process answers. It looks at nothing (A78).
func (h *handlers) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, "application/json", []byte(`{"status":"ok"}`))
}

// healthDetailed looks at every component; 503 when one failed (A79).
func (h *handlers) healthDetailed(w http.ResponseWriter, r *http.Request) {
	report, status := h.Health.Check(r.Context()), http.StatusOK
	if !report.OK() {
		status = http.StatusServiceUnavailable
		for name, err := range report.Errors {
			h.Logger.WarnContext(r.Context(), "health check failed", slog.String("component", name), slog.Any("err", err))
		}
	}
	writeJSON(w, status, "application/json", encode(report))
}

// metrics is open to this machine and to metrics:read (S-50).
func (h *handlers) metrics(w http.ResponseWriter, r *http.Request) {
	switch {
	case fromThisMachine(r) || h.MayReadMetrics != nil && h.MayReadMetrics(r):
		h.Metrics.ServeHTTP(w, r)
	case r.Header.Get("Authorization") == "":
		w.Header().Set("WWW-Authenticate", "Bearer")
		h.Problem(w, r, http.StatusUnauthorized, "unauthenticated")
	default:
		h.Problem(w, r, http.StatusForbidden, "scope-missing")
	}
}

// fromThisMachine reports whether the request was made on this machine itself.
// One that a proxy on this machine passes on comes from somewhere else.
func fromThisMachine(r *http.Request) bool {
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// page answers every path that has no route: files of the console, its start
// page for paths that only the console's own router knows, else 404.
func (h *handlers) page(w http.ResponseWriter, r *http.Request) {
	if h.Console == nil || reserved(r.URL.Path) || r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	switch {
	case r.URL.Path == "/" || isFile(r.URL.Path):
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		start := r.Clone(r.Context())
		start.URL.Path, start.URL.RawPath = "/", ""
		r = start
	default:
		h.Problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	h.Console.ServeHTTP(&cachingWriter{ResponseWriter: w, path: r.URL.Path}, r)
}

// reserved reports whether the console has nothing below a path, so that a
// mistyped API path is a 404 and never a page.
func reserved(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(path), "/"), "/")
	switch first {
	case "v1", "compat", "docs", "problems", ".well-known", "mail", "autodiscover", "dav", "health", "metrics":
		return true
	}
	return strings.HasPrefix(first, "openapi")
}

// isFile reports whether a path names a file of the console: whatever is below
// /assets/, and a name with a dot at the top. Deeper down a dot belongs to a
// page, such as /queue/example.org.
func isFile(path string) bool {
	name, assets := strings.CutPrefix(path, "/assets/")
	name = strings.TrimPrefix(name, "/")
	return assets || strings.Contains(name, ".") && !strings.Contains(name, "/")
}

// cachingWriter says how long a found file may be kept: for ever when its name
// has a hash of its content, else until asked again.
type cachingWriter struct {
	http.ResponseWriter
	path  string
	wrote bool
}

// WriteHeader adds Cache-Control to a success.
func (c *cachingWriter) WriteHeader(status int) {
	if !c.wrote {
		c.wrote = true
		switch {
		case status >= http.StatusBadRequest:
			c.Header().Del("Cache-Control")
		case strings.HasPrefix(c.path, "/assets/"):
			c.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		default:
			c.Header().Set("Cache-Control", "no-cache")
		}
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write sends the header first, as every ResponseWriter does.
func (c *cachingWriter) Write(p []byte) (int, error) {
	if !c.wrote {
		c.WriteHeader(http.StatusOK)
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *cachingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// methodNotAllowed answers 405 with the methods that the path has (RFC 9110 §15.5.6).
func (h *handlers) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	routes := chi.RouteContext(r.Context()).Routes
	for _, method := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	} {
		if routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			w.Header().Add("Allow", method)
		}
	}
	h.Problem(w, r, http.StatusMethodNotAllowed, "method-not-allowed")
}
