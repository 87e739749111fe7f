package account

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

func TestAVerifiedPasswordIsKnownForItsUserAndHashOnly_S20(t *testing.T) {
	t.Parallel()
	v, now := newVerified(), noon()
	alice, bob := mail.UserID{}.New(now), mail.UserID{}.New(now)
	v.add(now, alice, "hash 1", "secret")
	for _, c := range []struct {
		user           mail.UserID
		hash, password string
		want           bool
	}{
		{alice, "hash 1", "secret", true},
		{bob, "hash 1", "secret", false}, // the same password and even the same hash of another user
		{alice, "hash 2", "secret", false},
		{alice, "hash 1", "Secret", false},
		{alice, "hash 1", "", false},
	} {
		if got := v.has(now, c.user, c.hash, c.password); got != c.want {
			t.Errorf("%+v: known %v", c, got)
		}
	}
	if newVerified().mac(alice, "hash 1", "secret") == v.mac(alice, "hash 1", "secret") {
		t.Error("two processes share the key")
	}
}

func TestAVerifiedPasswordIsForgottenAfterFiveIdleMinutesAndAfterAnHour_S20(t *testing.T) {
	t.Parallel()
	v, now := newVerified(), noon()
	alice := mail.UserID{}.New(now)
	v.add(now, alice, "h", "p")
	if v.has(now.Add(5*time.Minute), alice, "h", "p") {
		t.Error("known after five idle minutes")
	}
	v.add(now, alice, "h", "p")
	at := now
	for at.Before(now.Add(time.Hour - 4*time.Minute)) {
		at = at.Add(4 * time.Minute)
		if !v.has(at, alice, "h", "p") {
			t.Fatalf("a client that comes every four minutes is asked again after %v", at.Sub(now))
		}
	}
	if v.has(now.Add(time.Hour), alice, "h", "p") {
		t.Error("known after an hour")
	}
}

func TestTheCacheIsBoundedAndForgetsAUserAsAWhole_S20(t *testing.T) {
	t.Parallel()
	v, now := newVerified(), noon()
	alice, bob := mail.UserID{}.New(now), mail.UserID{}.New(now)
	v.add(now, bob, "h", "p")
	for i := range verifiedMost + 100 {
		v.add(now, alice, "h", fmt.Sprint(i))
		v.has(now, bob, "h", "p")
	}
	if len(v.entries) != verifiedMost || v.recent.Len() != verifiedMost {
		t.Fatalf("%d entries", len(v.entries))
	}
	if !v.has(now, bob, "h", "p") {
		t.Error("what is used all the time was forgotten")
	}
	v.forget(alice)
	if len(v.entries) != 1 || !v.has(now, bob, "h", "p") {
		t.Errorf("%d entries are left, want bob's", len(v.entries))
	}
}
