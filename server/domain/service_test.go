package domain_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func setup(t *testing.T, auto bool) (*domain.Service, *clock.Fake, *pg.Pool) {
	t.Helper()
	pool, clk := pgtest.DB(t), clock.NewFake(noon())
	return domain.New(pool, clk, bus.New(), slog.New(slog.DiscardHandler), domain.Config{AutoVerify: auto}), clk, pool
}

func owner() mail.Principal {
	return mail.Principal{User: mail.UserID{}.New(noon()), Role: mail.RoleOwner}
}

func key(scopes []string, domains ...mail.DomainID) mail.Principal {
	return mail.Principal{Key: mail.KeyID{}.New(noon()), Scopes: scopes, Domains: domains}
}

func admin(domains ...mail.DomainID) mail.Principal {
	return mail.Principal{User: mail.UserID{}.New(noon()), Role: mail.RoleAdmin, Domains: domains}
}

func make1(t *testing.T, s *domain.Service, name string) domain.Domain {
	t.Helper()
	d, err := s.Create(t.Context(), owner(), domain.Create{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func code(err error) string { return fault.KindOf(err).String() + " " + fault.CodeOf(err) }

func TestADomainIsMadeOnce(t *testing.T) {
	t.Parallel()
	s, _, pool := setup(t, true)
	d := make1(t, s, "Example.test")
	if d.Name != "example.test" || d.Status != domain.Verified || d.Version != 1 || !d.SendingAllowed() {
		t.Fatalf("made %+v", d)
	}
	for _, again := range []string{"example.test", "EXAMPLE.TEST."} {
		if _, err := s.Create(t.Context(), owner(), domain.Create{Name: again}); code(err) != "conflict already-exists" {
			t.Errorf("%q again: %v", again, err)
		}
	}
	got, err := s.GetByName(t.Context(), owner(), "EXAMPLE.test")
	if err != nil || got != d {
		t.Fatalf("found %+v, %v", got, err)
	}
	var events, audits int
	if err := pool.QueryRow(t.Context(), `
SELECT (SELECT count(*) FROM event WHERE type = 'domain.created' AND subject = $1),
	(SELECT count(*) FROM audit_event WHERE action = 'domain.create' AND target = $1)`, d.ID.String()).Scan(&events, &audits); err != nil {
		t.Fatal(err)
	}
	if events != 1 || audits != 1 {
		t.Fatalf("%d events and %d audit rows for one domain made", events, audits)
	}
}

func TestWithoutAutomaticVerificationNoMailMayBeSentYet(t *testing.T) {
	t.Parallel()
	s, _, _ := setup(t, false)
	d := make1(t, s, "example.test")
	if d.Status != domain.Pending || d.SendingAllowed() {
		t.Fatalf("made %+v", d)
	}
}

func TestParallelCreationsOfOneNameMakeOne(t *testing.T) {
	t.Parallel()
	s, _, _ := setup(t, true)
	var wg sync.WaitGroup
	results := make(chan string, 20)
	for range 20 {
		wg.Go(func() {
			_, err := s.Create(t.Context(), owner(), domain.Create{Name: "example.test"})
			results <- fault.CodeOf(err)
		})
	}
	wg.Wait()
	close(results)
	count := map[string]int{}
	for r := range results {
		count[r]++
	}
	if count[""] != 1 || count["already-exists"] != 19 {
		t.Fatalf("results %v", count)
	}
}

func TestWhoMayDoWhatWithDomains(t *testing.T) {
	t.Parallel()
	s, _, _ := setup(t, true)
	mine, foreign := make1(t, s, "mine.test"), make1(t, s, "foreign.test")
	rw := []string{"domains:write"}
	for _, c := range []struct {
		name                          string
		p                             mail.Principal
		create, see, seeOther, update string
		sees                          int
	}{
		{"owner", owner(), "internal ", "", "", "", 2},
		{"admin", admin(mine.ID), "forbidden domain-forbidden", "", "not_found not-found", "", 1},
		{"admin of nothing", admin(), "forbidden domain-forbidden", "not_found not-found", "not_found not-found", "not_found not-found", 0},
		{
			"user",
			mail.Principal{User: mail.UserID{}.New(noon()), Role: mail.RoleUser},
			"forbidden domain-forbidden",
			"not_found not-found", "not_found not-found", "not_found not-found", 0,
		},
		{"key", key(rw), "internal ", "", "", "", 2},
		{"key of mine", key(rw, mine.ID), "forbidden domain-forbidden", "", "not_found not-found", "", 1},
		{"reading key", key([]string{"domains:read"}), "forbidden scope-missing", "", "", "forbidden scope-missing", 2},
		{
			"other key", key([]string{"users:write"}), "forbidden scope-missing", "forbidden scope-missing", "forbidden scope-missing",
			"forbidden scope-missing", 0,
		},
		{
			"nobody",
			mail.Principal{},
			"unauthenticated unauthenticated", "unauthenticated unauthenticated", "unauthenticated unauthenticated",
			"unauthenticated unauthenticated", 0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, create := s.Create(t.Context(), c.p, domain.Create{Name: fmt.Sprintf("x%d.example", len(c.name))})
			_, see := s.Get(t.Context(), c.p, mine.ID)
			_, byName := s.GetByName(t.Context(), c.p, "mine.test")
			_, seeOther := s.Get(t.Context(), c.p, foreign.ID)
			_, update := s.Update(t.Context(), c.p, mine.ID, domain.Disabled, 0)
			for what, pair := range map[string][2]string{
				"create": {text(create), trim(c.create)}, "get": {text(see), c.see}, "get by name": {text(byName), c.see},
				"get another": {text(seeOther), c.seeOther}, "update": {text(update), c.update},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
				}
			}
			items, _, _ := s.List(t.Context(), c.p, domain.ListQuery{})
			n := 0
			for _, d := range items {
				if d.ID == mine.ID || d.ID == foreign.ID {
					n++
				}
			}
			if n != c.sees {
				t.Errorf("lists %d of the two", n)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return code(err)
}

func trim(s string) string {
	if s == "internal " {
		return ""
	}
	return s
}

func TestAChangeNeedsTheVersionThatWasSeen(t *testing.T) {
	t.Parallel()
	s, clk, _ := setup(t, true)
	d := make1(t, s, "example.test")
	clk.Advance(time.Hour)
	changed, err := s.Update(t.Context(), owner(), d.ID, domain.Disabled, d.Version)
	if err != nil || changed.Version != 2 || changed.Status != domain.Disabled || !changed.UpdatedAt.After(d.UpdatedAt) {
		t.Fatalf("%+v, %v", changed, err)
	}
	if read, err := s.Get(t.Context(), owner(), d.ID); err != nil || read != changed {
		t.Fatalf("answered %+v, stored %+v (%v)", changed, read, err)
	}
	if _, err := s.Update(t.Context(), owner(), d.ID, domain.Verified, d.Version); code(err) != "stale etag-mismatch" {
		t.Fatalf("an old version: %v", err)
	}
	if err := s.Delete(t.Context(), owner(), d.ID, d.Version); code(err) != "stale etag-mismatch" {
		t.Fatalf("an old version: %v", err)
	}
	if _, err := s.Update(t.Context(), owner(), d.ID, "weird", 0); code(err) != "invalid validation-failed" {
		t.Fatalf("an unknown status: %v", err)
	}
	if _, err := s.Update(t.Context(), admin(d.ID), d.ID, domain.Verified, 0); code(err) != "forbidden forbidden" {
		t.Fatalf("an admin verified a domain by hand: %v", err)
	}
}

func TestADomainWithUsersCannotBeDeleted(t *testing.T) {
	t.Parallel()
	s, _, pool := setup(t, true)
	d := make1(t, s, "example.test")
	_, err := pool.Exec(t.Context(), `
INSERT INTO account (id, domain_id, email, local, role, status, password_hash, quota_bytes, created_at, updated_at)
VALUES (gen_random_uuid(), $1, 'a@example.test', 'a', 'user', 'active', 'x', 1, now(), now())`, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), owner(), d.ID, 0); code(err) != "conflict in-use" {
		t.Fatalf("with a user: %v", err)
	}
	if _, err := pool.Exec(t.Context(), `DELETE FROM account`); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), owner(), d.ID, 0); err != nil {
		t.Fatalf("without users: %v", err)
	}
	if err := s.Delete(t.Context(), owner(), d.ID, 0); code(err) != "not_found not-found" {
		t.Fatalf("again: %v", err)
	}
}

func TestMailForADomainIsKnownWithinSecondsOfAChange(t *testing.T) {
	t.Parallel()
	s, clk, pool := setup(t, true)
	if _, found, err := s.Hosted(t.Context(), "example.test"); found || err != nil {
		t.Fatalf("found %v, %v", found, err)
	}
	d := make1(t, s, "example.test")
	if got, found, err := s.Hosted(t.Context(), "example.test"); !found || err != nil || got.ID != d.ID {
		t.Fatalf("a new domain is not known at once: %v, %v", found, err)
	}
	if _, err := s.Update(t.Context(), owner(), d.ID, domain.Disabled, 0); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := s.Hosted(t.Context(), "example.test"); got.Status != domain.Disabled {
		t.Fatal("the own node's change is not known at once")
	}
	if _, err := pool.Exec(t.Context(), `UPDATE domain SET status = 'verified'`); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := s.Hosted(t.Context(), "example.test"); got.Status != domain.Disabled {
		t.Fatal("nothing is cached")
	}
	clk.Advance(5 * time.Second)
	if got, _, _ := s.Hosted(t.Context(), "example.test"); got.Status != domain.Verified {
		t.Fatal("another node's change is not known after five seconds")
	}
}

func TestAWalkOverManyDomainsHoldsWhileSomeComeAndGo(t *testing.T) {
	t.Parallel()
	s, clk, pool := setup(t, true)
	const total = 2000
	ids, names := make([]string, total), make([]string, total)
	for i := range total {
		clk.Advance(time.Millisecond)
		ids[i], names[i] = mail.DomainID{}.New(clk.Now()).UUID(), fmt.Sprintf("d%d.test", i)
	}
	_, err := pool.Exec(t.Context(), `
INSERT INTO domain (id, name, status, created_at, updated_at)
SELECT u.id, u.name, 'verified', now(), now() FROM unnest($1::uuid[], $2::text[]) u (id, name)`, ids, names)
	if err != nil {
		t.Fatal(err)
	}
	for _, most := range []int{1, 2} {
		q := domain.ListQuery{Limit: most, Name: "d7.test"}
		if items, next, err := s.List(t.Context(), owner(), q); err != nil || len(items) != 1 || !next.IsZero() {
			t.Errorf("a page of %d: %d domains, then %v, %v", most, len(items), next, err)
		}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		churn(t, s, clk, pool, stop)
	}()
	seen := map[mail.DomainID]int{}
	var last mail.DomainID
	for q := (domain.ListQuery{Limit: 37}); ; q.After = last {
		items, next, err := s.List(t.Context(), owner(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range items {
			seen[d.ID]++
		}
		if last = next; next.IsZero() {
			break
		}
	}
	close(stop)
	<-done
	// Every second one was deleted at some time; the others existed throughout.
	for i, id := range ids {
		var d mail.DomainID
		if err := d.Scan(id); err != nil {
			t.Fatal(err)
		}
		if seen[d] > 1 || i%2 == 0 && seen[d] == 0 {
			t.Fatalf("domain %d was listed %d times", i, seen[d])
		}
	}
}

// churn deletes odd ones from both ends and makes new ones until it is told to stop.
func churn(t *testing.T, s *domain.Service, clk *clock.Fake, pool *pg.Pool, stop chan struct{}) {
	t.Helper()
	for i := 1; i < 1000; i += 2 {
		select {
		case <-stop:
			return
		default:
		}
		_, err := pool.Exec(t.Context(), `DELETE FROM domain WHERE name IN ($1, $2)`, fmt.Sprintf("d%d.test", i), fmt.Sprintf("d%d.test", 1999-i+1))
		if err != nil {
			t.Error(err)
			return
		}
		clk.Advance(time.Millisecond)
		if _, err := s.Create(t.Context(), owner(), domain.Create{Name: fmt.Sprintf("new%d.test", i)}); err != nil {
			t.Error(err)
			return
		}
	}
}

func TestAListIsNarrowedByStatusAndName(t *testing.T) {
	t.Parallel()
	s, _, _ := setup(t, true)
	make1(t, s, "a.test")
	b := make1(t, s, "b.test")
	if _, err := s.Update(t.Context(), owner(), b.ID, domain.Disabled, 0); err != nil {
		t.Fatal(err)
	}
	for want, q := range map[string]domain.ListQuery{
		"a.test": {Status: domain.Verified},
		"b.test": {Name: "B.TEST."},
	} {
		items, next, err := s.List(t.Context(), owner(), q)
		if err != nil || len(items) != 1 || items[0].Name != want || !next.IsZero() {
			t.Errorf("%+v: %v, %v", q, items, err)
		}
	}
}

func TestADomainMadeUnderAnIdempotencyKeyIsItsEffect(t *testing.T) {
	t.Parallel()
	s, clk, pool := setup(t, true)
	keys := idem.New(pool, clk)
	req := idem.Request{Credential: "key_1", Method: "POST", Route: "/v1/domains", Key: "k"}
	a, err := keys.Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Create(a.Context(t.Context()), owner(), domain.Create{Name: "example.test"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.Begin(t.Context(), req)
	if err != nil || again.Effect != d.ID.String() {
		t.Fatalf("the retry sees %q, %v", again.Effect, err)
	}
}

// A letter must not leave for somebody else's server because its domain was looked for a moment before it was made here.
func TestADomainThatWasLookedForIsKnownAtOnceWhenItIsMade(t *testing.T) {
	t.Parallel()
	s, clk, pool := setup(t, true)
	other := domain.New(pool, clk, bus.New(), slog.New(slog.DiscardHandler), domain.Config{AutoVerify: true})
	known := func(name string, want bool, when string) {
		t.Helper()
		if _, found, err := s.HostedLately(t.Context(), name); found != want || err != nil {
			t.Fatalf("%s: found %v, %v; want %v", when, found, err, want)
		}
	}
	known("own.test", false, "not there")
	make1(t, s, "own.test")
	known("own.test", true, "made by this node")
	known("theirs.test", false, "not there")
	make1(t, other, "theirs.test")
	known("theirs.test", false, "made by another node; believed for a second")
	if _, found, err := s.Hosted(t.Context(), "theirs.test"); !found || err != nil {
		t.Fatalf("mail that comes in for a domain of another node: %v, %v", found, err)
	}
	known("theirs.test", true, "found meanwhile")
	known("late.test", false, "not there")
	make1(t, other, "late.test")
	clk.Advance(time.Second)
	known("late.test", true, "a second later")
}
