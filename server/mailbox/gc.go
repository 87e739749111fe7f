package mailbox

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// How long things are kept.
const (
	garbageAge = 10 * time.Minute    // a body that no row refers to, for sessions that still list it (D-25, D-37)
	tempAge    = 36 * time.Hour      // what an interrupted writer left (D-20, D-21)
	lostAge    = 30 * 24 * time.Hour // what the reconciler put aside (D-22)
	changeAge  = 30 * 24 * time.Hour // the change log, and with it the knowledge of expunges (D-35)
)

// Maintained says what a round of maintenance removed.
type Maintained struct {
	Bodies  int // files that nobody refers to any more
	Temp    int // leftovers of interrupted writers
	Lost    int // files put aside long ago
	Changes int // rows of the change log
}

// Maintain removes what has been kept long enough. It may run on several nodes at once, and is called every few minutes. It does
// what it can: the error joins those of its parts.
func (s *Service) Maintain(ctx context.Context) (Maintained, error) {
	var out Maintained
	var errs [4]error
	out.Bodies, errs[0] = s.CollectGarbage(ctx)
	out.Changes, errs[1] = s.trim(ctx)
	out.Temp, errs[2] = s.bodies.SweepTemp(ctx, tempAge)
	out.Lost, errs[3] = s.bodies.SweepLost(ctx, lostAge)
	return out, errors.Join(errs[:]...)
}

const (
	sqlGarbage = `SELECT account_id, file FROM body_garbage WHERE at < $1 ORDER BY at LIMIT 1000`
	// The row goes after the file: a file that could not be removed is tried again.
	sqlForgetGarbage = `
DELETE FROM body_garbage b USING unnest($1::uuid[], $2::text[]) AS g (account_id, file)
WHERE b.account_id = g.account_id AND b.file = g.file`
	sqlTrim = `
DELETE FROM mailbox_change WHERE ctid = ANY (ARRAY(SELECT ctid FROM mailbox_change WHERE at < $1 LIMIT 10000))`
)

// CollectGarbage unlinks the bodies whose last row was removed more than ten minutes ago (D-25). It returns how many.
func (s *Service) CollectGarbage(ctx context.Context) (int, error) {
	removed := 0
	before := s.clk.Now().Add(-garbageAge)
	for {
		accounts, names, err := s.garbage(ctx, before)
		if err != nil || len(accounts) == 0 {
			return removed, err
		}
		for i, account := range accounts {
			if err := s.bodies.Remove(ctx, account.String(), names[i]); err != nil {
				return removed, err
			}
		}
		if _, err := s.pool.Exec(ctx, sqlForgetGarbage, uuids(accounts...), names); err != nil {
			return removed, pg.Fault(err)
		}
		removed += len(accounts)
	}
}

func (s *Service) garbage(ctx context.Context, before time.Time) (accounts []mail.UserID, names []string, err error) {
	rows, err := s.pool.Query(ctx, sqlGarbage, before)
	if err != nil {
		return nil, nil, pg.Fault(err)
	}
	var account mail.UserID
	var name string
	_, err = pgx.ForEachRow(rows, []any{&account, &name}, func() error {
		accounts, names = append(accounts, account), append(names, name)
		return nil
	})
	return accounts, names, pg.Fault(err)
}

// trim removes old rows of the change log. Views that are older than the log are never brought up to date from it.
func (s *Service) trim(ctx context.Context) (int, error) {
	removed := 0
	for {
		tag, err := s.pool.Exec(ctx, sqlTrim, s.clk.Now().Add(-changeAge))
		if err != nil {
			return removed, pg.Fault(err)
		}
		removed += int(tag.RowsAffected())
		if tag.RowsAffected() < 10_000 {
			return removed, nil
		}
	}
}
