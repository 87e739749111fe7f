package domain_test

import (
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

func ptr(s string) *string { return &s }

func (s signer) domainNamed(t *testing.T, name string) domain.Domain {
	t.Helper()
	d, err := s.Create(t.Context(), owner(), domain.Create{Name: name, DKIM: domain.KeysNone})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestADomainsSmartHostIsKeptWithItsPasswordSealed_S35(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d, other := s.domainNamed(t, "a.test"), s.domainNamed(t, "b.test")
	for _, id := range []mail.DomainID{d.ID, other.ID} {
		r, err := s.SetRelay(t.Context(), owner(), id, domain.RelaySet{Host: "SMTP.provider.test", Username: "me", Password: ptr("s3cret word")}, 0)
		if err != nil || r.Host != "smtp.provider.test" || r.Port != 587 || r.TLS != domain.RelayStartTLS || !r.HasPassword {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	_, password, found, err := s.RelayOf(t.Context(), d.ID)
	if err != nil || !found || password != "s3cret word" {
		t.Fatalf("%q %v %v", password, found, err)
	}
	var row string
	if err := s.pool.QueryRow(t.Context(), `SELECT string_agg(encode(password, 'escape'), ' ') FROM domain_relay`).Scan(&row); err != nil || strings.Contains(row, "s3cret") {
		t.Fatalf("stored as %q, %v", row, err)
	}
	// While a password is sealed no new master key is made in silence.
	if ids, err := domain.SealedWith(t.Context(), s.pool); err != nil || len(ids) != 1 || !masterKey(t, 1).Knows(ids[0]) {
		t.Errorf("sealed with %v, %v", ids, err)
	}
	// Who can write to the database cannot give one domain another's password.
	if _, err := s.pool.Exec(t.Context(), `UPDATE domain_relay a SET password = b.password FROM domain_relay b WHERE a.domain_id <> b.domain_id`); err != nil {
		t.Fatal(err)
	}
	fresh := signerOn(t, s.pool, s.clk)
	if _, _, _, err := fresh.RelayOf(t.Context(), d.ID); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a swapped password opens: %v", err)
	}
}

// A password is never sent to a host that it was not given for.
func TestAStoredPasswordStaysWithItsHost(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	d := s.domainNamed(t, "a.test")
	set := func(in domain.RelaySet) error {
		_, err := s.SetRelay(t.Context(), owner(), d.ID, in, 0)
		return err
	}
	if err := set(domain.RelaySet{Host: "one.test", Username: "me", Password: ptr("word")}); err != nil {
		t.Fatal(err)
	}
	if err := set(domain.RelaySet{Host: "one.test", Username: "me", Port: 2525}); err != nil {
		t.Fatalf("the same host: %v", err)
	}
	for what, in := range map[string]domain.RelaySet{
		"another host": {Host: "two.test", Username: "me"},
		"another name": {Host: "one.test", Username: "you"},
		"in clear":     {Host: "one.test", Username: "me", TLS: domain.RelayClear},
		"no user":      {Host: "one.test", Password: ptr("word")},
		"a bad host":   {Host: "one two", Username: "me", Password: ptr("word")},
		"no host":      {},
		"a bad port":   {Host: "one.test", Port: 70000},
		"a bad mode":   {Host: "one.test", TLS: "maybe"},
		"a line break": {Host: "one.test", Username: "me\r\nQUIT", Password: ptr("word")},
	} {
		if err := set(in); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := set(domain.RelaySet{Host: "192.0.2.7", TLS: domain.RelayImplicit}); err != nil {
		t.Errorf("an address without a password: %v", err)
	}
	if r, err := s.GetRelay(t.Context(), owner(), d.ID); err != nil || r.Port != 465 || r.HasPassword || r.Version != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := s.SetRelay(t.Context(), owner(), d.ID, domain.RelaySet{Host: "x.test"}, 1); !fault.Is(err, fault.Stale) {
		t.Errorf("an old version: %v", err)
	}
	if err := s.RemoveRelay(t.Context(), owner(), d.ID, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveRelay(t.Context(), owner(), d.ID, 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if _, _, found, err := s.RelayOf(t.Context(), d.ID); found || err != nil {
		t.Errorf("still used: %v", err)
	}
}
