package domain

import (
	"context"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	sqlCountAll  = `SELECT count(*) FROM domain`
	sqlCountSome = `SELECT count(*) FROM domain WHERE id = ANY ($1::uuid[])`
)

// Count gives how many domains there are: all, or those of a list. The caller decides who may know it.
func (s *Service) Count(ctx context.Context, all bool, domains []mail.DomainID) (n int64, err error) {
	if all {
		err = s.pool.QueryRow(ctx, sqlCountAll).Scan(&n)
	} else {
		err = s.pool.QueryRow(ctx, sqlCountSome, uuids(domains)).Scan(&n)
	}
	return n, pg.Fault(err)
}
