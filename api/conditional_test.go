package api_test

import (
	"testing"

	"github.com/mailserver-dev/mailserver/api"
)

func TestTwoWhoChangeTheSameObjectDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	d, u := e.newDomain("b.test"), e.newUser("alice@a.test", "user")
	for path, patch := range map[string]string{"/v1/domains/" + d.ID: `{"status":"disabled"}`, "/v1/users/" + u.ID: `{"name":"Alice"}`} {
		first := e.call(e.key, "GET", path, nil).want(200)
		tag := first.header.Get("ETag")
		if tag == "" || first.header.Get("Location") != "" {
			t.Fatalf("%s: headers %v", path, first.header)
		}
		for _, have := range []string{tag, `W/` + tag, `"x", ` + tag, "*"} {
			a := e.call(e.key, "GET", path, nil, "If-None-Match", have).want(304)
			if a.header.Get("ETag") != tag || len(a.body) != 0 {
				t.Errorf("%s: 304 with ETag %q and body %q", path, a.header.Get("ETag"), a.body)
			}
		}
		e.call(e.key, "GET", path, nil, "If-None-Match", `"77"`).want(200)
		changed := e.call(e.key, "PATCH", path, raw(patch), "If-Match", tag).want(200)
		if changed.header.Get("ETag") == tag {
			t.Errorf("%s: the version is the same after a change", path)
		}
		for _, old := range []string{tag, "W/" + tag, "nonsense", `"0"`} {
			e.call(e.key, "PATCH", path, raw(patch), "If-Match", old).problem(412, "etag-mismatch")
			e.call(e.key, "PATCH", path, raw(`{}`), "If-Match", old).problem(412, "etag-mismatch")
			e.call(e.key, "DELETE", path, nil, "If-Match", old).problem(412, "etag-mismatch")
		}
		e.call(e.key, "PATCH", path, raw(`{}`), "If-Match", changed.header.Get("ETag")).want(200)
		e.call(e.key, "DELETE", path, nil, "If-Match", changed.header.Get("ETag")).want(204)
		e.call(e.key, "GET", path, nil, "If-None-Match", "*").problem(404, "not-found")
		e.call(e.key, "DELETE", path, nil).problem(404, "not-found")
	}
}

func TestAMergePatchKeepsWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	u := e.newUser("alice@a.test", "user")
	path := "/v1/users/" + u.ID
	var got api.User
	e.call(e.key, "PATCH", path, raw(`{"name":"Alice","quota_bytes":1000}`)).want(200).into(&got)
	if got.Name != "Alice" || got.QuotaBytes != 1000 || got.Status != "active" || got.Role != "user" {
		t.Errorf("%+v", got)
	}
	e.call(e.key, "PATCH", path, raw(`{"name":null}`)).want(200).into(&got)
	if got.Name != "" || got.QuotaBytes != 1000 {
		t.Errorf("null does not remove the name, or removes more: %+v", got)
	}
	p := e.call(e.key, "PATCH", path, raw(`{"role":null}`)).problem(422, "validation-failed")
	if p.Errors[0].Message == "is not valid" {
		t.Errorf("%+v", p)
	}
	e.call(e.key, "PATCH", path, raw(`{"email":"b@a.test"}`)).problem(422, "unknown-field")
}

func TestAnObjectInUseIsNotDeleted(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	d := e.newDomain("b.test")
	u := e.newUser("alice@b.test", "user")
	e.call(e.key, "DELETE", "/v1/domains/"+d.ID, nil).problem(409, "in-use")
	e.call(e.key, "DELETE", "/v1/users/"+u.ID, nil).want(204)
	e.call(e.key, "DELETE", "/v1/domains/"+d.ID, nil).want(204)
}
