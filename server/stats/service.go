package stats

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// topic is where the bus tells that numbers have changed.
const topic = "stats"

// Config says which node this is.
type Config struct {
	// Node names it among the nodes of the database, the same after each start.
	Node      string
	Version   string
	StartedAt time.Time
	// Read measures the node. It answers at once, from memory. Nil measures nothing.
	Read func() Reading
}

// Deps are the packages below.
type Deps struct {
	Pool      *pg.Pool
	Clock     clock.Clock
	Log       *slog.Logger
	Bus       *bus.Bus
	Domains   *domain.Service
	Accounts  *account.Service
	Mailboxes *mailbox.Service
	Outbound  *outbound.Service
}

// Service counts, samples and answers. All methods may be called from many goroutines and nodes at once.
type Service struct {
	Deps
	cfg  Config
	clk  clock.Clock
	pool *pg.Pool

	views shared[Overview]
	// The queue is counted once for all domains, or once for each, whoever asks.
	queue   shared[outbound.QueueCounts]
	queueOf shared[map[mail.DomainID]outbound.DomainQueue]

	mu sync.Mutex
	// rejected is how much of the node's own count of refusals has been added to the sums.
	rejected int64
	// place is where the ledger's counting was seen last.
	place string
}

// New makes the service; it starts nothing.
func New(cfg Config, d Deps) *Service {
	if cfg.Read == nil {
		cfg.Read = func() Reading { return Reading{} }
	}
	s := &Service{Deps: d, cfg: cfg, clk: d.Clock, pool: d.Pool}
	s.views.rest, s.queue.rest, s.queueOf.rest = restOfViews, restOfQueue, restOfQueue
	return s
}

// Changed gives a subscription that wakes when numbers have changed. Close it.
func (s *Service) Changed() *bus.Sub { return s.Bus.Subscribe(topic) }

// view is whose numbers are shown.
type view struct {
	all     bool
	domains []mail.DomainID
}

// rows are the domains under which the sums stand that a view adds up.
func (v view) rows() []mail.DomainID {
	if v.all {
		return []mail.DomainID{{}}
	}
	return v.domains
}

// viewOf decides what the principal may see, of one domain when it is not zero.
func (s *Service) viewOf(ctx context.Context, p mail.Principal, one mail.DomainID) (view, error) {
	switch {
	case !p.HasScope("stats:read") && p.IsKey():
		return view{}, fault.New(fault.Forbidden, "scope-missing", "this key needs the scope stats:read")
	case !p.HasScope("stats:read"):
		return view{}, fault.New(fault.Unauthenticated, "unauthenticated", "sign in to read statistics")
	case !p.IsSystem() && !p.IsKey() && p.Role != mail.RoleOwner && p.Role != mail.RoleAdmin:
		return view{}, fault.New(fault.Forbidden, "domain-forbidden", "only an owner or an admin may see how the server does")
	case one.IsZero():
		return view{all: p.AllDomains(), domains: p.Domains}, nil
	}
	v := view{domains: []mail.DomainID{one}}
	if p.MayDomain(one) {
		n, err := s.Domains.Count(ctx, false, v.domains)
		if err != nil || n > 0 {
			return v, err
		}
	}
	return view{}, fault.New(fault.NotFound, "not-found", "no such domain").At("query.domain_id")
}
