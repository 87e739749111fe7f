package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// Domain is a hosted mail domain.
type Domain struct {
	ID        string    `json:"id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"The domain's id."`
	Name      string    `json:"name" example:"example.test" doc:"The name in A-labels, lower case."`
	Status    string    `json:"status" enum:"pending,verified,disabled" example:"verified" doc:"Mail is sent only from verified domains; disabled ones take none either."`
	CreatedAt time.Time `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When it was created."`
	UpdatedAt time.Time `json:"updated_at" example:"2026-11-25T15:00:00Z" doc:"When it was last changed."`
}

// DomainCreate is a domain to be hosted.
type DomainCreate struct {
	Name string `json:"name" example:"example.test" minLength:"1" maxLength:"255" doc:"The domain's name; U-labels are turned into A-labels."`
	DKIM string `json:"dkim,omitempty" enum:"both,rsa,ed25519,none" example:"both" doc:"Which DKIM keys are made for it; both when absent."`
}

// DomainUpdate is a merge patch of a domain.
type DomainUpdate struct {
	Status string `json:"status,omitempty" enum:"verified,disabled,pending" example:"disabled" doc:"The new status."`
}

// UnmarshalJSON implements json.Unmarshaler: null would remove a field (RFC 7396), and none can be.
func (u *DomainUpdate) UnmarshalJSON(raw []byte) error {
	type plain DomainUpdate
	return noNulls(raw, (*plain)(u))
}

// DomainPage is a page of domains, newest first.
type DomainPage = Page[Domain]

func domainOf(d domain.Domain) Domain {
	return Domain{ID: d.ID.String(), Name: d.Name, Status: string(d.Status), CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC()}
}

type domainOutput struct {
	Versioned
	Body Domain
}

type domainCreatedOutput struct {
	Versioned
	Location string `header:"Location" doc:"Where the object is."`
	Body     Domain
}

func domainAnswer(d domain.Domain) *domainOutput {
	return &domainOutput{Versioned: versioned(d.Version), Body: domainOf(d)}
}

func (a *API) registerDomains() {
	const tag = "domains"
	register(a, with(scoped(http.MethodGet, "/v1/domains", "listDomains", tag, "domains:read", "List domains",
		"Gives the domains that the caller may see, newest first."), http.StatusBadRequest), a.listDomains)
	register(a, answers(scoped(http.MethodPost, "/v1/domains", "createDomain", tag, "domains:write", "Create a domain",
		"Hosts a mail domain and makes its DKIM keys. With domains.verification auto it is verified, and its mail signed, at once."), http.StatusCreated), a.createDomain)
	register(a, with(scoped(http.MethodGet, "/v1/domains/{domain_id}", "getDomain", tag, "domains:read", "Read a domain",
		"Gives one domain."), http.StatusBadRequest, http.StatusNotFound), a.getDomain)
	register(a, with(scoped(http.MethodPatch, "/v1/domains/{domain_id}", "updateDomain", tag, "domains:write", "Change a domain",
		"Changes the given fields (JSON merge patch). If-Match is honoured."), http.StatusNotFound, http.StatusPreconditionFailed), a.updateDomain)
	register(a, answers(with(scoped(http.MethodDelete, "/v1/domains/{domain_id}", "deleteDomain", tag, "domains:write", "Delete a domain",
		"Deletes a domain without users. If-Match is honoured."), http.StatusBadRequest, http.StatusNotFound, http.StatusConflict,
		http.StatusPreconditionFailed), http.StatusNoContent), a.deleteDomain)
	a.effects["dom"] = func(ctx context.Context, ref string) (effect, error) {
		d, err := a.domainByID(ctx, ref, "effect")
		return effect{http.StatusCreated, "/v1/domains/" + ref, etag(d.Version), domainOf(d)}, err
	}
}

type listDomainsInput struct {
	ListInput
	Status string `query:"status" enum:"pending,verified,disabled" doc:"Only domains with this status."`
	Name   string `query:"name" maxLength:"255" doc:"Only the domain of this name."`
}

type listDomainsOutput struct{ Body DomainPage }

func (a *API) listDomains(ctx context.Context, in *listDomainsInput) (*listDomainsOutput, error) {
	fs := filters("domains", in.Status, in.Name)
	after, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	q := domain.ListQuery{Limit: in.limit(), Status: domain.Status(in.Status), Name: in.Name}
	if err := optionalID(after, "query.cursor", &q.After); err != nil {
		return nil, err
	}
	list, next, err := a.Domains.List(ctx, principalOf(ctx), q)
	if err != nil {
		return nil, err
	}
	items := make([]Domain, len(list))
	for i, d := range list {
		items[i] = domainOf(d)
	}
	return &listDomainsOutput{Body: page(items, nextID(next), fs)}, nil
}

// nextID gives a cursor's content: the last id of a page that was not the last.
func nextID[K mail.Kind](id mail.ID[K]) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

type createDomainInput struct{ Body DomainCreate }

func (a *API) createDomain(ctx context.Context, in *createDomainInput) (*domainCreatedOutput, error) {
	d, err := a.Domains.Create(ctx, principalOf(ctx), domain.Create{Name: in.Body.Name, DKIM: domain.KeyChoice(in.Body.DKIM)})
	if err != nil {
		return nil, err
	}
	return &domainCreatedOutput{Versioned: versioned(d.Version), Location: "/v1/domains/" + d.ID.String(), Body: domainOf(d)}, nil
}

type domainInput struct {
	ID          string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
	IfNoneMatch string `header:"If-None-Match" doc:"The version that the caller has; 304 when it is current."`
}

func (a *API) domainByID(ctx context.Context, text, where string) (domain.Domain, error) {
	var id mail.DomainID
	if err := parseID(text, where, &id); err != nil {
		return domain.Domain{}, err
	}
	return a.Domains.Get(ctx, principalOf(ctx), id)
}

func (a *API) getDomain(ctx context.Context, in *domainInput) (*domainOutput, error) {
	d, err := a.domainByID(ctx, in.ID, "path.domain_id")
	if err != nil {
		return nil, err
	}
	if notModified(in.IfNoneMatch, d.Version) {
		return nil, errNotModified(d.Version)
	}
	return domainAnswer(d), nil
}

type updateDomainInput struct {
	ID      string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
	IfMatch string `header:"If-Match" doc:"The version that the caller has; 412 when it is another."`
	Body    DomainUpdate
}

func (a *API) updateDomain(ctx context.Context, in *updateDomainInput) (*domainOutput, error) {
	var id mail.DomainID
	if err := parseID(in.ID, "path.domain_id", &id); err != nil {
		return nil, err
	}
	if in.Body.Status == "" {
		d, err := a.Domains.Get(ctx, principalOf(ctx), id)
		if err == nil {
			err = checkVersion(ifMatch(in.IfMatch), d.Version)
		}
		if err != nil {
			return nil, err
		}
		return domainAnswer(d), nil
	}
	d, err := a.Domains.Update(ctx, principalOf(ctx), id, domain.Status(in.Body.Status), ifMatch(in.IfMatch))
	if err != nil {
		return nil, err
	}
	return domainAnswer(d), nil
}

type deleteDomainInput struct {
	ID      string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
	IfMatch string `header:"If-Match" doc:"The version that the caller has; 412 when it is another."`
}

func (a *API) deleteDomain(ctx context.Context, in *deleteDomainInput) (*struct{}, error) {
	var id mail.DomainID
	if err := parseID(in.ID, "path.domain_id", &id); err != nil {
		return nil, err
	}
	return nil, a.Domains.Delete(ctx, principalOf(ctx), id, ifMatch(in.IfMatch))
}
