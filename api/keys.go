package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// APIKey is a program's credential without its secret.
type APIKey struct {
	ID           string     `json:"id" example:"key_01h455vb4pex5vsknk084sn02q" doc:"The key's id."`
	Name         string     `json:"name" example:"shop receipts" doc:"What it is for."`
	Mode         string     `json:"mode" enum:"live,test" example:"live" doc:"Mail sent with a test key ends in the built-in test network; besides sending, a test key only reads."`
	Scopes       []string   `json:"scopes" nullable:"false" example:"[\"emails:send\"]" doc:"What it may do."`
	DomainIDs    []string   `json:"domain_ids" nullable:"false" example:"[\"dom_01h455vb4pex5vsknk084sn02q\"]" doc:"The domains it is bound to; empty means all."`
	AllowedCIDRs []string   `json:"allowed_cidrs" nullable:"false" example:"[\"192.0.2.0/24\"]" doc:"The networks it may be used from; empty means all."`
	CreatedBy    string     `json:"created_by" example:"usr_01h455vb4pex5vsknk084sn02q" doc:"Who made it: a user's or a key's id, or the server itself."`
	ExpiresAt    *time.Time `json:"expires_at" example:"2027-11-25T15:00:00Z" doc:"When it ends; null for never."`
	RevokedAt    *time.Time `json:"revoked_at" example:"2026-12-25T15:00:00Z" doc:"When it was revoked; null while it is valid."`
	LastUsedAt   *time.Time `json:"last_used_at" example:"2026-11-25T15:00:00Z" doc:"When it was last used, to the minute; null for never."`
	CreatedAt    time.Time  `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When it was made."`
}

// APIKeyCreate is a key to be made.
type APIKeyCreate struct {
	Name         string     `json:"name" example:"shop receipts" minLength:"1" maxLength:"100" doc:"What it is for."`
	Scopes       []string   `json:"scopes" nullable:"false" minItems:"1" maxItems:"64" example:"[\"emails:send\"]" doc:"What it may do; at most what its maker may."`
	DomainIDs    []string   `json:"domain_ids,omitempty" nullable:"false" example:"[\"dom_01h455vb4pex5vsknk084sn02q\"]" doc:"The domains it is bound to; absent for the maker's own."`
	AllowedCIDRs []string   `json:"allowed_cidrs,omitempty" nullable:"false" example:"[\"192.0.2.0/24\"]" doc:"The networks it may be used from."`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" example:"2027-11-25T15:00:00Z" doc:"When it ends."`
	Mode         string     `json:"mode,omitempty" enum:"live,test" example:"live" doc:"live when absent."`
}

// APIKeyCreated is a new key with its text, which is shown this once.
type APIKeyCreated struct {
	APIKey
	Key string `json:"key" example:"ms_live_0000000000000000000000000000000000000000000000000000000000" doc:"The credential. It cannot be shown again."`
}

// APIKeyPage is a page of keys, newest first.
type APIKeyPage = Page[APIKey]

func keyOf(k account.Key) APIKey {
	return APIKey{
		ID: k.ID.String(), Name: k.Name, Mode: string(k.Mode), Scopes: orEmpty(k.Scopes), DomainIDs: idText(k.Domains),
		AllowedCIDRs: orEmpty(k.AllowedCIDRs), CreatedBy: k.CreatedBy, ExpiresAt: utc(k.ExpiresAt), RevokedAt: utc(k.RevokedAt),
		LastUsedAt: utc(k.LastUsedAt), CreatedAt: k.CreatedAt.UTC(),
	}
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (a *API) registerKeys() {
	const tag = "api-keys"
	register(a, with(scoped(http.MethodGet, "/v1/api-keys", "listApiKeys", tag, "api-keys:read", "List API keys",
		"Gives the keys that reach no further than the caller, newest first."), http.StatusBadRequest), a.listKeys)
	create := answers(scoped(http.MethodPost, "/v1/api-keys", "createApiKey", tag, "api-keys:write", "Create an API key",
		"Makes a key with at most the caller's own scopes and domains. Its text is in the answer and nowhere else: a repeated request with the "+
			"same Idempotency-Key gets 409 secret-already-shown."), http.StatusCreated)
	create.Metadata[metaSecret] = true
	register(a, create, a.createKey)
	register(a, with(scoped(http.MethodGet, "/v1/api-keys/{key_id}", "getApiKey", tag, "api-keys:read", "Read an API key",
		"Gives one key without its secret."), http.StatusBadRequest, http.StatusNotFound), a.getKey)
	register(a, answers(with(scoped(http.MethodDelete, "/v1/api-keys/{key_id}", "revokeApiKey", tag, "api-keys:write", "Revoke an API key",
		"Ends a key at once and for ever; it stays in the list."), http.StatusBadRequest, http.StatusNotFound), http.StatusNoContent), a.revokeKey)
	a.effects["key"] = func(context.Context, string) (effect, error) {
		return effect{}, fault.New(fault.Conflict, "secret-already-shown",
			"an earlier request with this Idempotency-Key made the key, which is shown once only; revoke it and make a new one")
	}
}

type listKeysInput struct{ ListInput }

type listKeysOutput struct{ Body APIKeyPage }

func (a *API) listKeys(ctx context.Context, in *listKeysInput) (*listKeysOutput, error) {
	fs := filters("api-keys")
	after, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	q := account.KeyQuery{Limit: in.limit()}
	if err := optionalID(after, "query.cursor", &q.After); err != nil {
		return nil, err
	}
	list, next, err := a.Accounts.ListKeys(ctx, principalOf(ctx), q)
	if err != nil {
		return nil, err
	}
	items := make([]APIKey, len(list))
	for i, k := range list {
		items[i] = keyOf(k)
	}
	return &listKeysOutput{Body: page(items, nextID(next), fs)}, nil
}

type createKeyInput struct{ Body APIKeyCreate }

type createKeyOutput struct {
	Location     string `header:"Location" doc:"Where the key is."`
	CacheControl string `header:"Cache-Control" doc:"no-store: the answer holds a secret."`
	Body         APIKeyCreated
}

func (a *API) createKey(ctx context.Context, in *createKeyInput) (*createKeyOutput, error) {
	create := account.CreateKey{
		Name: in.Body.Name, Scopes: in.Body.Scopes, ExpiresAt: in.Body.ExpiresAt, AllowedCIDRs: in.Body.AllowedCIDRs, Mode: account.Mode(in.Body.Mode),
	}
	for _, text := range in.Body.DomainIDs {
		var id mail.DomainID
		if err := bodyID(text, "body.domain_ids", &id); err != nil {
			return nil, err
		}
		create.Domains = append(create.Domains, id)
	}
	k, text, err := a.Accounts.CreateKey(ctx, principalOf(ctx), create)
	if err != nil {
		return nil, err
	}
	return &createKeyOutput{
		Location: "/v1/api-keys/" + k.ID.String(), CacheControl: "no-store", Body: APIKeyCreated{APIKey: keyOf(k), Key: text},
	}, nil
}

type keyInput struct {
	ID string `path:"key_id" doc:"The key's id." example:"key_01h455vb4pex5vsknk084sn02q"`
}

type keyOutput struct{ Body APIKey }

func (a *API) getKey(ctx context.Context, in *keyInput) (*keyOutput, error) {
	var id mail.KeyID
	if err := parseID(in.ID, "path.key_id", &id); err != nil {
		return nil, err
	}
	k, err := a.Accounts.GetKey(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &keyOutput{Body: keyOf(k)}, nil
}

func (a *API) revokeKey(ctx context.Context, in *keyInput) (*struct{}, error) {
	var id mail.KeyID
	if err := parseID(in.ID, "path.key_id", &id); err != nil {
		return nil, err
	}
	return nil, a.Accounts.RevokeKey(ctx, principalOf(ctx), id)
}
