package account

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/seal"
)

func masterKey(t *testing.T, b byte) *seal.Box {
	t.Helper()
	box, err := seal.New(seal.Key{b})
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestTheKeyOfAccessTokensLiesSealed_S35(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	tokens, _, err := w.SignIn(t.Context(), "admin@demo.test", goodPassword, SessionInfo{})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := w.signers.all(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	var sealed []byte
	if err := w.pool.QueryRow(t.Context(), `SELECT sealed_key FROM signing_key WHERE private_key IS NULL`).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, keys[0].private.Seed()) {
		t.Error("the key lies in the clear")
	}
	if _, err := w.node(limit.ProfileNone).VerifyAccess(t.Context(), tokens.Access, here()); err != nil {
		t.Errorf("another node with the master key: %v", err)
	}
	ids, err := SealedWith(t.Context(), w.pool)
	if err != nil || len(ids) != 1 || !masterKey(t, 1).Knows(ids[0]) {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestAKeyThatLayInTheClearIsSealedAndSessionsGoOn_S35(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	tokens, _, err := w.SignIn(t.Context(), "admin@demo.test", goodPassword, SessionInfo{})
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := w.signers.all(t.Context())
	// What an older server wrote.
	if _, err := w.pool.Exec(t.Context(), `UPDATE signing_key SET private_key = $1, sealed_key = NULL`, keys[0].private.Seed()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		node := w.node(limit.ProfileNone)
		if _, err := node.VerifyAccess(t.Context(), tokens.Access, here()); err != nil {
			t.Fatal(err)
		}
		if n := w.one(t, `SELECT count(*) FROM signing_key WHERE private_key IS NULL AND sealed_key IS NOT NULL`); n != 1 {
			t.Fatal("the key lies in the clear still")
		}
	}
	if _, err := w.node(limit.ProfileNone).Refresh(t.Context(), tokens.Refresh, SessionInfo{}); err != nil {
		t.Errorf("the session was lost: %v", err)
	}
}

func TestWithoutTheMasterKeyThereAreNoSessionsAndTheRestWorks_S35(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	tokens, _, err := w.SignIn(t.Context(), "admin@demo.test", goodPassword, SessionInfo{})
	if err != nil {
		t.Fatal(err)
	}
	_, keyText, err := w.CreateKey(t.Context(), w.owner, CreateKey{Name: "k", Scopes: []string{"domains:read"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, box := range map[string]*seal.Box{"no key": nil, "another key": masterKey(t, 2)} {
		lost := w.nodeWith(limit.ProfileNone, box)
		_, _, signIn := lost.SignIn(t.Context(), "admin@demo.test", goodPassword, SessionInfo{})
		_, refresh := lost.Refresh(t.Context(), tokens.Refresh, SessionInfo{})
		_, access := lost.VerifyAccess(t.Context(), tokens.Access, here())
		for what, err := range map[string]error{"sign in": signIn, "refresh": refresh, "access": access} {
			if text(err) != "unavailable key-unavailable" {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if _, err := lost.AuthenticateKey(t.Context(), keyText, here()); err != nil {
			t.Errorf("%s: API keys do not work: %v", name, err)
		}
		if _, err := lost.Authenticate(t.Context(), "imap", "admin@demo.test", goodPassword, here()); err != nil {
			t.Errorf("%s: IMAP does not work: %v", name, err)
		}
	}
	if n := w.one(t, `SELECT count(*) FROM signing_key`); n != 1 {
		t.Errorf("%d keys: a new one was made in silence", n)
	}
	// Two keys whose ciphertexts were swapped open neither.
	if _, err := w.pool.Exec(t.Context(), `UPDATE signing_key SET kid = 'other'`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.node(limit.ProfileNone).SignIn(t.Context(), "admin@demo.test", goodPassword, SessionInfo{}); text(err) != "unavailable key-unavailable" {
		t.Errorf("a ciphertext opens under another row's name: %v", err)
	}
}

// A row from before a master key was lost must not shut everybody out for ever.
func TestAKeyThatCannotBeUsedEndsItsOwnSessionsAlone_S35(t *testing.T) {
	t.Parallel()
	for what, spoiled := range map[string]struct {
		sealed, clear string
		newest        bool
	}{
		"sealed with a lost master key": {sealed: string(sealedBy(t, 9)), newest: true},
		"an old one":                    {sealed: string(sealedBy(t, 9))},
		"changed bytes":                 {sealed: "rubbish", newest: true},
		"a wrong size":                  {clear: "short", newest: true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, limit.ProfileNone)
			tokens, _, err := w.SignIn(t.Context(), "admin@demo.test", goodPassword, SessionInfo{})
			if err != nil {
				t.Fatal(err)
			}
			at := noon().Add(-time.Hour)
			if spoiled.newest {
				at = noon().Add(time.Hour)
			}
			if _, err := w.pool.Exec(t.Context(), `INSERT INTO signing_key (kid, sealed_key, private_key, created_at) VALUES ('spoiled', $1, $2, $3)`,
				orNull(spoiled.sealed), orNull(spoiled.clear), at); err != nil {
				t.Fatal(err)
			}
			log := &strings.Builder{}
			node := w.nodeLogging(limit.ProfileNone, masterKey(t, 1), slog.New(slog.NewTextHandler(log, nil)))
			if _, err := node.VerifyAccess(t.Context(), tokens.Access, here()); err != nil {
				t.Errorf("a session of the key that opens: %v", err)
			}
			if _, _, err := node.SignIn(t.Context(), "admin@demo.test", goodPassword, SessionInfo{}); err != nil {
				t.Errorf("a new session: %v", err)
			}
			for range 3 {
				w.clk.Advance(reloadEvery)
				if _, known, err := node.signers.find(t.Context(), "spoiled"); known || err != nil {
					t.Errorf("the spoiled key: %t, %v", known, err)
				}
			}
			if n := strings.Count(log.String(), "key_unavailable"); n != 1 || !strings.Contains(log.String(), "kid=spoiled") {
				t.Errorf("%d lines in the log: %s", n, log)
			}
		})
	}
}

// sealedBy gives a seed that another master key sealed.
func sealedBy(t *testing.T, key byte) []byte {
	t.Helper()
	sealed, err := masterKey(t, key).Seal(place("spoiled"), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func orNull(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}
