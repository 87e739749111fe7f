package webd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/obs"
)

const (
	// idleTimeout is how long a connection may wait for its next request.
	idleTimeout = 2 * time.Minute
	// maxStreams bounds the requests of one HTTP/2 connection at a time.
	maxStreams = 100
)

// ServerOptions is what one HTTP listener needs.
type ServerOptions struct {
	Handler http.Handler
	// TLS makes it an HTTPS server. Nil means plain HTTP.
	TLS *tls.Config
	// Limits are limits.http of the configuration. Zero values of times and
	// sizes mean the defaults, zero counts no limit.
	Limits config.HTTPLimits
	// Metrics counts open connections. May be nil.
	Metrics *obs.Metrics
	Logger  *slog.Logger
}

// Server is one HTTP or HTTPS listener with its limits (S-13, S-14).
type Server struct {
	http   *http.Server
	limits config.HTTPLimits
	gauge  *obs.Metrics
}

// NewServer returns a server that Serve starts.
func NewServer(opts ServerOptions) *Server {
	defaults := config.Default(config.Serve).Limits.HTTP
	if opts.Limits.HeaderTimeout <= 0 {
		opts.Limits.HeaderTimeout = defaults.HeaderTimeout
	}
	if opts.Limits.HeaderBytes <= 0 {
		opts.Limits.HeaderBytes = defaults.HeaderBytes
	}
	return &Server{
		limits: opts.Limits,
		gauge:  opts.Metrics,
		http: &http.Server{
			Handler:           slowBody(opts.Handler, pace{opts.Limits.BodyMinRate, bodyGrace, drainTime}),
			TLSConfig:         opts.TLS,
			ReadHeaderTimeout: opts.Limits.HeaderTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    int(opts.Limits.HeaderBytes),
			HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
			// Handshake errors of strangers are all that is left to report here.
			ErrorLog: slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
		},
	}
}

// Serve answers on ln until Shutdown and then returns nil. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	ln = newGuard(ln, s.limits.Connections, s.limits.ConnectionsPerIP, s.gauge)
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(ln, "", "")
	} else {
		err = s.http.Serve(ln)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// OnShutdown adds a function that is called when Shutdown begins: a place to
// end streams, which would otherwise hold it up.
func (s *Server) OnShutdown(f func()) { s.http.RegisterOnShutdown(f) }

// Shutdown stops accepting, lets requests finish, and cuts those that are left
// when ctx ends; then it returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
