package outbound

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/audit"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// The scopes for the queue.
const (
	scopeQueueRead  = "queue:read"
	scopeQueueWrite = "queue:write"
)

// Action is what a person does with mail that waits (O-24).
type Action string

// The actions.
const (
	Retry   Action = "retry"   // is due now
	Hold    Action = "hold"    // stays until it is released
	Release Action = "release" // is due now, after a hold
	Drop    Action = "drop"    // is taken out of the queue; nobody is told
)

// Entry is one recipient without a final result.
type Entry struct {
	Recipient
	Email     mail.EmailID
	Domain    mail.DomainID // the sender's
	Account   mail.UserID   // the sender's; zero when a key sent it
	From      mail.Address  // envelope sender
	Subject   string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// QueueQuery selects a page of the queue, oldest first. Zero fields select everything.
type QueueQuery struct {
	After       mail.DeliveryID // the last id of the page before
	Domain      mail.DomainID
	Email       mail.EmailID
	Destination string
	Status      Status
	Limit       int // 1 to 200, default 50
}

// ListQueue gives a page of the mail that waits, of the domains that the principal administers.
func (s *Service) ListQueue(ctx context.Context, p mail.Principal, q QueueQuery) (page []Entry, more bool, err error) {
	v, err := queueView(p, scopeQueueRead)
	if err != nil {
		return nil, false, err
	}
	q.Limit = limitOf(q.Limit)
	page, err = listQueue(ctx, s.pool, v, q)
	if err != nil {
		return nil, false, pg.Fault(err)
	}
	if more = len(page) > q.Limit; more {
		page = page[:q.Limit]
	}
	return page, more, nil
}

// GetEntry gives one recipient of the queue; fault.NotFound when it is finished, unknown or foreign.
func (s *Service) GetEntry(ctx context.Context, p mail.Principal, id mail.DeliveryID) (Entry, error) {
	v, err := queueView(p, scopeQueueRead)
	if err != nil {
		return Entry{}, err
	}
	return entryOf(getEntry(ctx, s.pool, v, id, false))
}

// Manage carries out an action on one recipient. It gives fault.Conflict "state-conflict" while the recipient is being sent, for
// a release of what is not held, and for a retry of what is.
func (s *Service) Manage(ctx context.Context, p mail.Principal, id mail.DeliveryID, act Action) (Entry, error) {
	v, err := queueView(p, scopeQueueWrite)
	if err != nil {
		return Entry{}, err
	}
	var entry Entry
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		if entry, err = entryOf(getEntry(ctx, tx, v, id, true)); err != nil {
			return err
		}
		if err := s.apply(&entry, act); err != nil {
			return err
		}
		if err := s.storeEntry(ctx, tx, p, entry, eventOf(act)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, entry.UpdatedAt, p, audit.Entry{
			Action: "queue." + string(act), Target: entry.ID.String(), Domain: entry.Domain,
			Data: map[string]any{"email_id": entry.Email.String(), "recipient": entry.Address.String()},
		})
	})
	if err == nil {
		s.announce()
	}
	return entry, pg.Fault(err)
}

// apply changes the entry as the action says.
func (s *Service) apply(e *Entry, act Action) error {
	now := s.clock.Now().Truncate(time.Microsecond)
	switch {
	case e.Status == Sending:
		return fault.New(fault.Conflict, "state-conflict", "the message is being sent right now; look again in a moment")
	case act == Release && e.Status != Held:
		return fault.New(fault.Conflict, "state-conflict", "the message is not held; use retry to send it now")
	case act == Retry && e.Status == Held:
		return fault.New(fault.Conflict, "state-conflict", "the message is held; release it first")
	}
	e.UpdatedAt = now
	switch act {
	case Hold:
		e.Status = Held
	case Drop:
		e.Status, e.LastReply = Cancelled, "dropped from the queue"
	case Retry, Release:
		e.NextAt, e.Status = now.Add(-clockSkew), Deferred
		if e.Attempts == 0 {
			e.Status = Queued
		}
	}
	return nil
}

const sqlStoreEntry = `
UPDATE email_recipient SET status = $2, next_at = $3, wake_at = $4, lease = '', last_reply = $5, updated_at = $6 WHERE id = $1`

// eventOf is what the ledger calls an action. A retry or a release has a name of its own: it is no attempt that failed.
func eventOf(act Action) string {
	return map[Action]string{Hold: event.EmailHeld, Drop: event.EmailCancelled, Retry: event.EmailRetried, Release: event.EmailReleased}[act]
}

// storeEntry writes a changed entry, the event with who did it, the email's own state, and the wake-up.
func (s *Service) storeEntry(ctx context.Context, tx pgx.Tx, p mail.Principal, e Entry, what string) error {
	_, err := tx.Exec(ctx, sqlStoreEntry, e.ID, string(e.Status), e.NextAt, later(e.NextAt, e.UpdatedAt.Add(firstLease)), e.LastReply, e.UpdatedAt)
	if err != nil {
		return err
	}
	data := map[string]any{"delivery_id": e.ID.String(), "recipient": e.Address.String(), "by": p.Actor()}
	if e.Status == Cancelled {
		data["reply"] = e.LastReply
	}
	err = event.Append(ctx, tx, e.UpdatedAt, event.Event{Type: what, Domain: e.Domain, Account: e.Account, Subject: e.Email.String(), Data: data})
	if err != nil {
		return err
	}
	if err := settleEmail(ctx, tx, e.Email); err != nil || e.Status == Held || e.Status == Cancelled {
		return err
	}
	if s.isNear(e.Recipient) {
		return queue.Insert(ctx, tx, AttemptArgs{Email: e.Email})
	}
	return queue.Insert(ctx, tx, DrainArgs{Destination: e.Destination})
}

// Cancel takes every recipient who is not finished and not being sent out of the queue. It gives fault.Conflict
// "state-conflict" when there is none; an email that is cancelled already stays so.
func (s *Service) Cancel(ctx context.Context, p mail.Principal, id mail.EmailID) (*Email, error) {
	if err := scope(p, scopeSend); err != nil {
		return nil, err
	}
	e, err := s.Get(ctx, p, id)
	if err != nil || e.Status == Cancelled {
		return e, err
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		entries, err := openEntries(ctx, tx, id)
		if err != nil {
			return err
		}
		cancelled := 0
		for _, e := range entries {
			if e.Status == Sending {
				continue
			}
			cancelled++
			if err := s.apply(&e, Drop); err != nil {
				return err
			}
			e.LastReply = "cancelled before it was sent"
			if err := s.storeEntry(ctx, tx, p, e, event.EmailCancelled); err != nil {
				return err
			}
		}
		if cancelled == 0 {
			return fault.New(fault.Conflict, "state-conflict", "every recipient of the email is finished or being sent right now; nothing is left to cancel")
		}
		return audit.Record(ctx, tx, s.clock.Now(), p, audit.Entry{
			Action: "email.cancel", Target: id.String(), Domain: entries[0].Domain, Data: map[string]any{"recipients": cancelled},
		})
	})
	if err != nil {
		return nil, pg.Fault(err)
	}
	s.announce()
	return s.Get(ctx, p, id)
}

// queueView: the queue belongs to who runs domains; senders look at their emails.
func queueView(p mail.Principal, need string) (view, error) {
	if err := scope(p, need); err != nil {
		return view{}, err
	}
	if !p.IsSystem() && !p.IsKey() && p.Role != mail.RoleOwner && p.Role != mail.RoleAdmin {
		return view{}, fault.New(fault.Forbidden, "domain-forbidden", "only an owner or an admin may look into the queue")
	}
	v := viewOf(p)
	v.sender = mail.UserID{}
	return v, nil
}

func entryOf(e Entry, err error) (Entry, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return Entry{}, fault.New(fault.NotFound, "not-found", "no such entry in the queue; it may be finished: look at its email")
	}
	return e, pg.Fault(err)
}
