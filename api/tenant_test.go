package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/account"
)

// marker is in every text of B.
const marker = "tenantb"

// tenant holds the ids of everything that a domain has.
type tenant struct {
	domain, user, email, mailbox, message, sink, key, blob, dkim, delivery, destination string
}

// newTenant makes a domain with an object of each kind.
func (e *env) newTenant(name string) tenant {
	d := e.newDomain(name + ".test")
	u := e.newUser("bob@"+name+".test", "user")
	out := tenant{domain: d.ID, user: u.ID}
	e.call(e.key, "PATCH", "/v1/users/"+u.ID, raw(`{"name":"`+name+`"}`)).want(200)
	out.email = e.mail(e.key, "app@"+name+".test", "bob@"+name+".test", name+" subject", name+" text")
	e.mail(e.key, "app@"+name+".test", "far@elsewhere.test", name+" sink", name+" text")
	out.mailbox = e.mailboxNamed(u.ID, "INBOX").ID
	out.message = e.messages(out.mailbox)[0].ID
	var kept api.SinkMessagePage
	e.call(e.key, "GET", "/v1/sink/messages?limit=1", nil).want(200).into(&kept)
	out.sink = kept.Items[0].ID
	var key api.APIKeyCreated
	e.call(e.owner, "POST", "/v1/api-keys", api.APIKeyCreate{Name: name, Scopes: account.AllScopes(), DomainIDs: []string{d.ID}}).want(201).into(&key)
	out.key = key.ID
	var dkim api.DKIMKeyPage
	e.call(e.owner, "GET", "/v1/domains/"+d.ID+"/dkim-keys", nil).want(200).into(&dkim)
	out.dkim = dkim.Items[0].ID
	out.destination = "wait-" + name[len(name)-1:] + ".test"
	var waiting api.EmailAccepted
	e.call(e.key, "POST", "/v1/emails", raw(`{"from":"app@`+name+`.test","to":"x@`+out.destination+`","subject":"`+name+`","text":"x"}`)).want(202).into(&waiting)
	out.delivery = waiting.Recipients[0].DeliveryID
	e.call(e.owner, "PUT", "/v1/domains/"+d.ID+"/relay", raw(`{"host":"smtp.`+name+`.test"}`)).want(200)
	out.blob = e.upload(e.owner, name+" file", "text/plain").ID
	return out
}

// path fills an operation's path with the tenant's ids.
func (b tenant) path(pattern string) string {
	return strings.NewReplacer("{domain_id}", b.domain, "{user_id}", b.user, "{email_id}", b.email, "{mailbox_id}", b.mailbox,
		"{message_id}", b.message, "{sink_message_id}", b.sink, "{key_id}", b.key, "{blob_id}", b.blob, "{dkim_key_id}", b.dkim, "{delivery_id}", b.delivery, "{destination}", b.destination, "{part}", "1").Replace(pattern)
}

// snapshot reads everything of a tenant.
func (e *env) snapshot(b tenant) string {
	e.t.Helper()
	var all bytes.Buffer
	for _, path := range []string{
		"/v1/domains/" + b.domain, "/v1/users/" + b.user, "/v1/users/" + b.user + "/mailboxes", "/v1/mailboxes/" + b.mailbox + "/messages",
		"/v1/messages/" + b.message, "/v1/emails?domain_id=" + b.domain, "/v1/users?domain_id=" + b.domain, "/v1/sink/messages/" + b.sink, "/v1/blobs/" + b.blob, "/v1/domains/" + b.domain + "/dkim-keys",
		"/v1/domains/" + b.domain + "/relay", "/v1/queue/entries/" + b.delivery, "/v1/queue/destinations/" + b.destination,
	} {
		all.Write(e.call(e.owner, "GET", path, nil).want(200).body)
	}
	var key api.APIKey
	e.call(e.owner, "GET", "/v1/api-keys/"+b.key, nil).want(200).into(&key)
	fmt.Fprint(&all, key.RevokedAt)
	return all.String()
}

// tokens are those who have nothing to do with B.
func (e *env) tokens(a tenant) map[string]string {
	e.newUser("user@tenanta.test", "user")
	e.newUser("admin@tenanta.test", "admin", a.domain)
	return map[string]string{
		"nobody": "", "user of A": e.signIn("user@tenanta.test"), "admin of A": e.signIn("admin@tenanta.test"),
		"key of A": e.newKey(account.AllScopes(), a.domain),
	}
}

func TestNobodyOfOneDomainReachesAnother_S43(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.newTenant("tenanta"), e.newTenant(marker)
	tokens := e.tokens(a)
	before := e.snapshot(b)
	tried := 0
	for _, op := range operations(document(t)) {
		if op.open() {
			continue
		}
		path := b.path(op.Path)
		body := op.body(t)
		if text, ok := body.(raw); ok {
			body = raw(strings.NewReplacer("example.test", marker+".test", "elsewhere.test", b.destination, "dom_01h455vb4pex5vsknk084sn02q", b.domain,
				"eml_01h455vb4pex5vsknk084sn02q", b.email,
				"mbx_01h455vb4pex5vsknk084sn02q", b.mailbox).Replace(string(text)))
		}
		for who, token := range tokens {
			tried++
			got := e.call(token, op.Method, path, body)
			switch {
			case token == "":
				if got.status != http.StatusUnauthorized {
					t.Errorf("%s, %s: status %d", who, got.what, got.status)
				}
			case strings.Contains(op.Path, "{"):
				if got.status != http.StatusForbidden && got.status != http.StatusNotFound {
					t.Errorf("%s, %s: status %d: %s", who, got.what, got.status, got.body)
				}
			case op.Method == http.MethodGet:
				if got.status != http.StatusOK && got.status != http.StatusForbidden && op.OperationID != "getMe" {
					t.Errorf("%s, %s: status %d: %s", who, got.what, got.status, got.body)
				}
			case op.OperationID == "createBlob": // a file of the caller's own, which nobody else sees
				got.want(http.StatusCreated)
			case got.status < 400:
				t.Errorf("%s, %s %s: status %d: %s", who, got.what, body, got.status, got.body)
			}
			if bytes.Contains(got.body, []byte(marker)) {
				t.Errorf("%s, %s gives away: %s", who, got.what, got.body)
			}
		}
		if op.Method == http.MethodGet && strings.Contains(op.Path, "{") {
			e.call(e.owner, "GET", path, nil).want(200) // what was refused is there
		}
	}
	if after := e.snapshot(b); after != before {
		t.Errorf("B was changed:\n%s\n%s", before, after)
	}
	if tried < 120 {
		t.Errorf("only %d requests", tried)
	}
}

func TestListsNeverShowWhatAFilterOfAnotherDomainAsksFor_S43(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.newTenant("tenanta"), e.newTenant(marker)
	tokens := e.tokens(a)
	delete(tokens, "nobody")
	for who, token := range tokens {
		for _, path := range []string{
			"/v1/domains?name=" + marker + ".test", "/v1/users?domain_id=" + b.domain, "/v1/users?email=bob@" + marker + ".test",
			"/v1/emails?domain_id=" + b.domain, "/v1/emails?recipient=bob@" + marker + ".test", "/v1/events?domain_id=" + b.domain,
			"/v1/events?subject=" + b.email, "/v1/sink/messages?to=far@elsewhere.test",
			"/v1/queue/entries?domain_id=" + b.domain, "/v1/queue/entries?destination=" + b.destination, "/v1/queue/entries?email_id=" + b.email,
			"/v1/queue/destinations?domain_id=" + b.domain, "/v1/queue/destinations", "/v1/stats/overview?domain_id=" + b.domain,
			"/v1/stats/timeseries?domain_id=" + b.domain,
		} {
			got := e.call(token, "GET", path, nil)
			if got.status != 200 && got.status != 403 && got.status != 404 || bytes.Contains(got.body, []byte(marker)) ||
				bytes.Contains(got.body, []byte(b.domain)) {
				t.Errorf("%s, %s: %d %s", who, path, got.status, got.body)
			}
		}
		// A's own message cannot go into B's mailbox.
		own := e.messages(a.mailbox)[0].ID
		if got := e.call(token, "POST", "/v1/messages/"+own+"/move", raw(`{"mailbox_id":"`+b.mailbox+`"}`)); got.status != 422 && got.status != 404 {
			t.Errorf("%s moves into B: %d %s", who, got.status, got.body)
		}
	}
}

func TestAUserHasTheOwnMailboxAndNoOther(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.newTenant(marker)
	e.newUser("carol@"+marker+".test", "user")
	bob, carol := e.signIn("bob@"+marker+".test"), e.signIn("carol@"+marker+".test")
	for _, path := range []string{"/v1/messages/" + b.message, "/v1/mailboxes/" + b.mailbox, "/v1/users/" + b.user + "/mailboxes", "/v1/messages/" + b.message + "/raw"} {
		e.call(bob, "GET", path, nil).want(200)
		e.call(carol, "GET", path, nil).problem(404, "not-found")
	}
	e.call(carol, "DELETE", "/v1/messages/"+b.message, nil).problem(404, "not-found")
	e.call(carol, "PATCH", "/v1/messages/"+b.message, raw(`{"seen":true}`)).problem(404, "not-found")
	e.call(bob, "GET", "/v1/sink/messages", nil).problem(403, "domain-forbidden")
}
