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
	Blob  mail.BlobID  `json:"blob,omitzero"`
	File  string       `json:"file,omitempty"`
	Text  string       `json:"text"`
	Fixed string       `json:"fixed,omitempty"`
}

// Report is the result of Verify.
type Report struct {
	Emails   int       `json:"emails"`
	Blobs    int       `json:"blobs"`
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

const sqlVerifyBlobs = `SELECT id, file, size, sha256 FROM blob WHERE id > $1 ORDER BY id LIMIT 1000`

// storedFile is what a row says of its file.
type storedFile struct {
	owner, file string
	size        int64
	sum         []byte
}

type verifyRow struct {
	storedFile
	id         mail.EmailID
	recipients int
}

type verifyBlobRow struct {
	storedFile
	id mail.BlobID
}

// Verify compares the emails and the blobs with their stored bytes, both ways (D-28).
func (s *Service) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	if o.Grace == 0 {
		o.Grace = time.Hour
	}
	report := Report{Findings: []Finding{}}
	known, err := s.verifyEmails(ctx, &report, o)
	if err == nil {
		err = s.verifyFiles(ctx, &report, body.Outbound, known, o)
	}
	if err != nil {
		return report, err
	}
	if known, err = s.verifyBlobs(ctx, &report, o); err != nil {
		return report, err
	}
	return report, s.verifyFiles(ctx, &report, body.Blobs, known, o)
}

// verifyEmails looks at every row and gives the files that they name.
func (s *Service) verifyEmails(ctx context.Context, report *Report, o VerifyOptions) (map[string]bool, error) {
	known := map[string]bool{}
	last := mail.EmailID{}
	for {
		rows, err := s.pool.Query(ctx, sqlVerifyEmails, last.UUID())
		if err != nil {
			return nil, pg.Fault(err)
		}
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r verifyRow, err error) {
			r.owner = body.Outbound
			return r, row.Scan(&r.id, &r.file, &r.size, &r.sum, &r.recipients)
		})
		if err != nil || len(page) == 0 {
			return known, pg.Fault(err)
		}
		for _, r := range page {
			last, known[r.file] = r.id, true
			report.Emails++
			if r.recipients == 0 {
				report.Findings = append(report.Findings, Finding{Kind: "no_recipients", Email: r.id, File: r.file, Text: "the email has no recipients"})
			}
			kind, text, err := s.verifyStored(ctx, r.storedFile, o.Hash)
			if err != nil {
				return nil, err
			}
			if kind != "" {
				report.Findings = append(report.Findings, Finding{Kind: kind, Email: r.id, File: r.file, Text: text})
			}
		}
	}
}

// verifyBlobs is verifyEmails for uploads. One that ends while it is looked at is no finding.
func (s *Service) verifyBlobs(ctx context.Context, report *Report, o VerifyOptions) (map[string]bool, error) {
	known := map[string]bool{}
	last := mail.BlobID{}
	for {
		rows, err := s.pool.Query(ctx, sqlVerifyBlobs, last.UUID())
		if err != nil {
			return nil, pg.Fault(err)
		}
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r verifyBlobRow, err error) {
			r.owner = body.Blobs
			return r, row.Scan(&r.id, &r.file, &r.size, &r.sum)
		})
		if err != nil || len(page) == 0 {
			return known, pg.Fault(err)
		}
		for _, r := range page {
			last, known[r.file] = r.id, true
			report.Blobs++
			kind, text, err := s.verifyStored(ctx, r.storedFile, o.Hash)
			if err != nil {
				return nil, err
			}
			if kind == "" {
				continue
			}
			there, err := hasBlob(ctx, s.pool, r.id)
			if err != nil {
				return nil, pg.Fault(err)
			}
			if there {
				report.Findings = append(report.Findings, Finding{Kind: kind, Blob: r.id, File: r.file, Text: text})
			}
		}
	}
}

// verifyStored holds a file against its row; kind is empty when they agree.
func (s *Service) verifyStored(ctx context.Context, r storedFile, hash bool) (kind, text string, err error) {
	file, err := s.bodies.Open(ctx, r.owner, r.file)
	if body.IsMissing(err) {
		return "missing", "the stored bytes are missing; restore the file from a backup", nil
	}
	if err != nil {
		return "", "", err
	}
	defer file.Close() // it is only read
	if file.Size() != r.size {
		return "size", fmt.Sprintf("%d octets are stored, the row says %d", file.Size(), r.size), nil
	}
	if !hash {
		return "", "", nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", "", err
	}
	if string(sum.Sum(nil)) != string(r.sum) {
		return "hash", "the stored bytes are not those that were accepted; restore the file from a backup", nil
	}
	return "", "", nil
}

// verifyFiles finds files without a row. Young ones may be on their way.
func (s *Service) verifyFiles(ctx context.Context, report *Report, owner string, known map[string]bool, o VerifyOptions) error {
	before := s.clock.Now().Add(-o.Grace)
	var orphans []string
	err := s.bodies.Walk(ctx, owner, func(e body.Entry) error {
		report.Files++
		if !known[e.File] && e.Written.Before(before) {
			orphans = append(orphans, e.File)
		}
		return nil
	})
	text := "no email refers to the file"
	if owner == body.Blobs {
		text = "no blob refers to the file"
	}
	for _, name := range orphans {
		f := Finding{Kind: "orphan", File: name, Text: text}
		if !body.ValidName(name) {
			f.Kind, f.Text = "strange", "the file was not made by this server; look at it and move it away by hand"
		} else if o.Fix {
			if lost := s.bodies.Lose(ctx, owner, name); lost != nil {
				err = errors.Join(err, lost)
			} else {
				f.Fixed = "moved to lost"
			}
		}
		report.Findings = append(report.Findings, f)
	}
	return err
}
