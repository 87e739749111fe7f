package domain

import (
	"context"
	"crypto"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/audit"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// newKey is a key that is about to be made.
type newKey struct {
	algorithm Algorithm
	selector  string // "" is chosen
	private   crypto.Signer
	imported  bool
}

// NewKeys are keys for a new domain that were made before its transaction began: an RSA key takes its time.
type NewKeys struct{ keys []newKey }

// PrepareKeys makes the keys that a new domain gets. The empty choice is the service's default. It gives fault.Unavailable
// "key-unavailable" when keys are wanted and cannot be kept.
func (s *Service) PrepareKeys(choice KeyChoice) (NewKeys, error) {
	if choice == "" {
		choice = s.defaultKeys()
	}
	algorithms, err := choice.algorithms()
	if err != nil {
		return NewKeys{}, err
	}
	if err := s.canKeep(); len(algorithms) > 0 && err != nil {
		return NewKeys{}, err
	}
	var out NewKeys
	for _, a := range algorithms {
		private, err := generate(a)
		if err != nil {
			return NewKeys{}, err
		}
		out.keys = append(out.keys, newKey{algorithm: a, private: private})
	}
	return out, nil
}

func (s *Service) defaultKeys() KeyChoice {
	switch {
	case s.cfg.DefaultKeys != "":
		return s.cfg.DefaultKeys
	case s.cfg.Store == SourceDatabase && s.cfg.Box == nil:
		return KeysNone
	}
	return KeysBoth
}

// canKeep tells early that a private key could not be kept.
func (s *Service) canKeep() error {
	if s.cfg.Store == SourceFile {
		return nil
	}
	if err := s.cfg.Box.Ready(); err != nil {
		return errNoMasterKey(err)
	}
	return nil
}

// ListDKIMKeys gives keys of a domain without their private parts, newest first, and the id to go on after; it is zero on the last
// page. limit is 1 to 200, default 50.
func (s *Service) ListDKIMKeys(ctx context.Context, p mail.Principal, id mail.DomainID, after mail.DKIMKeyID, limit int) ([]DKIMKey, mail.DKIMKeyID, error) {
	if _, err := s.seen(ctx, p, "dkim:read", id); err != nil {
		return nil, mail.DKIMKeyID{}, err
	}
	if limit <= 0 {
		limit = limitDefault
	}
	limit = min(limit, limitMost)
	rows, err := manyKeys(ctx, s.pool, sqlListDKIMKeys, id, after, limit+1)
	if err != nil {
		return nil, mail.DKIMKeyID{}, pg.Fault(err)
	}
	var next mail.DKIMKeyID
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID
	}
	keys := make([]DKIMKey, len(rows))
	for i, row := range rows {
		keys[i] = s.shown(row)
	}
	return keys, next, nil
}

// GetDKIMKey gives a key without its private part; fault.NotFound when the domain has none of this id.
func (s *Service) GetDKIMKey(ctx context.Context, p mail.Principal, domain mail.DomainID, id mail.DKIMKeyID) (DKIMKey, error) {
	row, err := s.keyRow(ctx, p, "dkim:read", domain, id)
	if err != nil {
		return DKIMKey{}, err
	}
	return s.shown(row), nil
}

// FindDKIMKey is GetDKIMKey for a key whose domain is not known.
func (s *Service) FindDKIMKey(ctx context.Context, p mail.Principal, id mail.DKIMKeyID) (DKIMKey, error) {
	if err := scope(p, "dkim:read"); err != nil {
		return DKIMKey{}, err
	}
	rows, err := manyKeys(ctx, s.pool, sqlFindDKIMKey, id)
	if err != nil {
		return DKIMKey{}, pg.Fault(err)
	}
	if len(rows) == 0 || !p.MayDomain(rows[0].DomainID) {
		return DKIMKey{}, errNoKey()
	}
	return s.shown(rows[0]), nil
}

// seen gives a domain to a principal who has the scope and may see it.
func (s *Service) seen(ctx context.Context, p mail.Principal, name string, id mail.DomainID) (Domain, error) {
	if err := scope(p, name); err != nil {
		return Domain{}, err
	}
	d, found, err := one(ctx, s.pool, sqlGet, id)
	return visible(p, d, found, err)
}

// keyRow gives a key to a principal who has the scope and may see its domain.
func (s *Service) keyRow(ctx context.Context, p mail.Principal, name string, domain mail.DomainID, id mail.DKIMKeyID) (keyRow, error) {
	if _, err := s.seen(ctx, p, name, domain); err != nil {
		return keyRow{}, err
	}
	row, found, err := oneKey(ctx, s.pool, sqlGetDKIMKey, domain, id)
	if err == nil && !found {
		err = errNoKey()
	}
	return row, pg.Fault(err)
}

func (s *Service) lockKey(ctx context.Context, tx pgx.Tx, domain mail.DomainID, id mail.DKIMKeyID, ifVersion int64) (keyRow, error) {
	row, found, err := oneKey(ctx, tx, sqlLockDKIMKey, domain, id)
	switch {
	case err != nil:
		return row, err
	case !found:
		return row, errNoKey()
	case ifVersion != 0 && ifVersion != row.Version:
		return row, fault.New(fault.Stale, "etag-mismatch", "the key was changed by somebody else; read it again")
	}
	return row, nil
}

// shown completes a key for people: whether its private part can be read, and what a file holds now.
func (s *Service) shown(row keyRow) DKIMKey {
	k := row.DKIMKey
	if k.State == KeyRevoked {
		return k
	}
	private, err := s.vault(k.Source).open(k, row.sealed)
	if err != nil {
		return k
	}
	k.Available = true
	if public, err := publicOf(private); err == nil {
		k.Public = public
	}
	return k
}

func (s *Service) vault(source KeySource) vault {
	if source == SourceFile {
		return fileVault{dir: s.cfg.KeyDir}
	}
	return sealedVault{box: s.cfg.Box}
}

// The types of the ledger's events about keys.
const (
	eventKeyCreated   = "dkim.created"
	eventKeyActivated = "dkim.activated"
	eventKeyRetired   = "dkim.retired"
	eventKeyRevoked   = "dkim.revoked"
	eventKeyDeleted   = "dkim.deleted"
	eventKeyExported  = "dkim.exported"
)

// noteKey writes the audit row and the event of a change to a key.
func (s *Service) noteKey(ctx context.Context, q pg.Querier, p mail.Principal, k DKIMKey, kind, action string, more map[string]any) error {
	now := s.clk.Now()
	data := map[string]any{"domain": k.DomainName, "selector": k.Selector, "algorithm": string(k.Algorithm), "state": string(k.State)}
	maps.Copy(data, more)
	entry := audit.Entry{Action: action, Target: k.ID.String(), Domain: k.DomainID, Data: data}
	if err := audit.Record(ctx, q, now, p, entry); err != nil {
		return err
	}
	return event.Append(ctx, q, now, event.Event{Type: kind, Domain: k.DomainID, Subject: k.ID.String(), Data: data})
}

// keysChanged ends a change: this node signs with the new state at once, readers of events wake.
func (s *Service) keysChanged(id mail.DomainID, err error) error {
	s.signing.drop(id)
	if err != nil {
		return pg.Fault(err)
	}
	s.bus.Publish(bus.Events)
	return nil
}

func errNoKey() error {
	return fault.New(fault.NotFound, "not-found", "the domain has no such DKIM key")
}

// errKeyUnavailable is for people who manage keys.
func errKeyUnavailable(err error, k DKIMKey) error {
	return fault.Wrap(err, fault.Unavailable, "key-unavailable",
		"the private key of %s cannot be read on this server; the operator has to bring back the master key or the file", k.RecordName())
}
