package mailbox

import (
	"context"
	"io"
	"slices"
	"testing"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func TestEveryStatementFitsTheSchema(t *testing.T) {
	t.Parallel()
	pgtest.PrepareAll(t, pgtest.DB(t), ".")
}

func TestADeliveredLetterIsInTheInboxWithItsBytesRowsAndEvent_D1_D11(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	sub := e.bus.Subscribe(bus.Mailbox(w.inbox))
	defer sub.Close()
	l := w.letter(sample)
	l.Flags = []mail.Flag{`\seen`, "$Work"}
	l.Event = &event.Event{Type: event.MessageReceived, Data: map[string]any{"subject": "a\x00b"}}
	filed, err := e.Deliver(t.Context(), []Letter{l})
	if err != nil {
		t.Fatal(err)
	}
	f := filed[0]
	if f.UID != 1 || f.Key != w.inbox || f.ModSeq != 2 || f.UIDValidity == 0 {
		t.Fatalf("filed %+v", f)
	}
	select {
	case <-sub.C:
	default:
		t.Fatal("IDLE sessions were not woken")
	}
	msg, err := e.Message(t.Context(), w.p, f.Message)
	if err != nil {
		t.Fatal(err)
	}
	if len(msg.Places) != 1 || !slices.Equal(msg.Places[0].Flags, []mail.Flag{mail.Seen, "$Work"}) || msg.SHA256 != l.Body.SHA256 {
		t.Fatalf("message %+v", msg)
	}
	c, err := e.OpenBody(t.Context(), w.p, w.id, msg.File)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, _ := io.ReadAll(c); string(b) != sample {
		t.Fatalf("the body is %q", b)
	}
	if n := scan[int](e, `SELECT count(*) FROM event WHERE subject = $1 AND account_id = $2 AND domain_id = $3`,
		f.Message.String(), w.id, e.domain); n != 1 {
		t.Fatalf("%d events", n)
	}
	m := w.box(Inbox)
	if m.Total != 1 || m.Unseen != 0 || m.Bytes != int64(len(sample)) || !slices.Equal(m.Keywords, []string{"$Work"}) {
		t.Fatalf("mailbox %+v", m)
	}
	e.recount(t)
}

func TestALetterForSeveralPeopleIsStoredForAllOrNone_D2(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.person(), e.person()
	filed, err := e.Deliver(t.Context(), []Letter{a.letter(sample), b.letter(sample), a.letter(sample)})
	if err != nil {
		t.Fatal(err)
	}
	if filed[0].UID != 1 || filed[1].UID != 1 || filed[2].UID != 2 || filed[0].Key != a.inbox || filed[1].Key != b.inbox {
		t.Fatalf("filed %+v", filed)
	}
	letters := []Letter{a.letter(sample), b.letter(sample)}
	e.exec(`DELETE FROM mailbox WHERE account_id = $1`, b.id)
	_, err = e.Deliver(t.Context(), letters)
	if !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %v, want not found", err)
	}
	if got := a.uids(a.inbox); len(got) != 2 {
		t.Fatalf("half of a letter was stored: %v", got)
	}
	for _, l := range letters {
		if f, err := e.bodies.Open(t.Context(), l.Body.Owner, l.Body.File); err == nil {
			f.Close()
			t.Fatal("the file of a refused letter is left behind")
		}
	}
}

func TestALetterForAMissingMailboxGoesToTheInbox(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	for name, want := range map[string]string{"Junk": "Junk", "junk": Inbox, "": Inbox, "no/such": Inbox, "../x": Inbox, "inbox": Inbox, "Archive": "Archive"} {
		l := w.letter(sample)
		l.Mailbox = name
		filed, err := e.Deliver(t.Context(), []Letter{l})
		if err != nil {
			t.Fatal(err)
		}
		if filed[0].Key != w.box(want).Key || filed[0].Mailbox != w.box(want).ID {
			t.Errorf("a letter for %q went elsewhere than to %s", name, want)
		}
	}
	e.recount(t)
}

func TestADeliveryIntoTheCallersTransactionIsSeenOnlyAfterItsCommit(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(1)
	tx, err := e.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := w.letter(sample)
	l.Flags = []mail.Flag{"$Forwarded"}
	filed, after, err := e.File(t.Context(), tx, []Letter{l})
	if err != nil {
		t.Fatal(err)
	}
	if filed[0].UID != 2 || len(e.rows(w.inbox)) != 1 {
		t.Fatalf("filed %+v, %d rows are seen", filed, len(e.rows(w.inbox)))
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	after()
	if got := w.uids(w.inbox); !slices.Equal(got, []uint32{1, 2}) {
		t.Fatalf("uids %v", got)
	}
	// A rolled back delivery leaves no trace, and its uid is not missed.
	tx, err = e.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.File(t.Context(), tx, []Letter{w.letter(sample)}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.deliver(1)
	e.recount(t)
}
