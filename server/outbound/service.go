package outbound

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Mode is outbound.mode: where mail for other servers goes.
type Mode string

// The modes: to the exchangers of each recipient, to one smart host, kept here, refused.
const (
	ModeDirect Mode = "direct"
	ModeRelay  Mode = "relay"
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
	BlobTotal     int64 // octets of all blobs of one caller; 0: 512 MiB

	Relay       smtpout.Relay   // of ModeRelay
	Retry       []time.Duration // delays after failed attempts; nil: those of O-20
	GiveUpAfter time.Duration   // age of the last attempt; 0: 5 days
	// Connections to other servers in all and to one destination; 0: 200 and 5.
	Connections, PerDestination int
}

// complete fills in what is not set.
func (c *Config) complete() {
	if len(c.Retry) == 0 {
		c.Retry = defaultLadder()
	}
	if c.GiveUpAfter <= 0 {
		c.GiveUpAfter = 5 * 24 * time.Hour
	}
	if c.BlobTotal <= 0 {
		c.BlobTotal = 512 << 20
	}
	if c.Connections <= 0 {
		c.Connections = 200
	}
	if c.PerDestination <= 0 {
		c.PerDestination = 5
	}
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
	Client   *smtpout.Client // nil when the mode never dials
	Metrics  *obs.Metrics    // nil counts nothing
	Bus      *bus.Bus        // is told of events after their commit; nil tells nobody
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
	client   *smtpout.Client
	metrics  *obs.Metrics
	bus      *bus.Bus

	fleet fleet
	turns turns
	// slots bounds the connections that are in use.
	slots chan struct{}
	// writers bounds the dialogues that store their results at once: the others' wait must not be everybody's, and the API would
	// stand in line behind them for each of its statements.
	writers chan struct{}
	// quiet is closed when nothing more is to be begun.
	quiet     chan struct{}
	quietOnce sync.Once
	// beforeRelease is called by tests at the last instant of a drain.
	beforeRelease func()
}

// New makes the flow; it starts nothing.
func New(cfg Config, d Deps) *Service {
	cfg.complete()
	d.Metrics.SetOutboundLimit(cfg.Connections)
	return &Service{
		cfg: cfg, pool: d.Pool, clock: d.Clock, log: d.Log, bodies: d.Bodies, domains: d.Domains, accounts: d.Accounts,
		local: d.Local, client: d.Client, metrics: d.Metrics, bus: d.Bus, slots: make(chan struct{}, cfg.Connections),
		writers: make(chan struct{}, writersOf(d.Pool)), quiet: make(chan struct{}), beforeRelease: func() {},
	}
}

// announce wakes who reads the ledger or watches the queue. It is called after the commit.
func (s *Service) announce() {
	if s.bus != nil {
		s.bus.Publish(bus.Events)
	}
}

// StopSending lets the dialogues with other servers that are running come to their end and begins no more (O-30).
func (s *Service) StopSending() { s.quietOnce.Do(func() { close(s.quiet) }) }

func (s *Service) stopping() bool {
	select {
	case <-s.quiet:
		return true
	default:
		return false
	}
}

// writersOf leaves a third of the pool's connections to others.
func writersOf(pool *pg.Pool) int { return max(1, int(pool.Config().MaxConns)*2/3) }

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
