package schema

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/mailserver-dev/mailserver/migrations"
)

// State compares the database with this binary.
type State struct {
	// Applied and Pending are this binary's SQL files that the database has and lacks.
	Applied, Pending []Migration
	// Unknown are versions that the database has and this binary does not know.
	Unknown []int64
	// Queue and QueueWanted are the numbers of River's migration in the database (0: none) and in this binary.
	Queue, QueueWanted int
}

// Status reads the state and changes nothing, not even on an empty database.
func Status(ctx context.Context, dsn string) (State, error) {
	return status(ctx, dsn, migrations.FS)
}

// Check returns nil when the database is exactly what this binary needs, else a NewerError or a PendingError. It changes nothing.
func Check(ctx context.Context, dsn string) error {
	state, err := Status(ctx, dsn)
	if err != nil {
		return err
	}
	return state.verdict()
}

func status(ctx context.Context, dsn string, fsys fs.FS) (State, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return State{}, fmt.Errorf("connect for the state of the schema: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = conn.Close(closing) // only read
	}()
	return read(ctx, conn, fsys)
}

const (
	sqlTables       = `select to_regclass('` + table + `') is not null, to_regclass('river_migration') is not null`
	sqlVersions     = `select version_id from ` + table + ` where is_applied and version_id > 0 order by version_id`
	sqlQueueVersion = `select coalesce(max(version), 0)::int from river_migration`
)

// read compares; a goose row is written when a file is applied and deleted when it is taken back.
func read(ctx context.Context, conn *pgx.Conn, fsys fs.FS) (State, error) {
	var state State
	known, err := files(fsys)
	if err != nil {
		return state, err
	}
	if state.QueueWanted, err = queueWanted(); err != nil {
		return state, err
	}
	var hasFiles, hasQueue bool
	if err := conn.QueryRow(ctx, sqlTables).Scan(&hasFiles, &hasQueue); err != nil {
		return state, fmt.Errorf("read the state of the schema: %w", err)
	}
	applied := map[int64]bool{}
	if hasFiles {
		if applied, err = appliedVersions(ctx, conn); err != nil {
			return state, err
		}
	}
	if hasQueue {
		if err := conn.QueryRow(ctx, sqlQueueVersion).Scan(&state.Queue); err != nil {
			return state, fmt.Errorf("read the state of the queue's tables: %w", err)
		}
	}
	state.sort(known, applied)
	return state, nil
}

func queueWanted() (int, error) {
	migrator, err := rivermigrate.New(riverpgxv5.New(nil), nil)
	if err != nil {
		return 0, fmt.Errorf("the queue's migrations: %w", err)
	}
	wanted := 0
	for _, m := range migrator.AllVersions() {
		wanted = max(wanted, m.Version)
	}
	return wanted, nil
}

func appliedVersions(ctx context.Context, conn *pgx.Conn) (map[int64]bool, error) {
	rows, err := conn.Query(ctx, sqlVersions)
	if err != nil {
		return nil, fmt.Errorf("read the applied migrations: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read the applied migrations: %w", err)
	}
	applied := make(map[int64]bool, len(list))
	for _, version := range list {
		applied[version] = true
	}
	return applied, nil
}

// sort distributes the known migrations and leaves in applied what nobody knows.
func (s *State) sort(known []Migration, applied map[int64]bool) {
	for _, m := range known {
		if applied[m.Version] {
			s.Applied = append(s.Applied, m)
			delete(applied, m.Version)
		} else {
			s.Pending = append(s.Pending, m)
		}
	}
	for version := range applied {
		s.Unknown = append(s.Unknown, version)
	}
	slices.Sort(s.Unknown)
}

func (s State) newer() error {
	newer := &NewerError{Unknown: s.Unknown}
	if s.Queue > s.QueueWanted {
		newer.River = s.Queue
	}
	if len(newer.Unknown) == 0 && newer.River == 0 {
		return nil
	}
	return newer
}

func (s State) verdict() error {
	if err := s.newer(); err != nil {
		return err
	}
	pending := &PendingError{Queue: s.Queue < s.QueueWanted}
	for _, m := range s.Pending {
		pending.Files = append(pending.Files, m.Name)
	}
	if len(pending.Files) == 0 && !pending.Queue {
		return nil
	}
	return pending
}
