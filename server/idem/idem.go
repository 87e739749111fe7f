package idem

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// Times and sizes of the memory.
const (
	// Lease is how long an attempt may run before another may take its place, if it has had no effect yet.
	Lease = 15 * time.Second
	// Keep is how long an answer is replayed.
	Keep = 24 * time.Hour
	// bodyMost is the largest answer that is stored; a larger one is rendered again from the effect.
	bodyMost = 1 << 20
	// claimTries bounds the race of several takers of an abandoned key.
	claimTries = 4
)

// Keys remembers requests. All methods may be called from many goroutines and nodes at once.
type Keys struct {
	pool *pg.Pool
	clk  clock.Clock
}

// New returns the memory that lies in the database.
func New(pool *pg.Pool, clk clock.Clock) *Keys { return &Keys{pool: pool, clk: clk} }

// Request says what is asked. Two requests are the same when Credential, Method, Route and Key agree; they must then have the
// same Fingerprint.
type Request struct {
	// Credential names who asks: an API key's or a user's id.
	Credential string
	Method     string
	// Route is the path with its parameters ("/v1/emails").
	Route string
	// Key is the value of the Idempotency-Key header, quoted or bare.
	Key string
	// Fingerprint is SHA-256 of path, query and body.
	Fingerprint [sha256.Size]byte
}

// Answer is a stored answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Attempt is one run of a request. Exactly one of three holds: Replay is set, Effect is set, or the request is to be carried
// out under Context and ended with Finish or Abandon.
type Attempt struct {
	// Replay is the answer that was given before.
	Replay *Answer
	// Effect names what was made before ("eml_…") by an attempt whose answer was never stored. The caller renders the answer
	// from the object and calls Finish. An answer that held a secret cannot be rendered again: 409 "secret-already-shown".
	Effect string

	keys  *Keys
	key   []byte
	owner [16]byte
	mu    sync.Mutex
	// pending is an effect that the next commit writes; made is one that a commit has tried to write.
	pending string
	made    string
}

// Begin claims the key or finds what became of it. Errors: fault.Malformed "idempotency-key-invalid"; fault.Invalid
// "idempotency-key-reused" when the key came with another request; fault.Conflict "idempotency-in-progress" while another
// attempt runs (try again in a second).
func (k *Keys) Begin(ctx context.Context, req Request) (*Attempt, error) {
	text, err := parseKey(req.Key)
	if err != nil {
		return nil, err
	}
	a := &Attempt{keys: k, key: rowKey(req, text)}
	_, _ = rand.Read(a.owner[:]) // never fails since Go 1.24: it ends the program instead
	for range claimTries {
		done, err := a.claim(ctx, req.Fingerprint[:])
		if err != nil {
			return nil, pg.Fault(err)
		}
		if done {
			return a, nil
		}
	}
	return nil, errInProgress()
}

// claim tries once to insert the row, to read an outcome from it or to take it over. False means that the row changed in
// between.
func (a *Attempt) claim(ctx context.Context, fingerprint []byte) (bool, error) {
	pool, now := a.keys.pool, a.keys.clk.Now()
	claimed, err := insertKey(ctx, pool, a.key, fingerprint, a.owner, now)
	if claimed || err != nil {
		return claimed, err
	}
	row, found, err := getKey(ctx, pool, a.key)
	switch {
	case err != nil || !found:
		return false, err
	case !now.Before(row.createdAt.Add(Keep)):
		return false, deleteExpired(ctx, pool, a.key, now.Add(-Keep))
	case string(row.fingerprint) != string(fingerprint):
		return false, fault.New(fault.Invalid, "idempotency-key-reused",
			"this Idempotency-Key was used for another request; take a new one for each request")
	case row.answer != nil:
		a.Replay = row.answer
		return true, nil
	case row.effect != "":
		a.Effect, a.made = row.effect, row.effect
		return true, nil
	case now.Before(row.lockedUntil):
		return false, errInProgress()
	}
	return takeOver(ctx, pool, a.key, row.owner, a.owner, now)
}

func errInProgress() error {
	return fault.New(fault.Conflict, "idempotency-in-progress",
		"a request with this Idempotency-Key is still running; try again in a second")
}

type attemptKey struct{}

// Context gives the context under which the request is carried out: every transaction of pg.InTx below it writes the effect
// that SetEffect named, and is aborted with fault.Conflict if another attempt has taken over in the meantime.
func (a *Attempt) Context(ctx context.Context) context.Context {
	return pg.BeforeCommit(context.WithValue(ctx, attemptKey{}, a), a.writeEffect)
}

// SetEffect names what the running transaction makes. A service calls it inside the transaction. Without an attempt in the
// context it does nothing. The last name before the commit counts: whoever makes a thing of several parts names it last.
func SetEffect(ctx context.Context, ref string) {
	a, ok := ctx.Value(attemptKey{}).(*Attempt)
	if !ok || ref == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending = ref
}

// writeEffect runs as the last statement of a transaction.
func (a *Attempt) writeEffect(ctx context.Context, tx pgx.Tx) error {
	a.mu.Lock()
	ref := a.pending
	a.pending = ""
	a.mu.Unlock()
	if ref == "" {
		return nil
	}
	written, err := setEffect(ctx, tx, a.key, a.owner, ref)
	if err != nil {
		return err
	}
	if !written {
		return errInProgress()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made = ref
	return nil
}

// Finish stores the answer. Answers that another attempt may better (400, 422, 429 and 5xx) and answers above 1 MiB are not
// stored: without an effect the key is free again, with one the answer is rendered from it.
func (a *Attempt) Finish(ctx context.Context, status int, header http.Header, body []byte) error {
	passing := status == http.StatusBadRequest || status == http.StatusUnprocessableEntity ||
		status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
	if passing || len(body) > bodyMost {
		return a.Abandon(ctx)
	}
	a.mu.Lock()
	made := a.made
	a.mu.Unlock()
	return pg.Fault(setAnswer(ctx, a.keys.pool, a.key, a.owner, made, Answer{Status: status, Header: header, Body: body}))
}

// Abandon frees the key, unless the attempt has had its effect.
func (a *Attempt) Abandon(ctx context.Context) error {
	return pg.Fault(deleteUnused(ctx, a.keys.pool, a.key, a.owner))
}

// Sweep forgets what is older than 24 hours. A maintenance job calls it.
func (k *Keys) Sweep(ctx context.Context) (deleted int64, err error) {
	deleted, err = sweepKeys(ctx, k.pool, k.clk.Now().Add(-Keep))
	return deleted, pg.Fault(err)
}

// rowKey hashes the parts with their lengths, so that no two requests share a row.
func rowKey(req Request, text string) []byte {
	h := sha256.New()
	for _, part := range []string{req.Credential, req.Method, req.Route, text} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// parseKey reads the header: a Structured Field string (RFC 8941 §3.3.3) or the bare text, 1 to 256 printable ASCII characters.
func parseKey(raw string) (string, error) {
	text, ok := raw, true
	if len(raw) >= 2 && raw[0] == '"' && raw[len(raw)-1] == '"' {
		text, ok = unquote(raw[1 : len(raw)-1])
	}
	if !ok || text == "" || len(text) > 256 {
		return "", errKey()
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return "", errKey()
		}
	}
	return text, nil
}

func unquote(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return "", false
		case s[i] != '\\':
		case i+1 == len(s) || s[i+1] != '"' && s[i+1] != '\\':
			return "", false
		default:
			i++
		}
		out = append(out, s[i])
	}
	return string(out), true
}

func errKey() error {
	return fault.New(fault.Malformed, "idempotency-key-invalid",
		"Idempotency-Key must be 1 to 256 printable ASCII characters, bare or in double quotes").At("Idempotency-Key")
}
