package schema

import (
	"context"
	"io/fs"
	"log/slog"
)

// LockKey is the advisory lock.
const LockKey = int64(lockKey)

// UpFS and DownFS run other migrations than those of the binary.
func UpFS(ctx context.Context, dsn string, fsys fs.FS, log *slog.Logger) (Report, error) {
	return up(ctx, dsn, fsys, log)
}

func DownFS(ctx context.Context, dsn string, fsys fs.FS, version int64, log *slog.Logger) (Report, error) {
	return down(ctx, dsn, fsys, version, log)
}

// StatusFS likewise.
func StatusFS(ctx context.Context, dsn string, fsys fs.FS) (State, error) {
	return status(ctx, dsn, fsys)
}

// Files lists migrations.
func Files(fsys fs.FS) ([]Migration, error) { return files(fsys) }
