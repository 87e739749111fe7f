package pg

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Defaults of Config (L-45 for the three limits of a statement).
const (
	DefaultMaxConns         = 10
	DefaultStatementTimeout = 10 * time.Second
	DefaultLockTimeout      = 5 * time.Second
	DefaultIdleTimeout      = 15 * time.Second
	DefaultAcquireTimeout   = 5 * time.Second
)

// Config says where the database is. Only DSN is required.
type Config struct {
	// DSN is a connection string, as URL or as keyword=value pairs.
	DSN string
	// MaxConns bounds the pool; 0 is DefaultMaxConns. Each connection that has worked costs PostgreSQL about 2.2 MiB.
	MaxConns int32
	// MinIdleConns are kept open for the next caller; 0 keeps none.
	MinIdleConns int32
	// StatementTimeout, LockTimeout and IdleTimeout (of an idle transaction) are enforced by the server. 0 is the default, a
	// negative value means no limit.
	StatementTimeout, LockTimeout, IdleTimeout time.Duration
	// AcquireTimeout bounds how long InTx waits for a free connection. 0 is the default.
	AcquireTimeout time.Duration
	// Logger hears about wake-ups that could not be sent.
	Logger *slog.Logger
}

// Pool is a set of connections. It is a Querier. Close it after everything that uses it.
type Pool struct {
	*pgxpool.Pool
	acquireTimeout time.Duration
	waker          *waker
}

// Open connects and checks the database: PostgreSQL 15 or newer, and no setting that could lose a commit (UnsafeError). The same
// check runs on each later connection. An error for which Unavailable is true may pass: the caller may try again.
func Open(ctx context.Context, cfg Config) (*Pool, error) {
	parsed, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	inner, err := pgxpool.NewWithConfig(ctx, parsed)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	conn, err := inner.Acquire(ctx)
	if err != nil {
		inner.Close()
		return nil, fmt.Errorf("open the database: %w", err)
	}
	conn.Release()
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	pool := &Pool{Pool: inner, acquireTimeout: orDefault(cfg.AcquireTimeout, DefaultAcquireTimeout)}
	pool.waker = startWaker(ctx, inner, log)
	return pool, nil
}

// Close ends all connections and waits until they are given back.
func (p *Pool) Close() {
	p.waker.stop()
	p.Pool.Close()
}

// connectTimeout replaces the driver's two minutes: a caller that waits longer has given up.
const connectTimeout = 5 * time.Second

func poolConfig(cfg Config) (*pgxpool.Config, error) {
	parsed, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, fmt.Errorf("database connection string: %w", err) // pgx removes the password
	}
	parsed.MaxConns = cfg.MaxConns
	if parsed.MaxConns <= 0 {
		parsed.MaxConns = DefaultMaxConns
	}
	parsed.MinConns = 0
	parsed.MinIdleConns = min(cfg.MinIdleConns, parsed.MaxConns)
	parsed.MaxConnLifetime = time.Hour
	parsed.MaxConnLifetimeJitter = 6 * time.Minute
	parsed.HealthCheckPeriod = 30 * time.Second
	parsed.PingTimeout = connectTimeout
	if parsed.ConnConfig.ConnectTimeout <= 0 || parsed.ConnConfig.ConnectTimeout > time.Minute {
		parsed.ConnConfig.ConnectTimeout = connectTimeout
	}
	params := parsed.ConnConfig.RuntimeParams
	setTimeout(params, "statement_timeout", cfg.StatementTimeout, DefaultStatementTimeout)
	setTimeout(params, "lock_timeout", cfg.LockTimeout, DefaultLockTimeout)
	setTimeout(params, "idle_in_transaction_session_timeout", cfg.IdleTimeout, DefaultIdleTimeout)
	if params["application_name"] == "" {
		params["application_name"] = "mailserver"
	}
	parsed.AfterConnect = check
	return parsed, nil
}

// setTimeout leaves a value from the connection string alone when the caller has no opinion.
func setTimeout(params map[string]string, name string, value, fallback time.Duration) {
	if value == 0 && params[name] != "" {
		return
	}
	value = max(orDefault(value, fallback), 0)
	params[name] = strconv.FormatInt(value.Milliseconds(), 10)
}

func orDefault(value, fallback time.Duration) time.Duration {
	if value == 0 {
		return fallback
	}
	return value
}
