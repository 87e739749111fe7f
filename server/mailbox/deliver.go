package mailbox

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// parcel is a letter with everything decided that its content could make fail.
type parcel struct {
	letter Letter
	id     mail.MessageID
	list   []byte
	meta   []byte
	flags  mail.FlagSet
	place  place
	event  *event.Event
}

// Deliver files letters into mailboxes of any accounts: all of them or none (D-2). It returns when the transaction is on stable
// storage, in the order of the letters; it may share that transaction with other calls. The bodies must have been put; Deliver
// syncs their directories.
//
// When it fails for sure, the bodies are removed. When the database cannot say whether the transaction was committed, the error
// is fault.Unavailable and the bodies stay (D-12); the sender tries again and the reconciler puts aside what nobody refers to.
// Other errors: fault.NotFound when an account has no inbox any more, fault.Limited "uid-limit", fault.Storage.
//
// The end of ctx gives up a delivery that still waits, not one that is being committed.
func (s *Service) Deliver(ctx context.Context, letters []Letter) ([]Filed, error) {
	if len(letters) == 0 {
		return nil, nil
	}
	parcels, err := s.prepare(ctx, s.pool, letters)
	if err != nil {
		s.discard(ctx, letters)
		return nil, err
	}
	result := s.committer.deliver(ctx, parcels)
	if result.err != nil {
		if !result.unknown {
			s.discard(ctx, letters)
		}
		return nil, result.err
	}
	s.announce(result.filed, parcels)
	return result.filed, nil
}

// File does what Deliver does inside the caller's transaction. The caller has synced the directories, calls after when the
// transaction is committed, and removes the bodies when it is not. It must not hold row locks of mailboxes that come later in
// the order of keys, nor of usage rows.
func (s *Service) File(ctx context.Context, tx pgx.Tx, letters []Letter) (filed []Filed, after func(), err error) {
	if len(letters) == 0 {
		return nil, func() {}, nil
	}
	parcels, err := s.prepare(ctx, tx, letters)
	if err != nil {
		return nil, nil, err
	}
	filed, err = s.file(ctx, tx, parcels)
	if err != nil {
		return nil, nil, deliveryFault(err)
	}
	return filed, func() { s.announce(filed, parcels) }, nil
}

func (s *Service) file(ctx context.Context, tx pgx.Tx, parcels []*parcel) ([]Filed, error) {
	plan := newPlan(parcels)
	b := &pgx.Batch{}
	if err := plan.queue(b, s.clk.Now()); err != nil {
		return nil, err
	}
	return plan.read(tx.SendBatch(ctx, b))
}

// announce wakes the watchers of what was filed.
func (s *Service) announce(filed []Filed, parcels []*parcel) {
	keys := make([]int64, len(filed))
	for i, f := range filed {
		keys[i] = f.Key
	}
	slices.Sort(keys)
	s.changed(slices.Compact(keys)...)
	if slices.ContainsFunc(parcels, func(p *parcel) bool { return p.event != nil }) {
		s.bus.Publish(bus.Events)
	}
}

// discard removes the files of letters that no row will ever refer to.
func (s *Service) discard(ctx context.Context, letters []Letter) {
	ctx = context.WithoutCancel(ctx)
	for _, l := range letters {
		if err := s.bodies.Remove(ctx, l.Body.Owner, l.Body.File); err != nil {
			s.log.WarnContext(ctx, "body not removed",
				slog.String("owner", l.Body.Owner), slog.String("file", l.Body.File), slog.Any("error", err))
		}
	}
}

// prepare renders the columns, finds the mailboxes, and resolves the flags.
func (s *Service) prepare(ctx context.Context, q pg.Querier, letters []Letter) ([]*parcel, error) {
	now := s.clk.Now()
	parcels := make([]*parcel, len(letters))
	for i, l := range letters {
		if l.Meta == nil || l.Body.Owner != l.Account.String() || !body.ValidName(l.Body.File) || l.Body.Size != l.Meta.Size {
			return nil, fmt.Errorf("letter %d: body %q of %q does not belong to account %s or to its structure", i, l.Body.File, l.Body.Owner, l.Account)
		}
		l.InternalDate = cleanDate(l.InternalDate, now)
		meta, err := l.Meta.Encode()
		if err != nil {
			return nil, err
		}
		p := &parcel{letter: l, id: mail.MessageID{}.New(now), meta: meta, list: renderList(l.Meta, l.Body.Size, l.InternalDate)}
		if err := p.takeEvent(); err != nil {
			return nil, err
		}
		parcels[i] = p
	}
	if err := s.resolve(ctx, q, parcels); err != nil {
		return nil, err
	}
	return parcels, s.resolveFlags(ctx, q, parcels)
}

func (p *parcel) takeEvent() error {
	if p.letter.Event == nil {
		return nil
	}
	e := *p.letter.Event
	if _, err := event.EncodeData(e.Data); err != nil {
		return err
	}
	if e.Account.IsZero() {
		e.Account = p.letter.Account
	}
	if e.Domain.IsZero() {
		e.Domain = p.letter.Domain
	}
	if e.Subject == "" {
		e.Subject = p.id.String()
	}
	p.event = &e
	return nil
}

// A letter goes to the named mailbox of its account, or to the inbox when there is none of that name.
const sqlResolve = `
SELECT w.i - 1, m.key, m.id
FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS w (account_id, name, i)
CROSS JOIN LATERAL (
	SELECT b.key, b.id FROM mailbox b WHERE b.account_id = w.account_id AND b.name IN (w.name, 'INBOX')
	ORDER BY b.name = w.name DESC LIMIT 1
) m`

// resolve finds the mailbox of each parcel.
func (s *Service) resolve(ctx context.Context, q pg.Querier, parcels []*parcel) error {
	var (
		open     []*parcel
		accounts []mail.UserID
		names    []string
	)
	for _, p := range parcels {
		name, err := CleanName(p.letter.Mailbox)
		if err != nil {
			name = Inbox
		}
		if at, ok := s.inboxes.get(p.letter.Account); ok && name == Inbox {
			p.place = at
			continue
		}
		open, accounts, names = append(open, p), append(accounts, p.letter.Account), append(names, name)
	}
	if len(open) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, sqlResolve, uuids(accounts...), names)
	if err != nil {
		return pg.Fault(err)
	}
	found := 0
	var i int
	var at place
	_, err = pgx.ForEachRow(rows, []any{&i, &at.key, &at.id}, func() error {
		open[i].place = at
		if names[i] == Inbox {
			s.inboxes.put(accounts[i], at)
		}
		found++
		return nil
	})
	if err != nil {
		return pg.Fault(err)
	}
	if found < len(open) {
		return errNotFound("mailbox")
	}
	return nil
}

// resolveFlags turns flag names into bits. Only keywords cost a look at the mailbox.
func (s *Service) resolveFlags(ctx context.Context, q pg.Querier, parcels []*parcel) error {
	var worded []*parcel
	for _, p := range parcels {
		flags, err := checkFlags(p.letter.Flags)
		if err != nil {
			return err
		}
		p.letter.Flags = flags
		var names []string
		if p.flags, names = bitsOf(flags, nil); len(names) > 0 {
			worded = append(worded, p)
		}
	}
	if len(worded) == 0 {
		return nil
	}
	if tx, ok := q.(pgx.Tx); ok { // the caller's transaction takes its locks in the common order
		keys := make([]int64, len(parcels))
		for i, p := range parcels {
			keys[i] = p.place.key
		}
		if _, err := tx.Exec(ctx, sqlLockMailboxes, keys); err != nil {
			return pg.Fault(err)
		}
	}
	for _, p := range worded {
		_, names := bitsOf(p.letter.Flags, nil)
		keywords, err := s.learn(ctx, q, p.place.key, names)
		if err != nil && keywords == nil {
			return err
		}
		p.flags, _ = bitsOf(p.letter.Flags, keywords)
	}
	return nil
}

// deliveryFault gives an error of the delivery statements its kind.
func deliveryFault(err error) error {
	switch {
	case err == nil:
		return nil
	case sqlState(err) == stateOutOfRange:
		return fault.Wrap(err, fault.Limited, "uid-limit", "this mailbox has used up its message numbers; move its mail to a new mailbox")
	case isVanished(err):
		return fault.Wrap(err, fault.NotFound, "not-found", "there is no such mailbox any more")
	}
	return pg.Fault(err)
}

// isVanished reports that a mailbox was removed between its look-up and the lock: its letters found no key to go under.
func isVanished(err error) bool { return sqlState(err) == stateNotNull }
