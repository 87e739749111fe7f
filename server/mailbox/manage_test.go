package mailbox

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

func TestDangerousAndAmbiguousNamesAreRefused_S34(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "/", "//", "a//b", "/a", "../../x", "a/../b", ".", "..", "a/.", "a\x00b", "a\nb", "a\r\nb", "a\x7fb", "a\u0085b", "a\u2028b",
		"a*", "%", "a/%/b", " ", "a/ /b", "#news", "\xff\xfe", "a\ufffdb", strings.Repeat("a", 256), strings.Repeat("a/", 20) + "a",
		strings.Repeat("ä", 128),
	} {
		if got, err := CleanName(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q became %q, %v", bad, got, err)
		}
	}
}

func TestNamesHaveOneStoredForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"inbox": "INBOX", "InBox": "INBOX", "inbox/Sub": "INBOX/Sub", "INBOXES": "INBOXES", "a/inbox": "a/inbox",
		"Entwu\u0308rfe": "Entwürfe", "a/b/": "a/b", "&AOQ-": "&AOQ-", "a.b": "a.b", "日本": "日本",
		strings.Repeat("a/", 19) + "a": strings.Repeat("a/", 19) + "a",
	} {
		if got, err := CleanName(in); err != nil || got != want {
			t.Errorf("%q became %q, %v, want %q", in, got, err, want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"INBOX", "a/b", "../x", "é\u0301", "\x00", strings.Repeat("a/", 30), "#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := CleanName(s)
		if err != nil {
			return
		}
		again, err := CleanName(name)
		if err != nil || again != name {
			t.Fatalf("%q became %q and that became %q, %v", s, name, again, err)
		}
		if len(name) > MaxName || strings.Contains(name, "//") || strings.ContainsAny(name, "\x00\r\n") {
			t.Fatalf("%q became %q", s, name)
		}
	})
}

func names(list []Mailbox) []string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = m.Name
	}
	return out
}

func (w *person) list(f ListFilter) []string {
	w.e.t.Helper()
	all, err := w.e.List(w.e.t.Context(), w.p, w.id, f)
	if err != nil {
		w.e.t.Fatal(err)
	}
	return names(all)
}

func (w *person) create(name string) Mailbox {
	w.e.t.Helper()
	m, err := w.e.Create(w.e.t.Context(), w.p, w.id, name, "")
	if err != nil {
		w.e.t.Fatalf("%s: %v", name, err)
	}
	return m
}

func TestANewAccountHasItsMailboxesWithTheirRoles(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	if got := w.list(ListFilter{}); !slices.Equal(got, []string{"Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"}) {
		t.Fatalf("mailboxes %v", got)
	}
	for _, role := range roles() {
		if got := w.list(ListFilter{Role: role}); len(got) != 1 || !strings.EqualFold(got[0], role) {
			t.Errorf("role %s: %v", role, got)
		}
	}
	seen := map[uint32]bool{}
	all, _ := e.List(t.Context(), w.p, w.id, ListFilter{Subscribed: true})
	for _, m := range all {
		if m.UIDValidity == 0 || seen[m.UIDValidity] || m.UIDNext != 1 || m.ModSeq == 0 || m.ID.IsZero() || m.Domain != e.domain {
			t.Errorf("mailbox %+v", m)
		}
		seen[m.UIDValidity] = true
	}
	if len(all) != 6 {
		t.Error("not all are subscribed")
	}
}

func TestCreatingMakesWhatLiesAboveAndNeverASecondOne(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	sub := e.bus.Subscribe(bus.Account(w.id))
	defer sub.Close()
	m := w.create("a/b/c/")
	if m.Name != "a/b/c" || m.Key == 0 || m.UIDValidity == 0 {
		t.Fatalf("created %+v", m)
	}
	select {
	case <-sub.C:
	default:
		t.Error("watchers of the list were not woken")
	}
	got, err := e.Get(t.Context(), w.p, m.ID)
	if err != nil || got.Name != "a/b/c" || got.Key != m.Key || got.UIDValidity != m.UIDValidity || !got.Subscribed {
		t.Fatalf("got %+v, %v", got, err)
	}
	if l := w.list(ListFilter{}); !slices.Contains(l, "a") || !slices.Contains(l, "a/b") {
		t.Fatalf("list %v", l)
	}
	for name, want := range map[string]fault.Kind{"a/b": fault.Conflict, "inbox": fault.Conflict, "../x": fault.Invalid} {
		if _, err := e.Create(t.Context(), w.p, w.id, name, ""); !fault.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if _, err := e.Create(t.Context(), w.p, w.id, "x", "sent"); fault.CodeOf(err) != "role-taken" {
		t.Errorf("a second mailbox for sent mail: %v", err)
	}
	if _, err := e.Create(t.Context(), w.p, w.id, "x", "inbox"); fault.CodeOf(err) != "invalid-role" {
		t.Errorf("got %v", err)
	}
	small := New(e.pool, e.bodies, e.bus, e.clk, e.log, Options{MaxMailboxes: 10})
	if _, err := small.Create(t.Context(), w.p, w.id, "p/q", ""); !fault.Is(err, fault.Limited) {
		t.Errorf("an eleventh mailbox: %v", err)
	}
	if _, err := small.Create(t.Context(), w.p, w.id, "p", ""); err != nil {
		t.Errorf("the tenth mailbox: %v", err)
	}
}

func TestADeletedAndCreatedNameHasAHigherUIDValidity_D32(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	last := uint32(0)
	for range 4 {
		m := w.create("Lists")
		if m.UIDValidity <= last {
			t.Fatalf("UIDVALIDITY went from %d to %d: clients would show old mail", last, m.UIDValidity)
		}
		last = m.UIDValidity
		l := w.letter(sample)
		l.Mailbox = "Lists"
		if filed, err := e.Deliver(t.Context(), []Letter{l}); err != nil || filed[0].Key != m.Key || filed[0].UID != 1 {
			t.Fatalf("%+v, %v", filed, err)
		}
		if err := e.Delete(t.Context(), w.p, m.Key); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.View(t.Context(), w.p, m.Key); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a session sees a deleted mailbox: %v", err)
		}
	}
	e.recount(t)
	if n := scan[int](e, `SELECT (SELECT count(*) FROM body_garbage) + (SELECT count(*) FROM mailbox_change)`); n != 4 {
		t.Fatalf("%d rows of garbage and log, want the 4 files", n)
	}
}

func TestDeletingKeepsWhatLiesBelowAndTheSubscription(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	m := w.create("a")
	w.create("a/b")
	if err := e.Delete(t.Context(), w.p, w.inbox); fault.CodeOf(err) != "inbox" {
		t.Fatalf("the inbox was deleted: %v", err)
	}
	if err := e.Delete(t.Context(), w.p, m.Key); err != nil {
		t.Fatal(err)
	}
	if err := e.Delete(t.Context(), w.p, m.Key); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a second time: %v", err)
	}
	if l := w.list(ListFilter{}); slices.Contains(l, "a") || !slices.Contains(l, "a/b") {
		t.Fatalf("list %v", l)
	}
	subs := func() []string {
		s, err := e.Subscriptions(t.Context(), w.p, w.id)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if !slices.Contains(subs(), "a") {
		t.Fatal("the subscription went with the mailbox (RFC 9051 §6.3.7)")
	}
	if err := e.Subscribe(t.Context(), w.p, w.id, "a"); err != nil {
		t.Fatal(err)
	}
	if err := e.Subscribe(t.Context(), w.p, w.id, "never"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
	for range 2 {
		if err := e.Unsubscribe(t.Context(), w.p, w.id, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Unsubscribe(t.Context(), w.p, w.id, "a/b"); err != nil {
		t.Fatal(err)
	}
	if s := subs(); slices.Contains(s, "a") || slices.Contains(s, "a/b") || !slices.IsSorted(s) {
		t.Fatalf("subscriptions %v", s)
	}
	if l := w.list(ListFilter{Subscribed: true}); slices.Contains(l, "a/b") {
		t.Fatalf("subscribed %v", l)
	}
	// The mailbox of a name that is still subscribed to takes the subscription over: once is enough to undo.
	if err := e.Delete(t.Context(), w.p, w.create("z").Key); err != nil {
		t.Fatal(err)
	}
	w.create("z")
	if err := e.Unsubscribe(t.Context(), w.p, w.id, "z"); err != nil || slices.Contains(subs(), "z") {
		t.Fatalf("%v, %v", subs(), err)
	}
}

func TestRenamingTakesWhatLiesBelowAlongAndKeepsUIDValidity_D32(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	a := w.create("x/a")
	w.create("x/a/a/deep")
	w.create("x/ab")
	before := w.box("x/a/a").UIDValidity
	got, err := e.Rename(t.Context(), w.p, a.Key, "new/home/a")
	if err != nil || got.Name != "new/home/a" || got.UIDValidity != a.UIDValidity || got.Key != a.Key {
		t.Fatalf("%+v, %v", got, err)
	}
	want := []string{"new", "new/home", "new/home/a", "new/home/a/a", "new/home/a/a/deep", "x", "x/ab"}
	if l := w.list(ListFilter{}); !slices.Equal(l[6:], want) {
		t.Fatalf("list %v, want %v", l[6:], want)
	}
	if now := w.box("new/home/a/a").UIDValidity; now != before {
		t.Fatal("UIDVALIDITY of what lies below changed: clients load everything again")
	}
	for name, code := range map[string]string{
		"x": "already-exists", "inbox": "already-exists", "new/home/a/below": "invalid-mailbox-name", "a//b": "invalid-mailbox-name",
		strings.Repeat("l", 250): "invalid-mailbox-name",
	} {
		if _, err := e.Rename(t.Context(), w.p, a.Key, name); fault.CodeOf(err) != code {
			t.Errorf("rename to %q: %v, want %s", name, err, code)
		}
	}
	if _, err := e.Rename(t.Context(), w.p, a.Key, "new/home/a/"); err != nil {
		t.Errorf("its own name: %v", err)
	}
	// A new name may be an old one of those that move.
	if err := e.Delete(t.Context(), w.p, w.box("new/home").Key); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Rename(t.Context(), w.p, a.Key, "new/home"); err != nil {
		t.Fatal(err)
	}
	want = []string{"new", "new/home", "new/home/a", "new/home/a/deep", "x", "x/ab"}
	if l := w.list(ListFilter{}); !slices.Equal(l[6:], want) {
		t.Fatalf("list %v, want %v", l[6:], want)
	}
}

func TestRenamingTheInboxMovesItsMailAndLeavesAnEmptyInbox(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.create("INBOX/sub")
	w.deliver(3)
	if _, err := e.Store(t.Context(), w.p, w.inbox, UIDs(2), FlagChange{Add: []mail.Flag{mail.Seen, "$k"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Remove(t.Context(), w.p, w.inbox, UIDs(1)); err != nil {
		t.Fatal(err)
	}
	old := w.view(w.inbox)
	validity := w.box(Inbox).UIDValidity
	got, err := e.Rename(t.Context(), w.p, w.inbox, "old mail")
	if err != nil || got.Name != "old mail" || got.Total != 2 || got.Unseen != 1 || got.UIDValidity == validity {
		t.Fatalf("%+v, %v", got, err)
	}
	inbox := w.box(Inbox)
	if inbox.Key != w.inbox || inbox.Total != 0 || inbox.UIDValidity != validity || inbox.UIDNext != 4 {
		t.Fatalf("the inbox is %+v", inbox)
	}
	if d := Compare(old, w.view(w.inbox)); len(d.Expunged) != 2 {
		t.Fatalf("sessions in the inbox were told of %d of 2 moves", len(d.Expunged))
	}
	v := w.view(got.Key)
	if !slices.Equal(v.At(0).Flags.Flags(v.Keywords()), []mail.Flag{mail.Seen, "$k"}) || v.At(0).UID != 1 || v.At(1).UID != 2 {
		t.Fatalf("moved %+v %+v", v.At(0), v.At(1))
	}
	if l := w.list(ListFilter{}); !slices.Contains(l, "INBOX/sub") {
		t.Fatalf("what lies below the inbox moved: %v", l)
	}
	w.deliver(1)
	if got := w.uids(w.inbox); !slices.Equal(got, []uint32{4}) {
		t.Fatalf("uids %v: a uid was used again", got)
	}
	e.recount(t)
}

func TestForeignMailboxesDoNotExist_S43(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	alice, bob := e.person(), e.person()
	filed := alice.deliver(1)
	box := alice.box("Archive")
	strangers := map[string]mail.Principal{
		"another user":        bob.p,
		"an admin elsewhere":  {User: bob.id, Role: mail.RoleAdmin, Domains: []mail.DomainID{mail.DomainID{}.New(e.clk.Now())}},
		"a key of a stranger": {Key: mail.KeyID{}.New(e.clk.Now()), Scopes: everyScope(), Domains: []mail.DomainID{mail.DomainID{}.New(e.clk.Now())}},
	}
	for who, p := range strangers {
		for what, err := range attempts(t.Context(), e, p, alice, box, filed[0]) {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %s: %v, want not found", who, what, err)
			}
		}
	}
	for what, err := range attempts(t.Context(), e, mail.Principal{}, alice, box, filed[0]) {
		if !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("nobody: %s: %v, want unauthenticated", what, err)
		}
	}
	weak := mail.Principal{Key: mail.KeyID{}.New(e.clk.Now()), Scopes: []string{"domains:write"}}
	for what, err := range attempts(t.Context(), e, weak, alice, box, filed[0]) {
		if !fault.Is(err, fault.Forbidden) || fault.CodeOf(err) != "scope-missing" {
			t.Errorf("a key without the scope: %s: %v", what, err)
		}
	}
	if len(e.rows(alice.inbox)) != 1 || alice.box("Archive").ID != box.ID {
		t.Fatal("a stranger changed something")
	}
	for who, p := range map[string]mail.Principal{
		"her domain's admin": {User: bob.id, Role: mail.RoleAdmin, Domains: []mail.DomainID{e.domain}},
		"her domain's key":   {Key: mail.KeyID{}.New(e.clk.Now()), Scopes: everyScope(), Domains: []mail.DomainID{e.domain}},
		"the system":         mail.System("test"),
	} {
		if _, err := e.Message(t.Context(), p, filed[0].Message); err != nil {
			t.Errorf("%s: %v", who, err)
		}
		if _, err := e.List(t.Context(), p, alice.id, ListFilter{}); err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	// Copying across accounts is not offered, even to those who may use both.
	_, err := e.Copy(t.Context(), mail.System("test"), alice.inbox, AllUIDs(), bob.inbox)
	if fault.CodeOf(err) != "other-account" {
		t.Errorf("a message was copied to another account: %v", err)
	}
	if err := e.MoveMessage(t.Context(), alice.p, filed[0].Message, bob.box("Archive").ID); fault.CodeOf(err) != "mailbox-not-found" {
		t.Errorf("a message was moved to a stranger: %v", err)
	}
}

func everyScope() []string { return []string{writeMailboxes, writeMessages, readContent} }

// attempts tries every method on a victim's things.
func attempts(ctx context.Context, e *env, p mail.Principal, victim *person, box Mailbox, f Filed) map[string]error {
	out := map[string]error{}
	_, out["get"] = e.Get(ctx, p, box.ID)
	_, out["get by name"] = e.GetByName(ctx, p, victim.id, "Archive")
	_, out["list"] = e.List(ctx, p, victim.id, ListFilter{})
	_, out["subscriptions"] = e.Subscriptions(ctx, p, victim.id)
	_, out["create"] = e.Create(ctx, p, victim.id, "new", "")
	_, out["rename"] = e.Rename(ctx, p, box.Key, "new")
	out["delete"] = e.Delete(ctx, p, box.Key)
	out["subscribe"] = e.Subscribe(ctx, p, victim.id, "Archive")
	out["unsubscribe"] = e.Unsubscribe(ctx, p, victim.id, "Archive")
	_, _, out["view"] = e.View(ctx, p, victim.inbox)
	_, out["store"] = e.Store(ctx, p, victim.inbox, AllUIDs(), FlagChange{Add: []mail.Flag{mail.Seen}})
	_, out["copy"] = e.Copy(ctx, p, victim.inbox, AllUIDs(), box.Key)
	_, out["move"] = e.Move(ctx, p, victim.inbox, AllUIDs(), box.Key)
	_, out["expunge"] = e.Expunge(ctx, p, victim.inbox, nil)
	_, out["remove"] = e.Remove(ctx, p, victim.inbox, AllUIDs())
	out["rows"] = e.Rows(ctx, p, victim.inbox, AllUIDs(), WantList, func(*Row) error { return nil })
	_, out["message"] = e.Message(ctx, p, f.Message)
	_, _, out["messages"] = e.Messages(ctx, p, box.ID, MessageQuery{})
	out["set flags"] = e.SetFlags(ctx, p, f.Message, FlagChange{Add: []mail.Flag{mail.Seen}})
	out["move message"] = e.MoveMessage(ctx, p, f.Message, box.ID)
	out["delete message"] = e.DeleteMessage(ctx, p, f.Message)
	_, out["open body"] = e.OpenBody(ctx, p, victim.id, "x")
	_, out["admit"] = e.Admit(ctx, p, victim.id, Inbox, 1)
	sp := e.NewSpool()
	defer sp.Close()
	_, out["append"] = e.Append(ctx, p, victim.id, Inbox, Item{Body: sp})
	return out
}

func TestARemovedAccountLeavesOnlyFilesThatGoLater_D13_D25(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w, other := e.person(), e.person()
	w.deliver(3)
	other.deliver(1)
	if _, err := e.Copy(t.Context(), w.p, w.inbox, AllUIDs(), w.box("Archive").Key); err != nil {
		t.Fatal(err)
	}
	w.view(w.inbox)
	err := pg.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := e.DropAccount(ctx, tx, w.id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `WITH u AS (DELETE FROM account_usage WHERE account_id = $1) DELETE FROM account WHERE id = $1`, w.id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Deliver(t.Context(), []Letter{w.letter(sample)}); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a letter for a removed account: %v", err)
	}
	if n := scan[int](e, `SELECT count(*) FROM body_garbage WHERE account_id = $1`, w.id); n != 3 {
		t.Fatalf("%d files of 3 will be removed", n)
	}
	if r := e.verify(VerifyOptions{}); !r.Clean() || r.Total != 0 || r.Files != 4 {
		t.Fatalf("%+v", r)
	}
	e.exec(`UPDATE body_garbage SET at = at - interval '11 minutes'`)
	if n, err := e.CollectGarbage(t.Context()); n != 3 || err != nil {
		t.Fatalf("removed %d, %v", n, err)
	}
	if r := e.verify(VerifyOptions{Hash: true}); !r.Clean() || r.Files != 1 || r.Messages != 1 {
		t.Fatalf("%+v", r)
	}
	e.recount(t)
}
