package account

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

func browser() SessionInfo { return SessionInfo{UserAgent: firefox, Remote: here()} }

func (w world) signedIn(t *testing.T, email string) Tokens {
	t.Helper()
	tokens, u, err := w.SignIn(t.Context(), email, goodPassword, browser())
	if err != nil || u.ID.IsZero() {
		t.Fatalf("%+v, %v", u, err)
	}
	return tokens
}

func (w world) refresh(t *testing.T, token string) Tokens {
	t.Helper()
	tokens, err := w.Refresh(t.Context(), token, browser())
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (w world) dead(t *testing.T, what, token string) {
	t.Helper()
	if _, err := w.Refresh(t.Context(), token, browser()); text(err) != "unauthenticated unauthenticated" {
		t.Errorf("%s: refreshed, %v", what, err)
	}
}

func TestASessionLastsByRefreshing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	tokens := w.signedIn(t, "admin@demo.test")
	if tokens.ExpiresIn != 10*time.Minute || !tokens.RefreshUntil.Equal(w.clk.Now().Add(7*24*time.Hour)) {
		t.Errorf("lives: %v, until %v", tokens.ExpiresIn, tokens.RefreshUntil)
	}
	p, err := w.VerifyAccess(t.Context(), tokens.Access, here())
	if err != nil || p.User != w.owner.User || !p.IsOwner() || p.Remote != here() {
		t.Fatalf("%+v, %v", p, err)
	}
	w.clk.Advance(10*time.Minute + 31*time.Second)
	if _, err := w.VerifyAccess(t.Context(), tokens.Access, here()); text(err) != "unauthenticated token-expired" {
		t.Errorf("an expired token: %v", err)
	}
	next := w.refresh(t, tokens.Refresh)
	if next.Refresh == tokens.Refresh || next.Access == tokens.Access || next.Session != tokens.Session {
		t.Error("the tokens did not change")
	}
	if _, err := w.VerifyAccess(t.Context(), next.Access, here()); err != nil {
		t.Error(err)
	}
	if n := w.one(t, `SELECT count(*) FROM event WHERE type = 'session.created' AND data->>'session_id' = $1`, tokens.Session.String()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestASpentRefreshTokenEndsTheSession_S23(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	for name, c := range map[string]struct{ rotations int }{"the last but one": {1}, "one long ago": {5}} {
		first := w.signedIn(t, "admin@demo.test")
		newest := first
		for range c.rotations {
			w.clk.Advance(time.Minute)
			newest = w.refresh(t, newest.Refresh)
		}
		w.clk.Advance(11 * time.Second)
		w.dead(t, name, first.Refresh)
		w.dead(t, name+" took the newest along", newest.Refresh)
		if _, err := w.VerifyAccess(t.Context(), newest.Access, here()); text(err) != "unauthenticated unauthenticated" {
			t.Errorf("%s: the access token still opens: %v", name, err)
		}
		n := w.one(t, `SELECT count(*) FROM audit_event WHERE action = 'session.revoke' AND data->>'session_id' = $1`, first.Session.String())
		if n != 1 {
			t.Errorf("%s: %d audit rows", name, n)
		}
	}
}

func TestTwoTabsThatRefreshAtOnceGetTheSameSuccessor_S23(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	tokens := w.signedIn(t, "admin@demo.test")
	var wg sync.WaitGroup
	results := make([]string, 8)
	for i := range results {
		wg.Go(func() {
			got, err := w.Refresh(t.Context(), tokens.Refresh, browser())
			if err != nil {
				t.Error(err)
			}
			results[i] = got.Refresh
		})
	}
	wg.Wait()
	for _, r := range results {
		if r != results[0] {
			t.Fatal("two tabs hold different tokens; the next refresh of one signs both out")
		}
	}
	w.clk.Advance(10 * time.Second)
	if again := w.refresh(t, tokens.Refresh); again.Refresh != results[0] {
		t.Error("within the grace the token is another")
	}
	w.refresh(t, results[0])
	// Once the successor was used the first is spent for good, however early.
	w.dead(t, "within ten seconds of another rotation", tokens.Refresh)
}

func TestASessionRunsOut_S23(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	idle, kept := w.signedIn(t, "admin@demo.test"), w.signedIn(t, "admin@demo.test")
	w.clk.Advance(7*24*time.Hour - time.Second)
	kept = w.refresh(t, kept.Refresh)
	w.clk.Advance(time.Second)
	w.dead(t, "after a week without use", idle.Refresh)
	for range 3 {
		w.clk.Advance(7*24*time.Hour - time.Minute)
		kept = w.refresh(t, kept.Refresh)
	}
	if end := noon().Add(30 * 24 * time.Hour); kept.RefreshUntil.After(end.Add(time.Second)) {
		t.Errorf("the cookie would live until %v", kept.RefreshUntil)
	}
	w.clk.Set(noon().Add(30*24*time.Hour + time.Second))
	w.dead(t, "after thirty days", kept.Refresh)
	w.clk.Advance(24 * time.Hour)
	if n, err := w.SweepSessions(t.Context()); n != 2 || err != nil {
		t.Errorf("swept %d sessions, %v", n, err)
	}
}

func TestWhatWasNeverARefreshTokenDisturbsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	tokens := w.signedIn(t, "admin@demo.test")
	raw, err := base64.RawURLEncoding.DecodeString(tokens.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	// A made-up token with the right session id must not end the session.
	for i := range raw[refreshID:] {
		forged := append([]byte{}, raw...)
		forged[refreshID+i] ^= 1
		w.dead(t, "forged", base64.RawURLEncoding.EncodeToString(forged))
	}
	for _, bad := range []string{"", "x", tokens.Refresh + "AAAA", tokens.Refresh[1:], tokens.Access, strings.Repeat("A", 86), "\x00"} {
		w.dead(t, "garbage", bad)
		if err := w.SignOut(t.Context(), bad, here()); err != nil {
			t.Errorf("signing out with garbage: %v", err)
		}
	}
	w.refresh(t, tokens.Refresh)
	stored := w.one(t, `SELECT count(*) FROM session x WHERE x::text LIKE '%' || encode($1, 'hex') || '%'`, raw[refreshID:refreshID+refreshValue])
	if stored != 0 {
		t.Error("the token itself stands in the database")
	}
}

func TestARefreshTokenBelongsToOneKindOfBrowser_S23(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	tokens := w.signedIn(t, "admin@demo.test")
	updated := browser()
	updated.UserAgent = strings.ReplaceAll(firefox, "140.0", "152.0")
	next, err := w.Refresh(t.Context(), tokens.Refresh, updated)
	if err != nil {
		t.Fatalf("after an update of the browser: %v", err)
	}
	thief := browser()
	thief.UserAgent = "curl/7.88.1"
	if _, err := w.Refresh(t.Context(), next.Refresh, thief); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("another program: %v", err)
	}
	w.dead(t, "after the theft", next.Refresh)
}

func TestSigningOutEndsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	for name, out := range map[string]func(Tokens) error{
		"by cookie": func(tk Tokens) error { return w.SignOut(t.Context(), tk.Refresh, here()) },
		"by token":  func(tk Tokens) error { return w.SignOutAccess(t.Context(), tk.Access, here()) },
	} {
		tokens, other := w.signedIn(t, "admin@demo.test"), w.signedIn(t, "admin@demo.test")
		if _, err := w.VerifyAccess(t.Context(), tokens.Access, here()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := out(tokens); err != nil {
				t.Fatal(name, err)
			}
		}
		if _, err := w.VerifyAccess(t.Context(), tokens.Access, here()); text(err) != "unauthenticated unauthenticated" {
			t.Errorf("%s: the access token still opens: %v", name, err)
		}
		w.dead(t, name, tokens.Refresh)
		if _, err := w.VerifyAccess(t.Context(), other.Access, here()); err != nil {
			t.Errorf("%s: another session ended too: %v", name, err)
		}
	}
}

func TestNoTokenSurvivesAChangeOfTheAccount_S24(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(ctx context.Context, w world, id mail.UserID) error{
		"password": func(ctx context.Context, w world, id mail.UserID) error {
			return w.SetPassword(ctx, w.owner, id, SetPassword{New: newPassword})
		},
		"disabled": func(ctx context.Context, w world, id mail.UserID) error {
			return second(w.Update(ctx, w.owner, id, Update{Status: new(Disabled)}))
		},
		"role": func(ctx context.Context, w world, id mail.UserID) error {
			return second(w.Update(ctx, w.owner, id, Update{Role: new(mail.RoleUser)}))
		},
		"deleted": func(ctx context.Context, w world, id mail.UserID) error {
			return w.Delete(ctx, w.owner, id, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, limit.ProfileNone)
			u := w.create(t, Create{Email: "boss@demo.test", Password: goodPassword, Role: mail.RoleAdmin, Domains: []mail.DomainID{w.demo.ID}})
			tokens, second := w.signedIn(t, "boss@demo.test"), w.node(limit.ProfileNone)
			for _, n := range []*Service{w.Service, second} {
				if p, err := n.VerifyAccess(t.Context(), tokens.Access, here()); err != nil || !p.MayDomain(w.demo.ID) {
					t.Fatalf("%+v, %v", p, err)
				}
			}
			if err := change(t.Context(), w, u.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := w.VerifyAccess(t.Context(), tokens.Access, here()); text(err) != "unauthenticated unauthenticated" {
				t.Errorf("the node that changed it: %v", err)
			}
			w.clk.Advance(5 * time.Second)
			if _, err := second.VerifyAccess(t.Context(), tokens.Access, here()); text(err) != "unauthenticated unauthenticated" {
				t.Errorf("another node after five seconds: %v", err)
			}
			w.dead(t, name, tokens.Refresh)
		})
	}
}

func TestAPageOfManyRequestsAsksTheDatabaseOnce_S24(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	tokens := w.signedIn(t, "admin@demo.test")
	if _, err := w.VerifyAccess(t.Context(), tokens.Access, here()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.pool.Exec(t.Context(), `UPDATE account SET auth_epoch = auth_epoch + 1`); err != nil {
		t.Fatal(err)
	}
	w.clk.Advance(5*time.Second - 1)
	if _, err := w.VerifyAccess(t.Context(), tokens.Access, here()); err != nil {
		t.Errorf("asked again within five seconds: %v", err)
	}
	w.clk.Advance(1)
	if _, err := w.VerifyAccess(t.Context(), tokens.Access, here()); err == nil {
		t.Error("believed for longer than five seconds")
	}
}

func TestAllNodesShareOneSigningKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	nodes := make([]*Service, 6)
	tokens := make([]Tokens, len(nodes))
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			nodes[i] = w.node(limit.ProfileNone)
			var err error
			if tokens[i], _, err = nodes[i].SignIn(t.Context(), "admin@demo.test", goodPassword, browser()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.one(t, `SELECT count(*) FROM signing_key`); n != 1 {
		t.Fatalf("%d signing keys were made", n)
	}
	for i, n := range nodes {
		if _, err := n.VerifyAccess(t.Context(), tokens[(i+1)%len(tokens)].Access, here()); err != nil {
			t.Error(err)
		}
	}
	// A key that is added later signs; what the old one signed is good until it is retired.
	_, err := w.pool.Exec(t.Context(), `INSERT INTO signing_key (kid, private_key, created_at) VALUES ('next', $1, $2)`,
		make([]byte, ed25519.SeedSize), w.clk.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	w.clk.Advance(reloadEvery)
	fresh, err := w.node(limit.ProfileNone).Refresh(t.Context(), tokens[0].Refresh, browser())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[0].VerifyAccess(t.Context(), fresh.Access, here()); err != nil {
		t.Errorf("a node does not find the new key: %v", err)
	}
}

// craft signs claims with a method and key of the attacker's choice.
func craft(t *testing.T, method jwt.SigningMethod, key any, kid any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != nil {
		token.Header["kid"] = kid
	}
	out, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCraftedTokensAreAllRefusedAlike_S22(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	good := w.signedIn(t, "admin@demo.test")
	keys, err := w.signers.all(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours, kid := keys[0].private, keys[0].kid
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change jwt.MapClaims) jwt.MapClaims {
		now := w.clk.Now()
		c := jwt.MapClaims{
			"iss": "mailserver", "aud": accessFor, "sub": w.owner.User.String(), "sid": good.Session.String(), "epoch": 1,
			"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		}
		for k, v := range change {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return c
	}
	eddsa := jwt.SigningMethodEdDSA
	if _, err := w.VerifyAccess(t.Context(), craft(t, eddsa, ours, kid, with(nil)), here()); err != nil {
		t.Fatalf("the unchanged claims: %v", err)
	}
	parts := strings.Split(good.Access, ".")
	payload, err := json.Marshal(with(jwt.MapClaims{"sub": "usr_x"}))
	if err != nil {
		t.Fatal(err)
	}
	alice := w.user(t, "alice@demo.test")
	later, earlier := w.clk.Now().Add(time.Minute).Unix(), w.clk.Now().Add(-31*time.Second).Unix()
	for name, token := range map[string]string{
		"none":             craft(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, with(nil)),
		"HMAC with public": craft(t, jwt.SigningMethodHS256, []byte(keys[0].public), kid, with(nil)),
		"another's key":    craft(t, eddsa, stranger, kid, with(nil)),
		"unknown kid":      craft(t, eddsa, ours, "other", with(nil)),
		"kid as a path":    craft(t, eddsa, stranger, "../../dev/null", with(nil)),
		"kid as SQL":       craft(t, eddsa, stranger, "' OR 1=1 --", with(nil)),
		"kid as a number":  craft(t, eddsa, ours, 7, with(nil)),
		"no kid":           craft(t, eddsa, ours, nil, with(nil)),
		"no issuer":        craft(t, eddsa, ours, kid, with(jwt.MapClaims{"iss": nil})),
		"another issuer":   craft(t, eddsa, ours, kid, with(jwt.MapClaims{"iss": "evil"})),
		"no audience":      craft(t, eddsa, ours, kid, with(jwt.MapClaims{"aud": nil})),
		"another audience": craft(t, eddsa, ours, kid, with(jwt.MapClaims{"aud": "webmail"})),
		"no expiry":        craft(t, eddsa, ours, kid, with(jwt.MapClaims{"exp": nil})),
		"no issue time":    craft(t, eddsa, ours, kid, with(jwt.MapClaims{"iat": nil})),
		"from the future":  craft(t, eddsa, ours, kid, with(jwt.MapClaims{"iat": later})),
		"not yet":          craft(t, eddsa, ours, kid, with(jwt.MapClaims{"nbf": later})),
		"no session":       craft(t, eddsa, ours, kid, with(jwt.MapClaims{"sid": nil})),
		"unknown session":  craft(t, eddsa, ours, kid, with(jwt.MapClaims{"sid": mail.SessionID{}.New(noon()).String()})),
		"bad session":      craft(t, eddsa, ours, kid, with(jwt.MapClaims{"sid": w.owner.User.String()})),
		"another user":     craft(t, eddsa, ours, kid, with(jwt.MapClaims{"sub": alice.ID.String()})),
		"another epoch":    craft(t, eddsa, ours, kid, with(jwt.MapClaims{"epoch": 2})),
		"changed payload":  parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2],
		"no signature":     parts[0] + "." + parts[1] + ".",
		"expired, forged":  craft(t, eddsa, stranger, kid, with(jwt.MapClaims{"exp": earlier})),
		"empty":            "",
		"garbage":          "a.b.c",
		"huge":             strings.Repeat("a", 1<<20),
	} {
		_, err := w.VerifyAccess(t.Context(), token, here())
		if text(err) != "unauthenticated unauthenticated" || fault.Public(err) != fault.Public(errUnauthenticated()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.VerifyAccess(t.Context(), craft(t, eddsa, ours, kid, with(jwt.MapClaims{"exp": earlier})), here()); text(err) != "unauthenticated token-expired" {
		t.Errorf("expired beyond the leeway: %v", err)
	}
	if _, err := w.VerifyAccess(t.Context(), craft(t, eddsa, ours, kid, with(jwt.MapClaims{"exp": earlier + 2})), here()); err != nil {
		t.Errorf("expired within the leeway: %v", err)
	}
}

func TestASignInThatFailsBeginsNoSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	waited, err := w.held(t, func() error {
		_, _, err := w.SignIn(t.Context(), "admin@demo.test", "wrong password!", browser())
		return err
	})
	if text(err) != "unauthenticated invalid-credentials" || waited != time.Second || w.one(t, `SELECT count(*) FROM session`) != 0 {
		t.Fatalf("%v after %v", err, waited)
	}
	if w.metrics.get("failed api") != 1 {
		t.Error("not counted")
	}
	if _, _, err := w.SignIn(t.Context(), "admin@demo.test", goodPassword, SessionInfo{UserAgent: strings.Repeat("\xff\x00x", 10_000), Protocol: "console"}); err != nil {
		t.Fatalf("a hostile user agent: %v", err)
	}
}

func FuzzParseRefresh(f *testing.F) {
	key, err := newSigner("k", make([]byte, ed25519.SeedSize))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(newRefreshToken(mail.SessionID{}.New(noon())).text(key.refresh))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if token, k, ok := parseRefresh(text, []signer{key}); ok && token.text(k) != text {
			t.Fatalf("%q is read as %q", text, token.text(k))
		}
	})
}
