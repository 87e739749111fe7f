package domain

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/seal"
)

const (
	// relayFor is how long a node believes what it read of a domain's smart host; relaysMost bounds of how many.
	relayFor   = 5 * time.Second
	relaysMost = 10_000
	// maxCredential bounds user name and password, in octets.
	maxCredential = 255
)

// The ways to speak to a smart host.
const (
	RelayClear    = "none"     // in clear; never with a password
	RelayStartTLS = "starttls" // STARTTLS with a verified certificate
	RelayImplicit = "implicit" // TLS from the first octet, verified
)

// Relay is a domain's smart host: all its mail to other servers goes there (O-46).
type Relay struct {
	Domain               mail.DomainID
	DomainName           string
	Host                 string // a name in A-labels, or an IP address
	Port                 int
	TLS                  string
	Username             string
	HasPassword          bool
	Version              int64
	CreatedAt, UpdatedAt time.Time
}

// RelaySet is what a domain's smart host shall be. A nil Password keeps the one that is stored while the user name stays the same.
type RelaySet struct {
	Host     string
	Port     int // 0: 587, or 465 with RelayImplicit
	TLS      string
	Username string
	Password *string
}

// check completes the wish and refuses what cannot work.
func (r *RelaySet) check() error {
	r.Host = strings.TrimSpace(r.Host)
	if addr, err := netip.ParseAddr(r.Host); err == nil {
		r.Host = addr.Unmap().String()
	} else if r.Host, err = dns.ToASCII(r.Host); err != nil || r.Host == "" {
		return fault.New(fault.Invalid, "validation-failed", "host must be a host name or an IP address").At("body.host")
	}
	switch r.TLS {
	case RelayClear, RelayStartTLS, RelayImplicit:
	case "":
		r.TLS = RelayStartTLS
	default:
		return fault.New(fault.Invalid, "validation-failed", "tls must be none, starttls or implicit").At("body.tls")
	}
	if r.Port == 0 {
		r.Port = 587
		if r.TLS == RelayImplicit {
			r.Port = 465
		}
	}
	switch {
	case r.Port < 1 || r.Port > 65535:
		return fault.New(fault.Invalid, "validation-failed", "port must be 1 to 65535").At("body.port")
	case badCredential(r.Username):
		return fault.New(fault.Invalid, "validation-failed", "the user name is too long or has control characters").At("body.username")
	case r.Password != nil && badCredential(*r.Password):
		return fault.New(fault.Invalid, "validation-failed", "the password is too long or has control characters").At("body.password")
	case r.Password != nil && *r.Password != "" && r.Username == "":
		return fault.New(fault.Invalid, "validation-failed", "a password needs a user name").At("body.username")
	case r.TLS == RelayClear && r.Username != "":
		return fault.New(fault.Invalid, "validation-failed", "a password is sent after verified TLS only; use starttls or implicit").At("body.tls")
	}
	return nil
}

func badCredential(s string) bool {
	return len(s) > maxCredential || strings.ContainsFunc(s, unicode.IsControl)
}

// relayPlace is where a sealed password lies.
func relayPlace(id mail.DomainID) string { return seal.Place("domain_relay", id.UUID(), "password") }

// SetRelay gives a domain its smart host, or changes it. ifVersion is the version that the caller saw, or 0. Errors as Update;
// fault.Unavailable "key-unavailable" when the password cannot be sealed. Where this server connects to is decided by who has the
// whole of it: others get fault.Forbidden "domain-forbidden".
func (s *Service) SetRelay(ctx context.Context, p mail.Principal, id mail.DomainID, in RelaySet, ifVersion int64) (Relay, error) {
	if err := s.mayRelay(ctx, p, id); err != nil {
		return Relay{}, err
	}
	if err := in.check(); err != nil {
		return Relay{}, err
	}
	var out Relay
	err := s.withRelay(ctx, p, id, ifVersion, func(ctx context.Context, tx pgx.Tx, d Domain, now relayRow, found bool) error {
		next, err := s.nextRelay(id, in, now, found)
		if err != nil {
			return err
		}
		out = next.Relay
		if err := storeRelay(ctx, tx, next); err != nil {
			return err
		}
		return s.note(ctx, tx, p, d, event.DomainUpdated, "domain.relay_set", map[string]any{"host": out.Host, "port": out.Port, "tls": out.TLS})
	})
	return out, err
}

// nextRelay is the row that follows from the wish and the row that is there.
func (s *Service) nextRelay(id mail.DomainID, in RelaySet, old relayRow, found bool) (relayRow, error) {
	now := s.clk.Now().Truncate(time.Microsecond)
	next := relayRow{Relay: Relay{
		Domain: id, Host: in.Host, Port: in.Port, TLS: in.TLS, Username: in.Username, Version: old.Version + 1, CreatedAt: now, UpdatedAt: now,
	}}
	if found {
		next.CreatedAt = old.CreatedAt
	}
	switch {
	case in.Password == nil && found && old.Username == in.Username && old.Host == in.Host:
		next.sealed = old.sealed // never sent to another host than it was given for
	case in.Password != nil && *in.Password != "":
		sealed, err := s.cfg.Box.Seal(relayPlace(id), []byte(*in.Password))
		if err != nil {
			return next, errNoMasterKey(err)
		}
		next.sealed = sealed
	}
	next.HasPassword = next.sealed != nil
	if next.Username != "" && !next.HasPassword {
		return next, fault.New(fault.Invalid, "validation-failed", "give the password; it is not kept when the host or the user name changes").At("body.password")
	}
	return next, nil
}

// RemoveRelay lets the domain's mail go out like that of others again; fault.NotFound when it has no smart host.
func (s *Service) RemoveRelay(ctx context.Context, p mail.Principal, id mail.DomainID, ifVersion int64) error {
	if err := s.mayRelay(ctx, p, id); err != nil {
		return err
	}
	return s.withRelay(ctx, p, id, ifVersion, func(ctx context.Context, tx pgx.Tx, d Domain, _ relayRow, found bool) error {
		if !found {
			return errNoRelay()
		}
		if _, err := tx.Exec(ctx, sqlDeleteRelay, id); err != nil {
			return err
		}
		return s.note(ctx, tx, p, d, event.DomainUpdated, "domain.relay_remove", nil)
	})
}

func (s *Service) mayRelay(ctx context.Context, p mail.Principal, id mail.DomainID) error {
	if err := scope(p, "domains:write"); err != nil {
		return err
	}
	if p.AllDomains() {
		return nil
	}
	d, found, err := one(ctx, s.pool, sqlGet, id)
	if _, err := visible(p, d, found, err); err != nil {
		return err
	}
	return fault.New(fault.Forbidden, "domain-forbidden", "only the owner, or a key without a list of domains, may set where a domain's mail goes")
}

// withRelay runs a change with the domain and its smart host locked.
func (s *Service) withRelay(ctx context.Context, p mail.Principal, id mail.DomainID, ifVersion int64,
	change func(context.Context, pgx.Tx, Domain, relayRow, bool) error,
) error {
	var d Domain
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		if d, err = s.lock(ctx, tx, p, id, 0); err != nil {
			return err
		}
		row, found, err := readRelay(ctx, tx, id)
		if err != nil {
			return err
		}
		if ifVersion != 0 && ifVersion != row.Version {
			return fault.New(fault.Stale, "etag-mismatch", "the smart host was changed by somebody else; read it again")
		}
		return change(ctx, tx, d, row, found)
	})
	s.mu.Lock()
	delete(s.relays, id)
	s.mu.Unlock()
	return s.changed(d, err)
}

// GetRelay gives a domain's smart host without its password; fault.NotFound when it has none.
func (s *Service) GetRelay(ctx context.Context, p mail.Principal, id mail.DomainID) (Relay, error) {
	if _, err := s.Get(ctx, p, id); err != nil {
		return Relay{}, err
	}
	row, found, err := readRelay(ctx, s.pool, id)
	if err != nil {
		return Relay{}, pg.Fault(err)
	}
	if !found {
		return Relay{}, errNoRelay()
	}
	return row.Relay, nil
}

func errNoRelay() error {
	return fault.New(fault.NotFound, "not-found", "the domain has no smart host; its mail goes out like that of the server")
}

// RelayOf gives a domain's smart host and its password, for sending; found is false when it has none. What was read is believed
// for five seconds.
func (s *Service) RelayOf(ctx context.Context, id mail.DomainID) (r Relay, password string, found bool, err error) {
	now := s.clk.Now()
	s.mu.Lock()
	e, ok := s.relays[id]
	s.mu.Unlock()
	if !ok || !now.Before(e.until) {
		e.row, e.found, err = readRelay(ctx, s.pool, id)
		if err != nil {
			return Relay{}, "", false, pg.Fault(err)
		}
		e.until = now.Add(relayFor)
		s.mu.Lock()
		if len(s.relays) >= relaysMost {
			clear(s.relays)
		}
		s.relays[id] = e
		s.mu.Unlock()
	}
	if !e.found || e.row.sealed == nil {
		return e.row.Relay, "", e.found, nil
	}
	plain, err := s.cfg.Box.Open(relayPlace(id), e.row.sealed)
	if err != nil {
		return Relay{}, "", false, errNoMasterKey(err)
	}
	return e.row.Relay, string(plain), true, nil
}

// relayRow is a smart host as its row has it.
type relayRow struct {
	Relay
	sealed []byte
}

type relayEntry struct {
	row   relayRow
	found bool
	until time.Time
}

const sqlGetRelay = `
SELECT r.domain_id, d.name, r.host, r.port, r.tls, r.username, r.password, r.version, r.created_at, r.updated_at
FROM domain_relay r JOIN domain d ON d.id = r.domain_id WHERE r.domain_id = $1`

func readRelay(ctx context.Context, q pg.Querier, id mail.DomainID) (r relayRow, found bool, err error) {
	err = q.QueryRow(ctx, sqlGetRelay, id).Scan(&r.Domain, &r.DomainName, &r.Host, &r.Port, &r.TLS, &r.Username, &r.sealed, &r.Version, &r.CreatedAt, &r.UpdatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return relayRow{}, false, nil
	}
	r.HasPassword, r.CreatedAt, r.UpdatedAt = r.sealed != nil, r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	return r, err == nil, err
}

const sqlStoreRelay = `
INSERT INTO domain_relay (domain_id, host, port, tls, username, password, version, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (domain_id) DO UPDATE SET host = EXCLUDED.host, port = EXCLUDED.port, tls = EXCLUDED.tls, username = EXCLUDED.username,
	password = EXCLUDED.password, version = EXCLUDED.version, updated_at = EXCLUDED.updated_at`

func storeRelay(ctx context.Context, q pg.Querier, r relayRow) error {
	_, err := q.Exec(ctx, sqlStoreRelay, r.Domain, r.Host, r.Port, r.TLS, r.Username, r.sealed, r.Version, r.CreatedAt, r.UpdatedAt)
	return err
}

const sqlDeleteRelay = `DELETE FROM domain_relay WHERE domain_id = $1`
