package mailserver

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// APIKeys are the credentials of programs.
type APIKeys struct{ api *api.ClientWithResponses }

// ListAPIKeys is a place in the list of keys. Limit is the size of a page, 50 when 0.
type ListAPIKeys struct {
	Limit  int
	Cursor string
}

// List gives one page, newest first. Revoked keys stay in it.
func (k APIKeys) List(ctx context.Context, f ListAPIKeys, options ...CallOption) (*APIKeyPage, error) {
	return got(k.api.ListAPIKeysWithResponse(with(ctx, options), &api.ListAPIKeysParams{Limit: size(f.Limit), Cursor: given(f.Cursor)}))
}

// All walks through every page.
func (k APIKeys) All(ctx context.Context, f ListAPIKeys, options ...CallOption) iter.Seq2[APIKey, error] {
	return pages(f.Cursor, func(cursor string) ([]APIKey, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := k.List(ctx, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Create makes a key. Its text is in the answer and nowhere else.
func (k APIKeys) Create(ctx context.Context, create APIKeyCreate, options ...CallOption) (*APIKeyCreated, error) {
	return made(k.api.CreateAPIKeyWithResponse(with(ctx, options), create))
}

// Get gives the key of an id, without its secret.
func (k APIKeys) Get(ctx context.Context, id string, options ...CallOption) (*APIKey, error) {
	return got(k.api.GetAPIKeyWithResponse(with(ctx, options), segment(id)))
}

// Revoke ends a key at once and for ever.
func (k APIKeys) Revoke(ctx context.Context, id string, options ...CallOption) error {
	return done(k.api.RevokeAPIKeyWithResponse(with(ctx, options), segment(id)))
}
