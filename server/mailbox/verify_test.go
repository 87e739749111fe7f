package mailbox

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// Each kind of damage is done once; verify must name it, and with Fix bring back what can be counted again.
func TestVerifyFindsEveryKindOfDamage_D28_F19(t *testing.T) {
	t.Parallel()
	file := func(w *person, f Filed) string {
		return filepath.Join(w.e.dir, "maildir", w.id.String(), "cur", scan[string](w.e, `SELECT file FROM message WHERE id = $1`, f.Message))
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		damage func(e *env, w *person, filed []Filed)
		kinds  []string
		fixed  bool
	}{
		"a file is gone": {func(_ *env, w *person, f []Filed) { must(os.Remove(file(w, f[1]))) }, []string{KindMissing}, false},
		"a file is cut":  {func(_ *env, w *person, f []Filed) { must(os.Truncate(file(w, f[1]), 3)) }, []string{KindSize}, false},
		"a byte is flipped": {func(_ *env, w *person, f []Filed) {
			b, err := os.ReadFile(file(w, f[1]))
			must(err)
			b[10] ^= 1
			must(os.WriteFile(file(w, f[1]), b, 0o600))
		}, []string{KindHash}, false},
		"two files are swapped": {func(_ *env, w *person, f []Filed) {
			l := w.letter("Subject: other letter\r\n\r\nof another length\r\n")
			other, err := w.e.Deliver(w.e.t.Context(), []Letter{l})
			must(err)
			a, b := file(w, f[1]), file(w, other[0])
			must(os.Rename(a, a+"x"))
			must(os.Rename(b, a))
			must(os.Rename(a+"x", b))
		}, []string{KindSize, KindSize}, false},
		"a stranger's file": {func(e *env, w *person, _ []Filed) {
			must(os.WriteFile(filepath.Join(e.dir, "maildir", w.id.String(), "cur", "dovecot-uidlist"), nil, 0o600))
		}, []string{KindStrange}, false},
		"uids would be given out again": {func(e *env, w *person, _ []Filed) {
			e.exec(`UPDATE mailbox SET uid_next = 2 WHERE key = $1`, w.inbox)
		}, []string{KindUIDNext}, true},
		"modseq went back": {func(e *env, w *person, _ []Filed) {
			e.exec(`UPDATE mailbox SET modseq = 1 WHERE key = $1`, w.inbox)
		}, []string{KindModSeq}, true},
		"a counter drifts": {func(e *env, w *person, _ []Filed) {
			e.exec(`UPDATE mailbox SET unseen = unseen + 1 WHERE key = $1`, w.inbox)
		}, []string{KindCounters}, true},
		"the quota drifts": {func(e *env, w *person, _ []Filed) {
			e.exec(`UPDATE account_usage SET bytes = bytes + 1 WHERE account_id = $1`, w.id)
		}, []string{KindUsage}, true},
		"a refs is wrong": {func(e *env, _ *person, f []Filed) {
			e.exec(`UPDATE message SET refs = 5 WHERE id = $1`, f[1].Message)
		}, []string{KindRefs}, true},
		"a place without a message": {func(e *env, w *person, _ []Filed) {
			e.exec(`INSERT INTO mailbox_message VALUES ($1, 1, 999999, 3, 1)`, w.inbox)
			e.exec(`UPDATE mailbox SET uid_next = 4, total = 3 WHERE key = $1`, w.inbox)
		}, []string{KindDangling}, false},
		"a place without a mailbox": {func(e *env, _ *person, _ []Filed) {
			e.exec(`INSERT INTO mailbox_message SELECT 999999, 1, key, 1, 1 FROM message LIMIT 1`)
			e.exec(`UPDATE message SET refs = (SELECT count(*) FROM mailbox_message WHERE message_key = key)`)
		}, []string{KindRefs, KindDangling}, false},
		"a message without a place": {func(e *env, w *person, f []Filed) {
			e.exec(`INSERT INTO message (id, account_id, file, size, sha256, internal_date, list, meta)
				SELECT gen_random_uuid(), account_id, 'x', size, sha256, now(), list, meta FROM message WHERE id = $1`, f[1].Message)
		}, []string{KindDangling}, false},
		"a message of another account": {func(e *env, w *person, f []Filed) {
			other := e.person()
			e.exec(`UPDATE message SET account_id = $2 WHERE id = $1`, f[1].Message, other.id)
		}, []string{KindForeign}, false},
		"no inbox": {func(e *env, w *person, _ []Filed) {
			e.exec(`UPDATE mailbox SET name = 'gone' WHERE key = $1`, w.inbox)
		}, []string{KindNoInbox}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			w, bystander := e.person(), e.person()
			filed := w.deliver(2)
			bystander.deliver(2)
			if r := e.verify(VerifyOptions{Hash: true}); !r.Clean() || r.Total != 0 || r.Accounts != 2 || r.Mailboxes != 12 || r.Messages != 4 || r.Files != 4 {
				t.Fatalf("before: %+v", r)
			}
			c.damage(e, w, filed)
			r := e.verify(VerifyOptions{Hash: true})
			var got []string
			for _, f := range r.Findings {
				got = append(got, f.Kind)
			}
			if name == "a message of another account" {
				got = slices.DeleteFunc(got, func(k string) bool { return k == KindMissing || k == KindOrphan })
			}
			if !slices.Equal(got, c.kinds) || r.Clean() {
				t.Fatalf("found %v, want %v: %+v", got, c.kinds, r.Findings)
			}
			if !c.fixed {
				return
			}
			if r := e.verify(VerifyOptions{Fix: true}); !r.Clean() || r.Fixed != len(c.kinds) {
				t.Fatalf("not fixed: %+v", r)
			}
			if r := e.verify(VerifyOptions{Hash: true}); r.Total != 0 {
				t.Fatalf("after the fix: %+v", r)
			}
			e.recount(t)
			if got := w.deliver(1)[0].UID; got != 3 {
				t.Fatalf("the next letter got uid %d", got)
			}
		})
	}
}

func TestAMissingBodyIsSaidAsSuchAndOtherMailIsServed_D27(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(2)
	rows := w.readRows(AllUIDs(), WantList)
	if err := e.bodies.Remove(t.Context(), w.id.String(), rows[0].File); err != nil {
		t.Fatal(err)
	}
	_, err := e.OpenBody(t.Context(), w.p, w.id, rows[0].File)
	if !fault.Is(err, fault.Gone) || fault.CodeOf(err) != "content_missing" {
		t.Fatalf("got %v", err)
	}
	c, err := e.OpenBody(t.Context(), w.p, w.id, rows[1].File)
	if err != nil || c.Size() != int64(len(sample)) {
		t.Fatalf("%v", err)
	}
	c.Close()
	if len(w.uids(w.inbox)) != 2 {
		t.Fatal("a message vanished with its file")
	}
}

func TestAnExpungedBodyStaysReadableForTenMinutes_D25_D37(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(2)
	if _, err := e.Copy(t.Context(), w.p, w.inbox, UIDs(2), w.box("Archive").Key); err != nil {
		t.Fatal(err)
	}
	rows := w.readRows(AllUIDs(), WantList)
	if _, err := e.Store(t.Context(), w.p, w.inbox, AllUIDs(), FlagChange{Add: []mail.Flag{mail.Deleted}}); err != nil {
		t.Fatal(err)
	}
	got, err := e.Expunge(t.Context(), w.p, w.inbox, nil)
	if err != nil || !slices.Equal(got.UIDs, UIDRanges{{1, 2}}) {
		t.Fatalf("%+v, %v", got, err)
	}
	if n, err := e.CollectGarbage(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d files went at once, %v", n, err)
	}
	for _, r := range rows {
		c, err := e.OpenBody(t.Context(), w.p, w.id, r.File)
		if err != nil {
			t.Fatalf("a session that has not heard of the expunge reads nothing: %v", err)
		}
		c.Close()
	}
	e.exec(`UPDATE body_garbage SET at = now() - interval '11 minutes'`)
	for want := 1; want >= 0; want-- {
		if n, err := e.CollectGarbage(t.Context()); n != want || err != nil {
			t.Fatalf("%d files went, want %d, %v", n, want, err)
		}
	}
	if c, err := e.OpenBody(t.Context(), w.p, w.id, rows[1].File); err != nil {
		t.Fatal("the file of a copy that still exists was removed")
	} else {
		c.Close()
	}
	if r := e.verify(VerifyOptions{Hash: true, Grace: time.Nanosecond}); !r.Clean() || r.Messages != 1 || r.Files != 1 {
		t.Fatalf("%+v", r)
	}
}

// When the log no longer reaches back to what a view knows, the mailbox is read again.
func TestAViewOlderThanTheLogIsReadAgain_D35(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(5)
	second := e.node(e.openPool(e.dsn), e.bodies, Options{})
	old, _, err := second.View(t.Context(), w.p, w.inbox)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Remove(t.Context(), w.p, w.inbox, UIDs(2, 4)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Store(t.Context(), w.p, w.inbox, UIDs(1), FlagChange{Add: []mail.Flag{mail.Seen}}); err != nil {
		t.Fatal(err)
	}
	if m, err := e.Maintain(t.Context()); err != nil || m.Changes != 0 {
		t.Fatalf("the log lost what it must keep for 30 days: %+v, %v", m, err)
	}
	e.exec(`UPDATE mailbox_change SET at = now() - interval '31 days'`)
	if m, err := e.Maintain(t.Context()); err != nil || m.Changes != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	v, _, err := second.View(t.Context(), w.p, w.inbox)
	if err != nil {
		t.Fatal(err)
	}
	checkView(t, v, e.rows(w.inbox))
	if n := e.rereads.Load(); n != 1 {
		t.Fatalf("read again %d times", n)
	}
	if d := Compare(old, v); len(d.Expunged) != 2 || len(d.Changed) != 1 {
		t.Fatalf("the session is told %+v", d)
	}
}

func TestCachedViewsAreBoundedAndSharedBetweenSessions(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	s := New(e.pool, e.bodies, e.bus, e.clk, e.log, Options{ViewEntries: 3 * (1000 + slotCost)})
	var keys []int64
	for i := range 5 {
		m := w.create("m" + string(rune('a'+i)))
		e.seed(w, m.Key, 1000)
		keys = append(keys, m.Key)
	}
	views := map[int64]*View{}
	for _, key := range keys {
		v, _, err := s.View(t.Context(), w.p, key)
		if err != nil || v.Len() != 1000 {
			t.Fatalf("%v", err)
		}
		views[key] = v
	}
	for i, key := range keys {
		v, _, err := s.View(t.Context(), w.p, keys[len(keys)-1-i])
		if err != nil {
			t.Fatal(err)
		}
		if shared := v == views[keys[len(keys)-1-i]]; shared != (i < 3) {
			t.Errorf("mailbox %d: the cached view is shared: %t", key, shared)
		}
	}
	s.views.mu.Lock()
	used, slots := s.views.used, len(s.views.slots)
	s.views.mu.Unlock()
	if used > s.views.max || slots > 3 {
		t.Fatalf("the cache counts %d messages in %d views", used, slots)
	}
}
