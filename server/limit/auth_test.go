package limit_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func setup(t *testing.T, profile string, exempt ...netip.Prefix) (*limit.Limiter, *clock.Fake, *pg.Pool) {
	t.Helper()
	pool, clk := pgtest.DB(t), clock.NewFake(noon())
	return limit.New(pool, clk, profile, exempt...), clk, pool
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestParallelGuessesCannotSlipThroughTogether_S18(t *testing.T) {
	t.Parallel()
	l, _, pool := setup(t, "default")
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			_, err := l.AuthCheck(t.Context(), addr("192.0.2.1"), "alice@demo.test")
			switch {
			case err == nil:
				passed.Add(1)
			case !fault.Is(err, fault.Limited):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 10 {
		t.Fatalf("%d of 200 parallel guesses were let through, want 10", passed.Load())
	}
	var counted int
	err := pool.QueryRow(t.Context(), `SELECT count FROM auth_failure WHERE key = 'account alice@demo.test'`).Scan(&counted)
	if err != nil || counted != 200 {
		t.Fatalf("%d tries were counted (%v), want 200", counted, err)
	}
}

func TestOneAddressSprayingManyUsersIsStopped_S16(t *testing.T) {
	t.Parallel()
	l, clk, _ := setup(t, "default")
	let := 0
	for minute := range 10 {
		for i := range 20 {
			_, err := l.AuthCheck(t.Context(), addr("192.0.2.1"), fmt.Sprintf("user%d-%d@demo.test", minute, i))
			if err == nil {
				let++
			} else if wait, ok := limit.RetryAfter(err); !fault.Is(err, fault.Limited) || !ok || wait > 24*time.Hour {
				t.Fatalf("%v, wait %v", err, wait)
			}
		}
		clk.Advance(time.Minute)
	}
	// 10 in each of the first minutes; refused tries count too, so the day's 50 are reached in the third.
	if let < 20 || let > 50 {
		t.Fatalf("%d guesses were let through in ten minutes, want at most 50", let)
	}
	if _, err := l.AuthCheck(t.Context(), addr("198.51.100.1"), "user@demo.test"); err != nil {
		t.Fatalf("an address elsewhere was stopped too: %v", err)
	}
	clk.Advance(24 * time.Hour)
	if _, err := l.AuthCheck(t.Context(), addr("192.0.2.1"), "user@demo.test"); err != nil {
		t.Fatalf("still stopped on the next day: %v", err)
	}
}

func TestANetworkOfManyAddressesIsStoppedAsAWhole_S16(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]func(i int) string{
		"IPv4 neighbours":          func(i int) string { return fmt.Sprintf("192.0.2.%d", i) },
		"IPv6 host with a /64":     func(i int) string { return fmt.Sprintf("2001:db8:0:1::%x", i) },
		"IPv4 written as IPv6":     func(i int) string { return fmt.Sprintf("::ffff:192.0.2.%d", i) },
		"IPv6 neighbours of a /48": func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _, _ := setup(t, "default")
			let := 0
			for i := range 100 {
				if _, err := l.AuthCheck(t.Context(), addr(host(i+1)), fmt.Sprintf("u%d@demo.test", i)); err == nil {
					let++
				}
			}
			if let != 30 && name != "IPv6 host with a /64" || let > 30 {
				t.Fatalf("%d guesses were let through, want 30", let)
			}
		})
	}
}

func TestAnAttackerSlowsStrangersButNeverLocksTheOwnerOut_S16(t *testing.T) {
	t.Parallel()
	l, _, _ := setup(t, "default")
	home, account := addr("203.0.113.7"), "owner@demo.test"
	if _, err := l.AuthCheck(t.Context(), home, account); err != nil {
		t.Fatal(err)
	}
	if err := l.AuthOK(t.Context(), home, account); err != nil {
		t.Fatal(err)
	}
	var last time.Duration
	for i := range 100 {
		delay, err := l.AuthCheck(t.Context(), addr(fmt.Sprintf("10.%d.0.1", i)), account)
		if err != nil {
			t.Fatalf("guess %d from an address of its own was refused, want delayed: %v", i, err)
		}
		if i < 12 && delay != 0 || i > 20 && delay != 16*time.Second {
			t.Fatalf("guess %d was delayed by %v", i+1, delay)
		}
		last = delay
	}
	delay, err := l.AuthCheck(t.Context(), home, account)
	if err != nil || delay != 0 {
		t.Fatalf("the owner waits %v at home (%v), want no wait while strangers wait %v", delay, err, last)
	}
}

func TestASuccessfulSignInCostsNothing(t *testing.T) {
	t.Parallel()
	l, _, _ := setup(t, "default")
	for i := range 100 {
		if _, err := l.AuthCheck(t.Context(), addr("192.0.2.1"), "alice@demo.test"); err != nil {
			t.Fatalf("sign-in %d after successful ones: %v", i+1, err)
		}
		if err := l.AuthOK(t.Context(), addr("192.0.2.1"), "alice@demo.test"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEachFailureIsHeldBackLonger_S16(t *testing.T) {
	t.Parallel()
	l, clk, _ := setup(t, "default")
	var got []time.Duration
	for range 7 {
		if _, err := l.AuthCheck(t.Context(), addr("192.0.2.1"), "alice@demo.test"); err != nil {
			t.Fatal(err)
		}
		d, err := l.AuthFailed(t.Context(), addr("192.0.2.1"), "alice@demo.test")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d/time.Second)
	}
	if fmt.Sprint(got) != "[1ns 2ns 4ns 8ns 16ns 16ns 16ns]" {
		t.Fatalf("held back by %v seconds", got)
	}
	clk.Advance(2 * time.Minute)
	if _, err := l.AuthCheck(t.Context(), addr("192.0.2.1"), "alice@demo.test"); err != nil {
		t.Fatal(err)
	}
	if d, _ := l.AuthFailed(t.Context(), addr("192.0.2.1"), "alice@demo.test"); d != time.Second {
		t.Fatalf("held back by %v after two quiet minutes", d)
	}
}

func TestTheProfileNoneAndExemptNetworksAreNeverLimited(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*limit.Limiter{
		"none":   first(setup(t, limit.ProfileNone)),
		"exempt": first(setup(t, "default", netip.MustParsePrefix("192.0.2.0/24"))),
	} {
		for range 100 {
			if delay, err := l.AuthCheck(t.Context(), addr("192.0.2.1"), "alice@demo.test"); err != nil || delay != 0 {
				t.Fatalf("%s: %v %v", name, delay, err)
			}
			if d, err := l.AuthFailed(t.Context(), addr("192.0.2.1"), "alice@demo.test"); err != nil || d != time.Second {
				t.Fatalf("%s: a failure is held back by %v (%v), want one second", name, d, err)
			}
		}
	}
}

func first(l *limit.Limiter, _ *clock.Fake, _ *pg.Pool) *limit.Limiter { return l }

func TestHostileNamesAreCountedLikeAnyOther(t *testing.T) {
	t.Parallel()
	l, _, _ := setup(t, "default")
	for _, name := range []string{"", "\x00", "a\x00b", "\xff\xfe", string(make([]byte, 10_000)), "%'; DROP TABLE auth_failure"} {
		for _, ip := range []netip.Addr{{}, addr("fe80::1%eth0"), addr("192.0.2.1")} {
			if _, err := l.AuthCheck(t.Context(), ip, name); err != nil {
				t.Fatalf("%q from %v: %v", name, ip, err)
			}
			if err := l.AuthOK(t.Context(), ip, name); err != nil {
				t.Fatalf("%q from %v: %v", name, ip, err)
			}
		}
	}
}

func TestTheSweepRemovesOnlyWhatNoLongerCounts(t *testing.T) {
	t.Parallel()
	l, clk, pool := setup(t, "default")
	ip := addr("192.0.2.1")
	if _, err := l.AuthCheck(t.Context(), ip, "alice@demo.test"); err != nil {
		t.Fatal(err)
	}
	if err := l.AuthOK(t.Context(), ip, "alice@demo.test"); err != nil {
		t.Fatal(err)
	}
	rows := func() (n int) {
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM auth_failure`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, step := range []struct {
		after time.Duration
		left  int // account and minutes, days, the good pair
	}{{0, 8}, {5 * time.Minute, 4}, {36 * time.Hour, 1}, {32 * 24 * time.Hour, 0}} {
		clk.Advance(step.after)
		if _, err := l.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := rows(); n != step.left {
			t.Fatalf("%v later %d rows are left, want %d", step.after, n, step.left)
		}
	}
}
