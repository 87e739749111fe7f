package limit

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
)

func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func TestARateIsARateAndSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(noon())
	l := New(nil, clk, "default")
	policy := Policy{Name: "api", Count: 3, Per: time.Minute}
	for i := range 3 {
		if ok, _ := l.Allow(t.Context(), policy, "k"); !ok {
			t.Fatalf("request %d of 3 was refused", i+1)
		}
	}
	ok, wait := l.Allow(t.Context(), policy, "k")
	if ok || wait != 20*time.Second {
		t.Fatalf("fourth request: ok=%v, retry after %v; want refused, 20s", ok, wait)
	}
	if ok, _ := l.Allow(t.Context(), policy, "other"); !ok {
		t.Fatal("one client's flood stopped another client")
	}
	if ok, _ := l.Allow(t.Context(), Policy{Name: "send", Count: 3, Per: time.Minute}, "k"); !ok {
		t.Fatal("one policy used up another policy's tokens")
	}
	clk.Advance(wait)
	if ok, _ := l.Allow(t.Context(), policy, "k"); !ok {
		t.Fatal("refused after the time that it named")
	}
	err := l.Check(t.Context(), policy, "k")
	if after, found := RetryAfter(err); !fault.Is(err, fault.Limited) || !found || after != 20*time.Second {
		t.Fatalf("Check gave %v with %v", err, after)
	}
}

func TestTheProfileNoneLiftsEveryRate(t *testing.T) {
	t.Parallel()
	l := New(nil, clock.NewFake(noon()), ProfileNone)
	for range 1000 {
		if err := l.Check(t.Context(), Policy{Name: "api", Count: 1, Per: time.Hour}, "k"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFloodOfAddressesDoesNotGrowTheMemory_S17(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(noon())
	b := newBuckets(clk, 100)
	policy := Policy{Name: "api", Count: 1, Per: time.Hour}
	for i := range 10_000 {
		b.take(policy, fmt.Sprint(i))
		if i%50 == 0 {
			b.take(policy, "regular")
		}
	}
	if len(b.byKey) != 100 || b.recent.Len() != 100 {
		t.Fatalf("%d buckets are kept, want 100", len(b.byKey))
	}
	if ok, _ := b.take(policy, "regular"); ok {
		t.Fatal("the bucket of a client that comes again and again was forgotten")
	}
}
