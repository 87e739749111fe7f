package mailserver

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// DKIM are the keys with which mail of a domain is signed.
type DKIM struct{ api *api.ClientWithResponses }

// ListDKIMKeys is a place in the list of keys. Limit is the size of a page, 50 when 0.
type ListDKIMKeys struct {
	Limit  int
	Cursor string
}

// List gives one page of a domain's keys without their private parts, newest first.
func (d DKIM) List(ctx context.Context, domainID string, f ListDKIMKeys, options ...CallOption) (*DKIMKeyPage, error) {
	return got(d.api.ListDKIMKeysWithResponse(with(ctx, options), segment(domainID), &api.ListDKIMKeysParams{
		Limit: size(f.Limit), Cursor: given(f.Cursor),
	}))
}

// All walks through every page.
func (d DKIM) All(ctx context.Context, domainID string, f ListDKIMKeys, options ...CallOption) iter.Seq2[DKIMKey, error] {
	return pages(f.Cursor, func(cursor string) ([]DKIMKey, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := d.List(ctx, domainID, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Create makes a key, or imports the one in PrivateKey. It is pending until it is activated.
func (d DKIM) Create(ctx context.Context, domainID string, create DKIMKeyCreate, options ...CallOption) (*DKIMKey, error) {
	return made(d.api.CreateDKIMKeyWithResponse(with(ctx, options), segment(domainID), create))
}

// Get gives one key without its private part.
func (d DKIM) Get(ctx context.Context, domainID, id string, options ...CallOption) (*DKIMKey, error) {
	return got(d.api.GetDKIMKeyWithResponse(with(ctx, options), segment(domainID), segment(id)))
}

// Activate lets a key sign. Its record must be in the DNS: the problem dns-not-published says what is there instead.
func (d DKIM) Activate(ctx context.Context, domainID, id string, options ...CallOption) (*DKIMKey, error) {
	return d.Update(ctx, domainID, id, DKIMKeyUpdate{State: new(DKIMKeyUpdateStateActive)}, options...)
}

// Update changes the state of a key.
func (d DKIM) Update(ctx context.Context, domainID, id string, update DKIMKeyUpdate, options ...CallOption) (*DKIMKey, error) {
	return got(d.api.UpdateDKIMKeyWithResponse(with(ctx, options), segment(domainID), segment(id), update))
}

// Delete deletes a key that is revoked or never was active.
func (d DKIM) Delete(ctx context.Context, domainID, id string, options ...CallOption) error {
	return done(d.api.DeleteDKIMKeyWithResponse(with(ctx, options), segment(domainID), segment(id)))
}

// Export gives a key with its private part, and the audit log says so.
func (d DKIM) Export(ctx context.Context, domainID, id string, options ...CallOption) (*DKIMKeyExport, error) {
	return got(d.api.ExportDKIMKeyWithResponse(with(ctx, options), segment(domainID), segment(id)))
}
