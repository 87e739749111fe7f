package mailbox

import (
	"context"
	"errors"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// StoreResult says what a change of flags did.
type StoreResult struct {
	// Count is how many messages changed. When it is 0 the mailbox's modseq did not move.
	Count int
	// ModSeq is the mod-sequence of the change; 0 when nothing changed.
	ModSeq uint64
	// Changed are the messages that changed; only with UnchangedSince. Without it a session compares views.
	Changed UIDRanges
	// Modified are the messages left alone because their modseq is above UnchangedSince (RFC 7162 §3.1.3).
	Modified UIDRanges
}

// What follows the lock sees everything that was committed while it waited, because it is another statement. All of it reads the
// state before the change: modseq + 1 is the same number everywhere. A change that alters nothing writes nothing.
// $1 mailbox, $2 $3 messages (see selection), $4 bits to set, $5 bits to keep, $6 time, $7 state of \Seen whose messages flip
// (2: none), $8 by how much unseen moves for each, $9 unchanged since.
const (
	storeSeen = `
WITH seen AS (
	SELECT count(*) AS n FROM mailbox_message mm
	WHERE $7::int < 2 AND mm.mailbox_key = $1 AND mm.flags & 1 = $7 AND mm.modseq <= $9::bigint`
	storeTouched = `
), touched AS (
	UPDATE mailbox_message mm
	SET flags = (mm.flags & $5::int) | $4::int, modseq = (SELECT modseq + 1 FROM mailbox WHERE key = $1)
	WHERE mm.mailbox_key = $1 AND mm.modseq <= $9 AND (mm.flags & $5) | $4 <> mm.flags`
	// The log says what was asked for: a reader that replays it on the messages that it knows finds the same that changed.
	storeLogged = `
	RETURNING mm.uid
), logged AS (
	INSERT INTO mailbox_change (mailbox_key, modseq, kind, uids, add_flags, del_flags, at)
	SELECT key, modseq + 1, 1, $10::bytea, $4, ~$5, $6::timestamptz FROM mailbox WHERE key = $1 AND EXISTS (SELECT FROM touched)
)`
	// With UNCHANGEDSINCE it must say which messages passed the test.
	storeLoggedExactly = `
	RETURNING mm.uid
), changed AS (
	SELECT string_agg(int4send(uid) || int4send(uid), '' ORDER BY uid) AS uids FROM touched
), logged AS (
	INSERT INTO mailbox_change (mailbox_key, modseq, kind, uids, add_flags, del_flags, at)
	SELECT m.key, m.modseq + 1, 1, changed.uids, $4, ~$5, $6::timestamptz FROM mailbox m, changed
	WHERE m.key = $1 AND changed.uids IS NOT NULL
)`
	storeBump = `
UPDATE mailbox SET modseq = modseq + 1, unseen = unseen + $8::int * (SELECT n FROM seen)::int
WHERE key = $1 AND EXISTS (SELECT FROM touched)
RETURNING modseq, (SELECT count(*) FROM touched)`
	storeChanged = `, (SELECT uids FROM changed)`

	sqlStoreRange      = storeSeen + inRange + storeTouched + inRange + storeLogged + storeBump
	sqlStoreList       = storeSeen + inList + storeTouched + inList + storeLogged + storeBump
	sqlStoreRangeSince = storeSeen + inRange + storeTouched + inRange + storeLoggedExactly + storeBump + storeChanged
	sqlStoreListSince  = storeSeen + inList + storeTouched + inList + storeLoggedExactly + storeBump + storeChanged

	storeFailed         = `SELECT mm.uid FROM mailbox_message mm WHERE mm.mailbox_key = $1 AND mm.modseq > $4`
	sqlStoreFailedRange = storeFailed + inRange + ` ORDER BY mm.uid`
	sqlStoreFailedList  = storeFailed + inList + ` ORDER BY mm.uid`
)

// Store changes flags of messages. Uids that are not there are passed over. New keywords join the mailbox's list; the error is
// fault.Limited "keyword-limit" when they do not fit. Others: fault.Invalid for what is no flag, fault.NotFound, fault.Unavailable.
func (s *Service) Store(ctx context.Context, p mail.Principal, key int64, uids UIDRanges, change FlagChange) (StoreResult, error) {
	m, err := s.byKey(ctx, p, writeMessages, key)
	if err != nil {
		return StoreResult{}, err
	}
	return s.store(ctx, m, uids, change)
}

func (s *Service) store(ctx context.Context, m Mailbox, uids UIDRanges, change FlagChange) (StoreResult, error) {
	add, keep, err := s.changeBits(ctx, m, change)
	if err != nil {
		return StoreResult{}, err
	}
	pick, err := s.pick(ctx, m, uids)
	if err != nil || pick.empty() {
		return StoreResult{}, err
	}
	w := storeWork{key: m.Key, pick: pick, add: add, keep: keep, since: math.MaxInt64, s: s}
	if change.UnchangedSince != nil {
		w.conditional, w.since = true, int64(min(*change.UnchangedSince, math.MaxInt64))
	}
	result, err := w.run(ctx)
	if err != nil {
		return StoreResult{}, pg.Fault(err)
	}
	if result.Count > 0 {
		s.changed(m.Key)
	}
	return result, nil
}

// changeBits turns a change into the bits to set and the bits to keep.
func (s *Service) changeBits(ctx context.Context, m Mailbox, change FlagChange) (add, keep mail.FlagSet, err error) {
	set, err := checkFlags(change.Add)
	if err != nil {
		return 0, 0, err
	}
	clear, err := checkFlags(change.Remove)
	if err != nil {
		return 0, 0, err
	}
	keywords := m.Keywords
	add, unknown := bitsOf(set, keywords)
	if len(unknown) > 0 {
		if keywords, err = s.learn(ctx, s.pool, m.Key, unknown); err != nil {
			return 0, 0, err
		}
		add, _ = bitsOf(set, keywords)
	}
	if change.Replace {
		return add, 0, nil
	}
	del, _ := bitsOf(clear, keywords)
	return add, allFlags &^ del, nil
}

type storeWork struct {
	s           *Service
	key         int64
	pick        selection
	add, keep   mail.FlagSet
	since       int64
	conditional bool
}

// run sends lock and change in one batch, which is one transaction.
func (w *storeWork) run(ctx context.Context) (StoreResult, error) {
	flips, by := w.seen()
	what, from := w.pick.args()
	args := []any{w.key, what, from, int32(w.add), int32(w.keep), w.s.clk.Now(), flips, by, w.since}
	b := &pgx.Batch{}
	b.Queue(sqlLockMailboxes, []int64{w.key})
	if w.conditional {
		b.Queue(w.pick.choose(sqlStoreFailedRange, sqlStoreFailedList), w.key, what, from, w.since)
		b.Queue(w.pick.choose(sqlStoreRangeSince, sqlStoreListSince), args...)
	} else {
		b.Queue(w.pick.choose(sqlStoreRange, sqlStoreList), append(args, w.pick.uids.bytes())...)
	}
	results := w.s.pool.SendBatch(ctx, b)
	out, err := w.read(results)
	if closed := results.Close(); err == nil {
		err = closed
	}
	return out, err
}

func (w *storeWork) read(results pgx.BatchResults) (StoreResult, error) {
	var out StoreResult
	if _, err := results.Exec(); err != nil {
		return out, err
	}
	var modseq int64
	into := []any{&modseq, &out.Count}
	var changed []byte
	if w.conditional {
		rows, err := results.Query()
		if err != nil {
			return out, err
		}
		var failed adder
		var uid int32
		if _, err := pgx.ForEachRow(rows, []any{&uid}, func() error { failed.add(uint32(uid)); return nil }); err != nil {
			return out, err
		}
		out.Modified = failed.set
		into = append(into, &changed)
	}
	err := results.QueryRow().Scan(into...)
	if errors.Is(err, pgx.ErrNoRows) {
		return out, nil // nothing changed
	}
	if err != nil {
		return out, err
	}
	out.ModSeq = uint64(modseq)
	out.Changed, err = parseUIDs(changed)
	return out, err
}

// seen says which messages change the count of unseen ones: those whose \Seen bit is flips now, each by so much.
func (w *storeWork) seen() (flips, by int32) {
	switch {
	case w.add.Has(mail.SeenBit):
		return 0, -1
	case !w.keep.Has(mail.SeenBit):
		return 1, 1
	}
	return 2, 0
}
