package api_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/account"
)

// unknownDomain, unknownUser ... are well formed ids of nothing.
const (
	unknownDomain = "dom_01h455vb4pex5vsknk084sn02q"
	unknownEmail  = "eml_01h455vb4pex5vsknk084sn02q"
	unknownBlob   = "blb_01h455vb4pex5vsknk084sn02q"
)

func TestBadInputIsRefusedWithItsPlaceAndCode(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	send := func(fields string) raw {
		return raw(`{"from":"app@a.test","to":"owner@a.test","subject":"s","text":"t"` + fields + `}`)
	}
	for _, c := range []struct {
		name, method, path string
		body               any
		status             int
		code, where        string
	}{
		{"broken JSON", "POST", "/v1/domains", raw(`{"name":`), 400, "bad-json", ""},
		{"no JSON at all", "POST", "/v1/domains", raw(`name=b.test`), 400, "bad-json", ""},
		{"text after the JSON", "POST", "/v1/domains", raw(`{"name":"b.test"} {}`), 400, "bad-json", ""},
		{"nested without end", "POST", "/v1/domains", raw(strings.Repeat(`{"a":`, 5000)), 400, "bad-json", ""},
		{"no body", "POST", "/v1/domains", raw(""), 400, "bad-json", ""},
		{"an array for an object", "POST", "/v1/domains", raw(`[]`), 422, "validation-failed", "body"},
		{"unknown field", "POST", "/v1/domains", raw(`{"name":"b.test","nick":"secret"}`), 422, "unknown-field", "body.nick"},
		{"a field in other letters", "POST", "/v1/domains", raw(`{"Name":"b.test"}`), 422, "validation-failed", "body.Name"},
		{"missing field", "POST", "/v1/domains", raw(`{}`), 422, "validation-failed", "body"},
		{"wrong type", "POST", "/v1/domains", raw(`{"name":5}`), 422, "validation-failed", "body.name"},
		{"null for a needed field", "POST", "/v1/domains", raw(`{"name":null}`), 422, "validation-failed", "body.name"},
		{"no domain name", "POST", "/v1/domains", raw(`{"name":"not a name"}`), 422, "validation-failed", "body.name"},
		{"unknown parameter", "GET", "/v1/domains?limt=5", nil, 422, "unknown-parameter", "query.limt"},
		{"limit of nothing", "GET", "/v1/domains?limit=0", nil, 422, "validation-failed", "query.limit"},
		{"negative limit", "GET", "/v1/domains?limit=-1", nil, 422, "validation-failed", "query.limit"},
		{"limit in words", "GET", "/v1/domains?limit=many", nil, 422, "validation-failed", "query.limit"},
		{"status that is none", "GET", "/v1/domains?status=odd", nil, 422, "validation-failed", "query.status"},
		{"a cursor of nobody", "GET", "/v1/domains?cursor=YWJj", nil, 400, "invalid-cursor", "query.cursor"},
		{"a bad id", "GET", "/v1/domains/7", nil, 400, "invalid-id", "path.domain_id"},
		{"an id of another kind", "GET", "/v1/domains/" + unknownEmail, nil, 400, "invalid-id", "path.domain_id"},
		{"a bad id in the query", "GET", "/v1/users?domain_id=a.test", nil, 400, "invalid-id", "query.domain_id"},
		{"an unknown id", "GET", "/v1/domains/" + unknownDomain, nil, 404, "not-found", ""},
		{"an unknown path", "GET", "/v1/domain", nil, 404, "not-found", ""},
		{
			"a bad id in the body", "POST", "/v1/users", raw(`{"email":"x@a.test","password":"` + goodPassword + `","role":"admin","admin_domain_ids":["a.test"]}`),
			422, "validation-failed", "body.admin_domain_ids",
		},
		{"a role that is none", "POST", "/v1/users", raw(`{"email":"x@a.test","password":"` + goodPassword + `","role":"king"}`), 422, "validation-failed", "body.role"},
		{"a short password", "POST", "/v1/users", raw(`{"email":"x@a.test","password":"short"}`), 422, "validation-failed", "body.password"},
		{"a user of a domain elsewhere", "POST", "/v1/users", raw(`{"email":"x@elsewhere.test","password":"` + goodPassword + `"}`), 422, "", ""},
		{"null in a merge patch", "PATCH", "/v1/domains/" + unknownDomain, raw(`{"status":null}`), 422, "validation-failed", "body"},
		{"a sender not hosted here", "POST", "/v1/emails", raw(`{"from":"x@elsewhere.test","to":"owner@a.test","text":"t"}`), 422, "sender-not-verified", ""},
		{
			"a line break in the subject", "POST", "/v1/emails", raw(`{"from":"app@a.test","to":"owner@a.test","subject":"a\r\nBcc: x@y.test","text":"t"}`),
			422, "validation-failed", "body.subject",
		},
		{"a line break in a header field", "POST", "/v1/emails", send(`,"headers":{"X-A":"b\nc"}`), 422, "validation-failed", "body.headers.X-A"},
		{"a header field that is ours", "POST", "/v1/emails", send(`,"headers":{"Received":"x"}`), 422, "validation-failed", "body.headers.Received"},
		{"a header field twice", "POST", "/v1/emails", send(`,"headers":[{"name":"X-A","value":"1"},{"name":"x-a","value":"2"}]`), 422, "validation-failed", "body.headers.x-a"},
		{"no recipient", "POST", "/v1/emails", raw(`{"from":"app@a.test","text":"t"}`), 422, "recipient-invalid", "body.to"},
		{"an address that is none", "POST", "/v1/emails", raw(`{"from":"app@a.test","to":["owner@a.test","nobody"],"text":"t"}`), 422, "recipient-invalid", "body.to[1]"},
		{"a number for an address", "POST", "/v1/emails", raw(`{"from":"app@a.test","to":7,"text":"t"}`), 422, "validation-failed", "body.to"},
		{"an unknown field in an address", "POST", "/v1/emails", raw(`{"from":{"email":"app@a.test","nme":"x"},"to":"owner@a.test","text":"t"}`), 422, "validation-failed", "body.from"},
		{"a feature that does not exist", "POST", "/v1/emails", send(`,"send_at":"2030-01-01T00:00:00Z"`), 422, "unknown-field", "body.send_at"},
		{"a hold", "POST", "/v1/emails", send(`,"hold":"undo"`), 422, "unknown-field", "body.hold"},
		{"a template", "POST", "/v1/emails", send(`,"template":{"id":"x"}`), 422, "unknown-field", "body.template"},
		{"variants", "POST", "/v1/emails", send(`,"variants":[]`), 422, "unknown-field", "body.variants"},
		{"an attachment of nothing", "POST", "/v1/emails", send(`,"attachments":[{"filename":"a"}]`), 422, "validation-failed", "body.attachments[0]"},
		{
			"an attachment of two things", "POST", "/v1/emails", send(`,"attachments":[{"filename":"a","content":"","blob_id":"` + unknownBlob + `"}]`),
			422, "validation-failed", "body.attachments[0]",
		},
		{
			"a blob id of another kind", "POST", "/v1/emails", send(`,"attachments":[{"filename":"a","blob_id":"` + unknownEmail + `"}]`),
			422, "validation-failed", "body.attachments[0].blob_id",
		},
		{
			"a blob that does not exist", "POST", "/v1/emails", send(`,"attachments":[{"filename":"a","blob_id":"` + unknownBlob + `"}]`),
			422, "blob-not-found", "body.attachments[0].blob_id",
		},
		{"a batch that is no list", "POST", "/v1/emails/batch", send(""), 422, "validation-failed", "body"},
		{"a batch of nothing", "POST", "/v1/emails/batch", raw(` [ ] `), 422, "validation-failed", "body"},
		{"a batch of too many", "POST", "/v1/emails/batch", raw("[" + strings.TrimSuffix(strings.Repeat(string(send(""))+",", 1001), ",") + "]"), 422, "validation-failed", "body"},
		{"a batch of other things", "POST", "/v1/emails/batch?mode=all_or_nothing", "[" + send("") + `,null]`, 422, "validation-failed", "body[1]"},
		{"a mode that is none", "POST", "/v1/emails/batch?mode=some", "[" + send("") + "]", 422, "validation-failed", "query.mode"},
		{"an unknown parameter of a batch", "POST", "/v1/emails/batch?made=per_item", "[" + send("") + "]", 422, "unknown-parameter", "query.made"},
		{"no JSON for a batch", "POST", "/v1/emails/batch", raw(`[{]`), 400, "bad-json", ""},
		{"a batch without a body", "POST", "/v1/emails/batch", raw(""), 400, "bad-json", ""},
		{"a batch nested without end", "POST", "/v1/emails/batch", raw(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), 400, "bad-json", ""},
		{"an unknown field in a batch", "POST", "/v1/emails/batch", "[" + send("") + "," + send(`,"send_at":"+1h"`) + "]", 422, "unknown-field", "body[1].send_at"},
		{"a bad sender in a batch", "POST", "/v1/emails/batch", raw(`[{"from":"x@elsewhere.test","to":"owner@a.test","text":"t"}]`), 422, "sender-not-verified", "body[0].from"},
		{
			"a bad attachment in a batch", "POST", "/v1/emails/batch", "[" + send("") + "," + send(`,"attachments":[{"filename":"a","content":"%%%"}]`) + "]",
			422, "validation-failed", "body[1].attachments[0].content",
		},
		{"no JSON to be validated", "POST", "/v1/emails/validate", raw(`{"from":`), 400, "bad-json", ""},
		{"nothing to be validated", "POST", "/v1/emails/validate", raw(""), 400, "bad-json", ""},
		{"an upload of nothing", "POST", "/v1/blobs", raw(""), 422, "validation-failed", "body"},
		{"a bad id of a blob", "GET", "/v1/blobs/7", nil, 400, "invalid-id", "path.blob_id"},
		{"a blob that nobody has", "GET", "/v1/blobs/" + unknownBlob + "/content", nil, 404, "not-found", ""},
		{"deleting what nobody has", "DELETE", "/v1/blobs/" + unknownBlob, nil, 404, "not-found", ""},
		{"an attachment that is not base64", "POST", "/v1/emails", send(`,"attachments":[{"filename":"a","content":"%%%"}]`), 422, "validation-failed", "body.attachments[0].content"},
		{"neither text nor html", "POST", "/v1/emails", raw(`{"from":"app@a.test","to":"owner@a.test"}`), 422, "validation-failed", "body.text"},
		{"eleven tags", "POST", "/v1/emails", send(`,"tags":["1","2","3","4","5","6","7","8","9","10","11"]`), 422, "validation-failed", "body.tags"},
		{"a scope that is none", "POST", "/v1/api-keys", raw(`{"name":"k","scopes":["all"]}`), 422, "validation-failed", "body.scopes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := e.call(e.key, c.method, c.path, c.body)
			a.t = t
			if c.code == "" {
				a.want(c.status)
				return
			}
			p := a.problem(c.status, c.code)
			if c.where != "" && (len(p.Errors) == 0 || !hasPlace(p.Errors, c.where)) {
				t.Errorf("the place %s is not named: %s", c.where, a.body)
			}
			if bytes.Contains(a.body, []byte("secret")) || bytes.Contains(a.body, []byte(goodPassword)) {
				t.Errorf("the answer repeats what was sent: %s", a.body)
			}
		})
	}
}

func hasPlace(errors []api.ProblemError, place string) bool {
	for _, one := range errors {
		if one.Location == place {
			return true
		}
	}
	return false
}

func TestABodyThatIsTooLargeIsRefusedHoweverItComes(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	huge := strings.Repeat("x", 11<<20)
	e.call(e.key, "POST", "/v1/emails", raw(`{"from":"app@a.test","to":"owner@a.test","text":"`+huge+`"}`)).problem(413, "body-too-large")
	chunked := io.MultiReader(strings.NewReader(`{"from":"app@a.test","to":"owner@a.test","text":"`), strings.NewReader(huge), strings.NewReader(`"}`))
	e.call(e.key, "POST", "/v1/emails", chunked).problem(413, "body-too-large")
	e.call(e.key, "POST", "/v1/emails", io.MultiReader(strings.NewReader(huge)), "Idempotency-Key", "k").problem(413, "body-too-large")
	e.call(e.key, "POST", "/v1/domains", raw(`{"name":"`+huge[:1<<20]+`"}`)).problem(413, "body-too-large")
	e.call("", "POST", "/v1/auth/sessions", raw(`{"email":"`+huge[:20<<10]+`"}`)).problem(413, "body-too-large")
	e.call(e.key, "POST", "/v1/emails/validate", raw(`{"text":"`+huge+`"}`)).problem(413, "body-too-large")
	// A batch may have more, and a file more than other JSON, each up to its own bound.
	few := newEnv(t, func(d *api.Deps) { d.Limits.API.BatchBytes, d.Limits.BlobBytes = 12<<20, 12<<20 })
	few.call(few.key, "POST", "/v1/emails/batch", raw(`[`+letter+`,{"x":"`+huge+`"}]`)).problem(422, "validation-failed")
	few.call(few.key, "POST", "/v1/emails/batch", io.MultiReader(strings.NewReader(`["`), strings.NewReader(huge), strings.NewReader(huge))).problem(413, "body-too-large")
	few.upload(few.key, huge+huge[:1<<20], "text/plain")
	few.call(few.key, "POST", "/v1/blobs", raw(huge+huge[:1<<20+1])).problem(413, "body-too-large")
	few.call(few.key, "POST", "/v1/blobs", io.MultiReader(strings.NewReader(huge), strings.NewReader(huge)), "Idempotency-Key", "k").problem(413, "body-too-large")
	// The largest that is allowed arrives.
	most := `{"from":"app@a.test","to":"owner@a.test","text":"`
	text := strings.Repeat("x", 10<<20-len(most)-2)
	e.call(e.key, "POST", "/v1/emails", raw(most+text+`"}`)).want(202)
}

func TestBodiesTogetherAreBounded(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(d *api.Deps) { d.Limits.API.BodyBudgetBytes = 1 << 20 })
	// A stranger's body takes no room: it is not read.
	reader, writer := io.Pipe()
	defer writer.Close()
	stranger := make(chan *answer, 1)
	go func() { stranger <- e.call("", "POST", "/v1/emails", reader) }()
	large := raw(`{"from":"app@a.test","to":"owner@a.test","text":"` + strings.Repeat("x", 600<<10) + `"}`)
	if _, err := writer.Write([]byte(large[:64<<10])); err != nil {
		t.Fatal(err)
	}
	e.call(e.key, "POST", "/v1/emails", large).want(202)
	writer.Close()
	(<-stranger).problem(401, "unauthenticated")

	// One body is held half read; there is no room for another until it ends.
	slow, feed := io.Pipe()
	first := make(chan *answer, 1)
	go func() { first <- e.call(e.key, "POST", "/v1/emails", slow) }()
	if _, err := feed.Write([]byte(large[:len(large)-2])); err != nil {
		t.Fatal(err)
	}
	await(t, "the first body is held", func() bool { return e.api.Room() < 500<<10 })
	for range 2 {
		a := e.call(e.key, "POST", "/v1/emails", large)
		a.problem(503, "unavailable")
		if a.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
		}
	}
	if _, err := feed.Write([]byte(large[len(large)-2:])); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	(<-first).want(202)
	e.call(e.key, "POST", "/v1/emails", large).want(202)
	await(t, "all room is given back", func() bool { return e.api.Room() == 1<<20 })
}

// await waits for something that another goroutine brings about.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if done() {
			return
		}
		<-tick.C
	}
	t.Fatalf("did not happen: %s", what)
}

func TestMediaTypesOfBodyAndAnswerAreChecked(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	d := e.newDomain("b.test")
	body := raw(`{"name":"c.test"}`)
	for _, bad := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", "application/merge-patch+json", "multipart/form-data; boundary=x"} {
		e.call(e.key, "POST", "/v1/domains", body, "Content-Type", bad).problem(415, "unsupported-media-type")
	}
	e.call(e.key, "PATCH", "/v1/domains/"+d.ID, raw(`{"status":"disabled"}`), "Content-Type", "application/merge-patch+json").want(200)
	e.call(e.key, "PATCH", "/v1/domains/"+d.ID, raw(`{}`), "Content-Type", "application/json; charset=utf-8").want(200)
	for _, bad := range []string{"text/html", "application/cbor", "application/json;q=0", "image/*"} {
		e.call(e.key, "POST", "/v1/domains", body, "Accept", bad).problem(406, "not-acceptable")
	}
	var page api.DomainPage
	e.call(e.key, "GET", "/v1/domains?name=c.test", nil).want(200).into(&page)
	if len(page.Items) != 0 {
		t.Error("a request that was refused for its Accept header had an effect")
	}
	for _, good := range []string{"", "*/*", "application/*", "text/html, application/json;q=0.5", "application/json"} {
		e.call(e.key, "GET", "/v1/domains", nil, "Accept", good).want(200)
	}
	id := e.mail(e.key, "app@a.test", "owner@a.test", "s", "t")
	e.call(e.key, "GET", "/v1/emails/"+id+"/raw", nil, "Accept", "message/rfc822").want(200)
	e.call(e.key, "GET", "/v1/emails/"+id+"/raw", nil, "Accept", "text/html").problem(406, "not-acceptable")
}

func TestOtherMethodsAndPathsAreProblems(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a := e.call(e.key, "PUT", "/v1/domains", raw(`{}`))
	a.problem(405, "method-not-allowed")
	if a.header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow: %q", a.header.Get("Allow"))
	}
	a = e.call("", "OPTIONS", "/v1/users/"+unknownDomain, nil)
	a.problem(405, "method-not-allowed")
	if a.header.Get("Allow") != "GET, PATCH, DELETE" {
		t.Errorf("Allow: %q", a.header.Get("Allow"))
	}
	for _, path := range []string{"/v1", "/v1/", "/v1/domains/", "/v1//domains", "/v1/nothing", "/v1/domains/x/y"} {
		e.call(e.key, "GET", path, nil).problem(404, "not-found")
	}
	head := e.call(e.key, "HEAD", "/v1/domains", nil).want(200)
	if len(head.body) != 0 || head.header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: %v %q", head.header, head.body)
	}
}

func TestCredentialsAreCheckedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Basic b3duZXI6eA==", "Bearer x.y.z", "Bearer ms_live_x", "Bearer " + e.key + "x", e.key} {
		a := e.call("", "GET", "/v1/domains?odd=1", nil, "Authorization", authorization)
		a.want(401)
		var p api.Problem
		a.into(&p)
		if p.RequestID != requestID || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %s", authorization, a.body)
		}
	}
	read := e.newKey([]string{"domains:read"})
	p := e.call(read, "POST", "/v1/domains", raw(`{`)).problem(403, "scope-missing")
	if len(p.RequiredScopes) != 1 || p.RequiredScopes[0] != "domains:write" {
		t.Errorf("%+v", p)
	}
	write := e.newKey([]string{"domains:write"})
	e.call(write, "GET", "/v1/domains", nil).want(200)
	for _, scope := range account.AllScopes() {
		if strings.Contains(e.log.String(), e.key) || strings.Contains(e.log.String(), goodPassword) {
			t.Fatal("a secret is in the log", scope)
		}
	}
}
