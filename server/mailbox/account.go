package mailbox

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/account"
)

// Attach makes an account's mailboxes live and end with it, in the same transaction.
func (s *Service) Attach(accounts *account.Service) {
	accounts.OnCreate = func(ctx context.Context, tx pgx.Tx, u account.User) error { return s.CreateDefaults(ctx, tx, u.ID) }
	accounts.OnDelete = func(ctx context.Context, tx pgx.Tx, u account.User) error { return s.DropAccount(ctx, tx, u.ID) }
}
