package account

import (
	"net/netip"
	"testing"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/limit"
)

// S-24: whoever signed in with the old password is found out by the next check, also when the change fell into the sign-in.
func TestAChangedPasswordEndsWhatTheOldOneLetIn_S24(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.ProfileNone)
	u := w.user(t, "alice@demo.test")
	p, err := w.Authenticate(t.Context(), "imap", "alice@demo.test", goodPassword, netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recheck(t.Context(), p); err != nil {
		t.Fatalf("before the change: %v", err)
	}
	if err := w.SetPassword(t.Context(), w.owner, u.ID, SetPassword{New: "another-good-password-9"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recheck(t.Context(), p); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("after the change: %v, want fault.Unauthenticated", err)
	}
}
