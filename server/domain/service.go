package domain

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/audit"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/seal"
)

const (
	limitDefault = 50
	limitMost    = 200
)

// Config says how domains are verified.
type Config struct {
	// AutoVerify makes every new domain "verified" and every new DKIM key active at once; otherwise they are "pending".
	AutoVerify bool
	// Hostname is this server's name, to which MX records point. Ports are the client ports that it serves.
	Hostname string
	Ports    Ports
	// Store says where new private keys go, SourceDatabase when empty. Box seals those in the database; without one a domain gets
	// keys only when they are asked for, and then it is an error. KeyDir holds the files.
	Store  KeySource
	Box    *seal.Box
	KeyDir string
	// DefaultKeys are the keys of a new domain when nobody says which.
	DefaultKeys KeyChoice
	// Resolver shows whether a key is published. It may be nil when AutoVerify is set.
	Resolver dns.Resolver
}

// Service creates, shows and changes domains.
type Service struct {
	pool   *pg.Pool
	clk    clock.Clock
	bus    *bus.Bus
	log    *slog.Logger
	cfg    Config
	mu     sync.Mutex
	hosted hostedNames
	relays map[mail.DomainID]relayEntry
	// signing holds decrypted DKIM keys for some seconds.
	signing signing
}

// New returns the service.
func New(pool *pg.Pool, clk clock.Clock, b *bus.Bus, log *slog.Logger, cfg Config) *Service {
	if cfg.Store == "" {
		cfg.Store = SourceDatabase
	}
	return &Service{
		pool: pool, clk: clk, bus: b, log: log, cfg: cfg, relays: make(map[mail.DomainID]relayEntry),
		signing: signing{domains: make(map[mail.DomainID]signingEntry)},
	}
}

// Create is what is asked for a new domain.
type Create struct {
	Name string
	// DKIM says which keys it gets; the empty choice is the service's default.
	DKIM KeyChoice
}

// Create makes a domain with its DKIM keys. Only who has the whole server may: others get fault.Forbidden. It gives fault.Conflict
// "already-exists" when the name is hosted already, fault.Invalid for a bad name, and fault.Unavailable "key-unavailable" when
// private keys cannot be kept.
func (s *Service) Create(ctx context.Context, p mail.Principal, in Create) (Domain, error) {
	if err := scope(p, "domains:write"); err != nil {
		return Domain{}, err
	}
	if !p.AllDomains() {
		return Domain{}, fault.New(fault.Forbidden, "domain-forbidden", "only the owner, or a key without a list of domains, may create domains")
	}
	name, err := ParseName(in.Name)
	if err != nil {
		return Domain{}, err
	}
	keys, err := s.PrepareKeys(in.DKIM)
	if err != nil {
		return Domain{}, err
	}
	var d Domain
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		d, err = s.CreateIn(ctx, tx, p, name, keys)
		return err
	})
	if err != nil {
		return Domain{}, pg.Fault(err)
	}
	s.bus.Publish(bus.Events)
	return d, nil
}

// CreateIn makes a domain of a name that ParseName gave with keys of PrepareKeys, in the caller's transaction and without asking
// who may. The caller wakes the readers of events after the commit.
func (s *Service) CreateIn(ctx context.Context, tx pgx.Tx, p mail.Principal, name string, keys NewKeys) (Domain, error) {
	now := s.clk.Now().Truncate(time.Microsecond)
	d := Domain{ID: mail.DomainID{}.New(now), Name: name, Status: Pending, Version: 1, CreatedAt: now, UpdatedAt: now}
	if s.cfg.AutoVerify {
		d.Status = Verified
	}
	if err := insert(ctx, tx, d); err != nil {
		if pg.IsUniqueViolation(err, nameKey) {
			return Domain{}, fault.New(fault.Conflict, "already-exists", "the domain %s exists already", name).At("name")
		}
		return Domain{}, err
	}
	if err := s.note(ctx, tx, p, d, event.DomainCreated, "domain.create", nil); err != nil {
		return Domain{}, err
	}
	for _, n := range keys.keys {
		if _, err := s.insertKey(ctx, tx, p, d, n); err != nil {
			return Domain{}, err
		}
	}
	pg.AfterCommit(ctx, func() { s.hosted.forget(name) })
	idem.SetEffect(ctx, d.ID.String())
	return d, nil
}

// Get gives a domain by id; fault.NotFound when there is none that the principal may see.
func (s *Service) Get(ctx context.Context, p mail.Principal, id mail.DomainID) (Domain, error) {
	if err := scope(p, "domains:read"); err != nil {
		return Domain{}, err
	}
	d, found, err := one(ctx, s.pool, sqlGet, id)
	return visible(p, d, found, err)
}

// GetByName is Get by the domain's name, in any spelling.
func (s *Service) GetByName(ctx context.Context, p mail.Principal, name string) (Domain, error) {
	if err := scope(p, "domains:read"); err != nil {
		return Domain{}, err
	}
	stored, err := ParseName(name)
	if err != nil {
		return Domain{}, errNotFound()
	}
	d, found, err := Find(ctx, s.pool, stored)
	return visible(p, d, found, err)
}

// ListQuery says which domains are wanted, newest first. Zero fields do not restrict.
type ListQuery struct {
	// After is the last id of the page before.
	After mail.DomainID
	// Limit is 1 to 200, default 50.
	Limit int
	// Status and Name match exactly.
	Status Status
	Name   string
}

// List gives the domains that the principal may see, and the id to go on after; it is zero on the last page.
func (s *Service) List(ctx context.Context, p mail.Principal, q ListQuery) ([]Domain, mail.DomainID, error) {
	if err := scope(p, "domains:read"); err != nil {
		return nil, mail.DomainID{}, err
	}
	if q.Limit <= 0 {
		q.Limit = limitDefault
	}
	q.Limit = min(q.Limit, limitMost)
	if q.Name != "" {
		name, err := ParseName(q.Name)
		if err != nil {
			return nil, mail.DomainID{}, err
		}
		q.Name = name
	}
	domains := p.Domains
	if !p.IsKey() && p.Role != mail.RoleAdmin {
		domains = nil
	}
	items, err := list(ctx, s.pool, p.AllDomains(), domains, q)
	if err != nil || len(items) <= q.Limit {
		return items, mail.DomainID{}, pg.Fault(err)
	}
	return items[:q.Limit], items[q.Limit-1].ID, nil
}

// Update sets the status. ifVersion is the version that the caller saw, or 0; another one gives fault.Stale "etag-mismatch".
func (s *Service) Update(ctx context.Context, p mail.Principal, id mail.DomainID, status Status, ifVersion int64) (Domain, error) {
	if err := scope(p, "domains:write"); err != nil {
		return Domain{}, err
	}
	if _, ok := ParseStatus(string(status)); !ok {
		return Domain{}, fault.New(fault.Invalid, "validation-failed", "status must be pending, verified or disabled").At("status")
	}
	if !p.IsOwner() && status == Verified {
		return Domain{}, fault.New(fault.Forbidden, "forbidden", "only the owner may declare a domain verified")
	}
	var d Domain
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		d, err = s.lock(ctx, tx, p, id, ifVersion)
		if err != nil || d.Status == status {
			return err
		}
		before := d.Status
		d.Status, d.Version, d.UpdatedAt = status, d.Version+1, s.clk.Now().Truncate(time.Microsecond)
		if err := update(ctx, tx, d); err != nil {
			return err
		}
		return s.note(ctx, tx, p, d, event.DomainUpdated, "domain.update", map[string]any{"status": string(status), "before": string(before)})
	})
	return d, s.changed(d, err)
}

// Delete removes a domain. It gives fault.Conflict "in-use" while users belong to it.
func (s *Service) Delete(ctx context.Context, p mail.Principal, id mail.DomainID, ifVersion int64) error {
	if err := scope(p, "domains:write"); err != nil {
		return err
	}
	var d Domain
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		d, err = s.lock(ctx, tx, p, id, ifVersion)
		if err != nil {
			return err
		}
		if !p.AllDomains() {
			return fault.New(fault.Forbidden, "domain-forbidden", "only the owner, or a key without a list of domains, may delete domains")
		}
		if err := remove(ctx, tx, id); err != nil {
			if stillUsed(err) {
				return fault.New(fault.Conflict, "in-use", "users still belong to the domain %s; delete them first", d.Name)
			}
			return err
		}
		return s.note(ctx, tx, p, d, event.DomainDeleted, "domain.delete", nil)
	})
	s.signing.drop(id)
	return s.changed(d, err)
}

// lock reads the domain for a change and checks that the principal sees it and saw this version.
func (s *Service) lock(ctx context.Context, tx pgx.Tx, p mail.Principal, id mail.DomainID, ifVersion int64) (Domain, error) {
	d, found, err := one(ctx, tx, sqlLock, id)
	if d, err = visible(p, d, found, err); err != nil {
		return d, err
	}
	if ifVersion != 0 && ifVersion != d.Version {
		return d, fault.New(fault.Stale, "etag-mismatch", "the domain was changed by somebody else; read it again")
	}
	return d, nil
}

// changed ends a change: caches forget the domain, readers of events wake.
func (s *Service) changed(d Domain, err error) error {
	s.hosted.forget(d.Name)
	if err != nil {
		return pg.Fault(err)
	}
	s.bus.Publish(bus.Events)
	return nil
}

// note writes the audit row and the event of a change.
func (s *Service) note(ctx context.Context, q pg.Querier, p mail.Principal, d Domain, kind, action string, data map[string]any) error {
	now := s.clk.Now()
	if data == nil {
		data = map[string]any{}
	}
	data["name"] = d.Name
	entry := audit.Entry{Action: action, Target: d.ID.String(), Domain: d.ID, Data: data}
	if err := audit.Record(ctx, q, now, p, entry); err != nil {
		return err
	}
	return event.Append(ctx, q, now, event.Event{Type: kind, Domain: d.ID, Subject: d.ID.String(), Data: data})
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

func visible(p mail.Principal, d Domain, found bool, err error) (Domain, error) {
	if err != nil {
		return Domain{}, pg.Fault(err)
	}
	if !found || !p.MayDomain(d.ID) {
		return Domain{}, errNotFound()
	}
	return d, nil
}

func errNotFound() error { return fault.New(fault.NotFound, "not-found", "no such domain") }
