package pgtest

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"testing"

	"github.com/mailserver-dev/mailserver/server/pg"
)

// DB returns a pool on a fresh, migrated database. Both are gone after the test.
func DB(t testing.TB) *pg.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{DSN: DSN(t), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// DSN returns the connection string of a fresh, migrated database, which is dropped after the test.
func DSN(t testing.TB) string {
	t.Helper()
	return database(t, migrated)
}

// EmptyDSN returns the connection string of a fresh database without any table, which is dropped after the test.
func EmptyDSN(t testing.TB) string {
	t.Helper()
	return database(t, empty)
}

// shared is the cluster of this process. Tests have no other place that outlives one of them and ends with the process.
var shared = sync.OnceValues(func() (*cluster, error) { return startCluster(context.Background()) }) //nolint:gochecknoglobals // one cluster per process

func database(t testing.TB, kind kind) string {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatalf("pgtest: start PostgreSQL: %v", err)
	}
	name, err := c.create(t.Context(), kind)
	if err != nil {
		t.Fatalf("pgtest: create a database: %v", err)
	}
	t.Cleanup(func() { c.drop(name) })
	return withDatabase(c.dsn, name)
}

// withDatabase replaces the database in a URL.
func withDatabase(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn // package local made it
	}
	u.Path = "/" + name
	return u.String()
}
