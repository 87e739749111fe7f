package api_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

// fakeTime gives the API, and nothing below it, a clock that the test moves.
func fakeTime() (*clock.Fake, option) {
	clk := clock.NewFake(time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC))
	return clk, func(d *api.Deps) { d.Clock = clk }
}

// waiters is how many timers a stream that waits has: ping, life and tick.
const waiters = 3

func advance(t *testing.T, clk *clock.Fake, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := clk.BlockUntil(ctx, waiters); err != nil {
		t.Fatal(err)
	}
	clk.Advance(d)
}

// The bytes of a stream, as any client has to read them: a begin, an event, a ping, the end.
func TestTheStreamOnTheWire(t *testing.T) {
	t.Parallel()
	clk, useIt := fakeTime()
	e := newEnv(t, useIt)
	e.settle()
	l := e.open(e.key, "/v1/events/stream")
	var got strings.Builder
	read := func() {
		text, err := l.raw()
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString(text)
	}
	read()
	var id mail.EventID
	copy(id[:], "\x01\x8b\x35\x5b\x2c\x81\x74\xa8\x8d\x57\xed\x9f\x16\x8f\x48\x57")
	e.happen(event.Event{
		ID: id, At: time.Date(2026, 11, 25, 15, 0, 0, 1000, time.UTC), Type: event.EmailDelivered, Subject: "eml_01h455vb4pex5vsknk084sn02q",
		Domain: domainID(t, "dom_01h455vb4pex5vsknk084sn02q"), Data: map[string]any{"reply": "250 <ok> & \n\u2028 thanks", "attempt": 1},
	})
	read()
	advance(t, clk, 15*time.Second)
	read()
	e.api.EndStreams()
	read()
	const golden = "testdata/stream.golden"
	text := regexp.MustCompile(`(?m)^id: [A-Za-z0-9_-]{32}$`).ReplaceAllString(got.String(), "id: <place>")
	if *write {
		if err := os.WriteFile(golden, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || text != string(want) {
		t.Errorf("%v\n%s\n--- want\n%s", err, text, want)
	}
	for name, value := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "Request-Id": requestID} {
		if l.header.Get(name) != value {
			t.Errorf("%s: %q", name, l.header.Get(name))
		}
	}
	if _, err := l.raw(); err != io.EOF { //nolint:errorlint // the reader gives it bare
		t.Errorf("after the end: %v", err)
	}
}

// A client that is cut off again and again, while many write and commit late, gets everything once and in order.
func TestAClientThatResumesMissesNothingAndGetsNothingTwice(t *testing.T) {
	t.Parallel()
	const writers, each = 12, 40
	pool, err := pg.Open(t.Context(), pg.Config{DSN: pgtest.DSN(t), MaxConns: writers + 4, AcquireTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	e := newEnvWith(t, pool)
	l := e.begin(e.key, "/v1/events/stream?type=x.*")
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() { e.writeLate(w, each) })
	}
	seen, cuts := map[string]bool{}, 0
	for len(seen) < writers*each {
		if rand.IntN(25) == 0 {
			l.close()
			cuts++
			l = e.begin(e.key, "/v1/events/stream?type=x.*", "Last-Event-ID", l.last)
		}
		if rand.IntN(25) == 0 {
			l.close()
			cuts++
			l = e.begin(e.key, "/v1/events/stream?type=x.*&after="+l.last)
		}
		got := l.event()
		if seen[got.Subject] {
			t.Fatalf("%s came twice", got.Subject)
		}
		seen[got.Subject] = true
	}
	wg.Wait()
	if cuts == 0 {
		t.Error("the client was never cut off")
	}
}

// writeLate appends events in transactions that stay open for a while, and announces them too early and not at all.
func (e *env) writeLate(w, each int) {
	for i := range each {
		err := pg.InTx(e.t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT pg_current_xact_id(), pg_sleep(random() * 0.01)`); err != nil {
				return err
			}
			if err := event.Append(ctx, tx, time.Now(), event.Event{Type: "x.y", Subject: fmt.Sprintf("%d/%d", w, i)}); err != nil {
				return err
			}
			e.events.Wake()
			_, err := tx.Exec(ctx, `SELECT pg_sleep(random() * 0.01)`)
			return err
		})
		if err != nil {
			e.t.Error(err)
			return
		}
	}
}

func TestAStreamGivesWhatIsAskedForAndNothingOfOthers_S43(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.newTenant("tenanta"), e.newTenant(marker)
	e.happen(event.Event{Type: "last.one", Subject: "end", Domain: domainID(t, a.domain)})
	tokens := e.tokens(a)
	delete(tokens, "nobody")
	delete(tokens, "user of A")
	for who, token := range tokens {
		for _, query := range []string{"", "&type=email.*&type=last.one", "&domain_id=" + a.domain} {
			l, n := e.begin(token, "/v1/events/stream?after=oldest"+query), 0
			for got := l.event(); got.Type != "last.one"; got = l.event() {
				n++
				if got.DomainID == nil || *got.DomainID != a.domain || strings.Contains(fmt.Sprint(got), marker) {
					t.Errorf("%s, %q: %+v", who, query, got)
				}
				if strings.Contains(query, "email") && !strings.HasPrefix(got.Type, "email.") {
					t.Errorf("%s, %q: %s", who, query, got.Type)
				}
			}
			if n < 3 {
				t.Errorf("%s, %q: %d events", who, query, n)
			}
			l.close()
		}
		l := e.begin(token, "/v1/events/stream?after=oldest&subject="+a.email)
		for _, want := range []string{event.EmailAccepted, event.EmailDelivered} {
			if got := l.event(); got.Type != want || got.Subject != a.email {
				t.Errorf("%s: %+v", who, got)
			}
		}
		l.close()
		for _, query := range []string{"type=stats.tick&domain_id=" + b.domain, "type=stats.tick&type=email.*&domain_id=" + b.domain} {
			e.call(token, "GET", "/v1/events/stream?"+query, nil).problem(404, "not-found")
		}
	}
	// Live, too: what B does between two events of A is not seen.
	l := e.begin(tokens["admin of A"], "/v1/events/stream?type=email.accepted&type=last.one")
	e.mail(e.key, "app@"+marker+".test", "bob@"+marker+".test", "x", "y")
	own := e.mail(e.key, "app@tenanta.test", "bob@tenanta.test", "x", "y")
	if got := l.event(); got.Subject != own {
		t.Errorf("%+v", got)
	}
}

func TestAStreamIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	d := e.newDomain("b.test")
	e.newUser("u@b.test", "user")
	user, reader := e.signIn("u@b.test"), e.newKey([]string{"events:read"})
	for _, c := range []struct {
		token, path, lastID string
		status              int
		code                string
	}{
		{"", "", "", 401, "unauthenticated"},
		{e.newKey([]string{"stats:read"}), "?type=stats.tick", "", 403, "scope-missing"},
		{reader, "?type=stats.tick", "", 403, "scope-missing"},
		{user, "?type=stats.tick", "", 403, "domain-forbidden"},
		{reader, "?after=nonsense", "", 400, "invalid-cursor"},
		{reader, "?after=oldest", "nonsense", 400, "invalid-cursor"},
		{reader, "?type=email", "", 422, "validation-failed"},
		{reader, "?type=*", "", 422, "validation-failed"},
		{reader, "?types=email.*", "", 422, "unknown-parameter"},
		{reader, "?domain_id=b.test", "", 400, "invalid-id"},
	} {
		e.call(c.token, "GET", "/v1/events/stream"+c.path, nil, "Last-Event-ID", c.lastID).problem(c.status, c.code)
	}
	if p := e.call(reader, "GET", "/v1/events/stream?type=stats.tick", nil).problem(403, "scope-missing"); len(p.RequiredScopes) != 1 || p.RequiredScopes[0] != "stats:read" {
		t.Errorf("%+v", p)
	}
	e.call(reader, "GET", "/v1/events/stream", nil, "Accept", "application/json").problem(406, "not-acceptable")
	if got := e.call(reader, "HEAD", "/v1/events/stream", nil).want(200); got.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%v", got.header)
	}
	// A user may follow the own events.
	l := e.begin(user, "/v1/events/stream?after=oldest&type=session.created&domain_id="+d.ID)
	if got := l.event(); got.Type != event.SessionCreated || got.AccountID == nil {
		t.Errorf("%+v", got)
	}
}

func TestAStreamThatIsTooOldSaysSoAndGoesOn(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	old := e.begin(e.key, "/v1/events/stream")
	e.happen(event.Event{Type: "x.y", Subject: "before"})
	old.event()
	old.close()
	// The days up to now are dropped.
	if _, err := e.pool.Exec(t.Context(), `UPDATE event_floor SET xid = pg_current_xact_id()`); err != nil {
		t.Fatal(err)
	}
	e.settle()
	l := e.begin(e.key, "/v1/events/stream", "Last-Event-ID", old.last)
	fresh := l.last
	if f := l.next(); f.event != "stream.reset" || f.id != fresh || fresh == old.last {
		t.Fatalf("%+v", f)
	}
	e.happen(event.Event{Type: "x.y", Subject: "after"})
	if got := l.event(); got.Subject != "after" {
		t.Errorf("%+v", got)
	}
	l.close()
	again := e.begin(e.key, "/v1/events/stream", "Last-Event-ID", fresh)
	if got := again.event(); got.Subject != "after" {
		t.Errorf("%+v", got)
	}
}

// Retention overtakes a client that reads slowly: it is told, and gets what comes after that.
func TestAStreamThatIsOvertakenByRetentionSaysSo(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	long := strings.Repeat("x", 8<<10)
	for range 25 { // more than one window, and more than the connection holds
		list := make([]event.Event, 100)
		for i := range list {
			list[i] = event.Event{Type: "x.y", Subject: "s", Data: map[string]any{"text": long}}
		}
		e.happen(list...)
	}
	l := e.begin(e.key, "/v1/events/stream?after=oldest&type=x.y")
	l.event()
	if _, err := e.pool.Exec(t.Context(), `UPDATE event_floor SET xid = pg_current_xact_id()`); err != nil {
		t.Fatal(err)
	}
	n := 1
	f := l.next()
	for ; f.event == "x.y"; f = l.next() {
		n++
	}
	if f.event != "stream.reset" || f.id == "" || n >= 2500 {
		t.Fatalf("after %d events: %+v", n, f)
	}
	e.happen(event.Event{Type: "x.y", Subject: "after"})
	if got := l.event(); got.Subject != "after" {
		t.Errorf("%+v", got)
	}
}

func TestAStreamEndsWithItsCredential_S24(t *testing.T) {
	t.Parallel()
	clk, useIt := fakeTime()
	e := newEnv(t, useIt)
	e.newDomain("b.test")
	user := e.newUser("u@b.test", "user")
	var key api.APIKeyCreated
	made := func() *listener {
		e.call(e.owner, "POST", "/v1/api-keys", api.APIKeyCreate{Name: "x", Scopes: account.AllScopes()}).want(201).into(&key)
		return e.begin(key.Key, "/v1/events/stream?type=x.y")
	}
	for name, c := range map[string]struct {
		open func() *listener
		end  func()
		code string
	}{
		"a revoked key": {made, func() { e.call(e.owner, "DELETE", "/v1/api-keys/"+key.ID, nil).want(204) }, "unauthenticated"},
		"an expired key": {made, func() {
			if _, err := e.pool.Exec(t.Context(), `UPDATE api_key SET expires_at = now() - interval '1 second'`); err != nil {
				t.Error(err)
			}
			advance(t, clk, 15*time.Second) // nobody tells
		}, "token-expired"},
	} {
		l := c.open()
		if c.end(); l.ends() != c.code {
			t.Errorf("%s: not %s", name, c.code)
		}
		if _, err := e.pool.Exec(t.Context(), `UPDATE api_key SET expires_at = NULL`); err != nil {
			t.Fatal(err)
		}
	}
	token := e.signIn("u@b.test")
	l := e.begin(token, "/v1/events/stream?type=x.y")
	e.call(token, "DELETE", "/v1/auth/sessions/current", nil).want(204)
	if code := l.ends(); code != "unauthenticated" {
		t.Errorf("signed out: %s", code)
	}
	l = e.begin(e.signIn("u@b.test"), "/v1/events/stream?type=x.y")
	e.call(e.owner, "PATCH", "/v1/users/"+user.ID, raw(`{"status":"disabled"}`)).want(200)
	if code := l.ends(); code != "unauthenticated" {
		t.Errorf("disabled: %s", code)
	}
	// An admin who loses a domain sees nothing more of it, without waiting for the next look at the credential.
	first, second := e.newDomain("first.test"), e.newDomain("second.test")
	admin := e.newUser("admin@b.test", "admin", first.ID, second.ID)
	l = e.begin(e.signIn("admin@b.test"), "/v1/events/stream?type=x.y")
	e.happen(event.Event{Type: "x.y", Subject: "seen", Domain: domainID(t, second.ID)})
	if got := l.event(); got.Subject != "seen" {
		t.Errorf("%+v", got)
	}
	e.call(e.owner, "PATCH", "/v1/users/"+admin.ID, raw(`{"admin_domain_ids":["`+first.ID+`"]}`)).want(200)
	if code := l.ends(); code != "unauthenticated" {
		t.Errorf("an admin of less: %s", code)
	}
}

func TestAStreamEndsAfterAnHour(t *testing.T) {
	t.Parallel()
	clk, useIt := fakeTime()
	e := newEnv(t, useIt)
	l := e.begin(e.key, "/v1/events/stream")
	advance(t, clk, time.Hour)
	if code := l.ends(); code != "lifetime" {
		t.Errorf("%s", code)
	}
}

func TestOneCredentialHasFiveStreamsAndOthersTheirs(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var held []*listener
	for range 5 {
		held = append(held, e.begin(e.key, "/v1/events/stream"))
	}
	got := e.call(e.key, "GET", "/v1/events/stream", nil)
	if got.problem(429, "too-many-streams"); got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	e.begin(e.newKey([]string{"events:read"}), "/v1/events/stream")
	e.begin(e.owner, "/v1/events/stream")
	held[0].close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for e.call(e.key, "GET", "/v1/events/stream", nil).status != http.StatusOK {
		if ctx.Err() != nil {
			t.Fatal("the place of a stream that is gone is not given back")
		}
	}
}

func TestTheServerHasAnEndOfStreams(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(d *api.Deps) { d.Limits.API.Streams, d.Limits.API.StreamsPerCredential = 3, 2 })
	e.begin(e.key, "/v1/events/stream")
	e.begin(e.key, "/v1/events/stream")
	e.begin(e.owner, "/v1/events/stream")
	e.call(e.owner, "GET", "/v1/events/stream", nil).problem(429, "too-many-streams")
}

// Also a client that does not read leaves its place, though its connection is full.
func TestStoppingIsQuickWithStreamsThatNobodyReads(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	reads := e.begin(e.key, "/v1/events/stream?type=z.z")
	long := strings.Repeat("x", 32<<10)
	for range 20 {
		list := make([]event.Event, 25)
		for i := range list {
			list[i] = event.Event{Type: "x.y", Subject: "s", Data: map[string]any{"text": long}}
		}
		e.happen(list...)
	}
	e.begin(e.key, "/v1/events/stream?after=oldest") // 16 MB wait for it
	begin := time.Now()
	e.api.EndStreams()
	if code := reads.ends(); code != "shutdown" {
		t.Errorf("%s", code)
	}
	e.stop()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

func TestATickTellsWhatChangedAndSharesIt(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	d := e.newDomain("b.test")
	e.newUser("bob@b.test", "user")
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { e.stats.Run(ctx) })
	defer running.Wait()
	defer cancel()
	owner := e.begin(e.owner, "/v1/events/stream?type=stats.tick")
	bound := e.begin(e.newKey([]string{"events:read", "stats:read"}, d.ID), "/v1/events/stream?type=stats.tick")
	narrow := e.begin(e.owner, "/v1/events/stream?type=stats.tick&type=email.*&domain_id="+d.ID)
	if o := owner.tick(); o.Domains != 2 || o.Users != 2 || o.Server == nil || o.LastDay.Rejected == nil {
		t.Errorf("%+v", o)
	}
	if o := bound.tick(); o.Domains != 1 || o.Users != 1 || o.Server != nil || o.LastDay.Rejected != nil {
		t.Errorf("%+v", o)
	}
	if f := narrow.next(); f.event != "stats.tick" {
		t.Errorf("%+v", f)
	}
	e.mail(e.key, "app@b.test", "bob@b.test", "x", "y")
	for _, l := range []*listener{owner, bound} {
		var o api.StatsOverview
		for o.LastHour.Delivered == 0 || o.LastHour.Received == 0 {
			o = l.tick()
		}
		if o.LastHour.Accepted != 1 || o.LastMinute.Delivered != 1 || o.LastDay.Received != 1 || o.PreviousDay.Received != 0 || o.StorageBytes == 0 {
			t.Errorf("%+v", o)
		}
	}
	if got := narrow.event(); got.Type != event.EmailAccepted {
		t.Errorf("%+v", got)
	}
}
