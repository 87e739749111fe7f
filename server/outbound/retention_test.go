package outbound_test

import (
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// What is done goes when its time is over, rows and bytes; what still waits for a recipient stays however old it is.
func TestOnlyFinishedMailExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{mode: outbound.ModeDirect})
	ann := w.user("ann@d.test")
	done := w.accept("ann@d.test")
	w.attempt(done.ID)
	waiting := w.accept("x@far.test")
	w.clk.Advance(10 * 24 * time.Hour)
	young := w.accept("ann@d.test")
	w.attempt(young.ID)
	before := w.clk.Now().Add(-5 * 24 * time.Hour)
	if n, err := w.out.Expire(t.Context(), before); err != nil || n != 1 {
		t.Fatalf("%d expired, %v; want the one that is done and old", n, err)
	}
	if n := query[int](w, `SELECT count(*) FROM email WHERE id = ANY ($1::uuid[])`, []string{waiting.ID.UUID(), young.ID.UUID()}); n != 2 {
		t.Errorf("%d of the 2 that must stay are there", n)
	}
	if got := w.files(body.Outbound); len(got) != 2 {
		t.Errorf("files %v, want those of the two that stay", got)
	}
	if len(w.inbox(ann.ID)) != 2 {
		t.Error("a delivered letter went with the record of its sending")
	}
	if report, err := w.out.Verify(t.Context(), outbound.VerifyOptions{Hash: true, Grace: time.Nanosecond}); err != nil || !report.Clean() {
		t.Errorf("verify: %+v, %v", report, err)
	}
	if n, err := w.out.Expire(t.Context(), before); err != nil || n != 0 {
		t.Errorf("the second time %d expired, %v", n, err)
	}
}
