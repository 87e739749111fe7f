package account

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/seal"
)

const (
	// reloadEvery bounds how often an unknown key id makes this node look for keys that another node has made.
	reloadEvery = 5 * time.Second
	// loadWithin bounds the reading and making of keys, during which all who need one wait.
	loadWithin = 5 * time.Second
)

const sqlSigningKeys = `SELECT kid, private_key, sealed_key FROM signing_key WHERE retired_at IS NULL ORDER BY created_at DESC, kid`

const sqlInsertSigningKey = `INSERT INTO signing_key (kid, sealed_key, created_at) VALUES ($1, $2, $3)`

const sqlSealSigningKey = `UPDATE signing_key SET sealed_key = $2, private_key = NULL WHERE kid = $1 AND private_key IS NOT NULL`

// Octets 2 to 9 of what is sealed are the id of the master key.
const sqlSigningSealedWith = `SELECT DISTINCT substring(sealed_key FROM 2 FOR 8) FROM signing_key WHERE sealed_key IS NOT NULL`

// One node at a time makes the first key; the number is this package's own.
const sqlLockSigningKeys = `SELECT pg_advisory_xact_lock(4215002103)`

// signer is one Ed25519 key. refresh is derived from it and authenticates refresh tokens.
type signer struct {
	kid     string
	private ed25519.PrivateKey
	public  ed25519.PublicKey
	refresh []byte
}

func newSigner(kid string, seed []byte) (signer, error) {
	if len(seed) != ed25519.SeedSize {
		return signer{}, fmt.Errorf("%w: it has a wrong size", errUnusable)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public, _ := private.Public().(ed25519.PublicKey) // it is one by definition
	mac := hmac.New(sha256.New, seed)
	mac.Write([]byte("refresh tokens"))
	return signer{kid: kid, private: private, public: public, refresh: mac.Sum(nil)}, nil
}

// signers are the keys of the installation, newest first. The newest signs, all verify.
type signers struct {
	pool   *pg.Pool
	clk    clock.Clock
	log    *slog.Logger
	box    *seal.Box
	mu     sync.Mutex
	keys   []signer
	loaded time.Time
	told   map[string]bool // the ids of keys that the log has as unusable
}

// all gives the keys; the first call on an empty installation makes one.
func (s *signers) all(ctx context.Context) ([]signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) > 0 {
		return s.keys, nil
	}
	err := s.load(ctx)
	if err == nil && len(s.keys) == 0 {
		if err = s.make(ctx); err == nil {
			err = s.load(ctx)
		}
	}
	return s.keys, pg.Fault(err)
}

// find gives the key of an id from the known ones only (S-22). For an id that is not known it looks again, but not often.
func (s *signers) find(ctx context.Context, kid string) (signer, bool, error) {
	keys, err := s.all(ctx)
	if err != nil {
		return signer{}, false, err
	}
	if k, ok := pick(keys, kid); ok {
		return k, true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clk.Now().Sub(s.loaded) >= reloadEvery {
		if err := s.load(ctx); err != nil {
			return signer{}, false, pg.Fault(err)
		}
	}
	k, ok := pick(s.keys, kid)
	return k, ok, nil
}

func pick(keys []signer, kid string) (signer, bool) {
	for _, k := range keys {
		if k.kid == kid {
			return k, true
		}
	}
	return signer{}, false
}

// signingRow is a key as it lies in the database: sealed, or in the clear when an older server wrote it.
type signingRow struct {
	kid           string
	clear, sealed []byte
}

func (s *signers) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	rows, err := s.pool.Query(ctx, sqlSigningKeys)
	if err != nil {
		return err
	}
	stored, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r signingRow, err error) {
		err = row.Scan(&r.kid, &r.clear, &r.sealed)
		return r, err
	})
	if err != nil {
		return err
	}
	keys := make([]signer, 0, len(stored))
	var unusable error
	for _, r := range stored {
		k, err := s.open(ctx, r)
		switch {
		case err == nil:
			keys = append(keys, k)
		case !errors.Is(err, errUnusable):
			return err
		default:
			unusable = err
			s.tell(ctx, r.kid, err)
		}
	}
	// One that cannot be used ends its own sessions alone. But a new key is made only where there was none (S-35).
	if len(keys) == 0 && unusable != nil {
		return errSealed(unusable)
	}
	s.keys, s.loaded = keys, s.clk.Now()
	return nil
}

// errUnusable is for a row of which no key can be made on this server.
var errUnusable = errors.New("a signing key cannot be used")

// tell writes once to the log that a key cannot be used.
func (s *signers) tell(ctx context.Context, kid string, err error) {
	if s.told[kid] {
		return
	}
	if s.told == nil {
		s.told = map[string]bool{}
	}
	s.told[kid] = true
	s.log.LogAttrs(ctx, slog.LevelError, "key_unavailable: a key that signs access tokens cannot be used; browser sessions of this key have ended, "+
		"and nobody can sign in to one while there is no other key", slog.String("kid", kid), slog.Any("error", err))
}

// open gives a stored key. One that lies in the clear is sealed.
func (s *signers) open(ctx context.Context, r signingRow) (signer, error) {
	seed := r.clear
	if r.clear == nil {
		var err error
		if seed, err = s.box.Open(place(r.kid), r.sealed); err != nil {
			return signer{}, fmt.Errorf("%w: %w", errUnusable, err)
		}
	}
	k, err := newSigner(r.kid, seed)
	if err != nil || r.clear == nil {
		return k, err
	}
	sealed, err := s.box.Seal(place(r.kid), r.clear)
	if err != nil {
		return signer{}, fmt.Errorf("%w: %w", errUnusable, err)
	}
	_, err = s.pool.Exec(ctx, sqlSealSigningKey, r.kid, sealed)
	return k, err
}

func place(kid string) string { return seal.Place("signing_key", kid, "sealed_key") }

func errSealed(err error) error {
	return fault.Wrap(err, fault.Unavailable, "key-unavailable",
		"the master key that seals this server's secrets is not available, so that sessions cannot be made; the operator has to bring it back")
}

// SealedWith gives the ids of the master keys with which signing keys in the database are sealed.
func SealedWith(ctx context.Context, q pg.Querier) ([]seal.KeyID, error) {
	rows, err := q.Query(ctx, sqlSigningSealedWith)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (seal.KeyID, error) {
		var id []byte
		if err := row.Scan(&id); err != nil {
			return seal.KeyID{}, err
		}
		return seal.KeyID(id), nil
	})
}

// make writes the first key, unless another node was faster.
func (s *signers) make(ctx context.Context) error {
	// The key outlives the request that was the first to need one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadWithin)
	defer cancel()
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, sqlLockSigningKeys); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, sqlSigningKeys)
	if err != nil {
		return err
	}
	rows.Close()
	if rows.CommandTag().RowsAffected() > 0 || rows.Err() != nil {
		return rows.Err()
	}
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails since Go 1.24: it ends the program instead
	kid := randomBase62(16)
	sealed, err := s.box.Seal(place(kid), seed)
	if err != nil {
		return errSealed(err)
	}
	if _, err := tx.Exec(ctx, sqlInsertSigningKey, kid, sealed, s.clk.Now()); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
