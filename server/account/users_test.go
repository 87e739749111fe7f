package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
)

func TestTheFirstOwnerIsMadeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	u, made, err := w.Bootstrap(t.Context(), "second@demo.test", goodPassword)
	if made || err != nil || !u.ID.IsZero() {
		t.Fatalf("a second owner was made: %+v, %v, %v", u, made, err)
	}
	if _, err := w.pool.Exec(t.Context(), `DELETE FROM account`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	results := make(chan bool, 8)
	for i := range 8 {
		wg.Go(func() {
			_, made, err := w.Bootstrap(t.Context(), fmt.Sprintf("owner@new%d.test", i), goodPassword)
			if err != nil {
				t.Error(err)
			}
			results <- made
		})
	}
	wg.Wait()
	close(results)
	n := 0
	for made := range results {
		if made {
			n++
		}
	}
	if owners := w.one(t, `SELECT count(*) FROM account WHERE role = 'owner'`); n != 1 || owners != 1 {
		t.Fatalf("eight nodes made %d owners, %d exist", n, owners)
	}
	if _, _, err := w.Bootstrap(t.Context(), "not an address", goodPassword); err != nil {
		t.Fatalf("nothing was to be done: %v", err)
	}
}

func TestAUserIsMadeWithWhatBelongsToIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	var hooked User
	w.OnCreate = func(ctx context.Context, tx pgx.Tx, u User) error {
		hooked = u
		var n int
		return tx.QueryRow(ctx, `SELECT 1 FROM account WHERE id = $1`, u.ID).Scan(&n)
	}
	u := w.create(t, Create{Email: "Alice.M@DEMO.test", Password: goodPassword, Name: "Alice", QuotaBytes: new(int64(1 << 20))})
	if u.Email != "Alice.M@demo.test" || u.DomainID != w.demo.ID || u.Role != mail.RoleUser || u.Status != Active || u.QuotaBytes != 1<<20 ||
		u.Version != 1 || u.Name != "Alice" {
		t.Fatalf("made %+v", u)
	}
	if hooked.ID != u.ID {
		t.Fatal("OnCreate was not called")
	}
	for _, find := range []func() (User, error){
		func() (User, error) { return w.Get(t.Context(), w.owner, u.ID) },
		func() (User, error) { return w.GetByEmail(t.Context(), w.owner, "ALICE.m@demo.test") },
	} {
		if got, err := find(); err != nil || fmt.Sprint(got) != fmt.Sprint(u) {
			t.Errorf("found %+v, %v\nwant %+v", got, err, u)
		}
	}
	if n := w.one(t, `SELECT count(*) FROM event WHERE type = 'user.created' AND account_id = $1 AND domain_id = $2`, u.ID, w.demo.ID); n != 1 {
		t.Errorf("%d events", n)
	}
	if n := w.one(t, `SELECT count(*) FROM audit_event WHERE action = 'user.create' AND target = $1 AND actor = $2`, u.ID.String(), w.owner.User.String()); n != 1 {
		t.Errorf("%d audit rows", n)
	}
	if n := w.one(t, `SELECT count(*) FROM event WHERE data::text LIKE '%battery%'`) + w.one(t, `SELECT count(*) FROM audit_event WHERE data::text LIKE '%battery%'`); n != 0 {
		t.Error("the password stands in the records")
	}
}

func TestAFailingHookUndoesTheUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	boom := errors.New("no mailboxes today")
	w.OnCreate = func(context.Context, pgx.Tx, User) error { return boom }
	_, err := w.Create(t.Context(), w.owner, Create{Email: "alice@demo.test", Password: goodPassword})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if n := w.one(t, `SELECT count(*) FROM account WHERE email = 'alice@demo.test'`); n != 0 {
		t.Fatal("half a user was left")
	}
}

func TestWhatCannotBecomeAUserIsRefusedPrecisely(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	w.user(t, "taken@demo.test")
	for name, c := range map[string]struct {
		in          Create
		want, field string
	}{
		"taken":             {Create{Email: "TAKEN@demo.test", Password: goodPassword}, "conflict already-exists", "email"},
		"no address":        {Create{Email: "alice", Password: goodPassword}, "invalid validation-failed", "email"},
		"line break":        {Create{Email: "a\r\nb@demo.test", Password: goodPassword}, "invalid validation-failed", "email"},
		"needs quotes":      {Create{Email: `"a b"@demo.test`, Password: goodPassword}, "invalid validation-failed", "email"},
		"not hosted":        {Create{Email: "a@nowhere.test", Password: goodPassword}, "invalid validation-failed", "email"},
		"no password":       {Create{Email: "a@demo.test"}, "invalid validation-failed", "password"},
		"two passwords":     {Create{Email: "a@demo.test", Password: goodPassword, PasswordHash: cheap().hash("x")}, "invalid validation-failed", "password"},
		"weak password":     {Create{Email: "a@demo.test", Password: "password1234"}, "invalid validation-failed", "password"},
		"bad hash":          {Create{Email: "a@demo.test", PasswordHash: "plain"}, "invalid validation-failed", "password_hash"},
		"bad role":          {Create{Email: "a@demo.test", Password: goodPassword, Role: "king"}, "invalid validation-failed", "role"},
		"domains of a user": {Create{Email: "a@demo.test", Password: goodPassword, Domains: []mail.DomainID{w.demo.ID}}, "invalid validation-failed", "admin_domain_ids"},
		"unknown domain": {
			Create{Email: "a@demo.test", Password: goodPassword, Role: mail.RoleAdmin, Domains: []mail.DomainID{mail.DomainID{}.New(noon())}},
			"invalid validation-failed", "admin_domain_ids",
		},
		"bad name":  {Create{Email: "a@demo.test", Password: goodPassword, Name: "a\nb"}, "invalid validation-failed", "name"},
		"no quota":  {Create{Email: "a@demo.test", Password: goodPassword, QuotaBytes: new(int64(0))}, "invalid validation-failed", "quota_bytes"},
		"huge name": {Create{Email: "a@demo.test", Password: goodPassword, Name: strings.Repeat("x", 300)}, "invalid validation-failed", "name"},
	} {
		_, err := w.Create(t.Context(), w.owner, c.in)
		var f *fault.Error
		if text(err) != c.want || !errors.As(err, &f) || f.Field != c.field {
			t.Errorf("%s: %v (%s)", name, err, text(err))
		}
	}
}

// Each principal tries everything on users of its own and of a foreign domain.
func TestWhoMayDoWhatWithUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	rw := []string{"users:write"}
	user := w.user(t, "user@demo.test")
	const (
		gone  = "not_found not-found"
		deny  = "forbidden forbidden"
		scope = "forbidden scope-missing"
		bad   = "invalid validation-failed"
		anon  = "unauthenticated unauthenticated"
	)
	for _, c := range []struct {
		name                                        string
		p                                           mail.Principal
		create, elevate, get, change, owner, strang string
	}{
		{"owner", w.owner, "", "", "", "", "", ""},
		{"admin", w.admin(t, "admin1@demo.test", w.demo.ID), "", deny, "", "", deny, gone},
		{"admin of nothing", w.admin(t, "admin2@demo.test"), bad, deny, gone, gone, gone, gone},
		{"user", user.principal(), bad, deny, gone, gone, gone, gone},
		{"key", w.key(rw), "", "", "", "", "", ""},
		{"key of the domain", w.key(rw, w.demo.ID), "", "", "", "", deny, gone},
		{"key of another", w.key(rw, w.other.ID), bad, bad, gone, gone, gone, ""},
		{"reading key", w.key([]string{"users:read"}), scope, scope, "", scope, scope, scope},
		{"other key", w.key([]string{"domains:write"}), scope, scope, scope, scope, scope, scope},
		{"nobody", mail.Principal{}, anon, anon, anon, anon, anon, anon},
	} {
		t.Run(c.name, func(t *testing.T) {
			tag := strings.ReplaceAll(c.name, " ", "-")
			target := w.user(t, "target-"+tag+"@demo.test")
			stranger := w.user(t, "stranger-"+tag+"@other.test")
			boss := w.create(t, Create{Email: "boss-" + tag + "@demo.test", Password: goodPassword, Role: mail.RoleOwner})
			_, create := w.Create(t.Context(), c.p, Create{Email: "new-" + tag + "@demo.test", Password: goodPassword})
			_, elevate := w.Create(t.Context(), c.p, Create{Email: "new2-" + tag + "@demo.test", Password: goodPassword, Role: mail.RoleAdmin})
			_, get := w.Get(t.Context(), c.p, target.ID)
			_, change := w.Update(t.Context(), c.p, target.ID, Update{Name: new("New Name")})
			pass := w.SetPassword(t.Context(), c.p, target.ID, SetPassword{New: newPassword})
			bossPass := w.SetPassword(t.Context(), c.p, boss.ID, SetPassword{New: newPassword})
			_, bossChange := w.Update(t.Context(), c.p, boss.ID, Update{Name: new("x")})
			bossDelete := w.Delete(t.Context(), c.p, boss.ID, 0)
			_, strange := w.Update(t.Context(), c.p, stranger.ID, Update{Name: new("x")})
			strangeDelete := w.Delete(t.Context(), c.p, stranger.ID, 0)
			remove := w.Delete(t.Context(), c.p, target.ID, 0)
			for what, pair := range map[string][2]string{
				"create": {text(create), c.create}, "create an admin": {text(elevate), c.elevate}, "get": {text(get), c.get},
				"update": {text(change), c.change}, "set password": {text(pass), c.change}, "delete": {text(remove), c.change},
				"set an owner's password": {text(bossPass), c.owner}, "update an owner": {text(bossChange), c.owner},
				"delete an owner": {text(bossDelete), c.owner}, "update a stranger": {text(strange), c.strang},
				"delete a stranger": {text(strangeDelete), c.strang},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
				}
			}
		})
	}
}

func TestAUserSeesItselfAndChangesOnlyItsPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	alice := w.user(t, "alice@demo.test")
	w.user(t, "bob@demo.test")
	p := alice.principal()
	if _, err := w.Get(t.Context(), p, alice.ID); err != nil {
		t.Error(err)
	}
	users, _, err := w.List(t.Context(), p, ListQuery{})
	if err != nil || len(users) != 1 || users[0].ID != alice.ID {
		t.Errorf("lists %d users (%v)", len(users), err)
	}
	for name, err := range map[string]error{
		"role":   second(w.Update(t.Context(), p, alice.ID, Update{Role: new(mail.RoleOwner)})),
		"quota":  second(w.Update(t.Context(), p, alice.ID, Update{QuotaBytes: new(int64(1 << 40))})),
		"delete": w.Delete(t.Context(), p, alice.ID, 0),
	} {
		if text(err) != "forbidden forbidden" {
			t.Errorf("%s: %v", name, err)
		}
	}
	waited, err := w.held(t, func() error {
		return w.SetPassword(t.Context(), p, alice.ID, SetPassword{Current: "wrong password!", New: newPassword})
	})
	if text(err) != "invalid current-password-wrong" || waited != time.Second {
		t.Errorf("with a wrong current password: %v after %v", err, waited)
	}
	if err := w.SetPassword(t.Context(), p, alice.ID, SetPassword{Current: goodPassword, New: "short"}); text(err) != "invalid validation-failed" {
		t.Errorf("with a weak new one: %v", err)
	}
	if err := w.SetPassword(t.Context(), p, alice.ID, SetPassword{Current: goodPassword, New: newPassword}); err != nil {
		t.Errorf("with the right one: %v", err)
	}
	if err := w.login(t.Context(), "alice@demo.test", newPassword); err != nil {
		t.Error(err)
	}
	// An owner proves the own password too, but needs nobody else's.
	_, err = w.held(t, func() error { return w.SetPassword(t.Context(), w.owner, w.owner.User, SetPassword{New: newPassword}) })
	if text(err) != "invalid current-password-wrong" {
		t.Errorf("an owner without the current password: %v", err)
	}
}

func second[A any](_ A, err error) error { return err }

func TestAChangeNeedsTheVersionThatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	u := w.user(t, "alice@demo.test")
	changed, err := w.Update(t.Context(), w.owner, u.ID, Update{Name: new("Alice"), QuotaBytes: new(int64(99)), IfVersion: 1})
	if err != nil || changed.Version != 2 || changed.Name != "Alice" || changed.QuotaBytes != 99 || changed.Role != mail.RoleUser {
		t.Fatalf("%+v, %v", changed, err)
	}
	if got, err := w.Get(t.Context(), w.owner, u.ID); err != nil || fmt.Sprint(got) != fmt.Sprint(changed) {
		t.Fatalf("answered %+v, stored %+v (%v)", changed, got, err)
	}
	if _, err := w.Update(t.Context(), w.owner, u.ID, Update{Name: new("Bob"), IfVersion: 1}); text(err) != "stale etag-mismatch" {
		t.Fatalf("an old version: %v", err)
	}
	if err := w.Delete(t.Context(), w.owner, u.ID, 1); text(err) != "stale etag-mismatch" {
		t.Fatalf("an old version: %v", err)
	}
}

func TestRolesAndDomainsOfAnAdminChangeTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	u := w.user(t, "alice@demo.test")
	domains := []mail.DomainID{w.other.ID, w.demo.ID, w.demo.ID}
	got, err := w.Update(t.Context(), w.owner, u.ID, Update{Role: new(mail.RoleAdmin), Domains: &domains})
	if err != nil || len(got.AdminDomains) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if p, err := w.Recheck(t.Context(), mail.Principal{User: u.ID}); err != nil || !p.MayDomain(w.demo.ID) || !p.MayDomain(w.other.ID) {
		t.Fatalf("%+v, %v", p, err)
	}
	got, err = w.Update(t.Context(), w.owner, u.ID, Update{Role: new(mail.RoleUser)})
	if err != nil || len(got.AdminDomains) != 0 {
		t.Fatalf("a user keeps domains: %+v, %v", got, err)
	}
	if n := w.one(t, `SELECT count(*) FROM account_domain WHERE account_id = $1`, u.ID); n != 0 {
		t.Fatalf("%d rows are left", n)
	}
	if epoch := w.one(t, `SELECT auth_epoch FROM account WHERE id = $1`, u.ID); epoch != 3 {
		t.Fatalf("the epoch is %d after two changes of role, want 3 (S-24)", epoch)
	}
	for name, in := range map[string]Update{"role": {Role: new(mail.Role("king"))}, "status": {Status: new(Status("asleep"))}} {
		if _, err := w.Update(t.Context(), w.owner, u.ID, in); text(err) != "invalid validation-failed" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheServerNeverLosesItsLastOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	const last = "conflict state-conflict"
	if err := w.Delete(t.Context(), w.owner, w.owner.User, 0); text(err) != last {
		t.Errorf("delete: %v", err)
	}
	if _, err := w.Update(t.Context(), w.owner, w.owner.User, Update{Role: new(mail.RoleUser)}); text(err) != last {
		t.Errorf("change of role: %v", err)
	}
	if _, err := w.Update(t.Context(), w.owner, w.owner.User, Update{Status: new(Disabled)}); text(err) != last {
		t.Errorf("disable: %v", err)
	}
	if _, err := w.Update(t.Context(), w.owner, w.owner.User, Update{Name: new("Boss")}); err != nil {
		t.Errorf("change of name: %v", err)
	}
	second := w.create(t, Create{Email: "second@demo.test", Password: goodPassword, Role: mail.RoleOwner})
	// Each deletes the other. The first stays inside its transaction until the second is inside its own, or waits for it.
	var inside atomic.Int32
	w.OnDelete = func(ctx context.Context, tx pgx.Tx, _ User) error {
		inside.Add(1)
		for waiting := 0; inside.Load() < 2 && waiting == 0; {
			err := tx.QueryRow(ctx, `
SELECT count(*) FROM pg_locks, pg_sleep(0.005)
WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&waiting)
			if err != nil {
				return err
			}
		}
		return nil
	}
	results := make(chan error, 2)
	go func() { results <- w.Delete(t.Context(), second.principal(), w.owner.User, 0) }()
	go func() { results <- w.Delete(t.Context(), w.owner, second.ID, 0) }()
	first, other := text(<-results), text(<-results)
	if n := w.one(t, `SELECT count(*) FROM account WHERE role = 'owner'`); n != 1 || first+other != last {
		t.Fatalf("two owners deleted each other, %d are left: %q, %q", n, first, other)
	}
}

func TestADeletedUserTakesWhatBelongsToIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	u := w.user(t, "alice@demo.test")
	if _, _, err := w.SignIn(t.Context(), "alice@demo.test", goodPassword, SessionInfo{}); err != nil {
		t.Fatal(err)
	}
	var hooked mail.UserID
	w.OnDelete = func(_ context.Context, _ pgx.Tx, u User) error { hooked = u.ID; return nil }
	if err := w.Delete(t.Context(), w.owner, u.ID, 0); err != nil || hooked != u.ID {
		t.Fatalf("%v, hook saw %v", err, hooked)
	}
	for _, table := range []string{"account", "account_usage", "account_domain", "session"} {
		column := map[bool]string{true: "id", false: "account_id"}[table == "account"]
		if n := w.one(t, `SELECT count(*) FROM `+table+` WHERE `+column+` = $1`, u.ID); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if err := w.Delete(t.Context(), w.owner, u.ID, 0); text(err) != "not_found not-found" {
		t.Errorf("again: %v", err)
	}
	if _, err := w.Create(t.Context(), w.owner, Create{Email: "alice@demo.test", Password: goodPassword}); err != nil {
		t.Errorf("the address is not free again: %v", err)
	}
}

func TestAWalkOverManyUsersHoldsWhileSomeComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	const total = 2000
	ids, emails := make([]string, total), make([]string, total)
	for i := range total {
		w.clk.Advance(time.Millisecond)
		ids[i], emails[i] = mail.UserID{}.New(w.clk.Now()).UUID(), fmt.Sprintf("u%d@demo.test", i)
	}
	_, err := w.pool.Exec(t.Context(), `
INSERT INTO account (id, domain_id, email, local, role, status, password_hash, quota_bytes, created_at, updated_at)
SELECT u.id, $3, u.email, split_part(u.email, '@', 1), 'user', 'active', 'x', 1, now(), now()
FROM unnest($1::uuid[], $2::text[]) u (id, email)`, ids, emails, w.demo.ID)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); w.churn(t, ids, stop) }()
	seen := map[mail.UserID]int{}
	for q := (ListQuery{Limit: 37, Domain: w.demo.ID}); ; {
		users, next, err := w.List(t.Context(), w.owner, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range users {
			seen[u.ID]++
		}
		if q.After = next; next.IsZero() {
			break
		}
	}
	close(stop)
	<-done
	for i, id := range ids {
		var u mail.UserID
		if err := u.Scan(id); err != nil {
			t.Fatal(err)
		}
		if seen[u] > 1 || i%2 == 0 && seen[u] == 0 {
			t.Fatalf("user %d was listed %d times", i, seen[u])
		}
	}
}

// churn deletes users with odd numbers from both ends and makes new ones until it is told to stop.
func (w world) churn(t *testing.T, ids []string, stop chan struct{}) {
	t.Helper()
	for i := 1; i < len(ids)/2; i += 2 {
		select {
		case <-stop:
			return
		default:
		}
		w.clk.Advance(time.Millisecond)
		_, err := w.pool.Exec(t.Context(), `DELETE FROM account WHERE id IN ($1, $2)`, ids[i], ids[len(ids)-i])
		if err == nil {
			_, err = w.Create(t.Context(), w.owner, Create{Email: fmt.Sprintf("new%d@demo.test", i), Password: goodPassword})
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

func TestAListIsNarrowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	alice, bob := w.user(t, "Alice@demo.test"), w.user(t, "bob@other.test")
	if _, err := w.Update(t.Context(), w.owner, bob.ID, Update{Status: new(Disabled)}); err != nil {
		t.Fatal(err)
	}
	for most, last := range map[int]bool{3: true, 2: false} {
		users, next, err := w.List(t.Context(), w.owner, ListQuery{Limit: most})
		if err != nil || len(users) != most || next.IsZero() != last || !last && next != users[most-1].ID {
			t.Errorf("a page of %d of three: %d users, then %v, %v", most, len(users), next, err)
		}
	}
	for name, c := range map[string]struct {
		q    ListQuery
		p    mail.Principal
		want string
	}{
		"all":     {ListQuery{}, w.owner, "bob Alice admin"},
		"domain":  {ListQuery{Domain: w.other.ID}, w.owner, "bob"},
		"role":    {ListQuery{Role: mail.RoleOwner}, w.owner, "admin"},
		"status":  {ListQuery{Status: Disabled}, w.owner, "bob"},
		"email":   {ListQuery{Email: "ALICE@demo.test"}, w.owner, "Alice"},
		"key":     {ListQuery{}, w.key([]string{"users:read"}, w.demo.ID), "Alice admin"},
		"foreign": {ListQuery{Domain: w.other.ID}, w.key([]string{"users:read"}, w.demo.ID), ""},
		"page":    {ListQuery{Limit: 1, After: bob.ID}, w.owner, "Alice"},
		"user":    {ListQuery{}, alice.principal(), "Alice"},
	} {
		users, _, err := w.List(t.Context(), c.p, c.q)
		var got []string
		for _, u := range users {
			got = append(got, u.Address().Local)
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.want)
		}
	}
}

func TestWhatIsMadeUnderAnIdempotencyKeyIsItsEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	keys := idem.New(w.pool, w.clk)
	for name, create := range map[string]func(ctx context.Context) (string, error){
		"user": func(ctx context.Context) (string, error) {
			u, err := w.Create(ctx, w.owner, Create{Email: "alice@demo.test", Password: goodPassword})
			return u.ID.String(), err
		},
		"key": func(ctx context.Context) (string, error) {
			k, _, err := w.CreateKey(ctx, w.owner, CreateKey{Name: "ci", Scopes: []string{"users:read"}})
			return k.ID.String(), err
		},
		"session": func(ctx context.Context) (string, error) {
			tokens, _, err := w.SignIn(ctx, "admin@demo.test", goodPassword, SessionInfo{})
			return tokens.Session.String(), err
		},
	} {
		req := idem.Request{Credential: "c", Method: "POST", Route: name, Key: "k"}
		a, err := keys.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		id, err := create(a.Context(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := keys.Begin(t.Context(), req); err != nil || again.Effect != id {
			t.Errorf("%s: the retry sees %q, %v; want %s", name, again.Effect, err, id)
		}
	}
}

func TestADatabaseThatIsDownIsSaidToBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	_, token, err := w.CreateKey(t.Context(), w.owner, CreateKey{Name: "ci", Scopes: []string{"users:read"}})
	if err != nil {
		t.Fatal(err)
	}
	tokens, _, err := w.SignIn(t.Context(), "admin@demo.test", goodPassword, SessionInfo{})
	if err != nil {
		t.Fatal(err)
	}
	w.clk.Advance(time.Minute)
	bringBack := w.takeDatabaseDown(t)
	for name, err := range map[string]error{
		"create": second(w.Create(t.Context(), w.owner, Create{Email: "a@demo.test", Password: goodPassword})),
		"list":   second2(w.List(t.Context(), w.owner, ListQuery{})),
		"update": second(w.Update(t.Context(), w.owner, w.owner.User, Update{Name: new("x")})),
		"login":  w.login(t.Context(), "admin@demo.test", goodPassword),
		"lookup": second(w.Lookup(t.Context(), "admin@demo.test")),
		"key":    second(w.AuthenticateKey(t.Context(), token, here())),
		"access": second(w.VerifyAccess(t.Context(), tokens.Access, here())),
		"token":  second(w.Refresh(t.Context(), tokens.Refresh, SessionInfo{})),
		"domain": second(w.domains.Create(t.Context(), w.owner, domain.Create{Name: "x.test"})),
		"hosted": second2(w.domains.Hosted(t.Context(), "demo.test")),
	} {
		if text(err) != "unavailable unavailable" {
			t.Errorf("%s: %v", name, err)
		}
	}
	bringBack()
	if err := w.login(t.Context(), "admin@demo.test", goodPassword); err != nil {
		t.Errorf("after the database came back: %v", err)
	}
}

// takeDatabaseDown ends all connections to the test's database and lets no new one in until the returned function is called.
func (w world) takeDatabaseDown(t *testing.T) func() {
	t.Helper()
	cfg := w.pool.Config().ConnConfig.Copy()
	name := cfg.Database
	cfg.Database = "postgres"
	admin, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close(context.WithoutCancel(t.Context())) })
	allow := func(yes string) {
		if _, err := admin.Exec(t.Context(), "ALTER DATABASE "+pgx.Identifier{name}.Sanitize()+" ALLOW_CONNECTIONS "+yes); err != nil {
			t.Fatal(err)
		}
	}
	allow("false")
	if _, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1`, name); err != nil {
		t.Fatal(err)
	}
	return func() { allow("true") }
}

func second2[A, B any](_ A, _ B, err error) error { return err }
