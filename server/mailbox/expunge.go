package mailbox

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// ExpungeResult says what an expunge removed.
type ExpungeResult struct {
	UIDs   UIDRanges // the messages that are gone from this mailbox
	ModSeq uint64    // the mod-sequence of the change; 0 when nothing was removed
}

// The messages leave the mailbox; those that no other mailbox shows leave the account, and their files become garbage (D-25).
// It runs after the locks of the mailbox and of the account's usage, which guards refs. $1 mailbox, $2 $3 messages (see
// selection), $4 flags that a message must have, $5 time, $6 account.
const (
	expungeGone = `
WITH gone AS (
	DELETE FROM mailbox_message mm WHERE mm.mailbox_key = $1 AND mm.flags & $4::int = $4`
	expungeRest = `
	RETURNING mm.uid, mm.flags, mm.message_key
), per AS (
	SELECT message_key, count(*)::int AS n FROM gone GROUP BY message_key
), size AS (
	SELECT coalesce(sum(g.size * per.n), 0)::bigint AS bytes FROM per JOIN message g ON g.key = per.message_key
), fewer AS (
	UPDATE message g SET refs = g.refs - per.n FROM per WHERE g.key = per.message_key AND g.refs > per.n
), dead AS (
	DELETE FROM message g USING per WHERE g.key = per.message_key AND g.refs <= per.n RETURNING g.account_id, g.file, g.size
), junk AS (
	INSERT INTO body_garbage (account_id, file, at) SELECT account_id, file, $5::timestamptz FROM dead ON CONFLICT DO NOTHING
), used AS (
	UPDATE account_usage u SET bytes = u.bytes - d.bytes, messages = u.messages - d.n
	FROM (SELECT coalesce(sum(size), 0)::bigint AS bytes, count(*) AS n FROM dead) d
	WHERE u.account_id = $6 AND d.n > 0
), runs AS (
	SELECT string_agg(int4send(lo) || int4send(hi), '' ORDER BY lo) AS uids FROM (
		SELECT min(uid) AS lo, max(uid) AS hi FROM (SELECT uid, uid - row_number() OVER (ORDER BY uid) AS run FROM gone) u GROUP BY run
	) x
), logged AS (
	INSERT INTO mailbox_change (mailbox_key, modseq, kind, uids, add_flags, del_flags, at)
	SELECT m.key, m.modseq + 1, 2, runs.uids, 0, 0, $5 FROM mailbox m, runs WHERE m.key = $1 AND runs.uids IS NOT NULL
)
UPDATE mailbox m SET modseq = m.modseq + 1, total = m.total - c.n, unseen = m.unseen - c.unseen, bytes = m.bytes - size.bytes
FROM (SELECT count(*)::int AS n, (count(*) FILTER (WHERE flags & 1 = 0))::int AS unseen FROM gone) c, size, runs
WHERE m.key = $1 AND c.n > 0
RETURNING m.modseq, runs.uids`

	sqlExpungeRange = expungeGone + inRange + expungeRest
	sqlExpungeList  = expungeGone + inList + expungeRest
)

// Expunge removes messages with \Deleted: those among uids, or all when uids is nil (RFC 9051 §6.4.3, §6.4.9). It returns which
// were removed; a session may have to keep that back (D-36).
func (s *Service) Expunge(ctx context.Context, p mail.Principal, key int64, uids UIDRanges) (ExpungeResult, error) {
	m, err := s.byKey(ctx, p, writeMessages, key)
	if err != nil {
		return ExpungeResult{}, err
	}
	if uids == nil {
		uids = AllUIDs()
	}
	return s.remove(ctx, m, uids, mail.DeletedBit)
}

// Remove removes messages whatever their flags.
func (s *Service) Remove(ctx context.Context, p mail.Principal, key int64, uids UIDRanges) (ExpungeResult, error) {
	m, err := s.byKey(ctx, p, writeMessages, key)
	if err != nil {
		return ExpungeResult{}, err
	}
	return s.remove(ctx, m, uids, 0)
}

// remove takes messages out of a mailbox, many of them in several transactions, so that no other change waits long.
func (s *Service) remove(ctx context.Context, m Mailbox, uids UIDRanges, with mail.FlagSet) (ExpungeResult, error) {
	parts := []UIDRanges{uids.Normal()}
	if m.Total > deleteChunk {
		v, err := s.current(ctx, m)
		if err != nil {
			return ExpungeResult{}, err
		}
		parts = split(v, parts[0], with)
	}
	var out ExpungeResult
	for _, part := range parts {
		done, err := s.removePart(ctx, m, part, with)
		if err != nil {
			return out, err
		}
		out.UIDs = append(out.UIDs, done.UIDs...)
		out.ModSeq = max(out.ModSeq, done.ModSeq)
	}
	out.UIDs = out.UIDs.Normal()
	return out, nil
}

// split cuts a set into pieces that each hold at most deleteChunk messages with the flags. Uids that the view does not know
// fall to the last piece.
func split(v *View, uids UIDRanges, with mail.FlagSet) []UIDRanges {
	var parts []UIDRanges
	n := 0
	for _, e := range v.In(uids) {
		if !e.Flags.Has(with) {
			continue
		}
		if n++; n == deleteChunk {
			var below UIDRanges
			below, uids = uids.cut(e.UID)
			parts = append(parts, below)
			n = 0
		}
	}
	return append(parts, uids)
}

// cut divides a sorted set into the uids up to and including last, and those above.
func (r UIDRanges) cut(last uint32) (below, above UIDRanges) {
	for _, x := range r {
		if x.First <= last {
			below = append(below, UIDRange{x.First, min(x.Last, last)})
		}
		if x.Last > last {
			above = append(above, UIDRange{max(x.First, last+1), x.Last})
		}
	}
	return below, above
}

func (s *Service) removePart(ctx context.Context, m Mailbox, uids UIDRanges, with mail.FlagSet) (ExpungeResult, error) {
	pick, err := s.pick(ctx, m, uids)
	if err != nil || pick.empty() {
		return ExpungeResult{}, err
	}
	b := &pgx.Batch{}
	queueExpunge(b, m, pick, with, s.clk.Now())
	results := s.pool.SendBatch(ctx, b)
	out, err := readExpunge(results)
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return ExpungeResult{}, pg.Fault(err)
	}
	if len(out.UIDs) > 0 {
		s.changed(m.Key)
	}
	return out, nil
}

func queueExpunge(b *pgx.Batch, m Mailbox, pick selection, with mail.FlagSet, now time.Time) {
	what, from := pick.args()
	b.Queue(sqlLockMailboxes, []int64{m.Key})
	b.Queue(sqlLockUsage, uuids(m.Account))
	b.Queue(pick.choose(sqlExpungeRange, sqlExpungeList), m.Key, what, from, int32(with), now, uuid(m.Account))
}

func readExpunge(results pgx.BatchResults) (ExpungeResult, error) {
	var out ExpungeResult
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return out, err
		}
	}
	var modseq int64
	var uids []byte
	err := results.QueryRow().Scan(&modseq, &uids)
	if errors.Is(err, pgx.ErrNoRows) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.ModSeq = uint64(modseq)
	out.UIDs, err = parseUIDs(uids)
	return out, err
}
