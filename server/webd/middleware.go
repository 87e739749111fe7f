package webd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// HeaderRequestID is the header that carries the request id both ways.
const HeaderRequestID = "Request-Id"

// RequestID gives the request an id: the caller's own if it is 8 to 64 of
// A-Z a-z 0-9 _ -, else a fresh one. The answer names it and the context
// carries it (obs.RequestID).
func RequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(HeaderRequestID)
		if !validRequestID(id) {
			id = obs.NewRequestID()
		}
		w.Header().Set(HeaderRequestID, id)
		next.ServeHTTP(w, r.WithContext(obs.WithRequestID(r.Context(), id)))
	})
}

func validRequestID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, r := range id {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return true
}

// contentSecurityPolicy is what S-39 asks for: scripts, styles and calls only
// of this origin, nothing inline, no frames around us.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// SecurityHeaders sets the headers of S-39 on every answer. A handler may
// replace them.
func SecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentSecurityPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		if r.TLS != nil && !isLocal(r.Host) {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal reports whether a Host is a name of this machine for itself. HSTS
// concerns all ports of a name, and on localhost plain HTTP is in use.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	_, err := netip.ParseAddr(host)
	return err == nil || host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// AccessLog writes one line a request: never the query, a header or a body,
// because secrets travel there (S-37). Probes are written at debug level.
func AccessLog(log *slog.Logger, clk clock.Clock) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			line := &accessLine{
				log: log, clk: clk, begin: clk.Now(), request: r, answer: middleware.NewWrapResponseWriter(w, r.ProtoMajor),
			}
			defer line.write(r.Context())
			next.ServeHTTP(line.answer, r)
		})
	}
}

// accessLine is a request that is being answered.
type accessLine struct {
	log     *slog.Logger
	clk     clock.Clock
	begin   time.Time
	request *http.Request
	answer  middleware.WrapResponseWriter
}

func (l *accessLine) write(ctx context.Context) {
	status := l.answer.Status()
	if status == 0 {
		status = http.StatusOK // what net/http sends when nothing was written
	}
	l.log.LogAttrs(ctx, accessLevel(l.request.URL.Path, status), "request",
		slog.String("method", l.request.Method),
		slog.String("path", l.request.URL.Path),
		slog.String("route", routeOf(l.request)),
		slog.Int("status", status),
		slog.Int("bytes", l.answer.BytesWritten()),
		slog.Int64("duration_ms", clock.Since(l.clk, l.begin).Milliseconds()),
		slog.String("remote", remoteHost(l.request)),
	)
}

func accessLevel(path string, status int) slog.Level {
	switch {
	case status >= http.StatusInternalServerError:
		return slog.LevelWarn
	case path == "/health" || path == "/health/detailed" || path == "/metrics":
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// routeOf is the pattern that matched, "" if none did.
func routeOf(r *http.Request) string {
	if rc := chi.RouteContext(r.Context()); rc != nil {
		return rc.RoutePattern()
	}
	return ""
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Recover turns a panic of a handler into a problem 500 that says nothing, and
// into a log line with the stack. When the answer has begun, the connection is
// cut so that nobody takes half an answer for a whole one.
func Recover(log *slog.Logger, problem func(http.ResponseWriter, *http.Request, int, string)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer recovered(r.Context(), log, wrapped.Status, func() {
				for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "Etag", "Last-Modified", "Set-Cookie"} {
					wrapped.Header().Del(name)
				}
				problem(wrapped, r, http.StatusInternalServerError, "internal")
			})
			next.ServeHTTP(wrapped, r)
		})
	}
}

// recovered is deferred itself, for recover works only there. status is 0
// while nothing was answered; answer then says that the server is at fault.
func recovered(ctx context.Context, log *slog.Logger, status func() int, answer func()) {
	fault := recover()
	if fault == nil {
		return
	}
	if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	log.ErrorContext(ctx, "a handler panicked", slog.Any("err", fault), slog.String("stack", string(debug.Stack())))
	if status() != 0 {
		panic(http.ErrAbortHandler)
	}
	answer()
}
