package event

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg"
)

// The partition of a day is named event_d20261125 and made daysAhead before it begins.
const (
	partitionPrefix = "event_d"
	partitionDay    = "20060102"
	daysAhead       = 7
	day             = 24 * time.Hour
)

// EnsurePartitions makes the partitions of today and the next seven days (UTC). It is called at start and by a maintenance
// job. Rows of a day without a partition lie in event_rest and are read like all others; it warns when there are any, because
// they keep that day's partition from being made.
func (s *Service) EnsurePartitions(ctx context.Context) error {
	today := s.clk.Now().UTC().Truncate(day)
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		have, err := lockPartitions(ctx, tx)
		if err != nil {
			return err
		}
		for i := range daysAhead + 1 {
			date := today.Add(time.Duration(i) * day)
			if have[partitionPrefix+date.Format(partitionDay)] {
				continue
			}
			if err := makePartition(ctx, tx, date); err != nil {
				return err
			}
		}
		return nil
	})
	s.warnAboutRest(ctx)
	return pg.Fault(err)
}

// DropBefore drops the partitions of all days that ended before the moment and returns how many. Rows in event_rest stay.
func (s *Service) DropBefore(ctx context.Context, before time.Time) (dropped int, err error) {
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		dropped = 0
		have, err := lockPartitions(ctx, tx)
		if err != nil {
			return err
		}
		for name := range have {
			date, err := time.Parse(partitionDay, strings.TrimPrefix(name, partitionPrefix))
			if err != nil || date.Add(day).After(before) {
				continue
			}
			if err := dropPartition(ctx, tx, date); err != nil {
				return err
			}
			dropped++
		}
		return nil
	})
	return dropped, pg.Fault(err)
}

// dropPartition notes the place of the newest event that goes, for readers that stand before it.
func dropPartition(ctx context.Context, tx pgx.Tx, date time.Time) error {
	table := partitionPrefix + date.Format(partitionDay)
	var last Cursor
	err := tx.QueryRow(ctx, "SELECT xid, id FROM "+table+" ORDER BY xid DESC, id DESC LIMIT 1").Scan(&last.xid, &last.id)
	if err == nil {
		_, err = tx.Exec(ctx, sqlRaiseFloor, last.xid, uuidOf(last.id))
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	_, err = tx.Exec(ctx, "DROP TABLE "+table)
	return err
}

func lockPartitions(ctx context.Context, tx pgx.Tx) (map[string]bool, error) {
	if _, err := tx.Exec(ctx, sqlLockPartitions); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, sqlPartitions)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	have := make(map[string]bool, len(names))
	for _, name := range names {
		have[name] = true
	}
	return have, err
}

// makePartition leaves a day alone whose rows lie in event_rest already: the day stays there.
func makePartition(ctx context.Context, tx pgx.Tx, date time.Time) error {
	var taken bool
	if err := tx.QueryRow(ctx, sqlRestHas, date, date.Add(day)).Scan(&taken); err != nil || taken {
		return err
	}
	_, err := tx.Exec(ctx, "CREATE TABLE "+partitionPrefix+date.Format(partitionDay)+" PARTITION OF event FOR VALUES FROM ('"+
		date.Format(time.RFC3339)+"') TO ('"+date.Add(day).Format(time.RFC3339)+"')")
	return err
}

func (s *Service) warnAboutRest(ctx context.Context) {
	var filled bool
	if err := s.pool.QueryRow(ctx, sqlRestFilled).Scan(&filled); err == nil && filled {
		s.log.WarnContext(ctx, "events lie outside the daily partitions", slog.String("table", "event_rest"))
	}
}
