package mailbox

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// The columns of a Mailbox, with the domain of its account.
const mailboxColumns = `
m.key, m.id, m.account_id, a.domain_id, m.name, m.role, m.subscribed, m.uid_validity, m.uid_next, m.modseq, m.total, m.unseen,
m.bytes, m.keywords, m.created_at`

const mailboxFrom = ` FROM mailbox m JOIN account a ON a.id = m.account_id `

const (
	sqlMailboxByKey  = `SELECT ` + mailboxColumns + mailboxFrom + `WHERE m.key = $1`
	sqlMailboxByID   = `SELECT ` + mailboxColumns + mailboxFrom + `WHERE m.id = $1`
	sqlMailboxByName = `SELECT ` + mailboxColumns + mailboxFrom + `WHERE m.account_id = $1 AND m.name = $2`
	sqlMailboxes     = `SELECT ` + mailboxColumns + mailboxFrom + `WHERE m.account_id = $1 ORDER BY m.name COLLATE "C"`
)

const sqlAccountDomain = `SELECT domain_id FROM account WHERE id = $1`

// The lock of mailboxes, in the order in which everybody takes it.
const sqlLockMailboxes = `SELECT key FROM mailbox WHERE key = ANY ($1::bigint[]) ORDER BY key FOR UPDATE`

// The lock of usage rows, and with it of refs of the accounts' messages. Taken after the mailboxes.
const sqlLockUsage = `SELECT account_id FROM account_usage WHERE account_id = ANY ($1::uuid[]) ORDER BY account_id FOR UPDATE`

func scanMailbox(row pgx.CollectableRow) (Mailbox, error) {
	var m Mailbox
	var validity, next, modseq int64
	err := row.Scan(&m.Key, &m.ID, &m.Account, &m.Domain, &m.Name, &m.Role, &m.Subscribed, &validity, &next, &modseq, &m.Total, &m.Unseen,
		&m.Bytes, &m.Keywords, &m.CreatedAt)
	m.UIDValidity, m.UIDNext, m.ModSeq = uint32(validity), uint32(next), uint64(modseq)
	return m, err
}

// selectMailbox runs one of the statements above that give one mailbox; pgx.ErrNoRows if there is none.
func selectMailbox(ctx context.Context, q pg.Querier, sql string, args ...any) (Mailbox, error) {
	return queriedMailbox(q.Query(ctx, sql, args...))
}

func queriedMailbox(rows pgx.Rows, err error) (Mailbox, error) {
	if err != nil {
		return Mailbox{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanMailbox)
}

func selectMailboxes(ctx context.Context, q pg.Querier, account mail.UserID) ([]Mailbox, error) {
	rows, err := q.Query(ctx, sqlMailboxes, uuid(account))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanMailbox)
}

// uuid is an id as a parameter in binary form.
func uuid[K mail.Kind](id mail.ID[K]) [16]byte { return id }

func uuids[K mail.Kind](ids ...mail.ID[K]) [][16]byte {
	out := make([][16]byte, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}
