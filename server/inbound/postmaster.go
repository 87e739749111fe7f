package inbound

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

const (
	// postmasterFor is how long it is believed who answers for a domain.
	postmasterFor = time.Minute
	// adminPages bounds how many pages of users are looked through for one who answers.
	adminPages = 10
)

// postmasters remembers who answers for a domain, so that strangers who write there do not make us search each time.
type postmasters struct {
	mu    sync.Mutex
	known map[mail.DomainID]postmaster
}

type postmaster struct {
	email string // "" is nobody
	until time.Time
}

// stead finds who receives in the place of an address without an account: for postmaster, which every domain must accept
// (RFC 5321 §4.5.1), the domain's first admin, else the first owner of the server. Other addresses have nobody.
func (s *Service) stead(ctx context.Context, dom domain.Domain, to mail.Address) (account.Route, error) {
	if !strings.EqualFold(to.Local, outbound.Postmaster) {
		return account.Route{}, errNoUser()
	}
	email, err := s.postmaster(ctx, dom.ID)
	if err != nil {
		return account.Route{}, err
	}
	if email == "" {
		return account.Route{}, errNoUser()
	}
	route, err := s.accounts.Lookup(ctx, email)
	if fault.Is(err, fault.NotFound) {
		s.postmasters.forget(dom.ID) // gone since; the sender tries again and another one is found
		return route, fault.Wrap(err, fault.Unavailable, "unavailable", "the postmaster is being replaced; try again later")
	}
	return route, err
}

func (s *Service) postmaster(ctx context.Context, id mail.DomainID) (string, error) {
	now := s.clock.Now()
	if email, ok := s.postmasters.get(id, now); ok {
		return email, nil
	}
	email, err := s.first(ctx, mail.RoleAdmin, func(u account.User) bool { return slices.Contains(u.AdminDomains, id) })
	if err == nil && email == "" {
		email, err = s.first(ctx, mail.RoleOwner, func(account.User) bool { return true })
	}
	if err == nil {
		s.postmasters.put(id, postmaster{email, now.Add(postmasterFor)})
	}
	return email, err
}

// first gives the address of the active user of the role, and for whom ok holds, who was made first.
func (s *Service) first(ctx context.Context, role mail.Role, ok func(account.User) bool) (email string, err error) {
	q := account.ListQuery{Role: role, Status: account.Active, Limit: 200}
	for range adminPages {
		users, next, err := s.accounts.List(ctx, mail.System("postmaster"), q)
		if err != nil {
			return "", err
		}
		for _, u := range users { // newest first
			if ok(u) {
				email = u.Email
			}
		}
		if q.After = next; next.IsZero() {
			break
		}
	}
	return email, nil
}

func (p *postmasters) get(id mail.DomainID, now time.Time) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.known[id]
	return known.email, ok && now.Before(known.until)
}

func (p *postmasters) put(id mail.DomainID, who postmaster) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = make(map[mail.DomainID]postmaster)
	}
	p.known[id] = who
}

func (p *postmasters) forget(id mail.DomainID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, id)
}
