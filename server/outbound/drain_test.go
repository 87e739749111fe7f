package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/testenv/remote"
)

// direct is a world that sends mail for far.test to a scripted exchanger.
func direct(t *testing.T, options ...remote.Option) (*world, *remote.MX) {
	t.Helper()
	mx := remote.Start(t, options...)
	return newWorld(t, settings{mode: outbound.ModeDirect, routes: map[string]string{"far.test": mx.Addr().String()}}), mx
}

func (w *world) drain(destination string) {
	w.t.Helper()
	if err := w.out.Drain(w.t.Context(), destination); err != nil {
		w.t.Fatal(err)
	}
}

// drains counts the wake-ups of a destination.
func (w *world) drains(destination string) int {
	w.t.Helper()
	return query[int](w, `SELECT count(*) FROM river_job WHERE kind = 'outbound_drain' AND args->>'destination' = $1`, destination)
}

func (w *world) report(id mail.EmailID) time.Duration {
	w.t.Helper()
	wait, err := w.out.Report(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return wait
}

func TestALetterReachesTheOtherServerByteForByteAndSigned(t *testing.T) {
	t.Parallel()
	mx := remote.Start(t)
	w := newWorld(t, settings{mode: outbound.ModeDirect, routes: map[string]string{"far.test": mx.Addr().String()}, keys: domain.KeysBoth})
	e := w.accept("x@far.test", "y@far.test")
	if w.drains("far.test") != 1 || w.jobs(e.ID) != 0 {
		t.Fatalf("%d wake-ups for the destination, %d for the email", w.drains("far.test"), w.jobs(e.ID))
	}
	w.drain("far.test")
	got := mx.Received()
	if len(got) != 1 || len(got[0].To) != 2 || got[0].From != "shop@d.test" {
		t.Fatalf("%d letters: %+v", len(got), got)
	}
	stored := w.stored("outbound", w.get(e.ID).File)
	text := string(got[0].Bytes)
	if !strings.HasSuffix(text, stored) || strings.Count(text[:len(text)-len(stored)], "DKIM-Signature: ") != 2 {
		t.Fatalf("sent:\n%s", text)
	}
	raw, err := w.out.Raw(t.Context(), system(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if int(raw.Size) != len(text) {
		t.Errorf("the API shows %d octets, %d were sent", raw.Size, len(text))
	}
	r := w.get(e.ID).Recipients[0]
	if r.Status != outbound.Delivered || r.Transport != outbound.TransportSMTP || r.Attempts != 1 || r.TLS == "" || r.Host == "" || !strings.HasPrefix(r.LastReply, "250 ") {
		t.Errorf("recorded: %+v", r)
	}
	if got := w.events(e.ID); got != "email.accepted email.delivered email.delivered" {
		t.Errorf("events: %s", got)
	}
	if n := query[int](w, `SELECT count(*) FROM destination WHERE lease IS NOT NULL`); n != 0 {
		t.Error("the lease was kept")
	}
}

func TestAnswersDecideWhatBecomesOfEachRecipient_O23(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	mx.Recipient("busy@far.test", remote.RefuseRcpt(451, "4.3.0 busy"), remote.Accept())
	mx.Recipient("gone@far.test", remote.RefuseRcpt(550, "5.1.1 no such user"))
	shop := w.user("shop@d.test")
	e := w.accept("ok@far.test", "busy@far.test", "gone@far.test")
	w.drain("far.test")
	if got := brief(w.get(e.ID)); got != "deferred; ok@far.test delivered smtp 1; busy@far.test deferred smtp 1; gone@far.test bounced smtp 1" {
		t.Fatal(got)
	}
	if n := w.drains("far.test"); n != 1 {
		t.Errorf("%d wake-ups: a deferral needs none before its time", n)
	}
	w.clk.Advance(4 * time.Minute)
	w.drain("far.test")
	if n := mx.Attempts("busy@far.test"); n != 1 {
		t.Fatalf("%d attempts after four minutes", n)
	}
	w.clk.Advance(2 * time.Minute)
	w.wake()
	if n := w.drains("far.test"); n != 2 {
		t.Fatalf("%d wake-ups after the delay", n)
	}
	w.drain("far.test")
	if got := brief(w.get(e.ID)); got != "bounced; ok@far.test delivered smtp 1; busy@far.test delivered smtp 2; gone@far.test bounced smtp 1" {
		t.Fatal(got)
	}
	if wait := w.report(e.ID); wait != 0 {
		t.Fatalf("the report waits %s", wait)
	}
	letters := w.inbox(shop.ID)
	if len(letters) != 1 || !strings.Contains(letters[0], "Return-Path: <>") || !strings.Contains(letters[0], "multipart/report") ||
		!strings.Contains(letters[0], "gone@far.test") || strings.Contains(letters[0], "busy@far.test\r\nAction") {
		t.Fatalf("reports: %q", letters)
	}
	w.report(e.ID)
	if n := len(w.inbox(shop.ID)); n != 1 {
		t.Fatalf("the failure was reported %d times", n)
	}
}

// The whole ladder against a server that never takes the letter, on a clock that is ahead by five days at the end.
func TestALetterIsGivenUpAtExpiryAndTheSenderIsTold_O20(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	mx.Recipient("x@far.test", remote.RefuseRcpt(452, "4.3.1 no room"))
	shop := w.user("shop@d.test")
	e := w.accept("x@far.test")
	minutes := []int{5, 15, 30, 60, 120, 240, 480, 960, 1440, 1440, 1440}
	accepted := w.get(e.ID).CreatedAt
	for n := 1; ; n++ {
		w.drain("far.test")
		r := w.get(e.ID).Recipients[0]
		if r.Attempts != n {
			t.Fatalf("attempt %d did not take place: %s", n, brief(w.get(e.ID)))
		}
		if r.Status != outbound.Deferred {
			if n != 13 || r.Status != outbound.Failed || w.clk.Now().Sub(accepted) != 120*time.Hour {
				t.Fatalf("%s after %d attempts and %s", r.Status, n, w.clk.Now().Sub(accepted))
			}
			break
		}
		step := r.NextAt.Sub(w.clk.Now())
		if n <= len(minutes) {
			if want := time.Duration(minutes[n-1]) * time.Minute; step < want*9/10-time.Second || step > want*11/10+time.Second {
				t.Fatalf("attempt %d is followed by the next after %s, want %s", n, step, want)
			}
		}
		w.clk.Set(r.NextAt)
	}
	w.report(e.ID)
	letters := w.inbox(shop.ID)
	if len(letters) != 1 || !strings.Contains(letters[0], "Status: 4.4.7") {
		t.Fatalf("reports: %q", letters)
	}
}

// Between a worker's last look at the queue and the release of its lease is a gap. What comes just then must not wait for ever,
// whether it comes to the same process or to another one.
func TestAWakeUpAtTheLastInstantIsNotLost(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	elsewhere := w.flow(outbound.ModeDirect, w.in)
	w.accept("0@far.test")
	round := 0
	w.out.BeforeRelease(func() {
		round++
		var wakers []*outbound.Service
		switch round {
		case 1:
			wakers = []*outbound.Service{w.out, w.out}
		case 2:
			wakers = []*outbound.Service{elsewhere, elsewhere}
		case 3:
			wakers = []*outbound.Service{elsewhere, w.out}
		}
		before := mx.Count()
		for i, waker := range wakers { // two wake-ups race with the drain
			w.accept(fmt.Sprintf("%d%d@far.test", round, i))
			if err := waker.Drain(t.Context(), "far.test"); err != nil {
				t.Error(err)
			}
		}
		if n := mx.Count() - before; n != 0 {
			t.Errorf("%d letters went out beside the lease", n)
		}
		if left := query[bool](w, `SELECT more FROM destination WHERE name = 'far.test'`); len(wakers) > 0 && left != (round > 1) {
			t.Errorf("round %d: word was left: %t", round, left)
		}
	})
	w.drain("far.test")
	if n := mx.Count(); n != 7 {
		t.Fatalf("%d of 7 letters went out", n)
	}
	if query[bool](w, `SELECT more OR lease IS NOT NULL FROM destination WHERE name = 'far.test'`) {
		t.Error("the destination was left busy")
	}
}

// A letter for a destination that is being drained goes out with the others, and costs no job; one that comes through another
// process has one.
func TestALetterForABusyDestinationNeedsNoJob(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	elsewhere := w.flow(outbound.ModeDirect, w.in)
	w.accept("0@far.test")
	first := true
	w.out.BeforeRelease(func() {
		if !first {
			return
		}
		first = false
		w.accept("1@far.test", "2@far.test")
		if n := w.drains("far.test"); n != 1 {
			t.Errorf("%d wake-ups, want that of the first letter only", n)
		}
		if _, err := elsewhere.Accept(t.Context(), system(), w.draft("3@far.test", "x@idle.test")); err != nil {
			t.Error(err)
		}
		if n, idle := w.drains("far.test"), w.drains("idle.test"); n != 2 || idle != 1 {
			t.Errorf("%d and %d wake-ups, want one more of each", n, idle)
		}
	})
	w.drain("far.test")
	if n := mx.Count(); n != 3 {
		t.Fatalf("%d of 3 letters went out", n)
	}
}

// The drain may end after a letter has left its wake-up to it and before the letter is there.
func TestALetterThatIsCommittedAfterTheLastLookIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	w.accept("0@far.test")
	written, over, accepted := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var once sync.Once
	w.out.BeforeRelease(func() {
		once.Do(func() {
			ctx := pg.BeforeCommit(t.Context(), func(context.Context, pgx.Tx) error {
				close(written)
				<-over
				return nil
			})
			go func() {
				_, err := w.out.Accept(ctx, system(), w.draft("1@far.test"))
				accepted <- err
			}()
			<-written
		})
	})
	w.drain("far.test")
	close(over)
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if n := w.drains("far.test"); n != 2 {
		t.Fatalf("%d wake-ups, want one for each letter", n)
	}
	w.drain("far.test")
	if n := mx.Count(); n != 2 {
		t.Fatalf("%d of 2 letters went out", n)
	}
}

// Many wake-ups at once, as after a burst: every letter goes out once, and at the end nobody holds the lease.
func TestRacingWakeUpsDeliverEachLetterOnce(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	const letters, workers = 60, 6
	var wg sync.WaitGroup
	jobs := make(chan struct{}, letters)
	for range workers {
		wg.Go(func() {
			for range jobs {
				if err := w.out.Drain(t.Context(), "far.test"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range letters {
		w.accept(fmt.Sprintf("x%d@far.test", i))
		jobs <- struct{}{}
	}
	close(jobs)
	wg.Wait()
	for i := range letters {
		if n := mx.Attempts(fmt.Sprintf("x%d@far.test", i)); n != 1 {
			t.Errorf("x%d was sent %d times", i, n)
		}
	}
	if n := query[int](w, `SELECT count(*) FROM email_recipient WHERE status <> 'delivered' OR lease <> ''`); n != 0 {
		t.Errorf("%d recipients are not finished", n)
	}
}

// A worker was killed in the middle: its lease ends, the scanner finds its letters, and they go out.
func TestWhatAKilledWorkerWasSendingMovesAgain_O30(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	e := w.accept("x@far.test")
	w.exec(`DELETE FROM river_job`)
	w.exec(`INSERT INTO destination (name, lease, lease_until) VALUES ('far.test', 'dead', now() + interval '20 seconds')`)
	w.exec(`UPDATE email_recipient SET lease = 'dead', wake_at = $1`, w.clk.Now().Add(30*time.Second))
	w.clk.Advance(31 * time.Second)
	w.wake()
	if n := w.drains("far.test"); n != 0 {
		t.Fatalf("%d wake-ups while the lease lives", n)
	}
	wake := query[time.Time](w, `SELECT wake_at FROM email_recipient`)
	if wait := wake.Sub(w.clk.Now()); wait < time.Second || wait > 22*time.Second {
		t.Fatalf("it is looked at again in %s, right after the lease ends", wait)
	}
	w.drain("far.test") // a stray wake-up must not send beside the lease
	if mx.Count() != 0 {
		t.Fatal("sent beside a living lease")
	}
	w.exec(`UPDATE destination SET lease_until = now() - interval '1 second'`)
	w.clk.Set(wake)
	w.wake()
	if n := w.drains("far.test"); n != 1 {
		t.Fatalf("%d wake-ups after the lease ended", n)
	}
	w.drain("far.test")
	if got := w.get(e.ID); mx.Count() != 1 || got.Status != outbound.Delivered {
		t.Fatalf("%d letters, %s", mx.Count(), brief(got))
	}
}

// The other server took the letter and the answer was lost: it is sent again, and the ledger says that a copy is possible.
func TestALostFinalAnswerIsRepeatedAndMarked_D29(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	mx.Recipient("x@far.test", remote.DropAfterDot(), remote.Accept())
	e := w.accept("x@far.test")
	w.drain("far.test")
	if got := w.get(e.ID); got.Status != outbound.Deferred {
		t.Fatal(brief(got))
	}
	if !query[bool](w, `SELECT data ? 'possible_duplicate' FROM event WHERE type = 'email.deferred'`) {
		t.Error("the event does not say that a copy is possible")
	}
	w.clk.Advance(6 * time.Minute)
	w.drain("far.test")
	if got := w.get(e.ID); got.Status != outbound.Delivered || mx.Count() != 2 {
		t.Fatalf("%s, %d copies", brief(got), mx.Count())
	}
	if a, b := mx.Received()[0], mx.Received()[1]; string(a.Bytes) != string(b.Bytes) {
		t.Error("the second copy differs: the other server cannot recognise it")
	}
}

func TestLettersToOneDestinationShareConnections(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	for i := range 40 {
		w.accept(fmt.Sprintf("x%d@far.test", i))
	}
	w.drain("far.test")
	w.accept("late@far.test")
	w.drain("far.test")
	if mx.Count() != 41 || mx.Connections() > 5 || mx.MaxConcurrent() > 5 {
		t.Fatalf("%d letters over %d connections, %d at once", mx.Count(), mx.Connections(), mx.MaxConcurrent())
	}
}

// deadAddress is an address where nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// A server that is down costs a few letters an attempt; the others wait for it to come back without using theirs up.
func TestTheBreakerSparesTheLettersBehindADeadServer_O42(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{mode: outbound.ModeDirect, routes: map[string]string{"far.test": deadAddress(t)}})
	for i := range 40 {
		w.accept(fmt.Sprintf("x%d@far.test", i))
	}
	w.drain("far.test")
	tried := query[int](w, `SELECT count(*) FROM email_recipient WHERE attempts > 0`)
	if tried < 5 || tried > 10 {
		t.Fatalf("%d letters lost an attempt", tried)
	}
	d, err := w.out.GetDestination(t.Context(), system(), "far.test")
	if err != nil || d.State() != "paused" || d.PausedUntil.Sub(w.clk.Now()) != 5*time.Minute || d.Queued != int64(40-tried) || d.LastReply == "" {
		t.Fatalf("%+v, %v", d, err)
	}
	w.exec(`DELETE FROM river_job`)
	w.clk.Advance(4 * time.Minute)
	w.wake()
	if n := w.drains("far.test"); n != 0 {
		t.Fatalf("%d wake-ups while the breaker is open", n)
	}
	w.clk.Advance(70 * time.Second)
	w.wake()
	if n := w.drains("far.test"); n != 1 {
		t.Fatalf("%d wake-ups after it closed", n)
	}
	w.drain("far.test")
	if n := query[int](w, `SELECT count(*) FROM email_recipient WHERE attempts > 0`); n != tried && n != tried+1 {
		t.Fatalf("the probe cost %d letters an attempt", n-tried)
	}
}

// A person looks after the queue: retry now, hold, release, drop, and cancel for a whole email. Each is audited.
func TestMailThatWaitsCanBeManaged_O24(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	mx.Recipient("x@far.test", remote.RefuseRcpt(451, "4.3.0 busy"), remote.Accept())
	e := w.accept("x@far.test", "y@far.test", "z@far.test")
	ids := map[string]mail.DeliveryID{}
	for _, r := range w.get(e.ID).Recipients {
		ids[r.Address.Local] = r.ID
	}
	manage := func(id mail.DeliveryID, act outbound.Action, want outbound.Status) {
		t.Helper()
		entry, err := w.out.Manage(t.Context(), system(), id, act)
		if err != nil || entry.Status != want {
			t.Fatalf("%s gives %s, %v", act, entry.Status, err)
		}
	}
	manage(ids["y"], outbound.Hold, outbound.Held)
	manage(ids["z"], outbound.Drop, outbound.Cancelled)
	w.drain("far.test")
	if got := brief(w.get(e.ID)); got != "deferred; x@far.test deferred smtp 1; y@far.test held  0; z@far.test cancelled  0" {
		t.Fatal(got)
	}
	if _, err := w.out.Manage(t.Context(), system(), ids["z"], outbound.Retry); !fault.Is(err, fault.NotFound) {
		t.Fatalf("what is dropped is still in the queue: %v", err)
	}
	manage(ids["x"], outbound.Retry, outbound.Deferred)
	manage(ids["y"], outbound.Release, outbound.Queued)
	w.drain("far.test")
	if got := brief(w.get(e.ID)); got != "delivered; x@far.test delivered smtp 2; y@far.test delivered smtp 1; z@far.test cancelled  0" {
		t.Fatal(got)
	}
	if n := query[int](w, `SELECT count(*) FROM audit_event WHERE action LIKE 'queue.%'`); n != 4 {
		t.Errorf("%d actions were audited", n)
	}
	// What a person does is no attempt: statistics would count a retry by hand as one that failed.
	if got := query[string](w, `SELECT string_agg(type, ' ' ORDER BY xid, id) FROM event WHERE data ? 'by'`); got !=
		"email.held email.cancelled email.retried email.released" {
		t.Errorf("the ledger calls the actions %s", got)
	}
	if got := query[string](w, `SELECT string_agg(type, ' ' ORDER BY xid, id) FROM event WHERE type IN ('email.deferred', 'email.delivered')`); got !=
		"email.deferred email.delivered email.delivered" {
		t.Errorf("the ledger tells of %s", got)
	}
	again := w.accept("u@far.test", "v@far.test")
	if got, err := w.out.Cancel(t.Context(), system(), again.ID); err != nil || got.Status != outbound.Cancelled {
		t.Fatalf("cancel: %v", err)
	}
	if got, err := w.out.Cancel(t.Context(), system(), again.ID); err != nil || got.Status != outbound.Cancelled {
		t.Fatalf("a second cancel: %v", err)
	}
	w.drain("far.test")
	if _, err := w.out.Cancel(t.Context(), system(), e.ID); !fault.Is(err, fault.Conflict) || mx.Count() != 1 {
		t.Fatalf("%d letters, %v", mx.Count(), err)
	}
}

func TestADestinationCanBeHeldAndReleased_O24(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	if d, err := w.out.ManageDestination(t.Context(), system(), "FAR.test", outbound.Hold); err != nil || d.State() != "held" {
		t.Fatalf("%+v, %v", d, err)
	}
	w.accept("x@far.test")
	w.drain("far.test")
	w.clk.Advance(time.Minute)
	w.wake()
	if mx.Count() != 0 || w.drains("far.test") != 1 {
		t.Fatalf("%d letters, %d wake-ups of a held destination", mx.Count(), w.drains("far.test"))
	}
	if _, err := w.out.ManageDestination(t.Context(), system(), "far.test", outbound.Release); err != nil {
		t.Fatal(err)
	}
	w.drain("far.test")
	if mx.Count() != 1 {
		t.Fatal("the letter did not go out after the release")
	}
}

// What the other server names as a time counts more than the ladder, and trouble with a recipient never counts against the host.
func TestGreylistingIsRetriedWhenItPasses_O36(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	mx.Recipient("x@far.test", remote.RefuseRcpt(451, "4.7.1 Greylisted, please try again in 120 seconds"), remote.Accept())
	e := w.accept("x@far.test")
	w.drain("far.test")
	r := w.get(e.ID).Recipients[0]
	if wait := r.NextAt.Sub(w.clk.Now()); wait < 2*time.Minute || wait > 2*time.Minute+24*time.Second || r.Class != smtpout.ClassGreylist {
		t.Fatalf("next after %s, class %s", wait, r.Class)
	}
	if n := query[int](w, `SELECT failures FROM destination WHERE name = 'far.test'`); n != 0 {
		t.Error("a greylisted recipient counts against the server")
	}
}

func TestMailFollowsAChangedRoute(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	e := w.accept("x@far.test", "y@elsewhere.test")
	hub := mx.Addr()
	w.set.relay = smtpout.Relay{Host: hub.Addr().String(), Port: int(hub.Port()), TLS: smtpout.TLSNone}
	w.out = w.flow(outbound.ModeRelay, w.in)
	for _, name := range []string{"far.test", "elsewhere.test", hub.String()} {
		w.drain(name)
	}
	if got := brief(w.get(e.ID)); got != "delivered; x@far.test delivered relay 1; y@elsewhere.test delivered relay 1" {
		t.Fatal(got)
	}
	late := w.accept("z@third.test")
	if w.drains(hub.String()) < 2 || w.get(late.ID).Recipients[0].Destination != hub.String() {
		t.Error("new mail does not go to the relay")
	}
}

// An own failure says nothing about the other server or the recipient: the letter waits.
func TestALetterWhoseBytesAreMissingWaits_D27(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	e := w.accept("x@far.test")
	if err := w.bodies.Remove(t.Context(), "outbound", w.get(e.ID).File); err != nil {
		t.Fatal(err)
	}
	w.drain("far.test")
	if got := w.get(e.ID); got.Status != outbound.Deferred || !strings.Contains(got.Recipients[0].LastReply, "missing") || mx.Connections() != 0 {
		t.Fatalf("%s %s", brief(got), got.Recipients[0].LastReply)
	}
}

// A worker that is told to stop leaves what it has not begun to the next one, without an attempt.
func TestAStoppedWorkerGivesBackWhatItHasNotSent(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	gate := remote.NewGate()
	mx.Recipient("x0@far.test", remote.Step{Rcpt: remote.Reply{Gate: gate}})
	for i := range 30 {
		w.accept(fmt.Sprintf("x%d@far.test", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-gate.Arrived()
		cancel()
	}()
	if err := w.out.Drain(ctx, "far.test"); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	gate.Open()
	if n := query[int](w, `SELECT count(*) FROM email_recipient WHERE lease <> ''`); n != 0 {
		t.Fatalf("%d recipients are left in the hands of the dead", n)
	}
	w.out.CloseFleet()
	w.drain("far.test")
	if n := query[int](w, `SELECT count(*) FROM email_recipient WHERE status = 'delivered' AND attempts = 1`); n != 30 {
		t.Fatalf("%d of 30 letters were delivered at their first attempt", n)
	}
}

// Who wrote a letter that is still on its way after four hours learns so, once, and that nothing is to be done.
func TestTheSenderIsToldOfADelayOnce_O22(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	mx.Recipient("x@far.test", remote.RefuseRcpt(451, "4.3.0 busy"))
	shop := w.user("shop@d.test")
	e := w.accept("x@far.test")
	for range 8 {
		w.drain("far.test")
		w.report(e.ID)
		w.clk.Set(w.get(e.ID).Recipients[0].NextAt)
		if age := w.clk.Now().Sub(e.CreatedAt); age < 3*time.Hour && len(w.inbox(shop.ID)) != 0 {
			t.Fatalf("the sender was told after %s", age)
		}
	}
	letters := w.inbox(shop.ID)
	if len(letters) != 1 || !strings.Contains(letters[0], "Action: delayed") || !strings.Contains(letters[0], "Will-Retry-Until:") {
		t.Fatalf("reports: %q", letters)
	}
	mx.Recipient("x@far.test", remote.RefuseRcpt(550, "5.1.1 no such user"))
	w.drain("far.test")
	w.report(e.ID)
	if letters = w.inbox(shop.ID); len(letters) != 2 || !strings.Contains(letters[1], "Action: failed") {
		t.Fatalf("the failure after the delay: %q", letters)
	}
}
