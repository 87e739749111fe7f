package outbound

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Finding is something in the outgoing store that is not as it should be.
type Finding struct {
	Kind  string       `json:"kind"` // "orphan", "strange", "missing", "size", "hash", "no_recipients"
	Email mail.EmailID `json:"email,omitzero"`
	File  string       `json:"file,omitempty"`
	Text  string       `json:"text"`
	Fixed string       `json:"fixed,omitempty"`
}

// Report is the result of Verify.
type Report struct {
	Emails   int       `json:"emails"`
	Files    int       `json:"files"`
	Findings []Finding `json:"findings"`
}

// Clean reports whether everything is as it should be, or was brought there.
func (r *Report) Clean() bool {
	for _, f := range r.Findings {
		if f.Fixed == "" {
			return false
		}
	}
	return true
}

// VerifyOptions say how deep Verify looks and what it may do.
type VerifyOptions struct {
	Hash  bool          // read every body and compare its hash
	Fix   bool          // move orphans to lost; nothing is deleted
	Grace time.Duration // how old a file without a row must be to count as an orphan; 0 means 1 h
}

const sqlVerifyEmails = `
SELECT e.id, e.file, e.size, e.sha256, (SELECT count(*) FROM email_recipient r WHERE r.email_id = e.id)
FROM email e WHERE e.id > $1 ORDER BY e.id LIMIT 1000`

type verifyRow struct {
	id         mail.EmailID
	file       string
	size       int64
	sum        []byte
	recipients int
}

// Verify compares the emails with their stored bytes, both ways (D-28).
func (s *Service) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	if o.Grace == 0 {
		o.Grace = time.Hour
	}
	report := Report{Findings: []Finding{}}
	known := map[string]bool{}
	last := mail.EmailID{}
	for {
		rows, err := s.pool.Query(ctx, sqlVerifyEmails, last.UUID())
		if err != nil {
			return report, pg.Fault(err)
		}
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r verifyRow, err error) {
			return r, row.Scan(&r.id, &r.file, &r.size, &r.sum, &r.recipients)
		})
		if err != nil {
			return report, pg.Fault(err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			last, known[r.file] = r.id, true
			report.Emails++
			if err := s.verifyOne(ctx, &report, r, o.Hash); err != nil {
				return report, err
			}
		}
	}
	return report, s.verifyFiles(ctx, &report, known, o)
}

func (s *Service) verifyOne(ctx context.Context, report *Report, r verifyRow, hash bool) error {
	add := func(kind, format string, args ...any) {
		report.Findings = append(report.Findings, Finding{Kind: kind, Email: r.id, File: r.file, Text: fmt.Sprintf(format, args...)})
	}
	if r.recipients == 0 {
		add("no_recipients", "the email has no recipients")
	}
	file, err := s.bodies.Open(ctx, bodyOwner, r.file)
	if body.IsMissing(err) {
		add("missing", "the stored bytes are missing; restore the file from a backup")
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close() // it is only read
	if file.Size() != r.size {
		add("size", "%d octets are stored, the row says %d", file.Size(), r.size)
		return nil
	}
	if !hash {
		return nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if string(sum.Sum(nil)) != string(r.sum) {
		add("hash", "the stored bytes are not those that were accepted; restore the file from a backup")
	}
	return nil
}

// verifyFiles finds files without an email. Young ones may be on their way.
func (s *Service) verifyFiles(ctx context.Context, report *Report, known map[string]bool, o VerifyOptions) error {
	before := s.clock.Now().Add(-o.Grace)
	var orphans []string
	err := s.bodies.Walk(ctx, bodyOwner, func(e body.Entry) error {
		report.Files++
		if !known[e.File] && e.Written.Before(before) {
			orphans = append(orphans, e.File)
		}
		return nil
	})
	for _, name := range orphans {
		f := Finding{Kind: "orphan", File: name, Text: "no email refers to the file"}
		if !body.ValidName(name) {
			f.Kind, f.Text = "strange", "the file was not made by this server; look at it and move it away by hand"
		} else if o.Fix {
			if lost := s.bodies.Lose(ctx, bodyOwner, name); lost != nil {
				err = errors.Join(err, lost)
			} else {
				f.Fixed = "moved to lost"
			}
		}
		report.Findings = append(report.Findings, f)
	}
	return err
}
