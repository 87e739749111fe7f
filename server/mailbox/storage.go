package mailbox

import (
	"context"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	sqlStorageAll  = `SELECT COALESCE(sum(bytes), 0)::bigint FROM account_usage`
	sqlStorageSome = `
SELECT COALESCE(sum(u.bytes), 0)::bigint FROM account a JOIN account_usage u ON u.account_id = a.id
WHERE a.domain_id = ANY ($1::uuid[])`
)

// Storage gives the octets of all mail, or of the mail of some domains' users, each message counted once for its account. The
// caller decides who may know it.
func (s *Service) Storage(ctx context.Context, all bool, domains []mail.DomainID) (n int64, err error) {
	if all {
		err = s.pool.QueryRow(ctx, sqlStorageAll).Scan(&n)
	} else {
		err = s.pool.QueryRow(ctx, sqlStorageSome, uuids(domains...)).Scan(&n)
	}
	return n, pg.Fault(err)
}
