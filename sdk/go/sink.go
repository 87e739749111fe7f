package mailserver

import (
	"context"
	"io"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Sink is what development mode kept instead of sending it to the internet.
type Sink struct{ api *api.ClientWithResponses }

// ListSink narrows a list of kept deliveries; zero fields do not. Limit is the size of a page, 50 when 0.
type ListSink struct {
	To     string
	Limit  int
	Cursor string
}

// List gives one page, newest first.
func (s Sink) List(ctx context.Context, f ListSink, options ...CallOption) (*SinkMessagePage, error) {
	return got(s.api.ListSinkMessagesWithResponse(with(ctx, options), &api.ListSinkMessagesParams{
		To: given(f.To), Limit: size(f.Limit), Cursor: given(f.Cursor),
	}))
}

// All walks through every page.
func (s Sink) All(ctx context.Context, f ListSink, options ...CallOption) iter.Seq2[SinkMessage, error] {
	return pages(f.Cursor, func(cursor string) ([]SinkMessage, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := s.List(ctx, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Get gives one kept delivery.
func (s Sink) Get(ctx context.Context, id string, options ...CallOption) (*SinkMessage, error) {
	return got(s.api.GetSinkMessageWithResponse(with(ctx, options), segment(id)))
}

// Raw gives the message as it would have been sent. The caller closes it.
func (s Sink) Raw(ctx context.Context, id string, options ...CallOption) (io.ReadCloser, error) {
	return download(s.api.GetSinkMessageRaw(with(ctx, options, streamed), segment(id)))
}
