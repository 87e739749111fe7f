package inbound

import (
	"context"
	"log/slog"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
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

// Service is the arrival flow. All methods may be called from many goroutines at once.
type Service struct {
	cfg         Config
	clock       clock.Clock
	log         *slog.Logger
	bodies      *body.Store
	domains     *domain.Service
	accounts    *account.Service
	mailboxes   *mailbox.Service
	metrics     *obs.Metrics
	postmasters postmasters
}

// New makes the flow; it starts nothing.
func New(cfg Config, d Deps) *Service {
	return &Service{
		cfg: cfg, clock: d.Clock, log: d.Log, bodies: d.Bodies, domains: d.Domains, accounts: d.Accounts, mailboxes: d.Mailboxes, metrics: d.Metrics,
	}
}

// Ready reports whether a letter may be taken now (D-6): the disk has room.
func (s *Service) Ready(ctx context.Context) error { return s.bodies.Ready(ctx) }
