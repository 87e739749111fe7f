package outbound_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

func TestEveryStatementIsPrepared(t *testing.T) {
	t.Parallel()
	pgtest.PrepareAll(t, pgtest.DB(t), ".")
}

// D-14: when Accept returns, bytes, rows, event and wake-up are there.
func TestAnAcceptedEmailIsStoredWhole_D14(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	ann := w.user("ann@d.test")
	d := w.draft("Ann@D.test", "x@far.test", "ANN@d.test")
	d.Cc = []outbound.Party{{Address: address(t, "X@far.test")}, {Address: address(t, "x@far.test")}}
	d.Bcc = []outbound.Party{{Address: address(t, "ann@d.test")}, {Address: address(t, "y@Bücher.test")}}
	d.Tags, d.Metadata = []outbound.Tag{{Name: "kind", Value: "receipt"}}, map[string]string{"order": "42"}
	e, err := w.out.Accept(t.Context(), principal(ann), d)
	if fault.CodeOf(err) != "sender-not-owned" {
		t.Fatalf("ann sent as shop: %v, %v", e, err)
	}
	if e, err = w.out.Accept(t.Context(), system(), d); err != nil {
		t.Fatal(err)
	}
	got := w.get(e.ID)
	// Our own addresses are the same in any case, those of strangers are not (S-47).
	if want := "queued; Ann@d.test queued  0; x@far.test queued  0; X@far.test queued  0; y@xn--bcher-kva.test queued  0"; brief(got) != want {
		t.Errorf("got  %s\nwant %s", brief(got), want)
	}
	for i, r := range got.Recipients {
		if r.Position != i || r.Local != (i == 0) || r.Destination != r.Address.Domain || r.Kind != []string{"to", "to", "cc", "bcc"}[i] {
			t.Errorf("recipient %d: %+v", i, r)
		}
	}
	text := w.stored(body.Outbound, got.File)
	if got.SHA256 != sha256.Sum256([]byte(text)) || got.Size != int64(len(text)) || strings.Contains(text, "cher-kva") {
		t.Errorf("the row does not describe the bytes, or they name the blind recipient:\n%s", text)
	}
	if got.MessageID == "" || !strings.Contains(text, "\r\nMessage-ID: "+got.MessageID+"\r\n") || got.HeaderFrom != "Shop <shop@d.test>" {
		t.Errorf("id %s, from %s", got.MessageID, got.HeaderFrom)
	}
	if got.Tags[0].Value != "receipt" || got.Metadata["order"] != "42" || !got.CreatedAt.Equal(e.CreatedAt) || got.Actor != "system:test" {
		t.Errorf("got %+v", got)
	}
	if w.jobs(e.ID) != 1 || w.events(e.ID) != "email.accepted" {
		t.Errorf("%d jobs, events %s", w.jobs(e.ID), w.events(e.ID))
	}
	file, err := w.out.Raw(t.Context(), system(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if raw, err := io.ReadAll(file); err != nil || string(raw) != text {
		t.Errorf("raw gives other bytes, %v", err)
	}
}

func TestAThousandRecipientsAreInsertedByOneStatement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	to := make([]string, 1000)
	for i := range to {
		to[i] = fmt.Sprintf("u%d@far.test", i)
	}
	e := w.accept(to...)
	if n := query[int](w, `SELECT count(*) FROM email_recipient WHERE email_id = $1`, e.ID); n != 1000 {
		t.Fatalf("%d rows", n)
	}
	if n := query[int](w, `SELECT count(DISTINCT (xmin::text, cmin::text)) FROM email_recipient`); n != 1 {
		t.Fatalf("%d statements", n)
	}
	if n := query[int](w, `SELECT count(*) FROM email_recipient WHERE address = 'u' || position || '@far.test'`); n != 1000 {
		t.Fatalf("%d recipients at their place", n)
	}
	w.attempt(e.ID)
	if n := query[int](w, `SELECT count(*) FROM sink_message WHERE email_id = $1`, e.ID); n != 1000 || w.get(e.ID).Status != outbound.Delivered {
		t.Fatalf("the sink kept %d", n)
	}
}

func request(text string) idem.Request {
	return idem.Request{Credential: "key_1", Method: "POST", Route: "/v1/emails", Key: text, Fingerprint: sha256.Sum256([]byte(text))}
}

// A crash between effect and answer: the next attempt finds the effect and sends nothing again.
func TestAKeyHasOneEffectEvenWhenItsAnswerIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	keys := idem.New(w.pool, w.clk)
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := map[string]int{}
	for range 10 {
		wg.Go(func() {
			a, err := keys.Begin(t.Context(), request("k"))
			if err != nil || a.Effect != "" {
				return // another one runs, or has run
			}
			e, err := w.out.Accept(a.Context(t.Context()), system(), w.draft("x@far.test"))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			made[e.ID.String()]++ // and no answer is stored
		})
	}
	wg.Wait()
	a, err := keys.Begin(t.Context(), request("k"))
	if err != nil || made[a.Effect] != 1 || len(made) != 1 {
		t.Fatalf("made %v, found %+v, %v", made, a, err)
	}
	if n := query[int](w, `SELECT count(*) FROM email`); n != 1 || len(w.files(body.Outbound)) != 1 {
		t.Fatalf("%d emails, files %v", n, w.files(body.Outbound))
	}
}

// An attempt that slept while another took its key over leaves nothing.
func TestALateAttemptOfATakenKeyLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	keys := idem.New(w.pool, w.clk)
	late, err := keys.Begin(t.Context(), request("k"))
	if err != nil {
		t.Fatal(err)
	}
	w.clk.Advance(idem.Lease + time.Second)
	next, err := keys.Begin(t.Context(), request("k"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.out.Accept(next.Context(t.Context()), system(), w.draft("x@far.test"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.out.Accept(late.Context(t.Context()), system(), w.draft("x@far.test")); !fault.Is(err, fault.Conflict) {
		t.Fatalf("the late one: %v", err)
	}
	if n := query[int](w, `SELECT count(*) FROM email`); n != 1 || len(w.files(body.Outbound)) != 1 || w.jobs(e.ID) != 1 {
		t.Fatalf("%d emails, files %v", n, w.files(body.Outbound))
	}
}

func TestAFailedAcceptLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	boom := errors.New("boom")
	gone, cancel := context.WithCancel(t.Context())
	for name, ctx := range map[string]context.Context{
		"the transaction fails": pg.BeforeCommit(t.Context(), func(context.Context, pgx.Tx) error { return boom }),
		"the caller goes away":  pg.BeforeCommit(gone, func(context.Context, pgx.Tx) error { cancel(); return nil }),
	} {
		if _, err := w.out.Accept(ctx, system(), w.draft("x@far.test")); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if n := query[int](w, `SELECT count(*) FROM email`); n != 0 || len(w.files(body.Outbound)) != 0 {
			t.Errorf("%s: %d emails, files %v", name, n, w.files(body.Outbound))
		}
	}
}

// I-43: a disk without room is said as such, and nothing is half stored.
func TestAFullDiskRefusesSends_I43(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	for _, op := range []body.Op{body.OpMakeDir, body.OpCreate, body.OpWrite, body.OpSync, body.OpRename, body.OpSyncDir} {
		w.failing(op, "outbound", syscall.ENOSPC)
		_, err := w.out.Accept(t.Context(), system(), w.draft("x@far.test"))
		if !fault.Is(err, fault.Storage) {
			t.Errorf("%s: %v", op, err)
		}
		w.healed()
		if n := query[int](w, `SELECT count(*) FROM email`); n != 0 || len(w.files(body.Outbound)) != 0 {
			t.Errorf("%s: %d emails, files %v", op, n, w.files(body.Outbound))
		}
	}
	w.accept("x@far.test")
}

func TestSendersOfOthersAreRefused_S6(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	if _, err := w.domains.Update(t.Context(), system(), w.domain("pending.test").ID, domain.Pending, 0); err != nil {
		t.Fatal(err)
	}
	shop := w.user("shop@d.test")
	admin := w.user("admin@other.test", func(c *account.Create) { c.Role, c.Domains = mail.RoleAdmin, []mail.DomainID{w.other.ID} })
	key := mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:send"}}
	bound := mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:send"}, Domains: []mail.DomainID{w.other.ID}}
	for _, tc := range []struct {
		name string
		p    mail.Principal
		from string
		code string
	}{
		{"own address", principal(shop), "shop@d.test", ""},
		{"own address in another case", principal(shop), "SHOP@D.test", ""},
		{"another's address", principal(shop), "ann@d.test", "sender-not-owned"},
		{"admin of the domain", principal(admin), "anything@other.test", ""},
		{"admin of another domain", principal(admin), "shop@d.test", "sender-not-owned"},
		{"key of all domains", key, "anything@d.test", ""},
		{"key of another domain", bound, "anything@d.test", "domain-forbidden"},
		{"key without the scope", mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:read"}}, "a@d.test", "scope-missing"},
		{"nobody", mail.Principal{}, "a@d.test", "unauthenticated"},
		{"a domain that is not ours", key, "a@far.test", "sender-not-verified"},
		{"a domain that may not send yet", key, "a@pending.test", "sender-not-verified"},
	} {
		d := w.draft("x@far.test")
		d.From.Address = address(t, tc.from)
		if _, err := w.out.Accept(t.Context(), tc.p, d); fault.CodeOf(err) != tc.code || (err == nil) != (tc.code == "") {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestModeNoneSendsNothingToOtherServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{mode: outbound.ModeNone})
	w.user("ann@d.test")
	if _, err := w.out.Accept(t.Context(), system(), w.draft("ann@d.test", "x@far.test")); fault.CodeOf(err) != "recipient-invalid" {
		t.Fatalf("got %v", err)
	}
	if err := w.out.Recipient(t.Context(), system(), address(t, "x@far.test")); fault.CodeOf(err) != "relaying-denied" {
		t.Fatalf("got %v", err)
	}
	w.accept("ann@d.test")
	test := mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:send"}, Test: true}
	if _, err := w.out.Accept(t.Context(), test, w.draft("x@far.test")); err != nil {
		t.Fatalf("the test network is not another server: %v", err)
	}
}
