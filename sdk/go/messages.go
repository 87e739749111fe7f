package mailserver

import (
	"context"
	"io"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Messages are the messages in mailboxes.
type Messages struct{ api *api.ClientWithResponses }

// ListMessages narrows a list of messages; zero fields do not. Limit is the size of a page, 50 when 0.
type ListMessages struct {
	Unseen  bool // only unread ones
	Flagged bool // only marked ones
	Limit   int
	Cursor  string
}

// List gives one page of a mailbox, newest first.
func (m Messages) List(ctx context.Context, mailboxID string, f ListMessages, options ...CallOption) (*MessageSummaryPage, error) {
	return got(m.api.ListMessagesWithResponse(with(ctx, options), segment(mailboxID), &api.ListMessagesParams{
		Unseen: given(f.Unseen), Flagged: given(f.Flagged), Limit: size(f.Limit), Cursor: given(f.Cursor),
	}))
}

// All walks through every page.
func (m Messages) All(ctx context.Context, mailboxID string, f ListMessages, options ...CallOption) iter.Seq2[MessageSummary, error] {
	return pages(f.Cursor, func(cursor string) ([]MessageSummary, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := m.List(ctx, mailboxID, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Get gives a message, parsed.
func (m Messages) Get(ctx context.Context, id string, options ...CallOption) (*Message, error) {
	return got(m.api.GetMessageWithResponse(with(ctx, options), segment(id)))
}

// Raw gives the message as it is stored. The caller closes it.
func (m Messages) Raw(ctx context.Context, id string, options ...CallOption) (io.ReadCloser, error) {
	return download(m.api.GetMessageRaw(with(ctx, options, streamed), segment(id)))
}

// Part gives one part of a message with its transfer encoding undone; Attachments of a message name the parts. The caller closes it.
func (m Messages) Part(ctx context.Context, id, part string, options ...CallOption) (io.ReadCloser, error) {
	return download(m.api.GetMessagePart(with(ctx, options, streamed), segment(id), segment(part)))
}

// Update changes a message's flags.
func (m Messages) Update(ctx context.Context, id string, update MessageUpdate, options ...CallOption) (*MessageSummary, error) {
	return got(m.api.UpdateMessageWithResponse(with(ctx, options), segment(id), update))
}

// Move moves a message into another mailbox of the same user. Its id stays.
func (m Messages) Move(ctx context.Context, id, mailboxID string, options ...CallOption) (*MessageSummary, error) {
	return got(m.api.MoveMessageWithResponse(with(ctx, options), segment(id), api.MessageMove{MailboxID: mailboxID}))
}

// Delete moves a message into the trash; from there it removes it for good.
func (m Messages) Delete(ctx context.Context, id string, options ...CallOption) error {
	return done(m.api.DeleteMessageWithResponse(with(ctx, options), segment(id), nil))
}

// Remove removes a message for good, wherever it is.
func (m Messages) Remove(ctx context.Context, id string, options ...CallOption) error {
	return done(m.api.DeleteMessageWithResponse(with(ctx, options), segment(id), &api.DeleteMessageParams{Permanent: new(true)}))
}
