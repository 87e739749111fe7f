package outbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// warnAfter is the age at which the sender is told, once, that a letter is still on its way (O-22).
const warnAfter = 4 * time.Hour

// When a report of failure is written: what fails within mergeFor of the email's acceptance goes into one (O-26). A sender
// whose mailbox takes nothing now is tried again for as long as reportFor.
const (
	mergeFor    = time.Minute
	mergeTick   = 5 * time.Second
	reportAgain = 10 * time.Minute
	reportFor   = 48 * time.Hour
)

// ReportArgs is the wake-up for a report of failure: it names the email and carries nothing else.
type ReportArgs struct {
	Email mail.EmailID `json:"email_id"`
}

// Kind is the job's name in the queue's tables.
func (ReportArgs) Kind() string { return "outbound_report" }

// InsertOpts names the job's queue.
func (ReportArgs) InsertOpts() queue.InsertOpts { return queue.InsertOpts{Queue: queue.Delivery} }

// reportable says that a failure of the email may be reported: never one of the null sender (RFC 5321 §4.5.5).
func reportable(e *Email) bool { return !e.Test && !e.EnvelopeFrom.IsNull() }

// failed says that the recipient will never be delivered.
func (r Recipient) failed() bool { return r.Status == Bounced || r.Status == Failed }

// late says that the sender should be told of the delay.
func (r Recipient) late(e *Email) bool {
	return r.Status == Deferred && !r.warned && r.UpdatedAt.Sub(e.CreatedAt) >= warnAfter
}

// Report files a delivery status notification (RFC 3464) in the mailbox of an email's sender, for recipients who failed or are
// late, and of whom it was not told yet. A sender who has no mailbox here gets none: the events say the same. wait is how much later the same
// should be asked again, 0 when there is nothing left to do.
func (s *Service) Report(ctx context.Context, id mail.EmailID) (wait time.Duration, err error) {
	e, err := getEmail(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		err = addRecipients(ctx, s.pool, []*Email{e})
	}
	if err != nil {
		return 0, pg.Fault(err)
	}
	failed, err := unreported(ctx, s.pool, id)
	if err != nil || len(failed) == 0 || !reportable(e) {
		return 0, pg.Fault(err)
	}
	if s.clock.Now().Sub(e.CreatedAt) < mergeFor && slices.ContainsFunc(e.Recipients, Recipient.fresh) {
		return mergeTick, nil
	}
	parcel, err := s.writeReport(ctx, e, failed)
	switch {
	case err == nil:
		return 0, s.fileReport(ctx, e, failed, parcel)
	case ctx.Err() != nil:
		return 0, err
	case fault.KindOf(err).Temporary() && s.clock.Now().Sub(failed[len(failed)-1].UpdatedAt) < reportFor:
		return reportAgain, nil
	}
	// A report that cannot be delivered is dropped, never bounced (RFC 5321 §6.1).
	s.log.LogAttrs(ctx, slog.LevelWarn, "a report of failure was dropped", slog.String("email_id", id.String()), slog.Any("error", err))
	return 0, s.fileReport(ctx, e, failed, nil)
}

// fresh says that the recipient has not had a first attempt.
func (r Recipient) fresh() bool { return r.Attempts == 0 && !r.Status.Final() && r.Status != Held }

// writeReport composes the report and makes it durable.
func (s *Service) writeReport(ctx context.Context, e *Email, failed []Recipient) (Parcel, error) {
	now := s.clock.Now()
	original, err := s.bodies.Open(ctx, bodyOwner, e.File)
	if err != nil {
		return nil, err
	}
	defer original.Close() // it was only read
	in := reportInput{
		ReportingMTA: s.cfg.Hostname, To: e.EnvelopeFrom, MessageID: newMessageID(mail.EmailID{}.New(now), s.cfg.Hostname), Date: now,
		Arrival: e.CreatedAt, Original: original, OriginalSize: e.Size,
	}
	for _, r := range failed {
		item := reportedRecipient{
			Address: r.Address, Action: "failed", Status: statusOf(r), RemoteMTA: answeredBy(r), Diagnostic: r.LastReply, LastAttempt: r.UpdatedAt,
		}
		if r.Status == Deferred {
			item.Action, item.WillRetryUntil = "delayed", e.ExpiresAt
		}
		in.Recipients = append(in.Recipients, item)
	}
	spool := s.bodies.NewSpool()
	defer spool.Close() // nothing is kept in it
	if err := writeReport(spool, in); err != nil {
		return nil, err
	}
	meta, err := mime.Scan(spool, spool.Size())
	if err != nil {
		return nil, err
	}
	report := &Email{ID: e.ID, Domain: e.Domain, Size: spool.Size(), CreatedAt: now}
	return s.local.PrepareLocal(ctx, Letter{Email: report, Recipient: Recipient{Address: e.EnvelopeFrom, Local: true}, Bytes: spool, Meta: meta})
}

// answeredBy names the other server when the last reply is its own, and nobody when it is in our words.
func answeredBy(r Recipient) string {
	switch r.Class {
	case smtpout.ClassNetwork, smtpout.ClassTLS, smtpout.ClassRouting, "own":
		return ""
	}
	if r.Status == Failed {
		return ""
	}
	return r.Host
}

// statusOf gives the enhanced code of the last reply when its class agrees with the basic code, else one that says what is
// known (RFC 3463, O-26). Who was given up has run out of time.
func statusOf(r Recipient) string {
	if r.Status == Failed {
		return "4.4.7"
	}
	class := "5."
	if r.Status == Deferred {
		class = "4."
	}
	fields := strings.Fields(r.LastReply)
	if len(fields) > 1 && len(fields[1]) >= 5 && strings.HasPrefix(fields[1], class) && strings.Count(fields[1], ".") == 2 {
		return fields[1]
	}
	return class + "0.0"
}

// fileReport marks the recipients as reported and files the report in the same transaction; parcel may be nil.
func (s *Service) fileReport(ctx context.Context, e *Email, failed []Recipient, parcel Parcel) error {
	ids, addresses := make([]mail.DeliveryID, len(failed)), make([]string, 0, len(failed))
	for i, r := range failed {
		ids[i] = r.ID
		if len(addresses) < maxShown {
			addresses = append(addresses, r.Address.String())
		}
	}
	var publish func()
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		n, err := markReported(ctx, tx, ids)
		if err != nil || n != int64(len(ids)) { // another worker has reported some of them
			return errors.Join(err, errReported)
		}
		if parcel == nil {
			return nil
		}
		if publish, err = parcel.File(ctx, tx); err != nil {
			return err
		}
		return event.Append(ctx, tx, s.clock.Now().Truncate(time.Microsecond), event.Event{
			Type: event.EmailReported, Domain: e.Domain, Account: e.Account, Subject: e.ID.String(),
			Data: map[string]any{"to": e.EnvelopeFrom.String(), "recipients": addresses},
		})
	})
	if parcel != nil && err != nil && !pg.CommitUnknown(err) {
		parcel.Discard(ctx)
	}
	if err == nil && publish != nil {
		publish()
		s.announce()
	}
	if errors.Is(err, errReported) {
		return nil
	}
	return pg.Fault(err)
}

var errReported = errors.New("reported already")

const sqlUnreported = `
SELECT ` + recipientColumns + `
FROM email_recipient r JOIN email e ON e.id = r.email_id
WHERE r.email_id = $1 AND (r.status IN ('bounced', 'failed') AND NOT r.reported
    OR r.status = 'deferred' AND NOT r.warned AND r.updated_at >= e.created_at + $2::interval)
ORDER BY r.position`

func unreported(ctx context.Context, q pg.Querier, id mail.EmailID) ([]Recipient, error) {
	rows, err := q.Query(ctx, sqlUnreported, id, warnAfter)
	if err != nil {
		return nil, err
	}
	owned, err := pgx.CollectRows(rows, scanRecipient)
	out := make([]Recipient, len(owned))
	for i, r := range owned {
		out[i] = r.Recipient
	}
	return out, err
}

const sqlMarkReported = `
UPDATE email_recipient SET reported = reported OR status IN ('bounced', 'failed'), warned = true
WHERE id = ANY ($1::uuid[]) AND (status IN ('bounced', 'failed') AND NOT reported OR status = 'deferred' AND NOT warned)`

func markReported(ctx context.Context, q pg.Querier, ids []mail.DeliveryID) (int64, error) {
	tag, err := q.Exec(ctx, sqlMarkReported, uuids(ids))
	if err != nil {
		return 0, fmt.Errorf("mark as reported: %w", err)
	}
	return tag.RowsAffected(), nil
}
