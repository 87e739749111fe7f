package mailbox

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Items say which columns Rows reads besides the small ones.
type Items uint8

// The columns that may be left out.
const (
	WantList Items = 1 << iota
	WantMeta
)

// Row is a message as it stands in a mailbox. List and Meta point into a buffer that is used again: they are valid until the
// function that got the row returns.
type Row struct {
	UID          uint32
	Flags        mail.FlagSet
	ModSeq       uint64
	Key          int64
	ID           mail.MessageID
	Account      mail.UserID
	File         string
	Size         int64
	InternalDate time.Time
	List         []byte // see ParseList; nil without WantList
	Meta         []byte // see Structure; nil without WantMeta
}

// Structure decodes what the scanner found. The result does not point into the row.
func (r *Row) Structure() (*mime.Message, error) { return mime.Decode(r.Meta) }

// rowsChunk is how many messages are read at once: measured, fewer and more are slower.
const rowsChunk = 1000

const rowColumns = `
mm.uid, mm.flags, mm.modseq, mm.message_key, g.id, g.account_id, g.file, g.size, g.internal_date,
	CASE WHEN $2::boolean THEN g.list END, CASE WHEN $3::boolean THEN g.meta END`

const (
	sqlRowsRange = `
SELECT` + rowColumns + `
FROM mailbox_message mm JOIN message g ON g.key = mm.message_key
WHERE mm.mailbox_key = $1 AND mm.uid BETWEEN $4 AND $5 ORDER BY mm.uid LIMIT 1000`
	sqlRowsSet = `
SELECT` + rowColumns + `
FROM mailbox_message mm JOIN message g ON g.key = mm.message_key
WHERE mm.mailbox_key = $1 AND mm.uid = ANY ($4::int[]) ORDER BY mm.uid`
	// What has left the mailbox and is still in the account.
	sqlRowsElsewhere = `
SELECT` + rowColumns + `
FROM (SELECT u.uid, 0 AS flags, 0::bigint AS modseq, u.message_key FROM unnest($4::int[], $5::bigint[]) AS u (uid, message_key)) mm
JOIN message g ON g.key = mm.message_key
WHERE g.account_id = (SELECT m.account_id FROM mailbox m WHERE m.key = $1) ORDER BY mm.uid`
)

// Rows reads messages of a mailbox in ascending order of uid and calls yield for each. Uids that are not there are passed over.
// No connection is held while yield runs, so it may write to a slow client. An error of yield ends the reading and is returned.
func (s *Service) Rows(ctx context.Context, p mail.Principal, key int64, uids UIDRanges, want Items, yield func(*Row) error) error {
	sets := chunks(uids.Normal())
	if len(sets) == 0 {
		_, err := s.byKey(ctx, p, readMessages, key)
		return err
	}
	if err := scope(p, readMessages); err != nil {
		return err
	}
	r := rowReader{s: s, p: p, key: key, want: want}
	for _, set := range sets {
		next := set[0].First
		for {
			more, err := r.read(ctx, set, next)
			if err != nil {
				return pg.Fault(err)
			}
			if err := r.each(yield); err != nil {
				return err
			}
			if !more {
				break
			}
			next = r.rows[len(r.rows)-1].UID + 1
		}
	}
	return nil
}

// RowsElsewhere reads messages that a view of the mailbox has and the mailbox no longer has, but another one of the account: moved
// messages, which a session that was not told of it still lists (D-37). Those that are nowhere are passed over. A row has the uid of
// its entry, and neither flags nor modseq. yield is as in Rows.
func (s *Service) RowsElsewhere(
	ctx context.Context, p mail.Principal, key int64, entries []Entry, want Items, yield func(*Row) error,
) error {
	if err := scope(p, readMessages); err != nil {
		return err
	}
	r := rowReader{s: s, p: p, key: key, want: want}
	for part := range slices.Chunk(entries, rowsChunk) {
		uids, keys := make([]int32, len(part)), make([]int64, len(part))
		for i, e := range part {
			uids[i], keys[i] = int32(e.UID), e.Message
		}
		if err := r.query(ctx, sqlRowsElsewhere, uids, keys); err != nil {
			return pg.Fault(err)
		}
		if err := r.each(yield); err != nil {
			return err
		}
	}
	return nil
}

// chunks groups a set into single wide ranges, and sets of small ranges that hold at most rowsChunk uids together.
func chunks(uids UIDRanges) []UIDRanges {
	var out []UIDRanges
	var small UIDRanges
	n := 0
	flush := func() {
		if len(small) > 0 {
			out = append(out, small)
		}
		small, n = nil, 0
	}
	for _, x := range uids {
		width := int(x.Last-x.First) + 1
		if width > rowsChunk/4 {
			flush()
			out = append(out, UIDRanges{x})
			continue
		}
		if n+width > rowsChunk {
			flush()
		}
		small = append(small, x)
		n += width
	}
	flush()
	return out
}

// rowReader keeps one chunk of rows and the buffer that their columns lie in. Whether the principal may use the mailbox is asked
// together with the first chunk, in one round trip: most commands want one message.
type rowReader struct {
	s        *Service
	p        mail.Principal
	key      int64
	want     Items
	admitted bool
	rows     []Row
	spans    []span
	buf      []byte
}

// span says where the columns of a row lie in the buffer; the buffer may still grow while a chunk is read.
type span struct{ list, meta, end int }

// read fills the reader with the next chunk and reports whether there may be more in the set.
func (r *rowReader) read(ctx context.Context, set UIDRanges, next uint32) (more bool, err error) {
	if len(set) > 1 {
		uids := make([]int32, 0, set.Count())
		for uid := range set.All() {
			uids = append(uids, int32(uid))
		}
		return false, r.query(ctx, sqlRowsSet, uids)
	}
	err = r.query(ctx, sqlRowsRange, int32(next), int32(set[0].Last))
	return len(r.rows) == rowsChunk && r.rows[len(r.rows)-1].UID < set[0].Last, err
}

// query fills the reader with the rows of a statement; what are its parameters from $4 on.
func (r *rowReader) query(ctx context.Context, sql string, what ...any) error {
	r.rows, r.spans, r.buf = r.rows[:0], r.spans[:0], r.buf[:0]
	args := append([]any{r.key, r.want&WantList != 0, r.want&WantMeta != 0}, what...)
	if !r.admitted {
		return r.first(ctx, sql, args)
	}
	rows, err := r.s.pool.Query(ctx, sql, args...)
	return r.takeAll(rows, err)
}

// first asks for the mailbox and for rows of it at once. Nothing of the rows is kept when the principal may not use the mailbox.
func (r *rowReader) first(ctx context.Context, sql string, args []any) error {
	b := &pgx.Batch{}
	b.Queue(sqlMailboxByKey, r.key)
	b.Queue(sql, args...)
	results := r.s.pool.SendBatch(ctx, b)
	m, err := queriedMailbox(results.Query())
	if _, err = admit(r.p, m, err); err == nil {
		r.admitted = true
		err = r.takeAll(results.Query())
	}
	if closed := results.Close(); err == nil {
		err = closed
	}
	return err
}

// takeAll copies the rows of a result.
func (r *rowReader) takeAll(rows pgx.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := r.take(rows.RawValues()); err != nil {
			return err
		}
	}
	return rows.Err()
}

// each gives the rows of the chunk to yield.
func (r *rowReader) each(yield func(*Row) error) error {
	for i := range r.rows {
		r.fill(i)
		if err := yield(&r.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// take copies one row in binary form.
func (r *rowReader) take(raw [][]byte) error {
	if len(raw) != 11 || len(raw[0]) != 4 || len(raw[1]) != 4 || len(raw[2]) != 8 || len(raw[3]) != 8 || len(raw[4]) != 16 ||
		len(raw[5]) != 16 || len(raw[7]) != 8 || len(raw[8]) != 8 {
		return errRow
	}
	row := Row{
		UID:          binary.BigEndian.Uint32(raw[0]),
		Flags:        mail.FlagSet(binary.BigEndian.Uint32(raw[1])),
		ModSeq:       binary.BigEndian.Uint64(raw[2]),
		Key:          int64(binary.BigEndian.Uint64(raw[3])),
		ID:           mail.MessageID(raw[4]),
		Account:      mail.UserID(raw[5]),
		File:         string(raw[6]),
		Size:         int64(binary.BigEndian.Uint64(raw[7])),
		InternalDate: pgTime(int64(binary.BigEndian.Uint64(raw[8]))),
	}
	s := span{list: len(r.buf)}
	r.buf = append(r.buf, raw[9]...)
	s.meta = len(r.buf)
	r.buf = append(r.buf, raw[10]...)
	s.end = len(r.buf)
	r.rows, r.spans = append(r.rows, row), append(r.spans, s)
	return nil
}

func (r *rowReader) fill(i int) {
	s := r.spans[i]
	if r.want&WantList != 0 {
		r.rows[i].List = r.buf[s.list:s.meta:s.meta]
	}
	if r.want&WantMeta != 0 {
		r.rows[i].Meta = r.buf[s.meta:s.end:s.end]
	}
}

// pgTime reads a timestamptz in binary form: microseconds since 2000.
func pgTime(us int64) time.Time {
	const epoch = 946684800 // 2000-01-01 in Unix seconds
	return time.Unix(epoch, 0).Add(time.Duration(us) * time.Microsecond).UTC()
}
