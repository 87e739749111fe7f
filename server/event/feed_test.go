package event_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

// follow opens a feed that the test closes.
func follow(t *testing.T, s *event.Service, after event.Cursor) *event.Feed {
	t.Helper()
	f, err := s.Feed(t.Context(), after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// drain reads all that is there.
func drain(t *testing.T, f *event.Feed, p mail.Principal, q event.Query) (got []event.Event) {
	t.Helper()
	for {
		items, more, err := f.Next(t.Context(), p, q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, items...)
		if !more {
			return got
		}
	}
}

// await waits until the feed has heard of more.
func await(t *testing.T, f *event.Feed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-f.Ready():
	case <-ctx.Done():
		t.Fatal("the feed is not woken")
	}
}

// Whoever reads out of memory sees what the statements would give, whatever is asked and whoever asks.
func TestMemoryAndStatementsGiveTheSame(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := service(pool, clock.System())
	start, err := s.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keeper := follow(t, s, start)
	domains := []mail.DomainID{{}, mail.DomainID{}.New(noon()), mail.DomainID{}.New(noon()), mail.DomainID{}.New(noon())}
	users := []mail.UserID{{}, mail.UserID{}.New(noon()), mail.UserID{}.New(noon())}
	types := []string{"a.b", "a.c", "a_b.c", "axb.c", "ab.c", `a\b.c`, "a%.c"}
	var list []event.Event
	for i := range 300 {
		list = append(list, event.Event{
			Type: pick(types), Domain: pick(domains), Account: pick(users), Subject: fmt.Sprint("s", i%7), Data: map[string]any{"n": float64(i)},
		})
	}
	add(t, pool, list...)
	s.Wake()
	for len(drain(t, keeper, mail.System("test"), event.Query{})) == 0 {
		await(t, keeper)
	}
	principals := []mail.Principal{
		mail.System("test"),
		{User: users[1], Role: mail.RoleOwner},
		{User: users[1], Role: mail.RoleUser},
		{User: users[2], Role: mail.RoleAdmin, Domains: domains[1:3]},
		{User: users[2], Role: mail.RoleAdmin},
		{Key: mail.KeyID{}.New(noon()), Scopes: []string{"events:read"}, Domains: domains[1:2]},
	}
	for i, p := range principals {
		for _, q := range []event.Query{
			{},
			{Types: []string{"a.*"}},
			{Types: []string{"a.b"}},
			{Types: []string{"a_b.*", "a%.c"}},
			{Types: []string{`a\b.*`}},
			{Subject: "s3"},
			{Domain: domains[2]},
			{Domain: domains[1], Subject: "s1", Types: []string{"ab.c", "a.*"}},
		} {
			live := drain(t, follow(t, s, start), p, q)
			behind := drain(t, follow(t, s, event.Cursor{}), p, q)
			q.Limit = 1000
			page, err := s.List(t.Context(), p, q)
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprint(page.Items); fmt.Sprint(live) != want || fmt.Sprint(behind) != want {
				t.Errorf("principal %d, %+v: %d by list, %d out of memory, %d in steps", i, q, len(page.Items), len(live), len(behind))
			}
		}
	}
}

func pick[T any](list []T) T { return list[rand.IntN(len(list))] }

// Readers that come, go, lag and catch up get every event once and in one order, while many write and commit late.
func TestEveryReaderGetsEverythingOnceHoweverItLags(t *testing.T) {
	t.Parallel()
	const writers, each, readers = 16, 150, 4
	pool, err := pg.Open(t.Context(), pg.Config{DSN: pgtest.DSN(t), MaxConns: writers + 4, AcquireTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := service(pool, clock.System())
	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() { write(t, pool, w, each) })
	}
	orders := make([]string, readers)
	for r := range readers {
		reading.Go(func() {
			var got []event.Event
			feed, err := s.Feed(t.Context(), event.Cursor{})
			for err == nil && len(got) < writers*each {
				var items []event.Event
				var more bool
				if items, more, err = feed.Next(t.Context(), mail.System("test"), event.Query{}); err != nil {
					break
				}
				got = append(got, items...)
				switch {
				case rand.IntN(10) == 0 && len(got) > 0:
					feed.Close()
					feed, err = s.Feed(t.Context(), got[len(got)-1].Cursor)
				case !more && len(got) < writers*each:
					s.Wake()
					<-feed.Ready()
				}
			}
			if err != nil {
				t.Error(err)
				return
			}
			feed.Close()
			checkAll(t, got, writers*each)
			orders[r] = subjects(got)
		})
	}
	writing.Wait()
	reading.Wait()
	for _, order := range orders {
		if order != orders[0] {
			t.Fatal("two readers got another order")
		}
	}
}

// A reader that falls further behind than memory reaches goes on by statements.
func TestAReaderFarBehindMissesNothing(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := service(pool, clock.System())
	start, err := s.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slow, quick := follow(t, s, start), follow(t, s, start)
	for n := range 5 {
		list := make([]event.Event, 1000)
		for i := range list {
			list[i] = event.Event{Type: "x.y", Subject: fmt.Sprint(n*1000 + i)}
		}
		add(t, pool, list...)
		s.Wake()
		for seen := 0; seen < 1000; {
			if seen += len(drain(t, quick, mail.System("test"), event.Query{})); seen < 1000 {
				await(t, quick)
			}
		}
	}
	got := drain(t, slow, mail.System("test"), event.Query{})
	checkAll(t, got, 5000)
	if rare := drain(t, follow(t, s, start), mail.System("test"), event.Query{Subject: "4"}); len(rare) != 1 {
		t.Errorf("%d events of one subject", len(rare))
	}
	if none := drain(t, follow(t, s, event.Cursor{}), mail.System("test"), event.Query{Types: []string{"no.*"}}); len(none) != 0 {
		t.Errorf("%d", len(none))
	}
}

// A reader that has seen everything waits, also when there was nothing to see.
func TestAReaderOfAnEmptyLedgerWaits(t *testing.T) {
	t.Parallel()
	s := service(pgtest.DB(t), clock.System())
	f := follow(t, s, event.Cursor{})
	for i := 0; ; i++ {
		items, more, err := f.Next(t.Context(), mail.System("test"), event.Query{})
		if err != nil || len(items) > 0 || i > 5 {
			t.Fatalf("%d items, %v, call %d", len(items), err, i)
		}
		if !more {
			return
		}
	}
}

// Nothing is asked of the database when nobody follows.
func TestTheLastReaderTurnsOffTheLight(t *testing.T) {
	t.Parallel()
	pool, clk := pgtest.DB(t), clock.NewFake(noon())
	s := service(pool, clk)
	for range 2 {
		a, err := s.Feed(t.Context(), event.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		b := follow(t, s, event.Cursor{})
		a.Close()
		if err := clk.BlockUntil(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		b.Close()
		if n := clk.Waiters(); n != 0 {
			t.Fatalf("%d timers after the last reader", n)
		}
	}
}

func TestAPlaceIsKeptUntilItsDayIsDropped(t *testing.T) {
	t.Parallel()
	pool, clk := pgtest.DB(t), clock.NewFake(noon())
	s := service(pool, clk)
	if err := s.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := func(c event.Cursor) bool {
		t.Helper()
		ok, err := s.Kept(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	start, err := s.End(t.Context())
	if err != nil || !kept(start) || !kept(event.Cursor{}) {
		t.Fatalf("the end of a ledger without an event is not kept (%v)", err)
	}
	add(t, pool, event.Event{Type: "x.y", Subject: "a"}, event.Event{Type: "x.y", Subject: "b"})
	add(t, pool, event.Event{Type: "x.y", Subject: "c", At: noon().Add(24 * time.Hour)})
	page, err := s.List(t.Context(), mail.System("test"), event.Query{})
	if err != nil || len(page.Items) != 3 {
		t.Fatal(len(page.Items), err)
	}
	a, b := page.Items[0].Cursor, page.Items[1].Cursor
	if n, err := s.DropBefore(t.Context(), noon()); err != nil || n != 0 || !kept(start) || !kept(a) {
		t.Fatalf("%d dropped (%v), and a place that misses nothing is not kept", n, err)
	}
	if n, err := s.DropBefore(t.Context(), noon().Add(12*time.Hour)); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if kept(event.Cursor{}) || kept(start) || kept(a) {
		t.Error("a place before events that were dropped counts as kept")
	}
	if !kept(b) || !kept(page.Items[2].Cursor) {
		t.Error("a place behind all that was dropped is not kept")
	}
	// A day without events moves nothing.
	if n, err := s.DropBefore(t.Context(), noon().Add(-time.Hour)); err != nil || n != 0 || !kept(b) {
		t.Error(n, err)
	}
	foreign, err := event.ParseCursor("AAAAAP_____" + strings.Repeat("_", 20) + "8")
	if err == nil && kept(foreign) {
		t.Error("a place that this ledger has not reached counts as kept")
	}
}

// A reader that is far behind when a day is dropped is told that it has missed something, once, and goes on.
func TestAReaderThatIsOvertakenByRetentionIsTold(t *testing.T) {
	t.Parallel()
	pool, clk := pgtest.DB(t), clock.NewFake(noon())
	s := service(pool, clk)
	if err := s.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	add(t, pool, event.Event{Type: "x.y", Subject: "a"}, event.Event{Type: "x.y", Subject: "b"})
	add(t, pool, event.Event{Type: "x.y", Subject: "c", At: noon().Add(24 * time.Hour)})
	page, err := s.List(t.Context(), mail.System("test"), event.Query{})
	if err != nil || len(page.Items) != 3 {
		t.Fatal(len(page.Items), err)
	}
	everything, behind, whole := follow(t, s, event.Cursor{}), follow(t, s, page.Items[0].Cursor), follow(t, s, page.Items[1].Cursor)
	if n, err := s.DropBefore(t.Context(), noon().Add(12*time.Hour)); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	items, more, err := behind.Next(t.Context(), mail.System("test"), event.Query{})
	if !errors.Is(err, event.ErrDropped) || len(items) > 0 || !more || behind.After().Compare(page.Items[2].Cursor) <= 0 {
		t.Fatalf("%d events, %v: nothing tells that b is missing", len(items), err)
	}
	if got := drain(t, behind, mail.System("test"), event.Query{}); len(got) != 0 {
		t.Errorf("%d events after that, which the lists hold", len(got))
	}
	for name, f := range map[string]*event.Feed{"from the beginning": everything, "behind all that was dropped": whole} {
		if got := drain(t, f, mail.System("test"), event.Query{}); len(got) != 1 || got[0].Subject != "c" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Replays take few connections: others, and those who have caught up, are not held up by them.
func TestReadersThatAreBehindWaitForTheirTurnAndOthersDoNot(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	s := service(pool, clock.System())
	add(t, pool, event.Event{Type: "x.y", Subject: "old"})
	behind := follow(t, s, event.Cursor{})
	end, err := s.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	near := follow(t, s, end)
	release := s.HoldBehind()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := behind.Next(ctx, mail.System("test"), event.Query{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more than may read at a time: %v", err)
	}
	if _, more, err := near.Next(t.Context(), mail.System("test"), event.Query{}); more || err != nil {
		t.Errorf("who has caught up waits: %v", err)
	}
	release()
	if got := drain(t, behind, mail.System("test"), event.Query{}); len(got) != 1 {
		t.Errorf("%d events after the wait", len(got))
	}
}
