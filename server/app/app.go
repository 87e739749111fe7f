package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/certs"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/inbound"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pg/local"
	"github.com/mailserver-dev/mailserver/server/queue"
	"github.com/mailserver-dev/mailserver/server/seal"
	"github.com/mailserver-dev/mailserver/server/stats"
)

// Options are what the caller of the program decides.
type Options struct {
	Log     *slog.Logger
	Clock   clock.Clock
	Version string
	// DSN replaces database_url and the private cluster. Tests give each server a database of a shared cluster.
	DSN string
	// Reset deletes everything in the data directory first, unless another server uses it.
	Reset bool
	// MovePorts lets a listener whose default port is busy take the next free one; Moved tells.
	MovePorts bool
}

// App is a running server.
type App struct {
	cfg  *config.Config
	opts Options
	log  *slog.Logger

	metrics *obs.Metrics
	health  *obs.Health
	cluster *local.Cluster
	pool    *pg.Pool
	direct  *pg.Pool // nil unless direct_url differs
	bus     *bus.Bus
	bodies  *body.Store
	box     *seal.Box
	// resolver is never nil.
	resolver dns.Resolver
	certs    *certs.Pair
	queue    *queue.Client

	// The services, for the demo data and for tests. Everybody else goes through the API.
	Domains   *domain.Service
	Accounts  *account.Service
	Mailboxes *mailbox.Service
	Events    *event.Service
	Inbound   *inbound.Service
	Outbound  *outbound.Service
	Stats     *stats.Service
	limiter   *limit.Limiter
	idem      *idem.Keys

	listeners map[string]net.Listener
	listening map[string]string
	moved     []string
	edges     []edge
	failed    chan error
	undo      []func(context.Context) error
}

// Start builds and starts a server. When it returns an error, everything that was started is stopped again.
func Start(ctx context.Context, cfg *config.Config, opts Options) (*App, error) {
	a := &App{
		cfg: cfg, opts: opts, log: opts.Log, listeners: map[string]net.Listener{}, listening: map[string]string{}, failed: make(chan error, 16),
	}
	steps := []func(context.Context) error{
		a.openData, a.listen, a.serveProfiles, a.openDatabase, a.migrate, a.openPool, a.buildServices, a.openCertificates, a.startWork, a.ownerKey, a.startEdges, a.announce,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Limits.StopTimeout)
			defer cancel()
			return nil, errors.Join(err, a.Stop(stopping))
		}
	}
	return a, nil
}

// lastMoments is what each part gets to stop when the caller's time is over: nothing that was acknowledged may be cut.
const lastMoments = 3 * time.Second

// Stop ends everything in the reverse order of Start: no new connections, running work finished, then the database.
func (a *App) Stop(ctx context.Context) error {
	var errs []error
	for _, undo := range slices.Backward(a.undo) {
		part, cancel := ctx, func() {}
		if ctx.Err() != nil {
			part, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastMoments)
		}
		errs = append(errs, undo(part))
		cancel()
	}
	a.undo = nil
	return errors.Join(errs...)
}

// onStop adds what Stop does before everything added earlier.
func (a *App) onStop(name string, f func(context.Context) error) {
	a.undo = append(a.undo, func(ctx context.Context) error {
		begin := a.opts.Clock.Now()
		err := f(ctx)
		a.log.LogAttrs(ctx, slog.LevelDebug, "stopped", slog.String("part", name), slog.Duration("took", clock.Since(a.opts.Clock, begin)))
		if err != nil {
			return fmt.Errorf("stop %s: %w", name, err)
		}
		return nil
	})
}

// Failed gives the error of a listener that ended by itself.
func (a *App) Failed() <-chan error { return a.failed }

// Listening gives the address of each listener that is on: "smtp" to "127.0.0.1:2525".
func (a *App) Listening() map[string]string { return a.listening }

// Moved tells which listeners could not have their default port, in sentences for people.
func (a *App) Moved() []string { return a.moved }

// CAFile is the PEM file that clients of a self-signed server trust; empty for certificates from files.
func (a *App) CAFile() string { return a.certs.CAFile }

// goRun runs f until its context ends; Stop waits for it.
func (a *App) goRun(ctx context.Context, name string, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	a.onStop(name, func(stopping context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-stopping.Done():
			return stopping.Err()
		}
	})
}
