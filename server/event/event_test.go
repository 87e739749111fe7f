package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func service(pool *pg.Pool, clk clock.Clock) *event.Service {
	return event.New(pool, clk, bus.New(), quiet())
}

func add(t *testing.T, pool *pg.Pool, events ...event.Event) {
	t.Helper()
	if err := event.Append(t.Context(), pool, noon(), events...); err != nil {
		t.Fatal(err)
	}
	settle(t, pool)
}

// settle waits until no transaction of the cluster hides what was appended: other tests' count too.
func settle(t *testing.T, pool *pg.Pool) {
	t.Helper()
	for visible := false; !visible; {
		err := pool.QueryRow(t.Context(), `
SELECT coalesce((SELECT max(xid) FROM event) < pg_snapshot_xmin(pg_current_snapshot()), true) FROM pg_sleep(0.002)`).Scan(&visible)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func subjects(events []event.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Subject)
	}
	return strings.Join(out, " ")
}

// Thirty-two writers commit after random delays; one reader walks by cursor all the while.
func TestNoReaderMissesALateCommitOrGetsAnEventTwice(t *testing.T) {
	t.Parallel()
	const writers, each = 32, 25
	pool, err := pg.Open(t.Context(), pg.Config{DSN: pgtest.DSN(t), MaxConns: writers + 2, AcquireTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := service(pool, clock.System())
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() { write(t, pool, w, each) })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var got []event.Event
	var after event.Cursor
	for last := false; ; {
		page, err := s.List(t.Context(), mail.System("test"), event.Query{After: after, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		got, after = append(got, page.Items...), page.Next
		if last && len(page.Items) == 0 {
			break
		}
		select {
		case <-done:
			settle(t, pool)
			last = true
		default:
		}
	}
	checkAll(t, got, writers*each)
	again, err := walk(t.Context(), s, event.Query{Limit: 100})
	if err != nil || subjects(again) != subjects(got) {
		t.Fatalf("a second walk gives another order (%v)", err)
	}
}

func write(t *testing.T, pool *pg.Pool, w, each int) {
	t.Helper()
	for i := range each {
		err := pg.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
			// Half take their transaction id long before they write, half long before they commit.
			if _, err := tx.Exec(ctx, `SELECT pg_current_xact_id(), pg_sleep(random() * 0.01 * $1::integer)`, w%2); err != nil {
				return err
			}
			e := event.Event{Type: event.EmailAccepted, Subject: fmt.Sprintf("%d/%d", w, i)}
			if err := event.Append(ctx, tx, noon(), e); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `SELECT pg_sleep(random() * 0.02)`)
			return err
		})
		if err != nil {
			t.Error(err)
			return
		}
	}
}

func checkAll(t *testing.T, got []event.Event, want int) {
	t.Helper()
	seen := map[string]int{}
	for _, e := range got {
		seen[e.Subject]++
		if seen[e.Subject] > 1 {
			t.Errorf("event %s came twice", e.Subject)
		}
	}
	if len(seen) != want {
		t.Fatalf("the reader got %d of %d events", len(seen), want)
	}
}

func walk(ctx context.Context, s *event.Service, q event.Query) (all []event.Event, err error) {
	for {
		page, err := s.List(ctx, mail.System("test"), q)
		if err != nil || len(page.Items) == 0 {
			return all, err
		}
		all, q.After = append(all, page.Items...), page.Next
	}
}

func TestEventsAreSeenByWhomTheyConcernOnly(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := service(pool, clock.NewFake(noon()))
	one, two := mail.DomainID{}.New(noon()), mail.DomainID{}.New(noon())
	alice, bob := mail.UserID{}.New(noon()), mail.UserID{}.New(noon())
	key := mail.KeyID{}.New(noon())
	add(
		t, pool,
		event.Event{Type: "x.y", Domain: one, Account: alice, Subject: "alice"},
		event.Event{Type: "x.y", Domain: two, Account: bob, Subject: "bob"},
		event.Event{Type: "x.y", Domain: one, Subject: "one"},
		event.Event{Type: "x.y", Subject: "server"},
	)
	for _, c := range []struct {
		name, want string
		p          mail.Principal
	}{
		{"user", "alice", mail.Principal{User: alice, Role: mail.RoleUser}},
		{"admin of one", "alice one", mail.Principal{User: mail.UserID{}.New(noon()), Role: mail.RoleAdmin, Domains: []mail.DomainID{one}}},
		{"admin who lives in two", "alice bob one", mail.Principal{User: bob, Role: mail.RoleAdmin, Domains: []mail.DomainID{one}}},
		{"admin of nothing", "", mail.Principal{User: mail.UserID{}.New(noon()), Role: mail.RoleAdmin}},
		{"key of two", "bob", mail.Principal{Key: key, Scopes: []string{"events:read"}, Domains: []mail.DomainID{two}}},
		{"key of all", "alice bob one server", mail.Principal{Key: key, Scopes: []string{"events:read"}}},
		{"owner", "alice bob one server", mail.Principal{User: mail.UserID{}.New(noon()), Role: mail.RoleOwner}},
		// A user with a stale list of domains is still a user.
		{"user with domains", "alice", mail.Principal{User: alice, Role: mail.RoleUser, Domains: []mail.DomainID{one, two}}},
	} {
		page, err := s.List(t.Context(), c.p, event.Query{})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := strings.Fields(subjects(page.Items))
		sortStrings(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s sees %q, want %q", c.name, got, c.want)
		}
	}
	_, err := s.List(t.Context(), mail.Principal{Key: key, Scopes: []string{"emails:read"}}, event.Query{})
	if fault.CodeOf(err) != "scope-missing" || !strings.Contains(fault.Public(err), "events:read") {
		t.Errorf("a key without the scope gets %v", err)
	}
	if _, err := s.List(t.Context(), mail.Principal{}, event.Query{}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("nobody gets %v", err)
	}
}

func sortStrings(s []string) {
	for i := range s {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
}

func TestAWalkMayBeNarrowedAndTurnedRound(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s, owner := service(pool, clock.NewFake(noon())), mail.System("test")
	d := mail.DomainID{}.New(noon())
	for i := range 6 {
		e := event.Event{Type: fmt.Sprintf("t.%d", i%2), Subject: fmt.Sprintf("s%d", i%3)}
		if i >= 4 {
			e.Domain = d
		}
		add(t, pool, e)
	}
	for name, c := range map[string]struct {
		q    event.Query
		want string
	}{
		"all":        {event.Query{}, "s0 s1 s2 s0 s1 s2"},
		"newest":     {event.Query{Newest: true, Limit: 2}, "s2 s1"},
		"types":      {event.Query{Types: []string{"t.0"}}, "s0 s2 s1"},
		"both types": {event.Query{Types: []string{"t.0", "t.1", "t.9"}, Limit: 3}, "s0 s1 s2"},
		"subject":    {event.Query{Subject: "s1"}, "s1 s1"},
		"domain":     {event.Query{Domain: d}, "s1 s2"},
		"together":   {event.Query{Domain: d, Types: []string{"t.0"}, Subject: "s1"}, "s1"},
	} {
		page, err := s.List(t.Context(), owner, c.q)
		if err != nil || subjects(page.Items) != c.want {
			t.Errorf("%s: %q (%v), want %q", name, subjects(page.Items), err, c.want)
		}
	}
	var back []string
	for q := (event.Query{Newest: true, Limit: 4}); ; {
		page, err := s.List(t.Context(), owner, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Items {
			back = append(back, e.Subject)
		}
		if !page.More {
			break
		}
		q.After = page.Next
	}
	if strings.Join(back, " ") != "s2 s1 s0 s2 s1 s0" {
		t.Errorf("backwards: %v", back)
	}
}

func TestWhatWasWrittenIsReadWhateverALetterContains(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := service(pool, clock.NewFake(noon()))
	hostile := "a\x00b \\u0000 \xff\xfe \u2028 <>&\"" + `\`
	batch := &pgx.Batch{}
	in := event.Event{
		Type: event.MessageReceived, Domain: mail.DomainID{}.New(noon()), Account: mail.UserID{}.New(noon()), Subject: "msg_x",
		Data: map[string]any{"subject": hostile, "key\x00": []any{1.0, nil, "\x00\x00"}, "nested": map[string]any{"n": "\x00"}},
	}
	if err := event.AppendBatch(batch, noon(), in, event.Event{Type: "no.data", Subject: "none"}); err != nil {
		t.Fatal(err)
	}
	if err := pool.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	settle(t, pool)
	page, err := s.List(t.Context(), mail.System("test"), event.Query{})
	if err != nil || len(page.Items) != 2 {
		t.Fatalf("%v: %d events", err, len(page.Items))
	}
	got := page.Items[0]
	if got.Subject == "none" {
		got = page.Items[1]
	}
	if got.Type != in.Type || got.Domain != in.Domain || got.Account != in.Account || got.ID.IsZero() || !got.At.Equal(noon()) {
		t.Errorf("read %+v", got)
	}
	want := "a\ufffdb \\u0000 \ufffd\ufffd \u2028 <>&\"" + `\`
	if got.Data["subject"] != want {
		t.Errorf("subject %q, want %q", got.Data["subject"], want)
	}
}

func TestEncodedDataNeverHoldsANUL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\x00":          "\ufffd",
		`\u0000`:        `\u0000`,
		`\` + "\x00":    `\` + "\ufffd",
		`\\` + "\x00":   `\\` + "\ufffd",
		"\x00\x00":      "\ufffd\ufffd",
		`x\u0000` + "y": `x\u0000y`,
	} {
		text, err := event.EncodeData(map[string]any{"v": in})
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]string
		if err := json.Unmarshal([]byte(text), &out); err != nil || out["v"] != want {
			t.Errorf("%q becomes %q (%v), want %q", in, out["v"], err, want)
		}
	}
	if _, err := event.EncodeData(map[string]any{"v": make(chan int)}); err == nil {
		t.Error("a channel was encoded")
	}
	if text, _ := event.EncodeData(nil); text != "{}" {
		t.Errorf("no data is %q", text)
	}
}

func TestACursorSurvivesItsTextAndNothingElseIsOne(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := service(pool, clock.NewFake(noon()))
	add(t, pool, event.Event{Type: "x.y", Subject: "a"})
	page, err := s.List(t.Context(), mail.System("test"), event.Query{})
	if err != nil {
		t.Fatal(err)
	}
	text := page.Next.String()
	back, err := event.ParseCursor(text)
	if err != nil || back != page.Next || back.IsZero() {
		t.Fatalf("%q gives %v, %v", text, back, err)
	}
	for _, bad := range []string{"x", text + "A", text[1:], strings.Repeat("_", 32), "evt_01h455vb4pex5vsknk084sn02q", "\x00"} {
		if _, err := event.ParseCursor(bad); !fault.Is(err, fault.Malformed) || fault.CodeOf(err) != "invalid-cursor" {
			t.Errorf("%q gives %v", bad, err)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("A", 32))
	f.Add("AAAAAAAAAtkBnZ")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := event.ParseCursor(text)
		if err == nil && c.String() != text && !c.IsZero() {
			t.Fatalf("%q becomes %q", text, c.String())
		}
	})
}

// hear follows the ledger until the context ends.
func hear(ctx context.Context, s *event.Service, after event.Cursor, got chan<- string) error {
	feed, err := s.Feed(ctx, after)
	if err != nil {
		return err
	}
	defer feed.Close()
	for {
		items, more, err := feed.Next(ctx, mail.System("test"), event.Query{})
		if err != nil {
			return err
		}
		for _, e := range items {
			got <- e.Subject
		}
		if more {
			continue
		}
		select {
		case <-feed.Ready():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestAFollowerIsWokenAndHearsEveryEventOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := service(pool, clock.System())
	add(t, pool, event.Event{Type: "x.y", Subject: "old"})
	from, err := s.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan string, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- hear(ctx, s, from, got)
	}()
	for i := range 20 {
		want := fmt.Sprint(i)
		add(t, pool, event.Event{Type: "x.y", Subject: want})
		s.Wake()
		if have := <-got; have != want {
			t.Fatalf("heard %q, want %q", have, want)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("the stream ended with %v", err)
	}
}

func TestAFollowerFindsEventsThatNobodyAnnounced(t *testing.T) {
	t.Parallel()
	pool, clk := pgtest.DB(t), clock.NewFake(noon())
	s := service(pool, clk)
	got := make(chan string, 1)
	go func() { _ = hear(t.Context(), s, event.Cursor{}, got) }()
	if err := clk.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	add(t, pool, event.Event{Type: "x.y", Subject: "another node's"})
	clk.Advance(time.Second)
	if have := <-got; have != "another node's" {
		t.Fatalf("heard %q", have)
	}
}
