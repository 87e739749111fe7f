package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// DomainRelay is a domain's smart host: all its mail to other servers goes there. The password is never shown.
type DomainRelay struct {
	DomainID    string    `json:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"The domain."`
	Host        string    `json:"host" example:"smtp.provider.test" doc:"A host name or an IP address."`
	Port        int       `json:"port" example:"587" doc:"The port."`
	TLS         string    `json:"tls" enum:"none,starttls,implicit" example:"starttls" doc:"How the connection is secured. starttls and implicit verify the certificate; there is no way around it."`
	Username    string    `json:"username" example:"example.test" doc:"The name to sign in with; empty for none."`
	HasPassword bool      `json:"has_password" example:"true" doc:"Whether a password is stored."`
	CreatedAt   time.Time `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When it was set first."`
	UpdatedAt   time.Time `json:"updated_at" example:"2026-11-25T15:00:00Z" doc:"When it was last changed."`
}

// DomainRelaySet is what a domain's smart host shall be.
type DomainRelaySet struct {
	Host     string  `json:"host" example:"smtp.provider.test" minLength:"1" maxLength:"255" doc:"A host name or an IP address."`
	Port     int     `json:"port,omitempty" example:"587" minimum:"1" maximum:"65535" doc:"587 when absent, 465 with implicit TLS."`
	TLS      string  `json:"tls,omitempty" enum:"none,starttls,implicit" example:"starttls" doc:"starttls when absent. Credentials need starttls or implicit."`
	Username string  `json:"username,omitempty" example:"example.test" maxLength:"255" doc:"The name to sign in with."`
	Password *string `json:"password,omitempty" example:"correct horse battery" maxLength:"255" doc:"The password. When absent, the stored one stays as long as host and username do."`
}

func relayOf(r domain.Relay) DomainRelay {
	return DomainRelay{
		DomainID: r.Domain.String(), Host: r.Host, Port: r.Port, TLS: r.TLS, Username: r.Username, HasPassword: r.HasPassword,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

func (a *API) registerRelay() {
	const tag, path = "domains", "/v1/domains/{domain_id}/relay"
	register(a, with(scoped(http.MethodGet, path, "getDomainRelay", tag, "domains:read", "Read a domain's smart host",
		"Gives the smart host, without its password; 404 when the domain has none."), http.StatusBadRequest, http.StatusNotFound), a.getRelay)
	register(a, with(scoped(http.MethodPut, path, "setDomainRelay", tag, "domains:write", "Set a domain's smart host",
		"Sends all mail of the domain to other servers through this host, beginning with what waits."),
		http.StatusNotFound, http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.setRelay)
	register(a, with(scoped(http.MethodDelete, path, "deleteDomainRelay", tag, "domains:write", "Remove a domain's smart host",
		"Lets the domain's mail go out like that of others again, beginning with what waits."),
		http.StatusBadRequest, http.StatusNotFound, http.StatusPreconditionFailed), a.deleteRelay)
}

type relayInput struct {
	ID          string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
	IfNoneMatch string `header:"If-None-Match" doc:"The version that the caller has; 304 when it is current."`
}

type relayOutput struct {
	Versioned
	Body DomainRelay
}

func (a *API) getRelay(ctx context.Context, in *relayInput) (*relayOutput, error) {
	var id mail.DomainID
	if err := parseID(in.ID, "path.domain_id", &id); err != nil {
		return nil, err
	}
	r, err := a.Domains.GetRelay(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	if notModified(in.IfNoneMatch, r.Version) {
		return nil, errNotModified(r.Version)
	}
	return &relayOutput{Versioned: versioned(r.Version), Body: relayOf(r)}, nil
}

type setRelayInput struct {
	ID      string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
	IfMatch string `header:"If-Match" doc:"The version that the caller has; 412 when it is another."`
	Body    DomainRelaySet
}

func (a *API) setRelay(ctx context.Context, in *setRelayInput) (*relayOutput, error) {
	var id mail.DomainID
	if err := parseID(in.ID, "path.domain_id", &id); err != nil {
		return nil, err
	}
	r, err := a.Domains.SetRelay(ctx, principalOf(ctx), id, domain.RelaySet{
		Host: in.Body.Host, Port: in.Body.Port, TLS: in.Body.TLS, Username: in.Body.Username, Password: in.Body.Password,
	}, ifMatch(in.IfMatch))
	if err != nil {
		return nil, err
	}
	return &relayOutput{Versioned: versioned(r.Version), Body: relayOf(r)}, nil
}

type deleteRelayInput struct {
	ID      string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
	IfMatch string `header:"If-Match" doc:"The version that the caller has; 412 when it is another."`
}

func (a *API) deleteRelay(ctx context.Context, in *deleteRelayInput) (*struct{}, error) {
	var id mail.DomainID
	if err := parseID(in.ID, "path.domain_id", &id); err != nil {
		return nil, err
	}
	return nil, a.Domains.RemoveRelay(ctx, principalOf(ctx), id, ifMatch(in.IfMatch))
}
