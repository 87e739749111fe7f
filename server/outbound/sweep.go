package outbound

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	// owedFor is how long a failure may stay unreported before its report is looked for.
	owedFor = 15 * time.Second
	// overdueFor is how long after its expiry a letter may wait for its last attempt.
	overdueFor = 15 * time.Minute
	// sweepBatch is how many rows a sweep reads at once.
	sweepBatch = 500
)

const sqlOwedReports = `
SELECT DISTINCT r.email_id
FROM email_recipient r JOIN email e ON e.id = r.email_id
WHERE r.status IN ('bounced', 'failed') AND NOT r.reported AND r.updated_at <= $1 AND e.envelope_from <> '' AND NOT e.test
LIMIT $2`

// ReportOwed files the reports whose jobs died with their process: the queue would run them again only after the longest job
// (queue.JobTimeout). A report that fails does not keep the others waiting. It gives how many emails it looked at.
func (s *Service) ReportOwed(ctx context.Context) (int64, error) {
	rows, err := s.pool.Query(ctx, sqlOwedReports, s.clock.Now().Add(-owedFor), sweepBatch)
	if err != nil {
		return 0, pg.Fault(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[mail.EmailID])
	if err != nil {
		return 0, pg.Fault(err)
	}
	var errs []error
	for _, id := range ids {
		_, err := s.Report(ctx, id)
		errs = append(errs, err)
	}
	return int64(len(ids)), errors.Join(errs...)
}

// Letters whose time is over and that nobody is sending: the breaker of their destination is open, or its worker had no time for
// them. Ids sort by time, so that $1, the smallest id of the youngest such letter, leaves out all others.
const overdue = `r.status IN ('queued', 'deferred') AND r.id < $1 AND e.expires_at < $2 AND ` + shownStatus + ` <> 'sending'`

const sqlOverdue = `
SELECT r.id FROM email_recipient r JOIN email e ON e.id = r.email_id
WHERE ` + overdue + `
ORDER BY r.id LIMIT $3`

const sqlClaimOverdue = `
SELECT ` + recipientColumns + `
FROM email_recipient r JOIN email e ON e.id = r.email_id
WHERE ` + overdue + ` AND r.id = $3
FOR UPDATE OF r SKIP LOCKED`

// GiveUp fails recipients whose letters are older than they may become and could not have their last attempt (O-20): a server that
// is down for days gets a probe now and then, and most letters behind its breaker never have their turn. It gives how many.
func (s *Service) GiveUp(ctx context.Context) (n int64, err error) {
	for {
		now := s.clock.Now()
		youngest := mail.DeliveryID{}.New(now.Add(-s.cfg.GiveUpAfter - overdueFor))
		clear(youngest[6:])
		rows, err := s.pool.Query(ctx, sqlOverdue, youngest, now.Add(-overdueFor), sweepBatch)
		if err != nil {
			return n, pg.Fault(err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[mail.DeliveryID])
		if err != nil {
			return n, pg.Fault(err)
		}
		before := n
		for _, id := range ids {
			done, err := s.giveUp(ctx, id, youngest, now)
			if err != nil {
				return n, pg.Fault(err)
			}
			if done {
				n++
			}
		}
		if len(ids) < sweepBatch || n == before {
			return n, nil
		}
	}
}

func (s *Service) giveUp(ctx context.Context, id, youngest mail.DeliveryID, now time.Time) (done bool, err error) {
	var (
		r ownedRecipient
		e *Email
	)
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sqlClaimOverdue, youngest, now.Add(-overdueFor), id)
		if err != nil {
			return err
		}
		r, err = pgx.CollectExactlyOneRow(rows, scanRecipient)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // somebody was quicker
		}
		if err != nil {
			return err
		}
		if e, err = getEmail(ctx, tx, r.email); err != nil {
			return err
		}
		r.UpdatedAt = now.Truncate(time.Microsecond)
		if r.LastReply == "" {
			r.LastReply = "the destination could not be reached"
		}
		s.postpone(e, &r.Recipient, now, 0)
		if err := settleRecipient(ctx, tx, &r.Recipient); err != nil {
			return err
		}
		return s.record(ctx, tx, e, []Recipient{r.Recipient})
	})
	if err == nil && e != nil {
		s.announce()
		s.count(e, r.Recipient)
		return true, nil
	}
	return false, err
}
