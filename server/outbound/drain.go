package outbound

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// Bounds of one drain.
const (
	// claimRows is how many recipients are claimed at once.
	claimRows = 100
	// perDialogue is how many recipients share one transaction of SMTP (O-42).
	perDialogue = 50
	// pollBusy is how often a worker that waits for its last dialogues looks for what another process was asked for.
	pollBusy = time.Second
	// aliveFor is how long a server that took mail counts as alive; others get one connection until they have.
	aliveFor = 10 * time.Minute
	// warnings is how many letters in a row must meet a complaint about us before everybody's mail is held back for it.
	warnings = 5
	// turnFor is when a worker gives the destination back although there is more, so that others have their turn: a letter to a
	// quiet destination must not wait until the long queues of all others are empty. The turn goes on at the end of the line.
	turnFor = 5 * time.Second
)

// DrainArgs is the wake-up for a destination: it names it and carries nothing else. There may be any number of them.
type DrainArgs struct {
	Destination string `json:"destination"`
}

// Kind is the job's name in the queue's tables.
func (DrainArgs) Kind() string { return "outbound_drain" }

// InsertOpts names the job's queue.
func (DrainArgs) InsertOpts() queue.InsertOpts { return queue.InsertOpts{Queue: queue.Remote} }

const sqlHasDue = `
SELECT EXISTS (SELECT FROM email_recipient r
    WHERE r.destination = $1 AND r.status IN ('queued', 'deferred') AND r.next_at <= $2 AND NOT r.local AND r.transport <> 'test')
    AND NOT EXISTS (SELECT FROM destination t WHERE t.name = $1 AND (t.held OR t.next_at > $2))`

// Drain sends everything that is due for a destination, unless another worker is at it: then that one is told to look again.
// It is safe to run any number of times and after any crash.
func (s *Service) Drain(ctx context.Context, name string) error {
	if !s.dials() || s.stopping() || s.turns.wake(name) {
		return nil
	}
	var something bool
	if err := s.pool.QueryRow(ctx, sqlHasDue, name, s.clock.Now()).Scan(&something); err != nil || !something {
		return pg.Fault(err)
	}
	d := &drain{s: s, name: name, token: rand.Text(), done: make(chan outcome), more: make(chan struct{}, 1)}
	leased, stop := d.keepLease(ctx)
	defer stop()
	ok, err := d.begin(leased)
	if err != nil || !ok {
		return pg.Fault(err)
	}
	return pg.Fault(d.run(ctx, leased))
}

// drain is a worker's turn at a destination. Only the goroutine of run touches its fields; dialogues report through done.
type drain struct {
	s           *Service
	name, token string
	health      breaker
	epoch       int // of the row; see releaseLease
	last        last
	running     int
	alive       bool // it took mail a short while ago
	good        int  // dialogues in a row without trouble
	warned      int  // letters in a row that met a complaint about us
	until       time.Time
	left        []mail.DeliveryID // claimed and not attempted
	done        chan outcome
	more        chan struct{} // a wake-up came to this process
	released    bool
	first       []ownedRecipient // claimed together with the lease
}

// outcome is what one dialogue tells about the destination.
type outcome struct {
	reply, host string
	trouble     bool          // it counts against the destination (O-42)
	spoke       bool          // a server answered
	delivered   bool          // and took the letter, at least for somebody
	pause       time.Duration // it wants to be left alone
	left        []mail.DeliveryID
	err         error // ours: the result could not be stored
}

// begin takes the lease and, in the same transaction, the first letters.
func (d *drain) begin(ctx context.Context) (ok bool, err error) {
	now := d.s.clock.Now()
	err = pg.InTx(ctx, d.s.pool, func(ctx context.Context, tx pg.Tx) (err error) {
		var success time.Time
		d.health, d.epoch, success, ok, err = takeLease(ctx, tx, d.name, d.token)
		if err != nil || !ok || now.Before(d.health.nextAt) {
			return err
		}
		d.alive, d.until = d.health.failures == 0 && now.Sub(success) < aliveFor, now.Add(turnFor)
		d.first, err = claimDue(ctx, tx, d.name, d.token, now, d.most())
		return err
	})
	return ok, err
}

// most is how many recipients are claimed at once.
func (d *drain) most() int { return min(claimRows, d.lanes()*perDialogue) }

// run works under leased, which ends when the lease is in danger.
func (d *drain) run(ctx, leased context.Context) error {
	err := d.loop(leased)
	for d.running > 0 {
		err = errors.Join(err, d.finished(<-d.done))
	}
	// What follows must happen although the job is being stopped.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
	defer cancel()
	return errors.Join(err, d.leave(after))
}

// loop claims and starts dialogues until nothing is due and nobody has asked for more. It looks again when a claim was full, when
// somebody asks, and now and then: a wake-up in another process can only leave word in the row.
func (d *drain) loop(ctx context.Context) error {
	d.s.turns.enter(d)
	defer d.s.turns.leave(d)
	for look := true; ; {
		now := d.s.clock.Now()
		if d.over(now) || context.Cause(ctx) != nil {
			return d.cause(ctx)
		}
		switch {
		case look:
			full, err := d.send(ctx, now)
			if err != nil {
				return err
			}
			look = full
		case d.running > 0:
			var err error
			if look, err = d.await(ctx, pollBusy); err != nil {
				return err
			}
		default:
			done, err := d.finish(ctx)
			if err != nil || done {
				return err
			}
			look = true
		}
	}
}

// send claims and starts dialogues; full says that there may be more to claim.
func (d *drain) send(ctx context.Context, now time.Time) (full bool, err error) {
	groups, full, err := d.claim(ctx, now)
	if err != nil {
		return false, err
	}
	for i, g := range groups {
		started, err := d.start(ctx, g)
		if !started {
			for _, rest := range groups[i:] {
				d.left = append(d.left, rest.ids()...)
			}
			return false, err
		}
	}
	return full, nil
}

// finish gives the lease back, unless somebody has asked for more: in this process, or in another one by word in the row.
func (d *drain) finish(ctx context.Context) (done bool, err error) {
	d.s.beforeRelease()
	if !d.s.turns.end(d) {
		return false, nil
	}
	if err := d.release(ctx, false); err != nil || d.released {
		return true, err
	}
	d.s.turns.enter(d)
	return false, nil
}

// cause tells a lost lease from the end of the job.
func (d *drain) cause(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errLeaseLost) {
		return errLeaseLost
	}
	return ctx.Err()
}

// over says that nothing more is begun: the breaker opened or the other server asked for a pause, the turn has lasted long enough,
// or the process is about to stop.
func (d *drain) over(now time.Time) bool {
	return now.Before(d.health.nextAt) || now.After(d.until) || d.s.stopping()
}

// lanes is how many dialogues may run at once. Behind a half-open breaker one letter is the probe, and a server that has not taken
// a letter lately must take one first: who never answers holds one connection of this node and not all of them.
func (d *drain) lanes() int {
	switch {
	case d.health.failures >= opensAfter, !d.alive:
		return 1
	case d.health.connections > 0:
		return min(d.health.connections, d.s.cfg.PerDestination)
	}
	return d.s.cfg.PerDestination
}

// start waits for a free lane and begins a dialogue; started is false when that must not be any more.
func (d *drain) start(ctx context.Context, g group) (started bool, err error) {
	for !d.over(d.s.clock.Now()) {
		if d.running < d.lanes() {
			d.running++
			go func() { d.done <- d.s.carry(ctx, d.name, d.token, g) }()
			return true, nil
		}
		select {
		case out := <-d.done:
			if err := d.finished(out); err != nil {
				return false, err
			}
		case <-ctx.Done():
			return false, d.cause(ctx)
		}
	}
	return false, nil
}

// await takes one finished dialogue; look says that there may be something new to claim.
func (d *drain) await(ctx context.Context, most time.Duration) (look bool, err error) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case out := <-d.done:
		return false, d.finished(out)
	case <-d.more:
		return true, nil
	case <-t.C:
		return true, nil
	case <-ctx.Done():
		return false, d.cause(ctx)
	}
}

// group is one letter for recipients of one destination.
type group struct {
	email      *Email
	recipients []Recipient
	way        way
	trouble    error // why it cannot be sent now
}

func (g group) ids() []mail.DeliveryID {
	out := make([]mail.DeliveryID, len(g.recipients))
	for i, r := range g.recipients {
		out[i] = r.ID
	}
	return out
}

// claim takes due recipients and forms the letters; those whose route has changed go to their new destination instead.
func (d *drain) claim(ctx context.Context, now time.Time) (groups []group, full bool, err error) {
	rows := d.first
	if d.first = nil; rows == nil {
		rows, err = claimDue(ctx, d.s.pool, d.name, d.token, now, d.most())
	}
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	slices.SortFunc(rows, func(a, b ownedRecipient) int {
		return cmp.Or(a.NextAt.Compare(b.NextAt), slices.Compare(a.email[:], b.email[:]), cmp.Compare(a.Position, b.Position))
	})
	ids := make([]mail.EmailID, 0, len(rows))
	for _, r := range rows {
		if len(ids) == 0 || ids[len(ids)-1] != r.email {
			ids = append(ids, r.email)
		}
	}
	emails, err := getEmails(ctx, d.s.pool, ids)
	if err != nil {
		return nil, false, err
	}
	groups, err = d.keepRouted(ctx, form(rows, emails))
	return groups, len(rows) == d.most(), err
}

// form makes groups of neighbours that belong to one email. Each has a copy of the email: they may be prepared at the same time.
func form(rows []ownedRecipient, emails map[mail.EmailID]*Email) []group {
	var groups []group
	for _, r := range rows {
		n := len(groups) - 1
		if n >= 0 && groups[n].email.ID == r.email && len(groups[n].recipients) < perDialogue {
			groups[n].recipients = append(groups[n].recipients, r.Recipient)
			continue
		}
		if e := emails[r.email]; e != nil {
			email := *e
			groups = append(groups, group{email: &email, recipients: []Recipient{r.Recipient}})
		}
	}
	return groups
}

// keepRouted leaves out what now belongs elsewhere: a smart host was set, changed or removed since the letter was accepted, or the
// recipient's domain has come to this server.
func (d *drain) keepRouted(ctx context.Context, groups []group) ([]group, error) {
	kept := groups[:0]
	hosted := map[string]bool{}
	for _, g := range groups {
		way, err := d.s.wayOf(ctx, g.email.Domain)
		if pg.Unavailable(err) || ctx.Err() != nil {
			return nil, err
		}
		if err != nil { // its smart host's password cannot be had: others' letters need not wait for that
			g.trouble = err
			kept = append(kept, g)
			continue
		}
		there, home := map[string][]mail.DeliveryID{}, []mail.DeliveryID(nil)
		here := group{email: g.email, way: way}
		for _, r := range g.recipients {
			ours, err := d.s.isHosted(ctx, hosted, r.Address.Domain)
			if err != nil {
				return nil, err
			}
			switch want := way.destination(r.Address); {
			case ours:
				home = append(home, r.ID)
			case want != d.name:
				there[want] = append(there[want], r.ID)
			default:
				here.recipients = append(here.recipients, r)
			}
		}
		if err := d.s.moveHome(ctx, g.email.ID, home, d.token); err != nil {
			return nil, err
		}
		for destination, ids := range there {
			if err := d.s.moveTo(ctx, ids, d.token, destination); err != nil {
				return nil, err
			}
		}
		if len(here.recipients) > 0 {
			kept = append(kept, here)
		}
	}
	return kept, nil
}

// moveHome makes recipients local whose domain is hosted here by now (O-5).
func (s *Service) moveHome(ctx context.Context, id mail.EmailID, ids []mail.DeliveryID, token string) error {
	if len(ids) == 0 {
		return nil
	}
	return pg.InTx(ctx, s.pool, func(ctx context.Context, tx pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlMoveHome, uuids(ids), token); err != nil {
			return err
		}
		return queue.Insert(ctx, tx, AttemptArgs{Email: id})
	})
}

func (s *Service) moveTo(ctx context.Context, ids []mail.DeliveryID, token, destination string) error {
	return pg.InTx(ctx, s.pool, func(ctx context.Context, tx pg.Tx) error {
		if err := reroute(ctx, tx, ids, token, destination); err != nil {
			return err
		}
		return queue.Insert(ctx, tx, DrainArgs{Destination: destination})
	})
}

// finished takes in what a dialogue tells about the destination.
func (d *drain) finished(out outcome) error {
	d.running--
	d.left = append(d.left, out.left...)
	if out.reply == "" {
		return out.err
	}
	now := d.s.clock.Now()
	d.last.reply, d.last.host, d.last.at = out.reply, out.host, now
	switch {
	case out.trouble:
		d.good = 0
		d.health.fail(now)
	case out.spoke:
		d.last.success = now
		d.alive = true
		d.good++
		d.health.succeed(d.good, d.s.cfg.PerDestination)
	}
	switch {
	case out.delivered:
		d.warned = 0
	case out.pause > 0:
		d.warned++
	}
	// What is said to one letter may be about that letter. Said to all of them, or to the connection, it is about us (O-35, O-37).
	if out.pause > 0 && (out.trouble || d.warned >= warnings) {
		d.health.nextAt = later(d.health.nextAt, now.Add(out.pause))
	}
	return out.err
}

// release stores what was learned and gives the lease back, unless there is more to do.
func (d *drain) release(ctx context.Context, force bool) (err error) {
	d.released, err = releaseLease(ctx, d.s.pool, d.name, d.token, d.epoch, d.health, d.last, force)
	return err
}

// leave gives back what was not attempted, and then the lease.
func (d *drain) leave(ctx context.Context) error {
	if d.released {
		return nil
	}
	now := d.s.clock.Now()
	for _, r := range d.first { // the turn ended before it began
		d.left = append(d.left, r.ID)
	}
	err := unclaim(ctx, d.s.pool, d.left, d.token, later(now, d.health.nextAt))
	if released := d.release(ctx, true); !errors.Is(released, errLeaseLost) {
		err = errors.Join(err, released)
	}
	if now.After(d.until) && !now.Before(d.health.nextAt) && !d.s.stopping() {
		err = errors.Join(err, d.s.wakeLater(ctx, d.name))
	}
	return err
}

// wakeLater puts the destination at the end of the line.
func (s *Service) wakeLater(ctx context.Context, name string) error {
	return pg.InTx(ctx, s.pool, func(ctx context.Context, tx pg.Tx) error {
		return queue.InsertMany(ctx, tx, []queue.Item{drainItem(name, lineLong)})
	})
}

// The lines in which wake-ups wait, the first served first: single letters, batches and what the scanner finds, and what has had a
// turn already (O-42).
const (
	lineSingle = 1
	lineMany   = 2
	lineLong   = 3
)

func drainItem(name string, line int) queue.Item {
	return queue.Item{Args: DrainArgs{Destination: name}, Opts: &queue.InsertOpts{Queue: queue.Remote, Priority: line}}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// keepLease renews the lease until stop is called. The context that it gives ends when the lease could not be renewed in time,
// or is lost, or the destination is held: nothing is sent after that.
func (d *drain) keepLease(ctx context.Context) (leased context.Context, stop func()) {
	leased, cancel := context.WithCancelCause(ctx)
	// Each guard is set before the statement that takes or renews the lease, so that a slow answer does not make it too late.
	lost := func() *time.Timer { return time.AfterFunc(leaseFor-leaseMargin, func() { cancel(errLeaseLost) }) }
	guard := lost()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-leased.Done():
				return
			case <-tick.C:
			}
			next := lost()
			held, err := renewLease(leased, d.s.pool, d.name, d.token)
			if err != nil || held {
				next.Stop()
			}
			switch {
			case errors.Is(err, errLeaseLost):
				cancel(errLeaseLost)
			case err != nil:
				d.s.log.LogAttrs(ctx, slog.LevelWarn, "the lease of a destination was not renewed", slog.String("destination", d.name), slog.Any("error", err))
			case held:
				cancel(context.Canceled)
			default:
				guard.Stop()
				guard = next
			}
		}
	}()
	return leased, func() {
		cancel(context.Canceled)
		<-ended
		guard.Stop()
	}
}
