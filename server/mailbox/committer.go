package mailbox

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Figures of the group commit, as measured: waiting pays only when many are there already, and never costs a lone letter.
const (
	maxBatch    = 32
	maxLetters  = 256 // in one transaction, unless one call brings more
	worthAWait  = 8
	batchWait   = time.Millisecond
	commitLimit = 30 * time.Second
)

// unit is one call of Deliver on its way through the committer.
type unit struct {
	parcels []*parcel
	// state is unitWaits until either the committer takes the unit or the caller gives it up.
	state atomic.Int32
	done  chan outcome
}

const (
	unitWaits = iota
	unitTaken
	unitGivenUp
)

// outcome is what became of a unit. unknown says that nobody can tell whether it was committed.
type outcome struct {
	filed   []Filed
	err     error
	unknown bool
}

// committer is the one goroutine of the process that commits deliveries. It takes what waits and commits it at once, in one
// transaction; when that aborts, each unit is tried alone, so that one bad unit spoils no other.
type committer struct {
	s     *Service
	queue chan *unit
	done  chan struct{}

	mu     sync.RWMutex // held for reading while a unit is queued
	begun  bool
	closed bool

	// conn belongs to the goroutine: its statements are planned once, for any mailbox.
	conn *pgxpool.Conn
}

func newCommitter(s *Service, queue int) *committer {
	return &committer{s: s, queue: make(chan *unit, queue), done: make(chan struct{})}
}

func (c *committer) start(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun && !c.closed {
		c.begun = true
		go c.run(ctx)
	}
}

func (c *committer) stop(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.queue)
		if !c.begun {
			close(c.done)
		}
	}
	c.mu.Unlock()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deliver queues a unit and waits for its outcome.
func (c *committer) deliver(ctx context.Context, parcels []*parcel) outcome {
	u := &unit{parcels: parcels, done: make(chan outcome, 1)}
	if err := c.enqueue(u); err != nil {
		return outcome{err: err}
	}
	select {
	case o := <-u.done:
		return o
	case <-ctx.Done():
		if u.state.CompareAndSwap(unitWaits, unitGivenUp) {
			return outcome{err: fault.Wrap(ctx.Err(), fault.Unavailable, "unavailable", "the delivery was given up before it began")}
		}
		return <-u.done
	}
}

func (c *committer) enqueue(u *unit) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed || !c.begun {
		return fault.New(fault.Unavailable, "unavailable", "the server is stopping; try again later")
	}
	select {
	case c.queue <- u:
		return nil
	default:
		return fault.New(fault.Unavailable, "busy", "too many deliveries wait; try again later")
	}
}

func (c *committer) run(ctx context.Context) {
	defer close(c.done)
	defer c.dropConn(ctx)
	timer := time.NewTimer(0) // real time, not the clock's: a clock that stands still must not hold up a commit
	<-timer.C
	defer timer.Stop()
	for {
		first, ok := <-c.queue
		if !ok {
			return
		}
		batch := c.gather(first, timer)
		if len(batch) > 0 {
			c.commitBatch(ctx, batch)
		}
	}
}

// gather takes what waits, and only when that is much already, what comes within a moment.
func (c *committer) gather(first *unit, timer *time.Timer) []*unit {
	batch, letters := take(nil, first), len(first.parcels)
	var moment <-chan time.Time // begins once for a batch
	for len(batch) < maxBatch && letters < maxLetters {
		u := c.waiting()
		if u == nil && len(batch) >= worthAWait {
			if moment == nil {
				timer.Reset(batchWait)
				defer timer.Stop()
				moment = timer.C
			}
			u = c.within(moment)
		}
		if u == nil {
			return batch
		}
		letters += len(u.parcels)
		batch = take(batch, u)
	}
	return batch
}

// waiting gives a unit that waits, or nil.
func (c *committer) waiting() *unit {
	select {
	case u := <-c.queue:
		return u
	default:
		return nil
	}
}

// within gives the next unit, or nil when the moment is over or no more units will come.
func (c *committer) within(moment <-chan time.Time) *unit {
	select {
	case u := <-c.queue:
		return u
	case <-moment:
		return nil
	}
}

func take(batch []*unit, u *unit) []*unit {
	if u.state.CompareAndSwap(unitWaits, unitTaken) {
		return append(batch, u)
	}
	return batch
}

// commitBatch syncs the directories, commits the units together, and settles those that this did not settle.
func (c *committer) commitBatch(ctx context.Context, batch []*unit) {
	batch = c.syncBodies(ctx, batch)
	if len(batch) == 0 {
		return
	}
	filed, err := c.commit(ctx, batch)
	if err == nil {
		for i, u := range batch {
			u.done <- outcome{filed: filed[i]}
		}
		return
	}
	c.s.log.WarnContext(ctx, "delivery transaction failed", slog.Int("units", len(batch)), slog.Any("error", err))
	for _, u := range batch {
		u.done <- c.alone(ctx, u, err, len(batch) > 1)
	}
}

// syncBodies makes the directory entries durable, each directory once, and fails the units for which it could not (D-9, D-10).
func (c *committer) syncBodies(ctx context.Context, batch []*unit) []*unit {
	var owners []string
	for _, u := range batch {
		for _, p := range u.parcels {
			owners = append(owners, p.letter.Body.Owner)
		}
	}
	err := c.s.bodies.Sync(ctx, owners...)
	if err == nil {
		return batch
	}
	return slices.DeleteFunc(batch, func(u *unit) bool {
		cause := syncCause(err, u)
		if cause != nil {
			u.done <- outcome{err: cause}
		}
		return cause != nil
	})
}

// syncCause is the part of a failed sync that concerns the unit.
func syncCause(err error, u *unit) error {
	var failed *body.SyncError
	if !errors.As(err, &failed) {
		return err
	}
	for _, p := range u.parcels {
		if cause := failed.Failed[p.letter.Body.Owner]; cause != nil {
			return cause
		}
	}
	return nil
}

// alone brings one unit to its end after a transaction with it failed by err: asks whether it was committed when nobody knows
// (D-12), else tries it again by itself. Trying again is safe, since a message's id can be inserted once. A refusal that was
// shared with other units says nothing about this one.
func (c *committer) alone(ctx context.Context, u *unit, err error, shared bool) outcome {
	var v verdict
	doubted := false // once in doubt, the files stay: a lost request may still be on its way to the database
	for try := 0; ; try++ {
		if shared && isRefusal(err) {
			v = verdict{again: true}
		} else {
			v = c.judge(ctx, u, err)
		}
		shared, doubted = false, doubted || v.doubt
		if !v.again || try == maxTries {
			break
		}
		if v.doubt {
			filed, found, askErr := c.s.ask(ctx, u.parcels)
			if found {
				return outcome{filed: filed}
			}
			if askErr != nil {
				return outcome{err: unknownOutcome(errors.Join(err, askErr)), unknown: true}
			}
		}
		var filed [][]Filed
		filed, err = c.commit(ctx, []*unit{u})
		if err == nil {
			return outcome{filed: filed[0]}
		}
	}
	if v.doubt {
		return outcome{err: unknownOutcome(err), unknown: true}
	}
	return outcome{err: deliveryFault(err), unknown: doubted}
}

// maxTries is how often a unit is tried alone.
const maxTries = 3

func unknownOutcome(err error) error {
	return fault.Wrap(err, fault.Unavailable, "unavailable", "the database did not confirm the delivery; try again later")
}

// verdict is what a failure says: whether another try makes sense, and whether the failed one may have been committed.
type verdict struct{ again, doubt bool }

func (c *committer) judge(ctx context.Context, u *unit, err error) verdict {
	var noConn *acquireError
	switch {
	case errors.As(err, &noConn):
		return verdict{} // the database is down for all; commit tried more than one connection
	case pg.IsUniqueViolation(err, "message_id_key"):
		return verdict{again: true, doubt: true} // an earlier try was committed after all
	case isVanished(err):
		return verdict{again: c.resolveAgain(ctx, u)}
	case isRefusal(err):
		return verdict{}
	}
	return verdict{again: true, doubt: true}
}

// isRefusal is true when the server refused a statement and so rolled back. Other errors, also those that end the session, may
// follow a commit that happened.
func isRefusal(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.SeverityUnlocalized == "ERROR"
}

// resolveAgain looks the mailboxes up anew after one of them vanished.
func (c *committer) resolveAgain(ctx context.Context, u *unit) bool {
	for _, p := range u.parcels {
		c.s.inboxes.drop(p.letter.Account)
	}
	if err := c.s.resolve(ctx, c.s.pool, u.parcels); err != nil {
		return false
	}
	return c.s.resolveFlags(ctx, c.s.pool, u.parcels) == nil
}

// commit runs the units as one transaction: one batch, one round trip.
func (c *committer) commit(ctx context.Context, units []*unit) ([][]Filed, error) {
	ctx, cancel := context.WithTimeout(ctx, commitLimit)
	defer cancel()
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, &acquireError{err}
	}
	var parcels []*parcel
	for _, u := range units {
		parcels = append(parcels, u.parcels...)
	}
	p := newPlan(parcels)
	b := &pgx.Batch{}
	if err := p.queue(b, c.s.clk.Now()); err != nil {
		return nil, err
	}
	filed, err := p.read(conn.SendBatch(ctx, b))
	if err != nil {
		if conn.Conn().IsClosed() {
			c.dropConn(ctx)
		}
		return nil, err
	}
	out := make([][]Filed, len(units))
	for i, u := range units {
		out[i], filed = filed[:len(u.parcels)], filed[len(u.parcels):]
	}
	return out, nil
}

// acquireError is a failure before anything was sent.
type acquireError struct{ err error }

func (e *acquireError) Error() string { return "connect: " + e.err.Error() }
func (e *acquireError) Unwrap() error { return e.err }

const sqlCommitterSettings = `SET plan_cache_mode = force_generic_plan`

// connect gives the committer's own connection. Connections of the pool that died with a restarted database are used up.
func (c *committer) connect(ctx context.Context) (*pgxpool.Conn, error) {
	if c.conn != nil && !c.conn.Conn().IsClosed() {
		return c.conn, nil
	}
	c.dropConn(ctx)
	for try := 0; ; try++ {
		conn, err := c.s.pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		if _, err = conn.Exec(ctx, sqlCommitterSettings); err == nil {
			c.conn = conn
			return conn, nil
		}
		conn.Release()
		if try == maxConnects {
			return nil, err
		}
	}
}

// maxConnects is how many dead connections of the pool the committer uses up before it gives up.
const maxConnects = 3

// dropConn ends the committer's connection; it is not given back, since its settings differ from those of the pool.
func (c *committer) dropConn(ctx context.Context) {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = c.conn.Hijack().Close(ctx)
	c.conn = nil
}

const sqlAsk = `
SELECT g.id, mm.mailbox_key, m.id, mm.uid, mm.modseq, m.uid_validity
FROM message g JOIN mailbox_message mm ON mm.message_key = g.key JOIN mailbox m ON m.key = mm.mailbox_key
WHERE g.id = ANY ($1::uuid[]) ORDER BY mm.mailbox_key, mm.uid`

// ask finds out, on another connection, whether parcels that were filed in one transaction were committed (D-12). It takes the
// locks that the lost transaction held, so that one that still runs is waited for.
func (s *Service) ask(ctx context.Context, parcels []*parcel) (filed []Filed, found bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancel()
	keys, ids := make([]int64, 0, len(parcels)), make([][16]byte, 0, len(parcels))
	at := make(map[[16]byte]int, len(parcels))
	for i, p := range parcels {
		keys, ids = append(keys, p.place.key), append(ids, p.id)
		at[p.id] = i
	}
	filed = make([]Filed, len(parcels))
	n := 0
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockMailboxes, keys); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sqlAsk, ids)
		if err != nil {
			return err
		}
		var f Filed
		var uid, modseq, validity int64
		_, err = pgx.ForEachRow(rows, []any{&f.Message, &f.Key, &f.Mailbox, &uid, &modseq, &validity}, func() error {
			f.UID, f.ModSeq, f.UIDValidity = uint32(uid), uint64(modseq), uint32(validity)
			if i := at[f.Message]; filed[i].UID == 0 {
				filed[i] = f
				n++
			}
			return nil
		})
		return err
	})
	return filed, n > 0, err // all or none were committed; one that is gone already was moved or deleted since
}
