package mailserver

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Emails are what was sent, and sending.
type Emails struct{ api *api.ClientWithResponses }

// Send accepts an email: after it the email is on stable storage for every recipient. What becomes of it shows Get, and Wait.
func (e Emails) Send(ctx context.Context, email EmailSend, options ...CallOption) (*EmailAccepted, error) {
	body, err := json.Marshal(email)
	if err != nil {
		return nil, err
	}
	return taken(e.api.SendEmailWithBodyWithResponse(with(ctx, options), "application/json", bytes.NewReader(body)))
}

// ListEmails narrows a list of emails; zero fields do not. Limit is the size of a page, 50 when 0.
type ListEmails struct {
	DomainID  string
	Status    EmailStatus
	Recipient string
	Limit     int
	Cursor    string
}

// List gives one page, newest first.
func (e Emails) List(ctx context.Context, f ListEmails, options ...CallOption) (*EmailPage, error) {
	return got(e.api.ListEmailsWithResponse(with(ctx, options), &api.ListEmailsParams{
		DomainID: given(f.DomainID), Status: given(f.Status), Recipient: given(f.Recipient), Limit: size(f.Limit), Cursor: given(f.Cursor),
	}))
}

// All walks through every page.
func (e Emails) All(ctx context.Context, f ListEmails, options ...CallOption) iter.Seq2[Email, error] {
	return pages(f.Cursor, func(cursor string) ([]Email, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := e.List(ctx, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Get gives an email with its recipients and their results.
func (e Emails) Get(ctx context.Context, id string, options ...CallOption) (*Email, error) {
	return got(e.api.GetEmailWithResponse(with(ctx, options), segment(id)))
}

// Cancel takes every recipient out of the queue who is not finished and not being sent right now. When there is none the problem has
// the code state-conflict.
func (e Emails) Cancel(ctx context.Context, id string, options ...CallOption) (*Email, error) {
	return got(e.api.CancelEmailWithResponse(with(ctx, options), segment(id)))
}

// Events walks through what happened to an email, in order.
func (e Emails) Events(ctx context.Context, id string, options ...CallOption) iter.Seq2[Event, error] {
	return pages("", func(cursor string) ([]Event, nullable.Nullable[string], error) {
		page, err := got(e.api.ListEmailEventsWithResponse(with(ctx, options), segment(id), &api.ListEmailEventsParams{Cursor: given(cursor)}))
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Raw gives the message as it was accepted. The caller closes it.
func (e Emails) Raw(ctx context.Context, id string, options ...CallOption) (io.ReadCloser, error) {
	return download(e.api.GetEmailRaw(with(ctx, options, streamed), segment(id)))
}
