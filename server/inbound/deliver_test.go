package inbound_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// D-1, D-8, I-58: each account has its own bytes, with the fields of final delivery on top.
func TestALetterIsStoredForEverybodyWithItsTrace_D8_I58(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann, bob := w.user("ann@d.test"), w.user("jörg@bücher.test")
	w.clk.Set(w.peer().At.Truncate(1e9))
	one := w.mustDeliver(plain, "ann@d.test")
	two := w.mustDeliver(plain, "ANN@d.test", "jörg@bücher.test")
	if box := w.inbox(ann.ID); len(box) != 2 || box[0].text != top("ann@d.test", one, " for <ann@d.test>")+plain || box[1].text != top("ANN@d.test", two, "")+plain {
		t.Errorf("ann has %+v", box)
	}
	if box := w.inbox(bob.ID); len(box) != 1 || box[0].text != top("jörg@bücher.test", two, "")+plain {
		t.Errorf("bob has %+v", box)
	}
	var n int
	err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM event WHERE type = 'message.received' AND data->>'receipt' = $1`, two).Scan(&n)
	if err != nil || n != 2 {
		t.Errorf("%d events of two arrivals, %v", n, err)
	}
	var id mail.EventID
	if err := id.UnmarshalText([]byte(two)); err != nil {
		t.Fatal(err)
	}
	if err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM event WHERE id = $1`, id).Scan(&n); err != nil || n != 1 {
		t.Errorf("the receipt names %d events, %v", n, err)
	}
}

func TestAnAccountGetsALetterOnceHoweverItIsAddressed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.user("jörg@bücher.test")
	w.mustDeliver(plain, "jörg@bücher.test", "jörg@bücher.test", "JÖRG@Bücher.test", "jörg@xn--bcher-kva.test", "jo\u0308rg@bücher.test")
	if box := w.inbox(ann.ID); len(box) != 1 || !contains(box[0].text, "\r\nDelivered-To: jörg@bücher.test\r\n") || contains(box[0].text, " for <") {
		t.Fatalf("got %+v", box)
	}
	if left := w.left(); len(left) != 1 {
		t.Fatalf("files %v", left)
	}
}

// D-2: one recipient that cannot be stored means that none is.
func TestALetterIsStoredForAllOrForNobody_D2_I43(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ann@d.test")
	w.user("bob@d.test")
	carl := w.user("carl@d.test")
	large := fields + "\r\n" + strings.Repeat("0123456789abcdef\r\n", 100_000)
	for _, tc := range []struct {
		op    body.Op
		owner string
		cause error
		kind  fault.Kind
	}{
		{body.OpCreate, carl.ID.String(), syscall.EMFILE, fault.Unavailable},
		{body.OpWrite, carl.ID.String(), syscall.ENOSPC, fault.Storage},
		{body.OpSync, carl.ID.String(), syscall.EIO, fault.Unavailable},
		{body.OpRename, carl.ID.String(), syscall.EDQUOT, fault.Storage},
		{body.OpSyncDir, carl.ID.String(), syscall.EIO, fault.Unavailable},
		{body.OpWrite, "tmp/", syscall.ENOSPC, fault.Storage}, // the spool
	} {
		w.failing(tc.op, tc.owner, tc.cause)
		_, err := w.deliver(large, "ann@d.test", "bob@d.test", "carl@d.test")
		w.healed()
		if !fault.Is(err, tc.kind) {
			t.Errorf("%s: %v", tc.op, err)
		}
		w.nothing(string(tc.op))
	}
	w.mustDeliver(large, "ann@d.test", "bob@d.test", "carl@d.test")
}

// What is final for one recipient must not bounce the letter for the others.
func TestARecipientWhoLeavesBetweenRcptAndDotBouncesNobodyElse_D2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ann@d.test")
	disable(w, w.user("off@d.test"))
	for _, gone := range []string{"nobody@d.test", "off@d.test", "x@far.test"} {
		if _, err := w.deliver(plain, "ann@d.test", gone); !fault.Is(err, fault.Unavailable) {
			t.Errorf("ann and %s: %v, want a temporary error", gone, err)
		}
		if _, err := w.deliver(plain, gone); err == nil || fault.KindOf(err).Temporary() {
			t.Errorf("%s alone: %v, want a final error", gone, err)
		}
		w.nothing(gone)
	}
}

func TestALetterThatBreaksOffLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ann@d.test")
	lost := fault.New(fault.Unavailable, "connection-lost", "lost")
	env := mail.Envelope{Recipients: []mail.Address{address(t, "ann@d.test")}}
	for _, size := range []int{0, 10, 3 << 20} {
		cut := io.MultiReader(strings.NewReader(fields+"\r\n"+strings.Repeat("x", size)), broken{lost})
		if _, err := w.in.Deliver(t.Context(), w.peer(), env, cut); !errors.Is(err, lost) {
			t.Errorf("got %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.in.Deliver(ctx, w.peer(), env, strings.NewReader(plain)); err == nil {
		t.Error("delivered for a client that had gone")
	}
	if _, err := w.in.Deliver(t.Context(), w.peer(), mail.Envelope{}, strings.NewReader(plain)); err == nil {
		t.Error("a letter for nobody has a receipt")
	}
	w.nothing("afterwards")
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// I-44: nothing is guessed while the database is away.
func TestADatabaseThatIsDownRefusesForNow_I44(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ann@d.test")
	w.mustDeliver(plain, "ann@d.test")
	before := len(w.left())
	hold := stopDatabase(t, w)
	for _, to := range []string{"ann@d.test", "nobody@d.test", "postmaster@d.test"} {
		if err := w.rcpt(to); !fault.Is(err, fault.Unavailable) {
			t.Errorf("RCPT %s: %v", to, err)
		}
	}
	if _, err := w.deliver(plain, "ann@d.test"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("DATA: %v", err)
	}
	if n := len(w.left()); n != before {
		t.Errorf("%d files, before %d", n, before)
	}
	hold()
	for i := 0; ; i++ { // connections that died are used up
		if _, err := w.deliver(plain, "ann@d.test"); err == nil {
			break
		} else if i == 20 {
			t.Fatal(err)
		}
	}
}

// stopDatabase ends all connections and lets no new ones in until the returned function is called.
func stopDatabase(t *testing.T, w *world) (start func()) {
	t.Helper()
	cfg := w.pool.Config().ConnConfig
	name := cfg.Database
	cfg.Database = "postgres"
	admin, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close(context.Background()) })
	do := func(sql string, args ...any) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	do(fmt.Sprintf(`ALTER DATABASE %q WITH ALLOW_CONNECTIONS false`, name))
	do(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, name)
	return func() { do(fmt.Sprintf(`ALTER DATABASE %q WITH ALLOW_CONNECTIONS true`, name)) }
}

// The offsets that FETCH uses are those of the stored bytes, also when fields were taken out above them.
func TestOffsetsOfAStoredLetterAreThoseOfItsBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.user("ann@d.test")
	const multi = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n--b\r\n" +
		"Content-Type: message/rfc822\r\n\r\nFrom: in@far.test\r\nSubject: inner\r\n\r\ninner body\r\n--b--\r\n"
	for name, head := range map[string]string{
		"nothing to drop": fields,
		"forged results":  "Authentication-Results: host.test; dmarc=pass\r\n" + fields + "Return-Path: <y@far.test>\r\nAuthentication-Results:\r\n HOST.test; x\r\n",
		"a leading fold":  "\tdmarc=pass\r\n" + fields,
	} {
		w.mustDeliver(head+multi, "ann@d.test")
		box := w.inbox(ann.ID)
		got := box[len(box)-1]
		meta, err := mime.Decode(got.meta)
		if err != nil {
			t.Fatal(err)
		}
		if meta.Size != int64(len(got.text)) || got.size != meta.Size {
			t.Errorf("%s: size %d and %d, stored %d", name, meta.Size, got.size, len(got.text))
		}
		if strings.Count(got.text, "Authentication-Results") != 1 || strings.Count(got.text, "Return-Path") != 1 {
			t.Errorf("%s: what must not be believed is there:\n%s", name, got.text)
		}
		r := strings.NewReader(got.text)
		whole, err := mime.Scan(r, r.Size())
		if err != nil {
			t.Fatal(err)
		}
		same(t, name, got.text, meta, meta.Root, whole, whole.Root)
	}
}

// same compares the bytes that two structures of a message point at.
func same(t *testing.T, name, text string, a *mime.Message, p *mime.Part, b *mime.Message, q *mime.Part) {
	t.Helper()
	cut := func(m *mime.Message, p *mime.Part) string { return text[m.Prefix+p.BodyStart : m.Prefix+p.BodyEnd] }
	if cut(a, p) != cut(b, q) || p.Type != q.Type || len(p.Children) != len(q.Children) {
		t.Errorf("%s: part %s/%s is %q, want %q", name, p.Type, p.Subtype, cut(a, p), cut(b, q))
		return
	}
	left, err1 := mime.Header(strings.NewReader(text), a, p)
	right, err2 := mime.Header(strings.NewReader(text), b, q)
	if err1 != nil || err2 != nil || fmt.Sprint(left) != fmt.Sprint(right) {
		t.Errorf("%s: header %v, want %v (%v, %v)", name, left, right, err1, err2)
	}
	for i := range p.Children {
		same(t, name, text, a, p.Children[i], b, q.Children[i])
	}
}

func TestLettersThatCannotBeAnsweredOrGoInCirclesAreRefused_I34_I46(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("jörg@bücher.test")
	w.user("ann@d.test")
	received := "Received: from a by b; Wed, 25 Nov 2026 10:00:00 +0000\r\n"
	for name, tc := range map[string]struct{ text, code string }{
		"no From":               {"Subject: x\r\n\r\nx\r\n", "message-rejected"},
		"no header":             {"\r\nFrom: x@far.test\r\n", "message-rejected"},
		"nothing":               {"", "message-rejected"},
		"From without address":  {"From: nobody\r\n\r\nx\r\n", "message-rejected"},
		"two From":              {"From: a@far.test\r\nFrom: b@far.test\r\n\r\nx\r\n", "message-rejected"},
		"too many hops":         {strings.Repeat(received, 51) + plain, "mail-loop"},
		"was here":              {"Delivered-To: ann@d.test\r\n" + plain, "mail-loop"},
		"was here, other case":  {"DELIVERED-TO:\r\n ANN@D.test\r\n" + plain, "mail-loop"},
		"was here, IDN":         {"Delivered-To: JÖRG@xn--bcher-kva.test\r\n" + plain, "mail-loop"},
		"too many trace fields": {"From: x@far.test\r\n" + strings.Repeat("Return-Path: <x@far.test>\r\n", 1000) + "\r\nx\r\n", "message-rejected"},
	} {
		if _, err := w.deliver(tc.text, "ann@d.test", "jörg@bücher.test"); fault.CodeOf(err) != tc.code || fault.KindOf(err).Temporary() {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.nothing("refused letters")
	w.mustDeliver(strings.Repeat(received, 50)+"Delivered-To: other@d.test\r\nDelivered-To: no address\r\n"+plain, "ann@d.test")
}

// One mailbox that many letters come for at once gets them all.
func TestManyLettersAtOnceAllArrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann, bob := w.user("ann@d.test"), w.user("bob@d.test")
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, err := w.deliver(plain, "ann@d.test", "bob@d.test"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if a, b := len(w.inbox(ann.ID)), len(w.inbox(bob.ID)); a != 30 || b != 30 {
		t.Errorf("%d and %d", a, b)
	}
}
