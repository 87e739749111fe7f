package api_test

import (
	"testing"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/account"
)

func TestAKeyOfTheWholeServerProvisionsOwnersAndAdmins(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	one, two := e.newDomain("one.test"), e.newDomain("two.test")
	make := func(email, role string, domains ...string) (u api.User) {
		e.call(e.key, "POST", "/v1/users", api.UserCreate{Email: email, Password: goodPassword, Role: role, AdminIDs: domains}).want(201).into(&u)
		return u
	}
	admin, owner := make("admin@one.test", "admin", one.ID, two.ID), make("owner@two.test", "owner")
	if admin.Role != "admin" || len(admin.AdminIDs) != 2 || owner.Role != "owner" {
		t.Errorf("%+v %+v", admin, owner)
	}
	e.call(e.signIn("owner@two.test"), "POST", "/v1/domains", api.DomainCreate{Name: "three.test"}).want(201)
	e.call(e.signIn("admin@one.test"), "POST", "/v1/users", api.UserCreate{Email: "u@two.test", Password: goodPassword}).want(201)
	e.call(e.key, "PATCH", "/v1/users/"+admin.ID, raw(`{"role":"owner"}`)).want(200)
	e.call(e.key, "PATCH", "/v1/users/"+owner.ID, raw(`{"role":"user"}`)).want(200)
	e.call(e.key, "DELETE", "/v1/users/"+admin.ID, nil).want(204)
	// It cannot lock everybody out.
	e.call(e.key, "DELETE", "/v1/users/"+e.ownerID, nil).problem(409, "state-conflict")
	// users:write is what it takes.
	reader := e.newKey([]string{"users:read", "domains:write"})
	e.call(reader, "POST", "/v1/users", api.UserCreate{Email: "x@one.test", Password: goodPassword, Role: "admin"}).problem(403, "scope-missing")
}

func TestAKeyOfOneDomainProvisionsAdminsOfThatDomainAlone(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	one, two := e.newDomain("one.test"), e.newDomain("two.test")
	key := e.newKey(account.AllScopes(), one.ID)
	create := func(email, role string, domains ...string) *answer {
		return e.call(key, "POST", "/v1/users", api.UserCreate{Email: email, Password: goodPassword, Role: role, AdminIDs: domains})
	}
	var admin, user api.User
	create("admin@one.test", "admin", one.ID).want(201).into(&admin)
	create("user@one.test", "user").want(201).into(&user)
	create("owner@one.test", "owner").problem(403, "forbidden")
	for _, domains := range [][]string{{two.ID}, {one.ID, two.ID}, {unknownDomain}} { // what it may not reach does not exist for it
		p := create("far@one.test", "admin", domains...).problem(422, "validation-failed")
		if len(p.Errors) != 1 || p.Errors[0].Location != "body.admin_domain_ids" {
			t.Errorf("%+v", p.Errors)
		}
		e.call(key, "PATCH", "/v1/users/"+user.ID, map[string]any{"role": "admin", "admin_domain_ids": domains}).problem(422, "validation-failed")
	}
	create("admin@two.test", "admin", one.ID).problem(422, "validation-failed")
	e.call(key, "PATCH", "/v1/users/"+user.ID, raw(`{"role":"owner"}`)).problem(403, "forbidden")
	e.call(key, "PATCH", "/v1/users/"+user.ID, map[string]any{"role": "admin", "admin_domain_ids": []string{one.ID}}).want(200)
	e.call(key, "PATCH", "/v1/users/"+admin.ID, raw(`{"role":"user"}`)).want(200)
	// An admin who reaches further, and an owner, are out of its hands.
	wide, boss := e.newUser("wide@one.test", "admin", one.ID, two.ID), e.newUser("boss@one.test", "owner")
	for _, id := range []string{wide.ID, boss.ID} {
		e.call(key, "PATCH", "/v1/users/"+id, raw(`{"role":"user"}`)).problem(403, "forbidden")
		e.call(key, "PUT", "/v1/users/"+id+"/password", raw(`{"password":"another-good-password"}`)).problem(403, "forbidden")
		e.call(key, "DELETE", "/v1/users/"+id, nil).problem(403, "forbidden")
	}
	// People who administer a domain still make users only.
	person := e.signIn("user@one.test")
	e.call(person, "POST", "/v1/users", api.UserCreate{Email: "y@one.test", Password: goodPassword, Role: "admin", AdminIDs: []string{one.ID}}).problem(403, "forbidden")
	e.call(person, "POST", "/v1/users", api.UserCreate{Email: "y@one.test", Password: goodPassword}).want(201)
}

func TestALastPageThatIsFullIsTheLast(t *testing.T) {
	t.Parallel()
	e := newEnv(t) // has one domain, one user and one key
	for _, path := range []string{"/v1/domains", "/v1/users", "/v1/api-keys"} {
		var page struct {
			Items []struct{ ID string }
			Next  *string `json:"next_cursor"`
		}
		e.call(e.owner, "GET", path+"?limit=1", nil).want(200).into(&page)
		if len(page.Items) != 1 || page.Next != nil && *page.Next != "" {
			t.Errorf("%s: %+v", path, page)
		}
	}
}
