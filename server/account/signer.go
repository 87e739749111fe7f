package account

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	// reloadEvery bounds how often an unknown key id makes this node look for keys that another node has made.
	reloadEvery = 5 * time.Second
	// loadWithin bounds the reading and making of keys, during which all who need one wait.
	loadWithin = 5 * time.Second
)

const sqlSigningKeys = `SELECT kid, private_key FROM signing_key WHERE retired_at IS NULL ORDER BY created_at DESC, kid`

const sqlInsertSigningKey = `INSERT INTO signing_key (kid, private_key, created_at) VALUES ($1, $2, $3)`

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
		return signer{}, errors.New("a signing key in the database has a wrong size")
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
	mu     sync.Mutex
	keys   []signer
	loaded time.Time
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

func (s *signers) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	rows, err := s.pool.Query(ctx, sqlSigningKeys)
	if err != nil {
		return err
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (signer, error) {
		var kid string
		var seed []byte
		if err := row.Scan(&kid, &seed); err != nil {
			return signer{}, err
		}
		return newSigner(kid, seed)
	})
	if err == nil {
		s.keys, s.loaded = keys, s.clk.Now()
	}
	return err
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
	if _, err := tx.Exec(ctx, sqlInsertSigningKey, randomBase62(16), seed, s.clk.Now()); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
