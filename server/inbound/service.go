package inbound

import (
	"context"
	"log/slog"
	"strings"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// Config is what the flow needs to know.
type Config struct {
	Hostname string // in trace fields, and the authserv-id
	MaxHops  int    // Received fields that prove a loop (L-25)
}

// Deps are the packages below.
type Deps struct {
	Clock     clock.Clock
	Log       *slog.Logger
	Bodies    *body.Store
	Domains   *domain.Service
	Accounts  *account.Service
	Mailboxes *mailbox.Service
	Metrics   *obs.Metrics // nil counts nothing
}

// Service is the arrival flow.
type Service struct {
	cfg       Config
	clock     clock.Clock
	log       *slog.Logger
	bodies    *body.Store
	domains   *domain.Service
	accounts  *account.Service
	mailboxes *mailbox.Service
	metrics   *obs.Metrics
}

// New makes the flow; it starts nothing.
func New(cfg Config, d Deps) *Service {
	return &Service{
		cfg: cfg, clock: d.Clock, log: d.Log, bodies: d.Bodies, domains: d.Domains, accounts: d.Accounts, mailboxes: d.Mailboxes, metrics: d.Metrics,
	}
}

// Ready reports whether a letter may be taken now (D-6): the disk has room.
func (s *Service) Ready(ctx context.Context) error { return s.bodies.Ready(ctx) }

// Recipient decides at RCPT, in this order: relay, domain, address, state, quota (mail-rules I-4). Errors:
// fault.Forbidden "relaying-denied", fault.NotFound "no-such-user", fault.Forbidden "mailbox-disabled", fault.OverQuota,
// temporary kinds when we cannot know.
func (s *Service) Recipient(ctx context.Context, _ mail.Peer, _, to mail.Address) error {
	_, err := s.lookup(ctx, to)
	return err
}

func (s *Service) lookup(ctx context.Context, to mail.Address) (account.Route, error) {
	denied := fault.New(fault.Forbidden, "relaying-denied", "relaying denied")
	name, err := dns.ToASCII(to.Domain)
	if err != nil || strings.ContainsAny(to.Local, "%!@") {
		return account.Route{}, denied // a local part that routes elsewhere (S-4)
	}
	dom, hosted, err := s.domains.Hosted(ctx, name)
	switch {
	case err != nil:
		return account.Route{}, err
	case !hosted:
		return account.Route{}, denied
	case dom.Status == domain.Disabled:
		return account.Route{}, fault.New(fault.Limited, "domain-disabled", "domain temporarily disabled")
	}
	route, err := s.accounts.Lookup(ctx, mail.Address{Local: to.Local, Domain: name}.String())
	if err != nil {
		return account.Route{}, err
	}
	if route.Status != account.Active {
		return account.Route{}, fault.New(fault.Forbidden, "mailbox-disabled", "mailbox disabled")
	}
	if route.UsedBytes >= route.QuotaBytes {
		s.metrics.QuotaExceeded()
		return account.Route{}, fault.New(fault.OverQuota, "quota-exceeded", "mailbox full")
	}
	return route, nil
}
