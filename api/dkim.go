package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// DKIMKey is a key with which mail of a domain is signed, without its private part.
type DKIMKey struct {
	ID          string     `json:"id" example:"dkm_01h455vb4pex5vsknk084sn02q" doc:"The key's id."`
	DomainID    string     `json:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Whose mail it signs."`
	Selector    string     `json:"selector" example:"202611r1" doc:"Its name below _domainkey of the domain. A selector never names another key."`
	Algorithm   string     `json:"algorithm" enum:"rsa2048,rsa3072,rsa4096,ed25519" example:"rsa2048" doc:"What it signs with."`
	State       string     `json:"state" enum:"pending,active,retiring,revoked" example:"active" doc:"pending: its record has to be published; active: it signs; retiring: it signs no more and its record has to stay for seven days; revoked: its private part is gone for ever."`
	Source      string     `json:"source" enum:"database,file" example:"database" doc:"Where the private key lies: sealed in the database, or in a file of the operator's."`
	Available   bool       `json:"available" example:"true" doc:"Whether the private key can be read now. Mail of a domain whose active key cannot be read waits."`
	RecordName  string     `json:"record_name" example:"202611r1._domainkey.example.test" doc:"The name of the TXT record that shows the public key."`
	RecordValue string     `json:"record_value" example:"v=DKIM1; k=rsa; p=MIIBIjANBgkq" doc:"The text of that record."`
	CreatedAt   time.Time  `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When it was made."`
	UpdatedAt   time.Time  `json:"updated_at" example:"2026-11-25T15:00:00Z" doc:"When it was last changed."`
	ActivatedAt *time.Time `json:"activated_at" example:"2026-11-25T15:00:00Z" doc:"When it last became active; null for never."`
	RetiredAt   *time.Time `json:"retired_at" example:"2027-11-25T15:00:00Z" doc:"When it stopped signing; null before."`
	RevokedAt   *time.Time `json:"revoked_at" example:"2027-12-25T15:00:00Z" doc:"When it was revoked; null before."`
}

// DKIMKeyCreate is a key to be made or imported.
type DKIMKeyCreate struct {
	Algorithm  string `json:"algorithm,omitempty" enum:"rsa2048,rsa3072,rsa4096,ed25519" example:"ed25519" doc:"rsa2048 when absent. With private_key it follows from the key; the larger RSA keys can only be imported."`
	Selector   string `json:"selector,omitempty" maxLength:"253" example:"mail" doc:"Its name below _domainkey; chosen when absent: year and month, r or e, a number."`
	PrivateKey string `json:"private_key,omitempty" maxLength:"16384" example:"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n" doc:"A private key to be imported: PEM, PKCS #8 or PKCS #1, not encrypted, RSA with 2048, 3072 or 4096 bits or Ed25519."`
}

// DKIMKeyUpdate is a merge patch of a key.
type DKIMKeyUpdate struct {
	State string `json:"state,omitempty" enum:"active,retiring,revoked" example:"retiring" doc:"The next state."`
}

// UnmarshalJSON implements json.Unmarshaler: null would remove a field (RFC 7396), and none can be.
func (u *DKIMKeyUpdate) UnmarshalJSON(raw []byte) error {
	type plain DKIMKeyUpdate
	return noNulls(raw, (*plain)(u))
}

// DKIMKeyExport is a key with its private part.
type DKIMKeyExport struct {
	ID         string `json:"id" example:"dkm_01h455vb4pex5vsknk084sn02q" doc:"The key's id."`
	Selector   string `json:"selector" example:"202611r1" doc:"Its name below _domainkey of the domain."`
	Algorithm  string `json:"algorithm" enum:"rsa2048,rsa3072,rsa4096,ed25519" example:"ed25519" doc:"What it signs with."`
	PrivateKey string `json:"private_key" example:"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n" doc:"The private key as PKCS #8 in PEM."`
}

// DKIMKeyPage is a page of keys, newest first.
type DKIMKeyPage = Page[DKIMKey]

func dkimKeyOf(k domain.DKIMKey) DKIMKey {
	return DKIMKey{
		ID: k.ID.String(), DomainID: k.DomainID.String(), Selector: k.Selector, Algorithm: string(k.Algorithm), State: string(k.State),
		Source: string(k.Source), Available: k.Available, RecordName: k.RecordName(), RecordValue: k.RecordValue(), CreatedAt: k.CreatedAt.UTC(),
		UpdatedAt: k.UpdatedAt.UTC(), ActivatedAt: utc(k.ActivatedAt), RetiredAt: utc(k.RetiredAt), RevokedAt: utc(k.RevokedAt),
	}
}

type dkimKeyOutput struct {
	Versioned
	Body DKIMKey
}

func dkimKeyAnswer(k domain.DKIMKey) *dkimKeyOutput {
	return &dkimKeyOutput{Versioned: versioned(k.Version), Body: dkimKeyOf(k)}
}

func dkimKeyPath(k domain.DKIMKey) string {
	return "/v1/domains/" + k.DomainID.String() + "/dkim-keys/" + k.ID.String()
}

func (a *API) registerDKIM() {
	const tag, all, one = "dkim-keys", "/v1/domains/{domain_id}/dkim-keys", "/v1/domains/{domain_id}/dkim-keys/{dkim_key_id}"
	register(a, with(scoped(http.MethodGet, all, "listDkimKeys", tag, "dkim:read", "List DKIM keys",
		"Gives the keys of a domain without their private parts, newest first."), http.StatusBadRequest, http.StatusNotFound), a.listDKIMKeys)
	register(a, answers(with(scoped(http.MethodPost, all, "createDkimKey", tag, "dkim:write", "Create or import a DKIM key",
		"Makes a key, or imports one. It is pending until its record is published and it is made active; with domains.verification auto it is "+
			"active at once. One RSA and one Ed25519 key sign at a time: the one that did before is retiring from then on."),
		http.StatusNotFound), http.StatusCreated), a.createDKIMKey)
	register(a, with(scoped(http.MethodGet, one, "getDkimKey", tag, "dkim:read", "Read a DKIM key",
		"Gives one key without its private part."), http.StatusBadRequest, http.StatusNotFound), a.getDKIMKey)
	register(a, with(scoped(http.MethodPatch, one, "updateDkimKey", tag, "dkim:write", "Change the state of a DKIM key",
		"Makes a key active, retiring or revoked (JSON merge patch). It becomes active only when the name servers show it: 409 "+
			"dns-not-published says what they show instead. If-Match is honoured."),
		http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed), a.updateDKIMKey)
	register(a, answers(with(scoped(http.MethodDelete, one, "deleteDkimKey", tag, "dkim:write", "Delete a DKIM key",
		"Deletes a key that is revoked or never was active. Its selector stays used. If-Match is honoured."), http.StatusBadRequest,
		http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed), http.StatusNoContent), a.deleteDKIMKey)
	export := with(scoped(http.MethodPost, one+"/export", "exportDkimKey", tag, "dkim:export", "Export a private DKIM key",
		"Gives the private key, and writes so to the audit log. It takes the owner, or an API key with the scope dkim:export."),
		http.StatusNotFound)
	export.Metadata[metaSecret] = true
	register(a, asks(export), a.exportDKIMKey)
	a.effects["dkm"] = a.renderDKIMKey
}

type listDKIMKeysInput struct {
	DomainID string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
	ListInput
}

type listDKIMKeysOutput struct{ Body DKIMKeyPage }

func (a *API) listDKIMKeys(ctx context.Context, in *listDKIMKeysInput) (*listDKIMKeysOutput, error) {
	var id mail.DomainID
	if err := parseID(in.DomainID, "path.domain_id", &id); err != nil {
		return nil, err
	}
	fs := filters("dkim-keys", in.DomainID)
	text, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	var after mail.DKIMKeyID
	if err := optionalID(text, "query.cursor", &after); err != nil {
		return nil, err
	}
	list, next, err := a.Domains.ListDKIMKeys(ctx, principalOf(ctx), id, after, in.limit())
	if err != nil {
		return nil, err
	}
	items := make([]DKIMKey, len(list))
	for i, k := range list {
		items[i] = dkimKeyOf(k)
	}
	return &listDKIMKeysOutput{Body: page(items, nextID(next), fs)}, nil
}

type createDKIMKeyInput struct {
	DomainID string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
	Body     DKIMKeyCreate
}

type dkimKeyCreatedOutput struct {
	Versioned
	Location string `header:"Location" doc:"Where the object is."`
	Body     DKIMKey
}

func (a *API) createDKIMKey(ctx context.Context, in *createDKIMKeyInput) (*dkimKeyCreatedOutput, error) {
	var id mail.DomainID
	if err := parseID(in.DomainID, "path.domain_id", &id); err != nil {
		return nil, err
	}
	k, err := a.Domains.CreateDKIMKey(ctx, principalOf(ctx), id, domain.CreateDKIMKey{
		Algorithm: domain.Algorithm(in.Body.Algorithm), Selector: in.Body.Selector, PrivateKey: in.Body.PrivateKey,
	})
	if err != nil {
		return nil, err
	}
	return &dkimKeyCreatedOutput{Versioned: versioned(k.Version), Location: dkimKeyPath(k), Body: dkimKeyOf(k)}, nil
}

// renderDKIMKey answers a repeated request whose first answer was lost.
func (a *API) renderDKIMKey(ctx context.Context, ref string) (effect, error) {
	var id mail.DKIMKeyID
	if err := parseID(ref, "effect", &id); err != nil {
		return effect{}, err
	}
	k, err := a.Domains.FindDKIMKey(ctx, withScope(principalOf(ctx), "dkim:read"), id)
	return effect{http.StatusCreated, dkimKeyPath(k), etag(k.Version), dkimKeyOf(k)}, err
}

// DKIMKeyIDs name a key in a path.
type DKIMKeyIDs struct {
	DomainID string `path:"domain_id" doc:"The domain's id." example:"dom_01h455vb4pex5vsknk084sn02q"`
	ID       string `path:"dkim_key_id" doc:"The key's id." example:"dkm_01h455vb4pex5vsknk084sn02q"`
}

func (in DKIMKeyIDs) parse() (d mail.DomainID, k mail.DKIMKeyID, err error) {
	if err = parseID(in.DomainID, "path.domain_id", &d); err == nil {
		err = parseID(in.ID, "path.dkim_key_id", &k)
	}
	return d, k, err
}

type getDKIMKeyInput struct {
	DKIMKeyIDs
	IfNoneMatch string `header:"If-None-Match" doc:"The version that the caller has; 304 when it is current."`
}

func (a *API) getDKIMKey(ctx context.Context, in *getDKIMKeyInput) (*dkimKeyOutput, error) {
	d, id, err := in.parse()
	if err != nil {
		return nil, err
	}
	k, err := a.Domains.GetDKIMKey(ctx, principalOf(ctx), d, id)
	if err != nil {
		return nil, err
	}
	if notModified(in.IfNoneMatch, k.Version) {
		return nil, errNotModified(k.Version)
	}
	return dkimKeyAnswer(k), nil
}

type updateDKIMKeyInput struct {
	DKIMKeyIDs
	IfMatch string `header:"If-Match" doc:"The version that the caller has; 412 when it is another."`
	Body    DKIMKeyUpdate
}

func (a *API) updateDKIMKey(ctx context.Context, in *updateDKIMKeyInput) (*dkimKeyOutput, error) {
	d, id, err := in.parse()
	if err != nil {
		return nil, err
	}
	var k domain.DKIMKey
	if in.Body.State == "" {
		if k, err = a.Domains.GetDKIMKey(ctx, withScope(principalOf(ctx), "dkim:read"), d, id); err == nil {
			err = checkVersion(ifMatch(in.IfMatch), k.Version)
		}
	} else {
		k, err = a.Domains.UpdateDKIMKey(ctx, principalOf(ctx), d, id, domain.KeyState(in.Body.State), ifMatch(in.IfMatch))
	}
	if err != nil {
		return nil, err
	}
	return dkimKeyAnswer(k), nil
}

type deleteDKIMKeyInput struct {
	DKIMKeyIDs
	IfMatch string `header:"If-Match" doc:"The version that the caller has; 412 when it is another."`
}

func (a *API) deleteDKIMKey(ctx context.Context, in *deleteDKIMKeyInput) (*struct{}, error) {
	d, id, err := in.parse()
	if err != nil {
		return nil, err
	}
	return nil, a.Domains.DeleteDKIMKey(ctx, principalOf(ctx), d, id, ifMatch(in.IfMatch))
}

type exportDKIMKeyInput struct{ DKIMKeyIDs }

type exportDKIMKeyOutput struct {
	CacheControl string `header:"Cache-Control" doc:"no-store: the answer holds a secret."`
	Body         DKIMKeyExport
}

func (a *API) exportDKIMKey(ctx context.Context, in *exportDKIMKeyInput) (*exportDKIMKeyOutput, error) {
	d, id, err := in.parse()
	if err != nil {
		return nil, err
	}
	k, text, err := a.Domains.ExportDKIMKey(ctx, principalOf(ctx), d, id)
	if err != nil {
		return nil, err
	}
	return &exportDKIMKeyOutput{
		CacheControl: "no-store",
		Body:         DKIMKeyExport{ID: k.ID.String(), Selector: k.Selector, Algorithm: string(k.Algorithm), PrivateKey: text},
	}, nil
}
