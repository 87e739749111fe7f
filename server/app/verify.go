package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// VerifyReport is what Verify found.
type VerifyReport struct {
	Clean     bool            `json:"clean"`
	Mailboxes mailbox.Report  `json:"mailboxes"`
	Outbound  outbound.Report `json:"outbound"`
}

// VerifyOptions are those of mailserver verify.
type VerifyOptions struct {
	Fix        bool      // move orphans aside, mend counters
	AdoptSince time.Time // give orphans written since then a row in an inbox (D-24)
}

// Verify checks every message against the database and the disk (mail-rules D-28). It uses the configured database, or starts
// the private one, which must not be in use by a running server; with Fix it moves orphans aside and mends counters.
func Verify(ctx context.Context, cfg *config.Config, opts Options, o VerifyOptions) (report VerifyReport, err error) {
	a := &App{cfg: cfg, opts: opts, log: opts.Log, listening: map[string]string{}}
	defer func() { err = errors.Join(err, a.Stop(context.WithoutCancel(ctx))) }()
	for _, step := range []func(context.Context) error{a.openData, a.openDatabase, a.checkSchema, a.openPool, a.buildServices} {
		if err := step(ctx); err != nil {
			return report, err
		}
	}
	if report.Mailboxes, err = a.Mailboxes.Verify(ctx, mailbox.VerifyOptions{Hash: true, Fix: o.Fix, AdoptSince: o.AdoptSince}); err != nil {
		return report, err
	}
	if report.Outbound, err = a.Outbound.Verify(ctx, outbound.VerifyOptions{Hash: true, Fix: o.Fix}); err != nil {
		return report, err
	}
	report.Clean = report.Mailboxes.Clean() && report.Outbound.Clean()
	return report, nil
}

// Text is the report for people.
func (r VerifyReport) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d accounts, %d mailboxes, %d messages, %d files, %d bytes; %d outgoing emails, %d blobs, %d files\n",
		r.Mailboxes.Accounts, r.Mailboxes.Mailboxes, r.Mailboxes.Messages, r.Mailboxes.Files, r.Mailboxes.Bytes, r.Outbound.Emails, r.Outbound.Blobs, r.Outbound.Files)
	for _, f := range r.Mailboxes.Findings {
		fmt.Fprintf(&b, "%-12s account %s  mailbox %s  message %s  file %s\n             %s%s\n",
			f.Kind, idOrDash(f.Account.IsZero(), f.Account.String()), idOrDash(f.Mailbox.IsZero(), f.Mailbox.String()),
			idOrDash(f.Message.IsZero(), f.Message.String()), idOrDash(f.File == "", f.File), f.Text, fixed(f.Fixed))
	}
	for _, f := range r.Outbound.Findings {
		what := "email " + idOrDash(f.Email.IsZero(), f.Email.String())
		if !f.Blob.IsZero() {
			what = "blob " + f.Blob.String()
		}
		fmt.Fprintf(&b, "%-12s %s  file %s\n             %s%s\n", f.Kind, what, idOrDash(f.File == "", f.File), f.Text, fixed(f.Fixed))
	}
	if r.Clean {
		b.WriteString("clean\n")
	} else {
		b.WriteString("NOT clean: see above; \"mailserver verify --fix\" moves orphans aside and mends counters\n")
	}
	return b.String()
}

func idOrDash(none bool, id string) string {
	if none {
		return "-"
	}
	return id
}

func fixed(what string) string {
	if what == "" {
		return ""
	}
	return " (" + what + ")"
}
