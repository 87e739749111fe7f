package outbound

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// How long a woken email may be worked on before the scanner wakes it again, and how soon a temporary failure is retried.
const (
	wakeLease    = 30 * time.Second
	retryDelay   = time.Minute
	dueBatch     = 500
	giveUpAfter  = 5 * 24 * time.Hour
	scanInterval = 5 * time.Second
)

// Letter is what Local files: an accepted email for one recipient who is hosted here.
type Letter struct {
	Email     *Email
	Recipient Recipient
	// Open gives the bytes as accepted, without the trace fields of final delivery.
	Open func(context.Context) (Body, error)
}

// Body is an opened message.
type Body interface {
	ReadAt(p []byte, off int64) (int, error)
	Close() error
}

// Local files a letter into a mailbox of this server within the transaction. It returns what must run after the commit.
// Errors: fault.NotFound when the address has no mailbox any more, temporary kinds otherwise.
type Local interface {
	DeliverLocal(ctx context.Context, tx pgx.Tx, l Letter) (after func(), err error)
}

// Attempt works on every due recipient of the email. It is safe to run twice at once and after any crash: each recipient is
// locked, finished and recorded in one transaction of its own.
func (s *Service) Attempt(ctx context.Context, id mail.EmailID) error {
	e, err := getEmail(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return pg.Fault(err)
	}
	for after := -1; ; {
		position, more, err := s.attemptOne(ctx, e, after)
		if err != nil {
			return pg.Fault(err)
		}
		if !more {
			return nil
		}
		after = position
	}
}

// attemptOne finishes the first due recipient behind the position.
func (s *Service) attemptOne(ctx context.Context, e *Email, after int) (position int, more bool, err error) {
	var publish func()
	var result Recipient
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		publish = nil
		r, ok, err := claim(ctx, tx, e.ID, s.cfg.Mode == ModeSink, after)
		if err != nil || !ok {
			return err
		}
		if err := lockEmail(ctx, tx, e.ID); err != nil {
			return err
		}
		position, more = r.Position, true
		publish, err = s.carryOut(ctx, tx, e, &r)
		if err != nil {
			return err
		}
		result = r
		if err := settle(ctx, tx, e, &r); err != nil {
			return err
		}
		return event.Append(ctx, tx, s.clock.Now(), resultEvent(e, &r))
	})
	if err != nil {
		return 0, false, err
	}
	if publish != nil {
		publish()
	}
	s.count(e, result)
	return position, more, nil
}

// carryOut brings the letter where it belongs and writes the result into r.
func (s *Service) carryOut(ctx context.Context, tx pgx.Tx, e *Email, r *Recipient) (publish func(), err error) {
	now := s.clock.Now()
	r.UpdatedAt = now
	switch {
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
	publish, err = s.deliverLocal(ctx, tx, e, *r)
	s.judge(ctx, e, r, err)
	return publish, nil
}

// deliverLocal files within a savepoint, so that a refusal leaves the transaction usable for its record.
func (s *Service) deliverLocal(ctx context.Context, tx pgx.Tx, e *Email, r Recipient) (publish func(), err error) {
	err = pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
		publish, err = s.local.DeliverLocal(ctx, inner, Letter{Email: e, Recipient: r, Open: func(ctx context.Context) (Body, error) {
			return s.bodies.Open(ctx, bodyOwner, e.File)
		}})
		return err
	})
	if err != nil {
		return nil, err
	}
	return publish, nil
}

// judge turns the outcome of a local delivery into the recipient's state.
func (s *Service) judge(ctx context.Context, e *Email, r *Recipient, err error) {
	r.Transport = TransportLocal
	switch {
	case err == nil:
		r.Status, r.LastReply = Delivered, "250 2.0.0 filed"
	case fault.Is(err, fault.NotFound):
		r.Status, r.LastReply = Bounced, "550 5.1.1 "+fault.Public(err)
	case fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Gone) || fault.Is(err, fault.Invalid):
		r.Status, r.LastReply = Failed, "550 5.2.1 "+fault.Public(err)
	case s.clock.Now().Sub(e.CreatedAt) > giveUpAfter:
		r.Status, r.LastReply = Failed, "451 4.4.7 "+fault.Public(err)
	default:
		r.Status, r.NextAt, r.LastReply = Deferred, s.clock.Now().Add(retryDelay), "451 4.3.0 "+fault.Public(err)
	}
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "local delivery did not succeed", slog.String("email_id", e.ID.String()),
			slog.String("delivery_id", r.ID.String()), slog.String("status", string(r.Status)), slog.Any("error", err))
	}
}

// count moves the metrics of a recipient's final result.
func (s *Service) count(e *Email, r Recipient) {
	switch {
	case r.Status == Delivered && r.Transport == TransportSink:
		s.metrics.MessageSent()
	case r.Status == Bounced || r.Status == Failed:
		s.metrics.MessageBounced()
	}
	if r.Status.Final() {
		s.metrics.Delivered(r.UpdatedAt.Sub(e.CreatedAt))
	}
}

func resultEvent(e *Email, r *Recipient) event.Event {
	return event.Event{
		Type: "email." + string(r.Status), Domain: e.Domain, Account: e.Account, Subject: e.ID.String(),
		Data: map[string]any{
			"delivery_id": r.ID.String(), "recipient": r.Address.String(), "transport": r.Transport,
			"reply": r.LastReply, "attempt": r.Attempts + 1,
		},
	}
}

// Scan wakes what is due until ctx ends. A node may run one; several nodes may run theirs at once.
func (s *Service) Scan(ctx context.Context) {
	for {
		if err := s.WakeDue(ctx); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the scan for due mail failed and is repeated", slog.Any("error", err))
		}
		if err := s.clock.Sleep(ctx, scanInterval); err != nil {
			return
		}
	}
}

// WakeDue inserts a wake-up job for each email with a due recipient.
func (s *Service) WakeDue(ctx context.Context) error {
	return pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		now := s.clock.Now()
		ids, err := due(ctx, tx, now, now.Add(wakeLease), s.cfg.Mode == ModeSink, dueBatch)
		if err != nil {
			return err
		}
		seen := make(map[mail.EmailID]bool, len(ids))
		for _, id := range ids {
			if seen[id] {
				continue
			}
			seen[id] = true
			if err := queue.Insert(ctx, tx, AttemptArgs{Email: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Depth counts recipients without a final result, for mailserver_queue_depth.
func (s *Service) Depth(ctx context.Context) (int64, error) {
	var n int64
	err := s.pool.QueryRow(ctx, sqlDepth).Scan(&n)
	return n, err
}
