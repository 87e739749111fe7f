package outbound

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Sizes of a page.
const (
	limitDefault = 50
	limitMost    = 200
)

// ListQuery selects a page of emails, newest first. Zero fields select everything.
type ListQuery struct {
	Before    mail.EmailID // the last id of the page before
	Domain    mail.DomainID
	Status    Status
	Recipient string // exact address; its domain in any spelling
	Limit     int    // 1 to 200, default 50
}

// Get gives an email that the principal may see, with its recipients. A foreign or unknown id is fault.NotFound. Who may send
// may also look at one email, since a repeated request is answered with it.
func (s *Service) Get(ctx context.Context, p mail.Principal, id mail.EmailID) (*Email, error) {
	if err := scope(p, scopeRead, scopeSend); err != nil {
		return nil, err
	}
	e, err := getEmail(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !maySee(p, e) {
		return nil, fault.New(fault.NotFound, "not-found", "no email %s", id)
	}
	if err == nil {
		err = addRecipients(ctx, s.pool, []*Email{e})
	}
	if err != nil {
		return nil, pg.Fault(err)
	}
	return e, nil
}

// maySee: who has the domain, and the user who sent it. List shows the same.
func maySee(p mail.Principal, e *Email) bool {
	return p.MayDomain(e.Domain) || !p.IsKey() && !p.User.IsZero() && p.User == e.Account
}

// view says which emails a principal sees: all, or those of some domains and those that the user sent.
type view struct {
	all     bool
	domains []mail.DomainID // nil: of none
	sender  mail.UserID
}

func viewOf(p mail.Principal) view {
	switch {
	case p.AllDomains():
		return view{all: true}
	case p.IsKey():
		return view{domains: p.Domains}
	case p.Role == mail.RoleAdmin:
		return view{domains: p.Domains, sender: p.User}
	}
	return view{sender: p.User}
}

// List gives a page of the emails that the principal may see; more reports whether another page follows.
func (s *Service) List(ctx context.Context, p mail.Principal, q ListQuery) (page []*Email, more bool, err error) {
	if err := scope(p, scopeRead); err != nil {
		return nil, false, err
	}
	q.Limit, q.Recipient = limitOf(q.Limit), foldAddress(q.Recipient)
	page, err = listEmails(ctx, s.pool, viewOf(p), q)
	if err != nil {
		return nil, false, pg.Fault(err)
	}
	if more = len(page) > q.Limit; more {
		page = page[:q.Limit]
	}
	if err := addRecipients(ctx, s.pool, page); err != nil {
		return nil, false, pg.Fault(err)
	}
	return page, more, nil
}

func limitOf(n int) int {
	if n <= 0 {
		return limitDefault
	}
	return min(n, limitMost)
}

// foldAddress gives an address as rows hold it; what is no address is compared as it is.
func foldAddress(text string) string {
	a, err := mail.ParseAddress(text)
	if err != nil {
		return text
	}
	if name, err := dns.ToASCII(a.Domain); err == nil {
		a.Domain = name
	}
	return a.String()
}

// Raw is a message as it goes out: the signature, when there is one yet, and the bytes that were accepted.
type Raw struct {
	io.Reader
	Size int64 // octets
	file *body.File
}

// Close ends the reading.
func (r *Raw) Close() error { return r.file.Close() }

func (s *Service) raw(ctx context.Context, file, signature string) (*Raw, error) {
	f, err := s.bodies.Open(ctx, bodyOwner, file)
	if err != nil {
		return nil, err
	}
	return &Raw{io.MultiReader(strings.NewReader(signature), f), int64(len(signature)) + f.Size(), f}, nil
}

// Raw opens the bytes of an email. The caller closes them.
func (s *Service) Raw(ctx context.Context, p mail.Principal, id mail.EmailID) (*Raw, error) {
	if err := scope(p, scopeRead); err != nil {
		return nil, err
	}
	e, err := s.Get(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return s.raw(ctx, e.File, e.Signature)
}

// SinkQuery selects a page of what the sink kept, newest first.
type SinkQuery struct {
	Before mail.SinkID
	To     string // exact address; its domain in any spelling
	Limit  int    // 1 to 200, default 50
}

// ListSink gives a page of the sink's messages from domains that the principal administers.
func (s *Service) ListSink(ctx context.Context, p mail.Principal, q SinkQuery) (page []SinkMessage, more bool, err error) {
	v, err := sinkView(p)
	if err != nil {
		return nil, false, err
	}
	q.Limit, q.To = limitOf(q.Limit), foldAddress(q.To)
	page, err = listSink(ctx, s.pool, v, q)
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
	v, err := sinkView(p)
	if err != nil {
		return SinkMessage{}, err
	}
	m, err := getSink(ctx, s.pool, v, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return SinkMessage{}, fault.New(fault.NotFound, "not-found", "no sink message %s", id)
	}
	return m, pg.Fault(err)
}

// RawSink opens the bytes of a message of the sink. The caller closes them.
func (s *Service) RawSink(ctx context.Context, p mail.Principal, id mail.SinkID) (*Raw, error) {
	m, err := s.GetSink(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return s.raw(ctx, m.File, m.Signature)
}

// sinkView is viewOf for the sink, a tool of whoever runs a domain: what one sent oneself does not count.
func sinkView(p mail.Principal) (view, error) {
	if err := scope(p, scopeSink); err != nil {
		return view{}, err
	}
	if !p.IsSystem() && !p.IsKey() && p.Role != mail.RoleOwner && p.Role != mail.RoleAdmin {
		return view{}, fault.New(fault.Forbidden, "domain-forbidden", "only an owner or an admin may look into the sink")
	}
	return viewOf(p), nil
}
