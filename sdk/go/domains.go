package mailserver

import (
	"context"
	"iter"

	"github.com/oapi-codegen/nullable"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Domains are the mail domains that the server hosts.
type Domains struct{ api *api.ClientWithResponses }

// ListDomains narrows a list of domains; zero fields do not. Limit is the size of a page, 50 when 0.
type ListDomains struct {
	Status DomainStatus
	Name   string
	Limit  int
	Cursor string
}

// List gives one page, newest first.
func (d Domains) List(ctx context.Context, f ListDomains, options ...CallOption) (*DomainPage, error) {
	return got(d.api.ListDomainsWithResponse(with(ctx, options), &api.ListDomainsParams{
		Status: given(f.Status), Name: given(f.Name), Limit: size(f.Limit), Cursor: given(f.Cursor),
	}))
}

// All walks through every page.
func (d Domains) All(ctx context.Context, f ListDomains, options ...CallOption) iter.Seq2[Domain, error] {
	return pages(f.Cursor, func(cursor string) ([]Domain, nullable.Nullable[string], error) {
		f := f
		f.Cursor = cursor
		page, err := d.List(ctx, f, options...)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// Create hosts a domain.
func (d Domains) Create(ctx context.Context, create DomainCreate, options ...CallOption) (*Domain, error) {
	return made(d.api.CreateDomainWithResponse(with(ctx, options), create))
}

// Get gives the domain of an id.
func (d Domains) Get(ctx context.Context, id string, options ...CallOption) (*Domain, error) {
	return got(d.api.GetDomainWithResponse(with(ctx, options), segment(id)))
}

// GetByName gives the domain of a name; when there is none the problem has the code not-found.
func (d Domains) GetByName(ctx context.Context, name string, options ...CallOption) (*Domain, error) {
	page, err := d.List(ctx, ListDomains{Name: name, Limit: 1}, options...)
	if err != nil {
		return nil, err
	}
	return first(page.Items, "the domain "+name)
}

// Update changes the given fields.
func (d Domains) Update(ctx context.Context, id string, update DomainUpdate, options ...CallOption) (*Domain, error) {
	return got(d.api.UpdateDomainWithResponse(with(ctx, options), segment(id), update))
}

// Delete deletes a domain without users.
func (d Domains) Delete(ctx context.Context, id string, options ...CallOption) error {
	return done(d.api.DeleteDomainWithResponse(with(ctx, options), segment(id)))
}

// Relay gives the smart host through which all mail of a domain to other servers goes; when it has none the problem has the code
// not-found.
func (d Domains) Relay(ctx context.Context, id string, options ...CallOption) (*DomainRelay, error) {
	return got(d.api.GetDomainRelayWithResponse(with(ctx, options), segment(id)))
}

// SetRelay sends all mail of a domain to other servers through a smart host. A Password that is nil keeps the stored one.
func (d Domains) SetRelay(ctx context.Context, id string, set DomainRelaySet, options ...CallOption) (*DomainRelay, error) {
	return got(d.api.SetDomainRelayWithResponse(with(ctx, options), segment(id), set))
}

// RemoveRelay lets the mail of a domain go out like that of others again.
func (d Domains) RemoveRelay(ctx context.Context, id string, options ...CallOption) error {
	return done(d.api.DeleteDomainRelayWithResponse(with(ctx, options), segment(id)))
}

// DNSRecords gives the records that the domain should have for what the server does.
func (d Domains) DNSRecords(ctx context.Context, id string, options ...CallOption) ([]DNSRecord, error) {
	page, err := got(d.api.ListDNSRecordsWithResponse(with(ctx, options), segment(id)))
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}
