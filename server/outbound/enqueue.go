package outbound

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

const (
	// firstLease is how long the wake-up of a fresh email may take before the scanner repeats it.
	firstLease = 15 * time.Second
	// maxShown is how many recipients the event of an accepted email names.
	maxShown = 100
	// askFor is how long an unanswered commit is asked after.
	askFor = 5 * time.Second
	// askTries is how many connections that died with the database may be used up for that.
	askTries = 4
)

// AttemptArgs is the wake-up job: it names the email and carries nothing else.
type AttemptArgs struct {
	Email mail.EmailID `json:"email_id"`
}

// Kind is the job's name in the queue's tables.
func (AttemptArgs) Kind() string { return "outbound_attempt" }

// InsertOpts names the job's queue.
func (AttemptArgs) InsertOpts() queue.InsertOpts { return queue.InsertOpts{Queue: queue.Delivery} }

// enqueue makes the bytes durable, then the rows (D-13, D-14). When it fails for sure, nothing is left of the email.
func (s *Service) enqueue(ctx context.Context, e *Email, parts ...body.Source) error {
	if err := s.route(ctx, e); err != nil {
		return err
	}
	ref, err := s.bodies.Put(ctx, bodyOwner, parts...)
	if err != nil {
		return err
	}
	e.File, e.Size, e.SHA256 = ref.File, ref.Size, ref.SHA256
	if err := s.bodies.Sync(ctx, bodyOwner); err != nil {
		s.forget(ctx, ref.File)
		return err
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error { return s.insert(ctx, tx, e) })
	switch {
	case err == nil:
		return nil
	case pg.CommitUnknown(err):
		return s.confirm(ctx, e.ID, err)
	}
	s.forget(ctx, ref.File)
	return pg.Fault(err)
}

// confirm asks whether an unanswered commit happened (D-12). When nobody can tell, the file stays: the row may yet appear, and
// if it does not, verify puts the file aside.
func (s *Service) confirm(ctx context.Context, id mail.EmailID, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askFor)
	defer cancel()
	for range askTries {
		found, err := hasEmail(ctx, s.pool, id)
		switch {
		case err == nil && found:
			return nil
		case err == nil || !pg.Unavailable(err):
			return unconfirmed(cause)
		}
	}
	return unconfirmed(cause)
}

func unconfirmed(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "unavailable", "the database did not confirm that the email was taken; try again in a moment")
}

// forget removes a body that no row will ever refer to, also when the caller has gone.
func (s *Service) forget(ctx context.Context, file string) {
	if err := s.bodies.Remove(context.WithoutCancel(ctx), bodyOwner, file); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "a body without a row stays until verify", slog.String("file", file), slog.Any("error", err))
	}
}

// route decides for each recipient whether the address is hosted here, and drops those that are written twice: our own are
// compared folded, others byte for byte (S-47).
func (s *Service) route(ctx context.Context, e *Email) error {
	hosted, seen := map[string]bool{}, map[string]bool{}
	kept := e.Recipients[:0]
	for _, r := range e.Recipients {
		if !e.Test {
			here, err := s.isHosted(ctx, hosted, r.Address.Domain)
			if err != nil {
				return err
			}
			r.Local = here
		}
		key := r.Address.String()
		switch {
		case r.Local:
			key = account.Fold(r.Address)
		case e.Test:
			r.Transport = TransportTest
		case s.cfg.Mode == ModeNone:
			return fault.New(fault.Invalid, "recipient-invalid", "this server sends no mail to other servers").At("body.to")
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		r.ID, r.Position, r.Destination = mail.DeliveryID{}.New(e.CreatedAt), len(kept), r.Address.Domain
		r.Status, r.NextAt, r.UpdatedAt = Queued, e.CreatedAt.Add(firstLease), e.CreatedAt
		kept = append(kept, r)
	}
	if len(kept) == 0 {
		return errors.New("an email without recipients")
	}
	e.Recipients, e.Status = kept, summarise(kept)
	return nil
}

func (s *Service) isHosted(ctx context.Context, known map[string]bool, name string) (bool, error) {
	if here, ok := known[name]; ok {
		return here, nil
	}
	_, here, err := s.domains.Hosted(ctx, name)
	if err == nil {
		known[name] = here
	}
	return here, err
}

// insert writes the email, its recipients, the event and the job.
func (s *Service) insert(ctx context.Context, tx pgx.Tx, e *Email) error {
	if err := insertEmail(ctx, tx, e); err != nil {
		return err
	}
	shown := e.Recipients[:min(len(e.Recipients), maxShown)]
	addresses := make([]string, len(shown))
	for i, r := range shown {
		addresses[i] = r.Address.String()
	}
	err := event.Append(ctx, tx, e.CreatedAt, event.Event{
		Type: event.EmailAccepted, Domain: e.Domain, Account: e.Account, Subject: e.ID.String(),
		Data: map[string]any{
			"from": e.EnvelopeFrom.String(), "recipients": addresses, "recipient_count": len(e.Recipients), "size": e.Size, "source": e.Source,
		},
	})
	if err != nil {
		return err
	}
	idem.SetEffect(ctx, e.ID.String())
	return queue.Insert(ctx, tx, AttemptArgs{Email: e.ID})
}
