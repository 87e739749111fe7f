package stats

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	// countStep is how many events one transaction counts.
	countStep = 5000
	// countEvery is the least time between two rounds of counting, however often they are asked for.
	countEvery = time.Second
	// countSlow is how long the counter waits at most before it looks without having been woken: events of other nodes are counted
	// by those, so this is for what nobody announced.
	countSlow = 15 * time.Second
	// sampleEvery is how often the node is measured; refusals are added more often, when there are any.
	sampleEvery   = time.Minute
	rejectedEvery = 5 * time.Second
	// lastWords bounds what is still written when the server stops.
	lastWords = 2 * time.Second
)

// Run counts and samples until the context ends.
func (s *Service) Run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { s.keepCounting(ctx) })
	work.Go(func() { s.keepSampling(ctx) })
	work.Wait()
}

// keepCounting counts soon after events came, and now and then.
func (s *Service) keepCounting(ctx context.Context) {
	sub := s.Bus.Subscribe(bus.Events)
	defer sub.Close()
	woken := false
	for poll := countEvery; ; {
		begin := s.clk.Now()
		if err := s.Collect(ctx); err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "events were not counted; they will be", slog.Any("error", err))
		}
		if woken {
			s.Bus.Publish(topic) // the queue may have changed without an event to count
		}
		woken = false
		timer := s.clk.NewTimer(poll)
		select {
		case <-sub.C:
			// What was announced may be hidden by an older transaction, so the next looks are soon too.
			poll, woken = countEvery, true
		case <-timer.C():
			poll = min(2*poll, countSlow)
		case <-ctx.Done():
		}
		timer.Stop()
		if s.clk.Sleep(ctx, countEvery-clock.Since(s.clk, begin)) != nil {
			return
		}
	}
}

// Collect counts all events that are visible and not counted yet. On several nodes one counts at a time.
func (s *Service) Collect(ctx context.Context) error {
	for {
		more, err := s.countSome(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// countSome counts up to countStep events and moves the place in the same transaction, so that each is counted once, whatever is
// killed when. It does not begin one when there is nothing to count.
func (s *Service) countSome(ctx context.Context) (more bool, err error) {
	text, err := place(ctx, s.pool)
	if err != nil {
		return false, pg.Fault(err)
	}
	s.seen(text)
	after, err := event.ParseCursor(text)
	if err != nil {
		return false, err
	}
	if _, next, err := event.CountAfter(ctx, s.pool, after, 1); err != nil || next == after {
		return false, pg.Fault(err)
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		var ok bool
		if text, ok, err = lockPlace(ctx, tx); err != nil || !ok {
			return err
		}
		text, more, err = advance(ctx, tx, text)
		return err
	})
	if err != nil {
		return false, pg.Fault(err)
	}
	s.seen(text)
	return more, nil
}

// advance counts what follows a place and moves it. more says that there may be more.
func advance(ctx context.Context, tx pgx.Tx, text string) (moved string, more bool, err error) {
	after, err := event.ParseCursor(text)
	if err != nil {
		return text, false, err
	}
	found, next, err := event.CountAfter(ctx, tx, after, countStep)
	if err != nil || next == after {
		return text, false, err
	}
	all, sum := int64(0), tally{}
	for _, c := range found {
		all += c.N
		if i, ok := countOf(c.Type); ok {
			sum.add(c.Minute, c.Domain, func(n *Counts) { *n.all()[i] += c.N })
		}
	}
	if err := sum.store(ctx, tx); err != nil {
		return text, false, err
	}
	_, err = tx.Exec(ctx, sqlMovePlace, next.String())
	return next.String(), all >= countStep, err
}

// seen tells who watches that the counting has moved, by this node or another.
func (s *Service) seen(text string) {
	s.mu.Lock()
	moved := text != "" && text != s.place
	if moved {
		s.place = text
	}
	s.mu.Unlock()
	if moved {
		s.Bus.Publish(topic)
	}
}

// keepSampling measures the node at its start and at the beginning of every minute, and adds refusals soon. The last of those are
// added when the server stops.
func (s *Service) keepSampling(ctx context.Context) {
	next := s.clk.Now()
	for ctx.Err() == nil {
		var err error
		if now := s.clk.Now(); due(now, next) {
			next = now.Truncate(sampleEvery).Add(sampleEvery)
			err = s.Sample(ctx)
		} else {
			err = s.addRejected(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "the node was not measured", slog.Any("error", err))
		}
		if s.clk.Sleep(ctx, min(rejectedEvery, clock.Until(s.clk, next))) != nil {
			break
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if err := s.addRejected(last); err != nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "the last refusals are missing in the statistics", slog.Any("error", err))
	}
}

// due reports whether the node is to be measured. After a clock was set back nobody waits until it has come to the old time again.
func due(now, next time.Time) bool { return !now.Before(next) || next.Sub(now) > sampleEvery }

// Sample measures the node once.
func (s *Service) Sample(ctx context.Context) error {
	if err := s.addRejected(ctx); err != nil {
		return err
	}
	depth, err := s.Outbound.Depth(ctx)
	if err != nil {
		return err
	}
	r := s.cfg.Read()
	err = sample(ctx, s.pool, s.cfg.Node, s.clk.Now(), map[string]int64{
		"queue_depth": depth, "memory_bytes": r.Memory, "connections_smtp": r.SMTP, "connections_submission": r.Submission,
		"connections_imap": r.IMAP, "connections_http": r.HTTP,
	})
	if err != nil {
		return pg.Fault(err)
	}
	s.Bus.Publish(topic)
	return nil
}

// addRejected adds what the node has refused since the last time.
func (s *Service) addRejected(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Read().Rejected
	more := now - s.rejected
	if more <= 0 {
		return nil
	}
	sum := tally{}
	sum.add(Minute.begin(s.clk.Now()), noDomain(), func(c *Counts) { c.Rejected += more })
	if err := sum.store(ctx, s.pool); err != nil {
		return pg.Fault(err)
	}
	s.rejected = now
	s.Bus.Publish(topic)
	return nil
}

// expireStep is how many rows one statement of Expire deletes.
const expireStep = 5000

// Expire deletes sums and samples that are older than their step is kept. It gives how many rows that were.
func (s *Service) Expire(ctx context.Context) (n int64, err error) {
	now := s.clk.Now()
	for _, step := range steps() {
		for _, statement := range []struct {
			sql  string
			more []any
		}{{sqlExpireCounts, nil}, {sqlExpireGauges, []any{gaugeNames()}}} {
			for {
				args := append([]any{step.minutes(), now.Add(-step.kept() - spare), expireStep}, statement.more...)
				tag, err := s.pool.Exec(ctx, statement.sql, args...)
				if err != nil {
					return n, pg.Fault(err)
				}
				if n += tag.RowsAffected(); tag.RowsAffected() < expireStep {
					break
				}
			}
		}
	}
	return n, nil
}
