package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// batchOf makes sound emails, one to each address, and whatever is changed in them.
func (w *world) batchOf(n int, change ...func([]outbound.BatchItem)) []outbound.BatchItem {
	w.t.Helper()
	items := make([]outbound.BatchItem, n)
	for i := range items {
		items[i].Draft = w.draft(fmt.Sprintf("u%d@far.test", i))
	}
	for _, f := range change {
		f(items)
	}
	return items
}

// bad spoils the emails 1 and 3 of a batch in three places, and 4 before it comes here.
func bad(items []outbound.BatchItem) {
	items[1].Draft.Subject, items[1].Draft.Text = "a\nb", ""
	items[3].Draft.From.Address.Domain = "far.test"
	items[4].Err = &fault.Error{
		Kind: fault.Invalid, Code: "unknown-field", Text: "body.x is not a field of this operation", Field: "body.x",
		Details: []fault.Detail{{Field: "body.x", Code: "unknown-field", Text: "is not a field of this operation"}},
	}
}

func places(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return fmt.Sprint(err)
	}
	out := []string{f.Kind.String() + " " + f.Code}
	for _, d := range f.Details {
		out = append(out, d.Field+" "+d.Code)
	}
	return strings.Join(out, ", ")
}

// D-14: all bytes are durable before any row, and the rows appear together.
func TestABatchIsOneDirectorySyncAndOneTransaction_D14(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.accept("x@far.test") // makes the directory
	var files, dirs, early atomic.Int64
	count := func(st body.Step) error {
		switch {
		case st.Op == body.OpSync:
			files.Add(1)
		case st.Op == body.OpSyncDir && filepath.Base(filepath.Dir(st.Name)) == body.Outbound:
			dirs.Add(1)
			early.Store(files.Load())
		}
		return nil
	}
	w.hook.Store(&count)
	const n = 50
	results, err := w.out.AcceptBatch(t.Context(), system(), w.batchOf(n), outbound.AllOrNothing)
	if err != nil {
		t.Fatal(err)
	}
	w.healed()
	if files.Load() != n || dirs.Load() != 1 || early.Load() != n {
		t.Errorf("%d files synced, %d directories, %d files before the directory", files.Load(), dirs.Load(), early.Load())
	}
	if got := query[int](w, `SELECT count(DISTINCT xmin::text) FROM email WHERE envelope_from = 'shop@d.test' AND id <> (SELECT min(id::text)::uuid FROM email)`); got != 1 {
		t.Errorf("%d transactions", got)
	}
	for i, r := range results {
		got := w.get(r.Email.ID)
		if got.Recipients[0].Address.String() != fmt.Sprintf("u%d@far.test", i) || got.MessageID != r.Email.MessageID {
			t.Fatalf("email %d is %+v", i, got)
		}
		text := w.stored(body.Outbound, got.File)
		if !strings.Contains(text, fmt.Sprintf("To: u%d@far.test\r\n", i)) || w.events(got.ID) != "email.accepted" {
			t.Fatalf("email %d, events %q:\n%s", i, w.events(got.ID), text)
		}
	}
}

func TestOneBadEmailRefusesTheWholeBatchAndNamesEveryPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	_, err := w.out.AcceptBatch(t.Context(), system(), w.batchOf(5, bad), outbound.AllOrNothing)
	want := "invalid validation-failed, body[1].subject validation-failed, body[1].text validation-failed, body[3].from sender-not-verified, body[4].x unknown-field"
	if got := places(err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if fault.Public(err) != "body[1].subject: contains a line break or another control character; remove it" {
		t.Errorf("the text is %q", fault.Public(err))
	}
	// When all say the same, it is said by its own code.
	key := mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:send"}, Domains: []mail.DomainID{w.other.ID}}
	_, err = w.out.AcceptBatch(t.Context(), key, w.batchOf(2), outbound.AllOrNothing)
	if got := places(err); got != "forbidden domain-forbidden, body[0].from domain-forbidden, body[1].from domain-forbidden" {
		t.Errorf("got %s", got)
	}
	// What only shows when the message is composed.
	items := w.batchOf(3, func(items []outbound.BatchItem) { items[2].Draft.Text = strings.Repeat("x", 2<<20) })
	_, err = w.out.AcceptBatch(t.Context(), system(), items, outbound.AllOrNothing)
	if got := places(err); got != "too_large message-too-large, body[2] message-too-large" {
		t.Errorf("got %s", got)
	}
	w.nothingIsLeft("a refused batch")
}

// nothingIsLeft checks that nothing was accepted.
func (w *world) nothingIsLeft(after string) {
	w.t.Helper()
	if n := query[int](w, `SELECT count(*) FROM email`); n != 0 || len(w.files(body.Outbound)) != 0 {
		w.t.Errorf("%s: %d emails, files %v", after, n, w.files(body.Outbound))
	}
}

func TestABatchPerItemSendsTheSoundOnesAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	items := w.batchOf(6, bad, func(items []outbound.BatchItem) { items[5].Draft.Text = strings.Repeat("x", 2<<20) })
	results, err := w.out.AcceptBatch(t.Context(), system(), items, outbound.PerItem)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"", "invalid validation-failed, body[1].subject validation-failed, body[1].text validation-failed", "",
		"invalid sender-not-verified, body[3].from sender-not-verified", "invalid unknown-field, body[4].x unknown-field",
		"too_large message-too-large, body[5] message-too-large",
	} {
		r := results[i]
		switch {
		case want != "" && (r.Email != nil || places(r.Err) != want):
			t.Errorf("email %d: %v, %s, want %s", i, r.Email, places(r.Err), want)
		case want == "" && (r.Err != nil || brief(w.get(r.Email.ID)) != fmt.Sprintf("queued; u%d@far.test queued  0", i)):
			t.Errorf("email %d: %v", i, r.Err)
		}
	}
	if n := query[int](w, `SELECT count(*) FROM email`); n != 2 || len(w.files(body.Outbound)) != 2 {
		t.Errorf("%d emails, files %v", n, w.files(body.Outbound))
	}
	// All bad: nothing is made, and that is no error.
	results, err = w.out.AcceptBatch(t.Context(), system(), w.batchOf(5, bad)[3:], outbound.PerItem)
	if err != nil || len(results) != 2 || results[0].Err == nil || results[1].Err == nil {
		t.Errorf("%+v, %v", results, err)
	}
}

func TestABatchHasBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	for _, n := range []int{0, 1001} {
		if _, err := w.out.AcceptBatch(t.Context(), system(), w.batchOf(n), outbound.PerItem); fault.CodeOf(err) != "validation-failed" {
			t.Errorf("%d emails: %v", n, err)
		}
	}
	many := func(items []outbound.BatchItem) {
		for i := range items {
			for k := range 1000 {
				items[i].Draft.Bcc = append(items[i].Draft.Bcc, outbound.Party{Address: mail.Address{Local: fmt.Sprintf("b%d", k), Domain: "far.test"}})
			}
			items[i].Draft.To = nil
		}
	}
	for _, mode := range []outbound.BatchMode{outbound.AllOrNothing, outbound.PerItem} {
		if _, err := w.out.AcceptBatch(t.Context(), system(), w.batchOf(11, many), mode); fault.CodeOf(err) != "validation-failed" {
			t.Errorf("11,000 recipients: %v", err)
		}
	}
	w.nothingIsLeft("a batch beyond its bounds")
	if _, err := w.out.AcceptBatch(t.Context(), mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:read"}}, w.batchOf(1), outbound.PerItem); fault.CodeOf(err) != "scope-missing" {
		t.Errorf("without the scope: %v", err)
	}
}

// I-43: a fault of ours in the middle leaves nothing, in either mode, and is never an email's own fault.
func TestABatchThatFailsInTheMiddleLeavesNothing_I43(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	for _, mode := range []outbound.BatchMode{outbound.AllOrNothing, outbound.PerItem} {
		for _, op := range []body.Op{body.OpCreate, body.OpWrite, body.OpSync, body.OpRename, body.OpSyncDir} {
			var left atomic.Int64
			left.Store(7)
			if op == body.OpSyncDir {
				left.Store(0)
			}
			fails := func(st body.Step) error {
				if st.Op == op && strings.Contains(st.Name, body.Outbound) && left.Add(-1) < 0 {
					return syscall.ENOSPC
				}
				return nil
			}
			w.hook.Store(&fails)
			if _, err := w.out.AcceptBatch(t.Context(), system(), w.batchOf(20), mode); !fault.Is(err, fault.Storage) {
				t.Errorf("%s %s: %v", mode, op, err)
			}
			w.healed()
			w.nothingIsLeft(string(op))
		}
		boom := errors.New("boom")
		ctx := pg.BeforeCommit(t.Context(), func(context.Context, pgx.Tx) error { return boom })
		if _, err := w.out.AcceptBatch(ctx, system(), w.batchOf(20), mode); !errors.Is(err, boom) {
			t.Errorf("%s: %v", mode, err)
		}
		w.nothingIsLeft("a failed commit")
	}
}

// A crash between effect and answer: the next attempt gives the same answer, refusals included, and sends nothing again.
func TestARepeatedBatchIsAnsweredFromItsEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	keys := idem.New(w.pool, w.clk)
	key := mail.Principal{Key: mail.KeyID{1}, Scopes: []string{"emails:send"}, Domains: []mail.DomainID{w.demo.ID}}
	first, err := keys.Begin(t.Context(), request("k"))
	if err != nil {
		t.Fatal(err)
	}
	results, err := w.out.AcceptBatch(first.Context(t.Context()), key, w.batchOf(5, bad), outbound.PerItem)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.Begin(t.Context(), request("k"))
	if err != nil || again.Effect == "" {
		t.Fatalf("%+v, %v", again, err)
	}
	got, err := w.out.Batch(t.Context(), key, again.Effect)
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		if results[i].Err != nil {
			if diff := cmp.Diff(results[i].Err, got[i].Err); diff != "" {
				t.Errorf("email %d: %s", i, diff)
			}
			continue
		}
		if got[i].Email.ID != results[i].Email.ID || got[i].Email.Recipients[0].ID != results[i].Email.Recipients[0].ID {
			t.Errorf("email %d: %+v", i, got[i].Email)
		}
	}
	stranger := mail.Principal{Key: mail.KeyID{2}, Scopes: []string{"emails:send"}, Domains: []mail.DomainID{w.other.ID}}
	if _, err := w.out.Batch(t.Context(), stranger, again.Effect); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger: %v", err)
	}
	if n := query[int](w, `SELECT count(*) FROM email`); n != 2 {
		t.Errorf("%d emails", n)
	}
}

func TestAThousandEmailsAreTakenTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	results, err := w.out.AcceptBatch(t.Context(), system(), w.batchOf(outbound.MaxBatch), outbound.AllOrNothing)
	if err != nil || len(results) != outbound.MaxBatch {
		t.Fatal(err)
	}
	if n := query[int](w, `SELECT count(*) FROM email e JOIN email_recipient r ON r.email_id = e.id`); n != outbound.MaxBatch {
		t.Errorf("%d emails", n)
	}
}
