package mailbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// View gives the current state of a mailbox: at least as new as every change that was committed before the call, on whatever
// node. All sessions of this process share it. The counters of the returned Mailbox are those of the view.
func (s *Service) View(ctx context.Context, p mail.Principal, key int64) (*View, Mailbox, error) {
	if err := scope(p, readMessages); err != nil {
		return nil, Mailbox{}, err
	}
	m, err := s.looks.get(ctx, key, func(ctx context.Context) (Mailbox, error) {
		return selectMailbox(ctx, s.pool, sqlMailboxByKey, key)
	})
	if m, err = admit(p, m, err); err != nil {
		return nil, Mailbox{}, err
	}
	v, err := s.current(ctx, m)
	if err != nil {
		return nil, Mailbox{}, err
	}
	m.UIDNext, m.ModSeq, m.Total, m.Unseen, m.Keywords = v.next, v.modseq, v.Len(), v.unseen, v.keywords
	return v, m, nil
}

// fresh reports whether v shows the mailbox row m or a later state.
func fresh(v *View, m *Mailbox) bool {
	return v != nil && v.validity == m.UIDValidity && v.modseq >= m.ModSeq && len(v.keywords) >= len(m.Keywords)
}

func (s *Service) current(ctx context.Context, m Mailbox) (*View, error) {
	slot := s.views.slot(m.Key)
	if v, _ := s.views.get(slot); fresh(v, &m) {
		return v, nil
	}
	slot.catchUp.Lock()
	defer slot.catchUp.Unlock()
	v, loaded := s.views.get(slot)
	if fresh(v, &m) {
		return v, nil
	}
	now := s.clk.Now()
	var err error
	if v != nil && v.validity == m.UIDValidity && now.Sub(loaded) < viewMaxAge {
		v, err = s.follow(ctx, v)
	} else {
		v, err = s.reload(ctx, m)
	}
	if err != nil {
		return nil, err
	}
	s.views.put(slot, v, now)
	return v, nil
}

// viewMaxAge is how old a view may be that is brought up to date from the log, which is trimmed only far beyond it.
const viewMaxAge = 24 * time.Hour

// The mailbox row, the changes since a modseq, and the messages from a uid on: one statement, so one snapshot.
const sqlCatchUp = `
SELECT 0::smallint, modseq, uid_next, total, unseen, convert_to(array_to_string(keywords, ' '), 'UTF8') FROM mailbox WHERE key = $1
UNION ALL
SELECT kind, modseq, 0::bigint, add_flags, del_flags, uids FROM mailbox_change WHERE mailbox_key = $1 AND modseq > $2
UNION ALL
SELECT 9::smallint, modseq, message_key, uid, flags, NULL FROM mailbox_message WHERE mailbox_key = $1 AND uid >= $3::bigint`

// The kinds of row of sqlCatchUp besides the changes.
const (
	rowMailbox = 0
	rowMessage = 9
)

// news is what sqlCatchUp found.
type news struct {
	head    head
	total   int
	unseen  int
	found   bool
	changes []change
	added   []Entry
}

// follow brings a view up to date. When the result does not agree with the mailbox's own counters, the log was trimmed below
// the view, and everything is read again.
func (s *Service) follow(ctx context.Context, v *View) (*View, error) {
	n, err := s.read(ctx, v.head(), v.modseq, v.next)
	if err != nil {
		return nil, err
	}
	out := v.apply(n.head, n.changes, n.added)
	if out.Len() == n.total && out.unseen == n.unseen {
		return out, nil
	}
	s.log.InfoContext(ctx, viewReread, slog.Int64("mailbox_key", v.key), slog.Uint64("modseq", v.modseq))
	return s.loadAll(ctx, v.head())
}

// viewReread is logged when the log did not lead from a view to the mailbox.
const viewReread = "mailbox view read again"

func (s *Service) reload(ctx context.Context, m Mailbox) (*View, error) {
	return s.loadAll(ctx, head{key: m.Key, validity: m.UIDValidity})
}

func (s *Service) loadAll(ctx context.Context, h head) (*View, error) {
	n, err := s.read(ctx, h, math.MaxInt64, 0)
	if err != nil {
		return nil, err
	}
	return newView(n.head, n.added), nil
}

func (s *Service) read(ctx context.Context, h head, modseq uint64, next uint32) (news, error) {
	n := news{head: h}
	rows, err := s.pool.Query(ctx, sqlCatchUp, h.key, int64(modseq), int64(next))
	if err != nil {
		return n, pg.Fault(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := n.take(rows.RawValues()); err != nil {
			return n, err
		}
	}
	if err := rows.Err(); err != nil {
		return n, pg.Fault(err)
	}
	if !n.found {
		return n, errNotFound("mailbox")
	}
	n.order()
	return n, nil
}

var errRow = errors.New("unexpected form of a row")

// take reads one row in binary form.
func (n *news) take(raw [][]byte) error {
	if len(raw) != 6 || len(raw[0]) != 2 || len(raw[1]) != 8 || len(raw[2]) != 8 || len(raw[3]) != 4 || len(raw[4]) != 4 {
		return errRow
	}
	a, b := binary.BigEndian.Uint64(raw[1]), binary.BigEndian.Uint64(raw[2])
	x, y := binary.BigEndian.Uint32(raw[3]), binary.BigEndian.Uint32(raw[4])
	switch kind := int(binary.BigEndian.Uint16(raw[0])); kind {
	case rowMessage:
		n.added = append(n.added, Entry{UID: x, Flags: mail.FlagSet(y), ModSeq: a, Message: int64(b)})
	case changeFlags, changeExpunge:
		uids, err := parseUIDs(raw[5])
		if err != nil {
			return err
		}
		n.changes = append(n.changes, change{modseq: a, kind: kind, uids: uids, add: mail.FlagSet(x), del: mail.FlagSet(y)})
	case rowMailbox:
		n.found, n.total, n.unseen = true, int(x), int(y)
		n.head.modseq, n.head.next = a, uint32(b)
		n.head.keywords = strings.Fields(string(raw[5]))
	default:
		return fmt.Errorf("%w: kind %d", errRow, kind)
	}
	return nil
}

// order sorts what the statement gives in no order of its own.
func (n *news) order() {
	byUID := func(a, b Entry) int { return int(int64(a.UID) - int64(b.UID)) }
	if !slices.IsSortedFunc(n.added, byUID) {
		slices.SortFunc(n.added, byUID)
	}
	slices.SortFunc(n.changes, func(a, b change) int {
		if a.modseq < b.modseq {
			return -1
		}
		return 1
	})
}

// learn adds keywords to a mailbox, as many as fit, and gives its list. The error is fault.Limited when some did not fit; the
// list is then valid all the same.
func (s *Service) learn(ctx context.Context, q pg.Querier, key int64, names []string) ([]string, error) {
	if tx, ok := q.(pgx.Tx); ok {
		return learnIn(ctx, tx, key, names)
	}
	var list []string
	var full error
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		list, full = learnIn(ctx, tx, key, names)
		if full != nil && list == nil {
			return full
		}
		return nil
	})
	if err != nil {
		return nil, pg.Fault(err)
	}
	return list, full
}

const (
	sqlKeywords    = `SELECT keywords FROM mailbox WHERE key = $1 FOR UPDATE`
	sqlSetKeywords = `UPDATE mailbox SET keywords = $2 WHERE key = $1`
)

func learnIn(ctx context.Context, tx pgx.Tx, key int64, names []string) ([]string, error) {
	var have []string
	err := tx.QueryRow(ctx, sqlKeywords, key).Scan(&have)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound("mailbox")
	}
	if err != nil {
		return nil, pg.Fault(err)
	}
	list, all := withKeywords(have, names)
	if len(list) > len(have) {
		if _, err := tx.Exec(ctx, sqlSetKeywords, key, list); err != nil {
			return nil, pg.Fault(err)
		}
	}
	if !all {
		return list, keywordLimit()
	}
	return list, nil
}
