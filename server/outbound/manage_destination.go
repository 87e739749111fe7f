package outbound

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/audit"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// Destination is where mail of the queue goes, how much waits for it, and what is known of it.
type Destination struct {
	Name                            string // a domain, or a smart host as host:port
	Queued, Deferred, Sending, Held int64  // recipients
	OldestAt                        *time.Time
	NextAt                          *time.Time // the next attempt
	OnHold                          bool       // the whole destination is held
	Busy                            bool       // a worker is at it
	Failures                        int        // in a row
	PausedUntil                     *time.Time // nothing is sent before: the breaker is open, or the other server asked for it
	LastReply, LastHost             string
	LastAttemptAt, LastSuccessAt    *time.Time
}

// State gives the destination in a word: "held", "sending", "paused", "waiting" or "idle".
func (d Destination) State() string {
	switch {
	case d.OnHold:
		return "held"
	case d.Busy:
		return "sending"
	case d.PausedUntil != nil:
		return "paused"
	case d.Queued+d.Deferred > 0:
		return "waiting"
	}
	return "idle"
}

// DestinationQuery selects a page of destinations, by name. Zero fields select everything.
type DestinationQuery struct {
	After  string // the last name of the page before
	Name   string
	Domain mail.DomainID // count the mail of this sender's domain only
	Limit  int           // 1 to 200, default 50
}

// ListDestinations gives a page of the destinations for which mail of the principal's domains waits; who may see everything also
// gets those that are held or in trouble. To others the last reply is not shown: it may name a stranger's recipient.
func (s *Service) ListDestinations(ctx context.Context, p mail.Principal, q DestinationQuery) (page []Destination, more bool, err error) {
	v, err := queueView(p, scopeQueueRead)
	if err != nil {
		return nil, false, err
	}
	q.Limit, q.Name = limitOf(q.Limit), foldDestination(q.Name)
	page, err = listDestinations(ctx, s.pool, v, q, s.clock.Now())
	if err != nil {
		return nil, false, pg.Fault(err)
	}
	if more = len(page) > q.Limit; more {
		page = page[:q.Limit]
	}
	for i := range page {
		if !v.all {
			page[i].LastReply, page[i].LastHost = "", ""
		}
	}
	return page, more, nil
}

// GetDestination gives one destination; fault.NotFound when nothing waits for it and nothing is known of it.
func (s *Service) GetDestination(ctx context.Context, p mail.Principal, name string) (Destination, error) {
	if name == "" {
		return Destination{}, errNoDestination()
	}
	page, _, err := s.ListDestinations(ctx, p, DestinationQuery{Name: name, Limit: 1})
	if err != nil {
		return Destination{}, err
	}
	if len(page) == 0 {
		return Destination{}, errNoDestination()
	}
	return page[0], nil
}

func errNoDestination() error {
	return fault.New(fault.NotFound, "not-found", "nothing waits for this destination; GET /v1/queue/destinations lists those that there are")
}

// ManageDestination holds or releases everything for a destination, which concerns all domains and so needs the whole server; or
// retries what waits there now, which for an admin means the mail of his domains.
func (s *Service) ManageDestination(ctx context.Context, p mail.Principal, name string, act Action) (Destination, error) {
	v, err := queueView(p, scopeQueueWrite)
	if err != nil {
		return Destination{}, err
	}
	if act != Retry && !v.all {
		return Destination{}, fault.New(fault.Forbidden, "domain-forbidden", "only the owner, or a key without a list of domains, may hold or release a destination")
	}
	name = foldDestination(name)
	if _, err := s.destinationFor(ctx, v, name, act); err != nil {
		return Destination{}, err
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if act != Retry {
			if _, err := tx.Exec(ctx, sqlHoldDestination, name, act == Hold); err != nil {
				return err
			}
		}
		if act != Hold && v.all {
			if _, err := tx.Exec(ctx, sqlResetDestination, name); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, s.clock.Now(), p, audit.Entry{Action: "queue.destination_" + string(act), Target: name})
	})
	if err == nil && act != Hold {
		err = s.wakeNow(ctx, v, name)
	}
	if err != nil {
		return Destination{}, pg.Fault(err)
	}
	s.announce()
	return s.destinationFor(ctx, v, name, act)
}

// destinationFor reads the destination for who may see v. One that is unknown may be held before its first mail comes.
func (s *Service) destinationFor(ctx context.Context, v view, name string, act Action) (Destination, error) {
	page, err := listDestinations(ctx, s.pool, v, DestinationQuery{Name: name, Limit: 1}, s.clock.Now())
	switch {
	case err != nil:
		return Destination{}, pg.Fault(err)
	case len(page) > 0:
		if !v.all {
			page[0].LastReply, page[0].LastHost = "", ""
		}
		return page[0], nil
	case act == Hold && name != "":
		return Destination{Name: name}, nil
	}
	return Destination{}, errNoDestination()
}

// RetryFilter says what becomes due now; zero fields do not restrict.
type RetryFilter struct {
	Destination string
	Domain      mail.DomainID
	Email       mail.EmailID
}

// RetryAll makes all waiting mail due that the filter names, of the principal's domains. It gives how many recipients that are.
func (s *Service) RetryAll(ctx context.Context, p mail.Principal, f RetryFilter) (n int64, err error) {
	v, err := queueView(p, scopeQueueWrite)
	if err != nil {
		return 0, err
	}
	f.Destination = foldDestination(f.Destination)
	if !f.Domain.IsZero() && !p.MayDomain(f.Domain) {
		return 0, fault.New(fault.NotFound, "not-found", "no such domain")
	}
	if !f.Email.IsZero() {
		e, err := getEmail(ctx, s.pool, f.Email)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !p.MayDomain(e.Domain) {
			return 0, fault.New(fault.NotFound, "not-found", "no email %s", f.Email)
		}
		if err != nil {
			return 0, pg.Fault(err)
		}
	}
	if n, err = makeDue(ctx, s.pool, v, s.clock.Now().Truncate(time.Microsecond).Add(-clockSkew), f); err != nil {
		return n, pg.Fault(err)
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		return audit.Record(ctx, tx, s.clock.Now(), p, audit.Entry{
			Action: "queue.retry_all", Target: "queue", Domain: f.Domain, Data: map[string]any{"recipients": n, "destination": f.Destination},
		})
	})
	s.announce()
	return n, pg.Fault(err)
}

// wakeNow makes a destination's mail due and wakes a worker for it.
func (s *Service) wakeNow(ctx context.Context, v view, name string) error {
	if _, err := makeDue(ctx, s.pool, v, s.clock.Now().Truncate(time.Microsecond).Add(-clockSkew), RetryFilter{Destination: name}); err != nil {
		return err
	}
	if !s.dials() {
		return nil
	}
	return pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		return queue.Insert(ctx, tx, DrainArgs{Destination: name})
	})
}

// foldDestination gives a domain as rows hold it; anything else is compared as it is.
func foldDestination(name string) string {
	if folded, err := dns.ToASCII(name); err == nil {
		return folded
	}
	return name
}

// ForgetDestinations removes what is known of destinations that nothing was sent to since the time. It gives how many.
func (s *Service) ForgetDestinations(ctx context.Context, before time.Time) (int64, error) {
	tag, err := s.pool.Exec(ctx, sqlForgetDestinations, before)
	return tag.RowsAffected(), pg.Fault(err)
}
