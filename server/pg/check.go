package pg

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// minVersion is PostgreSQL 15.
const minVersion = 150000

// UnsafeError says that the database runs with a setting under which a committed transaction could be lost, so that nothing may
// be acknowledged (D-4). Programs name the setting in their health text and do not serve mail.
type UnsafeError struct {
	// Setting is the name, Value what the server says.
	Setting, Value string
}

func (e *UnsafeError) Error() string {
	return fmt.Sprintf("PostgreSQL runs with %s=%s: mail that was already acknowledged could be lost. Set %s=on on the database server",
		e.Setting, e.Value, e.Setting)
}

// VersionError says that the database server is older than PostgreSQL 15.
type VersionError struct {
	// Version is server_version_num, such as 140012.
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the database server is PostgreSQL %d; version 15 or newer is needed", e.Version/10000)
}

// sqlCheck reads what check judges in one round trip.
const sqlCheck = `select current_setting('server_version_num')::int, current_setting('fsync'),
	current_setting('full_page_writes'), current_setting('synchronous_commit')`

// facts are what the server says about itself.
type facts struct {
	version                                  int
	fsync, fullPageWrites, synchronousCommit string
}

// check judges a new connection (D-4). It costs one round trip, about 0.1 ms on a socket.
func check(ctx context.Context, conn *pgx.Conn) error {
	var f facts
	// The simple protocol works behind every pooler and leaves nothing prepared.
	row := conn.QueryRow(ctx, sqlCheck, pgx.QueryExecModeSimpleProtocol)
	if err := row.Scan(&f.version, &f.fsync, &f.fullPageWrites, &f.synchronousCommit); err != nil {
		return fmt.Errorf("check the database server: %w", err)
	}
	return f.judge()
}

func (f facts) judge() error {
	switch {
	case f.version < minVersion:
		return &VersionError{Version: f.version}
	case f.fsync != "on":
		return &UnsafeError{Setting: "fsync", Value: f.fsync}
	case f.fullPageWrites != "on":
		return &UnsafeError{Setting: "full_page_writes", Value: f.fullPageWrites}
	case !slices.Contains([]string{"on", "remote_apply"}, f.synchronousCommit):
		return &UnsafeError{Setting: "synchronous_commit", Value: f.synchronousCommit}
	}
	return nil
}
