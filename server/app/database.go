package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pg/local"
	"github.com/mailserver-dev/mailserver/server/schema"
)

// DataEntries are the names in a data directory that the server makes; a reset removes them and nothing else.
func DataEntries() []string {
	return []string{"postgres", "maildir", "lost", "tmp", "tls", "dev.json", "env", "serving", "owner.key", "master.key", "dkim"}
}

// private reports whether the server runs its own PostgreSQL, so that the data directory is its own as well.
func (a *App) private() bool { return a.opts.DSN == "" && a.cfg.DatabaseURL == "" }

func (a *App) openData(context.Context) error {
	dir, err := filepath.Abs(a.cfg.DataDir)
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	a.cfg.DataDir = dir
	// The account of PostgreSQL, which is another one when this process is root, has to pass through.
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // what is private below has modes of its own
		return fmt.Errorf("data_dir: %w", err)
	}
	if a.private() {
		if err := a.lockData(); err != nil {
			return err
		}
	}
	if a.opts.Reset {
		return a.reset()
	}
	return nil
}

// openDatabase starts the private cluster unless another database is configured.
func (a *App) openDatabase(ctx context.Context) error {
	if a.opts.DSN != "" {
		return nil
	}
	if a.cfg.DatabaseURL != "" {
		a.opts.DSN = a.cfg.DatabaseURL
		return nil
	}
	cluster, err := local.Start(ctx, local.Config{
		Dir: filepath.Join(a.cfg.DataDir, "postgres"), BinDir: a.cfg.Database.Embedded.BinDir, User: a.cfg.Database.Embedded.User,
		Settings: a.cfg.Database.Embedded.Settings, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.cluster, a.opts.DSN = cluster, cluster.DSN()
	a.onStop("database", cluster.Stop)
	return nil
}

// directDSN is the connection string for what a pooler must not share.
func (a *App) directDSN() string {
	if a.cfg.DatabaseURL == a.opts.DSN && a.cfg.DirectURL != "" {
		return a.cfg.DirectURL
	}
	return a.opts.DSN
}

func (a *App) migrate(ctx context.Context) error {
	if !a.cfg.Database.AutoMigrate {
		return a.checkSchema(ctx)
	}
	done, err := schema.Up(ctx, a.directDSN(), obs.AtLeast(a.log, slog.LevelWarn))
	if len(done.Files) > 0 {
		a.log.LogAttrs(ctx, slog.LevelInfo, "schema brought up to date", slog.Int("files", len(done.Files)))
	}
	return err
}

// checkSchema is for commands that only look: they change no schema.
func (a *App) checkSchema(ctx context.Context) error { return schema.Check(ctx, a.directDSN()) }

func (a *App) openPool(ctx context.Context) error {
	pool, err := a.openOne(ctx, a.opts.DSN, 12)
	if err != nil {
		return err
	}
	a.pool = pool
	if a.directDSN() == a.opts.DSN {
		return nil
	}
	a.direct, err = a.openOne(ctx, a.directDSN(), 2)
	return err
}

func (a *App) openOne(ctx context.Context, dsn string, conns int32) (*pg.Pool, error) {
	limits := a.cfg.Limits.Database
	pool, err := pg.Open(ctx, pg.Config{
		DSN: dsn, MaxConns: conns, MinIdleConns: 1, StatementTimeout: limits.StatementTimeout, LockTimeout: limits.LockTimeout,
		IdleTimeout: limits.IdleTimeout, Logger: a.log,
	})
	if err != nil {
		return nil, err
	}
	a.onStop("connections", func(context.Context) error {
		pool.Close()
		return nil
	})
	return pool, nil
}

// MigrateTo says what Migrate does: bring up, show, or go down to a version.
type MigrateTo struct {
	Status  bool
	Down    bool
	Version int64
}

// Migrate changes or shows the schema without serving.
func Migrate(ctx context.Context, cfg *config.Config, opts Options, to MigrateTo) (state schema.State, err error) {
	a := &App{cfg: cfg, opts: opts, log: opts.Log}
	defer func() { err = errors.Join(err, a.Stop(context.WithoutCancel(ctx))) }()
	for _, step := range []func(context.Context) error{a.openData, a.openDatabase} {
		if err := step(ctx); err != nil {
			return state, err
		}
	}
	switch {
	case to.Down:
		_, err = schema.Down(ctx, a.directDSN(), to.Version, a.log)
	case !to.Status:
		_, err = schema.Up(ctx, a.directDSN(), a.log)
	}
	if err != nil {
		return state, err
	}
	return schema.Status(ctx, a.directDSN())
}
