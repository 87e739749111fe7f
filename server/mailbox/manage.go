package mailbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/audit"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Get gives a mailbox by its id.
func (s *Service) Get(ctx context.Context, p mail.Principal, id mail.MailboxID) (Mailbox, error) {
	if err := scope(p, readMailboxes); err != nil {
		return Mailbox{}, err
	}
	return s.load(ctx, s.pool, p, sqlMailboxByID, uuid(id))
}

// GetByName gives an account's mailbox by its name.
func (s *Service) GetByName(ctx context.Context, p mail.Principal, account mail.UserID, name string) (Mailbox, error) {
	if err := scope(p, readMailboxes); err != nil {
		return Mailbox{}, err
	}
	clean, err := CleanName(name)
	if err != nil {
		return Mailbox{}, errNotFound("mailbox")
	}
	return s.load(ctx, s.pool, p, sqlMailboxByName, uuid(account), clean)
}

// ListFilter says which mailboxes are wanted; zero fields do not restrict.
type ListFilter struct {
	Subscribed bool
	Role       string
}

// List gives an account's mailboxes in the order of their names' octets. There are at most Options.MaxMailboxes.
func (s *Service) List(ctx context.Context, p mail.Principal, account mail.UserID, filter ListFilter) ([]Mailbox, error) {
	if err := scope(p, readMailboxes); err != nil {
		return nil, err
	}
	if err := s.mayUse(ctx, p, account); err != nil {
		return nil, err
	}
	all, err := selectMailboxes(ctx, s.pool, account)
	if err != nil {
		return nil, pg.Fault(err)
	}
	return slices.DeleteFunc(all, func(m Mailbox) bool {
		return filter.Subscribed && !m.Subscribed || filter.Role != "" && m.Role != filter.Role
	}), nil
}

// tree is an account's list of mailboxes, locked against other changes of the list.
type tree struct {
	account  mail.UserID
	domain   mail.DomainID
	validity int64 // the next UIDVALIDITY of the account (D-32)
	all      []Mailbox
}

const (
	sqlLockTree    = `SELECT domain_id, next_uid_validity FROM account WHERE id = $1 FOR NO KEY UPDATE`
	sqlSetValidity = `UPDATE account SET next_uid_validity = $2 WHERE id = $1`
)

func lockTree(ctx context.Context, tx pgx.Tx, p mail.Principal, account mail.UserID) (*tree, error) {
	t := &tree{account: account}
	err := tx.QueryRow(ctx, sqlLockTree, uuid(account)).Scan(&t.domain, &t.validity)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !p.MayUser(account, t.domain) {
		return nil, errNotFound("user")
	}
	if err != nil {
		return nil, err
	}
	t.all, err = selectMailboxes(ctx, tx, account)
	return t, err
}

func (t *tree) find(match func(*Mailbox) bool) *Mailbox {
	for i := range t.all {
		if match(&t.all[i]) {
			return &t.all[i]
		}
	}
	return nil
}

func (t *tree) named(name string) *Mailbox {
	return t.find(func(m *Mailbox) bool { return m.Name == name })
}

const (
	sqlInsertMailbox = `
INSERT INTO mailbox (id, account_id, name, role, uid_validity, created_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING key, modseq, uid_next`
	sqlForgetSubscription = `DELETE FROM mailbox_subscription WHERE account_id = $1 AND name = $2`
)

// insert makes one mailbox with a UIDVALIDITY of its own.
func (t *tree) insert(ctx context.Context, tx pgx.Tx, now time.Time, name, role string) (Mailbox, error) {
	m := Mailbox{
		ID: mail.MailboxID{}.New(now), Account: t.account, Domain: t.domain, Name: name, Role: role, Subscribed: true,
		UIDValidity: uint32(t.validity), CreatedAt: now,
	}
	var modseq, next int64
	err := tx.QueryRow(ctx, sqlInsertMailbox, uuid(m.ID), uuid(t.account), name, role, t.validity, now).Scan(&m.Key, &modseq, &next)
	if err != nil {
		return Mailbox{}, err
	}
	m.ModSeq, m.UIDNext = uint64(modseq), uint32(next)
	if _, err := tx.Exec(ctx, sqlForgetSubscription, uuid(t.account), name); err != nil {
		return Mailbox{}, err
	}
	t.validity++
	if _, err := tx.Exec(ctx, sqlSetValidity, uuid(t.account), t.validity); err != nil {
		return Mailbox{}, err
	}
	t.all = append(t.all, m)
	return m, nil
}

// add makes a mailbox and those above it that are missing, after a check of the limit (L-11).
func (t *tree) add(ctx context.Context, tx pgx.Tx, s *Service, name, role string) (Mailbox, error) {
	if t.named(name) != nil {
		return Mailbox{}, errExists()
	}
	if role != "" && t.find(func(m *Mailbox) bool { return m.Role == role }) != nil {
		return Mailbox{}, fault.New(fault.Conflict, "role-taken", "another mailbox has the role %s", role).At("role")
	}
	missing := slices.DeleteFunc(parents(name), func(above string) bool { return t.named(above) != nil })
	if len(t.all)+len(missing)+1 > s.opts.MaxMailboxes {
		return Mailbox{}, fault.New(fault.Limited, "mailbox-limit", "an account can have %d mailboxes; delete one first", s.opts.MaxMailboxes)
	}
	for _, above := range missing {
		if _, err := t.insert(ctx, tx, s.clk.Now(), above, ""); err != nil {
			return Mailbox{}, err
		}
	}
	return t.insert(ctx, tx, s.clk.Now(), name, role)
}

func errExists() error {
	return fault.New(fault.Conflict, "already-exists", "there is a mailbox of this name already").At("name")
}

// roles are the special uses that a mailbox can be made with.
func roles() []string { return []string{RoleDrafts, RoleSent, RoleJunk, RoleTrash, RoleArchive} }

// change runs f on the locked list, and wakes its watchers after the commit.
func (s *Service) change(ctx context.Context, p mail.Principal, account mail.UserID, f func(context.Context, pgx.Tx, *tree) error) error {
	if err := scope(p, writeMailboxes); err != nil {
		return err
	}
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		t, err := lockTree(ctx, tx, p, account)
		if err != nil {
			return err
		}
		return f(ctx, tx, t)
	})
	if err != nil {
		return pg.Fault(err)
	}
	s.listChanged(account)
	return nil
}

func (s *Service) note(ctx context.Context, tx pgx.Tx, p mail.Principal, action string, m Mailbox, data map[string]any) error {
	return audit.Record(ctx, tx, s.clk.Now(), p, audit.Entry{Action: action, Target: m.ID.String(), Domain: m.Domain, Data: data})
}

// Create makes a mailbox, and those above it that are missing (RFC 9051 §6.3.4). Role is one of RoleDrafts ... RoleArchive, or "".
// Errors: fault.Invalid "invalid-mailbox-name" or "invalid-role", fault.Conflict "already-exists" or "role-taken", fault.Limited
// "mailbox-limit".
func (s *Service) Create(ctx context.Context, p mail.Principal, account mail.UserID, name, role string) (Mailbox, error) {
	clean, err := CleanName(name)
	if err != nil {
		return Mailbox{}, err
	}
	if role != "" && !slices.Contains(roles(), role) {
		return Mailbox{}, fault.New(fault.Invalid, "invalid-role", "a mailbox can have the roles drafts, sent, junk, trash and archive").At("role")
	}
	var m Mailbox
	err = s.change(ctx, p, account, func(ctx context.Context, tx pgx.Tx, t *tree) error {
		var err error
		if m, err = t.add(ctx, tx, s, clean, role); err != nil {
			return err
		}
		idem.SetEffect(ctx, m.ID.String())
		return s.note(ctx, tx, p, "mailbox.create", m, map[string]any{"name": clean})
	})
	return m, err
}

// CreateDefaults makes the mailboxes that every account has from birth, in the transaction that makes the account.
func (s *Service) CreateDefaults(ctx context.Context, tx pgx.Tx, account mail.UserID) error {
	t, err := lockTree(ctx, tx, mail.System("mailbox"), account)
	if err != nil {
		return err
	}
	defaults := []struct{ name, role string }{
		{Inbox, ""}, {"Drafts", RoleDrafts}, {"Sent", RoleSent}, {"Junk", RoleJunk}, {"Trash", RoleTrash}, {"Archive", RoleArchive},
	}
	for _, d := range defaults {
		if _, err := t.insert(ctx, tx, s.clk.Now(), d.name, d.role); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, sqlEnsureUsage, uuid(account))
	return err
}

const sqlEnsureUsage = `INSERT INTO account_usage (account_id) VALUES ($1) ON CONFLICT DO NOTHING`

// The whole of an account goes: its files become garbage in the same transaction (D-13).
const (
	sqlDropMessages = `
WITH gone AS (
	DELETE FROM mailbox_message WHERE mailbox_key = ANY ($1::bigint[]) RETURNING message_key
), dead AS (
	DELETE FROM message WHERE key IN (SELECT message_key FROM gone) RETURNING account_id, file
)
INSERT INTO body_garbage (account_id, file, at) SELECT account_id, file, $2 FROM dead ON CONFLICT DO NOTHING`
	sqlDropChanges       = `DELETE FROM mailbox_change WHERE mailbox_key = ANY ($1::bigint[])`
	sqlDropMailboxes     = `DELETE FROM mailbox WHERE key = ANY ($1::bigint[])`
	sqlDropSubscriptions = `DELETE FROM mailbox_subscription WHERE account_id = $1`
)

// DropAccount removes all mailboxes and messages of an account, in the transaction that removes the account.
func (s *Service) DropAccount(ctx context.Context, tx pgx.Tx, account mail.UserID) error {
	t, err := lockTree(ctx, tx, mail.System("mailbox"), account)
	if err != nil {
		return err
	}
	keys := make([]int64, len(t.all))
	for i, m := range t.all {
		keys[i] = m.Key
	}
	b := &pgx.Batch{}
	b.Queue(sqlLockMailboxes, keys)
	b.Queue(sqlLockUsage, uuids(account))
	b.Queue(sqlDropMessages, keys, s.clk.Now())
	b.Queue(sqlDropChanges, keys)
	b.Queue(sqlDropMailboxes, keys)
	b.Queue(sqlDropSubscriptions, uuid(account))
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	pg.AfterCommit(ctx, func() {
		s.inboxes.drop(account)
		for _, key := range keys {
			s.views.drop(key)
		}
		s.changed(keys...)
		s.listChanged(account)
	})
	return nil
}
