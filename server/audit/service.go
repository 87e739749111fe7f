package audit

import (
	"context"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	limitDefault = 50
	limitMost    = 200
)

// Service reads the record.
type Service struct{ pool *pg.Pool }

// New returns the reader of the record.
func New(pool *pg.Pool) *Service { return &Service{pool: pool} }

// Query says which rows are wanted. Zero fields do not restrict.
type Query struct {
	// After is where to go on with older rows.
	After Cursor
	// Actor, Target and Action match exactly.
	Actor, Target, Action string
	// Limit is 1 to 200, default 50.
	Limit int
}

// Page is one step of a walk from the newest row to the oldest.
type Page struct {
	Items []Row
	// Next is where to go on; zero when this was the last page.
	Next Cursor
}

// List gives the rows of the principal's domains, newest first; the owner sees all. It gives fault.Forbidden to users without
// a domain of their own and "scope-missing" to keys without audit:read.
func (s *Service) List(ctx context.Context, p mail.Principal, q Query) (Page, error) {
	switch {
	case !p.HasScope("audit:read") && p.IsKey():
		return Page{}, fault.New(fault.Forbidden, "scope-missing", "this key needs the scope audit:read")
	case !p.AllDomains() && !p.IsKey() && p.Role != mail.RoleAdmin:
		return Page{}, fault.New(fault.Forbidden, "forbidden", "only administrators may read the audit log")
	}
	if q.Limit <= 0 {
		q.Limit = limitDefault
	}
	q.Limit = min(q.Limit, limitMost)
	rows, err := selectRows(ctx, s.pool, p.AllDomains(), p.Domains, q)
	if err != nil {
		return Page{}, pg.Fault(err)
	}
	page := Page{Items: rows}
	if len(rows) == q.Limit {
		page.Next = rows[len(rows)-1].Cursor
	}
	return page, nil
}
