package account

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
)

func TestAKeyOpensWhatItSaysAndIsShownOnce_S25(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	k, secret, err := w.CreateKey(t.Context(), w.owner, CreateKey{
		Name: "shop", Scopes: []string{"users:read", "emails:send", "users:read"}, Domains: []mail.DomainID{w.demo.ID}, Mode: ModeTest,
	})
	if err != nil || !strings.HasPrefix(secret, "ms_test_") || k.CreatedBy != w.owner.Actor() {
		t.Fatalf("%+v, %s, %v", k, secret, err)
	}
	p, err := w.AuthenticateKey(t.Context(), secret, here())
	if err != nil || p.Key != k.ID || !p.Test || p.Remote != here() || !slices.Equal(p.Scopes, []string{"emails:send", "users:read"}) ||
		!p.MayDomain(w.demo.ID) || p.MayDomain(w.other.ID) || p.IsOwner() {
		t.Fatalf("%+v, %v", p, err)
	}
	// Nothing in the database gives the secret away.
	for _, part := range []string{secret, secret[keyPrefixLen+keyIDLen : keyTextLen-keyCheckLen]} {
		for _, table := range []string{"api_key", "event", "audit_event", "idempotency"} {
			if n := w.one(t, `SELECT count(*) FROM `+table+` x WHERE x::text LIKE '%' || $1 || '%'`, part); n != 0 {
				t.Errorf("the secret stands in %s", table)
			}
		}
	}
	got, err := w.GetKey(t.Context(), w.owner, k.ID)
	if err != nil || got.Name != "shop" || got.Mode != ModeTest || got.LastUsedAt == nil {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestTheTimesOfAKeyAreInUTCWhereverTheMachineIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	until := w.clk.Now().Add(time.Hour)
	k, secret, err := w.CreateKey(t.Context(), w.owner, CreateKey{Name: "a", Scopes: []string{"users:read"}, ExpiresAt: &until})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AuthenticateKey(t.Context(), secret, here()); err != nil {
		t.Fatal(err)
	}
	if err := w.RevokeKey(t.Context(), w.owner, k.ID); err != nil {
		t.Fatal(err)
	}
	got, err := w.GetKey(t.Context(), w.owner, k.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]*time.Time{"expires": got.ExpiresAt, "revoked": got.RevokedAt, "last used": got.LastUsedAt, "created": &got.CreatedAt} {
		if at == nil || at.Location() != time.UTC {
			t.Errorf("%s: %v", name, at)
		}
	}
}

func TestEveryWrongKeyIsRefusedAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	_, secret, err := w.CreateKey(t.Context(), w.owner, CreateKey{Name: "a", Scopes: AllScopes()})
	if err != nil {
		t.Fatal(err)
	}
	right, _ := parseKeyText(secret)
	otherSecret, otherMode := right, right
	otherSecret.secret = randomBase62(keySecretLen)
	otherMode.mode = ModeTest
	for name, wrong := range map[string]string{
		"unknown":        newKeyText(mail.KeyID{}.New(noon()), ModeLive).String(),
		"another secret": otherSecret.String(),
		"another mode":   otherMode.String(),
		"mistyped":       secret[:len(secret)-1] + "!",
		"empty":          "",
	} {
		if _, err := w.AuthenticateKey(t.Context(), wrong, here()); text(err) != "unauthenticated unauthenticated" || fault.Public(err) != fault.Public(errUnauthenticated()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeyEndsWhenRevokedOrExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	soon := w.clk.Now().Add(time.Hour)
	revoked, revokedText, err1 := w.CreateKey(t.Context(), w.owner, CreateKey{Name: "a", Scopes: []string{"users:read"}})
	_, expiresText, err2 := w.CreateKey(t.Context(), w.owner, CreateKey{Name: "b", Scopes: []string{"users:read"}, ExpiresAt: &soon})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if _, err := w.AuthenticateKey(t.Context(), expiresText, here()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.RevokeKey(t.Context(), w.owner, revoked.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.AuthenticateKey(t.Context(), revokedText, here()); text(err) != "unauthenticated unauthenticated" {
		t.Errorf("revoked: %v", err)
	}
	w.clk.Advance(time.Hour)
	if _, err := w.AuthenticateKey(t.Context(), expiresText, here()); text(err) != "unauthenticated token-expired" {
		t.Errorf("expired: %v", err)
	}
	if n := w.one(t, `SELECT count(*) FROM event WHERE type = 'api_key.revoked' AND subject = $1`, revoked.ID.String()); n != 1 {
		t.Errorf("%d events for one revocation", n)
	}
}

func TestAKeyMayBeBoundToNetworks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	k, secret, err := w.CreateKey(t.Context(), w.owner, CreateKey{
		Name: "a", Scopes: []string{"users:read"}, AllowedCIDRs: []string{"198.51.100.77/24", "2001:db8::1"},
	})
	if err != nil || !slices.Equal(k.AllowedCIDRs, []string{"198.51.100.0/24", "2001:db8::1/128"}) {
		t.Fatal(k.AllowedCIDRs, err)
	}
	for from, want := range map[string]string{
		"198.51.100.9": "", "::ffff:198.51.100.9": "", "2001:db8::1": "", "198.51.101.9": "forbidden ip-not-allowed",
		"2001:db8::2": "forbidden ip-not-allowed",
	} {
		if _, err := w.AuthenticateKey(t.Context(), secret, netip.MustParseAddr(from)); text(err) != want {
			t.Errorf("%s: %v", from, err)
		}
	}
	if _, err := w.AuthenticateKey(t.Context(), secret, netip.Addr{}); text(err) != "forbidden ip-not-allowed" {
		t.Errorf("from nowhere: %v", err)
	}
}

func TestTheLastUseIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	k, secret, err := w.CreateKey(t.Context(), w.owner, CreateKey{Name: "a", Scopes: []string{"users:read"}})
	if err != nil {
		t.Fatal(err)
	}
	use := func() time.Time {
		if _, err := w.AuthenticateKey(t.Context(), secret, here()); err != nil {
			t.Fatal(err)
		}
		got, err := w.GetKey(t.Context(), w.owner, k.ID)
		if err != nil {
			t.Fatal(err)
		}
		return *got.LastUsedAt
	}
	first := use()
	w.clk.Advance(59 * time.Second)
	if again := use(); !again.Equal(first) {
		t.Errorf("written again after %v", again.Sub(first))
	}
	w.clk.Advance(time.Second)
	if later := use(); !later.Equal(first.Add(time.Minute)) {
		t.Errorf("written as %v", later.Sub(first))
	}
}

func TestNobodyGrantsMoreThanItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	admin := w.admin(t, "boss@demo.test", w.demo.ID)
	nothing := w.admin(t, "nothing@demo.test")
	keys := []string{"api-keys:write", "users:write", "domains:read"}
	testKey := w.key(keys)
	testKey.Test = true
	demo, other := []mail.DomainID{w.demo.ID}, []mail.DomainID{w.other.ID}
	for _, c := range []struct {
		name    string
		p       mail.Principal
		scopes  string
		domains []mail.DomainID
		want    string
		gets    int // domains of the new key
	}{
		{"owner, all", w.owner, strings.Join(AllScopes(), " "), nil, "", 0},
		{"owner, one domain", w.owner, "users:read", demo, "", 1},
		{"owner, unknown scope", w.owner, "users:read world:write", nil, "invalid validation-failed", 0},
		{"owner, no scope", w.owner, "", nil, "invalid validation-failed", 0},
		{"owner, unknown domain", w.owner, "users:read", []mail.DomainID{mail.DomainID{}.New(noon())}, "invalid validation-failed", 0},
		{"admin, none named", admin, "users:write emails:send", nil, "", 1},
		{"admin, own", admin, "users:write", demo, "", 1},
		{"admin, foreign", admin, "users:write", other, "invalid validation-failed", 0},
		{"admin, the whole server", admin, "metrics:read", demo, "forbidden scope-missing", 0},
		{"admin of nothing", nothing, "users:read", nil, "forbidden domain-forbidden", 0},
		{"key, own", w.key(keys), "users:write domains:read", nil, "", 0},
		{"key, included", w.key(keys), "users:read api-keys:read", nil, "", 0},
		{"key, more", w.key(keys), "domains:write", nil, "forbidden scope-missing", 0},
		{"key, metrics", w.key(keys), "metrics:read", nil, "forbidden scope-missing", 0},
		{"key of a domain, none named", w.key(keys, w.demo.ID), "users:write", nil, "", 1},
		{"key of a domain, foreign", w.key(keys, w.demo.ID), "users:write", other, "invalid validation-failed", 0},
		{"key without the scope", w.key([]string{"users:write", "api-keys:read"}), "users:read", nil, "forbidden scope-missing", 0},
		{"test key", testKey, "users:read", nil, "forbidden forbidden", 0},
		{"user", w.user(t, "alice@demo.test").principal(), "users:read", nil, "forbidden forbidden", 0},
		{"nobody", mail.Principal{}, "users:read", nil, "unauthenticated unauthenticated", 0},
	} {
		k, _, err := w.CreateKey(t.Context(), c.p, CreateKey{Name: "x", Scopes: strings.Fields(c.scopes), Domains: c.domains})
		if text(err) != c.want || err == nil && len(k.Domains) != c.gets {
			t.Errorf("%s: %d domains, %v", c.name, len(k.Domains), err)
		}
	}
}

func TestBadWishesForAKeyAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	past := noon().Add(-time.Hour)
	for name, in := range map[string]CreateKey{
		"no name":      {Scopes: []string{"users:read"}},
		"long name":    {Name: strings.Repeat("x", 101), Scopes: []string{"users:read"}},
		"control":      {Name: "a\nb", Scopes: []string{"users:read"}},
		"mode":         {Name: "a", Scopes: []string{"users:read"}, Mode: "dead"},
		"expired":      {Name: "a", Scopes: []string{"users:read"}, ExpiresAt: &past},
		"network":      {Name: "a", Scopes: []string{"users:read"}, AllowedCIDRs: []string{"10.0.0.0/33"}},
		"zone":         {Name: "a", Scopes: []string{"users:read"}, AllowedCIDRs: []string{"fe80::1%eth0"}},
		"all networks": {Name: "a", Scopes: []string{"users:read"}, AllowedCIDRs: slices.Repeat([]string{"10.0.0.1"}, 51)},
	} {
		if _, _, err := w.CreateKey(t.Context(), w.owner, in); text(err) != "invalid validation-failed" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysAreSeenByWhomTheyCannotExceed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	admin := w.admin(t, "boss@demo.test", w.demo.ID)
	made := map[string]mail.KeyID{}
	for name, domains := range map[string][]mail.DomainID{"demo": {w.demo.ID}, "other": {w.other.ID}, "both": {w.demo.ID, w.other.ID}, "all": nil} {
		k, _, err := w.CreateKey(t.Context(), w.owner, CreateKey{Name: name, Scopes: []string{"users:read"}, Domains: domains})
		if err != nil {
			t.Fatal(err)
		}
		made[name] = k.ID
	}
	reader := []string{"api-keys:write"}
	for _, c := range []struct {
		name, sees string
		p          mail.Principal
	}{
		{"owner", "all both demo other", w.owner},
		{"admin", "demo", admin},
		{"key", "all both demo other", w.key(reader)},
		{"key of demo", "demo", w.key(reader, w.demo.ID)},
		{"key of both", "both demo other", w.key(reader, w.demo.ID, w.other.ID)},
	} {
		keys, _, err := w.ListKeys(t.Context(), c.p, KeyQuery{})
		var names []string
		for _, k := range keys {
			names = append(names, k.Name)
		}
		slices.Sort(names)
		if err != nil || strings.Join(names, " ") != c.sees {
			t.Errorf("%s lists %v, %v", c.name, names, err)
		}
		for name, id := range made {
			_, err := w.GetKey(t.Context(), c.p, id)
			want := map[bool]string{true: "", false: "not_found not-found"}[slices.Contains(strings.Fields(c.sees), name)]
			if text(err) != want {
				t.Errorf("%s reads %s: %v", c.name, name, err)
			}
			if want != "" {
				if err := w.RevokeKey(t.Context(), c.p, id); text(err) != want {
					t.Errorf("%s revokes %s: %v", c.name, name, err)
				}
			}
		}
	}
	for name, p := range map[string]mail.Principal{"user": w.user(t, "alice@demo.test").principal(), "other key": w.key([]string{"users:write"})} {
		if _, _, err := w.ListKeys(t.Context(), p, KeyQuery{}); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s lists keys: %v", name, err)
		}
		if err := w.RevokeKey(t.Context(), p, made["demo"]); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s revokes keys: %v", name, err)
		}
	}
}

func TestKeysAreListedPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	for i := range 7 {
		w.clk.Advance(time.Millisecond)
		if _, _, err := w.CreateKey(t.Context(), w.owner, CreateKey{Name: fmt.Sprint(i), Scopes: []string{"users:read"}}); err != nil {
			t.Fatal(err)
		}
	}
	if keys, next, err := w.ListKeys(t.Context(), w.owner, KeyQuery{Limit: 7}); err != nil || len(keys) != 7 || !next.IsZero() {
		t.Errorf("a full page that is the last: %d, %v, %v", len(keys), next, err)
	}
	var names []string
	for q := (KeyQuery{Limit: 3}); ; {
		keys, next, err := w.ListKeys(t.Context(), w.owner, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			names = append(names, k.Name)
		}
		if q.After = next; next.IsZero() {
			break
		}
	}
	if strings.Join(names, "") != "6543210" {
		t.Fatalf("listed %v", names)
	}
}

func TestCredentialsOfRequestsAreCounted_A74(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	_, secret, err := w.CreateKey(t.Context(), w.owner, CreateKey{Name: "a", Scopes: AllScopes(), AllowedCIDRs: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, ok, failed int) {
		t.Helper()
		if w.metrics.get("ok api") != ok || w.metrics.get("failed api") != failed {
			t.Errorf("%s: %v, want %d ok and %d failed", what, w.metrics.seen, ok, failed)
		}
	}
	for range 2 {
		_, err = w.AuthenticateKey(t.Context(), secret, here())
	}
	if err != nil {
		t.Fatal(err)
	}
	expect("a good key", 2, 0)
	_, _ = w.AuthenticateKey(t.Context(), "ms_live_nonsense", here())
	expect("no key", 2, 1)
	_, _ = w.AuthenticateKey(t.Context(), secret, netip.MustParseAddr("198.51.100.1"))
	expect("a foreign network", 2, 2)
	_, _ = w.VerifyAccess(t.Context(), "nonsense", here())
	expect("no token", 2, 3)
	tokens := w.signedIn(t, "admin@demo.test")
	_, err = w.VerifyAccess(t.Context(), tokens.Access, here())
	if err != nil {
		t.Fatal(err)
	}
	expect("a sign-in without a word of its own", 3, 3)
	w.pool.Close()
	_, _ = w.AuthenticateKey(t.Context(), secret, here())
	expect("the database is down", 3, 3)
}

func TestTheScopesAreWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range Scopes() {
		resource, verb, ok := strings.Cut(s.Name, ":")
		if !ok || resource == "" || verb == "" || s.Text == "" || seen[s.Name] {
			t.Errorf("scope %+v", s)
		}
		seen[s.Name] = true
		if verb == "write" && !seen[resource+":read"] {
			t.Errorf("%s has no reading half", s.Name)
		}
	}
}
