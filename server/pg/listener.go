package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// Notification is one message of a channel.
type Notification struct{ Channel, Payload string }

// ListenerConfig says what to listen to. All fields but Logger are required.
type ListenerConfig struct {
	// DSN must lead to PostgreSQL itself: behind a pooler in transaction mode LISTEN fails silently.
	DSN string
	// Channels are listened to. One that begins with a dot is relative to the current schema.
	Channels []string
	// OnConnect runs after each (re)connect, when the channels are listened to: whatever happened before was missed, so treat
	// everything as changed (D-41).
	OnConnect func()
	// OnNotify runs for each message. It must be fast: messages wait behind it.
	OnNotify func(Notification)
	// Logger hears about lost connections.
	Logger *slog.Logger
}

// Listener holds one connection of its own, not from a pool, and reconnects by itself.
type Listener struct{ cfg ListenerConfig }

// NewListener makes a listener; Run starts it.
func NewListener(cfg ListenerConfig) *Listener {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Listener{cfg: cfg}
}

const (
	// listenIdle without a message is followed by a ping, which must answer within listenPing: a dead peer is found at last.
	listenIdle = 30 * time.Second
	listenPing = 10 * time.Second
	// Reconnects wait from listenFirst up to listenLast.
	listenFirst = 100 * time.Millisecond
	listenLast  = 5 * time.Second
)

// Run listens until ctx ends and returns its error.
func (l *Listener) Run(ctx context.Context) error {
	wait := listenFirst
	for {
		connected, err := l.session(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if connected {
			wait = listenFirst
		}
		l.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "listener lost the database",
			slog.String("error", err.Error()), slog.Duration("retry_after", wait))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		wait = min(2*wait, listenLast)
	}
}

// session is one connection's life. It reports whether it came to listening.
func (l *Listener) session(ctx context.Context) (connected bool, err error) {
	conn, err := l.connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing) // the server notices either way
	}()
	l.cfg.OnConnect()
	for {
		if err := l.next(ctx, conn); err != nil {
			return true, err
		}
	}
}

const sqlSchema = `select coalesce(current_schema(), '')`

func (l *Listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, listenPing)
	defer cancel()
	conn, err := pgx.Connect(ctx, l.cfg.DSN)
	if err != nil {
		return nil, err
	}
	if err := l.listen(ctx, conn); err != nil {
		_ = conn.Close(ctx) // the first error tells
		return nil, err
	}
	return conn, nil
}

func (l *Listener) listen(ctx context.Context, conn *pgx.Conn) error {
	var schema string
	if err := conn.QueryRow(ctx, sqlSchema, pgx.QueryExecModeSimpleProtocol).Scan(&schema); err != nil {
		return err
	}
	for _, channel := range l.cfg.Channels {
		if relative := channel != "" && channel[0] == '.'; relative {
			channel = channel[1:]
			if schema != "" {
				channel = schema + "." + channel
			}
		}
		if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{channel}.Sanitize()); err != nil {
			return fmt.Errorf("listen to %s: %w", channel, err)
		}
	}
	return nil
}

// next waits for one message, or pings when none came for long.
func (l *Listener) next(ctx context.Context, conn *pgx.Conn) error {
	waiting, cancel := context.WithTimeout(ctx, listenIdle)
	message, err := conn.WaitForNotification(waiting)
	cancel()
	if err == nil {
		l.cfg.OnNotify(Notification{Channel: message.Channel, Payload: message.Payload})
		return nil
	}
	idle := errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && !conn.IsClosed()
	if !idle {
		return err
	}
	pinging, cancel := context.WithTimeout(ctx, listenPing)
	defer cancel()
	return conn.Ping(pinging)
}
