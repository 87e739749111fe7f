package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/mailserver-dev/mailserver/migrations"
)

// table records the SQL files that were applied.
const table = "schema_migrations"

// Report says what Up or Down did.
type Report struct {
	// Files are the SQL files in the order in which they were applied or taken back.
	Files []Migration
	// Queue are the numbers of River's migrations, likewise.
	Queue []int
}

// Up applies every migration that the database lacks, under a lock that any number of starting nodes wait for. It returns a
// NewerError, and changes nothing, when a newer version has run on the database. A failed file is rolled back and not recorded;
// the files before it stay.
func Up(ctx context.Context, dsn string, log *slog.Logger) (Report, error) {
	return up(ctx, dsn, migrations.FS, log)
}

// Down takes back every SQL file with a version above toVersion, and River's tables too when toVersion is 0. It destroys data.
func Down(ctx context.Context, dsn string, toVersion int64, log *slog.Logger) (Report, error) {
	return down(ctx, dsn, migrations.FS, toVersion, log)
}

func up(ctx context.Context, dsn string, fsys fs.FS, log *slog.Logger) (Report, error) {
	var report Report
	err := locked(ctx, dsn, log, func(ctx context.Context, conn *pgx.Conn) error {
		state, err := read(ctx, conn, fsys)
		if err != nil {
			return err
		}
		if newer := state.newer(); newer != nil {
			return newer
		}
		if report.Files, err = runFiles(ctx, dsn, fsys, log, (*goose.Provider).Up); err != nil {
			return err
		}
		report.Queue, err = queueUp(ctx, dsn, log)
		return err
	})
	return report, err
}

func down(ctx context.Context, dsn string, fsys fs.FS, toVersion int64, log *slog.Logger) (Report, error) {
	var report Report
	err := locked(ctx, dsn, log, func(ctx context.Context, conn *pgx.Conn) error {
		state, err := read(ctx, conn, fsys)
		if err != nil {
			return err
		}
		if newer := state.newer(); newer != nil {
			return newer
		}
		report.Files, err = runFiles(ctx, dsn, fsys, log, func(p *goose.Provider, ctx context.Context) ([]*goose.MigrationResult, error) {
			return p.DownTo(ctx, toVersion)
		})
		if err != nil || toVersion > 0 {
			return err
		}
		report.Queue, err = queueDown(ctx, dsn, log)
		return err
	})
	return report, err
}

// runFiles lets goose work on a connection of its own. Statements of a migration have no time limit.
func runFiles(
	ctx context.Context, dsn string, fsys fs.FS, log *slog.Logger,
	work func(*goose.Provider, context.Context) ([]*goose.MigrationResult, error),
) ([]Migration, error) {
	db, err := openSQL(dsn)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, fsys,
		goose.WithTableName(table), goose.WithAllowOutofOrder(true), goose.WithDisableGlobalRegistry(true))
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	results, err := work(provider, ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	done := make([]Migration, 0, len(results))
	for _, result := range results {
		done = append(done, Migration{Version: result.Source.Version, Name: result.Source.Path})
		log.LogAttrs(ctx, slog.LevelInfo, "migration", slog.String("file", result.Source.Path),
			slog.String("direction", result.Direction), slog.Duration("took", result.Duration))
	}
	switch {
	case partial != nil:
		return done, fmt.Errorf("migration %s failed and was undone: %w", partial.Failed.Source.Path, partial.Err)
	case err != nil:
		return done, fmt.Errorf("migrate: %w", err)
	}
	return done, nil
}

func openSQL(dsn string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("database connection string: %w", err)
	}
	return stdlib.OpenDB(*cfg), nil
}

func queueUp(ctx context.Context, dsn string, log *slog.Logger) ([]int, error) {
	var done []int
	err := withQueue(ctx, dsn, log, func(m *rivermigrate.Migrator[pgx.Tx]) error {
		result, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
		if err != nil {
			return fmt.Errorf("migrate the queue: %w", err)
		}
		done = versions(result)
		valid, err := m.Validate(ctx, nil)
		if err != nil {
			return fmt.Errorf("check the queue's tables: %w", err)
		}
		if !valid.OK {
			return fmt.Errorf("the queue's tables are not complete: %v", valid.Messages)
		}
		return nil
	})
	return done, err
}

func queueDown(ctx context.Context, dsn string, log *slog.Logger) ([]int, error) {
	var done []int
	err := withQueue(ctx, dsn, log, func(m *rivermigrate.Migrator[pgx.Tx]) error {
		existing, err := m.ExistingVersions(ctx)
		if err != nil || len(existing) == 0 {
			return err
		}
		const all = -1
		result, err := m.Migrate(ctx, rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: all})
		if err != nil {
			return fmt.Errorf("take back the queue's tables: %w", err)
		}
		done = versions(result)
		return nil
	})
	return done, err
}

// withQueue gives River's migrator a small pool of its own.
func withQueue(ctx context.Context, dsn string, log *slog.Logger, work func(*rivermigrate.Migrator[pgx.Tx]) error) error {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("database connection string: %w", err)
	}
	cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = 2, 0, 0
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("connect for the queue's migrations: %w", err)
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: log})
	if err != nil {
		return fmt.Errorf("the queue's migrations: %w", err)
	}
	return work(migrator)
}

func versions(result *rivermigrate.MigrateResult) []int {
	list := make([]int, 0, len(result.Versions))
	for _, version := range result.Versions {
		list = append(list, version.Version)
	}
	return list
}
