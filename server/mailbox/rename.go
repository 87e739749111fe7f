package mailbox

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Rename gives a mailbox and all below it another name, in one transaction; UIDVALIDITY stays (RFC 9051 §6.3.6, D-32). Missing
// mailboxes above the new name are made. Renaming the inbox moves its messages to a new mailbox of that name instead, leaves the
// inbox empty and what lies below it alone. Errors: fault.NotFound, fault.Invalid, fault.Conflict "already-exists", fault.Limited.
func (s *Service) Rename(ctx context.Context, p mail.Principal, key int64, name string) (Mailbox, error) {
	m, err := s.byKey(ctx, p, writeMailboxes, key)
	if err != nil {
		return Mailbox{}, err
	}
	clean, err := CleanName(name)
	if err != nil {
		return Mailbox{}, err
	}
	var out Mailbox
	var touched []int64
	err = s.change(ctx, p, m.Account, func(ctx context.Context, tx pgx.Tx, t *tree) error {
		now := t.find(func(x *Mailbox) bool { return x.Key == key })
		switch {
		case now == nil:
			return errNotFound("mailbox")
		case now.Name == clean:
			out = *now
			return nil
		case now.Name == Inbox:
			out, err = s.renameInbox(ctx, tx, t, *now, clean)
			touched = []int64{now.Key, out.Key}
		default:
			out, err = s.renameTree(ctx, tx, t, *now, clean)
		}
		if err != nil {
			return err
		}
		return s.note(ctx, tx, p, "mailbox.rename", out, map[string]any{"from": now.Name, "to": clean})
	})
	if err != nil {
		return Mailbox{}, err
	}
	s.changed(touched...)
	return out, nil
}

func (s *Service) renameInbox(ctx context.Context, tx pgx.Tx, t *tree, inbox Mailbox, name string) (Mailbox, error) {
	target, err := t.add(ctx, tx, s, name, "")
	if err != nil {
		return Mailbox{}, err
	}
	locks := []int64{inbox.Key, target.Key}
	if _, err := tx.Exec(ctx, sqlLockMailboxes, locks); err != nil {
		return Mailbox{}, err
	}
	// Under the lock the inbox has the keywords that its messages use, and the new mailbox takes the same list.
	var keywords []string
	if err := tx.QueryRow(ctx, sqlKeywords, inbox.Key).Scan(&keywords); err != nil {
		return Mailbox{}, err
	}
	if _, err := tx.Exec(ctx, sqlSetKeywords, target.Key, keywords); err != nil {
		return Mailbox{}, err
	}
	words := mapKeywords(allFlags, keywords, keywords)
	what, from := everything().args()
	if _, err := tx.Exec(ctx, sqlMoveRange, inbox.Key, what, from, target.Key, words.from, words.to, s.clk.Now()); err != nil {
		return Mailbox{}, deliveryFault(err)
	}
	return selectMailbox(ctx, tx, sqlMailboxByKey, target.Key)
}

// The names are unique, and one of the new ones may be one of the old ones: a detour over names that nobody can have.
const (
	sqlRenameAway = `UPDATE mailbox SET name = '/' || key::text WHERE key = ANY ($1::bigint[])`
	sqlRenameTo   = `
UPDATE mailbox m SET name = n.name FROM unnest($1::bigint[], $2::text[]) AS n (key, name) WHERE m.key = n.key`
)

func (s *Service) renameTree(ctx context.Context, tx pgx.Tx, t *tree, m Mailbox, name string) (Mailbox, error) {
	if isBelow(name, m.Name) {
		return Mailbox{}, badName("it would lie below itself")
	}
	var keys []int64
	var names []string
	var stay []Mailbox
	for _, x := range t.all {
		if x.Name != m.Name && !isBelow(x.Name, m.Name) {
			stay = append(stay, x)
			continue
		}
		clean, err := CleanName(name + x.Name[len(m.Name):])
		if err != nil {
			return Mailbox{}, err
		}
		keys, names = append(keys, x.Key), append(names, clean)
	}
	t.all = stay
	for _, n := range names {
		if t.named(n) != nil {
			return Mailbox{}, errExists()
		}
	}
	missing := slices.DeleteFunc(parents(name), func(above string) bool { return t.named(above) != nil || slices.Contains(names, above) })
	if len(t.all)+len(keys)+len(missing) > s.opts.MaxMailboxes {
		return Mailbox{}, fault.New(fault.Limited, "mailbox-limit", "an account can have %d mailboxes; delete one first", s.opts.MaxMailboxes)
	}
	b := &pgx.Batch{}
	b.Queue(sqlLockMailboxes, keys)
	b.Queue(sqlRenameAway, keys)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Mailbox{}, err
	}
	for _, above := range missing {
		if _, err := t.insert(ctx, tx, s.clk.Now(), above, ""); err != nil {
			return Mailbox{}, err
		}
	}
	if _, err := tx.Exec(ctx, sqlRenameTo, keys, names); err != nil {
		return Mailbox{}, err
	}
	return selectMailbox(ctx, tx, sqlMailboxByKey, m.Key)
}

const (
	sqlDeleteMailbox = `DELETE FROM mailbox WHERE key = $1`
	sqlDeleteChanges = `DELETE FROM mailbox_change WHERE mailbox_key = $1`
	// A subscription outlives its mailbox (RFC 9051 §6.3.7); the list is bounded like that of the mailboxes.
	sqlKeepSubscription = `
INSERT INTO mailbox_subscription (account_id, name) SELECT $1, $2
WHERE (SELECT count(*) FROM mailbox_subscription WHERE account_id = $1) < $3
ON CONFLICT DO NOTHING`
)

// deleteChunk is how many messages of a mailbox go in one transaction.
const deleteChunk = 10_000

// Delete removes a mailbox with its messages. The inbox cannot be removed; what lies below a mailbox stays (RFC 9051 §6.3.5). A
// large mailbox is emptied in several transactions first. Errors: fault.NotFound, fault.Invalid "inbox".
func (s *Service) Delete(ctx context.Context, p mail.Principal, key int64) error {
	m, err := s.byKey(ctx, p, writeMailboxes, key)
	if err != nil {
		return err
	}
	if m.Name == Inbox {
		return fault.New(fault.Invalid, "inbox", "the inbox cannot be deleted")
	}
	if m.Total > deleteChunk {
		if _, err := s.remove(ctx, m, AllUIDs(), 0); err != nil {
			return err
		}
	}
	err = s.change(ctx, p, m.Account, func(ctx context.Context, tx pgx.Tx, t *tree) error {
		now := t.find(func(x *Mailbox) bool { return x.Key == key })
		if now == nil {
			return errNotFound("mailbox")
		}
		b := &pgx.Batch{}
		queueExpunge(b, *now, everything(), 0, s.clk.Now())
		b.Queue(sqlDeleteChanges, key)
		b.Queue(sqlDeleteMailbox, key)
		if now.Subscribed {
			b.Queue(sqlKeepSubscription, uuid(now.Account), now.Name, s.opts.MaxMailboxes)
		}
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return s.note(ctx, tx, p, "mailbox.delete", *now, map[string]any{"name": now.Name, "messages": now.Total})
	})
	if err != nil {
		return err
	}
	s.views.drop(key)
	s.changed(key)
	return nil
}

const (
	sqlSubscribe     = `UPDATE mailbox SET subscribed = $3 WHERE account_id = $1 AND name = $2`
	sqlSubscriptions = `
SELECT name FROM mailbox WHERE account_id = $1 AND subscribed
UNION SELECT name FROM mailbox_subscription WHERE account_id = $1`
	sqlIsSubscribed = `SELECT EXISTS (SELECT FROM mailbox_subscription WHERE account_id = $1 AND name = $2)`
)

// Subscribe marks a mailbox as one that clients show. The error is fault.NotFound when there is none of that name.
func (s *Service) Subscribe(ctx context.Context, p mail.Principal, account mail.UserID, name string) error {
	return s.subscribe(ctx, p, account, name, true)
}

// Unsubscribe takes the mark away, also from a name that no mailbox has any more. A name without a mark is no error.
func (s *Service) Unsubscribe(ctx context.Context, p mail.Principal, account mail.UserID, name string) error {
	return s.subscribe(ctx, p, account, name, false)
}

func (s *Service) subscribe(ctx context.Context, p mail.Principal, account mail.UserID, name string, on bool) error {
	clean, err := CleanName(name)
	if err != nil {
		return errNotFound("mailbox")
	}
	return s.change(ctx, p, account, func(ctx context.Context, tx pgx.Tx, _ *tree) error {
		tag, err := tx.Exec(ctx, sqlSubscribe, uuid(account), clean, on)
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
		if !on {
			_, err = tx.Exec(ctx, sqlForgetSubscription, uuid(account), clean)
			return err
		}
		var have bool
		if err := tx.QueryRow(ctx, sqlIsSubscribed, uuid(account), clean).Scan(&have); err != nil || have {
			return err
		}
		return errNotFound("mailbox")
	})
}

// Subscriptions gives the subscribed names of an account in the order of their octets, those of deleted mailboxes among them.
func (s *Service) Subscriptions(ctx context.Context, p mail.Principal, account mail.UserID) ([]string, error) {
	if err := scope(p, readMailboxes); err != nil {
		return nil, err
	}
	if err := s.mayUse(ctx, p, account); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, sqlSubscriptions, uuid(account))
	if err != nil {
		return nil, pg.Fault(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, pg.Fault(err)
	}
	slices.Sort(names)
	return names, nil
}
