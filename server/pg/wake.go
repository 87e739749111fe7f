package pg

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// A NOTIFY inside a transaction makes all commits of the database wait for each other, which halves their rate (D-41). So
// transactions only note what they would say, and one goroutine per pool says it afterwards, equal messages once.
const (
	// wakeEvery is the least time between two sendings, and so the most that a wake-up is late.
	wakeEvery = 20 * time.Millisecond
	// wakeLimit bounds the distinct messages of one sending; more are dropped. They are hints: readers look by themselves too.
	wakeLimit = 4096
	// wakeTimeout bounds one sending.
	wakeTimeout = 5 * time.Second
)

type wakeup struct{ channel, payload string }

// waker sends wake-ups from a goroutine of its own.
type waker struct {
	pool *pgxpool.Pool
	log  *slog.Logger

	mu      sync.Mutex
	pending map[wakeup]struct{}
	closed  bool

	kick   chan struct{} // holds one token while something is pending
	cancel context.CancelFunc
	done   chan struct{}
}

func startWaker(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) *waker {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &waker{
		pool: pool, log: log, pending: map[wakeup]struct{}{},
		kick: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}),
	}
	go w.run(ctx)
	return w
}

// WakeAfterCommit notes that listeners on the channel shall get the payload (at most 7,999 bytes) once the transaction of ctx
// has committed. Equal messages within 20 ms are sent once. A message is a hint that may be lost: listeners must look by
// themselves now and then. A channel that begins with a dot is relative to the current schema, as River names its channels. It
// reports false, and does nothing, when ctx belongs to no transaction of InTx.
func WakeAfterCommit(ctx context.Context, channel, payload string) bool {
	state := stateOf(ctx)
	if state == nil {
		return false
	}
	state.after = append(state.after, func() { state.waker.add(wakeup{channel, payload}) })
	return true
}

// Wake sends a message as WakeAfterCommit does, at once.
func (p *Pool) Wake(channel, payload string) { p.waker.add(wakeup{channel, payload}) }

func (w *waker) add(message wakeup) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.pending) >= wakeLimit {
		return
	}
	w.pending[message] = struct{}{}
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *waker) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

// stop sends what is pending and ends the goroutine.
func (w *waker) stop() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	<-w.done
}

func (w *waker) run(ctx context.Context) {
	defer close(w.done)
	tick := time.NewTicker(wakeEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.kick:
			w.send(ctx)
		case <-ctx.Done():
			w.send(ctx)
			return
		}
		tick.Reset(wakeEvery)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (w *waker) take() (channels, payloads []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for message := range w.pending {
		channels = append(channels, message.channel)
		payloads = append(payloads, message.payload)
	}
	clear(w.pending)
	return channels, payloads
}

// sqlWake sends without waiting for the disk: a notification has nothing to lose, and the lock that it takes is held shortly.
const (
	sqlWakeAsync = `select set_config('synchronous_commit', 'off', true)`
	sqlWake      = `select pg_notify(case when left(c, 1) = '.' then coalesce(nullif(current_schema(), '') || '.', '') || substr(c, 2) else c end, p)
	from unnest($1::text[], $2::text[]) as message (c, p)`
)

func (w *waker) send(ctx context.Context) {
	channels, payloads := w.take()
	if len(channels) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wakeTimeout)
	defer cancel()
	if err := w.notify(ctx, channels, payloads); err != nil {
		w.log.LogAttrs(ctx, slog.LevelWarn, "wake-ups were not sent", slog.Int("count", len(channels)), slog.String("error", err.Error()))
	}
}

func (w *waker) notify(ctx context.Context, channels, payloads []string) error {
	tx, err := w.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer rollback(ctx, tx)
	if _, err := tx.Exec(ctx, sqlWakeAsync); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlWake, channels, payloads); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
