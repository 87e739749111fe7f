package mailserver

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Events are the ledger: everything that happened, in order, and everything that happens.
type Events struct{ api *api.ClientWithResponses }

// ListEvents narrows a list of events; zero fields do not. Limit is the size of a page, 50 when 0.
type ListEvents struct {
	Types    []string // such as email.delivered, or email.*
	Subject  string   // the id of the object that they are about
	DomainID string
	Newest   bool // newest first; oldest first when false
	Limit    int
	Cursor   string
}

// List gives one page.
func (e Events) List(ctx context.Context, f ListEvents, options ...CallOption) (*EventPage, error) {
	params := &api.ListEventsParams{Subject: given(f.Subject), DomainID: given(f.DomainID), Limit: size(f.Limit), Cursor: given(f.Cursor)}
	if len(f.Types) > 0 {
		params.Type = &f.Types
	}
	if f.Newest {
		params.Order = new(api.ListEventsParamsOrderNewest)
	}
	return got(e.api.ListEventsWithResponse(with(ctx, options), params))
}

// All walks through every page.
func (e Events) All(ctx context.Context, f ListEvents, options ...CallOption) iter.Seq2[Event, error] {
	return pages(f.Cursor, func(cursor string) ([]Event, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := e.List(ctx, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}
