package mailserver

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Mailboxes are the mailboxes (folders) of users.
type Mailboxes struct{ api *api.ClientWithResponses }

// ListMailboxes narrows a list of mailboxes; zero fields do not. Limit is the size of a page, 50 when 0.
type ListMailboxes struct {
	Role       MailboxRole
	Subscribed bool // only those that mail clients show by default
	Limit      int
	Cursor     string
}

// List gives one page of a user's mailboxes, in the order of their names.
func (m Mailboxes) List(ctx context.Context, userID string, f ListMailboxes, options ...CallOption) (*MailboxPage, error) {
	return got(m.api.ListMailboxesWithResponse(with(ctx, options), segment(userID), &api.ListMailboxesParams{
		Role: given(f.Role), Subscribed: given(f.Subscribed), Limit: size(f.Limit), Cursor: given(f.Cursor),
	}))
}

// All walks through every page.
func (m Mailboxes) All(ctx context.Context, userID string, f ListMailboxes, options ...CallOption) iter.Seq2[Mailbox, error] {
	return pages(f.Cursor, func(cursor string) ([]Mailbox, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := m.List(ctx, userID, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Create makes a mailbox, and those above it that are missing.
func (m Mailboxes) Create(ctx context.Context, userID string, create MailboxCreate, options ...CallOption) (*Mailbox, error) {
	return made(m.api.CreateMailboxWithResponse(with(ctx, options), segment(userID), create))
}

// Get gives the mailbox of an id with its counts.
func (m Mailboxes) Get(ctx context.Context, id string, options ...CallOption) (*Mailbox, error) {
	return got(m.api.GetMailboxWithResponse(with(ctx, options), segment(id)))
}

// Update renames a mailbox.
func (m Mailboxes) Update(ctx context.Context, id string, update MailboxUpdate, options ...CallOption) (*Mailbox, error) {
	return got(m.api.UpdateMailboxWithResponse(with(ctx, options), segment(id), update))
}

// Delete deletes a mailbox with its messages.
func (m Mailboxes) Delete(ctx context.Context, id string, options ...CallOption) error {
	return done(m.api.DeleteMailboxWithResponse(with(ctx, options), segment(id)))
}
