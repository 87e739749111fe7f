package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func TestALocalRecipientGetsTheBytesWithTheTraceOfDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann := w.user("ann@d.test")
	e := w.accept("ANN@d.test", "x@far.test")
	w.attempt(e.ID)
	got := w.get(e.ID)
	if want := "delivered; ANN@d.test delivered local 1; x@far.test delivered sink 1"; brief(got) != want {
		t.Fatalf("got %s", brief(got))
	}
	accepted := w.stored(body.Outbound, got.File)
	if box := w.inbox(ann.ID); len(box) != 1 || box[0] != "Return-Path: <shop@d.test>\r\nDelivered-To: ANN@d.test\r\n"+accepted {
		t.Fatalf("the inbox holds %q", box)
	}
	if want := "email.accepted email.delivered email.delivered"; w.events(e.ID) != want {
		t.Errorf("events %s", w.events(e.ID))
	}
	for _, r := range got.Recipients {
		if !strings.HasPrefix(r.LastReply, "250 2.0.0 ") {
			t.Errorf("%s: %s", r.Address, r.LastReply)
		}
	}
	if n := query[int](w, `SELECT count(*) FROM event WHERE type = 'message.received' AND account_id = $1`, ann.ID); n != 1 {
		t.Errorf("%d events of the arrival", n)
	}
}

// A job may run twice, at once or later: everybody gets the letter once.
func TestAnEmailAttemptedByManyAtOnceIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	var users []account.User
	var to []string
	for i := range 8 {
		u := w.user(fmt.Sprintf("u%d@d.test", i))
		users, to = append(users, u), append(to, u.Email, fmt.Sprintf("x%d@far.test", i))
	}
	e := w.accept(to...)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if err := w.out.Attempt(t.Context(), e.ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.attempt(e.ID)
	got := w.get(e.ID)
	if got.Status != outbound.Delivered {
		t.Fatalf("the email is %s", brief(got))
	}
	for _, r := range got.Recipients {
		if r.Attempts != 1 {
			t.Errorf("%s was attempted %d times", r.Address, r.Attempts)
		}
	}
	for _, u := range users {
		if n := len(w.inbox(u.ID)); n != 1 || len(w.files(u.ID.String())) != 1 {
			t.Errorf("%s has %d messages, files %v", u.Email, n, w.files(u.ID.String()))
		}
	}
	if n := query[int](w, `SELECT count(*) FROM sink_message`); n != 8 {
		t.Errorf("the sink has %d", n)
	}
	if n := strings.Count(w.events(e.ID), "email.delivered"); n != 16 {
		t.Errorf("%d events", n)
	}
}

// Filing and recording are one transaction: there is no moment in which the one is done without the other.
func TestACrashBetweenDeliveryAndItsRecordIsImpossible(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann := w.user("ann@d.test")
	e := w.accept("ann@d.test", "x@far.test")
	boom := errors.New("boom")
	for range 2 {
		ctx := pg.BeforeCommit(t.Context(), func(context.Context, pgx.Tx) error { return boom })
		if err := w.out.Attempt(ctx, e.ID); !errors.Is(err, boom) {
			t.Fatalf("got %v", err)
		}
		if len(w.inbox(ann.ID)) != 0 || len(w.files(ann.ID.String())) != 0 || query[int](w, `SELECT count(*) FROM sink_message`) != 0 {
			t.Fatalf("something was delivered: files %v", w.files(ann.ID.String()))
		}
		if want := "queued; ann@d.test queued  0; x@far.test queued  0"; brief(w.get(e.ID)) != want || w.events(e.ID) != "email.accepted" {
			t.Fatalf("recorded %s, events %s", brief(w.get(e.ID)), w.events(e.ID))
		}
	}
	w.attempt(e.ID)
	if len(w.inbox(ann.ID)) != 1 || w.get(e.ID).Status != outbound.Delivered {
		t.Fatalf("afterwards %s", brief(w.get(e.ID)))
	}
}

func TestARecipientThatFailsDoesNotKeepTheOthersWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.user("ann@d.test")
	w.user("bob@d.test")
	e := w.accept("ann@d.test", "bob@d.test", "x@far.test")
	boom, first := errors.New("boom"), true
	ctx := pg.BeforeCommit(t.Context(), func(context.Context, pgx.Tx) error {
		defer func() { first = false }()
		if first {
			return boom
		}
		return nil
	})
	if err := w.out.Attempt(ctx, e.ID); !errors.Is(err, boom) {
		t.Fatalf("the job does not run again: %v", err)
	}
	if want := "queued; ann@d.test queued  0; bob@d.test delivered local 1; x@far.test delivered sink 1"; brief(w.get(e.ID)) != want {
		t.Fatalf("got %s", brief(w.get(e.ID)))
	}
}

// localFunc is a Local that does something after a parcel was made, and may give another.
type localFunc func(outbound.Letter, outbound.Parcel) outbound.Parcel

type tampered struct {
	outbound.Local
	then localFunc
}

func (l tampered) PrepareLocal(ctx context.Context, letter outbound.Letter) (outbound.Parcel, error) {
	p, err := l.Local.PrepareLocal(ctx, letter)
	if err == nil {
		p = l.then(letter, p)
	}
	return p, err
}

func TestARecipientWhoLeftBouncesWithTheReason(t *testing.T) {
	t.Parallel()
	var w *world
	var late account.User
	w = newWorld(t, settings{local: func(l outbound.Local) outbound.Local {
		return tampered{l, func(letter outbound.Letter, p outbound.Parcel) outbound.Parcel {
			if letter.Recipient.Address.Local == "late" {
				if err := w.accounts.Delete(t.Context(), system(), late.ID, 0); err != nil {
					t.Error(err)
				}
			}
			return p
		}}
	}})
	early := w.user("early@d.test")
	late = w.user("late@d.test")
	stays := w.user("stays@d.test")
	disabled := w.user("disabled@d.test")
	e := w.accept("early@d.test", "late@d.test", "stays@d.test", "disabled@d.test", "nobody@d.test")
	if err := w.accounts.Delete(t.Context(), system(), early.ID, 0); err != nil {
		t.Fatal(err)
	}
	status := account.Disabled
	if _, err := w.accounts.Update(t.Context(), system(), disabled.ID, account.Update{Status: &status}); err != nil {
		t.Fatal(err)
	}
	w.attempt(e.ID)
	got := w.get(e.ID)
	for i, want := range []string{"550 5.1.1 no such user", "550 5.1.1 there is no such mailbox", "250 2.0.0 filed", "550 5.2.1 mailbox disabled", "550 5.1.1 no such user"} {
		r := got.Recipients[i]
		if !strings.HasPrefix(r.LastReply, want) || (r.Status == outbound.Bounced) != (want[0] == '5') || r.Transport != outbound.TransportLocal {
			t.Errorf("%s: %s %q, want %q", r.Address, r.Status, r.LastReply, want)
		}
	}
	if got.Status != outbound.Bounced || strings.Count(w.events(e.ID), "email.bounced") != 4 {
		t.Errorf("the email is %s, events %s", got.Status, w.events(e.ID))
	}
	if len(w.inbox(stays.ID)) != 1 || len(w.files(late.ID.String())) != 0 {
		t.Errorf("files of the deleted user: %v", w.files(late.ID.String()))
	}
	w.attempt(e.ID)
	if again := w.get(e.ID); brief(again) != brief(got) {
		t.Errorf("a final result changed: %s", brief(again))
	}
}

// I-16: a full mailbox is asked again later, not before, and delivered when there is room.
func TestMailForAFullMailboxWaitsForRoom_I16(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	small := int64(1)
	ann := w.user("ann@d.test", func(c *account.Create) { c.QuotaBytes = &small })
	w.attempt(w.accept("ann@d.test").ID) // goes over the quota
	e := w.accept("ann@d.test", "x@far.test")
	w.attempt(e.ID)
	got := w.get(e.ID)
	if want := "deferred; ann@d.test deferred local 1; x@far.test delivered sink 1"; brief(got) != want {
		t.Fatalf("got %s", brief(got))
	}
	if r := got.Recipients[0]; r.LastReply != "452 4.2.2 mailbox full" || r.NextAt.Sub(r.UpdatedAt) < 4*time.Minute || r.NextAt.Sub(r.UpdatedAt) > 6*time.Minute {
		t.Fatalf("got %+v", r)
	}
	w.clk.Set(got.Recipients[0].NextAt.Add(-time.Second))
	w.attempt(e.ID)
	w.wake()
	if w.get(e.ID).Recipients[0].Attempts != 1 || w.jobs(e.ID) != 1 {
		t.Fatalf("attempted before its time: %s, %d jobs", brief(w.get(e.ID)), w.jobs(e.ID))
	}
	w.clk.Advance(time.Second)
	w.wake()
	if w.jobs(e.ID) != 2 {
		t.Fatalf("%d jobs", w.jobs(e.ID))
	}
	w.attempt(e.ID)
	if w.get(e.ID).Recipients[0].Attempts != 2 || w.get(e.ID).Status != outbound.Deferred {
		t.Fatalf("got %s", brief(w.get(e.ID)))
	}
	big := int64(1 << 30)
	if _, err := w.accounts.Update(t.Context(), system(), ann.ID, account.Update{QuotaBytes: &big}); err != nil {
		t.Fatal(err)
	}
	w.clk.Set(w.get(e.ID).Recipients[0].NextAt)
	w.wake()
	w.attempt(e.ID)
	if want := "delivered; ann@d.test delivered local 3; x@far.test delivered sink 1"; brief(w.get(e.ID)) != want || len(w.inbox(ann.ID)) != 2 {
		t.Fatalf("got %s", brief(w.get(e.ID)))
	}
}

func (w *world) wake() {
	w.t.Helper()
	if _, err := w.out.WakeDue(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestLocalMailIsGivenUpAfterFiveDays_O20(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	small := int64(1)
	w.user("ann@d.test", func(c *account.Create) { c.QuotaBytes = &small })
	w.attempt(w.accept("ann@d.test").ID)
	e := w.accept("ann@d.test")
	for range 12 {
		w.attempt(e.ID)
		if got := w.get(e.ID); got.Status != outbound.Deferred {
			t.Fatalf("given up early: %s", brief(got))
		}
		w.clk.Set(w.get(e.ID).Recipients[0].NextAt)
	}
	w.attempt(e.ID)
	if r := w.get(e.ID).Recipients[0]; r.Status != outbound.Failed || r.LastReply != "451 4.4.7 given up after 5 days; last answer: 452 4.2.2 mailbox full" {
		t.Fatalf("got %+v", r)
	}
}

// I-43, D-27: our own fault is no reason to bounce, and the letter arrives when we are well again.
func TestOurOwnFaultDefersAndHeals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann := w.user("ann@d.test")
	e := w.accept("ann@d.test")
	for name, broken := range map[string]struct {
		op    body.Op
		owner string
		cause error
	}{
		"the mailbox's disk is full":  {body.OpWrite, ann.ID.String(), syscall.ENOSPC},
		"a directory is not synced":   {body.OpSyncDir, ann.ID.String(), syscall.EIO},
		"the message cannot be read":  {body.OpOpen, "outbound", syscall.EIO},
		"the message is missing":      {body.OpOpen, "outbound", syscall.ENOENT},
		"the mailbox's file is stuck": {body.OpRename, ann.ID.String(), syscall.EIO},
	} {
		w.failing(broken.op, broken.owner, broken.cause)
		w.attempt(e.ID)
		w.healed()
		if got := w.get(e.ID); got.Status != outbound.Deferred || !strings.HasPrefix(got.Recipients[0].LastReply, "451 4.3.0 ") {
			t.Errorf("%s: %s %q", name, brief(got), got.Recipients[0].LastReply)
		}
		if len(w.inbox(ann.ID)) != 0 || len(w.files(ann.ID.String())) != 0 {
			t.Errorf("%s: files %v", name, w.files(ann.ID.String()))
		}
		w.clk.Advance(time.Minute)
	}
	if _, err := w.domains.Update(t.Context(), system(), w.demo.ID, domain.Disabled, 0); err != nil {
		t.Fatal(err)
	}
	w.attempt(e.ID)
	if r := w.get(e.ID).Recipients[0]; r.Status != outbound.Deferred || !strings.Contains(r.LastReply, "disabled") {
		t.Errorf("a disabled domain: %+v", r)
	}
	if _, err := w.domains.Update(t.Context(), system(), w.demo.ID, domain.Verified, 0); err != nil {
		t.Fatal(err)
	}
	w.clk.Advance(time.Minute)
	w.attempt(e.ID)
	if got := w.get(e.ID); got.Status != outbound.Delivered || len(w.inbox(ann.ID)) != 1 {
		t.Errorf("afterwards %s", brief(got))
	}
}

// refusing files and then has the database refuse something within the savepoint.
type refusing struct{ outbound.Parcel }

func (p refusing) File(ctx context.Context, tx pgx.Tx) (func(), error) {
	if _, err := p.Parcel.File(ctx, tx); err != nil {
		return nil, err
	}
	_, err := tx.Exec(ctx, "SELECT 1/0")
	return nil, err
}

// A delivery that fails half way is undone, and its failure is still recorded.
func TestAHalfDoneDeliveryIsUndoneAndRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{local: func(l outbound.Local) outbound.Local {
		return tampered{l, func(_ outbound.Letter, p outbound.Parcel) outbound.Parcel { return refusing{p} }}
	}})
	ann := w.user("ann@d.test")
	e := w.accept("ann@d.test")
	w.attempt(e.ID)
	if r := w.get(e.ID).Recipients[0]; r.Status != outbound.Deferred || r.LastReply != "451 4.3.0 temporary failure" {
		t.Fatalf("got %+v", r)
	}
	if len(w.inbox(ann.ID)) != 0 || len(w.files(ann.ID.String())) != 0 || w.events(e.ID) != "email.accepted email.deferred" {
		t.Fatalf("files %v, events %s", w.files(ann.ID.String()), w.events(e.ID))
	}
	if n := query[int](w, `SELECT total + bytes::int + uid_next::int FROM mailbox WHERE account_id = $1 AND name = 'INBOX'`, ann.ID); n != 1 {
		t.Fatal("counters kept what was undone")
	}
}

// A transaction of ours that waited for a second connection would starve when all connections are in such transactions.
func TestOneConnectionIsEnoughForAnyNumberOfAttempts(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	pool, err := pg.Open(t.Context(), pg.Config{DSN: dsn, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w := newWorld(t, settings{pool: pool})
	ann := w.user("ann@d.test")
	var emails []*outbound.Email
	for range 10 {
		emails = append(emails, w.accept("ann@d.test", "postmaster@d.test", "x@far.test"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, e := range emails {
		wg.Go(func() {
			if err := w.out.Attempt(ctx, e.ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(w.inbox(ann.ID)); n != 10 {
		t.Fatalf("%d messages", n)
	}
}

func TestTheSinkKeepsOneMessageForEachRecipient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	e := w.accept("x@far.test", "y@far.test")
	for range 2 {
		w.attempt(e.ID)
		w.exec(`UPDATE email_recipient SET status = 'queued'`) // as if the record of the first attempt had been lost
	}
	page, more, err := w.out.ListSink(t.Context(), system(), outbound.SinkQuery{})
	if err != nil || more || len(page) != 2 {
		t.Fatalf("%d messages, %v, %v", len(page), more, err)
	}
	for i, to := range []string{"y@far.test", "x@far.test"} {
		m := page[i]
		if m.EnvelopeTo != to && page[1-i].EnvelopeTo != to || m.EnvelopeFrom != "shop@d.test" || m.Email != e.ID || m.Subject != "hello" || m.Size != e.Size {
			t.Errorf("got %+v", m)
		}
	}
	only, _, err := w.out.ListSink(t.Context(), system(), outbound.SinkQuery{To: "y@FAR.test"})
	if err != nil || len(only) != 1 || only[0].EnvelopeTo != "y@far.test" {
		t.Errorf("only to y: %+v, %v", only, err)
	}
	file, err := w.out.RawSink(t.Context(), system(), page[0].ID)
	if err != nil || file.Size != e.Size {
		t.Fatalf("raw: %v", err)
	}
	file.Close()
}

// D5 of send-api: the whole pipeline runs, and nothing is touched.
func TestATestKeyTouchesNoMailboxAndNoSink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann := w.user("ann@d.test")
	key := mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:send"}, Test: true}
	e, err := w.out.Accept(t.Context(), key, w.draft("ann@d.test", "x@far.test"))
	if err != nil {
		t.Fatal(err)
	}
	w.attempt(e.ID)
	got := w.get(e.ID)
	if want := "delivered; ann@d.test delivered test 1; x@far.test delivered test 1"; brief(got) != want || !got.Test {
		t.Fatalf("got %s", brief(got))
	}
	if len(w.inbox(ann.ID)) != 0 || len(w.files(ann.ID.String())) != 0 || query[int](w, `SELECT count(*) FROM sink_message`) != 0 {
		t.Fatal("something was touched")
	}
	if text := w.scrape(); strings.Contains(text, "_sent_total 1") || strings.Contains(text, "duration_seconds_count 2") {
		t.Errorf("figures moved:\n%s", text)
	}
}

func TestUnknownEmailsAndOtherModesAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{mode: outbound.ModeDirect})
	w.attempt(mail.EmailID{}.New(w.clk.Now()))
	e := w.accept("x@far.test")
	w.attempt(e.ID)
	if want := "queued; x@far.test queued  0"; brief(w.get(e.ID)) != want {
		t.Fatalf("got %s", brief(w.get(e.ID)))
	}
	if n, err := w.out.Depth(t.Context()); n != 1 || err != nil {
		t.Fatalf("depth %d, %v", n, err)
	}
	sink := w.flow(outbound.ModeSink, w.in) // restarted with another mode
	if err := sink.Attempt(t.Context(), e.ID); err != nil || w.get(e.ID).Status != outbound.Delivered {
		t.Fatalf("got %s, %v", brief(w.get(e.ID)), err)
	}
}

// The state of an email is derived twice, here and in SQL.
func TestTheStateOfAnEmailIsTheSameInGoAndInSQL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	e := w.accept("a@far.test", "b@far.test", "c@far.test")
	all := []outbound.Status{outbound.Queued, outbound.Deferred, outbound.Delivered, outbound.Bounced, outbound.Failed}
	for _, a := range all {
		for _, b := range all {
			for _, c := range all {
				w.exec(`UPDATE email_recipient SET status = ($1::text[])[position + 1]`, []string{string(a), string(b), string(c)})
				if err := outbound.SettleEmail(t.Context(), w.pool, e.ID); err != nil {
					t.Fatal(err)
				}
				got := w.get(e.ID)
				if want := outbound.Summarise(got.Recipients); got.Status != want {
					t.Errorf("%s %s %s: SQL says %s, Go says %s", a, b, c, got.Status, want)
				}
			}
		}
	}
}
