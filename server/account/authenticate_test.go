package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
)

func TestTheRightPasswordOpensUnderAnySpellingOfTheAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	alice := w.user(t, "Alice.Müller@demo.test")
	for _, name := range []string{"Alice.Müller@demo.test", "alice.müller@DEMO.test", "ALICE.MU\u0308LLER@demo.test."} {
		p, err := w.Authenticate(t.Context(), "imap", name, goodPassword, here())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.User != alice.ID || p.Role != mail.RoleUser || p.Remote != here() || p.Address.Local != "Alice.Müller" {
			t.Errorf("%s is %+v", name, p)
		}
	}
	if n := w.metrics.get("ok imap"); n != 3 {
		t.Errorf("%d successes counted", n)
	}
}

func TestNobodyLearnsWhyASignInFailed_S21(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	w.user(t, "alice@demo.test")
	bob := w.user(t, "bob@demo.test")
	disabled := Disabled
	if _, err := w.Update(t.Context(), w.owner, bob.ID, Update{Status: &disabled}); err != nil {
		t.Fatal(err)
	}
	tries := map[string][2]string{
		"wrong password":      {"alice@demo.test", "wrong password!"},
		"unknown user":        {"nobody@demo.test", goodPassword},
		"unknown domain":      {"alice@nowhere.test", goodPassword},
		"disabled user":       {"bob@demo.test", goodPassword},
		"no address":          {"alice", goodPassword},
		"empty":               {"", ""},
		"NUL":                 {"a\x00@demo.test", "\x00"},
		"not text":            {"\xff\xfe", "\xff"},
		"very long":           {strings.Repeat("a", 100_000), strings.Repeat("b", 100_000)},
		"right, then more":    {"alice@demo.test", goodPassword + strings.Repeat(" ", 500)},
		"SQL":                 {"' OR 1=1 --@demo.test", "'"},
		"right, another case": {"alice@demo.test", strings.ToUpper(goodPassword)},
	}
	for name, try := range tries {
		waited, err := w.held(t, func() error { return w.login(t.Context(), try[0], try[1]) })
		if text(err) != "unauthenticated invalid-credentials" || fault.Public(err) != "the address or the password is wrong" {
			t.Errorf("%s: %v", name, err)
		}
		if waited != time.Second {
			t.Errorf("%s: answered after %v, want one second", name, waited)
		}
	}
	if n := w.metrics.get("failed imap"); n != len(tries) {
		t.Errorf("%d failures counted, want %d", n, len(tries))
	}
	if n := w.one(t, `SELECT count(*) FROM event WHERE type = 'security.login_failed'`); n != 4 {
		t.Errorf("%d failures of known users in the ledger, want 4", n)
	}
}

func TestUnknownUsersCostAHashBehindTheSameGate_S21(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	for range cap(w.gate.inside) {
		w.gate.inside <- struct{}{}
	}
	for _, name := range []string{"nobody@demo.test", "admin@demo.test"} {
		if err := w.login(t.Context(), name, goodPassword); text(err) != "unavailable busy" {
			t.Errorf("%s passed a closed gate: %v", name, err)
		}
	}
	if n := w.metrics.get("busy imap"); n != 2 {
		t.Errorf("%d refusals counted", n)
	}
}

func TestABusyServerDoesNotCountAgainstTheUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "default")
	for range cap(w.gate.inside) {
		w.gate.inside <- struct{}{}
	}
	for range 30 {
		if err := w.login(t.Context(), "admin@demo.test", goodPassword); text(err) != "unavailable busy" {
			t.Fatal(err)
		}
	}
}

func TestClientsThatReconnectCostNoHash_S20(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "default")
	w.user(t, "alice@demo.test")
	if err := w.login(t.Context(), "alice@demo.test", goodPassword); err != nil {
		t.Fatal(err)
	}
	for range cap(w.gate.inside) { // no hash can run any more
		w.gate.inside <- struct{}{}
	}
	for i := range 100 {
		if err := w.login(t.Context(), "alice@demo.test", goodPassword); err != nil {
			t.Fatalf("reconnect %d: %v", i, err)
		}
	}
	if err := w.login(t.Context(), "alice@demo.test", "wrong password!"); text(err) != "unavailable busy" {
		t.Fatalf("a wrong password found something in the cache: %v", err)
	}
	w.clk.Advance(5 * time.Minute)
	if err := w.login(t.Context(), "alice@demo.test", goodPassword); text(err) != "unavailable busy" {
		t.Fatalf("still cached after five idle minutes: %v", err)
	}
}

func TestAnOldPasswordOpensOnNoNodeAfterAChange_S20(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	alice := w.user(t, "alice@demo.test")
	second := w.node(limit.ProfileNone)
	nodes := []*Service{w.Service, second}
	for _, n := range nodes {
		if _, err := n.Authenticate(t.Context(), "imap", "alice@demo.test", goodPassword, here()); err != nil {
			t.Fatal(err)
		}
	}
	woken := w.bus.Subscribe(bus.Credentials(alice.ID))
	defer woken.Close()
	if err := w.SetPassword(t.Context(), w.owner, alice.ID, SetPassword{New: newPassword}); err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		_, err := w.held(t, func() error {
			_, err := n.Authenticate(t.Context(), "imap", "alice@demo.test", goodPassword, here())
			return err
		})
		if !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("node %d: the old password gives %v", i, err)
		}
		if _, err := n.Authenticate(t.Context(), "imap", "alice@demo.test", newPassword, here()); err != nil {
			t.Errorf("node %d: the new password gives %v", i, err)
		}
	}
	select {
	case <-woken.C:
	default:
		t.Error("open sessions were not told")
	}
}

func TestAUserWhoIsDisabledComesInNowhere_S24(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	alice := w.user(t, "alice@demo.test")
	p, err := w.Authenticate(t.Context(), "imap", "alice@demo.test", goodPassword, here())
	if err != nil {
		t.Fatal(err)
	}
	if now, err := w.Recheck(t.Context(), p); err != nil || now.User != alice.ID || now.Remote != here() {
		t.Fatalf("%+v, %v", now, err)
	}
	disabled := Disabled
	if _, err := w.Update(t.Context(), w.owner, alice.ID, Update{Status: &disabled}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recheck(t.Context(), p); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("an open session may go on: %v", err)
	}
	_, err = w.held(t, func() error { return w.login(t.Context(), "alice@demo.test", goodPassword) })
	if !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a new session: %v", err)
	}
}

func TestGuessingIsStoppedBeforeTheHash_S18(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "default")
	w.user(t, "alice@demo.test")
	for i := range 10 {
		_, err := w.held(t, func() error { return w.login(t.Context(), fmt.Sprintf("user%d@demo.test", i), "wrong password!") })
		if !fault.Is(err, fault.Unauthenticated) {
			t.Fatalf("guess %d: %v", i, err)
		}
		w.clk.Set(noon())
	}
	for range cap(w.gate.inside) {
		w.gate.inside <- struct{}{}
	}
	waited, err := w.held(t, func() error { return w.login(t.Context(), "alice@demo.test", goodPassword) })
	if text(err) != "limited rate-limited" {
		t.Fatalf("the eleventh guess in a minute: %v", err)
	}
	if _, ok := limit.RetryAfter(err); !ok || waited < time.Second {
		t.Fatalf("refused after %v without a time to come back", waited)
	}
	if n := w.metrics.get("limited imap"); n != 1 {
		t.Errorf("%d refusals counted", n)
	}
}

func TestARepeatedFailureIsHeldBackLonger_S16(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "default")
	var got []time.Duration
	for i := range 4 {
		w.clk.Set(noon())
		remote := netip.AddrFrom4([4]byte{10, byte(i), 0, 1})
		waited, _ := w.held(t, func() error {
			_, err := w.Authenticate(t.Context(), "imap", "admin@demo.test", "wrong password!", remote)
			return err
		})
		got = append(got, waited/time.Second)
	}
	if fmt.Sprint(got) != "[1ns 2ns 4ns 8ns]" {
		t.Fatalf("held back %v seconds", got)
	}
}

func TestHashesThatWereBroughtAlongAreReplacedAtTheFirstSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	other := Argon2{Time: 2, MemoryKiB: 128, Threads: 1}
	for name, c := range map[string][2]string{
		"bcrypt":  {"correct horse", "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"},
		"crypt":   {"exactly-a-secret", "$6$rounds=1400$anotherlongsalts$WXC1ZyKUJW6OOHExvqB1XCKrCIJOlF7AB4nKDHZVf7geM/sT53cYX2l1c8CXIyi4B//joYGCX.jFS7ujJp.cm/"},
		"argon2":  {"some password", other.hash("some password")},
		"current": {"some password", cheap().hash("some password")},
	} {
		u := w.create(t, Create{Email: name + "@demo.test", PasswordHash: c[1]})
		stored := func() (hash string) {
			if err := w.pool.QueryRow(t.Context(), `SELECT password_hash FROM account WHERE id = $1`, u.ID).Scan(&hash); err != nil {
				t.Fatal(err)
			}
			return hash
		}
		if stored() != c[1] {
			t.Fatalf("%s: stored as %s", name, stored())
		}
		_, err := w.held(t, func() error { return w.login(t.Context(), u.Email, "wrong password!") })
		if !fault.Is(err, fault.Unauthenticated) || stored() != c[1] {
			t.Fatalf("%s: a wrong password gives %v and stores %s", name, err, stored())
		}
		for range 2 {
			if err := w.login(t.Context(), u.Email, c[0]); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		h, err := parseHash(stored())
		if err != nil || h.outdated(cheap()) || !h.matches(c[0]) || (stored() == c[1]) != (name == "current") {
			t.Errorf("%s: replaced by %s (%v)", name, stored(), err)
		}
		if fresh := w.node(limit.ProfileNone); true {
			if _, err := fresh.Authenticate(t.Context(), "imap", u.Email, c[0], here()); err != nil {
				t.Errorf("%s: after the replacement %v", name, err)
			}
		}
	}
}

func TestAClientThatLeavesIsNotHeldBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.login(ctx, "admin@demo.test", "wrong password!") }()
	if err := w.clk.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestMailFindsItsUserUnderAnySpelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	alice := w.user(t, "Alice@demo.test")
	for _, address := range []string{"alice@demo.test", "ALICE@Demo.Test"} {
		r, err := w.Lookup(t.Context(), address)
		if err != nil || r.User != alice.ID || r.DomainID != w.demo.ID || r.Status != Active || r.QuotaBytes != 5<<30 || r.UsedBytes != 0 {
			t.Errorf("%s: %+v, %v", address, r, err)
		}
	}
	for _, address := range []string{"bob@demo.test", "alice@other.test", "alice", "", "a\x00@demo.test"} {
		if _, err := w.Lookup(t.Context(), address); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestAUserWritesUnderTheOwnAddressOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	p := w.user(t, "Alice@demo.test").principal()
	for address, want := range map[string]bool{
		"alice@demo.test": true, "ALICE@DEMO.test": true, "bob@demo.test": false, "alice@other.test": false, "": false,
	} {
		var a mail.Address
		if err := a.UnmarshalText([]byte(address)); err != nil {
			t.Fatal(err)
		}
		if got, err := w.OwnsAddress(t.Context(), p, a); got != want || err != nil {
			t.Errorf("%q: %v, %v", address, got, err)
		}
		if got, _ := w.OwnsAddress(t.Context(), w.key(AllScopes()), a); got {
			t.Errorf("a key owns %q", address)
		}
	}
}
