package account

import (
	"context"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	sqlCountAll  = `SELECT count(*) FROM account`
	sqlCountSome = `SELECT count(*) FROM account WHERE domain_id = ANY ($1::uuid[])`
)

// Count gives how many users there are: all, or those of some domains. The caller decides who may know it.
func (s *Service) Count(ctx context.Context, all bool, domains []mail.DomainID) (n int64, err error) {
	if all {
		err = s.pool.QueryRow(ctx, sqlCountAll).Scan(&n)
	} else {
		err = s.pool.QueryRow(ctx, sqlCountSome, uuids(domains)).Scan(&n)
	}
	return n, pg.Fault(err)
}
