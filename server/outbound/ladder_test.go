package outbound

import (
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/mail"
)

const giveUp = 120 * time.Hour

// walk follows a letter whose every attempt fails at once and gives the times of the attempts since it was accepted.
func walk(t *testing.T, id mail.EmailID, l ladder) []time.Duration {
	t.Helper()
	clk := clock.NewFake(time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC))
	accepted := clk.Now()
	var attempts []time.Duration
	for n := 1; ; n++ {
		attempts = append(attempts, clk.Now().Sub(accepted))
		at, ok := l.next(id, n, clk.Now(), accepted.Add(giveUp))
		if !ok {
			return attempts
		}
		if n > 100 {
			t.Fatal("the ladder has no end")
		}
		clk.Advance(at.Sub(clk.Now()))
	}
}

// A letter for a server that is down is tried 13 times over five days and not a day longer, whatever the jitter.
func TestALetterIsTriedThirteenTimesAndLastAtExpiry_O20(t *testing.T) {
	t.Parallel()
	delays := []time.Duration{
		5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour,
		24 * time.Hour, 24 * time.Hour, 24 * time.Hour,
	}
	for range 2000 {
		id := mail.EmailID{}.New(time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC))
		got := walk(t, id, defaultLadder())
		if len(got) != 13 || got[0] != 0 || got[12] != giveUp {
			t.Fatalf("%d attempts, the last after %s: %v", len(got), got[len(got)-1], got)
		}
		for i, want := range delays {
			step := got[i+1] - got[i]
			if off := float64(step)/float64(want) - 1; off < -0.1001 || off > 0.1001 {
				t.Fatalf("the delay after attempt %d is %s, which is %.1f %% off %s", i+1, step, 100*off, want)
			}
		}
	}
}

// Letters that failed together must not come back together, or a server that has just recovered is trampled down.
func TestDelaysSpreadEvenlyOverTenPercentEitherWay_O20(t *testing.T) {
	t.Parallel()
	const draws, bins = 20000, 10
	var count [bins]int
	for i := range draws {
		id := mail.EmailID{}.New(time.Date(2026, 11, 25, 15, 0, 0, i, time.UTC))
		j := jitter(id, 1+i%12)
		if j < -jitterShare || j > jitterShare {
			t.Fatalf("jitter %f", j)
		}
		count[min(int((j+jitterShare)/(2*jitterShare)*bins), bins-1)]++
	}
	for i, n := range count {
		if n < draws/bins*8/10 || n > draws/bins*12/10 {
			t.Errorf("bin %d of %d holds %d of %d draws: %v", i, bins, n, draws, count)
		}
	}
}

func TestTheDelaysAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	id := mail.EmailID{}.New(time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC))
	now := time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)
	own := ladder{time.Minute, time.Hour}
	for n, want := range map[int]time.Duration{1: time.Minute, 2: time.Hour, 3: time.Hour, 50: time.Hour} {
		at, ok := own.next(id, n, now, now.Add(giveUp))
		if got := at.Sub(now); !ok || got < want*9/10 || got > want*11/10 {
			t.Errorf("after attempt %d: %s, want about %s", n, got, want)
		}
	}
}

func TestTheBreakerOpensAfterFiveFailuresAndDoubles_O42(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)
	var b breaker
	for range 4 {
		b.fail(now)
	}
	if !b.nextAt.IsZero() {
		t.Fatal("four failures opened it")
	}
	b.fail(now)
	for range 4 { // dialogues that were running when it opened
		b.fail(now)
	}
	for _, minutes := range []int{5, 10, 20, 40, 60, 60, 60} {
		if got := b.nextAt.Sub(now); got != time.Duration(minutes)*time.Minute {
			t.Fatalf("open for %s, want %d min", got, minutes)
		}
		now = b.nextAt
		b.fail(now)
	}
	b.succeed(1, 5)
	if b.failures != 0 || b.connections != reopenLanes {
		t.Fatalf("the first success left %+v", b)
	}
	for good := 2; good < 30; good++ {
		b.succeed(good, 5)
	}
	if b.connections != 0 {
		t.Fatalf("a healthy destination is kept at %d connections", b.connections)
	}
}
