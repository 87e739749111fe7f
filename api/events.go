package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mailserver-dev/mailserver/server/event"
)

// Event is one entry of the ledger.
type Event struct {
	ID        string         `json:"id" example:"evt_01h455vb4pex5vsknk084sn02q" doc:"The event's id."`
	Type      string         `json:"type" example:"email.delivered" doc:"What happened. New types may appear."`
	At        time.Time      `json:"at" example:"2026-11-25T15:00:00Z" doc:"When it happened."`
	Subject   string         `json:"subject" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"The object that it is about."`
	DomainID  *string        `json:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Whose event it is; null for the server's own."`
	AccountID *string        `json:"user_id" example:"usr_01h455vb4pex5vsknk084sn02q" doc:"The user concerned; null when there is none."`
	Data      map[string]any `json:"data" example:"{\"recipient\":\"alice@example.test\"}" doc:"Details; their fields depend on the type."`
}

// EventPage is a page of events.
type EventPage = Page[Event]

func eventOf(e event.Event) Event {
	out := Event{ID: e.ID.String(), Type: e.Type, At: e.At.UTC(), Subject: e.Subject, Data: e.Data}
	if out.Data == nil {
		out.Data = map[string]any{}
	}
	if !e.Domain.IsZero() {
		id := e.Domain.String()
		out.DomainID = &id
	}
	if !e.Account.IsZero() {
		id := e.Account.String()
		out.AccountID = &id
	}
	return out
}

func (a *API) registerEvents() {
	register(a, with(scoped(http.MethodGet, "/v1/events", "listEvents", "events", "events:read", "List events",
		"Gives what happened, oldest first. The last page has no next_cursor; a caller that wants to go on from there keeps the cursor of "+
			"the page before, or asks for newest first. No event is ever missed: a page holds only what no running transaction can precede."),
		http.StatusBadRequest), a.listEvents)
}

type listEventsInput struct {
	ListInput
	Type     []string `query:"type,explode" example:"[\"email.delivered\"]" doc:"Only events of these types; repeat the parameter. email.* means all that begin with email."`
	Subject  string   `query:"subject" maxLength:"64" doc:"Only events about this object."`
	DomainID string   `query:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Only events of this domain."`
	Order    string   `query:"order" enum:"oldest,newest" default:"oldest" doc:"Which end to begin at."`
}

type listEventsOutput struct{ Body EventPage }

func (a *API) listEvents(ctx context.Context, in *listEventsInput) (*listEventsOutput, error) {
	fs := filters("events", in.Type, in.Subject, in.DomainID, in.Order)
	after, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	q := event.Query{Limit: in.limit(), Types: in.Type, Subject: in.Subject, Newest: in.Order == "newest"}
	if err := optionalID(in.DomainID, "query.domain_id", &q.Domain); err != nil {
		return nil, err
	}
	return a.eventPage(ctx, q, after, fs)
}

func (a *API) eventPage(ctx context.Context, q event.Query, after, fs string) (*listEventsOutput, error) {
	if after != "" {
		var err error
		if q.After, err = event.ParseCursor(after); err != nil {
			return nil, err
		}
	}
	found, err := a.Events.List(ctx, principalOf(ctx), q)
	if err != nil {
		return nil, err
	}
	items := make([]Event, len(found.Items))
	for i, e := range found.Items {
		items[i] = eventOf(e)
	}
	next := ""
	if found.More {
		next = found.Next.String()
	}
	return &listEventsOutput{Body: page(items, next, fs)}, nil
}

type emailEventsInput struct {
	ID string `path:"email_id" doc:"The email's id." example:"eml_01h455vb4pex5vsknk084sn02q"`
	ListInput
}

// listEmailEvents needs no events:read: who may read the email may read its history.
func (a *API) listEmailEvents(ctx context.Context, in *emailEventsInput) (*listEventsOutput, error) {
	e, err := a.emailByID(ctx, in.ID, "path.email_id")
	if err != nil {
		return nil, err
	}
	fs := filters("email-events", in.ID)
	after, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, principalKey{}, withScope(principalOf(ctx), "events:read"))
	return a.eventPage(ctx, event.Query{Limit: in.limit(), Subject: e.ID.String()}, after, fs)
}
