package obs

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"

	"github.com/mailserver-dev/mailserver/server/config"
)

// LogOptions says how log lines look.
type LogOptions struct {
	config.Log
	// NoColor keeps colours away from a terminal.
	NoColor bool
}

// NewLogger returns the logger of the process. It writes to w one JSON object
// a line, or tinted text when the format is text, or is auto and w is a
// terminal. Secrets are redacted (S-37) and control characters escaped (S-38).
func NewLogger(w io.Writer, opts LogOptions) *slog.Logger {
	return slog.New(NewHandler(w, opts))
}

// NewHandler is NewLogger for those who wrap the handler.
func NewHandler(w io.Writer, opts LogOptions) slog.Handler {
	level := parseLevel(opts.Level)
	tty := isTerminal(w)
	if opts.Format == "text" || opts.Format != "json" && tty {
		return &handler{base: tint.NewTextHandler(w, &tint.Options{
			Level:       level,
			ReplaceAttr: redact,
			TimeFormat:  time.TimeOnly + ".000",
			NoColor:     opts.NoColor || !tty,
		})}
	}
	return &handler{base: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact})}
}

// parseLevel reads debug, info, warn or error; anything else is info.
func parseLevel(text string) slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(text)) != nil {
		return slog.LevelInfo
	}
	return level
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

// handler adds the ids of the context at the top level of a line, also when
// the logger has open groups.
type handler struct {
	// base has the attributes given before the first group.
	base slog.Handler
	// after are the groups and attributes from the first group on.
	after []func(slog.Handler) slog.Handler
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.base.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	attrs := contextAttrs(ctx)
	if len(h.after) == 0 {
		if len(attrs) > 0 {
			record = record.Clone()
			record.AddAttrs(attrs...)
		}
		return h.base.Handle(ctx, record)
	}
	next := h.base
	if len(attrs) > 0 {
		next = next.WithAttrs(attrs)
	}
	for _, step := range h.after {
		next = step(next)
	}
	return next.Handle(ctx, record)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	if len(h.after) == 0 {
		return &handler{base: h.base.WithAttrs(attrs)}
	}
	return h.then(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.then(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h *handler) then(step func(slog.Handler) slog.Handler) slog.Handler {
	after := make([]func(slog.Handler) slog.Handler, 0, len(h.after)+1)
	return &handler{base: h.base, after: append(append(after, h.after...), step)}
}
