package outbound

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// How often a node looks for due recipients, how many it wakes at once, and how long a woken recipient may be worked on before
// it is woken again: the short lease at first, more when no worker comes for long; see sqlDue.
const (
	scanInterval = 5 * time.Second
	dueBatch     = 500
	shortLease   = 30 * time.Second
	longLease    = 10 * time.Minute
	// parkedFor is how long those are left alone whom this mode cannot finish.
	parkedFor = time.Hour
)

// Scan wakes what is due until ctx ends. A node may run one; several nodes may run theirs at once.
func (s *Service) Scan(ctx context.Context) {
	for {
		if err := s.WakeDue(ctx); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the scan for due mail failed and is repeated", slog.Any("error", err))
		}
		if err := s.clock.Sleep(ctx, scanInterval); err != nil {
			return
		}
	}
}

// WakeDue inserts a wake-up job for each email with a due recipient: one whose job died with its process, or one whose
// deferral has passed.
func (s *Service) WakeDue(ctx context.Context) error {
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		ids, err := due(ctx, tx, s.clock.Now(), s.cfg.Mode == ModeSink, dueBatch)
		if err != nil {
			return err
		}
		items := make([]queue.Item, len(ids))
		for i, id := range ids {
			items[i].Args = AttemptArgs{Email: id}
		}
		return queue.InsertMany(ctx, tx, items)
	})
	return pg.Fault(err)
}

// Depth counts recipients without a final result, for mailserver_queue_depth.
func (s *Service) Depth(ctx context.Context) (int64, error) {
	var n int64
	err := s.pool.QueryRow(ctx, sqlDepth).Scan(&n)
	return n, pg.Fault(err)
}
