package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/mailserver-dev/mailserver/server/obs"
)

// serveProfiles opens the listener for profiles when there is one. It is up before everything slow and down after it, and stays
// apart from the HTTP listeners, which strangers reach.
func (a *App) serveProfiles(ctx context.Context) error {
	if a.cfg.Debug.PprofListen == "" {
		return nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.Debug.PprofListen)
	if err != nil {
		return fmt.Errorf("debug.pprof_listen: %w", err)
	}
	server := &http.Server{
		Handler: obs.Profiles(), ReadHeaderTimeout: a.cfg.Limits.HTTP.HeaderTimeout,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	a.listening["pprof"] = ln.Addr().String()
	a.serve("pprof", func() error { return server.Serve(ln) })
	a.onStop("profiles", func(context.Context) error { return server.Close() })
	a.log.LogAttrs(ctx, slog.LevelWarn, "profiles of this process can be read by every account of this machine", slog.String("listen", ln.Addr().String()))
	return nil
}
