package event

import (
	"context"
	"log/slog"
	"math"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Sizes of a page.
const (
	limitDefault = 50
	limitMost    = 1000
	maxXID       = math.MaxInt64
)

// Service reads the ledger and keeps its partitions.
type Service struct {
	pool *pg.Pool
	clk  clock.Clock
	bus  *bus.Bus
	log  *slog.Logger
	tail *tail
	// behind holds one value for each reader that asks the database for what is no longer in the tail.
	behind chan struct{}
}

// New returns the reader of the ledger. The bus wakes followers.
func New(pool *pg.Pool, clk clock.Clock, b *bus.Bus, log *slog.Logger) *Service {
	return &Service{pool: pool, clk: clk, bus: b, log: log, tail: &tail{}, behind: make(chan struct{}, readersBehind)}
}

// Query says which events are wanted. Zero fields do not restrict.
type Query struct {
	// After is where to go on.
	After Cursor
	// Newest walks from the newest to the oldest; otherwise the walk follows time. The events of a Subject always follow time.
	Newest bool
	// Types are exact types, or "email.*" for all that begin with "email.", joined by or.
	Types []string
	// Subject is the object that the events are about.
	Subject string
	// Domain is whose events.
	Domain mail.DomainID
	// Limit is the size of a page: 1 to 1000, default 50.
	Limit int
}

// Page is one step of a walk.
type Page struct {
	Items []Event
	// Next is where to go on: after the last item, or where this page began when it has none.
	Next Cursor
	// More says that another page is there already.
	More bool
}

// List gives one page of the events that the principal may see: a user its own, an admin or key those of its domains, the
// owner all. It gives fault.Forbidden "scope-missing" for a key without events:read.
func (s *Service) List(ctx context.Context, p mail.Principal, q Query) (Page, error) {
	v, err := authorise(p)
	if err != nil {
		return Page{}, err
	}
	if q.Limit <= 0 {
		q.Limit = limitDefault
	}
	q.Limit = min(q.Limit, limitMost)
	size := q.Limit
	q.Limit++ // one more tells whether another page follows
	items, err := selectEvents(ctx, s.pool, v, q)
	if err != nil {
		return Page{}, pg.Fault(err)
	}
	page := Page{Items: items[:min(size, len(items))], Next: q.After, More: len(items) > size}
	items = page.Items
	if len(items) > 0 {
		page.Next = items[len(items)-1].Cursor
	}
	return page, nil
}

// End is the place after all events that are visible now. A follower that begins there gets only what comes later.
func (s *Service) End(ctx context.Context) (Cursor, error) {
	c, err := selectEnd(ctx, s.pool)
	return c, pg.Fault(err)
}

// Wake makes followers look again. Whoever appended calls it after the commit.
func (s *Service) Wake() { s.bus.Publish(bus.Events) }

func authorise(p mail.Principal) (view, error) {
	switch {
	case !p.HasScope("events:read"):
		if !p.IsKey() {
			return view{}, fault.New(fault.Unauthenticated, "unauthenticated", "sign in to read events")
		}
		return view{}, fault.New(fault.Forbidden, "scope-missing", "this key needs the scope events:read")
	case p.AllDomains():
		return view{all: true}, nil
	case p.IsKey():
		return view{domains: p.Domains}, nil
	case p.Role == mail.RoleAdmin:
		return view{domains: p.Domains, account: p.User}, nil
	}
	return view{account: p.User}, nil
}
