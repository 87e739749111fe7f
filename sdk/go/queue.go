package mailserver

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Queue is the mail that waits to leave, by recipient and by destination.
type Queue struct{ api *api.ClientWithResponses }

// ListQueue narrows the list of what waits; zero fields do not. Limit is the size of a page, 50 when 0.
type ListQueue struct {
	DomainID    string // the sender's domain
	EmailID     string
	Destination string
	Status      QueueEntryStatus
	Limit       int
	Cursor      string
}

// List gives one page, oldest first.
func (q Queue) List(ctx context.Context, f ListQueue, options ...CallOption) (*QueueEntryPage, error) {
	return got(q.api.ListQueueEntriesWithResponse(with(ctx, options), &api.ListQueueEntriesParams{
		DomainID: given(f.DomainID), EmailID: given(f.EmailID), Destination: given(f.Destination), Status: given(f.Status),
		Limit: size(f.Limit), Cursor: given(f.Cursor),
	}))
}

// All walks through every page.
func (q Queue) All(ctx context.Context, f ListQueue, options ...CallOption) iter.Seq2[QueueEntry, error] {
	return pages(f.Cursor, func(cursor string) ([]QueueEntry, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := q.List(ctx, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Get gives one recipient that waits, by the id of the delivery.
func (q Queue) Get(ctx context.Context, id string, options ...CallOption) (*QueueEntry, error) {
	return got(q.api.GetQueueEntryWithResponse(with(ctx, options), segment(id)))
}

// Retry makes the next attempt due now.
func (q Queue) Retry(ctx context.Context, id string, options ...CallOption) (*QueueEntryChanged, error) {
	return got(q.api.RetryQueueEntryWithResponse(with(ctx, options), segment(id)))
}

// Hold keeps a recipient back until it is released.
func (q Queue) Hold(ctx context.Context, id string, options ...CallOption) (*QueueEntryChanged, error) {
	return got(q.api.HoldQueueEntryWithResponse(with(ctx, options), segment(id)))
}

// Release ends a hold and makes the next attempt due now.
func (q Queue) Release(ctx context.Context, id string, options ...CallOption) (*QueueEntryChanged, error) {
	return got(q.api.ReleaseQueueEntryWithResponse(with(ctx, options), segment(id)))
}

// Drop takes a recipient out of the queue for good; nobody is told.
func (q Queue) Drop(ctx context.Context, id string, options ...CallOption) (*QueueEntryChanged, error) {
	return got(q.api.DropQueueEntryWithResponse(with(ctx, options), segment(id)))
}

// RetryAll makes everything due now that waits for its next attempt, or the part that the fields of which name.
func (q Queue) RetryAll(ctx context.Context, which QueueRetry, options ...CallOption) (*QueueRetried, error) {
	return got(q.api.RetryQueueWithResponse(with(ctx, options), which))
}

// ListDestinations narrows the list of destinations. Limit is the size of a page, 50 when 0.
type ListDestinations struct {
	DomainID string // count only mail of this sender's domain
	Limit    int
	Cursor   string
}

// Destinations gives one page of where mail goes, by name.
func (q Queue) Destinations(ctx context.Context, f ListDestinations, options ...CallOption) (*QueueDestinationPage, error) {
	return got(q.api.ListQueueDestinationsWithResponse(with(ctx, options), &api.ListQueueDestinationsParams{
		DomainID: given(f.DomainID), Limit: size(f.Limit), Cursor: given(f.Cursor),
	}))
}

// AllDestinations walks through every page of destinations.
func (q Queue) AllDestinations(ctx context.Context, f ListDestinations, options ...CallOption) iter.Seq2[QueueDestination, error] {
	return pages(f.Cursor, func(cursor string) ([]QueueDestination, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := q.Destinations(ctx, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Destination gives one destination: a domain, or a smart host as host:port.
func (q Queue) Destination(ctx context.Context, name string, options ...CallOption) (*QueueDestination, error) {
	return got(q.api.GetQueueDestinationWithResponse(with(ctx, options), segment(name)))
}

// RetryDestination makes everything for a destination due now and closes its breaker.
func (q Queue) RetryDestination(ctx context.Context, name string, options ...CallOption) (*QueueDestination, error) {
	return got(q.api.RetryQueueDestinationWithResponse(with(ctx, options), segment(name)))
}

// HoldDestination keeps everything for a destination back, also what comes later.
func (q Queue) HoldDestination(ctx context.Context, name string, options ...CallOption) (*QueueDestination, error) {
	return got(q.api.HoldQueueDestinationWithResponse(with(ctx, options), segment(name)))
}

// ReleaseDestination ends the hold of a destination and makes everything due now.
func (q Queue) ReleaseDestination(ctx context.Context, name string, options ...CallOption) (*QueueDestination, error) {
	return got(q.api.ReleaseQueueDestinationWithResponse(with(ctx, options), segment(name)))
}
