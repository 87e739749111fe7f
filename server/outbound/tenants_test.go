package outbound_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/seal"
	"github.com/mailserver-dev/mailserver/server/testenv/remote"
)

// acceptFrom takes a letter of any hosted domain.
func (w *world) acceptFrom(from string, to ...string) *outbound.Email {
	w.t.Helper()
	d := w.draft(to...)
	d.From.Address = address(w.t, from)
	e, err := w.out.Accept(w.t.Context(), system(), d)
	if err != nil {
		w.t.Fatal(err)
	}
	w.clk.Advance(time.Millisecond)
	return e
}

// relayFor sets a domain's smart host; an empty password sets one without credentials, in clear.
func (w *world) relayFor(id mail.DomainID, hub *remote.MX, user, password string) {
	w.t.Helper()
	in := domain.RelaySet{Host: hub.Addr().Addr().String(), Port: int(hub.Addr().Port()), TLS: domain.RelayClear}
	if password != "" {
		in.TLS, in.Username, in.Password = domain.RelayStartTLS, user, &password
	}
	if _, err := w.domains.SetRelay(w.t.Context(), system(), id, in, 0); err != nil {
		w.t.Fatal(err)
	}
	w.clk.Advance(6 * time.Second) // what other nodes believe for five seconds
}

// drainAll drains every destination that has mail.
func (w *world) drainAll() {
	w.t.Helper()
	page, _, err := w.out.ListDestinations(w.t.Context(), system(), outbound.DestinationQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range page {
		w.drain(d.Name)
	}
}

// Two customers have an account at the same provider. The letter of one must never travel on the connection that the other's
// password opened, and a wrong password of one stops nobody else.
func TestTwoDomainsWithOneSmartHostShareNothing_O46(t *testing.T) {
	t.Parallel()
	hub := remote.Start(t, func(c *remote.Config) { c.Users = map[string]string{"d": "word of d", "other": "word of other"} })
	w := newWorld(t, settings{mode: outbound.ModeDirect, roots: hub.Roots()})
	w.relayFor(w.demo.ID, hub, "d", "word of d")
	w.relayFor(w.other.ID, hub, "other", "word of other")
	for i := range 3 {
		w.acceptFrom("a@d.test", fmt.Sprintf("d%d@far.test", i))
		w.acceptFrom("a@other.test", fmt.Sprintf("other%d@far.test", i))
		w.drainAll()
	}
	for _, got := range hub.WaitFor(t, 6) {
		if want := map[byte]string{'d': "d", 'o': "other"}[got.To[0][0]]; got.User != want {
			t.Errorf("the letter to %s went out as %q", got.To[0], got.User)
		}
	}

	w.relayFor(w.other.ID, hub, "other", "wrong word")
	for i := range 6 {
		w.acceptFrom("a@other.test", fmt.Sprintf("lost%d@far.test", i))
	}
	fine := w.acceptFrom("a@d.test", "fine@far.test")
	w.drainAll()
	w.drainAll()
	if got := w.get(fine.ID); got.Status != outbound.Delivered {
		t.Errorf("the letter of d.test: %s %s", brief(got), got.Recipients[0].LastReply)
	}
	if hub.Count() != 7 {
		t.Errorf("%d letters at the smart host; an old connection was used with a password that is gone", hub.Count())
	}
}

// The smart host of one domain is set while a letter of another one to the same recipient's domain waits.
func TestALettersWayIsThatOfItsOwnDomain(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	hub := remote.Start(t)
	gate := remote.NewGate()
	mx.Recipient("slow@far.test", remote.Step{Rcpt: remote.Reply{Gate: gate}})
	w.acceptFrom("a@other.test", "slow@far.test")
	mine, theirs := w.acceptFrom("a@d.test", "mine@far.test"), w.acceptFrom("a@other.test", "theirs@far.test")
	go func() {
		<-gate.Arrived()
		w.relayFor(w.demo.ID, hub, "", "")
		gate.Open()
	}()
	w.drain("far.test")
	w.drainAll() // its route has changed: it moves to its new destination
	w.drainAll()
	if n := hub.Attempts("theirs@far.test") + hub.Attempts("slow@far.test"); n != 0 {
		t.Errorf("%d letters of other.test went to the smart host of d.test", n)
	}
	for _, e := range []*outbound.Email{mine, theirs} {
		if got := w.get(e.ID); got.Status != outbound.Delivered {
			t.Errorf("%s %s", brief(got), got.Recipients[0].LastReply)
		}
	}
}

// S-35: the database came back without the master key. The domain with a password at its smart host waits; nobody else does.
func TestAPasswordThatCannotBeOpenedStopsNoOthersMail_S35(t *testing.T) {
	t.Parallel()
	mx := remote.Start(t)
	routes := map[string]string{"far.test": mx.Addr().String()}
	w := newWorld(t, settings{mode: outbound.ModeDirect, routes: routes})
	hub := remote.Start(t)
	waiting := w.acceptFrom("a@other.test", "w@far.test") // before it has a smart host, so that it lies among the others
	w.relayFor(w.other.ID, hub, "other", "word")
	lost, err := seal.New(seal.Key{2})
	if err != nil {
		t.Fatal(err)
	}
	w2 := newWorld(t, settings{mode: outbound.ModeDirect, routes: routes, pool: w.pool, beside: w, box: lost})
	e := w2.acceptFrom("a@d.test", "x@far.test")
	late := w2.acceptFrom("a@other.test", "late@far.test") // is accepted all the same
	w2.drainAll()
	if got := w2.get(e.ID); got.Status != outbound.Delivered {
		t.Errorf("d.test: %s", brief(got))
	}
	for _, id := range []mail.EmailID{waiting.ID, late.ID} {
		if got := w2.get(id); got.Status != outbound.Deferred {
			t.Errorf("other.test: %s", brief(got))
		}
	}
}

// A letter to more people than share a dialogue goes out in several at once.
func TestALetterToManyRecipientsOfOneDomain(t *testing.T) {
	t.Parallel()
	mx := remote.Start(t)
	w := newWorld(t, settings{mode: outbound.ModeDirect, routes: map[string]string{"far.test": mx.Addr().String()}, keys: domain.KeysEd25519})
	var to []string
	for i := range 230 {
		to = append(to, fmt.Sprintf("x%d@far.test", i))
	}
	e := w.accept(to...)
	w.drain("far.test")
	if got := w.get(e.ID); got.Status != outbound.Delivered || mx.Count() != 5 {
		t.Fatalf("%s; %d dialogues", got.Status, mx.Count())
	}
}

// The clock of one node is behind that of the node that accepted the letter.
func TestAClockThatIsBehindDelaysNoLetter(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	ann := w.user("ann@d.test")
	e := w.accept("x@far.test", "ann@d.test")
	w.clk.Set(e.CreatedAt.Add(-2 * time.Second))
	w.drain("far.test")
	w.attempt(e.ID)
	if mx.Count() != 1 || len(w.inbox(ann.ID)) != 1 {
		t.Fatalf("%d letters sent, %d filed", mx.Count(), len(w.inbox(ann.ID)))
	}
}

// Mail for a domain that has moved to this server meanwhile is filed here (O-5).
func TestMailForADomainThatHasComeHereIsFiled_O5(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	e := w.accept("ann@far.test")
	w.domain("far.test")
	ann := w.user("ann@far.test")
	w.drain("far.test")
	w.attempt(e.ID)
	if got := w.get(e.ID); got.Status != outbound.Delivered || len(w.inbox(ann.ID)) != 1 || mx.Connections() != 0 {
		t.Fatalf("%s", brief(got))
	}
}

// What the routing decides ends like every other result: in the row, the ledger and the sender's mailbox.
func TestWhatCannotBeRoutedIsReported_O1_O2_O6(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{mode: outbound.ModeDirect, records: map[string][]string{
		"MX null.test": {"0 ."}, "MX inside.test": {"10 mx.inside.test"}, "A mx.inside.test": {"10.0.0.1"},
	}})
	shop := w.user("shop@d.test")
	gone, null, inside := w.accept("x@gone.test"), w.accept("x@null.test"), w.accept("x@inside.test")
	w.drainAll()
	for _, c := range []struct {
		e      *outbound.Email
		status outbound.Status
		reply  string
	}{{gone, outbound.Bounced, "550 5.1.2"}, {null, outbound.Bounced, "556 5.1.10"}, {inside, outbound.Deferred, "4"}} {
		if got := w.get(c.e.ID); got.Status != c.status || got.Recipients[0].LastReply[:len(c.reply)] != c.reply {
			t.Errorf("%s %s", brief(got), got.Recipients[0].LastReply)
		}
		w.report(c.e.ID)
	}
	if n := len(w.inbox(shop.ID)); n != 2 {
		t.Errorf("%d reports, want 2", n)
	}
}

func (w *world) giveUp() {
	w.t.Helper()
	if _, err := w.out.GiveUp(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// A server is down for five days. Most letters behind its breaker never had an attempt; they end all the same, and the sender
// is told.
func TestLettersBehindAnOpenBreakerEndAtTheirExpiry_O20(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{mode: outbound.ModeDirect, routes: map[string]string{"far.test": deadAddress(t)}})
	shop := w.user("shop@d.test")
	var emails []*outbound.Email
	for i := range 20 {
		emails = append(emails, w.accept(fmt.Sprintf("x%d@far.test", i)))
	}
	w.drain("far.test")
	w.clk.Advance(120 * time.Hour)
	w.giveUp()
	if n := query[int](w, `SELECT count(*) FROM email_recipient WHERE status IN ('queued', 'deferred')`); n != 20 {
		t.Fatalf("%d wait; the last attempt has its time", n)
	}
	w.clk.Advance(16 * time.Minute)
	w.giveUp()
	for _, e := range emails {
		if got := w.get(e.ID); got.Status != outbound.Failed {
			t.Fatalf("%s", brief(got))
		}
		w.report(e.ID)
	}
	if n := len(w.inbox(shop.ID)); n != 20 {
		t.Errorf("%d reports", n)
	}
}

// The process dies between the failure and its report: the job hangs with it, and the sweep finds what is owed.
func TestAReportWhoseJobDiedIsFiledSoon(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	mx.Recipient("gone@far.test", remote.RefuseRcpt(550, "5.1.1 no such user"))
	shop := w.user("shop@d.test")
	w.accept("gone@far.test")
	w.drain("far.test")
	w.exec(`DELETE FROM river_job`)
	owed := func() {
		t.Helper()
		if _, err := w.out.ReportOwed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	owed()
	if n := len(w.inbox(shop.ID)); n != 0 {
		t.Fatal("the job had no time")
	}
	w.clk.Advance(16 * time.Second)
	owed()
	owed()
	if n := len(w.inbox(shop.ID)); n != 1 {
		t.Fatalf("%d reports", n)
	}
}

// A complaint about one letter, or one recipient, is no reason to keep everybody's mail back; the same about every letter is.
func TestOneRefusedLetterStopsNobody_O35_O37(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	mx.Recipient("busy@far.test", remote.RefuseRcpt(450, "4.2.1 The user you are trying to contact is receiving mail at a rate that is too fast"))
	mx.Recipient("spam@far.test", remote.RefuseDot(554, "5.7.1 Message contains a URL listed in dbl.spamhaus.org"))
	mx.Recipient("listed@far.test", remote.RefuseDot(554, "5.7.1 blocked using zen.spamhaus.org"))
	for _, to := range []string{"busy@far.test", "spam@far.test", "listed@far.test", "fine@far.test"} {
		w.accept(to)
	}
	w.drain("far.test")
	if mx.WaitForRecipient(t, "fine@far.test", 1); w.paused("far.test") {
		t.Fatal("everybody's mail is held back")
	}
	for i := range 6 {
		to := fmt.Sprintf("listed%d@far.test", i)
		mx.Recipient(to, remote.RefuseDot(554, "5.7.1 blocked using zen.spamhaus.org"))
		w.accept(to)
	}
	w.drain("far.test")
	if !w.paused("far.test") {
		t.Fatal("a server that refuses every letter for our address is asked on and on")
	}
}

func (w *world) paused(name string) bool {
	w.t.Helper()
	return query[bool](w, `SELECT COALESCE(next_at > $2, false) FROM destination WHERE name = $1`, name, w.clk.Now())
}

// Servers that never answer must not hold all connections of the node.
func TestASilentServerHoldsOneConnection(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	gate := remote.NewGate()
	mx.Session(remote.At(remote.StageBanner, remote.Reply{Gate: gate}))
	for i := range 20 {
		w.accept(fmt.Sprintf("x%d@far.test", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.out.Drain(ctx, "far.test") // it ends with its context
	}()
	<-gate.Arrived()
	if n := mx.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	cancel()
	<-done
	gate.Open()
}

// A name server that does not answer says nothing about the other server, neither good nor bad.
func TestNoAnswerFromDNSIsNoSuccess_O42(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{mode: outbound.ModeDirect})
	w.exec(`INSERT INTO destination (name, failures) VALUES ('inside.test', 7)`)
	w.accept("x@inside.test")
	w.drain("inside.test")
	if n := query[int](w, `SELECT failures FROM destination WHERE name = 'inside.test' AND last_success_at IS NULL`); n != 7 {
		t.Errorf("%d failures are left", n)
	}
}

// A killed worker's lease stands on the row, and the destination is held or its breaker open: nobody will claim it, and a person
// must still be able to drop it.
func TestWhatADeadWorkerLeftCanBeDropped(t *testing.T) {
	t.Parallel()
	w, _ := direct(t)
	e := w.accept("x@far.test")
	w.exec(`INSERT INTO destination (name, held, lease, lease_until) VALUES ('far.test', true, 'dead', now() + interval '1 hour')`)
	w.exec(`UPDATE email_recipient SET lease = 'dead'`)
	id := w.get(e.ID).Recipients[0].ID
	if _, err := w.out.Manage(t.Context(), system(), id, outbound.Drop); !fault.Is(err, fault.Conflict) {
		t.Fatalf("dropped while it is being sent: %v", err)
	}
	w.exec(`UPDATE destination SET lease_until = now() - interval '1 second'`)
	if _, err := w.out.Manage(t.Context(), system(), id, outbound.Drop); err != nil {
		t.Fatal(err)
	}
	if got := w.get(e.ID); got.Status != outbound.Cancelled {
		t.Fatal(brief(got))
	}
}

// A person closes the breaker while a worker is at the destination; what the worker knew before does not open it again.
func TestARetryOutlivesTheWorkerThatWasThere_O24(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	gate := remote.NewGate()
	mx.Recipient("x@far.test", remote.Step{Rcpt: remote.Reply{Gate: gate, Code: 421, Text: "4.3.2 going down"}})
	w.exec(`INSERT INTO destination (name, failures) VALUES ('far.test', 6)`)
	w.accept("x@far.test")
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.out.Drain(t.Context(), "far.test") })
	<-gate.Arrived()
	if _, err := w.out.ManageDestination(t.Context(), system(), "far.test", outbound.Retry); err != nil {
		t.Error(err)
	}
	gate.Open()
	wg.Wait()
	if w.paused("far.test") {
		t.Error("the breaker was opened again by what was known before")
	}
}

// A long queue gives way: its worker goes to the end of the line, and single letters are served before batches.
func TestALongQueueGivesWayToASingleLetter_O42(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	gate := remote.NewGate()
	mx.Session(remote.At(remote.StageBanner, remote.Reply{Gate: gate}))
	var drafts []outbound.BatchItem
	for i := range 30 {
		drafts = append(drafts, outbound.BatchItem{Draft: w.draft(fmt.Sprintf("x%d@far.test", i))})
	}
	if _, err := w.out.AcceptBatch(t.Context(), system(), drafts, outbound.AllOrNothing); err != nil {
		t.Fatal(err)
	}
	single := w.accept("y@other-far.test")
	first := query[string](w, `SELECT args->>'destination' FROM river_job WHERE kind = 'outbound_drain' ORDER BY priority, id LIMIT 1`)
	if first != single.Recipients[0].Destination {
		t.Errorf("%s is served first", first)
	}
	go func() {
		<-gate.Arrived()
		w.clk.Advance(6 * time.Second)
		gate.Open()
	}()
	w.drain("far.test")
	if n := mx.Count(); n != 1 {
		t.Fatalf("%d letters in one turn", n)
	}
	if n := query[int](w, `SELECT count(*) FROM river_job WHERE kind = 'outbound_drain' AND priority = 3 AND args->>'destination' = 'far.test'`); n != 1 {
		t.Fatalf("%d wake-ups at the end of the line", n)
	}
	w.drain("far.test")
	if n := mx.Count(); n != 30 {
		t.Fatalf("%d letters after the next turn", n)
	}
}

// A server that is stopping finishes what it has begun and begins nothing more.
func TestAStoppingServerBeginsNoDialogue(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	gate := remote.NewGate()
	mx.Recipient("0@far.test", remote.HoldDot(gate))
	for i := range 5 {
		w.accept(fmt.Sprintf("%d@far.test", i))
	}
	go func() {
		<-gate.Arrived()
		w.out.StopSending()
		gate.Open()
	}()
	w.drain("far.test")
	if n := mx.Count(); n != 1 {
		t.Errorf("%d letters", n)
	}
	if n := query[int](w, `SELECT count(*) FROM email_recipient WHERE status = 'queued' AND attempts = 0 AND lease = ''`); n != 4 {
		t.Errorf("%d letters were given back", n)
	}
}

// A worker was killed when it had nothing claimed, with letters behind it that became due while its lease stood.
func TestWhatBecameDueBehindADeadWorkerMovesSoon_O30(t *testing.T) {
	t.Parallel()
	w, mx := direct(t)
	for i := range 10 {
		w.accept(fmt.Sprintf("x%d@far.test", i))
	}
	w.exec(`DELETE FROM river_job`)
	w.exec(`INSERT INTO destination (name, lease, lease_until) VALUES ('far.test', 'dead', now() + interval '30 seconds')`)
	w.clk.Advance(20 * time.Second)
	w.wake()
	w.exec(`UPDATE destination SET lease_until = now()`)
	w.clk.Advance(31 * time.Second)
	w.wake()
	if n := w.drains("far.test"); n != 1 {
		t.Fatalf("%d wake-ups after the lease", n)
	}
	w.drain("far.test")
	if mx.Count() != 10 {
		t.Fatalf("%d letters", mx.Count())
	}
}

// watched is a Local that looks at the queue before it files.
type watched struct {
	outbound.Local
	look func()
}

// PrepareLocal implements outbound.Local.
func (l watched) PrepareLocal(ctx context.Context, letter outbound.Letter) (outbound.Parcel, error) {
	l.look()
	return l.Local.PrepareLocal(ctx, letter)
}

// Mail has waited for long, and the scanner leaves it alone for long. When a worker has begun with it and is killed, it still
// moves within 45 seconds.
func TestOldMailOfAKilledWorkerMovesSoon_O30(t *testing.T) {
	t.Parallel()
	mx := remote.Start(t)
	var w *world
	begun := 0
	look := func(local bool) {
		begun++
		wake := query[time.Time](w, `SELECT max(wake_at) FROM email_recipient WHERE local = $1`, local)
		if wait := wake.Sub(w.clk.Now()); wait > 45*time.Second {
			t.Errorf("local %t: after a kill it is looked at in %s", local, wait)
		}
	}
	w = newWorld(t, settings{
		mode: outbound.ModeDirect, routes: map[string]string{"far.test": mx.Addr().String()},
		local: func(l outbound.Local) outbound.Local { return watched{l, func() { look(true) }} },
	})
	gate := remote.NewGate()
	mx.Recipient("x@far.test", remote.Step{Rcpt: remote.Reply{Gate: gate}})
	w.user("ann@d.test")
	e := w.accept("x@far.test", "ann@d.test")
	w.clk.Advance(2 * time.Hour)
	w.wake()
	if wake := query[time.Time](w, `SELECT min(wake_at) FROM email_recipient`); wake.Sub(w.clk.Now()) < 5*time.Minute {
		t.Fatal("the scanner does not leave it alone, so that this test shows nothing")
	}
	w.attempt(e.ID)
	go func() {
		<-gate.Arrived()
		look(false)
		gate.Open()
	}()
	w.drain("far.test")
	if got := w.get(e.ID); begun != 2 || got.Status != outbound.Delivered {
		t.Fatalf("%d looks, %s", begun, brief(got))
	}
}
