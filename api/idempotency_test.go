package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
)

const letter = `{"from":"app@a.test","to":["owner@a.test"],"subject":"receipt","text":"t"}`

func (e *env) countEmails() int {
	e.t.Helper()
	var n int
	if err := e.pool.QueryRow(e.t.Context(), `SELECT count(*) FROM email`).Scan(&n); err != nil {
		e.t.Fatal(err)
	}
	return n
}

func TestFiftyIdenticalSendsWithOneKeyAreOneEmail_S41(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	answers := make([]*answer, 50)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = e.call(e.key, "POST", "/v1/emails", raw(letter), "Idempotency-Key", "order-42") })
	}
	wg.Wait()
	var first api.EmailAccepted
	accepted, replayed := 0, 0
	for _, a := range answers {
		switch a.status {
		case http.StatusAccepted:
			accepted++
			var got api.EmailAccepted
			a.into(&got)
			if first.ID == "" {
				first = got
			}
			if got.ID != first.ID || a.header.Get("Location") != "/v1/emails/"+first.ID {
				t.Errorf("another answer: %s", a.body)
			}
			if a.header.Get("Idempotency-Replayed") == "true" {
				replayed++
			}
		case http.StatusConflict:
			a.problem(409, "idempotency-in-progress")
			if a.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
			}
		default:
			t.Errorf("status %d: %s", a.status, a.body)
		}
	}
	if n := e.countEmails(); n != 1 || accepted == 0 || replayed != accepted-1 {
		t.Errorf("%d emails, %d accepted of which %d replayed", n, accepted, replayed)
	}
	// Quoted or bare, the key is the same; with another body it is refused; another credential has its own.
	a := e.call(e.key, "POST", "/v1/emails", raw(letter), "Idempotency-Key", `"order-42"`).want(202)
	if a.header.Get("Idempotency-Replayed") != "true" {
		t.Error("the quoted key is another one")
	}
	e.call(e.key, "POST", "/v1/emails", raw(strings.Replace(letter, "receipt", "other", 1)), "Idempotency-Key", "order-42").problem(422, "idempotency-key-reused")
	e.call(e.newKey([]string{"emails:send"}), "POST", "/v1/emails", raw(letter), "Idempotency-Key", "order-42").want(202)
	if n := e.countEmails(); n != 2 {
		t.Errorf("%d emails", n)
	}
}

func TestAKeyThatCannotBeOneIsRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, key := range []string{`""`, strings.Repeat("k", 257), "schlüssel", `"a"b"`} {
		p := e.call(e.key, "POST", "/v1/emails", raw(letter), "Idempotency-Key", key).problem(400, "idempotency-key-invalid")
		if len(p.Errors) != 1 || p.Errors[0].Location != "header.Idempotency-Key" {
			t.Errorf("%+v", p.Errors)
		}
	}
}

// withoutAnswer makes a request whose process dies between effect and answer: the effect is committed and the answer is not.
func (e *env) withoutAnswer(method, path string, body raw, key string) {
	e.t.Helper()
	e.call(e.key, method, path, body, "Idempotency-Key", key)
	tag, err := e.pool.Exec(e.t.Context(), `UPDATE idempotency SET status = NULL, header = NULL, body = NULL WHERE effect IS NOT NULL AND status IS NOT NULL`)
	if err != nil {
		e.t.Fatal(err)
	}
	if tag.RowsAffected() == 0 {
		e.t.Fatalf("%d answers were stored for %s", tag.RowsAffected(), path)
	}
}

func TestAnEffectWhoseAnswerWasLostIsShownToTheNextTry(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, c := range []struct {
		path, body string
		status     int
		location   string
	}{
		{"/v1/emails", letter, 202, "/v1/emails/eml_"},
		{"/v1/domains", `{"name":"b.test"}`, 201, "/v1/domains/dom_"},
		{"/v1/blobs", `any bytes`, 201, "/v1/blobs/blb_"},
		{"/v1/users", `{"email":"alice@a.test","password":"` + goodPassword + `"}`, 201, "/v1/users/usr_"},
		{"/v1/users/" + e.ownerID + "/mailboxes", `{"name":"Projects"}`, 201, "/v1/mailboxes/mbx_"},
	} {
		e.withoutAnswer("POST", c.path, raw(c.body), "k")
		for range 2 {
			a := e.call(e.key, "POST", c.path, raw(c.body), "Idempotency-Key", "k").want(c.status)
			var object struct {
				ID string `json:"id"`
			}
			a.into(&object)
			if !strings.HasPrefix(a.header.Get("Location"), c.location) || !strings.HasSuffix(a.header.Get("Location"), object.ID) ||
				a.header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("%s: %v %s", c.path, a.header, a.body)
			}
		}
	}
	if n := e.countEmails(); n != 1 {
		t.Errorf("%d emails", n)
	}
}

func TestAKeysSecretIsNeverStoredForAReplay(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	body := raw(`{"name":"k","scopes":["domains:read"]}`)
	var made api.APIKeyCreated
	a := e.call(e.owner, "POST", "/v1/api-keys", body, "Idempotency-Key", "k").want(201).into(&made)
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be cached")
	}
	e.call(e.owner, "POST", "/v1/api-keys", body, "Idempotency-Key", "k").problem(409, "secret-already-shown")
	var stored string
	if err := e.pool.QueryRow(t.Context(), `SELECT string_agg(k::text, ' ') FROM idempotency k`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, made.Key) || stored == "" {
		t.Error("the key is in the database")
	}
	// The key works, and one that was asked for in vain does not exist.
	e.call(made.Key, "GET", "/v1/domains", nil).want(200)
	var page api.APIKeyPage
	e.call(e.owner, "GET", "/v1/api-keys", nil).want(200).into(&page)
	if len(page.Items) != 2 {
		t.Errorf("%d keys", len(page.Items))
	}
}

func TestAQuestionIsAnsweredAnewAndNothingOfItIsKept(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	ask := func() (v api.EmailValidation) {
		e.call(e.key, "POST", "/v1/emails/validate", raw(strings.Replace(letter, "owner@", "late@", 1)), "Idempotency-Key", "k").want(200).into(&v)
		return v
	}
	if v := ask(); v.Recipients[0].Would != "refuse" {
		t.Errorf("%+v", v)
	}
	e.newUser("late@a.test", "user")
	if v := ask(); v.Recipients[0].Would != "deliver_local" {
		t.Errorf("an old answer: %+v", v)
	}
	// One key, and the request of another operation, and of another body.
	e.call(e.key, "POST", "/v1/emails/validate", raw(letter), "Idempotency-Key", "k").want(200)
	e.nothingIsKept()
}

func TestABatchInWhichEverythingIsRefusedLeavesItsKeyFree(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	const path, bad = "/v1/emails/batch?mode=per_item", `{"from":"app@later.test","to":"owner@a.test","text":"t"}`
	send := func(body string) (out api.EmailBatchAccepted) {
		e.call(e.key, "POST", path, raw(body), "Idempotency-Key", "k").want(202).into(&out)
		return out
	}
	if out := send("[" + bad + "]"); out.Items[0].Problem == nil {
		t.Errorf("%+v", out)
	}
	e.nothingIsKept()
	e.newDomain("later.test")
	if out := send("[" + bad + "]"); out.Items[0].ID == "" {
		t.Errorf("the refusal is repeated: %+v", out)
	}
	e.call(e.key, "POST", path, raw("["+letter+"]"), "Idempotency-Key", "k").problem(422, "idempotency-key-reused")
}

// nothingIsKept looks for answers of requests that were sent with a key.
func (e *env) nothingIsKept() {
	e.t.Helper()
	var n int
	if err := e.pool.QueryRow(e.t.Context(), `SELECT count(*) FROM idempotency`).Scan(&n); err != nil || n != 0 {
		e.t.Errorf("%d requests are kept, %v", n, err)
	}
}

func TestARefusedRequestLeavesItsKeyFree(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.call(e.key, "POST", "/v1/domains", raw(`{"name":"not a name"}`), "Idempotency-Key", "k").problem(422, "validation-failed")
	e.call(e.key, "POST", "/v1/domains", raw(`{"name":"b.test"}`), "Idempotency-Key", "k").want(201)
	e.call(e.key, "POST", "/v1/domains", raw(`{"name":"b.test"}`), "Idempotency-Key", "j").problem(409, "already-exists")
	e.call(e.key, "POST", "/v1/domains", raw(`{"name":`), "Idempotency-Key", "j").problem(400, "bad-json")
}

func TestAClientThatLeavesAndComesBackHasOneEffect(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	// Who leaves may or may not stop what it began; the next try has one effect either way.
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/v1/emails", strings.NewReader(letter))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "left")
	done := make(chan error, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
		}
		done <- err
	}()
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	await(t, "the repeated request has its answer", func() bool {
		return e.call(e.key, "POST", "/v1/emails", raw(letter), "Idempotency-Key", "left").status == http.StatusAccepted
	})
	if n := e.countEmails(); n != 1 {
		t.Errorf("%d emails", n)
	}
}
