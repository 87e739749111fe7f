package mailbox

import (
	"context"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// CopyResult says where messages went (RFC 4315 §3). The messages of Source, in ascending order, have the uids from First on in
// the target. An empty Source means that none of the messages was there.
type CopyResult struct {
	UIDValidity uint32 // of the target
	Source      UIDRanges
	First       uint32
	ModSeq      uint64 // of the target
}

// Target is the range of the new uids; zero when nothing was copied.
func (r CopyResult) Target() UIDRange {
	n := r.Source.Count()
	if n == 0 {
		return UIDRange{}
	}
	return UIDRange{r.First, r.First + uint32(n) - 1}
}

// Pairs iterates over old and new uid of each message, in ascending order.
func (r CopyResult) Pairs() iter.Seq2[uint32, uint32] {
	return func(yield func(uint32, uint32) bool) {
		next := r.First
		for uid := range r.Source.All() {
			if !yield(uid, next) {
				return
			}
			next++
		}
	}
}

// Both statements run after the locks. $1 source, $2 $3 messages (see selection), $4 target, $5 $6 keyword bits of the source and what they are in
// the target, $7 the time of a move.
const (
	copySource = `
WITH src AS (
	SELECT mm.uid, mm.flags, mm.message_key FROM mailbox_message mm WHERE mm.mailbox_key = $1`
	copyRest = `
), per AS (
	SELECT message_key, count(*)::int AS n FROM src GROUP BY message_key
), size AS (
	SELECT coalesce(sum(g.size * per.n), 0)::bigint AS bytes FROM per JOIN message g ON g.key = per.message_key
), refs AS (
	UPDATE message g SET refs = g.refs + per.n FROM per WHERE g.key = per.message_key
)`
	moveSource = `
WITH src AS (
	DELETE FROM mailbox_message mm WHERE mm.mailbox_key = $1`
	moveRest = `
	RETURNING mm.uid, mm.flags, mm.message_key
), per AS (
	SELECT message_key, count(*)::int AS n FROM src GROUP BY message_key
), size AS (
	SELECT coalesce(sum(g.size * per.n), 0)::bigint AS bytes FROM per JOIN message g ON g.key = per.message_key
)`
	transferTarget = `, filed AS (
	INSERT INTO mailbox_message (mailbox_key, modseq, message_key, uid, flags)
	SELECT m.key, m.modseq + 1, src.message_key, (m.uid_next + row_number() OVER (ORDER BY src.uid) - 1)::int,
		src.flags & 31 | CASE WHEN src.flags < 32 THEN 0 ELSE coalesce((
			SELECT bit_or(k.new) FROM unnest($5::int[], $6::int[]) AS k (old, new) WHERE src.flags & k.old <> 0), 0) END
	FROM src, mailbox m WHERE m.key = $4
), runs AS (
	SELECT string_agg(int4send(lo) || int4send(hi), '' ORDER BY lo) AS uids FROM (
		SELECT min(uid) AS lo, max(uid) AS hi FROM (SELECT uid, uid - row_number() OVER (ORDER BY uid) AS run FROM src) u GROUP BY run
	) x
), c AS (
	SELECT count(*)::int AS n, (count(*) FILTER (WHERE flags & 1 = 0))::int AS unseen FROM src
)`
	copyEnd = `
UPDATE mailbox m SET modseq = m.modseq + 1, uid_next = m.uid_next + c.n, total = m.total + c.n, unseen = m.unseen + c.unseen,
	bytes = m.bytes + size.bytes
FROM c, size, runs WHERE m.key = $4 AND c.n > 0
RETURNING m.key, m.modseq, m.uid_next - c.n, m.uid_validity, runs.uids`
	// A move within one mailbox gives new uids and changes no counter.
	moveEnd = `, logged AS (
	INSERT INTO mailbox_change (mailbox_key, modseq, kind, uids, add_flags, del_flags, at)
	SELECT m.key, m.modseq + 1, 2, runs.uids, 0, 0, $7::timestamptz FROM mailbox m, runs WHERE m.key = $1 AND runs.uids IS NOT NULL
)
UPDATE mailbox m SET modseq = m.modseq + 1,
	uid_next = m.uid_next + CASE WHEN m.key = $4 THEN c.n ELSE 0 END,
	total = m.total + c.n * ((m.key = $4)::int - (m.key = $1)::int),
	unseen = m.unseen + c.unseen * ((m.key = $4)::int - (m.key = $1)::int),
	bytes = m.bytes + size.bytes * ((m.key = $4)::int - (m.key = $1)::int)
FROM c, size, runs WHERE m.key IN ($1, $4) AND c.n > 0
RETURNING m.key, m.modseq, m.uid_next - CASE WHEN m.key = $4 THEN c.n ELSE 0 END, m.uid_validity, runs.uids`

	sqlCopyRange = copySource + inRange + copyRest + transferTarget + copyEnd
	sqlCopyList  = copySource + inList + copyRest + transferTarget + copyEnd
	sqlMoveRange = moveSource + inRange + moveRest + transferTarget + moveEnd
	sqlMoveList  = moveSource + inList + moveRest + transferTarget + moveEnd
)

// Copy files messages of one mailbox into another of the same account as well. Only rows are written: the bytes are shared.
// Flags and dates are kept (RFC 9051 §6.4.7); keywords beyond the target's limit are left out. Uids that are not there are passed
// over. Errors: fault.NotFound, fault.Invalid "other-account", fault.Limited "message-limit" or
// "uid-limit", fault.Unavailable.
func (s *Service) Copy(ctx context.Context, p mail.Principal, from int64, uids UIDRanges, to int64) (CopyResult, error) {
	return s.transfer(ctx, p, from, uids, to, false)
}

// Move does what Copy does and removes the messages from the first mailbox, in one transaction (RFC 6851, D-26).
func (s *Service) Move(ctx context.Context, p mail.Principal, from int64, uids UIDRanges, to int64) (CopyResult, error) {
	return s.transfer(ctx, p, from, uids, to, true)
}

func (s *Service) transfer(ctx context.Context, p mail.Principal, from int64, uids UIDRanges, to int64, move bool) (CopyResult, error) {
	source, err := s.byKey(ctx, p, writeMessages, from)
	if err != nil {
		return CopyResult{}, err
	}
	target, err := s.byKey(ctx, p, writeMessages, to)
	if err != nil {
		return CopyResult{}, err
	}
	if source.Account != target.Account {
		return CopyResult{}, fault.New(fault.Invalid, "other-account", "messages can be copied and moved within one account only")
	}
	if err := s.hasRoom(target); err != nil {
		return CopyResult{}, err
	}
	pick, err := s.pick(ctx, source, uids)
	if err != nil || pick.empty() {
		return CopyResult{UIDValidity: target.UIDValidity}, err
	}
	w := transferWork{s: s, source: source, target: target, pick: pick, move: move}
	if err := w.mapFlags(ctx); err != nil {
		return CopyResult{}, err
	}
	b := &pgx.Batch{}
	w.queue(b)
	results := s.pool.SendBatch(ctx, b)
	out, err := w.read(results)
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return CopyResult{}, deliveryFault(err)
	}
	w.announce(out)
	return out, nil
}

type transferWork struct {
	s              *Service
	source, target Mailbox
	pick           selection
	move           bool
	words          bitMap
}

// mapFlags finds which keywords the messages have and makes them known to the target. Keywords are never renamed or removed, so
// what is found before the lock holds under it.
func (w *transferWork) mapFlags(ctx context.Context) error {
	if len(w.source.Keywords) == 0 || w.source.Key == w.target.Key {
		w.words = mapKeywords(allFlags, w.source.Keywords, w.source.Keywords)
		return nil
	}
	v, err := w.s.current(ctx, w.source)
	if err != nil {
		return err
	}
	var used mail.FlagSet
	for _, e := range v.In(w.pick.uids) {
		used |= e.Flags
	}
	keywords := w.target.Keywords
	if names := keywordNames(used, v.Keywords()); len(names) > 0 {
		if keywords, err = w.s.learn(ctx, w.s.pool, w.target.Key, names); err != nil && keywords == nil {
			return err
		}
	}
	w.words = mapKeywords(used, v.Keywords(), keywords)
	return nil
}

func (w *transferWork) queue(b *pgx.Batch) {
	what, from := w.pick.args()
	args := []any{w.source.Key, what, from, w.target.Key, w.words.from, w.words.to}
	b.Queue(sqlLockMailboxes, []int64{w.source.Key, w.target.Key})
	if w.move {
		b.Queue(w.pick.choose(sqlMoveRange, sqlMoveList), append(args, w.s.clk.Now())...)
		return
	}
	b.Queue(sqlLockUsage, uuids(w.source.Account)) // for refs, which a move leaves alone
	b.Queue(w.pick.choose(sqlCopyRange, sqlCopyList), args...)
}

func (w *transferWork) read(results pgx.BatchResults) (CopyResult, error) {
	out := CopyResult{UIDValidity: w.target.UIDValidity}
	locks := 1
	if !w.move {
		locks = 2
	}
	for range locks {
		if _, err := results.Exec(); err != nil {
			return out, err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return out, err
	}
	var key, modseq, first, validity int64
	var uids []byte
	_, err = pgx.ForEachRow(rows, []any{&key, &modseq, &first, &validity, &uids}, func() error {
		if key != w.target.Key {
			return nil
		}
		out.ModSeq, out.First, out.UIDValidity = uint64(modseq), uint32(first), uint32(validity)
		out.Source, err = parseUIDs(uids)
		return err
	})
	return out, err
}

func (w *transferWork) announce(out CopyResult) {
	if len(out.Source) == 0 {
		return
	}
	w.s.changed(w.target.Key)
	if w.move && w.source.Key != w.target.Key {
		w.s.changed(w.source.Key)
	}
}
