package api_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/seal"
)

// newEnvByDNS is an API whose keys are proved by DNS.
func newEnvByDNS(t *testing.T) (*env, *dns.Fake) {
	t.Helper()
	names, pool := dns.NewFake(nil), pgtest.DB(t)
	box, err := seal.New(seal.Key{1})
	if err != nil {
		t.Fatal(err)
	}
	return newEnvWith(t, pool, func(d *api.Deps) {
		d.Domains = domain.New(pool, d.Clock, bus.New(), d.Log, domain.Config{Hostname: "mx.a.test", Box: box, Resolver: names})
	}), names
}

// newEnvLost is a server on the database of another one, without its master key.
func newEnvLost(t *testing.T, e *env) *env {
	t.Helper()
	lost := &env{t: t, pool: e.pool, log: &lockedBuffer{}, signIns: map[string]int{}}
	box, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	deps, b := lost.services(slog.New(slog.NewJSONHandler(lost.log, nil))), bus.New()
	deps.Domains = domain.New(e.pool, deps.Clock, b, deps.Log, domain.Config{AutoVerify: true, Box: box})
	deps.Accounts = account.New(account.Deps{
		Pool: e.pool, Clock: deps.Clock, Log: deps.Log, Bus: b, Limiter: deps.Limiter, Domains: deps.Domains, Box: box, Metrics: lost,
	}, account.Config{Argon2: account.Argon2{Time: 1, MemoryKiB: 64, Threads: 1}})
	deps.Mailboxes.Attach(deps.Accounts)
	lost.serve(deps)
	return lost
}

func TestADomainIsProvisionedWithItsKeysAndRecords_A11(t *testing.T) {
	t.Parallel()
	e, names := newEnvByDNS(t)
	var d api.Domain
	e.call(e.key, "POST", "/v1/domains", raw(`{"name":"shop.test","dkim":"both"}`)).want(201).into(&d)
	path := "/v1/domains/" + d.ID + "/dkim-keys"
	var keys api.DKIMKeyPage
	list := e.call(e.key, "GET", path, nil).want(200).into(&keys)
	if len(keys.Items) != 2 || keys.NextCursor != nil || bytes.Contains(list.body, []byte("PRIVATE")) {
		t.Fatalf("%s", list.body)
	}
	var records api.DNSRecordPage
	e.call(e.key, "GET", "/v1/domains/"+d.ID+"/dns-records", nil).want(200).into(&records)
	seen := map[string]string{}
	for _, r := range records.Items {
		seen[r.Purpose] += " " + r.Name
		if r.Purpose == "dkim" && (r.DKIMKeyID == nil || !strings.Contains(r.ZoneValue, "v=DKIM1")) {
			t.Errorf("%+v", r)
		}
	}
	if seen["mx"] != " shop.test" || seen["spf"] != " shop.test" || seen["dmarc"] != " _dmarc.shop.test" || strings.Count(seen["dkim"], "_domainkey.shop.test") != 2 {
		t.Errorf("%v", seen)
	}
	for _, k := range keys.Items {
		one := path + "/" + k.ID
		if k.State != "pending" || k.DomainID != d.ID || !k.Available {
			t.Errorf("%+v", k)
		}
		p := e.call(e.key, "PATCH", one, raw(`{"state":"active"}`)).problem(409, "dns-not-published")
		if !strings.Contains(p.Detail, k.RecordName) {
			t.Errorf("%s", p.Detail)
		}
		names.Set("TXT", k.RecordName, k.RecordValue)
		tag := e.call(e.key, "GET", one, nil).want(200).header.Get("ETag")
		active := e.call(e.key, "PATCH", one, raw(`{"state":"active"}`), "If-Match", tag).want(200)
		e.call(e.key, "PATCH", one, raw(`{"state":"retiring"}`), "If-Match", tag).problem(412, "etag-mismatch")
		e.call(e.key, "PATCH", one, raw(`{}`), "If-Match", active.header.Get("ETag")).want(200)
		e.call(e.key, "GET", one, nil, "If-None-Match", active.header.Get("ETag")).want(304)
		e.call(e.key, "DELETE", one, nil).problem(409, "state-conflict")
		e.call(e.key, "PATCH", one, raw(`{"state":"revoked"}`)).want(200)
		e.call(e.key, "DELETE", one, nil).want(204)
		e.call(e.key, "GET", one, nil).problem(404, "not-found")
	}
}

func TestAKeyMovesFromOneServerToAnother(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.newDomain("one.test"), e.newDomain("two.test")
	var keys api.DKIMKeyPage
	e.call(e.owner, "GET", "/v1/domains/"+a.ID+"/dkim-keys", nil).want(200).into(&keys)
	export := "/v1/domains/" + a.ID + "/dkim-keys/" + keys.Items[0].ID + "/export"
	var out api.DKIMKeyExport
	answer := e.call(e.owner, "POST", export, nil).want(200).into(&out)
	if answer.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(out.PrivateKey, "-----BEGIN PRIVATE KEY-----\n") {
		t.Errorf("%v %s", answer.header, answer.body)
	}
	// A repeated request is carried out again: the answer is kept nowhere.
	for range 2 {
		e.call(e.key, "POST", export, nil, "Idempotency-Key", "k").want(200)
	}
	var n int
	if err := e.pool.QueryRow(t.Context(), `SELECT count(*) FROM audit_event WHERE action = 'dkim_key.export'`).Scan(&n); err != nil || n != 3 {
		t.Errorf("%d audit rows, %v", n, err)
	}
	if err := e.pool.QueryRow(t.Context(), `SELECT count(*) FROM idempotency WHERE position('PRIVATE'::bytea IN body) > 0`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d kept answers, %v", n, err)
	}
	body := api.DKIMKeyCreate{Selector: "moved", PrivateKey: out.PrivateKey}
	path := "/v1/domains/" + b.ID + "/dkim-keys"
	first := e.call(e.key, "POST", path, body, "Idempotency-Key", "move").want(201)
	var k api.DKIMKey
	first.into(&k)
	if k.RecordName != "moved._domainkey.two.test" || k.RecordValue != keys.Items[0].RecordValue || first.header.Get("Location") != path+"/"+k.ID ||
		bytes.Contains(first.body, []byte("PRIVATE")) {
		t.Errorf("%s", first.body)
	}
	if again := e.call(e.key, "POST", path, body, "Idempotency-Key", "move").want(201); !bytes.Equal(again.body, first.body) {
		t.Errorf("%s", again.body)
	}
	// The answer was lost with a killed process: it is made again from the object.
	if _, err := e.pool.Exec(t.Context(), `UPDATE idempotency SET status = NULL, body = NULL, header = NULL WHERE effect = $1`, k.ID); err != nil {
		t.Fatal(err)
	}
	if again := e.call(e.key, "POST", path, body, "Idempotency-Key", "move").want(201); again.header.Get("Location") != path+"/"+k.ID {
		t.Errorf("%v %s", again.header, again.body)
	}
	e.call(e.key, "POST", path, body).problem(409, "already-exists")
	p := e.call(e.key, "POST", path, raw(`{"private_key":"hunter2"}`)).problem(422, "validation-failed")
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.private_key" || strings.Contains(p.Detail, "hunter2") {
		t.Errorf("%+v", p)
	}
	e.call(e.key, "POST", path, raw(`{"selector":"../x"}`)).problem(422, "validation-failed")
	e.call(e.key, "POST", path, raw(`{"algorithm":"dsa"}`)).problem(422, "validation-failed")
}

func TestPrivateKeysLeaveForTheOwnerAndKeysWithTheScopeAlone(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	d := e.newDomain("one.test")
	var keys api.DKIMKeyPage
	e.call(e.owner, "GET", "/v1/domains/"+d.ID+"/dkim-keys", nil).want(200).into(&keys)
	export := "/v1/domains/" + d.ID + "/dkim-keys/" + keys.Items[0].ID + "/export"
	e.newUser("admin@one.test", "admin", d.ID)
	admin := e.signIn("admin@one.test")
	e.call(admin, "GET", "/v1/domains/"+d.ID+"/dkim-keys", nil).want(200)
	e.call(admin, "POST", export, nil).problem(403, "forbidden")
	// Nor does an administrator get there through a key.
	e.call(admin, "POST", "/v1/api-keys", api.APIKeyCreate{Name: "k", Scopes: []string{"dkim:export"}}).problem(403, "scope-missing")
	e.call(e.newKey([]string{"dkim:write"}), "POST", export, nil).problem(403, "scope-missing")
	e.call(e.newKey([]string{"dkim:export"}, d.ID), "POST", export, nil).want(200)
	var test api.APIKeyCreated
	e.call(e.owner, "POST", "/v1/api-keys", api.APIKeyCreate{Name: "t", Scopes: account.AllScopes(), Mode: "test"}).want(201).into(&test)
	e.call(test.Key, "POST", export, nil).problem(403, "test-key")
}

func TestWithoutTheMasterKeyKeysAndSessionsWaitAndTheRestIsServed_S35(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	d := e.newDomain("one.test")
	lost := newEnvLost(t, e)
	path := "/v1/domains/" + d.ID + "/dkim-keys"
	var keys api.DKIMKeyPage
	lost.call(e.key, "GET", path, nil).want(200).into(&keys)
	if len(keys.Items) != 1 || keys.Items[0].Available {
		t.Errorf("%+v", keys)
	}
	lost.call(e.key, "POST", path, raw(`{}`)).problem(503, "key-unavailable")
	lost.call(e.key, "POST", path+"/"+keys.Items[0].ID+"/export", nil).problem(503, "key-unavailable")
	lost.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "owner@a.test", Password: goodPassword}).problem(503, "key-unavailable")
	lost.call(e.key, "GET", "/v1/domains", nil).want(200)
	lost.call(e.key, "POST", "/v1/domains", raw(`{"name":"two.test"}`)).problem(503, "key-unavailable")
	lost.call(e.key, "POST", "/v1/domains", raw(`{"name":"two.test","dkim":"none"}`)).want(201)
	lost.call(e.key, "POST", "/v1/users", api.UserCreate{Email: "u@two.test", Password: goodPassword, Role: "user"}).want(201)
}
