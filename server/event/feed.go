package event

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	// tailMost is how many of the newest events are kept in memory while somebody follows.
	tailMost = 2000
	// windowSize is how many events one step of a reader looks at that is further behind.
	windowSize = 2000
	// readersBehind is how many readers that are further behind ask the database at a time. The ledger may be long and little of it
	// wanted; without a bound, replays of some users would take all connections.
	readersBehind = 4
	// readGap is the least time between two reads of the tail, however often it is woken. A read takes some milliseconds: it asks
	// each of a hundred daily partitions.
	readGap = 50 * time.Millisecond
	// pollFirst and pollMost are how long the tail waits before it looks without having been woken. The first wait is short because
	// the wake-up may come before an older transaction has ended, which hides the event until then.
	pollFirst = 50 * time.Millisecond
	pollMost  = time.Second
)

// Feed is one reader that follows the ledger: first by statements of bounded size, and once it has caught up out of memory, from
// the tail that all readers of a node share. So a thousand readers ask the database no more than one. It is used by one
// goroutine; Close it.
type Feed struct {
	s     *Service
	after Cursor
	ready <-chan struct{}
	close func()
}

// Feed begins to follow after a place.
func (s *Service) Feed(ctx context.Context, after Cursor) (*Feed, error) {
	if err := s.tail.join(ctx, s); err != nil {
		return nil, pg.Fault(err)
	}
	return &Feed{s: s, after: after, close: sync.OnceFunc(s.tail.leave)}, nil
}

// Close ends the reader. Closing twice does no harm.
func (f *Feed) Close() { f.close() }

// ErrDropped says that events were dropped before the reader came to them. The reader stands at the end of the ledger now.
var ErrDropped = errors.New("events were dropped before they were read")

// After is the place up to which everything was given.
func (f *Feed) After() Cursor { return f.after }

// Next gives events that follow, in order, as the principal may see them, and waits for none. Another call finds more when more is
// true, also when nothing was given; otherwise Ready tells when to come again. Newest, Limit and After of q are not looked at.
// After an error the same call may be repeated. A reader that was overtaken by DropBefore gets ErrDropped; one that began at the
// beginning is overtaken only after its first event.
func (f *Feed) Next(ctx context.Context, p mail.Principal, q Query) (items []Event, more bool, err error) {
	v, err := authorise(p)
	if err != nil {
		return nil, false, err
	}
	newest, end, ready, ok := f.s.tail.since(f.after)
	f.ready = ready
	if ok {
		for _, e := range newest {
			if q.wants(e) && v.sees(e) {
				items = append(items, e)
			}
		}
		f.after = later(f.after, end)
		return items, false, nil
	}
	select {
	case f.s.behind <- struct{}{}:
		defer func() { <-f.s.behind }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	q.After, q.Newest, q.Limit = f.after, false, windowSize
	var next Cursor
	if q.Subject == "" {
		items, next, err = selectWindow(ctx, f.s.pool, v, q)
	} else if items, err = selectEvents(ctx, f.s.pool, v, q); len(items) > 0 {
		next = items[len(items)-1].Cursor
	}
	if err != nil {
		return nil, false, pg.Fault(err)
	}
	if !f.after.IsZero() { // asked after the statement: what was dropped before it is seen
		kept, err := f.s.Kept(ctx, f.after)
		switch {
		case err != nil:
			return nil, false, err
		case !kept:
			f.after = end
			return nil, true, ErrDropped
		}
	}
	if next.Compare(f.after) <= 0 {
		next = end // it was visible before this statement, which found nothing: nothing up to there is left out
	}
	f.after = next
	return items, true, nil
}

// Ready is closed when the ledger has grown since Next was called.
func (f *Feed) Ready() <-chan struct{} { return f.ready }

// Kept reports whether everything after a place can still be read: no day behind it was dropped, and it is not a place of another
// ledger, such as one before a restore, that has not come here.
func (s *Service) Kept(ctx context.Context, c Cursor) (kept bool, err error) {
	err = s.pool.QueryRow(ctx, sqlKept, c.xid, uuidOf(c.id)).Scan(&kept)
	return kept, pg.Fault(err)
}

// wants is what the statements do with types, domain and subject of a query.
func (q Query) wants(e Event) bool {
	return (len(q.Types) == 0 || slices.ContainsFunc(q.Types, func(t string) bool { return typeFits(t, e.Type) })) &&
		(q.Domain.IsZero() || e.Domain == q.Domain) && (q.Subject == "" || e.Subject == q.Subject)
}

func typeFits(wanted, have string) bool {
	if begin, ok := strings.CutSuffix(wanted, "*"); ok && strings.HasSuffix(begin, ".") {
		return strings.HasPrefix(have, begin)
	}
	return wanted == have
}

// sees is what the statements do with who reads.
func (v view) sees(e Event) bool {
	return v.all || !e.Domain.IsZero() && slices.Contains(v.domains, e.Domain) || !e.Account.IsZero() && e.Account == v.account
}

// tail is the end of the ledger in memory. It is read while somebody follows, by one goroutine.
type tail struct {
	mu sync.Mutex
	// items are all events after from, up to end; they are never changed, only appended and forgotten.
	items     []Event
	from, end Cursor
	// grown is closed and replaced when end has moved.
	grown chan struct{}

	// joining lets one reader after the other begin or end the work.
	joining sync.Mutex
	readers int
	stop    context.CancelFunc
	done    chan struct{}
}

// join begins to keep the tail, for the first reader.
func (t *tail) join(ctx context.Context, s *Service) error {
	t.joining.Lock()
	defer t.joining.Unlock()
	if t.readers == 0 {
		end, err := selectEnd(ctx, s.pool)
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.items, t.from, t.end, t.grown = nil, end, end, make(chan struct{})
		t.mu.Unlock()
		running, stop := context.WithCancel(context.WithoutCancel(ctx))
		t.stop, t.done = stop, make(chan struct{})
		go t.keep(running, s, t.done)
	}
	t.readers++
	return nil
}

// leave ends the work after the last reader.
func (t *tail) leave() {
	t.joining.Lock()
	defer t.joining.Unlock()
	if t.readers--; t.readers == 0 {
		t.stop()
		<-t.done
		t.mu.Lock()
		defer t.mu.Unlock()
		t.items = nil
	}
}

// since gives what follows a place and where that ends, and a channel that is closed when there is more; not ok when the place
// is older than what is in memory.
func (t *tail) since(c Cursor) (items []Event, end Cursor, grown <-chan struct{}, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.Compare(t.from) < 0 {
		return nil, t.end, t.grown, false
	}
	i, _ := slices.BinarySearchFunc(t.items, c, func(e Event, c Cursor) int {
		if e.Cursor.Compare(c) <= 0 {
			return -1
		}
		return 1
	})
	return t.items[i:len(t.items):len(t.items)], t.end, t.grown, true
}

// keep reads on until it is stopped. While the database is away the tail stands still; readers notice by their own statements.
func (t *tail) keep(ctx context.Context, s *Service, done chan<- struct{}) {
	defer close(done)
	sub := s.bus.Subscribe(bus.Events)
	defer sub.Close()
	for poll := pollFirst; ctx.Err() == nil; {
		begin := s.clk.Now()
		page, err := selectEvents(ctx, s.pool, view{all: true}, Query{After: t.end, Limit: tailMost / 2})
		if err == nil && len(page) > 0 {
			t.add(page)
			poll = pollFirst
		}
		if len(page) == tailMost/2 {
			continue
		}
		if poll, err = s.wait(ctx, sub, poll, begin.Add(readGap)); err != nil {
			return
		}
	}
}

func (t *tail) add(page []Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.items = append(t.items, page...)
	t.end = page[len(page)-1].Cursor
	if over := len(t.items) - tailMost; over > 0 {
		t.from = t.items[over-1].Cursor
		t.items = slices.Clone(t.items[over:])
	}
	close(t.grown)
	t.grown = make(chan struct{})
}

// wait returns when the tail should look again, woken not before the given moment, and how long to wait the next time if nothing
// comes.
func (s *Service) wait(ctx context.Context, sub *bus.Sub, poll time.Duration, notBefore time.Time) (time.Duration, error) {
	timer := s.clk.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-sub.C:
		return pollFirst, s.clk.Sleep(ctx, clock.Until(s.clk, notBefore))
	case <-timer.C():
		return min(2*poll, pollMost), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
