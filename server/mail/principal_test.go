package mail_test

import (
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// S-43: what each kind of caller may reach, over two domains.
func TestNobodyReachesAForeignDomain_S43(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a, b := mail.DomainID(mail.NewID[kindForTest](now)), mail.DomainID(mail.NewID[kindForTest](now))
	alice, bob := mail.UserID(mail.NewID[kindForTest](now)), mail.UserID(mail.NewID[kindForTest](now))
	key := mail.KeyID(mail.NewID[kindForTest](now))
	for name, tc := range map[string]struct {
		p                      mail.Principal
		domA, domB, mayA, mayB bool
	}{
		"nobody":         {mail.Principal{}, false, false, false, false},
		"owner":          {mail.Principal{User: alice, Role: mail.RoleOwner}, true, true, true, true},
		"admin of a":     {mail.Principal{User: mail.UserID(key), Role: mail.RoleAdmin, Domains: []mail.DomainID{a}}, true, false, true, false},
		"admin of none":  {mail.Principal{User: mail.UserID(key), Role: mail.RoleAdmin}, false, false, false, false},
		"user":           {mail.Principal{User: alice, Role: mail.RoleUser}, false, false, true, false},
		"key of all":     {mail.Principal{Key: key}, true, true, true, true},
		"key bound to a": {mail.Principal{Key: key, Domains: []mail.DomainID{a}}, true, false, true, false},
		"system":         {mail.System("test"), true, true, true, true},
	} {
		if got := tc.p.MayDomain(a); got != tc.domA {
			t.Errorf("%s: MayDomain(a) = %v", name, got)
		}
		if got := tc.p.MayDomain(b); got != tc.domB {
			t.Errorf("%s: MayDomain(b) = %v", name, got)
		}
		if got := tc.p.MayUser(alice, a); got != tc.mayA {
			t.Errorf("%s: MayUser(alice) = %v", name, got)
		}
		if got := tc.p.MayUser(bob, b); got != tc.mayB {
			t.Errorf("%s: MayUser(bob) = %v", name, got)
		}
	}
}

func TestAWriteScopeIncludesReading(t *testing.T) {
	t.Parallel()
	p := mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"domains:write", "users:read"}}
	for scope, want := range map[string]bool{"domains:read": true, "domains:write": true, "users:read": true, "users:write": false, "emails:send": false} {
		if p.HasScope(scope) != want {
			t.Errorf("HasScope(%s) = %v", scope, !want)
		}
	}
	if (mail.Principal{}).HasScope("domains:read") {
		t.Error("nobody has a scope")
	}
}
