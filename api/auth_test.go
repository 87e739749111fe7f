package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/account"
)

func TestABrowserSessionBeginsGoesOnAndEnds(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a := e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "owner@a.test", Password: goodPassword}).want(201)
	var s api.Session
	a.into(&s)
	if s.TokenType != "Bearer" || s.ExpiresIn != 600 || s.User.Email != "owner@a.test" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %s", a.header, a.body)
	}
	c := e.cookie(a)
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/v1/auth" || c.Secure || c.Value == "" {
		t.Errorf("cookie %+v", c)
	}
	var me api.User
	if got := e.call(s.AccessToken, "GET", "/v1/me", nil).want(200).into(&me); me.ID != s.User.ID || got.header.Get("ETag") == "" {
		t.Errorf("%+v", me)
	}
	e.call(e.key, "GET", "/v1/me", nil).problem(404, "not-found")

	next := e.call("", "POST", "/v1/auth/sessions/refresh", nil, "Cookie", c.Name+"="+c.Value).want(200)
	next.into(&s)
	e.call(s.AccessToken, "GET", "/v1/me", nil).want(200)
	c = e.cookie(next)
	out := e.call("", "DELETE", "/v1/auth/sessions/current", nil, "Cookie", c.Name+"="+c.Value).want(204)
	if gone := e.cookie(out); gone.Value != "" || gone.MaxAge >= 0 {
		t.Errorf("the cookie stays: %+v", gone)
	}
	e.call("", "POST", "/v1/auth/sessions/refresh", nil, "Cookie", c.Name+"="+c.Value).want(401)
	e.call(s.AccessToken, "GET", "/v1/me", nil).want(401)
}

func (e *env) cookie(a *answer) *http.Cookie {
	e.t.Helper()
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 {
		e.t.Fatalf("%s: cookies %v", a.what, cookies)
	}
	return cookies[0]
}

func TestASessionEndsWithItsAccessTokenToo(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	token := e.signIn("owner@a.test")
	e.call(token, "DELETE", "/v1/auth/sessions/current", nil).want(204)
	e.call(token, "GET", "/v1/me", nil).want(401)
	e.call("", "DELETE", "/v1/auth/sessions/current", nil).want(204)
	e.call("nonsense", "DELETE", "/v1/auth/sessions/current", nil).want(204)
}

func TestWithoutACookieThereIsNothingToRefresh(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a := e.call("", "POST", "/v1/auth/sessions/refresh", nil).want(204)
	if len(a.body) != 0 {
		t.Errorf("%s", a.body)
	}
	e.call("", "POST", "/v1/auth/sessions/refresh", nil, "Cookie", "mailserver_refresh=nonsense").want(401)
}

func TestAPageOfAnotherOriginCannotUseTheCookie_S40(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a := e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "owner@a.test", Password: goodPassword}, "Origin", e.url).want(201)
	c := e.cookie(a)
	for _, origin := range []string{"https://evil.test", "null", "http://127.0.0.1", "http://127.0.0.1:1", "file://", e.url + ".evil.test"} {
		e.call("", "POST", "/v1/auth/sessions/refresh", nil, "Cookie", c.Name+"="+c.Value, "Origin", origin).problem(403, "origin-forbidden")
		e.call("", "DELETE", "/v1/auth/sessions/current", nil, "Cookie", c.Name+"="+c.Value, "Origin", origin).problem(403, "origin-forbidden")
		e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "owner@a.test", Password: goodPassword}, "Origin", origin).problem(403, "origin-forbidden")
	}
	if cors := e.call("", "OPTIONS", "/v1/auth/sessions/refresh", nil, "Origin", "https://evil.test", "Access-Control-Request-Method", "POST"); cors.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another origin is allowed")
	}
	e.call("", "POST", "/v1/auth/sessions/refresh", nil, "Cookie", c.Name+"="+c.Value, "Origin", e.url).want(200)
}

func TestTheCookieIsSecureWhereverABrowserKeepsItSo(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for host, secure := range map[string]bool{"mail.a.test": true, "mail.a.test:8080": true, "localhost:8080": false, "[::1]:8080": false, "192.0.2.1": true} {
		a := e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "owner@a.test", Password: goodPassword}, "Host", host).want(201)
		if c := e.cookie(a); c.Secure != secure {
			t.Errorf("at %s the cookie is secure: %t", host, c.Secure)
		}
	}
}

func TestAWrongPasswordAndAnUnknownAddressGetTheSameAnswer_S21(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	wrong := e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "owner@a.test", Password: "something else entirely"}).want(401)
	unknown := e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "nobody@a.test", Password: "something else entirely"}).want(401)
	if string(wrong.body) != string(unknown.body) {
		t.Errorf("%s\n%s", wrong.body, unknown.body)
	}
	wrong.problem(401, "invalid-credentials")
	if strings.Contains(e.log.String(), "something else") {
		t.Error("a password is in the log")
	}
}

func TestAChangedPasswordEndsAllSessions_S24(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	u := e.newUser("alice@a.test", "user")
	token := e.signIn("alice@a.test")
	e.call(token, "PUT", "/v1/users/"+u.ID+"/password", raw(`{"password":"another-good-password"}`)).problem(422, "current-password-wrong")
	e.call(token, "GET", "/v1/me", nil).want(200)
	e.call(token, "PUT", "/v1/users/"+u.ID+"/password", raw(`{"password":"another-good-password","current_password":"`+goodPassword+`"}`)).want(204)
	e.call(token, "GET", "/v1/me", nil).want(401)
	e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "alice@a.test", Password: "another-good-password"}).want(201)
}

func TestSignInsKeysAndTokensAreCounted_A74(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	before := map[string]int{}
	for _, what := range []string{"ok console", "failed console", "ok api", "failed api"} {
		before[what] = e.counted(what)
	}
	e.signIn("owner@a.test")
	e.call("", "POST", "/v1/auth/sessions", api.SessionCreate{Email: "owner@a.test", Password: "something else entirely"}).want(401)
	e.call(e.key, "GET", "/v1/domains", nil).want(200)
	e.call(e.key, "GET", "/v1/domains", nil).want(200)
	e.call(e.key[:len(e.key)-1]+"!", "GET", "/v1/domains", nil).want(401)
	e.call(e.owner, "GET", "/v1/domains", nil).want(200)
	e.call("nonsense", "GET", "/v1/domains", nil).want(401)
	for what, more := range map[string]int{"ok console": 1, "failed console": 1, "ok api": 2, "failed api": 2} {
		if got := e.counted(what) - before[what]; got != more {
			t.Errorf("%s moved by %d, want %d", what, got, more)
		}
	}
}

func TestATestKeyReadsAndSendsAndChangesNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.newTenant(marker)
	var made api.APIKeyCreated
	e.call(e.owner, "POST", "/v1/api-keys", api.APIKeyCreate{Name: "test", Scopes: account.AllScopes(), Mode: "test"}).want(201).into(&made)
	before, tried := e.snapshot(b), 0
	for _, op := range operations(document(t)) {
		if op.open() || op.OperationID == "getMe" {
			continue
		}
		body := op.body(t)
		switch {
		case strings.Contains(op.Path, "{blob_id}"): // those of others do not exist for it, and its own are no news
			e.call(made.Key, op.Method, b.path(op.Path), nil).problem(404, "not-found")
		case op.Method == http.MethodGet:
			e.call(made.Key, op.Method, b.path(op.Path), nil).want(200)
		case !slices.Contains([]string{"sendEmail", "sendEmailBatch", "validateEmail", "createBlob"}, op.OperationID):
			tried++
			e.call(made.Key, op.Method, b.path(op.Path), body, "Idempotency-Key", "k").problem(403, "test-key")
		}
	}
	e.call(made.Key, "HEAD", "/v1/domains", nil).want(200)
	if after := e.snapshot(b); after != before || tried < 12 {
		t.Errorf("%d requests were refused, and this changed:\n%s\n%s", tried, before, after)
	}
	e.call(made.Key, "POST", "/v1/emails", map[string]any{"from": "app@" + marker + ".test", "to": "bob@" + marker + ".test", "text": "x"}).want(202)
}
