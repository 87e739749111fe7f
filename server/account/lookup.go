package account

import (
	"context"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Route is where mail for an address of ours goes.
type Route struct {
	User     mail.UserID
	DomainID mail.DomainID
	Status   Status
	// QuotaBytes and UsedBytes tell whether there is room.
	QuotaBytes int64
	UsedBytes  int64
}

// Lookup finds the user of an address, in any spelling, for mail that comes in. It gives fault.NotFound when there is none.
// It asks nobody's right: whoever calls it must be a flow of mail.
func (s *Service) Lookup(ctx context.Context, address string) (Route, error) {
	a, err := mail.ParseAddress(address)
	if err != nil {
		return Route{}, errNoUser()
	}
	r, found, err := selectRoute(ctx, s.pool, Fold(a))
	if err != nil {
		return Route{}, pg.Fault(err)
	}
	if !found {
		return Route{}, errNoUser()
	}
	return r, nil
}

// OwnsAddress reports whether a user may write under the address: it must be the user's own. Keys own no address.
func (s *Service) OwnsAddress(_ context.Context, p mail.Principal, a mail.Address) (bool, error) {
	return !p.IsKey() && !p.User.IsZero() && !a.IsNull() && Fold(p.Address) == Fold(a), nil
}
