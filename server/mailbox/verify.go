package mailbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// VerifyOptions say how deep Verify looks and what it may do.
type VerifyOptions struct {
	// Hash reads every body and compares its hash, which takes as long as reading all mail.
	Hash bool
	// Fix moves orphans to lost and corrects counters. It never deletes.
	Fix bool
	// Grace is how old a file without a row must be to count as an orphan: younger ones may be on their way. 0 means 1 h.
	Grace time.Duration
	// AdoptSince, when not zero, gives orphans written since then a row in the inbox of their owner: after a failover that lost
	// committed transactions a duplicate is acceptable and a loss is not (D-24). The server must not be serving.
	AdoptSince time.Time
}

// The kinds of finding.
const (
	KindOrphan   = "orphan"       // a file that no row refers to
	KindStrange  = "strange_file" // a file whose name is not ours
	KindMissing  = "missing"      // a row whose file is not there
	KindSize     = "size"         // a file of another size than its row says
	KindHash     = "hash"         // a file with other bytes than were stored
	KindUIDNext  = "uid_next"     // a uid that is not below UIDNEXT, which would be given out again
	KindModSeq   = "modseq"       // a message with a higher mod-sequence than its mailbox
	KindCounters = "counters"     // total, unseen or bytes of a mailbox
	KindUsage    = "usage"        // the used quota of an account
	KindRefs     = "refs"         // the number of places of a message
	KindDangling = "dangling"     // a place without a message or without a mailbox, a message without a place
	KindForeign  = "foreign"      // a message of another account
	KindNoInbox  = "no_inbox"     // an account without an inbox
)

// Finding is something that is not as it should be.
type Finding struct {
	Kind    string         `json:"kind"`
	Account mail.UserID    `json:"account,omitzero"`
	Mailbox mail.MailboxID `json:"mailbox,omitzero"`
	Message mail.MessageID `json:"message,omitzero"`
	File    string         `json:"file,omitempty"`
	Text    string         `json:"text"`
	// Fixed says what was done about it; empty means nothing.
	Fixed string `json:"fixed,omitempty"`
}

// Report is the result of Verify.
type Report struct {
	Accounts  int   `json:"accounts"`
	Mailboxes int   `json:"mailboxes"`
	Messages  int   `json:"messages"`
	Files     int   `json:"files"`
	Bytes     int64 `json:"bytes"`
	// Findings are the first MaxFindings.
	Findings []Finding `json:"findings"`
	// Total counts all findings, Fixed those about which something was done.
	Total int `json:"total"`
	Fixed int `json:"fixed"`
}

// MaxFindings is how many findings a report lists.
const MaxFindings = 10_000

// Clean reports whether everything is as it should be, or was brought there.
func (r *Report) Clean() bool { return r.Total == r.Fixed }

func (r *Report) add(f Finding) {
	r.Total++
	if f.Fixed != "" {
		r.Fixed++
	}
	if len(r.Findings) < MaxFindings {
		r.Findings = append(r.Findings, f)
	}
}

// verifyTimeout replaces the statement timeout of a request: these statements read whole accounts.
const sqlVerifyTimeout = `SET LOCAL statement_timeout = '30min'`

const (
	sqlVerifyAccounts = `SELECT id FROM account WHERE id > $1 ORDER BY id LIMIT 1000`
	sqlVerifyUnplaced = `
SELECT g.id, g.account_id, g.file FROM message g
WHERE NOT EXISTS (SELECT FROM mailbox_message mm WHERE mm.message_key = g.key) LIMIT 10000`
	sqlVerifyLostPlaces = `
SELECT mm.mailbox_key, count(*) FROM mailbox_message mm
WHERE NOT EXISTS (SELECT FROM mailbox m WHERE m.key = mm.mailbox_key) GROUP BY mm.mailbox_key LIMIT 10000`
)

// Verify compares the database with itself and with the files, and reports everything that is not as it should be (D-28). It may
// run beside a serving server: whatever may still be on its way is not a finding.
func (s *Service) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	if o.Grace == 0 {
		o.Grace = time.Hour
	}
	v := &verifier{s: s, o: o, began: s.clk.Now()}
	accounts, err := v.accounts(ctx)
	if err != nil {
		return v.report, pg.Fault(err)
	}
	owners, err := s.bodies.Owners(ctx)
	if err != nil {
		return v.report, err
	}
	known := make(map[string]bool, len(accounts))
	for _, id := range accounts {
		known[id.String()] = true
		if err := v.account(ctx, id); err != nil {
			return v.report, pg.Fault(err)
		}
	}
	for _, owner := range owners { // directories of accounts that are gone: nothing but garbage may be in them
		var id mail.UserID
		if known[owner] || id.UnmarshalText([]byte(owner)) != nil {
			continue
		}
		if err := v.files(ctx, id, nil); err != nil {
			return v.report, pg.Fault(err)
		}
	}
	return v.report, pg.Fault(v.leftovers(ctx))
}

type verifier struct {
	s      *Service
	o      VerifyOptions
	began  time.Time
	report Report
}

// patient runs f in a transaction without the statement timeout of requests.
func (v *verifier) patient(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	return pg.InTx(ctx, v.s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlVerifyTimeout); err != nil {
			return err
		}
		return f(ctx, tx)
	})
}

func (v *verifier) accounts(ctx context.Context) ([]mail.UserID, error) {
	var out []mail.UserID
	var last mail.UserID
	for {
		rows, err := v.s.pool.Query(ctx, sqlVerifyAccounts, uuid(last))
		if err != nil {
			return nil, err
		}
		page, err := pgx.CollectRows(rows, pgx.RowTo[mail.UserID])
		if err != nil || len(page) == 0 {
			return out, err
		}
		out, last = append(out, page...), page[len(page)-1]
	}
}

func (v *verifier) account(ctx context.Context, id mail.UserID) error {
	v.report.Accounts++
	if err := v.mailboxes(ctx, id); err != nil {
		return err
	}
	messages, err := v.messages(ctx, id)
	if err != nil {
		return err
	}
	return v.files(ctx, id, messages)
}

const sqlVerifyMailboxes = `
SELECT m.id, m.key, m.name, m.uid_next, m.modseq, m.total, m.unseen, m.bytes, c.total, c.unseen, c.bytes, c.uid, c.modseq
FROM mailbox m CROSS JOIN LATERAL (
	SELECT count(*) AS total, count(*) FILTER (WHERE mm.flags & 1 = 0) AS unseen, coalesce(sum(g.size), 0)::bigint AS bytes,
		coalesce(max(mm.uid), 0)::bigint AS uid, coalesce(max(mm.modseq), 0)::bigint AS modseq
	FROM mailbox_message mm LEFT JOIN message g ON g.key = mm.message_key WHERE mm.mailbox_key = m.key
) c WHERE m.account_id = $1 ORDER BY m.key`

type mailboxFigures struct {
	id                   mail.MailboxID
	key                  int64
	name                 string
	next, modseq         int64
	total, unseen, bytes int64
	real                 struct{ total, unseen, bytes, uid, modseq int64 }
}

func (v *verifier) mailboxes(ctx context.Context, id mail.UserID) error {
	var all []mailboxFigures
	err := v.patient(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sqlVerifyMailboxes, uuid(id))
		if err != nil {
			return err
		}
		var m mailboxFigures
		_, err = pgx.ForEachRow(rows, []any{
			&m.id, &m.key, &m.name, &m.next, &m.modseq, &m.total, &m.unseen, &m.bytes,
			&m.real.total, &m.real.unseen, &m.real.bytes, &m.real.uid, &m.real.modseq,
		}, func() error { all = append(all, m); return nil })
		return err
	})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(m mailboxFigures) bool { return m.name == Inbox }) {
		v.report.add(Finding{Kind: KindNoInbox, Account: id, Text: "the account has no inbox; deliveries to it fail"})
	}
	for _, m := range all {
		v.report.Mailboxes++
		if err := v.mailbox(ctx, id, m); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) mailbox(ctx context.Context, id mail.UserID, m mailboxFigures) error {
	var found []Finding
	say := func(kind, format string, args ...any) {
		found = append(found, Finding{Kind: kind, Account: id, Mailbox: m.id, Text: fmt.Sprintf(format, args...)})
	}
	if m.next <= m.real.uid {
		say(KindUIDNext, "UIDNEXT is %d and there is a message with uid %d", m.next, m.real.uid)
	}
	if m.modseq < m.real.modseq {
		say(KindModSeq, "the mod-sequence is %d and there is a message with %d", m.modseq, m.real.modseq)
	}
	if m.total != m.real.total || m.unseen != m.real.unseen || m.bytes != m.real.bytes {
		say(KindCounters, "total, unseen, bytes are %d, %d, %d and should be %d, %d, %d",
			m.total, m.unseen, m.bytes, m.real.total, m.real.unseen, m.real.bytes)
	}
	if len(found) > 0 && v.o.Fix {
		if err := v.recount(ctx, m.key); err != nil {
			return err
		}
	}
	for _, f := range found {
		if v.o.Fix {
			f.Fixed = "recounted"
		}
		v.report.add(f)
	}
	return nil
}

// The lock comes first, so that the count sees what was committed while it was waited for.
const sqlFixMailbox = `
UPDATE mailbox m SET total = c.total, unseen = c.unseen, bytes = c.bytes, uid_next = greatest(m.uid_next, c.uid + 1),
	modseq = greatest(m.modseq, c.modseq) + 1
FROM (
	SELECT count(*)::int AS total, (count(*) FILTER (WHERE mm.flags & 1 = 0))::int AS unseen, coalesce(sum(g.size), 0)::bigint AS bytes,
		coalesce(max(mm.uid), 0)::bigint AS uid, coalesce(max(mm.modseq), 0)::bigint AS modseq
	FROM mailbox_message mm LEFT JOIN message g ON g.key = mm.message_key WHERE mm.mailbox_key = $1
) c WHERE m.key = $1`

func (v *verifier) recount(ctx context.Context, key int64) error {
	err := v.patient(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockMailboxes, []int64{key}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlFixMailbox, key)
		return err
	})
	v.s.views.drop(key)
	return err
}

// leftovers looks for rows that belong to nothing.
func (v *verifier) leftovers(ctx context.Context) error {
	return v.patient(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sqlVerifyUnplaced)
		if err != nil {
			return err
		}
		f := Finding{Kind: KindDangling, Text: "a message that no mailbox shows"}
		_, err = pgx.ForEachRow(rows, []any{&f.Message, &f.Account, &f.File}, func() error { v.report.add(f); return nil })
		if err != nil {
			return err
		}
		rows, err = tx.Query(ctx, sqlVerifyLostPlaces)
		if err != nil {
			return err
		}
		var key, n int64
		_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error {
			v.report.add(Finding{Kind: KindDangling, Text: fmt.Sprintf("%d rows of mailbox %d, which does not exist", n, key)})
			return nil
		})
		return err
	})
}
