package outbound

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// expireBatch is how many emails one transaction of Expire removes.
const expireBatch = 500

// Emails whose recipients all have a final result, oldest first: ids sort by time, so the walk is one of the primary key. Their recipients go with them (ON DELETE CASCADE).
const sqlExpireEmails = `
DELETE FROM email WHERE id IN (
    SELECT e.id FROM email e
    WHERE e.id < $1 AND e.status IN ('delivered', 'bounced', 'failed', 'cancelled', 'suppressed')
    ORDER BY e.id
    LIMIT $2
    FOR UPDATE SKIP LOCKED)
RETURNING id, file`

const sqlExpireSink = `DELETE FROM sink_message WHERE email_id = ANY ($1::uuid[])`

// Expire removes emails that are done and older than the time, with what the sink kept of them and their bytes: rows first,
// files when the rows are gone (D-13). It gives how many went. A file that a crash leaves behind is found by Verify.
func (s *Service) Expire(ctx context.Context, before time.Time) (removed int, err error) {
	for {
		files, err := s.expireSome(ctx, before)
		if err != nil {
			return removed, pg.Fault(err)
		}
		for _, name := range files {
			err = errors.Join(err, s.bodies.Remove(ctx, body.Outbound, name))
		}
		removed += len(files)
		if err != nil || len(files) < expireBatch {
			return removed, err
		}
	}
}

func (s *Service) expireSome(ctx context.Context, before time.Time) (files []string, err error) {
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		first := mail.EmailID{}.New(before) // the smallest id of that instant
		clear(first[6:])
		rows, err := tx.Query(ctx, sqlExpireEmails, first, expireBatch)
		if err != nil {
			return fmt.Errorf("expire emails: %w", err)
		}
		var ids []string
		var id, file string
		files = nil
		if _, err := pgx.ForEachRow(rows, []any{&id, &file}, func() error {
			ids, files = append(ids, id), append(files, file)
			return nil
		}); err != nil {
			return fmt.Errorf("expire emails: %w", err)
		}
		_, err = tx.Exec(ctx, sqlExpireSink, ids)
		return err
	})
	return files, err
}
