package mailbox

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// The SQLSTATEs that a delivery tells apart.
const (
	stateNotNull    = "23502"
	stateOutOfRange = "22003"
)

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// The uids come from the mailbox row, under its lock, in the transaction that uses them (D-30).
const sqlDeliverMailboxes = `
UPDATE mailbox m SET uid_next = m.uid_next + d.n, modseq = m.modseq + 1, total = m.total + d.n, unseen = m.unseen + d.unseen,
	bytes = m.bytes + d.bytes
FROM unnest($1::bigint[], $2::int[], $3::int[], $4::bigint[]) AS d (key, n, unseen, bytes)
WHERE m.key = d.key
RETURNING m.key, m.uid_next, m.modseq, m.uid_validity`

// A mailbox that vanished leaves a NULL, which aborts the transaction: no letter can be half filed.
const sqlDeliverMessages = `
WITH d AS (
	SELECT id, account_id, file, size, sha256, internal_date, list, meta, mailbox_key, back, flags
	FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bytea[], $6::timestamptz[], $7::bytea[], $8::bytea[],
		$9::bigint[], $10::int[], $11::int[])
		AS d (id, account_id, file, size, sha256, internal_date, list, meta, mailbox_key, back, flags)
), g AS (
	INSERT INTO message (id, account_id, file, size, sha256, internal_date, list, meta)
	SELECT id, account_id, file, size, sha256, internal_date, list, meta FROM d
	RETURNING key, id
)
INSERT INTO mailbox_message (mailbox_key, modseq, message_key, uid, flags)
SELECT m.key, m.modseq, g.key, (m.uid_next - d.back)::int, d.flags
FROM d JOIN g ON g.id = d.id LEFT JOIN mailbox m ON m.key = d.mailbox_key`

const sqlDeliverUsage = `
UPDATE account_usage u SET bytes = u.bytes + d.bytes, messages = u.messages + d.n
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS d (account_id, bytes, n)
WHERE u.account_id = d.account_id`

// plan is the transaction that files some parcels.
type plan struct {
	parcels []*parcel
	boxes   []*boxPlan // by key
	usage   []*usagePlan
	back    []int32 // per parcel: its distance below the mailbox's new uid_next
	events  []event.Event
}

type boxPlan struct {
	key       int64
	n, unseen int32
	bytes     int64
	next      int64 // after the update
	modseq    int64
	validity  int64
}

type usagePlan struct {
	account  mail.UserID
	bytes, n int64
}

func newPlan(parcels []*parcel) *plan {
	p := &plan{parcels: parcels, back: make([]int32, len(parcels))}
	boxes, usage := map[int64]*boxPlan{}, map[mail.UserID]*usagePlan{}
	for _, x := range parcels {
		box, use := boxes[x.place.key], usage[x.letter.Account]
		if box == nil {
			box = &boxPlan{key: x.place.key}
			boxes[box.key], p.boxes = box, append(p.boxes, box)
		}
		if use == nil {
			use = &usagePlan{account: x.letter.Account}
			usage[use.account], p.usage = use, append(p.usage, use)
		}
		box.n++
		use.n++
		box.bytes += x.letter.Body.Size
		use.bytes += x.letter.Body.Size
		if !x.flags.Has(mail.SeenBit) {
			box.unseen++
		}
		if x.event != nil {
			p.events = append(p.events, *x.event)
		}
	}
	slices.SortFunc(p.boxes, func(a, b *boxPlan) int { return cmp.Compare(a.key, b.key) })
	seen := map[int64]int32{}
	for i, x := range parcels {
		p.back[i] = boxes[x.place.key].n - seen[x.place.key]
		seen[x.place.key]++
	}
	return p
}

// queue writes the statements: locks, uids and counters, messages, usage, events.
func (p *plan) queue(b *pgx.Batch, now time.Time) error {
	var (
		keys      = make([]int64, len(p.boxes))
		n, unseen = make([]int32, len(p.boxes)), make([]int32, len(p.boxes))
		bytes     = make([]int64, len(p.boxes))
	)
	for i, x := range p.boxes {
		keys[i], n[i], unseen[i], bytes[i] = x.key, x.n, x.unseen, x.bytes
	}
	accounts, used, count := make([][16]byte, len(p.usage)), make([]int64, len(p.usage)), make([]int64, len(p.usage))
	for i, x := range p.usage {
		accounts[i], used[i], count[i] = x.account, x.bytes, x.n
	}
	b.Queue(sqlLockMailboxes, keys)
	b.Queue(sqlLockUsage, accounts)
	b.Queue(sqlDeliverMailboxes, keys, n, unseen, bytes)
	b.Queue(sqlDeliverMessages, p.messageArgs()...)
	b.Queue(sqlDeliverUsage, accounts, used, count)
	return event.AppendBatch(b, now, p.events...)
}

func (p *plan) messageArgs() []any {
	n := len(p.parcels)
	ids, accounts, files := make([][16]byte, n), make([][16]byte, n), make([]string, n)
	sizes, sums, dates := make([]int64, n), make([][]byte, n), make([]time.Time, n)
	lists, metas, keys, flags := make([][]byte, n), make([][]byte, n), make([]int64, n), make([]int32, n)
	for i, x := range p.parcels {
		l := &x.letter
		ids[i], accounts[i], files[i] = x.id, l.Account, l.Body.File
		sizes[i], sums[i], dates[i] = l.Body.Size, l.Body.SHA256[:], l.InternalDate
		lists[i], metas[i], keys[i], flags[i] = x.list, x.meta, x.place.key, int32(x.flags)
	}
	return []any{ids, accounts, files, sizes, sums, dates, lists, metas, keys, p.back, flags}
}

// read takes the results in the order of queue. The error of Close is the one of the commit, when the batch is a transaction
// of its own.
func (p *plan) read(results pgx.BatchResults) ([]Filed, error) {
	err := p.readAll(results)
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	return p.filed(), nil
}

func (p *plan) readAll(results pgx.BatchResults) error {
	for range 2 { // the locks
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	var got boxPlan
	_, err = pgx.ForEachRow(rows, []any{&got.key, &got.next, &got.modseq, &got.validity}, func() error {
		i, ok := slices.BinarySearchFunc(p.boxes, got.key, func(x *boxPlan, key int64) int { return cmp.Compare(x.key, key) })
		if ok {
			p.boxes[i].next, p.boxes[i].modseq, p.boxes[i].validity = got.next, got.modseq, got.validity
		}
		return nil
	})
	if err != nil {
		return err
	}
	rest := 2 // messages, usage
	if len(p.events) > 0 {
		rest++
	}
	for range rest {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) filed() []Filed {
	out := make([]Filed, len(p.parcels))
	for i, x := range p.parcels {
		at, _ := slices.BinarySearchFunc(p.boxes, x.place.key, func(b *boxPlan, key int64) int { return cmp.Compare(b.key, key) })
		box := p.boxes[at]
		out[i] = Filed{
			Key: x.place.key, Mailbox: x.place.id, UID: uint32(box.next - int64(p.back[i])),
			UIDValidity: uint32(box.validity), ModSeq: uint64(box.modseq), Message: x.id,
		}
	}
	return out
}
