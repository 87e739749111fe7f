package pg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrNested is returned by InTx when its context already belongs to a transaction: a programming error, because the inner
// transaction would not see the outer one and could wait for it forever. Pass the outer pgx.Tx on instead.
var ErrNested = errors.New("InTx inside a transaction: pass the transaction on instead")

// Hook runs inside a transaction just before its COMMIT. An error rolls the transaction back and is returned by InTx.
type Hook func(ctx context.Context, tx pgx.Tx) error

type (
	hooksKey struct{}
	txKey    struct{}
)

// txState is the transaction that a context belongs to. Only the goroutine of InTx's function may use it.
type txState struct {
	before []Hook
	after  []func()
	waker  *waker
}

// BeforeCommit registers a hook. On a context outside a transaction the returned context carries it, and every InTx on that
// context (or one below it) runs it; inside a transaction it runs at the end of this one and ctx is returned as it is. Hooks run
// in the order of registration.
func BeforeCommit(ctx context.Context, hook Hook) context.Context {
	if state := stateOf(ctx); state != nil {
		state.before = append(state.before, hook)
		return ctx
	}
	return context.WithValue(ctx, hooksKey{}, slices.Concat(hooksOf(ctx), []Hook{hook}))
}

// AfterCommit registers a function that runs after COMMIT, also when its outcome is unknown: for hints such as waking a
// subscriber, never for effects. It reports false, and registers nothing, when ctx belongs to no transaction.
func AfterCommit(ctx context.Context, fn func()) bool {
	state := stateOf(ctx)
	if state == nil {
		return false
	}
	state.after = append(state.after, fn)
	return true
}

func hooksOf(ctx context.Context) []Hook {
	hooks, _ := ctx.Value(hooksKey{}).([]Hook)
	return hooks
}

func stateOf(ctx context.Context) *txState {
	state, _ := ctx.Value(txKey{}).(*txState)
	return state
}

const (
	// commitTimeout bounds COMMIT, which does not end with the caller's context: a client that hangs up in this moment must not
	// turn a known outcome into an unknown one.
	commitTimeout = 10 * time.Second
	// rollbackTimeout bounds ROLLBACK; after it the connection is closed, which rolls back too.
	rollbackTimeout = 5 * time.Second
)

// InTx runs fn in a read committed transaction and commits. An error or panic of fn or of a hook rolls back; the error is
// returned as it is. fn must use the context it is given, on the same goroutine. After an error for which CommitUnknown is true
// the transaction may have happened.
func InTx(ctx context.Context, pool *Pool, fn func(ctx context.Context, tx pgx.Tx) error) error {
	if stateOf(ctx) != nil {
		return ErrNested
	}
	state := &txState{before: slices.Clone(hooksOf(ctx)), waker: pool.waker}
	err := transact(ctx, pool, state, fn)
	if err == nil || CommitUnknown(err) {
		for _, after := range state.after {
			after()
		}
	}
	return err
}

func transact(ctx context.Context, pool *Pool, state *txState, fn func(ctx context.Context, tx pgx.Tx) error) error {
	conn, err := pool.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	defer rollback(ctx, tx) // does nothing after a commit; runs on a panic too
	inside := context.WithValue(ctx, txKey{}, state)
	if err := fn(inside, tx); err != nil {
		return err
	}
	for i := 0; i < len(state.before); i++ { //nolint:intrange // a hook may register another
		if err := state.before[i](inside, tx); err != nil {
			return err
		}
	}
	return commit(ctx, tx)
}

func commit(ctx context.Context, tx pgx.Tx) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("before the commit: %w", err)
	}
	if tx.Conn().IsClosed() { // known here only: after COMMIT was sent pgx says the same
		return fmt.Errorf("before the commit: %w", net.ErrClosed)
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := tx.Commit(bounded); err != nil {
		return fmt.Errorf("commit: %w", commitError(err))
	}
	return nil
}

func rollback(ctx context.Context, tx pgx.Tx) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_ = tx.Rollback(bounded) // on an error pgx closes the connection, and the server rolls back
}

// acquire waits for a connection no longer than the pool's limit, however patient the caller is.
func (p *Pool) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if p.waker.stopped() {
		return nil, errPoolClosed
	}
	bounded, cancel := context.WithTimeout(ctx, p.acquireTimeout)
	defer cancel()
	conn, err := p.Acquire(bounded)
	if err != nil {
		return nil, fmt.Errorf("wait for a database connection: %w", err)
	}
	return conn, nil
}
