package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// ownDelay is how soon a letter is tried again after a failure of our own that says nothing about the recipient.
const ownDelay = time.Minute

// Letter is what Local files: an accepted email for one recipient who is hosted here.
type Letter struct {
	Email     *Email
	Recipient Recipient
	Bytes     io.ReaderAt   // as accepted, Email.Size octets, without Email.Signature and the trace fields of final delivery
	Meta      *mime.Message // what the scanner found in them
}

// Local makes a letter ready for a mailbox of this server: it finds the mailbox's owner and makes the bytes durable. Errors:
// fault.NotFound when the address has no mailbox any more, fault.Forbidden when it takes no mail, temporary kinds otherwise.
type Local interface {
	PrepareLocal(ctx context.Context, l Letter) (Parcel, error)
}

// Parcel is a letter whose bytes are on stable storage while no row refers to them. Exactly one of two things happens to it.
type Parcel interface {
	// File files it within the transaction, without any other connection. It returns what must run after the commit. Errors as
	// PrepareLocal.
	File(ctx context.Context, tx pgx.Tx) (after func(), err error)
	// Discard removes the bytes, after a File that was rolled back for sure, or none.
	Discard(ctx context.Context)
}

// Attempt works on every due recipient of the email. It is safe to run twice at once and after any crash: each recipient is
// locked, finished and recorded in one transaction of its own. A recipient that fails does not keep the others waiting.
func (s *Service) Attempt(ctx context.Context, id mail.EmailID) error {
	e, err := getEmail(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return pg.Fault(err)
	}
	if err := s.lookAgainSoon(ctx, e); err != nil {
		return pg.Fault(err)
	}
	list, err := workableOf(ctx, s.pool, id, s.clock.Now(), s.cfg.Mode == ModeSink)
	if err != nil {
		return pg.Fault(err)
	}
	a := &attempt{s: s, email: e}
	defer a.close()
	var errs []error
	for i := range list {
		if err := a.finish(ctx, list[i].Recipient); err != nil {
			errs = append(errs, fmt.Errorf("recipient %s: %w", list[i].ID, err))
			if ctx.Err() != nil || pg.Unavailable(err) {
				break
			}
		}
	}
	return pg.Fault(errors.Join(errs...))
}

const sqlLookSoon = `
UPDATE email_recipient SET wake_at = $2 WHERE email_id = $1 AND status IN ('queued', 'deferred') AND next_at <= $3 AND wake_at > $2`

// lookAgainSoon lets the scanner look at the email's due recipients soon, for the case that this process is killed. The scanner
// leaves what has waited for long alone for longer.
func (s *Service) lookAgainSoon(ctx context.Context, e *Email) error {
	now := s.clock.Now()
	if now.Sub(e.CreatedAt) < shortWait {
		return nil // it does so anyway
	}
	_, err := s.pool.Exec(ctx, sqlLookSoon, e.ID, now.Add(shortWait), now)
	return err
}

// attempt is one run of Attempt. The message is opened and scanned once, for the first recipient who is hosted here.
type attempt struct {
	s     *Service
	email *Email
	file  *body.File
	meta  *mime.Message
}

func (a *attempt) close() {
	if a.file != nil {
		a.file.Close() // it was only read
	}
}

// open opens the message and prepares it for the way out.
func (a *attempt) open(ctx context.Context) error {
	if a.file == nil {
		file, err := a.s.bodies.Open(ctx, bodyOwner, a.email.File)
		if err != nil {
			return err
		}
		a.file = file
	}
	return a.s.prepare(ctx, a.email, a.file)
}

func (a *attempt) scan() error {
	if a.meta != nil {
		return nil
	}
	meta, err := mime.Scan(a.file, a.email.Size)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, body.CodeDown, "the stored message cannot be read now")
	}
	a.meta = meta
	return nil
}

// prepare makes the parcel of a recipient who is hosted here; others have none.
func (a *attempt) prepare(ctx context.Context, r Recipient) (Parcel, error) {
	if err := a.open(ctx); err != nil {
		return nil, err
	}
	if a.email.Test || !r.Local {
		return nil, nil //nolint:nilnil // nothing is to be filed
	}
	if err := a.scan(); err != nil {
		return nil, err
	}
	return a.s.local.PrepareLocal(ctx, Letter{Email: a.email, Recipient: r, Bytes: a.file, Meta: a.meta})
}

// finish brings one recipient to the result of this attempt.
func (a *attempt) finish(ctx context.Context, r Recipient) error {
	s, e := a.s, a.email
	parcel, refusal := a.prepare(ctx, r)
	if err := ctx.Err(); err != nil && refusal != nil {
		return err // it says nothing about the recipient
	}
	var publish func()
	claimed := false
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		if r, claimed, err = claim(ctx, tx, r.ID, s.clock.Now(), s.cfg.Mode == ModeSink); err != nil || !claimed {
			return err
		}
		if publish, err = s.carryOut(ctx, tx, e, &r, parcel, refusal); err != nil {
			return err
		}
		if err := settleRecipient(ctx, tx, &r); err != nil {
			return err
		}
		return s.record(ctx, tx, e, []Recipient{r})
	})
	filed := err == nil && publish != nil
	if parcel != nil && !filed && !pg.CommitUnknown(err) { // after an unknown outcome the row may be there
		parcel.Discard(ctx)
	}
	if filed {
		publish()
	}
	if err == nil && claimed {
		s.announce()
		e.fresh = false
		s.count(e, r)
	}
	return err
}

// carryOut brings the letter where it belongs and writes the result into r. Its error means that there is no result.
func (s *Service) carryOut(ctx context.Context, tx pgx.Tx, e *Email, r *Recipient, parcel Parcel, refusal error) (publish func(), err error) {
	now := s.clock.Now().Truncate(time.Microsecond)
	r.UpdatedAt, r.Attempts = now, r.Attempts+1
	switch {
	case refusal != nil:
	case e.Test:
		r.Status, r.Transport, r.LastReply = Delivered, TransportTest, "250 2.0.0 accepted by the test network"
		return nil, nil
	case !r.Local:
		r.Status, r.Transport, r.LastReply = Delivered, TransportSink, "250 2.0.0 kept by the sink"
		return nil, insertSink(ctx, tx, &SinkMessage{
			ID: mail.SinkID{}.New(now), Email: e.ID, Recipient: r.ID, EnvelopeFrom: e.EnvelopeFrom.String(),
			EnvelopeTo: r.Address.String(), Subject: e.Subject, File: e.File, Size: e.Size, CreatedAt: now,
		})
	}
	if refusal == nil {
		// Within a savepoint, so that a refusal leaves the transaction usable for its record.
		refusal = pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) (err error) {
			publish, err = parcel.File(ctx, inner)
			return err
		})
	}
	s.judgeLocal(e, r, now, refusal)
	if refusal == nil {
		return publish, nil
	}
	s.log.LogAttrs(ctx, slog.LevelWarn, "local delivery did not succeed", slog.String("email_id", e.ID.String()),
		slog.String("delivery_id", r.ID.String()), slog.String("status", string(r.Status)), slog.Any("error", refusal))
	return nil, nil
}

// judgeLocal turns the outcome of a local delivery into the recipient's state. A body that is missing here is our own fault and
// may come back (D-27).
func (s *Service) judgeLocal(e *Email, r *Recipient, now time.Time, err error) {
	if r.Local {
		r.Transport = TransportLocal
	}
	text := fault.Public(err)
	if fault.KindOf(err) == fault.Internal {
		text = "temporary failure" // the log has the cause
	}
	switch {
	case err == nil:
		r.Status, r.LastReply = Delivered, "250 2.0.0 filed"
	case fault.Is(err, fault.NotFound):
		r.Status, r.LastReply = Bounced, "550 5.1.1 "+text
	case fault.Is(err, fault.Forbidden):
		r.Status, r.LastReply = Bounced, "550 5.2.1 "+text
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.TooLarge):
		r.Status, r.LastReply = Bounced, "550 5.6.0 "+text
	case fault.Is(err, fault.OverQuota):
		r.LastReply = "452 4.2.2 " + text
		s.postpone(e, r, now, 0)
	default:
		r.LastReply = "451 4.3.0 " + text
		if s.postpone(e, r, now, 0); r.Status == Deferred {
			r.NextAt = now.Add(ownDelay) // it says nothing about the recipient
		}
	}
}

// count moves the metrics of a final result. Test mail moves none.
func (s *Service) count(e *Email, r Recipient) {
	switch {
	case e.Test || !r.Status.Final() || r.Status == Cancelled:
		return
	case r.Status != Delivered:
		s.metrics.MessageBounced()
	case r.Transport != TransportLocal:
		s.metrics.MessageSent()
	}
	s.metrics.Delivered(r.UpdatedAt.Sub(e.CreatedAt))
}

func resultEvent(e *Email, r *Recipient) event.Event {
	data := map[string]any{
		"delivery_id": r.ID.String(), "recipient": r.Address.String(), "transport": r.Transport,
		"reply": r.LastReply, "attempt": r.Attempts,
	}
	if r.Host != "" {
		data["host"], data["tls"], data["took_ms"] = r.Host, r.TLS, r.Took.Milliseconds()
	}
	if r.Class != "" {
		data["class"] = r.Class
	}
	if r.Status == Deferred {
		data["next_attempt_at"] = r.NextAt.UTC().Format(time.RFC3339)
	}
	if r.possibleDuplicate {
		data["possible_duplicate"] = true // the answer was lost: the next attempt may deliver a second copy (D-29)
	}
	return event.Event{Type: "email." + string(r.Status), Domain: e.Domain, Account: e.Account, Subject: e.ID.String(), Data: data}
}
