package outbound

import (
	"context"
	"log/slog"
	"slices"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Mode is outbound.mode: where mail for other servers goes.
type Mode string

// The modes that exist now. In ModeDirect mail for other servers waits in the queue; in ModeNone it is refused.
const (
	ModeDirect Mode = "direct"
	ModeSink   Mode = "sink"
	ModeNone   Mode = "none"
)

// bodyOwner is the name under which the body store keeps outgoing mail.
const bodyOwner = body.Outbound

// Config is what the flow needs to know.
type Config struct {
	Hostname      string // in Message-ID fallbacks and trace fields, and the authserv-id
	Mode          Mode
	MaxBytes      int64 // of a whole message, octets (L-1)
	RecipientsAPI int   // of one API email (L-2); smtpd bounds those of a submitted one
}

// Deps are the packages below.
type Deps struct {
	Pool     *pg.Pool
	Clock    clock.Clock
	Log      *slog.Logger
	Bodies   *body.Store
	Domains  *domain.Service
	Accounts *account.Service
	Local    Local
	Metrics  *obs.Metrics // nil counts nothing
}

// Service is the departure flow. All methods may be called from many goroutines and nodes at once.
type Service struct {
	cfg      Config
	pool     *pg.Pool
	clock    clock.Clock
	log      *slog.Logger
	bodies   *body.Store
	domains  *domain.Service
	accounts *account.Service
	local    Local
	metrics  *obs.Metrics
}

// New makes the flow; it starts nothing.
func New(cfg Config, d Deps) *Service {
	return &Service{
		cfg: cfg, pool: d.Pool, clock: d.Clock, log: d.Log, bodies: d.Bodies, domains: d.Domains, accounts: d.Accounts,
		local: d.Local, metrics: d.Metrics,
	}
}

// Ready reports whether a message may be taken now: the disk has room (D-6).
func (s *Service) Ready(ctx context.Context) error { return s.bodies.Ready(ctx) }

// The scopes that a key needs here.
const (
	scopeSend = "emails:send"
	scopeRead = "emails:read"
	scopeSink = "sink:read"
)

// scope refuses nobody, and keys that hold none of the rights.
func scope(p mail.Principal, anyOf ...string) error {
	if slices.ContainsFunc(anyOf, p.HasScope) {
		return nil
	}
	if p.IsKey() {
		return fault.New(fault.Forbidden, "scope-missing", "this key needs the scope %s", anyOf[0])
	}
	return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
}
