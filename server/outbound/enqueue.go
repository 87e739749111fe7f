package outbound

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

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

// AttemptArgs is the wake-up for what this server finishes by itself: it names the email and carries nothing else.
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
	if err := s.put(ctx, e, parts...); err != nil {
		return err
	}
	return s.commit(ctx, []*Email{e}, "")
}

// put writes the bytes of an email, which are durable when the directory has been synced too.
func (s *Service) put(ctx context.Context, e *Email, parts ...body.Source) error {
	ref, err := s.bodies.Put(ctx, bodyOwner, parts...)
	if err != nil {
		return err
	}
	e.File, e.Size, e.SHA256 = ref.File, ref.Size, ref.SHA256
	return nil
}

// commit makes emails whose bytes were put durable and known, all or none: one sync of the directory, then one transaction.
// effect is what a repeated request is answered from, when it is more than the last email. An error means that nothing is left.
func (s *Service) commit(ctx context.Context, emails []*Email, effect string) error {
	if err := s.bodies.Sync(ctx, bodyOwner); err != nil {
		s.forgetAll(ctx, emails)
		return err
	}
	var here []string
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		if here, err = s.insert(ctx, tx, emails); err != nil {
			return err
		}
		idem.SetEffect(ctx, cmp.Or(effect, emails[len(emails)-1].ID.String()))
		return nil
	})
	switch {
	case err == nil:
		s.announce()
		s.tellHere(here, lineOf(emails)) //nolint:contextcheck // see there
		return nil
	case pg.CommitUnknown(err):
		defer s.announce()
		defer s.tellHere(here, lineOf(emails)) //nolint:contextcheck // see there
		return s.confirm(ctx, err, func(ctx context.Context) (bool, error) { return hasEmail(ctx, s.pool, emails[0].ID) })
	}
	s.forgetAll(ctx, emails)
	return pg.Fault(err)
}

// confirm asks whether an unanswered commit happened (D-12). When nobody can tell, the file stays: the row may yet appear, and
// if it does not, verify puts the file aside.
func (s *Service) confirm(ctx context.Context, cause error, happened func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askFor)
	defer cancel()
	for range askTries {
		found, err := happened(ctx)
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
	return fault.Wrap(cause, fault.Unavailable, "unavailable", "the database did not confirm that this was taken; try again in a moment")
}

// forget removes a file that no row will ever refer to, also when the caller has gone.
func (s *Service) forget(ctx context.Context, owner, file string) {
	if err := s.bodies.Remove(context.WithoutCancel(ctx), owner, file); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "a file without a row stays until verify", slog.String("owner", owner), slog.String("file", file),
			slog.Any("error", err))
	}
}

// forgetAll forgets the bytes of those emails that have any.
func (s *Service) forgetAll(ctx context.Context, emails []*Email) {
	for _, e := range emails {
		if e.File != "" {
			s.forget(ctx, bodyOwner, e.File)
		}
	}
}

// insert writes the emails, their recipients and events in one round trip, and the wake-ups, except for those destinations that are to
// be told after the commit (tellHere).
func (s *Service) insert(ctx context.Context, tx pgx.Tx, emails []*Email) (here []string, err error) {
	b := &pgx.Batch{}
	events := make([]event.Event, len(emails))
	for i, e := range emails {
		if err := queueEmail(b, e); err != nil {
			return nil, err
		}
		events[i] = acceptedEvent(e)
	}
	if err := event.AppendBatch(b, emails[0].CreatedAt, events...); err != nil {
		return nil, err
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("insert emails: %w", err)
	}
	items, here := s.wakeups(emails)
	return here, queue.InsertMany(ctx, tx, items)
}

func acceptedEvent(e *Email) event.Event {
	shown := e.Recipients[:min(len(e.Recipients), maxShown)]
	addresses := make([]string, len(shown))
	for i, r := range shown {
		addresses[i] = r.Address.String()
	}
	return event.Event{
		Type: event.EmailAccepted, At: e.CreatedAt, Domain: e.Domain, Account: e.Account, Subject: e.ID.String(),
		Data: map[string]any{
			"from": e.EnvelopeFrom.String(), "recipients": addresses, "recipient_count": len(e.Recipients), "size": e.Size, "source": e.Source,
		},
	}
}
