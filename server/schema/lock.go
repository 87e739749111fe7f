package schema

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// lockKey is this program's advisory lock for migrations.
	lockKey = 0x6d61696c73727631 // "mailsrv1"
	// lockEvery is the pause between two attempts.
	lockEvery = 75 * time.Millisecond

	sqlTryLock = `select pg_try_advisory_lock($1)`
)

// locked runs work while this process is the only one that migrates. The lock lives on a connection of its own: taken from the
// pool that the migrations need, waiting starters could leave the winner without any. It is polled: a starter that blocked in
// pg_advisory_lock would hold a snapshot, for which CREATE INDEX CONCURRENTLY in the winner waits forever.
func locked(ctx context.Context, dsn string, log *slog.Logger, work func(context.Context, *pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect for migrations: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = conn.Close(closing) // ends the session and with it the lock
	}()
	if err := takeLock(ctx, conn, log); err != nil {
		return err
	}
	return work(ctx, conn)
}

func takeLock(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		var ours bool
		if err := conn.QueryRow(ctx, sqlTryLock, int64(lockKey)).Scan(&ours); err != nil {
			return fmt.Errorf("lock the migrations: %w", err)
		}
		if ours {
			return nil
		}
		if first {
			log.LogAttrs(ctx, slog.LevelInfo, "another node migrates the database; waiting")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for another node's migrations: %w", ctx.Err())
		}
	}
}
