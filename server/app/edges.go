package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/errgroup"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/console"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/imapd"
	"github.com/mailserver-dev/mailserver/server/smtpd"
	"github.com/mailserver-dev/mailserver/server/webd"
)

var errQueueStopped = errors.New("the queue's client has stopped")

// role says which part of a node a listener belongs to.
func role(name string) string {
	switch name {
	case "submission", "submissions":
		return "submission"
	case "imap", "imaps":
		return "imap"
	case "http", "https":
		return "api"
	}
	return name
}

// startEdges serves the listeners, which were bound at the beginning.
func (a *App) startEdges(ctx context.Context) error {
	a.onStop("edges", a.stopEdges)
	a.serveSMTP(ctx)
	a.serveIMAP(ctx)
	return a.serveHTTP()
}

// edge is a server that Stop ends together with the others.
type edge struct {
	name     string
	shutdown func(context.Context) error
}

// stopEdges ends all edges at once, so that one slow client does not keep the others open. Clients that do not leave within
// their time are cut; that is no fault of the server.
func (a *App) stopEdges(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Limits.StopTimeout*6/10)
	defer cancel()
	var g errgroup.Group
	for _, e := range a.edges {
		g.Go(func() error {
			err := e.shutdown(ctx)
			if ctx.Err() == nil {
				return err
			}
			a.log.LogAttrs(ctx, slog.LevelWarn, "clients that did not leave were cut", slog.String("edge", e.name), slog.Any("error", err))
			return nil
		})
	}
	return g.Wait()
}

// serve runs a listener; its error ends the server.
func (a *App) serve(name string, f func() error) {
	go func() {
		if err := f(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			select {
			case a.failed <- fmt.Errorf("%s: %w", name, err):
			default:
			}
		}
	}()
}

func (a *App) serveSMTP(ctx context.Context) {
	server := smtpd.New(smtpd.Config{
		Hostname: a.cfg.Hostname, Limits: smtpLimits(a.cfg), TLS: a.certs.TLSConfig(), Clock: a.opts.Clock, Logger: a.log, Metrics: a.metrics,
		Authenticator: a.Accounts, Arrivals: a.Inbound, Departures: a.Outbound,
	})
	for name, port := range map[string]smtpd.Port{"smtp": smtpd.Port25, "submission": smtpd.Port587, "submissions": smtpd.Port465} {
		if ln := a.listeners[name]; ln != nil {
			a.serve(name, func() error { return server.Serve(context.WithoutCancel(ctx), ln, port) })
		}
	}
	a.edges = append(a.edges, edge{"smtp", server.Shutdown})
}

// smtpLimits carries the configured bounds to the edge. What is no key of the configuration keeps its default.
func smtpLimits(cfg *config.Config) smtpd.Limits {
	l := smtpd.DefaultLimits()
	if cfg.Limits.Profile == "none" {
		l = l.Lifted()
	}
	c := cfg.Limits.SMTP
	l.MessageBytes = int64(cfg.Limits.MessageBytes)
	l.RecipientsInbound, l.RecipientsSubmission = cfg.Limits.RecipientsInbound, cfg.Limits.RecipientsSubmission
	l.Connections, l.ConnectionsPerIP, l.ConnectionsPerNetwork = c.Connections, c.ConnectionsPerIP, c.ConnectionsPerNetwork
	l.ErrorsSoft, l.ErrorsHard, l.JunkCommands = c.ErrorsSoft, c.ErrorsHard, c.JunkCommands
	l.SessionMessages, l.SessionLife = c.SessionMessages, c.SessionLife
	l.Handshake, l.Command, l.Stress = cfg.Limits.TLSHandshakeTimeout, c.CommandTimeout, c.StressTimeout
	l.DataBlock, l.DataTotal, l.DataRate = c.DataTimeout, c.DataTotal, c.DataMinRate
	l.Stop = cfg.Limits.StopTimeout
	return l
}

func (a *App) serveIMAP(ctx context.Context) {
	server := imapd.New(imapd.Config{
		Hostname: a.cfg.Hostname, Version: a.opts.Version, TLS: a.certs.TLSConfig(), Limits: imapLimits(a.cfg), Clock: a.opts.Clock, Logger: a.log,
		Metrics: a.metrics, Accounts: a.Accounts, Mailboxes: a.Mailboxes, Bus: a.bus,
	})
	for name, kind := range map[string]imapd.Kind{"imap": imapd.Plain, "imaps": imapd.ImplicitTLS} {
		if ln := a.listeners[name]; ln != nil {
			a.serve(name, func() error { return server.Serve(context.WithoutCancel(ctx), ln, kind) })
		}
	}
	a.edges = append(a.edges, edge{"imap", server.Shutdown})
}

func imapLimits(cfg *config.Config) imapd.Limits {
	l := imapd.DefaultLimits()
	if cfg.Limits.Profile == "none" {
		l = l.Lifted()
	}
	c := cfg.Limits.IMAP
	l.Connections, l.ConnectionsPerUser, l.PreAuthPerIP = c.Connections, c.ConnectionsPerUser, c.PreAuthPerIP
	l.CommandsPerMinute, l.AuthFailures, l.PreAuth, l.Idle = c.CommandsPerMinute, c.AuthFailures, c.PreAuthTimeout, c.IdleTimeout
	l.Handshake, l.MessageBytes = cfg.Limits.TLSHandshakeTimeout, int64(cfg.Limits.MessageBytes)
	return l
}

func (a *App) serveHTTP() error {
	surface, err := api.New(api.Deps{
		Clock: a.opts.Clock, Log: a.log, Limits: a.cfg.Limits, Accounts: a.Accounts, Domains: a.Domains, Events: a.Events,
		Mailboxes: a.Mailboxes, Outbound: a.Outbound, Idem: a.idem, Limiter: a.limiter, Stats: a.Stats, Bus: a.bus,
	})
	if err != nil {
		return err
	}
	router := chi.NewRouter()
	webd.Mount(router, webd.Options{
		Health: a.health, Metrics: a.metrics.Handler(), MayReadMetrics: surface.MayReadMetrics, Console: console.Handler(),
		Problem: surface.Problem, Logger: a.log, Clock: a.opts.Clock,
	})
	if err := surface.Mount(router); err != nil {
		return err
	}
	for _, name := range []string{"http", "https"} {
		ln := a.listeners[name]
		if ln == nil {
			continue
		}
		opts := webd.ServerOptions{Handler: router, Limits: a.cfg.Limits.HTTP, Metrics: a.metrics, Logger: a.log}
		if name == "https" {
			opts.TLS = a.certs.TLSConfig()
		}
		server := webd.NewServer(opts)
		server.OnShutdown(surface.EndStreams)
		a.serve(name, func() error { return server.Serve(ln) })
		a.edges = append(a.edges, edge{name, server.Shutdown})
	}
	return nil
}
