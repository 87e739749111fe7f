package outbound

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jackc/pgx/v5"

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

// The modes that exist now. In ModeDirect mail for other servers waits in the queue.
const (
	ModeDirect Mode = "direct"
	ModeSink   Mode = "sink"
	ModeNone   Mode = "none"
)

// bodyOwner is the name under which the body store keeps outgoing mail.
const bodyOwner = "outbound"

// Config is what the flow needs to know.
type Config struct {
	Hostname             string // in Message-ID fallbacks and trace fields
	Mode                 Mode
	MaxBytes             int64 // of a whole message, octets (L-1)
	RecipientsAPI        int   // of one API email (L-2)
	RecipientsSubmission int   // of one submitted message (L-2)
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

// Service is the departure flow.
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

// ListQuery selects a page of emails, newest first. Zero fields select everything.
type ListQuery struct {
	Before    mail.EmailID // the last id of the page before
	Domain    mail.DomainID
	Status    Status
	Recipient string // exact address
	Limit     int
}

// Get gives an email that the principal may see. A foreign or unknown id is fault.NotFound.
func (s *Service) Get(ctx context.Context, p mail.Principal, id mail.EmailID) (*Email, error) {
	e, err := getEmail(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !maySee(p, e) {
		return nil, fault.New(fault.NotFound, "not-found", "no email %s", id)
	}
	if err != nil {
		return nil, pg.Fault(err)
	}
	return e, pg.Fault(addRecipients(ctx, s.pool, []*Email{e}))
}

// maySee: who has the domain, and the user who sent it.
func maySee(p mail.Principal, e *Email) bool {
	return p.MayDomain(e.Domain) || !p.IsKey() && !p.User.IsZero() && p.User == e.Account
}

// List gives a page of the emails that the principal may see; more reports whether another page follows.
func (s *Service) List(ctx context.Context, p mail.Principal, q ListQuery) (page []*Email, more bool, err error) {
	domains, sender, ok := visible(p, q.Domain)
	if !ok {
		return nil, false, nil
	}
	rows, err := s.pool.Query(ctx, sqlListEmails, nullID(q.Before), domains, sender, nullText(string(q.Status)), nullText(q.Recipient), q.Limit+1)
	if err != nil {
		return nil, false, pg.Fault(err)
	}
	page, err = pgx.CollectRows(rows, scanEmail)
	if err != nil {
		return nil, false, pg.Fault(err)
	}
	if more = len(page) > q.Limit; more {
		page = page[:q.Limit]
	}
	return page, more, pg.Fault(addRecipients(ctx, s.pool, page))
}

// visible turns the principal and a wished domain into the conditions of a list; ok is false when nothing can match.
func visible(p mail.Principal, wish mail.DomainID) (domains, sender any, ok bool) {
	switch {
	case !wish.IsZero() && p.MayDomain(wish):
		return []string{wish.UUID()}, nil, true
	case !wish.IsZero() && !p.IsKey() && p.Role == mail.RoleUser:
		return []string{wish.UUID()}, nullID(p.User), !p.User.IsZero()
	case !wish.IsZero():
		return nil, nil, false
	case p.AllDomains():
		return nil, nil, true
	case p.IsKey() || p.Role == mail.RoleAdmin:
		ids := make([]string, len(p.Domains))
		for i, d := range p.Domains {
			ids[i] = d.UUID()
		}
		return ids, nil, true
	}
	return nil, nullID(p.User), !p.User.IsZero()
}

// Raw opens the bytes of an email as they were accepted. The caller closes it.
func (s *Service) Raw(ctx context.Context, p mail.Principal, id mail.EmailID) (*body.File, error) {
	e, err := s.Get(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return s.bodies.Open(ctx, bodyOwner, e.File)
}

// SinkQuery selects a page of what the sink kept, newest first.
type SinkQuery struct {
	Before mail.SinkID
	To     string // exact address
	Limit  int
}

// ListSink gives a page of the sink's messages from domains that the principal administers.
func (s *Service) ListSink(ctx context.Context, p mail.Principal, q SinkQuery) (page []SinkMessage, more bool, err error) {
	domains, err := s.sinkDomains(p)
	if err != nil {
		return nil, false, err
	}
	rows, err := s.pool.Query(ctx, sqlListSink, nullID(q.Before), domains, nullText(q.To), q.Limit+1)
	if err != nil {
		return nil, false, pg.Fault(err)
	}
	page, err = pgx.CollectRows(rows, scanSink)
	if err != nil {
		return nil, false, pg.Fault(err)
	}
	if more = len(page) > q.Limit; more {
		page = page[:q.Limit]
	}
	return page, more, nil
}

// GetSink gives one message of the sink.
func (s *Service) GetSink(ctx context.Context, p mail.Principal, id mail.SinkID) (SinkMessage, error) {
	domains, err := s.sinkDomains(p)
	if err != nil {
		return SinkMessage{}, err
	}
	rows, err := s.pool.Query(ctx, sqlGetSink, id, domains)
	if err != nil {
		return SinkMessage{}, pg.Fault(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, scanSink)
	if errors.Is(err, pgx.ErrNoRows) {
		return SinkMessage{}, fault.New(fault.NotFound, "not-found", "no sink message %s", id)
	}
	return m, pg.Fault(err)
}

// RawSink opens the bytes of a message of the sink. The caller closes it.
func (s *Service) RawSink(ctx context.Context, p mail.Principal, id mail.SinkID) (*body.File, error) {
	m, err := s.GetSink(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return s.bodies.Open(ctx, bodyOwner, m.File)
}

func (s *Service) sinkDomains(p mail.Principal) (any, error) {
	if !p.IsSystem() && !p.IsKey() && p.Role != mail.RoleOwner && p.Role != mail.RoleAdmin {
		return nil, fault.New(fault.Forbidden, "domain-forbidden", "only an owner or an admin may look into the sink")
	}
	domains, _, _ := visible(p, mail.DomainID{})
	return domains, nil
}

// Ready reports whether a message may be taken now: the disk has room (D-6).
func (s *Service) Ready(ctx context.Context) error { return s.bodies.Ready(ctx) }

func nullID[K mail.Kind](id mail.ID[K]) any {
	if id.IsZero() {
		return nil
	}
	return id
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}
