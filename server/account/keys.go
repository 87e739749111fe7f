package account

import (
	"context"
	"crypto/subtle"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/audit"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Bounds of a key.
const (
	keyNameMost = 100
	cidrsMost   = 50
	// usedEvery is how often the last use of a key is written down at most.
	usedEvery = time.Minute
)

// Key is an API key without its secret.
type Key struct {
	ID     mail.KeyID
	Name   string
	Mode   Mode
	Scopes []string
	// Domains restricts the key; empty means all.
	Domains []mail.DomainID
	// AllowedCIDRs are the networks from which it may be used; empty means all.
	AllowedCIDRs []string
	// CreatedBy is the actor who made it.
	CreatedBy  string
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time
	CreatedAt  time.Time
}

// CreateKey is what is asked for a new key.
type CreateKey struct {
	Name   string
	Scopes []string
	// Domains restricts the key. When empty the key gets the creator's own restriction.
	Domains      []mail.DomainID
	ExpiresAt    *time.Time
	AllowedCIDRs []string
	// Mode is ModeLive when empty.
	Mode Mode
}

// CreateKey makes a key and gives its text, which is shown this once and cannot be had again. A key never gets more than its
// creator has: fault.Forbidden "scope-missing" or "domain-forbidden" otherwise. Unknown scopes give fault.Invalid.
func (s *Service) CreateKey(ctx context.Context, p mail.Principal, in CreateKey) (Key, string, error) {
	if err := mayKeys(p, "api-keys:write"); err != nil {
		return Key{}, "", err
	}
	k, err := s.newKey(p, in)
	if err != nil {
		return Key{}, "", err
	}
	text := newKeyText(k.ID, k.Mode)
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		known, err := domainsExist(ctx, tx, k.Domains)
		if err != nil {
			return err
		}
		if !known {
			return invalid("domain_ids", "a domain in the list does not exist")
		}
		if err := insertKey(ctx, tx, k, text.publicID, text.secretHash()); err != nil {
			return err
		}
		if err := s.noteKey(ctx, tx, p, k, event.KeyCreated, "api_key.create"); err != nil {
			return err
		}
		idem.SetEffect(ctx, k.ID.String())
		return nil
	})
	if err != nil {
		return Key{}, "", pg.Fault(err)
	}
	s.bus.Publish(bus.Events)
	return k, text.String(), nil
}

// newKey checks what was asked against what the principal has.
func (s *Service) newKey(p mail.Principal, in CreateKey) (Key, error) {
	now := s.now()
	k := Key{
		ID: mail.KeyID{}.New(now), Name: in.Name, Mode: in.Mode, ExpiresAt: in.ExpiresAt,
		CreatedBy: p.Actor(), CreatedAt: now,
	}
	if k.Mode == "" {
		k.Mode = ModeLive
	}
	switch {
	case k.Mode != ModeLive && k.Mode != ModeTest:
		return k, invalid("mode", "mode must be live or test")
	case p.Test && k.Mode == ModeLive:
		return k, fault.New(fault.Forbidden, "forbidden", "a test key cannot make a live key")
	case in.Name == "":
		return k, invalid("name", "give the key a name")
	case in.ExpiresAt != nil && !in.ExpiresAt.After(now):
		return k, invalid("expires_at", "expires_at must lie in the future")
	}
	err := checkName("name", in.Name, keyNameMost)
	if err == nil {
		k.Scopes, err = grantScopes(p, in.Scopes)
	}
	if err == nil {
		k.Domains, err = grantDomains(p, in.Domains)
	}
	if err == nil {
		k.AllowedCIDRs, err = parseCIDRs(in.AllowedCIDRs)
	}
	return k, err
}

func grantScopes(p mail.Principal, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, invalid("scopes", "name at least one scope")
	}
	out := slices.Clone(names)
	slices.Sort(out)
	out = slices.Compact(out)
	for _, name := range out {
		s, ok := findScope(name)
		if !ok {
			return nil, invalid("scopes", "there is no scope with one of these names")
		}
		if !mayGrant(p, s) {
			return nil, fault.New(fault.Forbidden, "scope-missing", "you cannot grant %s, because you do not have it", name).At("scopes")
		}
	}
	return out, nil
}

// grantDomains gives a restricted creator's own domains when none are asked for: empty would mean all.
func grantDomains(p mail.Principal, ids []mail.DomainID) ([]mail.DomainID, error) {
	ids = distinct(ids)
	if len(ids) > domainsMost {
		return nil, invalid("domain_ids", "at most %d domains", domainsMost)
	}
	if p.AllDomains() {
		return ids, nil
	}
	if len(ids) == 0 {
		ids = distinct(p.Domains)
	}
	if len(ids) == 0 {
		return nil, fault.New(fault.Forbidden, "domain-forbidden", "you administer no domain")
	}
	for _, id := range ids {
		if !p.MayDomain(id) {
			return nil, invalid("domain_ids", "a domain in the list does not exist")
		}
	}
	return ids, nil
}

func parseCIDRs(texts []string) ([]string, error) {
	if len(texts) > cidrsMost {
		return nil, invalid("allowed_cidrs", "at most %d networks", cidrsMost)
	}
	out := make([]string, 0, len(texts))
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil || addr.Zone() != "" {
				return nil, invalid("allowed_cidrs", "want networks such as 192.0.2.0/24 or 2001:db8::/32")
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		out = append(out, prefix.Masked().String())
	}
	return out, nil
}

// KeyQuery says which keys are wanted, newest first.
type KeyQuery struct {
	// After is the last id of the page before.
	After mail.KeyID
	// Limit is 1 to 200, default 50.
	Limit int
}

// ListKeys gives the keys that reach no further than the principal, and the id to go on after; it is zero on the last page.
func (s *Service) ListKeys(ctx context.Context, p mail.Principal, q KeyQuery) ([]Key, mail.KeyID, error) {
	if err := mayKeys(p, "api-keys:read"); err != nil {
		return nil, mail.KeyID{}, err
	}
	if q.Limit <= 0 {
		q.Limit = limitDefault
	}
	q.Limit = min(q.Limit, limitMost)
	keys, err := listKeys(ctx, s.pool, p.AllDomains(), p.Domains, q)
	if err != nil || len(keys) <= q.Limit {
		return keys, mail.KeyID{}, pg.Fault(err)
	}
	return keys[:q.Limit], keys[q.Limit-1].ID, nil
}

// GetKey gives a key by id; fault.NotFound when there is none that reaches no further than the principal.
func (s *Service) GetKey(ctx context.Context, p mail.Principal, id mail.KeyID) (Key, error) {
	if err := mayKeys(p, "api-keys:read"); err != nil {
		return Key{}, err
	}
	k, found, err := getKey(ctx, s.pool, sqlGetKey, id)
	return seenKey(p, k.Key, found, err)
}

// RevokeKey ends a key at once and for ever. Revoking it again changes nothing.
func (s *Service) RevokeKey(ctx context.Context, p mail.Principal, id mail.KeyID) error {
	if err := mayKeys(p, "api-keys:write"); err != nil {
		return err
	}
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		stored, found, err := getKey(ctx, tx, sqlLockKey, id)
		k, err := seenKey(p, stored.Key, found, err)
		if err != nil || k.RevokedAt != nil {
			return err
		}
		if err := revokeKey(ctx, tx, id, s.now()); err != nil {
			return err
		}
		return s.noteKey(ctx, tx, p, k, event.KeyRevoked, "api_key.revoke")
	})
	if err != nil {
		return pg.Fault(err)
	}
	s.bus.Publish(bus.Key(id), bus.Events)
	return nil
}

func seenKey(p mail.Principal, k Key, found bool, err error) (Key, error) {
	if err != nil {
		return Key{}, pg.Fault(err)
	}
	reach := p.AllDomains() || len(k.Domains) > 0
	for _, d := range k.Domains {
		reach = reach && p.MayDomain(d)
	}
	if !found || !reach {
		return Key{}, fault.New(fault.NotFound, "not-found", "no such API key")
	}
	return k, nil
}

// mayKeys lets owners, admins and keys with the scope at the keys.
func mayKeys(p mail.Principal, name string) error {
	if err := scope(p, name); err != nil {
		return err
	}
	if !p.IsKey() && !p.IsOwner() && p.Role != mail.RoleAdmin {
		return fault.New(fault.Forbidden, "forbidden", "only owners and administrators may use API keys")
	}
	return nil
}

// noteKey writes audit row and event. A key of exactly one domain belongs to that domain's record.
func (s *Service) noteKey(ctx context.Context, q pg.Querier, p mail.Principal, k Key, kind, action string) error {
	now := s.clk.Now()
	var tenant mail.DomainID
	if len(k.Domains) == 1 {
		tenant = k.Domains[0]
	}
	data := map[string]any{"name": k.Name, "mode": string(k.Mode), "scopes": k.Scopes}
	if err := audit.Record(ctx, q, now, p, audit.Entry{Action: action, Target: k.ID.String(), Domain: tenant, Data: data}); err != nil {
		return err
	}
	return event.Append(ctx, q, now, event.Event{Type: kind, Domain: tenant, Subject: k.ID.String(), Data: data})
}

// AuthenticateKey finds the principal of a key's text. Errors: fault.Unauthenticated for texts that are no key, unknown,
// revoked ("unauthenticated") or expired ("token-expired") keys; fault.Forbidden "ip-not-allowed" from a foreign network. Each
// call is counted.
func (s *Service) AuthenticateKey(ctx context.Context, text string, remote netip.Addr) (mail.Principal, error) {
	p, err := s.findKey(ctx, text, remote)
	s.countAPI(err)
	return p, err
}

// countAPI counts a credential that came with a request. Nobody has failed when the database was down or the client went away.
func (s *Service) countAPI(err error) {
	switch {
	case err == nil:
		s.count(resultOK, protocolAPI)
	case fault.Is(err, fault.Unauthenticated), fault.Is(err, fault.Forbidden):
		s.count(resultFailed, protocolAPI)
	}
}

func (s *Service) findKey(ctx context.Context, text string, remote netip.Addr) (mail.Principal, error) {
	given, ok := parseKeyText(text)
	if !ok {
		return mail.Principal{}, errUnauthenticated()
	}
	k, found, err := getKey(ctx, s.pool, sqlKeyByPublicID, given.publicID)
	if err != nil {
		return mail.Principal{}, pg.Fault(err)
	}
	same := subtle.ConstantTimeCompare(given.secretHash(), k.secretHash) == 1
	if !found || !same || k.Mode != given.mode {
		return mail.Principal{}, errUnauthenticated()
	}
	if err := s.checkKey(k.Key, remote); err != nil {
		return mail.Principal{}, err
	}
	now := s.now()
	if k.LastUsedAt == nil || now.Sub(*k.LastUsedAt) >= usedEvery {
		if err := touchKey(ctx, s.pool, k.ID, now, now.Add(-usedEvery)); err != nil {
			return mail.Principal{}, pg.Fault(err)
		}
	}
	return mail.Principal{Key: k.ID, Scopes: k.Scopes, Domains: k.Domains, Test: k.Mode == ModeTest, Remote: remote}, nil
}

func (s *Service) checkKey(k Key, remote netip.Addr) error {
	switch {
	case k.RevokedAt != nil:
		return fault.New(fault.Unauthenticated, "unauthenticated", "this API key was revoked")
	case k.ExpiresAt != nil && !s.clk.Now().Before(*k.ExpiresAt):
		return fault.New(fault.Unauthenticated, "token-expired", "this API key has expired")
	case len(k.AllowedCIDRs) == 0:
		return nil
	}
	remote = remote.Unmap()
	for _, text := range k.AllowedCIDRs {
		if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Contains(remote) {
			return nil
		}
	}
	return fault.New(fault.Forbidden, "ip-not-allowed", "this API key may not be used from this address")
}
