package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/mailserver-dev/mailserver/server/app"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// stopWithin bounds the whole stop, the database included.
const stopWithin = 10 * time.Second

type serveCmd struct{ common }

// Run serves until a signal ends the context.
func (c serveCmd) Run(ctx context.Context, env environment) error {
	cfg, err := c.load(env, config.Serve)
	if err != nil {
		return err
	}
	log := newLogger(cfg, env)
	a, err := app.Start(ctx, cfg, options(log))
	if err != nil {
		return err
	}
	log.LogAttrs(ctx, slog.LevelInfo, "ready", slog.Any("listen", a.Listening()))
	return wait(ctx, a, max(stopWithin, cfg.Limits.StopTimeout+5*time.Second))
}

func newLogger(cfg *config.Config, env environment) *slog.Logger {
	return obs.NewLogger(env.stderr, obs.LogOptions{Log: cfg.Log})
}

func options(log *slog.Logger) app.Options {
	return app.Options{Log: log, Clock: clock.System(), Version: version}
}

// wait returns after the context ended, or a part of the server failed, and everything was stopped.
func wait(ctx context.Context, a *app.App, within time.Duration) error {
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-a.Failed():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	return errors.Join(failed, a.Stop(stopping))
}

type migrateCmd struct {
	common
	Status bool  `help:"Show the versions and change nothing."`
	To     int64 `help:"Go down to this version; 0 removes every table." default:"-1"`
}

// Run migrates, or shows the state.
func (c migrateCmd) Run(ctx context.Context, env environment) error {
	cfg, err := c.load(env, config.Serve)
	if err != nil {
		return err
	}
	state, err := app.Migrate(ctx, cfg, options(newLogger(cfg, env)), app.MigrateTo{Status: c.Status, Down: c.To >= 0, Version: c.To})
	if err != nil {
		return err
	}
	if c.JSON {
		return env.printJSON(state)
	}
	w := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tNAME\tSTATE")
	for _, m := range state.Applied {
		fmt.Fprintf(w, "%d\t%s\tapplied\n", m.Version, m.Name)
	}
	for _, m := range state.Pending {
		fmt.Fprintf(w, "%d\t%s\tpending\n", m.Version, m.Name)
	}
	for _, v := range state.Unknown {
		fmt.Fprintf(w, "%d\t-\tunknown to this version\n", v)
	}
	fmt.Fprintf(w, "%d\tqueue\tof %d\n", state.Queue, state.QueueWanted)
	return w.Flush()
}

type verifyCmd struct {
	common
	Fix        bool      `help:"Move orphans to lost/ and mend counters. Nothing is deleted."`
	AdoptSince time.Time `help:"After a failover that lost commits: give files without a row written since this time (RFC 3339) a row in the inbox of their owner. The server must not run." placeholder:"TIME"`
}

// Run checks the store and exits 1 when something is wrong.
func (c verifyCmd) Run(ctx context.Context, env environment) error {
	cfg, err := c.load(env, config.Serve)
	if err != nil {
		return err
	}
	report, err := app.Verify(ctx, cfg, options(newLogger(cfg, env)), app.VerifyOptions{Fix: c.Fix, AdoptSince: c.AdoptSince})
	if err != nil {
		return err
	}
	if c.JSON {
		err = env.printJSON(report)
	} else {
		_, err = fmt.Fprint(env.stdout, report.Text())
	}
	if err == nil && !report.Clean {
		return quietError{}
	}
	return err
}
