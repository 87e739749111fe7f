package stats

import (
	"context"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Reading is what a node measures of itself: octets of memory, open connections, and what it has refused since it began.
type Reading struct {
	Memory, SMTP, Submission, IMAP, HTTP, Rejected int64
}

// Server is the node that answers.
type Server struct {
	Version   string
	StartedAt time.Time
	Reading
}

// Overview is how the server, or some domains of it, does now.
type Overview struct {
	// At is when the numbers began to be read.
	At time.Time
	// Whole says that nothing is left out: only then Rejected has a meaning and Server is there.
	Whole bool
	// LastMinute is the running minute and the one before it, LastHour and LastDay end with the running minute, PreviousDay ends
	// where LastDay begins.
	LastMinute, LastHour, LastDay, PreviousDay Counts
	Queue                                      outbound.QueueCounts
	Domains, Users, StorageBytes               int64
	Server                                     *Server
}

// Overview gives the numbers of what the principal may see, of one domain when it is not zero. All who see the same share an
// answer for a second. It gives fault.Forbidden to users without a domain to administer and to keys without stats:read, and
// fault.NotFound for a domain that the principal may not see.
func (s *Service) Overview(ctx context.Context, p mail.Principal, domain mail.DomainID) (Overview, error) {
	v, err := s.viewOf(ctx, p, domain)
	if err != nil {
		return Overview{}, err
	}
	return s.views.get(ctx, s.clk, v, s.look)
}

// look reads everything of an overview.
func (s *Service) look(ctx context.Context, v view) (o Overview, err error) {
	o.At, o.Whole = s.clk.Now().Truncate(time.Millisecond), v.all
	found, err := sums(ctx, s.pool, v, windows(o.At))
	if err != nil {
		return o, pg.Fault(err)
	}
	o.LastMinute, o.LastHour, o.LastDay, o.PreviousDay = found[0], found[1], found[2], found[3]
	if o.Queue, err = s.waiting(ctx, v); err != nil {
		return o, err
	}
	if o.Domains, err = s.Domains.Count(ctx, v.all, v.domains); err != nil {
		return o, err
	}
	if o.Users, err = s.Accounts.Count(ctx, v.all, v.domains); err != nil {
		return o, err
	}
	if o.StorageBytes, err = s.Mailboxes.Storage(ctx, v.all, v.domains); err != nil {
		return o, err
	}
	if v.all {
		o.Server = &Server{Version: s.cfg.Version, StartedAt: s.cfg.StartedAt, Reading: s.cfg.Read()}
	}
	return o, nil
}

// waiting gives what waits to be sent.
func (s *Service) waiting(ctx context.Context, v view) (sum outbound.QueueCounts, err error) {
	whole := view{all: true}
	if v.all {
		return s.queue.get(ctx, s.clk, whole, func(ctx context.Context, _ view) (outbound.QueueCounts, error) { return s.Outbound.CountQueue(ctx) })
	}
	list, err := s.queueOf.get(ctx, s.clk, whole, func(ctx context.Context, _ view) (map[mail.DomainID]outbound.DomainQueue, error) {
		return s.Outbound.CountQueueByDomain(ctx)
	})
	paused := map[string]bool{}
	for _, d := range v.domains {
		one := list[d]
		sum.Queued, sum.Sending, sum.Deferred, sum.Held = sum.Queued+one.Queued, sum.Sending+one.Sending, sum.Deferred+one.Deferred, sum.Held+one.Held
		for _, name := range one.PausedNames {
			paused[name] = true
		}
	}
	sum.Paused = int64(len(paused))
	return sum, err
}

// windows gives the stretches of the four windows of an overview. Long ones take whole hours from the hours and their ends from
// the minutes.
func windows(now time.Time) []stretch {
	end := Minute.begin(now).Add(time.Minute)
	out := []stretch{
		{0, Minute, end.Add(-2 * time.Minute), end},
		{1, Minute, end.Add(-time.Hour), end},
	}
	for part, until := range map[int]time.Time{2: end, 3: end.Add(-24 * time.Hour)} {
		since := until.Add(-24 * time.Hour)
		first, last := Hour.begin(since.Add(time.Hour-1)), Hour.begin(until)
		out = append(out, stretch{part, Minute, since, first}, stretch{part, Hour, first, last}, stretch{part, Minute, last, until})
	}
	return out
}
