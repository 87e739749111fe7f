package domain

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// keysMost bounds the keys of a domain, deleted ones not counted.
const keysMost = 50

// CreateDKIMKey is what is asked for a new key.
type CreateDKIMKey struct {
	// Algorithm is RSA2048 or Ed25519; RSA2048 when empty. With PrivateKey it follows from the key, and must fit when given.
	Algorithm Algorithm
	// Selector is chosen when empty: year and month, "r" or "e", a number.
	Selector string
	// PrivateKey is a PEM text to be imported; "" makes a new key.
	PrivateKey string
}

// CreateDKIMKey makes or imports a key. With verification "auto" it is active at once, and the key of its kind that was active
// before is retiring; otherwise it is pending. It gives fault.Conflict "already-exists" for a selector that was ever used in the
// domain, and "state-conflict" when the domain has too many keys.
func (s *Service) CreateDKIMKey(ctx context.Context, p mail.Principal, id mail.DomainID, in CreateDKIMKey) (DKIMKey, error) {
	d, err := s.seen(ctx, p, "dkim:write", id)
	if err != nil {
		return DKIMKey{}, err
	}
	if in.Selector != "" {
		if in.Selector, err = parseSelector(in.Selector, d.Name); err != nil {
			return DKIMKey{}, err
		}
	}
	if err := s.canKeep(); err != nil {
		return DKIMKey{}, err
	}
	n, err := material(in)
	if err != nil {
		return DKIMKey{}, err
	}
	var k DKIMKey
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		d, err := s.lock(ctx, tx, p, id, 0)
		if err != nil {
			return err
		}
		count, err := countKeys(ctx, tx, id)
		if err != nil {
			return err
		}
		if count >= keysMost {
			return fault.New(fault.Conflict, "state-conflict", "the domain has %d keys; delete revoked ones first", count)
		}
		if k, err = s.insertKey(ctx, tx, p, d, n); err != nil {
			return err
		}
		idem.SetEffect(ctx, k.ID.String())
		return nil
	})
	return k, s.keysChanged(id, err)
}

// material gives the key that was asked for.
func material(in CreateDKIMKey) (newKey, error) {
	if in.PrivateKey == "" {
		a := in.Algorithm
		if a == "" {
			a = RSA2048
		}
		private, err := generate(a)
		return newKey{algorithm: a, selector: in.Selector, private: private}, err
	}
	private, err := parsePrivate([]byte(in.PrivateKey))
	if err != nil {
		return newKey{}, fault.New(fault.Invalid, "validation-failed", "the private key is %s", err.Error()).At("private_key")
	}
	a, err := algorithmOf(private)
	if err == nil && in.Algorithm != "" && in.Algorithm != a {
		return newKey{}, fault.New(fault.Invalid, "validation-failed", "the private key is of the algorithm %s", a).At("algorithm")
	}
	return newKey{algorithm: a, selector: in.Selector, private: private, imported: true}, err
}

// insertKey writes a key of a locked domain.
func (s *Service) insertKey(ctx context.Context, tx pgx.Tx, p mail.Principal, d Domain, n newKey) (DKIMKey, error) {
	now := s.clk.Now().Truncate(time.Microsecond)
	used, err := selectors(ctx, tx, d.ID)
	if err != nil {
		return DKIMKey{}, err
	}
	k := keyRow{DKIMKey: DKIMKey{
		ID: mail.DKIMKeyID{}.New(now), DomainID: d.ID, DomainName: d.Name, Selector: n.selector, Algorithm: n.algorithm, Source: s.cfg.Store,
		State: KeyPending, Available: true, Version: 1, CreatedAt: now, UpdatedAt: now,
	}}
	for vault := s.vault(k.Source); k.Selector == "" || n.selector == "" && vault.holds(k.DKIMKey); used = append(used, k.Selector) {
		k.Selector = freeSelector(n.algorithm, now, used)
	}
	if s.cfg.AutoVerify {
		k.State, k.ActivatedAt = KeyActive, &now
		if err := s.retireOthers(ctx, tx, p, k.DKIMKey); err != nil {
			return DKIMKey{}, err
		}
	}
	kept, sealed, err := s.vault(k.Source).keep(k.DKIMKey, n)
	if err != nil {
		return DKIMKey{}, err
	}
	k.sealed = sealed
	if k.Algorithm, err = algorithmOf(kept); err != nil {
		return DKIMKey{}, err
	}
	if k.Public, err = publicOf(kept); err != nil {
		return DKIMKey{}, err
	}
	if err := insertKey(ctx, tx, k); err != nil {
		if pg.IsUniqueViolation(err, selectorKey) {
			return DKIMKey{}, fault.New(fault.Conflict, "already-exists", "this selector was used before; a selector never names another key").At("selector")
		}
		return DKIMKey{}, err
	}
	return k.DKIMKey, s.noteKey(ctx, tx, p, k.DKIMKey, eventKeyCreated, "dkim_key.create", map[string]any{"imported": n.imported})
}

// UpdateDKIMKey sends a key on its way: pending to active, active to retiring and back, any to revoked. With verification "dns" a
// key becomes active only when the name servers show it: fault.Conflict "dns-not-published" otherwise, fault.Unavailable
// "dns-unavailable" when they do not answer. The active key of the same kind then is retiring. A step that does not exist gives
// fault.Conflict "state-conflict".
func (s *Service) UpdateDKIMKey(ctx context.Context, p mail.Principal, domain mail.DomainID, id mail.DKIMKeyID, state KeyState, ifVersion int64) (DKIMKey, error) {
	row, err := s.keyRow(ctx, p, "dkim:write", domain, id)
	if err != nil {
		return DKIMKey{}, err
	}
	public := row.Public
	if state == KeyActive && row.State.mayBecome(state) {
		if public, err = s.mayActivate(ctx, row); err != nil {
			return DKIMKey{}, err
		}
	}
	var k DKIMKey
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := s.lock(ctx, tx, p, domain, 0); err != nil {
			return err
		}
		row, err := s.lockKey(ctx, tx, domain, id, ifVersion)
		if err != nil {
			return err
		}
		if row.State == state {
			k = s.shown(row)
			return nil
		}
		row.Public = public
		k, err = s.step(ctx, tx, p, row, state)
		return err
	})
	return k, s.keysChanged(domain, err)
}

// mayActivate gives the public key that may sign from now on. It runs outside of a transaction, since it asks the name servers.
func (s *Service) mayActivate(ctx context.Context, row keyRow) ([]byte, error) {
	private, err := s.vault(row.Source).open(row.DKIMKey, row.sealed)
	if err != nil {
		s.log.ErrorContext(ctx, "a DKIM key cannot be read", slog.String("key", row.ID.String()), slog.Any("error", err))
		return nil, errKeyUnavailable(err, row.DKIMKey)
	}
	if row.Public, err = publicOf(private); err != nil || s.cfg.AutoVerify {
		return row.Public, err
	}
	return row.Public, s.published(ctx, row.DKIMKey)
}

// step changes the state of a locked key.
func (s *Service) step(ctx context.Context, tx pgx.Tx, p mail.Principal, row keyRow, state KeyState) (DKIMKey, error) {
	before := row.State
	if !before.mayBecome(state) {
		return DKIMKey{}, fault.New(fault.Conflict, "state-conflict", "a %s key cannot become %s", before, state).At("state")
	}
	now := s.clk.Now().Truncate(time.Microsecond)
	row.State, row.UpdatedAt, row.Version = state, now, row.Version+1
	kind := eventKeyActivated
	switch state {
	case KeyActive:
		row.ActivatedAt, row.RetiredAt = &now, nil
		if err := s.retireOthers(ctx, tx, p, row.DKIMKey); err != nil {
			return DKIMKey{}, err
		}
	case KeyRetiring:
		kind, row.RetiredAt = eventKeyRetired, &now
	case KeyRevoked:
		kind, row.RevokedAt, row.sealed = eventKeyRevoked, &now, nil
	case KeyPending:
	}
	if err := updateKey(ctx, tx, row.DKIMKey); err != nil {
		return DKIMKey{}, err
	}
	return s.shown(row), s.noteKey(ctx, tx, p, row.DKIMKey, kind, "dkim_key.update", map[string]any{"before": string(before)})
}

// retireOthers makes room for a key that becomes active: one RSA and one Ed25519 key of a domain sign at a time.
func (s *Service) retireOthers(ctx context.Context, tx pgx.Tx, p mail.Principal, k DKIMKey) error {
	active, err := manyKeys(ctx, tx, sqlActiveDKIMKeys, k.DomainID)
	if err != nil {
		return err
	}
	for _, other := range active {
		if other.ID == k.ID || other.Algorithm.RSA() != k.Algorithm.RSA() {
			continue
		}
		if _, err := s.step(ctx, tx, p, other, KeyRetiring); err != nil {
			return err
		}
	}
	return nil
}

// DeleteDKIMKey removes a key that is revoked or never was active; fault.Conflict "state-conflict" otherwise. Its selector stays
// used. A file of the operator's stays where it is.
func (s *Service) DeleteDKIMKey(ctx context.Context, p mail.Principal, domain mail.DomainID, id mail.DKIMKeyID, ifVersion int64) error {
	if _, err := s.seen(ctx, p, "dkim:write", domain); err != nil {
		return err
	}
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := s.lock(ctx, tx, p, domain, 0); err != nil {
			return err
		}
		row, err := s.lockKey(ctx, tx, domain, id, ifVersion)
		if err != nil {
			return err
		}
		if row.State != KeyRevoked && row.ActivatedAt != nil {
			return fault.New(fault.Conflict, "state-conflict", "mail was signed with this key; revoke it first")
		}
		if _, err := tx.Exec(ctx, sqlDeleteDKIMKey, id, s.clk.Now()); err != nil {
			return err
		}
		return s.noteKey(ctx, tx, p, row.DKIMKey, eventKeyDeleted, "dkim_key.delete", nil)
	})
	return s.keysChanged(domain, err)
}

// ExportDKIMKey gives the private key as PKCS #8 in PEM. It takes the owner, or a key with dkim:export, and is written to the audit
// log. It gives fault.Conflict "state-conflict" for a revoked key, whose private part is gone.
func (s *Service) ExportDKIMKey(ctx context.Context, p mail.Principal, domain mail.DomainID, id mail.DKIMKeyID) (DKIMKey, string, error) {
	row, err := s.keyRow(ctx, p, "dkim:export", domain, id)
	if err != nil {
		return DKIMKey{}, "", err
	}
	switch {
	case !p.IsKey() && !p.IsOwner():
		return DKIMKey{}, "", fault.New(fault.Forbidden, "forbidden", "only the owner, or a key with the scope dkim:export, may export private keys")
	case p.Test:
		return DKIMKey{}, "", fault.New(fault.Forbidden, "test-key", "a test key cannot export private keys")
	case row.State == KeyRevoked:
		return DKIMKey{}, "", fault.New(fault.Conflict, "state-conflict", "the key is revoked; its private part is gone")
	}
	private, err := s.vault(row.Source).open(row.DKIMKey, row.sealed)
	if err != nil {
		return DKIMKey{}, "", errKeyUnavailable(err, row.DKIMKey)
	}
	text, err := pemOf(private)
	if err != nil {
		return DKIMKey{}, "", err
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.noteKey(ctx, tx, p, row.DKIMKey, eventKeyExported, "dkim_key.export", nil)
	})
	if err != nil {
		return DKIMKey{}, "", pg.Fault(err)
	}
	s.bus.Publish(bus.Events)
	return s.shown(row), string(text), nil
}
