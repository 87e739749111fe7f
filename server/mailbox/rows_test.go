package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

const multipart = "From: =?utf-8?q?J=C3=B6rg?= <j@example.test>\r\nTo: a@example.test, \"B, C\" <b@example.test>\r\nCc: c@example.test\r\n" +
	"Subject: =?utf-8?b?w5xiZXI=?=\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nThe text\r\nof it.\r\n--x\r\nContent-Type: application/pdf\r\n" +
	"Content-Disposition: attachment; filename=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x--\r\n"

func scanned(tb testing.TB, text string) *mime.Message {
	tb.Helper()
	m, err := mime.Scan(strings.NewReader(text), int64(len(text)))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestTheListColumnHoldsWhatFetchSends(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 11, 2, 9, 8, 7, 0, time.FixedZone("", 3600))
	for _, text := range []string{sample, multipart, "", "\r\n"} {
		m := scanned(t, text)
		l, err := ParseList(renderList(m, 123456789012, date))
		if err != nil {
			t.Fatal(err)
		}
		if string(l.Size) != "123456789012" || string(l.InternalDate) != `" 2-Nov-2026 08:08:07 +0000"` {
			t.Fatalf("%s %s", l.Size, l.InternalDate)
		}
		if !bytes.Equal(l.Envelope, mime.AppendEnvelope(nil, m.Envelope)) || !bytes.Equal(l.BodyStructure, mime.AppendBodyStructure(nil, m.Root, true)) {
			t.Fatalf("%s %s", l.Envelope, l.BodyStructure)
		}
		if l.Attachments != strings.Contains(text, "a.pdf") {
			t.Fatalf("attachments %t", l.Attachments)
		}
	}
}

func FuzzParseList(f *testing.F) {
	good := renderList(scanned(f, multipart), 10, time.Unix(1e9, 0))
	f.Add(good)
	f.Add(good[:20])
	f.Add([]byte{1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseList(b)
		if err == nil && len(l.Size)+len(l.InternalDate)+len(l.Envelope)+len(l.BodyStructure)+listHeader != len(b) {
			t.Fatal("parts are missing")
		}
	})
}

func FuzzParseUIDs(f *testing.F) {
	f.Add(UIDs(1, 2, 9).bytes())
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseUIDs(b)
		if err != nil {
			return
		}
		for i, x := range got {
			if x.First > x.Last || x.First == 0 || x.Last > MaxUID || i > 0 && got[i-1].Last+1 >= x.First {
				t.Fatalf("%v", got)
			}
		}
	})
}

func TestDatesOutsideOfImapsRangeBecomeNow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 2, 9, 8, 7, 99, time.UTC)
	for _, bad := range []time.Time{{}, time.Unix(-1, 0), time.Date(292277, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if got := cleanDate(bad, now); !got.Equal(now.Truncate(time.Second)) {
			t.Errorf("%v became %v", bad, got)
		}
	}
	if got := cleanDate(time.Date(1999, 5, 6, 7, 8, 9, 10, time.FixedZone("", -3600)), now); !got.Equal(time.Date(1999, 5, 6, 8, 8, 9, 0, time.UTC)) {
		t.Errorf("got %v", got)
	}
}

func (w *person) readRows(uids UIDRanges, want Items) []Row {
	w.e.t.Helper()
	var out []Row
	err := w.e.Rows(w.e.t.Context(), w.p, w.inbox, uids, want, func(r *Row) error {
		c := *r
		c.List, c.Meta = bytes.Clone(r.List), bytes.Clone(r.Meta)
		out = append(out, c)
		return nil
	})
	if err != nil {
		w.e.t.Fatal(err)
	}
	return out
}

func TestRowsGiveEveryMessageOnceInOrder(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	e.seed(w, w.inbox, 2600)
	e.exec(`DELETE FROM mailbox_message WHERE mailbox_key = $1 AND uid % 7 = 0`, w.inbox)
	all := e.rows(w.inbox)
	sets := map[string]UIDRanges{
		"all": AllUIDs(), "none": UIDs(7, 14), "one": UIDs(5), "beyond": {{9000, 9999}}, "wide": {{3, 1600}}, "exactly a chunk": {{1, 1166}},
		"many small": UIDs(1, 3, 5, 9, 2000), "small and wide": {{1, 2}, {10, 1500}, {1600, 1601}, {1700, 1710}, {2599, 2700}},
	}
	var comb UIDRanges
	for i := uint32(1); i < 2600; i += 2 {
		comb = append(comb, UIDRange{i, i})
	}
	sets["a comb"] = comb
	for name, set := range sets {
		var want []uint32
		for _, x := range all {
			if set.Normal().Has(x.UID) {
				want = append(want, x.UID)
			}
		}
		var got []uint32
		for i, r := range w.readRows(set, WantList) {
			got = append(got, r.UID)
			if r.Key == 0 || r.ID.IsZero() || r.Account != w.id || r.Size == 0 || len(r.List) == 0 || r.Meta != nil {
				t.Fatalf("%s: row %d is %+v", name, i, r)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, want %d", name, len(got), len(want))
		}
	}
	stop := errors.New("enough")
	n := 0
	err := e.Rows(t.Context(), w.p, w.inbox, AllUIDs(), 0, func(r *Row) error {
		if r.List != nil {
			t.Error("a column that nobody asked for was read")
		}
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 3 {
		t.Fatalf("stopped after %d with %v", n, err)
	}
}

// seed fills a mailbox with n rows without files.
func (e *env) seed(w *person, key int64, n int) {
	e.t.Helper()
	m := scanned(e.t, multipart)
	meta, err := m.Encode()
	if err != nil {
		e.t.Fatal(err)
	}
	e.exec(`WITH g AS (
			INSERT INTO message (id, account_id, file, size, sha256, internal_date, list, meta)
			SELECT gen_random_uuid(), $2::uuid, 'f' || i, 1000, '\x00'::bytea, now(), $4, $5 FROM generate_series(1, $3::int) i RETURNING key
		) INSERT INTO mailbox_message (mailbox_key, modseq, message_key, uid, flags)
		SELECT $1::bigint, 2, key, (row_number() OVER (ORDER BY key))::int, 0 FROM g`,
		key, w.id, n, renderList(m, 1000, time.Unix(1e9, 0)), meta)
	e.exec(`UPDATE mailbox SET modseq = 2, uid_next = $2::int + 1, total = $2, unseen = $2, bytes = 1000 * $2::bigint WHERE key = $1`, key, n)
	e.exec(`UPDATE account_usage SET messages = messages + $2::int, bytes = bytes + 1000 * $2::bigint WHERE account_id = $1`, w.id, n)
}

func TestTheListForPeopleShowsNewestFirstPageByPage(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	for i := range 5 {
		l := w.letter(multipart)
		if i == 2 {
			l.Flags = []mail.Flag{mail.Seen, mail.Flagged, "$k"}
		}
		if _, err := e.Deliver(t.Context(), []Letter{l}); err != nil {
			t.Fatal(err)
		}
	}
	inbox := w.box(Inbox).ID
	var got []uint32
	q := MessageQuery{Limit: 2}
	for {
		page, next, err := e.Messages(t.Context(), w.p, inbox, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page {
			got = append(got, x.UID)
		}
		if next == 0 {
			break
		}
		q.Before = next
	}
	if !slices.Equal(got, []uint32{5, 4, 3, 2, 1}) {
		t.Fatalf("uids %v", got)
	}
	page, _, err := e.Messages(t.Context(), w.p, inbox, MessageQuery{Flagged: true})
	if err != nil || len(page) != 1 {
		t.Fatalf("%v, %v", page, err)
	}
	x := page[0]
	if x.Subject != "Über" || x.From[0] != (mime.Address{Name: "Jörg", Email: "j@example.test"}) || len(x.To) != 2 || x.To[1].Name != "B, C" ||
		len(x.Cc) != 1 || x.Preview != "The text of it." || !slices.Equal(x.Attachments, []string{"a.pdf"}) || x.Size != int64(len(multipart)) ||
		!slices.Equal(x.Flags, []mail.Flag{mail.Seen, mail.Flagged, "$k"}) || x.Date.Unix() != time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC).Unix() {
		t.Fatalf("summary %+v", x)
	}
	if page, _, err := e.Messages(t.Context(), w.p, inbox, MessageQuery{Unseen: true}); err != nil || len(page) != 4 {
		t.Fatalf("%d unseen, %v", len(page), err)
	}
	if _, _, err := e.Messages(t.Context(), w.p, inbox, MessageQuery{Limit: 201}); !fault.Is(err, fault.Invalid) {
		t.Fatalf("got %v", err)
	}
	msg, err := e.Message(t.Context(), w.p, x.ID)
	if err != nil || fmt.Sprint(msg.Summary()) != fmt.Sprint(x) {
		t.Fatalf("the message alone is shown differently: %+v, %v", msg.Summary(), err)
	}
}

func TestAMessageIsChangedMovedAndDeletedByItsId(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	id := w.deliver(2)[0].Message
	archive, trash := w.box("Archive"), w.box("Trash")
	if _, err := e.Copy(t.Context(), w.p, w.inbox, UIDs(1), archive.Key); err != nil {
		t.Fatal(err)
	}
	if err := e.SetFlags(t.Context(), w.p, id, FlagChange{Add: []mail.Flag{mail.Flagged, "new"}}); err != nil {
		t.Fatal(err)
	}
	msg, err := e.Message(t.Context(), w.p, id)
	if err != nil || len(msg.Places) != 2 {
		t.Fatalf("%+v, %v", msg, err)
	}
	for _, at := range msg.Places {
		if !slices.Equal(at.Flags, []mail.Flag{mail.Flagged, "new"}) {
			t.Fatalf("place %+v", at)
		}
	}
	for range 2 { // moving again changes nothing
		if err := e.MoveMessage(t.Context(), w.p, id, trash.ID); err != nil {
			t.Fatal(err)
		}
		msg, err = e.Message(t.Context(), w.p, id)
		if err != nil || len(msg.Places) != 1 || msg.Places[0].Mailbox != trash.ID || msg.Places[0].UID != 1 {
			t.Fatalf("%+v, %v", msg.Places, err)
		}
	}
	if err := e.DeleteMessage(t.Context(), w.p, id); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Message(t.Context(), w.p, id); !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
	if err := e.DeleteMessage(t.Context(), w.p, id); !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
	e.recount(t)
}

func TestAnAppendIsDurableAndAllOrNothing_D39(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	item := func(text string) Item {
		sp := e.NewSpool()
		t.Cleanup(func() { sp.Close() })
		if _, err := sp.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return Item{Body: sp, Flags: []mail.Flag{mail.Draft}, Date: time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)}
	}
	filed, err := e.Append(t.Context(), w.p, w.id, "Drafts", item(sample), item("no header at all\x00\r\n"))
	if err != nil || filed[0].UID != 1 || filed[1].UID != 2 || filed[0].UIDValidity != w.box("Drafts").UIDValidity {
		t.Fatalf("%+v, %v", filed, err)
	}
	msg, err := e.Message(t.Context(), w.p, filed[1].Message)
	if err != nil || !msg.InternalDate.Equal(time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)) {
		t.Fatalf("%+v, %v", msg, err)
	}
	for name, want := range map[string]fault.Kind{"no/such": fault.NotFound, "../x": fault.NotFound} {
		if _, err := e.Append(t.Context(), w.p, w.id, name, item(sample)); !fault.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e.exec(`UPDATE account SET quota_bytes = $2 WHERE id = $1`, w.id, int64(2*len(sample)+30))
	if _, err := e.Append(t.Context(), w.p, w.id, "Drafts", item(sample), item(sample)); !fault.Is(err, fault.OverQuota) {
		t.Fatalf("got %v", err)
	}
	if got := w.box("Drafts").Total; got != 2 {
		t.Fatalf("half of an append was stored: %d", got)
	}
	// Deliveries were checked at RCPT and are stored above the quota: the sender was told yes.
	w.deliver(2)
	e.recount(t)
	if r := e.verify(VerifyOptions{Hash: true, Grace: time.Nanosecond}); !r.Clean() {
		t.Fatalf("%+v", r)
	}
}

func TestAnAppendToAMailboxThatIsRenamedMeanwhileDoesNotGoElsewhere(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	m := w.box("Archive")
	if _, err := e.Rename(t.Context(), w.p, m.Key, "Old"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.appendLetters(context.Background(), m, []Letter{w.letter(sample)}); !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestAFullMailboxRefusesCopiesAndAppendsButNoMail_L11(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(3)
	small := e.node(e.pool, e.bodies, Options{MaxMessages: 3})
	sp := e.NewSpool()
	defer sp.Close()
	if _, err := small.Append(t.Context(), w.p, w.id, Inbox, Item{Body: sp}); fault.CodeOf(err) != "message-limit" {
		t.Fatalf("got %v", err)
	}
	if _, err := small.Copy(t.Context(), w.p, w.inbox, AllUIDs(), w.inbox); fault.CodeOf(err) != "message-limit" {
		t.Fatalf("got %v", err)
	}
	if _, err := small.Deliver(t.Context(), []Letter{w.letter(sample)}); err != nil {
		t.Fatalf("mail was refused: %v", err)
	}
}

func TestRowsElsewhereGivesMovedMessagesAndNoOthers_D37_S43(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w, stranger := e.person(), e.person()
	w.deliver(3)
	stranger.deliver(1)
	listed := slices.Collect(values(w.view(w.inbox)))
	hers := slices.Collect(values(stranger.view(stranger.inbox)))[0]
	before := w.readRows(AllUIDs(), WantMeta)
	if _, err := e.Move(t.Context(), w.p, w.inbox, UIDs(2), w.box("Archive").Key); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Remove(t.Context(), w.p, w.inbox, UIDs(3)); err != nil {
		t.Fatal(err)
	}
	hers.UID = 9
	var got []string
	yield := func(r *Row) error {
		got = append(got, fmt.Sprint(r.UID, r.File))
		return nil
	}
	if err := e.RowsElsewhere(t.Context(), w.p, w.inbox, append(listed[1:], hers), WantMeta, yield); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprint(2, before[1].File); len(got) != 1 || got[0] != want {
		t.Fatalf("got %q, want %q alone: the one that was moved, neither the expunged one nor a stranger's", got, want)
	}
	if err := e.RowsElsewhere(t.Context(), stranger.p, w.inbox, listed, 0, yield); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a stranger's question was answered with %v", err)
	}
}
