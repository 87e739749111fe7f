package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// anywhere gives addresses of the system's choice.
func anywhere(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = "127.0.0.1:0"
	}
	return list
}

// habitual finds an address of a domain to which something happens.
func habitual(seed uint64, domain string, want func(habit) bool) string {
	for i := 0; ; i++ {
		if address := fmt.Sprintf("a%d@%s", i, domain); want(newHabit(seed, address)) {
			return address
		}
	}
}

// hand gives a letter to the server and says what came of it.
func hand(t *testing.T, f *far, raw []byte, to ...string) (outcome, reply string) {
	t.Helper()
	s, err := dialSMTP(t.Context(), f.hosts[0].all[len(f.hosts[0].all)-1].Addr().String())
	if err != nil {
		return evUnsent, err.Error()
	}
	defer s.Close()
	outcome, reply, _ = transfer(s, &letter{parcel: parcel{raw: raw}, from: "alice@demo.test", to: to})
	return outcome, reply
}

func TestOtherServersDoWhatTheSeedSays_F2(t *testing.T) {
	t.Parallel()
	const seed = 11
	f, err := openFar(seed, filepath.Join(t.TempDir(), "far"), anywhere(1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.close() }()
	domain := farDomain(0)
	quick := func(h habit) bool { return h.delay == 0 && !h.refuse }
	plain := habitual(seed, domain, func(h habit) bool { return quick(h) && h.busy == 0 && !h.drop && !h.later })
	gone := habitual(seed, domain, func(h habit) bool { return h.refuse })
	busy := habitual(seed, domain, func(h habit) bool { return quick(h) && h.busy == 2 && !h.drop && !h.later })
	later := habitual(seed, domain, func(h habit) bool { return quick(h) && h.busy == 0 && h.later && !h.drop })
	drop := habitual(seed, domain, func(h habit) bool { return quick(h) && h.busy == 0 && h.drop })
	slow := habitual(seed, domain, func(h habit) bool {
		return h.delay > 0 && h.delay < time.Second && !h.refuse && h.busy == 0 && !h.drop && !h.later
	})

	p := compose(newDice(1, 1), "k1", "alice@demo.test", []string{plain})
	raw := append([]byte("Received: by x with ESMTPSA\r\n\tid eml_77;\r\n\tnow\r\n"), p.raw...)
	for _, step := range []struct{ to, outcome, reply string }{
		{plain, evAck, "250"},
		{gone, evRefused, "550 5.1.1"},
		{gone, evRefused, "550 5.1.1"},
		{busy, evRefused, "450 4.2.1"},
		{busy, evRefused, "450 4.2.1"},
		{busy, evAck, "250"},
		{later, evRefused, "451 4.3.0"},
		{later, evAck, "250"},
		{drop, evUnknown, ""},
		{drop, evAck, "250"},
		{slow, evAck, "250"},
	} {
		if outcome, reply := hand(t, f, raw, step.to); outcome != step.outcome || !strings.HasPrefix(reply, step.reply) {
			t.Errorf("%s: %s (%s), want %s (%s)", step.to, outcome, reply, step.outcome, step.reply)
		}
	}
	copies, err := f.read(func(a string) habit { return newHabit(seed, a) })
	if err != nil {
		t.Fatal(err)
	}
	lost, slowed := 0, 0
	for _, k := range copies {
		if k.id != "k1" || !k.holds(p.sum) || k.mark.email != "eml_77" || k.from != "alice@demo.test" || len(k.to) != 1 {
			t.Errorf("copy %+v", k)
		}
		if k.replyLost {
			lost++
		}
		if k.delay > 0 {
			slowed++
		}
	}
	if len(copies) != 6 || lost != 1 || slowed != 1 {
		t.Errorf("%d copies, %d without a reply, %d slow", len(copies), lost, slowed)
	}
}

func TestServerThatIsShutRefusesAndComesBackWithItsLedger(t *testing.T) {
	t.Parallel()
	const seed = 12
	f, err := openFar(seed, filepath.Join(t.TempDir(), "far"), anywhere(1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.close() }()
	h := f.hosts[0]
	h.cfg.Addr = h.all[0].Addr().String()
	plain := habitual(seed, h.domain, func(h habit) bool { return h == habit{} })
	raw := compose(newDice(1, 1), "k1", "alice@demo.test", []string{plain}).raw
	if outcome, reply := hand(t, f, raw, plain); outcome != evAck {
		t.Fatal(reply)
	}
	if err := h.shut(); err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	if _, err := d.DialContext(t.Context(), "tcp", h.cfg.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("while it is shut: %v", err)
	}
	if err := h.open(); err != nil {
		t.Fatal(err)
	}
	if outcome, reply := hand(t, f, raw, plain); outcome != evAck {
		t.Fatal(reply)
	}
	copies, err := f.read(func(string) habit { return habit{} })
	if err != nil || len(copies) != 2 {
		t.Errorf("%d copies, %v", len(copies), err)
	}
	if downs := f.downs()[h.domain]; len(downs) != 1 || !downs[0].to.After(downs[0].from) {
		t.Errorf("shut at %v", downs)
	}
}

func TestHabitsFollowFromTheSeedAndAreMixed_F30(t *testing.T) {
	t.Parallel()
	refused, busy, dropped, slow, other := 0, 0, 0, 0, 0
	const n = 2000
	for i := range n {
		address := fmt.Sprintf("k1-p0-%06d.0@far%d.test", i, i%farDomains)
		h := newHabit(1, address)
		if h != newHabit(1, strings.ToUpper(address)) {
			t.Fatal("the same address has two habits")
		}
		if h != newHabit(2, address) {
			other++
		}
		refused += count(h.refuse)
		busy += count(h.busy > 0)
		dropped += count(h.drop)
		slow += count(h.delay > 0)
		if h.delay > 3*time.Second {
			t.Fatalf("a delay of %s", h.delay)
		}
	}
	for what, got := range map[string][2]int{"refused": {refused, 6}, "busy": {busy, 15}, "dropped": {dropped, 5}, "slow": {slow, 15}} {
		if share := got[0] * 100 / n; share < got[1]/2 || share > got[1]*3/2 {
			t.Errorf("%d %% of the addresses are %s, want about %d %%", share, what, got[1])
		}
	}
	if other < n/4 {
		t.Errorf("another seed changes %d of %d habits", other, n)
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestOutageEndsBeforeTheLastThirdOfTheRun(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		for _, lasting := range []time.Duration{20 * time.Second, 4 * time.Minute} {
			o := planOutage(seed, lasting)
			if o.after <= 0 || o.down <= 0 || o.after+o.down > lasting*2/3 || o != planOutage(seed, lasting) {
				t.Fatalf("seed %d, %s: %+v", seed, lasting, o)
			}
		}
	}
}

func TestOutageNeverLeavesTheServerShut(t *testing.T) {
	t.Parallel()
	f, err := openFar(13, filepath.Join(t.TempDir(), "far"), anywhere(1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.close() }()
	f.hosts[0].cfg.Addr = f.hosts[0].all[0].Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan outageResult)
	go func() { done <- outage{down: time.Hour}.carryOut(ctx, f, newGate()) }()
	for {
		s, err := smtp.Dial(f.hosts[0].cfg.Addr)
		if err != nil {
			break // it is shut now
		}
		s.Close()
	}
	cancel()
	if res := <-done; res.Failure != "" {
		t.Fatal(res.Failure)
	}
	s, err := smtp.Dial(f.hosts[0].cfg.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
