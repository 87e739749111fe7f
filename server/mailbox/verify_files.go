package mailbox

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Messages are found through the mailboxes that show them; those that none shows are leftovers.
const sqlVerifyMessages = `
SELECT p.message_key, p.n, g.id, g.account_id, g.file, g.size, g.sha256, g.refs
FROM (
	SELECT mm.message_key, count(*) AS n FROM mailbox m JOIN mailbox_message mm ON mm.mailbox_key = m.key
	WHERE m.account_id = $1 GROUP BY mm.message_key
) p LEFT JOIN message g ON g.key = p.message_key`

const (
	sqlVerifyUsage = `
SELECT coalesce(max(u.bytes), 0)::bigint, coalesce(max(u.messages), 0)::bigint FROM account_usage u WHERE u.account_id = $1`
	sqlFixUsage = `
UPDATE account_usage u SET bytes = c.bytes, messages = c.n FROM (
	SELECT coalesce(sum(g.size), 0)::bigint AS bytes, count(*) AS n FROM message g WHERE g.key IN (
		SELECT mm.message_key FROM mailbox m JOIN mailbox_message mm ON mm.mailbox_key = m.key WHERE m.account_id = $1)
) c WHERE u.account_id = $1`
	sqlFixRefs = `
UPDATE message g SET refs = (SELECT count(*) FROM mailbox_message mm WHERE mm.message_key = g.key) WHERE g.key = $1`
	sqlVerifyFiles = `
SELECT g.file FROM message g WHERE g.key IN (
	SELECT mm.message_key FROM mailbox m JOIN mailbox_message mm ON mm.mailbox_key = m.key WHERE m.account_id = $1)
UNION ALL SELECT file FROM body_garbage WHERE account_id = $1`
	sqlVerifyExists = `SELECT EXISTS (SELECT FROM message WHERE id = $1)`
)

// stored is what a row says about its file.
type stored struct {
	id   mail.MessageID
	size int64
	sum  [32]byte
}

// messages checks the message rows of an account, and gives them by the names of their files.
func (v *verifier) messages(ctx context.Context, id mail.UserID) (map[string]stored, error) {
	out := map[string]stored{}
	var wrong []int64
	var bytes, usedBytes, usedMessages int64
	err := v.patient(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sqlVerifyMessages, uuid(id))
		if err != nil {
			return err
		}
		var key, n int64
		var size, refs *int64
		var msg mail.MessageID
		var owner mail.UserID
		var file *string
		var sum []byte
		_, err = pgx.ForEachRow(rows, []any{&key, &n, &msg, &owner, &file, &size, &sum, &refs}, func() error {
			switch {
			case file == nil:
				v.report.add(Finding{Kind: KindDangling, Account: id, Text: fmt.Sprintf("%d places of message %d, which does not exist", n, key)})
				return nil
			case owner != id:
				v.report.add(Finding{Kind: KindForeign, Account: id, Message: msg, Text: "the message belongs to " + owner.String()})
				return nil
			case *refs != n:
				wrong = append(wrong, key)
				v.report.add(v.fixable(Finding{Kind: KindRefs, Account: id, Message: msg, Text: fmt.Sprintf("refs is %d and should be %d", *refs, n)}))
			}
			v.report.Messages++
			bytes += *size
			st := stored{id: msg, size: *size}
			copy(st.sum[:], sum)
			out[*file] = st
			return nil
		})
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, sqlVerifyUsage, uuid(id)).Scan(&usedBytes, &usedMessages)
	})
	if err != nil {
		return nil, err
	}
	drift := usedBytes != bytes || usedMessages != int64(len(out))
	if drift {
		// The two statements had two snapshots: what was delivered between them is no drift.
		if drift, err = v.usageDrifts(ctx, id); err != nil {
			return nil, err
		}
	}
	if drift {
		v.report.add(v.fixable(Finding{
			Kind: KindUsage, Account: id,
			Text: fmt.Sprintf("usage is %d bytes in %d messages and should be %d in %d", usedBytes, usedMessages, bytes, len(out)),
		}))
	}
	if v.o.Fix && (drift || len(wrong) > 0) {
		return out, v.fixAccount(ctx, id, drift, wrong)
	}
	return out, nil
}

// fixable marks a finding as corrected when Fix is on: what follows corrects it, or Verify fails.
func (v *verifier) fixable(f Finding) Finding {
	if v.o.Fix {
		f.Fixed = "recounted"
	}
	return f
}

const sqlVerifyDrift = `
SELECT (u.bytes, u.messages) <> (c.bytes, c.n) FROM account_usage u CROSS JOIN (
	SELECT coalesce(sum(g.size), 0)::bigint AS bytes, count(*) AS n FROM message g WHERE g.key IN (
		SELECT mm.message_key FROM mailbox m JOIN mailbox_message mm ON mm.mailbox_key = m.key WHERE m.account_id = $1)
) c WHERE u.account_id = $1`

func (v *verifier) usageDrifts(ctx context.Context, id mail.UserID) (drifts bool, err error) {
	err = v.patient(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, sqlVerifyDrift, uuid(id)).Scan(&drifts)
	})
	return drifts, err
}

func (v *verifier) fixAccount(ctx context.Context, id mail.UserID, usage bool, wrong []int64) error {
	return v.patient(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockUsage, uuids(id)); err != nil {
			return err
		}
		for _, key := range wrong {
			if _, err := tx.Exec(ctx, sqlFixRefs, key); err != nil {
				return err
			}
		}
		if !usage {
			return nil
		}
		_, err := tx.Exec(ctx, sqlFixUsage, uuid(id))
		return err
	})
}

// files compares the files of an owner with the rows. The directory is read after the rows: a file whose row came later is
// young, and a row whose file went later is gone as well.
func (v *verifier) files(ctx context.Context, id mail.UserID, rows map[string]stored) error {
	var orphans []body.Entry
	err := v.s.bodies.Walk(ctx, id.String(), func(f body.Entry) error {
		v.report.Files++
		v.report.Bytes += f.Size
		row, ok := rows[f.File]
		switch {
		case !ok && !body.ValidName(f.File):
			v.report.add(Finding{Kind: KindStrange, Account: id, File: f.File, Text: "no file of this server has such a name"})
		case !ok:
			orphans = append(orphans, f)
		case f.Size != row.size:
			v.report.add(Finding{
				Kind: KindSize, Account: id, Message: row.id, File: f.File,
				Text: fmt.Sprintf("the file has %d bytes and should have %d", f.Size, row.size),
			})
		case v.o.Hash:
			v.hash(ctx, id, f.File, row)
		}
		delete(rows, f.File)
		return nil
	})
	if err != nil {
		return err
	}
	for file, row := range rows {
		if err := v.missing(ctx, id, file, row); err != nil {
			return err
		}
	}
	return v.orphans(ctx, id, orphans)
}

func (v *verifier) hash(ctx context.Context, id mail.UserID, file string, row stored) {
	got, err := v.sum(ctx, id, file)
	switch {
	case body.IsMissing(err): // removed since the directory was read
	case err != nil:
		v.report.add(Finding{Kind: KindHash, Account: id, Message: row.id, File: file, Text: "the file cannot be read: " + err.Error()})
	case got != row.sum:
		v.report.add(Finding{Kind: KindHash, Account: id, Message: row.id, File: file, Text: "the bytes are not those that were stored"})
	}
}

func (v *verifier) sum(ctx context.Context, id mail.UserID, file string) (out [32]byte, err error) {
	f, err := v.s.bodies.Open(ctx, id.String(), file)
	if err != nil {
		return out, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return out, err
	}
	h.Sum(out[:0])
	return out, nil
}

// missing reports a row without a file, unless the row went meanwhile.
func (v *verifier) missing(ctx context.Context, id mail.UserID, file string, row stored) error {
	var exists bool
	if err := v.s.pool.QueryRow(ctx, sqlVerifyExists, uuid(row.id)).Scan(&exists); err != nil || !exists {
		return err
	}
	v.report.add(Finding{Kind: KindMissing, Account: id, Message: row.id, File: file, Text: "the file of this message is not there; restore it from a backup"})
	return nil
}

// orphans reports files that no row refers to, when they are old enough, and puts them aside or adopts them if so asked. Rows
// are read once more: looking at the files may have taken hours, in which a file may have got its row.
func (v *verifier) orphans(ctx context.Context, id mail.UserID, files []body.Entry) error {
	files = slices.DeleteFunc(files, func(f body.Entry) bool { return !v.adopts(f) && !f.Written.Before(v.began.Add(-v.o.Grace)) })
	if len(files) == 0 {
		return nil
	}
	known, err := v.knownFiles(ctx, id)
	if err != nil {
		return err
	}
	for _, f := range files {
		if known[f.File] {
			continue
		}
		finding := Finding{Kind: KindOrphan, Account: id, File: f.File, Text: fmt.Sprintf("no row refers to this file of %d bytes", f.Size)}
		if v.adopts(f) {
			if finding.Fixed, err = v.adopt(ctx, id, f); err != nil {
				return err
			}
		} else if v.o.Fix {
			if err := v.s.bodies.Lose(ctx, f.Owner, f.File); err != nil && !body.IsMissing(err) {
				return err
			}
			finding.Fixed = "moved to lost"
		}
		v.report.add(finding)
	}
	return nil
}

// adopts says whether the file is one that a failover may have robbed of its row.
func (v *verifier) adopts(f body.Entry) bool {
	return !v.o.AdoptSince.IsZero() && !f.Written.Before(v.o.AdoptSince)
}

// knownFiles are those that a row refers to, or that wait for their removal.
func (v *verifier) knownFiles(ctx context.Context, id mail.UserID) (map[string]bool, error) {
	out := map[string]bool{}
	err := v.patient(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sqlVerifyFiles, uuid(id))
		if err != nil {
			return err
		}
		var name string
		_, err = pgx.ForEachRow(rows, []any{&name}, func() error { out[name] = true; return nil })
		return err
	})
	return out, err
}

// adopt files an orphan into the inbox of its owner (D-24). It returns what was done; nothing when the owner is gone.
func (v *verifier) adopt(ctx context.Context, id mail.UserID, entry body.Entry) (string, error) {
	sum, err := v.sum(ctx, id, entry.File)
	if err != nil {
		return "", err
	}
	f, err := v.s.bodies.Open(ctx, entry.Owner, entry.File)
	if err != nil {
		return "", err
	}
	defer f.Close()
	meta, err := mime.Scan(f, f.Size())
	if err != nil {
		return "", err
	}
	l := Letter{
		Account: id, Meta: meta, Body: body.Ref{Owner: entry.Owner, File: entry.File, Size: f.Size(), SHA256: sum},
		InternalDate: entry.Written,
	}
	err = pg.InTx(ctx, v.s.pool, func(ctx context.Context, tx pgx.Tx) error {
		_, after, err := v.s.File(ctx, tx, []Letter{l})
		if err == nil {
			pg.AfterCommit(ctx, after)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return "adopted into the inbox", nil
}
