package obs

import (
	"context"
	"log/slog"
)

// AtLeast gives a logger that holds back what is below the level, for libraries that say too much.
func AtLeast(log *slog.Logger, level slog.Level) *slog.Logger {
	return slog.New(&floor{log.Handler(), level})
}

type floor struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (f *floor) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= f.level && f.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (f *floor) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &floor{f.Handler.WithAttrs(attrs), f.level}
}

// WithGroup implements slog.Handler.
func (f *floor) WithGroup(name string) slog.Handler {
	return &floor{f.Handler.WithGroup(name), f.level}
}
