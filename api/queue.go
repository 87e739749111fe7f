package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// QueueEntry is one recipient of an email that waits.
type QueueEntry struct {
	ID            string    `json:"id" example:"dlv_01h455vb4pex5vsknk084sn02q" doc:"The delivery: one recipient of one email."`
	EmailID       string    `json:"email_id" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"The email."`
	DomainID      string    `json:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"The sender's domain."`
	From          string    `json:"from" example:"shop@example.test" doc:"The envelope sender; empty for the null sender."`
	Recipient     string    `json:"recipient" example:"someone@elsewhere.test" doc:"The address."`
	Subject       string    `json:"subject" example:"Your receipt" doc:"The email's subject."`
	Destination   string    `json:"destination" example:"elsewhere.test" doc:"Where it goes: the recipient's domain, or a smart host as host:port."`
	Status        string    `json:"status" enum:"queued,sending,deferred,held" example:"deferred" doc:"The state."`
	Attempts      int       `json:"attempts" example:"2" doc:"How many attempts were made."`
	NextAttemptAt time.Time `json:"next_attempt_at" example:"2026-11-25T15:20:00Z" doc:"When the next attempt is due. What is held waits for its release all the same."`
	LastReply     string    `json:"last_reply" example:"451 4.7.1 try again later" doc:"The answer to the last attempt; empty before the first."`
	LastHost      string    `json:"last_host" example:"mx1.elsewhere.test" doc:"Who gave it."`
	Class         string    `json:"class" example:"greylist" doc:"The kind of that answer: hard_recipient, quota, message, reputation, greylist, throttle, configuration, network, tls, routing, own or other."`
	CreatedAt     time.Time `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When the email was accepted."`
	ExpiresAt     time.Time `json:"expires_at" example:"2026-11-30T15:00:00Z" doc:"When the last attempt is made."`
}

// QueueEntryPage is a page of the queue, oldest first.
type QueueEntryPage = Page[QueueEntry]

// QueueDestination is where mail goes, with how much waits for it and what is known of it.
type QueueDestination struct {
	Name          string     `json:"name" example:"elsewhere.test" doc:"A domain, or a smart host as host:port."`
	State         string     `json:"state" enum:"held,sending,paused,waiting,idle" example:"waiting" doc:"held: by a person; sending: a worker is at it; paused: not before paused_until; waiting: for the next attempt."`
	Queued        int64      `json:"queued" example:"3" doc:"Recipients before their first attempt."`
	Deferred      int64      `json:"deferred" example:"1" doc:"Recipients between two attempts."`
	Sending       int64      `json:"sending" example:"0" doc:"Recipients to whom a worker is sending."`
	Held          int64      `json:"held" example:"0" doc:"Recipients that are held one by one."`
	OldestAt      *time.Time `json:"oldest_at" example:"2026-11-25T15:00:00Z" doc:"When the oldest email that waits was accepted."`
	NextAttemptAt *time.Time `json:"next_attempt_at" example:"2026-11-25T15:20:00Z" doc:"When something is sent next, unless it is held."`
	Failures      int        `json:"failures" example:"0" doc:"Connections and greetings that failed in a row. Five open the breaker."`
	PausedUntil   *time.Time `json:"paused_until" example:"2026-11-25T15:20:00Z" doc:"Nothing is sent before: the breaker is open, or the other server asked to be left alone."`
	LastReply     string     `json:"last_reply" example:"250 2.0.0 ok" doc:"The newest answer. Shown to who may see all domains."`
	LastHost      string     `json:"last_host" example:"mx1.elsewhere.test" doc:"Who gave it."`
	LastAttemptAt *time.Time `json:"last_attempt_at" example:"2026-11-25T15:10:00Z" doc:"When it was given."`
	LastSuccessAt *time.Time `json:"last_success_at" example:"2026-11-25T15:10:00Z" doc:"When the other server last worked."`
}

// QueueDestinationPage is a page of destinations, by name.
type QueueDestinationPage = Page[QueueDestination]

// QueueRetry says what becomes due now. Fields that are absent do not restrict.
type QueueRetry struct {
	Destination string `json:"destination,omitempty" example:"elsewhere.test" maxLength:"255" doc:"Only mail for this destination."`
	DomainID    string `json:"domain_id,omitempty" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Only mail of this sender's domain."`
	EmailID     string `json:"email_id,omitempty" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"Only this email."`
}

// QueueRetried says how much became due.
type QueueRetried struct {
	Recipients int64 `json:"recipients" example:"12" doc:"How many recipients are due now."`
}

func entryOf(e outbound.Entry) QueueEntry {
	return QueueEntry{
		ID: e.ID.String(), EmailID: e.Email.String(), DomainID: e.Domain.String(), From: e.From.String(), Recipient: e.Address.String(),
		Subject: e.Subject, Destination: e.Destination, Status: string(e.Status), Attempts: e.Attempts, NextAttemptAt: e.NextAt,
		LastReply: e.LastReply, LastHost: e.Host, Class: e.Class, CreatedAt: e.CreatedAt, ExpiresAt: e.ExpiresAt,
	}
}

func destinationOf(d outbound.Destination) QueueDestination {
	return QueueDestination{
		Name: d.Name, State: d.State(), Queued: d.Queued, Deferred: d.Deferred, Sending: d.Sending, Held: d.Held,
		OldestAt: utc(d.OldestAt), NextAttemptAt: utc(d.NextAt), Failures: d.Failures, PausedUntil: utc(d.PausedUntil),
		LastReply: d.LastReply, LastHost: d.LastHost, LastAttemptAt: utc(d.LastAttemptAt), LastSuccessAt: utc(d.LastSuccessAt),
	}
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func (a *API) registerQueue() {
	const tag = "queue"
	register(a, with(scoped(http.MethodGet, "/v1/queue/entries", "listQueueEntries", tag, "queue:read", "List the mail that waits",
		"Gives the recipients without a final result, oldest first."), http.StatusBadRequest), a.listQueue)
	register(a, with(scoped(http.MethodGet, "/v1/queue/entries/{delivery_id}", "getQueueEntry", tag, "queue:read", "Read a waiting delivery",
		"Gives one recipient that waits. One that is finished is not found here any more; its email tells what became of it."),
		http.StatusBadRequest, http.StatusNotFound), a.getQueueEntry)
	for _, act := range []struct{ verb, id, summary, text string }{
		{"retry", "retryQueueEntry", "Try a delivery now", "Makes the next attempt due now."},
		{"hold", "holdQueueEntry", "Hold a delivery", "Keeps the recipient back until it is released."},
		{"release", "releaseQueueEntry", "Release a delivery", "Ends a hold and makes the next attempt due now."},
		{"drop", "dropQueueEntry", "Drop a delivery", "Takes the recipient out of the queue for good. Nobody is told but the ledger and the audit log."},
	} {
		do := outbound.Action(act.verb)
		register(a, with(scoped(http.MethodPost, "/v1/queue/entries/{delivery_id}/"+act.verb, act.id, tag, "queue:write", act.summary,
			act.text+" While it is being sent the answer is 409 state-conflict."), http.StatusNotFound), a.manageEntry(do))
	}
	register(a, with(scoped(http.MethodPost, "/v1/queue/retry", "retryQueue", tag, "queue:write", "Try all waiting mail now",
		"Makes everything due that waits for its next attempt, or a part of it. What is held stays held; a breaker that is open stays open."), http.StatusNotFound), a.retryQueue)
	register(a, with(scoped(http.MethodGet, "/v1/queue/destinations", "listQueueDestinations", tag, "queue:read", "List destinations",
		"Gives where waiting mail goes, by name, with counts, state and next attempt."), http.StatusBadRequest), a.listDestinations)
	register(a, with(scoped(http.MethodGet, "/v1/queue/destinations/{destination}", "getQueueDestination", tag, "queue:read",
		"Read a destination", "Gives one destination."), http.StatusBadRequest, http.StatusNotFound), a.getDestination)
	for _, act := range []struct{ verb, id, summary, text string }{
		{"retry", "retryQueueDestination", "Try a destination now", "Makes everything for the destination due now and closes its breaker. An admin of some domains retries their mail only."},
		{"hold", "holdQueueDestination", "Hold a destination", "Keeps everything for the destination back, also what comes later. It needs a credential for the whole server."},
		{"release", "releaseQueueDestination", "Release a destination", "Ends the hold and makes everything due now. It needs a credential for the whole server."},
	} {
		do := outbound.Action(act.verb)
		register(a, with(scoped(http.MethodPost, "/v1/queue/destinations/{destination}/"+act.verb, act.id, tag, "queue:write", act.summary,
			act.text), http.StatusNotFound), a.manageDestination(do))
	}
}

type listQueueInput struct {
	ListInput
	DomainID    string `query:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Only mail of this sender's domain."`
	EmailID     string `query:"email_id" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"Only this email."`
	Destination string `query:"destination" maxLength:"255" doc:"Only mail for this destination."`
	Status      string `query:"status" enum:"queued,sending,deferred,held" doc:"Only recipients in this state."`
}

type listQueueOutput struct{ Body QueueEntryPage }

func (a *API) listQueue(ctx context.Context, in *listQueueInput) (*listQueueOutput, error) {
	fs := filters("queue", in.DomainID, in.EmailID, in.Destination, in.Status)
	after, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	q := outbound.QueueQuery{Limit: in.limit(), Destination: in.Destination, Status: outbound.Status(in.Status)}
	if err := optionalID(after, "query.cursor", &q.After); err != nil {
		return nil, err
	}
	if err := optionalID(in.DomainID, "query.domain_id", &q.Domain); err != nil {
		return nil, err
	}
	if err := optionalID(in.EmailID, "query.email_id", &q.Email); err != nil {
		return nil, err
	}
	list, more, err := a.Outbound.ListQueue(ctx, principalOf(ctx), q)
	if err != nil {
		return nil, err
	}
	items, next := make([]QueueEntry, len(list)), ""
	for i, e := range list {
		items[i] = entryOf(e)
		if more {
			next = items[i].ID
		}
	}
	return &listQueueOutput{Body: page(items, next, fs)}, nil
}

type entryInput struct {
	ID string `path:"delivery_id" doc:"The delivery's id." example:"dlv_01h455vb4pex5vsknk084sn02q"`
}

type entryOutput struct{ Body QueueEntry }

func (a *API) getQueueEntry(ctx context.Context, in *entryInput) (*entryOutput, error) {
	var id mail.DeliveryID
	if err := parseID(in.ID, "path.delivery_id", &id); err != nil {
		return nil, err
	}
	e, err := a.Outbound.GetEntry(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &entryOutput{Body: entryOf(e)}, nil
}

// QueueEntryChanged is an entry after an action; its status may now be one without a place in the queue.
type QueueEntryChanged struct {
	ID      string `json:"id" example:"dlv_01h455vb4pex5vsknk084sn02q" doc:"The delivery."`
	EmailID string `json:"email_id" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"The email."`
	Status  string `json:"status" enum:"queued,deferred,held,cancelled" example:"queued" doc:"The state now."`
}

type entryChangedOutput struct{ Body QueueEntryChanged }

func (a *API) manageEntry(act outbound.Action) func(context.Context, *entryInput) (*entryChangedOutput, error) {
	return func(ctx context.Context, in *entryInput) (*entryChangedOutput, error) {
		var id mail.DeliveryID
		if err := parseID(in.ID, "path.delivery_id", &id); err != nil {
			return nil, err
		}
		e, err := a.Outbound.Manage(ctx, principalOf(ctx), id, act)
		if err != nil {
			return nil, err
		}
		return &entryChangedOutput{Body: QueueEntryChanged{ID: e.ID.String(), EmailID: e.Email.String(), Status: string(e.Status)}}, nil
	}
}

type retryQueueInput struct{ Body QueueRetry }

type retryQueueOutput struct{ Body QueueRetried }

func (a *API) retryQueue(ctx context.Context, in *retryQueueInput) (*retryQueueOutput, error) {
	f := outbound.RetryFilter{Destination: in.Body.Destination}
	if in.Body.DomainID != "" {
		if err := bodyID(in.Body.DomainID, "body.domain_id", &f.Domain); err != nil {
			return nil, err
		}
	}
	if in.Body.EmailID != "" {
		if err := bodyID(in.Body.EmailID, "body.email_id", &f.Email); err != nil {
			return nil, err
		}
	}
	n, err := a.Outbound.RetryAll(ctx, principalOf(ctx), f)
	if err != nil {
		return nil, err
	}
	return &retryQueueOutput{Body: QueueRetried{Recipients: n}}, nil
}

type listDestinationsInput struct {
	ListInput
	DomainID string `query:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Count only mail of this sender's domain."`
}

type listDestinationsOutput struct{ Body QueueDestinationPage }

func (a *API) listDestinations(ctx context.Context, in *listDestinationsInput) (*listDestinationsOutput, error) {
	fs := filters("destinations", in.DomainID)
	after, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	q := outbound.DestinationQuery{After: after, Limit: in.limit()}
	if err := optionalID(in.DomainID, "query.domain_id", &q.Domain); err != nil {
		return nil, err
	}
	list, more, err := a.Outbound.ListDestinations(ctx, principalOf(ctx), q)
	if err != nil {
		return nil, err
	}
	items, next := make([]QueueDestination, len(list)), ""
	for i, d := range list {
		items[i] = destinationOf(d)
		if more {
			next = d.Name
		}
	}
	return &listDestinationsOutput{Body: page(items, next, fs)}, nil
}

type destinationInput struct {
	Name string `path:"destination" doc:"A domain, or a smart host as host:port." example:"elsewhere.test" maxLength:"261" pattern:"^[^/]+$"`
}

type destinationOutput struct{ Body QueueDestination }

func (a *API) getDestination(ctx context.Context, in *destinationInput) (*destinationOutput, error) {
	d, err := a.Outbound.GetDestination(ctx, principalOf(ctx), in.Name)
	if err != nil {
		return nil, err
	}
	return &destinationOutput{Body: destinationOf(d)}, nil
}

func (a *API) manageDestination(act outbound.Action) func(context.Context, *destinationInput) (*destinationOutput, error) {
	return func(ctx context.Context, in *destinationInput) (*destinationOutput, error) {
		d, err := a.Outbound.ManageDestination(ctx, principalOf(ctx), in.Name, act)
		if err != nil {
			return nil, err
		}
		return &destinationOutput{Body: destinationOf(d)}, nil
	}
}
