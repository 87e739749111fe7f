package domain_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/seal"
)

// signer is a service that keeps keys.
type signer struct {
	*domain.Service
	pool *pg.Pool
	clk  *clock.Fake
	dns  *dns.Fake
	log  *strings.Builder
	cfg  domain.Config
}

func newSigner(t *testing.T, change ...func(*domain.Config)) signer {
	t.Helper()
	return signerOn(t, pgtest.DB(t), clock.NewFake(noon()), change...)
}

func masterKey(t *testing.T, b byte) *seal.Box {
	t.Helper()
	box, err := seal.New(seal.Key{b})
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// signerOn is a node on a database.
func signerOn(t *testing.T, pool *pg.Pool, clk *clock.Fake, change ...func(*domain.Config)) signer {
	t.Helper()
	s := signer{pool: pool, clk: clk, dns: dns.NewFake(nil), log: &strings.Builder{}}
	s.cfg = domain.Config{AutoVerify: true, Hostname: "mx.host.test", Box: masterKey(t, 1), Resolver: s.dns, DefaultKeys: domain.KeysEd25519}
	for _, c := range change {
		c(&s.cfg)
	}
	s.Service = domain.New(s.pool, s.clk, bus.New(), slog.New(slog.NewTextHandler(s.log, nil)), s.cfg)
	return s
}

func byDNS(c *domain.Config) { c.AutoVerify = false }

func (s signer) keys(t *testing.T, id mail.DomainID) []domain.DKIMKey {
	t.Helper()
	keys, _, err := s.ListDKIMKeys(t.Context(), owner(), id, mail.DKIMKeyID{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (s signer) add(t *testing.T, id mail.DomainID, in domain.CreateDKIMKey) domain.DKIMKey {
	t.Helper()
	s.clk.Advance(time.Second)
	k, err := s.CreateDKIMKey(t.Context(), owner(), id, in)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (s signer) set(t *testing.T, k domain.DKIMKey, state domain.KeyState) domain.DKIMKey {
	t.Helper()
	out, err := s.UpdateDKIMKey(t.Context(), owner(), k.DomainID, k.ID, state, 0)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s signer) sign(t *testing.T, id mail.DomainID, message string) (string, error) {
	t.Helper()
	return s.Sign(t.Context(), id, s.clk.Now(), strings.NewReader(message), int64(len(message)))
}

func (s signer) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestANewDomainSignsWithAnRSAAndAnEd25519Key_O50(t *testing.T) {
	t.Parallel()
	s := newSigner(t, func(c *domain.Config) { c.DefaultKeys = "" })
	d := make1(t, s.Service, "example.test")
	keys := s.keys(t, d.ID)
	if len(keys) != 2 {
		t.Fatalf("%d keys", len(keys))
	}
	bySelector := map[string]domain.DKIMKey{}
	for _, k := range keys {
		bySelector[k.Selector] = k
		if k.State != domain.KeyActive || !k.Available || k.Source != domain.SourceDatabase || k.Version != 1 || k.ActivatedAt == nil {
			t.Errorf("%+v", k)
		}
		if got, err := s.GetDKIMKey(t.Context(), owner(), d.ID, k.ID); err != nil || got.RecordValue() != k.RecordValue() {
			t.Errorf("%+v, %v", got, err)
		}
	}
	r, e := bySelector["202611r1"], bySelector["202611e1"]
	if r.Algorithm != domain.RSA2048 || e.Algorithm != domain.Ed25519 || len(e.Public) != ed25519.PublicKeySize {
		t.Errorf("%+v", bySelector)
	}
	if _, err := x509.ParsePKIXPublicKey(r.Public); err != nil || r.RecordName() != "202611r1._domainkey.example.test" ||
		!strings.HasPrefix(r.RecordValue(), "v=DKIM1; k=rsa; p=MIIB") || !strings.HasPrefix(e.RecordValue(), "v=DKIM1; k=ed25519; p=") {
		t.Errorf("%q %q %v", r.RecordValue(), e.RecordValue(), err)
	}
	headers, err := s.sign(t, d.ID, simple)
	if err != nil || strings.Count(headers, "DKIM-Signature:") != 2 || strings.Index(headers, "a=rsa-sha256") > strings.Index(headers, "a=ed25519-sha256") {
		t.Errorf("the RSA signature is not on top of two: %s %v", headers, err)
	}
	if n := s.count(t, `SELECT count(*) FROM event WHERE type = 'dkim.created' AND domain_id = $1`, d.ID); n != 2 {
		t.Errorf("%d events", n)
	}
	if n := s.count(t, `SELECT count(*) FROM audit_event WHERE action = 'dkim_key.create' AND domain_id = $1`, d.ID); n != 2 {
		t.Errorf("%d audit rows", n)
	}
}

func TestTheKeysOfANewDomainCanBeChosen(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for choice, want := range map[domain.KeyChoice]string{"": "ed25519", domain.KeysRSA: "rsa2048", domain.KeysEd25519: "ed25519", domain.KeysNone: ""} {
		d, err := s.Create(t.Context(), owner(), domain.Create{Name: "x" + string(choice) + ".test", DKIM: choice})
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, k := range s.keys(t, d.ID) {
			have = append(have, string(k.Algorithm))
		}
		if strings.Join(have, " ") != want {
			t.Errorf("%q: %v", choice, have)
		}
	}
	if _, err := s.Create(t.Context(), owner(), domain.Create{Name: "y.test", DKIM: "dsa"}); code(err) != "invalid validation-failed" {
		t.Errorf("%v", err)
	}
	none := newSigner(t, func(c *domain.Config) { c.Box = masterKey(t, 1) })
	d, err := none.Create(t.Context(), owner(), domain.Create{Name: "n.test", DKIM: domain.KeysNone})
	if err != nil {
		t.Fatal(err)
	}
	if headers, err := none.sign(t, d.ID, simple); err != nil || headers != "" {
		t.Errorf("without a key: %q, %v", headers, err)
	}
}

func TestTwoDomainsHaveTwoKeys_A11(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	a, b := make1(t, s.Service, "a.test"), make1(t, s.Service, "b.test")
	ka, kb := s.keys(t, a.ID)[0], s.keys(t, b.ID)[0]
	if string(ka.Public) == string(kb.Public) || ka.Selector != kb.Selector {
		t.Errorf("%+v %+v", ka, kb)
	}
	for id, want := range map[mail.DomainID]string{a.ID: "d=a.test;", b.ID: "d=b.test;"} {
		if headers, err := s.sign(t, id, simple); err != nil || !strings.Contains(headers, want) {
			t.Errorf("%s %v", headers, err)
		}
	}
	if _, err := s.GetDKIMKey(t.Context(), owner(), a.ID, kb.ID); code(err) != "not_found not-found" {
		t.Errorf("a key of another domain: %v", err)
	}
}

func TestAKeySignsOnlyWhenTheNameServersShowIt_O51(t *testing.T) {
	t.Parallel()
	s := newSigner(t, byDNS)
	d := make1(t, s.Service, "example.test")
	k := s.keys(t, d.ID)[0]
	if k.State != domain.KeyPending {
		t.Fatalf("%+v", k)
	}
	if headers, err := s.sign(t, d.ID, simple); err != nil || headers != "" {
		t.Fatalf("a pending key signs: %q, %v", headers, err)
	}
	other := s.add(t, d.ID, domain.CreateDKIMKey{Algorithm: domain.Ed25519})
	public := base64.StdEncoding.EncodeToString(k.Public)
	for name, c := range map[string]struct {
		texts []string
		found string
	}{
		"nothing":           {nil, "no such record"},
		"another key":       {[]string{other.RecordValue()}, other.RecordValue()},
		"two records":       {[]string{k.RecordValue(), k.RecordValue()}, "2 records"},
		"text of a program": {[]string{"google-site-verification=x"}, "google-site-verification=x"},
		"no tags":           {[]string{"hello\x00\u202e"}, "hello??"},
		"revoked":           {[]string{"v=DKIM1; k=ed25519; p="}, "revoked"},
		"no k":              {[]string{"v=DKIM1; p=" + public}, "another algorithm"},
		"another version":   {[]string{"v=DKIM2; k=ed25519; p=" + public}, "no DKIM record"},
		"test mode":         {[]string{k.RecordValue() + "; t=y"}, "t=y"},
		"sha1 alone":        {[]string{k.RecordValue() + "; h=sha1"}, "SHA-256"},
		"not for mail":      {[]string{k.RecordValue() + "; s=tlsrpt"}, "does not allow"},
		"a tag twice":       {[]string{k.RecordValue() + "; p=" + public}, "no DKIM record"},
		"endless":           {[]string{k.RecordValue() + "; n=" + strings.Repeat("x", 5000)}, "no DKIM record"},
	} {
		s.dns.Set("TXT", k.RecordName(), c.texts...)
		_, err := s.UpdateDKIMKey(t.Context(), owner(), d.ID, k.ID, domain.KeyActive, 0)
		if code(err) != "conflict dns-not-published" || !strings.Contains(err.Error(), c.found) || len(err.Error()) > 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.dns.Fail(k.RecordName(), dns.ErrServFail)
	if _, err := s.UpdateDKIMKey(t.Context(), owner(), d.ID, k.ID, domain.KeyActive, 0); code(err) != "unavailable dns-unavailable" {
		t.Errorf("name servers that are down: %v", err)
	}
	s.dns.Fail(k.RecordName(), nil)
	for i, good := range []string{
		k.RecordValue(), "k=ed25519;p=" + public + ";", "v=DKIM1; h=sha1:sha256; k=ed25519; s=*; t=s; n=hello; p=" + public[:20] + " \t" + public[20:],
	} {
		s.dns.Set("TXT", k.RecordName(), good)
		if got := s.set(t, k, domain.KeyActive); got.State != domain.KeyActive || got.ActivatedAt == nil {
			t.Errorf("%d: %+v", i, got)
		}
		if headers, err := s.sign(t, d.ID, simple); err != nil || !strings.Contains(headers, "s="+k.Selector) {
			t.Errorf("%d: %s %v", i, headers, err)
		}
		s.set(t, k, domain.KeyRetiring)
	}
}

func TestAKeyGoesItsWayAndNotBack_O51(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d := make1(t, s.Service, "example.test")
	first := s.keys(t, d.ID)[0]
	s.clk.Advance(time.Hour)
	second := s.add(t, d.ID, domain.CreateDKIMKey{Algorithm: domain.Ed25519})
	if second.Selector != "202611e2" || second.State != domain.KeyActive {
		t.Errorf("%+v", second)
	}
	first, _ = s.GetDKIMKey(t.Context(), owner(), d.ID, first.ID)
	if first.State != domain.KeyRetiring || first.Version != 2 || first.RetiredAt == nil {
		t.Errorf("the key of the same kind still signs: %+v", first)
	}
	if headers, _ := s.sign(t, d.ID, simple); strings.Count(headers, "DKIM-Signature:") != 1 || !strings.Contains(headers, "s=202611e2") {
		t.Errorf("%s", headers)
	}
	update := func(k domain.DKIMKey, state domain.KeyState, version int64) error {
		_, err := s.UpdateDKIMKey(t.Context(), owner(), d.ID, k.ID, state, version)
		return err
	}
	if err := update(first, domain.KeyActive, 1); code(err) != "stale etag-mismatch" {
		t.Errorf("an old version: %v", err)
	}
	if err := update(first, domain.KeyPending, 0); code(err) != "conflict state-conflict" {
		t.Errorf("back to pending: %v", err)
	}
	if err := s.DeleteDKIMKey(t.Context(), owner(), d.ID, second.ID, 0); code(err) != "conflict state-conflict" {
		t.Errorf("an active key was deleted: %v", err)
	}
	if err := update(first, domain.KeyActive, 2); err != nil {
		t.Fatal(err) // a step back, in time
	}
	if got, _ := s.GetDKIMKey(t.Context(), owner(), d.ID, second.ID); got.State != domain.KeyRetiring {
		t.Errorf("%+v", got)
	}
	revoked := s.set(t, first, domain.KeyRevoked)
	if revoked.RecordValue() != "v=DKIM1; k=ed25519; p=" || revoked.Available || revoked.RevokedAt == nil {
		t.Errorf("%+v", revoked)
	}
	if n := s.count(t, `SELECT count(*) FROM dkim_key WHERE id = $1 AND sealed_key IS NOT NULL`, first.ID); n != 0 {
		t.Error("the private part of a revoked key is still there")
	}
	if headers, err := s.sign(t, d.ID, simple); err != nil || headers != "" {
		t.Errorf("a revoked key signs: %q, %v", headers, err)
	}
	for _, state := range []domain.KeyState{domain.KeyActive, domain.KeyRetiring, domain.KeyPending} {
		if err := update(first, state, 0); code(err) != "conflict state-conflict" {
			t.Errorf("revoked to %s: %v", state, err)
		}
	}
	if err := update(first, domain.KeyRevoked, revoked.Version); err != nil {
		t.Errorf("once more: %v", err)
	}
	if err := s.DeleteDKIMKey(t.Context(), owner(), d.ID, first.ID, revoked.Version-1); code(err) != "stale etag-mismatch" {
		t.Errorf("%v", err)
	}
	if err := s.DeleteDKIMKey(t.Context(), owner(), d.ID, first.ID, revoked.Version); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetDKIMKey(t.Context(), owner(), d.ID, first.ID); code(err) != "not_found not-found" {
		t.Errorf("%v", err)
	}
	// Its selector stays used, by hand and by counting (O-51).
	if _, err := s.CreateDKIMKey(t.Context(), owner(), d.ID, domain.CreateDKIMKey{Selector: "202611E1", Algorithm: domain.Ed25519}); code(err) != "conflict already-exists" {
		t.Errorf("a selector names two keys: %v", err)
	}
	if k := s.add(t, d.ID, domain.CreateDKIMKey{Algorithm: domain.Ed25519}); k.Selector != "202611e3" {
		t.Errorf("%+v", k)
	}
	for kind, want := range map[string]int{"dkim.created": 3, "dkim.activated": 1, "dkim.retired": 2, "dkim.revoked": 1, "dkim.deleted": 1} {
		if n := s.count(t, `SELECT count(*) FROM event WHERE type = $1 AND domain_id = $2`, kind, d.ID); n != want {
			t.Errorf("%d events %s", n, kind)
		}
	}
}

func TestAPendingKeyThatNeverSignedCanBeDeleted(t *testing.T) {
	t.Parallel()
	s := newSigner(t, byDNS)
	d := make1(t, s.Service, "example.test")
	if err := s.DeleteDKIMKey(t.Context(), owner(), d.ID, s.keys(t, d.ID)[0].ID, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), owner(), d.ID, 0); err != nil {
		t.Fatalf("a domain with keys is not deleted: %v", err)
	}
	if n := s.count(t, `SELECT count(*) FROM dkim_key`); n != 0 {
		t.Errorf("%d keys of no domain", n)
	}
}

func TestSelectorsAreNamesOrRefused(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d := make1(t, s.Service, "example.test")
	for in, want := range map[string]string{"mail": "mail", "S1.Mail": "s1.mail", "a-b": "a-b", "1": "1"} {
		if k := s.add(t, d.ID, domain.CreateDKIMKey{Selector: in, Algorithm: domain.Ed25519}); k.Selector != want {
			t.Errorf("%q: %q", in, k.Selector)
		}
	}
	for _, in := range []string{
		".", "..", "a..b", ".a", "a.", "-a", "a-", "a_b", "a b", "a/b", "../a", "ä", "a\x00", "*", strings.Repeat("a", 64), strings.Repeat("a.", 120) + "a",
	} {
		if _, err := s.CreateDKIMKey(t.Context(), owner(), d.ID, domain.CreateDKIMKey{Selector: in, Algorithm: domain.Ed25519}); code(err) != "invalid validation-failed" {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestManyWhoMakeKeysAtOnceGetDifferentSelectorsAndOneActiveKey(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d := make1(t, s.Service, "example.test")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.CreateDKIMKey(t.Context(), owner(), d.ID, domain.CreateDKIMKey{Algorithm: domain.Ed25519}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	active, names := 0, map[string]bool{}
	for _, k := range s.keys(t, d.ID) {
		names[k.Selector] = true
		if k.State == domain.KeyActive {
			active++
		}
	}
	if active != 1 || len(names) != 9 {
		t.Errorf("%d active of %v", active, names)
	}
}

func TestADomainHasABoundedNumberOfKeysAndListsThemInPages(t *testing.T) {
	t.Parallel()
	s := newSigner(t, byDNS)
	d := make1(t, s.Service, "example.test")
	for range 49 {
		s.add(t, d.ID, domain.CreateDKIMKey{Algorithm: domain.Ed25519})
	}
	if _, err := s.CreateDKIMKey(t.Context(), owner(), d.ID, domain.CreateDKIMKey{Algorithm: domain.Ed25519}); code(err) != "conflict state-conflict" {
		t.Errorf("%v", err)
	}
	seen := map[string]bool{}
	for after := (mail.DKIMKeyID{}); ; {
		keys, next, err := s.ListDKIMKeys(t.Context(), owner(), d.ID, after, 7)
		if err != nil || len(keys) == 0 {
			t.Fatal(keys, err)
		}
		for _, k := range keys {
			seen[k.Selector] = true
		}
		if after = next; next.IsZero() {
			break
		}
	}
	if len(seen) != 50 {
		t.Errorf("%d keys seen", len(seen))
	}
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestKeysAreImportedAndExported(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d := make1(t, s.Service, "example.test")
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	r3, _ := rsa.GenerateKey(rand.Reader, 3072)
	_, e, _ := ed25519.GenerateKey(rand.Reader)
	pkcs8 := func(k any) string {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return pemText("PRIVATE KEY", der)
	}
	for _, c := range []struct {
		text      string
		algorithm domain.Algorithm
	}{
		{pkcs8(r), domain.RSA2048},
		{pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)), domain.RSA2048},
		{pkcs8(r3), domain.RSA3072},
		{pkcs8(e), domain.Ed25519},
		{"some words\n" + pkcs8(e), domain.Ed25519},
	} {
		k := s.add(t, d.ID, domain.CreateDKIMKey{PrivateKey: c.text})
		if k.Algorithm != c.algorithm || !k.Available {
			t.Errorf("%+v", k)
		}
		got, text, err := s.ExportDKIMKey(t.Context(), owner(), d.ID, k.ID)
		if err != nil || got.ID != k.ID || c.algorithm == domain.RSA3072 && text != pkcs8(r3) || c.algorithm == domain.RSA2048 && text != pkcs8(r) {
			t.Errorf("%s: %v", c.algorithm, err)
		}
	}
	if n := s.count(t, `SELECT count(*) FROM audit_event WHERE action = 'dkim_key.export'`); n != 5 {
		t.Errorf("%d audit rows of exports", n)
	}
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	odd, _ := rsa.GenerateKey(rand.Reader, 2056)
	public, _ := x509.MarshalPKIXPublicKey(r.Public())
	for name, in := range map[string]domain.CreateDKIMKey{
		"too small":           {PrivateKey: pkcs8(small)},
		"an odd size":         {PrivateKey: pkcs8(odd)},
		"a public key":        {PrivateKey: pemText("PUBLIC KEY", public)},
		"no key":              {PrivateKey: "hunter2"},
		"cut":                 {PrivateKey: pkcs8(r)[:900]},
		"rubbish":             {PrivateKey: pemText("PRIVATE KEY", []byte("hunter2"))},
		"too long":            {PrivateKey: strings.Repeat("hunter2 ", 4000) + pkcs8(e)},
		"another algorithm":   {PrivateKey: pkcs8(e), Algorithm: domain.RSA2048},
		"an unknown one":      {Algorithm: "dsa"},
		"too slow to be made": {Algorithm: domain.RSA4096},
	} {
		_, err := s.CreateDKIMKey(t.Context(), owner(), d.ID, in)
		if code(err) != "invalid validation-failed" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	revoked := s.set(t, s.keys(t, d.ID)[0], domain.KeyRevoked)
	if _, _, err := s.ExportDKIMKey(t.Context(), owner(), d.ID, revoked.ID); code(err) != "conflict state-conflict" {
		t.Errorf("%v", err)
	}
}

func TestWhoMayDoWhatWithKeys_S43(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	mine, foreign := make1(t, s.Service, "mine.test"), make1(t, s.Service, "foreign.test")
	k, far := s.keys(t, mine.ID)[0], s.keys(t, foreign.ID)[0]
	const missing, gone = "forbidden scope-missing", "not_found not-found"
	for _, c := range []struct {
		name                      string
		p                         mail.Principal
		read, write, export, away string
	}{
		{"owner", owner(), "", "", "", ""},
		{"system", mail.System("test"), "", "", "", ""},
		{"admin", admin(mine.ID), "", "", "forbidden forbidden", gone},
		{"user", mail.Principal{User: mail.UserID{}.New(noon()), Role: mail.RoleUser}, gone, gone, gone, gone},
		{"key", key([]string{"dkim:write", "dkim:export"}), "", "", "", ""},
		{"key of mine", key([]string{"dkim:write", "dkim:export"}, mine.ID), "", "", "", gone},
		{"writing key", key([]string{"dkim:write"}), "", "", missing, ""},
		{"reading key", key([]string{"dkim:read"}), "", missing, missing, ""},
		{"exporting key", key([]string{"dkim:export"}), missing, missing, "", missing},
		{"key of domains", key([]string{"domains:write"}), missing, missing, missing, missing},
		{"nobody", mail.Principal{}, "unauthenticated unauthenticated", "unauthenticated unauthenticated", "unauthenticated unauthenticated", "unauthenticated unauthenticated"},
	} {
		_, get := s.GetDKIMKey(t.Context(), c.p, mine.ID, k.ID)
		_, _, list := s.ListDKIMKeys(t.Context(), c.p, mine.ID, mail.DKIMKeyID{}, 0)
		_, update := s.UpdateDKIMKey(t.Context(), c.p, mine.ID, k.ID, domain.KeyActive, 0)
		_, _, export := s.ExportDKIMKey(t.Context(), c.p, mine.ID, k.ID)
		_, away := s.GetDKIMKey(t.Context(), c.p, foreign.ID, far.ID)
		for what, pair := range map[string][2]string{
			"get": {text(get), c.read}, "list": {text(list), c.read}, "update": {text(update), c.write}, "export": {text(export), c.export},
			"get of another": {text(away), c.away},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s, %s: %q, want %q", c.name, what, pair[0], pair[1])
			}
		}
		if c.write != "" {
			_, create := s.CreateDKIMKey(t.Context(), c.p, mine.ID, domain.CreateDKIMKey{Algorithm: domain.Ed25519})
			remove := s.DeleteDKIMKey(t.Context(), c.p, mine.ID, k.ID, 0)
			if text(create) != c.write || text(remove) != c.write {
				t.Errorf("%s: create %q, delete %q", c.name, text(create), text(remove))
			}
		}
	}
	test := key([]string{"dkim:write", "dkim:export"})
	test.Test = true
	if _, _, err := s.ExportDKIMKey(t.Context(), test, mine.ID, k.ID); code(err) != "forbidden test-key" {
		t.Errorf("%v", err)
	}
}

func TestNoListAndNoExportOfADomainHoldsAPrivateKey_O54(t *testing.T) {
	t.Parallel()
	s := newSigner(t, func(c *domain.Config) { c.DefaultKeys = domain.KeysBoth })
	d := make1(t, s.Service, "example.test")
	var shown strings.Builder
	for _, k := range s.keys(t, d.ID) {
		_, text, err := s.ExportDKIMKey(t.Context(), owner(), d.ID, k.ID)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode([]byte(text))
		if n := s.count(t, `SELECT count(*) FROM dkim_key WHERE position($1::bytea IN sealed_key) > 0`, block.Bytes[len(block.Bytes)-32:]); n != 0 {
			t.Error("a private key lies in the clear")
		}
		secret := fmt.Sprintf("%x", block.Bytes[len(block.Bytes)-16:])
		records, err := s.Records(t.Context(), owner(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&shown, "%+v %+v %x %s", k, records, k.Public, s.log)
		var kept string
		if err := s.pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(data::text, ''), '') FROM (SELECT data FROM event UNION ALL SELECT data FROM audit_event) x`).Scan(&kept); err != nil {
			t.Fatal(err)
		}
		shown.WriteString(kept)
		if strings.Contains(shown.String(), secret) || strings.Contains(shown.String(), "PRIVATE") || strings.Contains(shown.String(), base64.StdEncoding.EncodeToString(block.Bytes)[:40]) {
			t.Errorf("a private key is shown: %s", shown.String())
		}
	}
}

func TestASwappedCiphertextDoesNotOpen_S35(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	a, b := make1(t, s.Service, "a.test"), make1(t, s.Service, "b.test")
	_, err := s.pool.Exec(t.Context(), `
UPDATE dkim_key k SET sealed_key = o.sealed_key FROM dkim_key o WHERE o.domain_id <> k.domain_id`)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []domain.Domain{a, b} {
		if _, err := s.sign(t, d.ID, simple); code(err) != "unavailable signing-key-unavailable" {
			t.Errorf("mail of %s is signed with another domain's key: %v", d.Name, err)
		}
		k := s.keys(t, d.ID)[0]
		if _, _, err := s.ExportDKIMKey(t.Context(), owner(), d.ID, k.ID); code(err) != "unavailable key-unavailable" || k.Available {
			t.Errorf("%+v, %v", k, err)
		}
	}
}

func TestWithoutTheMasterKeyMailWaitsAndTheRestIsServed_S35(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d := make1(t, s.Service, "example.test")
	ids, err := domain.SealedWith(t.Context(), s.pool)
	if err != nil || len(ids) != 1 || !s.cfg.Box.Knows(ids[0]) {
		t.Fatalf("%v, %v", ids, err)
	}
	// The database comes back from a backup, the master key does not.
	box, err := seal.Open(seal.Options{Dir: t.TempDir(), InUse: ids, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for name, box := range map[string]*seal.Box{"no key": box, "another key": masterKey(t, 2)} {
		lost := signerOn(t, s.pool, s.clk, func(c *domain.Config) { c.Box = box })
		if _, err := lost.sign(t, d.ID, simple); code(err) != "unavailable signing-key-unavailable" {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(lost.log.String(), "key_unavailable") {
			t.Errorf("%s: log %s", name, lost.log)
		}
		k := lost.keys(t, d.ID)[0]
		if k.Available || k.State != domain.KeyActive || len(k.Public) == 0 {
			t.Errorf("%s: %+v", name, k)
		}
		if got, found, err := lost.Hosted(t.Context(), "example.test"); err != nil || !found || got.ID != d.ID {
			t.Errorf("%s: %v", name, err)
		}
	}
	lost := signerOn(t, s.pool, s.clk, func(c *domain.Config) { c.Box = box })
	for _, err := range []error{
		second(lost.CreateDKIMKey(t.Context(), owner(), d.ID, domain.CreateDKIMKey{})),
		second(lost.Create(t.Context(), owner(), domain.Create{Name: "new.test"})),
	} {
		if code(err) != "unavailable key-unavailable" {
			t.Errorf("%v", err)
		}
	}
	if _, err := lost.Create(t.Context(), owner(), domain.Create{Name: "new.test", DKIM: domain.KeysNone}); err != nil {
		t.Error(err)
	}
	if n := s.count(t, `SELECT count(*) FROM dkim_key`); n != 1 {
		t.Errorf("%d keys: a new one was made in silence", n)
	}
	if _, err := s.sign(t, d.ID, simple); err != nil {
		t.Errorf("with the key back: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestTheTimesOfAKeyAreInUTCWhereverTheMachineIs(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	k := s.keys(t, make1(t, s.Service, "example.test").ID)[0]
	k = s.set(t, s.set(t, k, domain.KeyRetiring), domain.KeyRevoked)
	k, err := s.GetDKIMKey(t.Context(), owner(), k.DomainID, k.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]*time.Time{
		"created": &k.CreatedAt, "updated": &k.UpdatedAt, "activated": k.ActivatedAt, "retired": k.RetiredAt, "revoked": k.RevokedAt,
	} {
		if at == nil || at.Location() != time.UTC {
			t.Errorf("%s: %v", name, at)
		}
	}
}

func TestADecryptedKeyIsForgottenWithinSeconds(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d := make1(t, s.Service, "example.test")
	other := signerOn(t, s.pool, s.clk)
	for _, node := range []signer{s, other} {
		if headers, err := node.sign(t, d.ID, simple); err != nil || headers == "" {
			t.Fatal(err)
		}
	}
	s.set(t, s.keys(t, d.ID)[0], domain.KeyRevoked)
	if headers, _ := s.sign(t, d.ID, simple); headers != "" {
		t.Error("the own node still signs")
	}
	s.clk.Advance(10 * time.Second)
	if headers, _ := other.sign(t, d.ID, simple); headers != "" {
		t.Error("another node still signs after ten seconds")
	}
}

func TestRecordsSayWhatADomainNeeds(t *testing.T) {
	t.Parallel()
	s := newSigner(t, func(c *domain.Config) {
		c.DefaultKeys, c.Ports = domain.KeysBoth, domain.Ports{IMAPS: 993, Submissions: 465}
	})
	d := make1(t, s.Service, "example.test")
	list, err := s.Records(t.Context(), admin(d.ID), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]domain.Record{}
	for _, r := range list {
		got[r.Purpose+" "+r.Name] = r
	}
	for name, want := range map[string]string{
		"mx example.test":                            "10 mx.host.test.",
		"spf example.test":                           "v=spf1 mx -all",
		"dmarc _dmarc.example.test":                  "v=DMARC1; p=none; rua=mailto:postmaster@example.test",
		"imaps _imaps._tcp.example.test":             "0 1 993 mx.host.test.",
		"submissions _submissions._tcp.example.test": "0 1 465 mx.host.test.",
	} {
		if got[name].Value != want || got[name].Required != !strings.Contains(name, "_tcp") {
			t.Errorf("%s: %+v", name, got[name])
		}
	}
	r := got["dkim 202611r1._domainkey.example.test"]
	if len(list) != 7 || r.Key.IsZero() || !r.Required || got["dkim 202611e1._domainkey.example.test"].Required {
		t.Errorf("%+v", list)
	}
	// A TXT string has at most 255 octets.
	zone := r.ZoneValue()
	var joined strings.Builder
	for piece := range strings.SplitSeq(strings.Trim(zone, `"`), `" "`) {
		if len(piece) > 255 {
			t.Errorf("a string of %d octets", len(piece))
		}
		joined.WriteString(piece)
	}
	if joined.String() != r.Value || !strings.Contains(zone, `" "`) || len(r.Value) <= 255 {
		t.Errorf("%s", zone)
	}
	if _, err := s.Records(t.Context(), admin(), d.ID); code(err) != "not_found not-found" {
		t.Errorf("%v", err)
	}
}
