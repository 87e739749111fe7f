package account

import (
	"context"
	"log/slog"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/audit"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/seal"
)

// Config says how accounts are kept. Zero fields take the default.
type Config struct {
	// Argon2 is the cost of a password hash.
	Argon2 Argon2
	// PasswordMinLength is the least size of a new password in bytes, default 12.
	PasswordMinLength int
	// DefaultQuota is the quota of a user who is made without one, default 5 GiB.
	DefaultQuota int64
	// HashConcurrency is how many hashes run at once, default the number of cores.
	HashConcurrency int
	// Issuer is the name in access tokens, default "mailserver". Two installations that share nothing should differ in it.
	Issuer string
}

func (c Config) orDefault() Config {
	c.Argon2 = c.Argon2.orDefault()
	if c.PasswordMinLength <= 0 {
		c.PasswordMinLength = passwordMin
	}
	if c.DefaultQuota <= 0 {
		c.DefaultQuota = defaultQuota
	}
	if c.HashConcurrency <= 0 {
		c.HashConcurrency = runtime.NumCPU()
	}
	if c.Issuer == "" {
		c.Issuer = "mailserver"
	}
	return c
}

// Metrics counts sign-ins. result is "ok", "failed", "limited", "busy" or "error".
type Metrics interface {
	AuthAttempt(result, protocol string)
}

// Deps are what the service works with. Metrics may be nil. Without a Box, or with one that has no key, there are no sessions.
type Deps struct {
	Pool    *pg.Pool
	Clock   clock.Clock
	Log     *slog.Logger
	Bus     *bus.Bus
	Limiter *limit.Limiter
	Domains *domain.Service
	Box     *seal.Box
	Metrics Metrics
}

// Service keeps users, keys and sessions, and says who somebody is.
type Service struct {
	// OnCreate and OnDelete run inside the transaction that makes or deletes a user. Set them before the service is used.
	OnCreate func(ctx context.Context, tx pgx.Tx, u User) error
	OnDelete func(ctx context.Context, tx pgx.Tx, u User) error

	pool     *pg.Pool
	clk      clock.Clock
	log      *slog.Logger
	bus      *bus.Bus
	limiter  *limit.Limiter
	domains  *domain.Service
	metrics  Metrics
	cfg      Config
	gate     *gate
	verified *verified
	dummy    passwordHash
	signers  *signers
	states   *states
}

// New returns the service. It does not ask the database.
func New(deps Deps, cfg Config) *Service {
	cfg = cfg.orDefault()
	return &Service{
		pool:     deps.Pool,
		clk:      deps.Clock,
		log:      deps.Log,
		bus:      deps.Bus,
		limiter:  deps.Limiter,
		domains:  deps.Domains,
		metrics:  deps.Metrics,
		cfg:      cfg,
		gate:     newGate(deps.Clock, cfg.HashConcurrency, tidier(cfg.Argon2)),
		verified: newVerified(),
		dummy:    dummyHash(cfg.Argon2),
		signers:  &signers{pool: deps.Pool, clk: deps.Clock, log: deps.Log, box: deps.Box},
		states:   newStates(),
	}
}

// tidier gives what returns the memory of hashes to the system, nil when it is too little to trouble about.
func tidier(cost Argon2) func() {
	if cost.MemoryKiB < worthTidying {
		return nil
	}
	return debug.FreeOSMemory
}

// now is the moment as the database can store it.
func (s *Service) now() time.Time { return s.clk.Now().Truncate(time.Microsecond) }

// change is the audit row and the event of a change to a user.
type change struct {
	event, action string
	data          map[string]any
}

// note writes both in the transaction of the change.
func (s *Service) note(ctx context.Context, q pg.Querier, p mail.Principal, u User, c change) error {
	now := s.clk.Now()
	data := map[string]any{"email": u.Email}
	maps.Copy(data, c.data)
	entry := audit.Entry{Action: c.action, Target: u.ID.String(), Domain: u.DomainID, Data: data}
	if err := audit.Record(ctx, q, now, p, entry); err != nil {
		return err
	}
	return event.Append(ctx, q, now, event.Event{
		Type: c.event, Domain: u.DomainID, Account: u.ID, Subject: u.ID.String(), Data: data,
	})
}

// credentialsChanged makes this node forget what it believed about the user at once, and wakes sessions that must look again.
// Other nodes look at least every five seconds.
func (s *Service) credentialsChanged(id mail.UserID) {
	s.verified.forget(id)
	s.states.forgetUser(id)
	s.bus.Publish(bus.Credentials(id), bus.Events)
}

// scope refuses keys without the scope, and nobody.
func scope(p mail.Principal, name string) error {
	if p.HasScope(name) {
		return nil
	}
	if p.IsKey() {
		return fault.New(fault.Forbidden, "scope-missing", "this key needs the scope %s", name)
	}
	return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
}

// mayAppoint reports whether the principal may make, change or remove somebody with the role and the domains of an admin:
// whoever could set an owner's password would be one. Keys provision as far as they reach, people other than owners do not.
func mayAppoint(p mail.Principal, role mail.Role, domains []mail.DomainID) bool {
	switch {
	case role == mail.RoleUser, p.AllDomains():
		return true
	case !p.IsKey() || role != mail.RoleAdmin:
		return false
	}
	return !slices.ContainsFunc(domains, func(d mail.DomainID) bool { return !p.MayDomain(d) })
}

// mayManage refuses who may not change the user. Strangers are told that there is none.
func mayManage(p mail.Principal, u User) error {
	switch {
	case !p.MayUser(u.ID, u.DomainID):
		return errNoUser()
	case !p.MayDomain(u.DomainID):
		return fault.New(fault.Forbidden, "forbidden", "users cannot change their own account, except the password")
	case !mayAppoint(p, u.Role, u.AdminDomains):
		return errAppoint()
	}
	return nil
}

func errAppoint() error {
	return fault.New(fault.Forbidden, "forbidden",
		"owners and administrators are managed by owners and by API keys that reach as far: every domain, or all domains of the administrator")
}

func errNoUser() error { return fault.New(fault.NotFound, "not-found", "no such user") }
