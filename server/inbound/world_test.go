package inbound_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/inbound"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

// world is what arriving mail meets: the domains d.test and bücher.test with their accounts.
type world struct {
	t        testing.TB
	clk      *clock.Fake
	pool     *pg.Pool
	dir      string
	hook     atomic.Pointer[func(body.Step) error]
	bodies   *body.Store
	domains  *domain.Service
	accounts *account.Service
	in       *inbound.Service
	demo     domain.Domain
	books    domain.Domain
}

func system() mail.Principal { return mail.System("test") }

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, clk: clock.NewFake(time.Date(2026, 11, 25, 15, 4, 5, 0, time.UTC)), pool: pgtest.DB(t), dir: t.TempDir()}
	log, notices := slog.New(slog.DiscardHandler), bus.New()
	hook := func(st body.Step) error {
		if f := w.hook.Load(); f != nil {
			return (*f)(st)
		}
		return nil
	}
	var err error
	if w.bodies, err = body.Open(body.Options{Dir: w.dir, Hook: hook}, w.clk, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.bodies.Close() })
	w.domains = domain.New(w.pool, w.clk, notices, log, domain.Config{AutoVerify: true})
	w.accounts = account.New(account.Deps{
		Pool: w.pool, Clock: w.clk, Log: log, Bus: notices, Limiter: limit.New(w.pool, w.clk, "none"), Domains: w.domains,
	}, account.Config{Argon2: account.Argon2{Time: 1, MemoryKiB: 64, Threads: 1}})
	boxes := mailbox.New(w.pool, w.bodies, notices, w.clk, log, mailbox.Options{})
	boxes.Attach(w.accounts)
	boxes.Start(t.Context())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := boxes.Stop(ctx); err != nil {
			t.Errorf("the committer did not stop: %v", err)
		}
	})
	w.in = inbound.New(inbound.Config{Hostname: "host.test", MaxHops: 50}, inbound.Deps{
		Clock: w.clk, Log: log, Bodies: w.bodies, Domains: w.domains, Accounts: w.accounts, Mailboxes: boxes, Metrics: obs.NewMetrics(),
	})
	w.demo, w.books = w.domain("d.test"), w.domain("bücher.test")
	return w
}

func (w *world) domain(name string) domain.Domain {
	w.t.Helper()
	d, err := w.domains.Create(w.t.Context(), system(), domain.Create{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) user(email string, change ...func(*account.Create)) account.User {
	w.t.Helper()
	in := account.Create{Email: email, Password: "correct horse battery"}
	for _, f := range change {
		f(&in)
	}
	u, err := w.accounts.Create(w.t.Context(), system(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	w.clk.Advance(time.Millisecond) // so that ids are in the order of creation
	return u
}

func address(t testing.TB, text string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) peer() mail.Peer {
	return mail.Peer{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "mx.far.test", ESMTP: true, TLS: "TLS1.3 X", At: w.clk.Now()}
}

// deliver brings a letter from x@far.test.
func (w *world) deliver(text string, to ...string) (string, error) {
	w.t.Helper()
	env := mail.Envelope{From: address(w.t, "x@far.test")}
	for _, one := range to {
		env.Recipients = append(env.Recipients, address(w.t, one))
	}
	return w.in.Deliver(w.t.Context(), w.peer(), env, strings.NewReader(text))
}

func (w *world) mustDeliver(text string, to ...string) string {
	w.t.Helper()
	receipt, err := w.deliver(text, to...)
	if err != nil {
		w.t.Fatal(err)
	}
	return receipt
}

func (w *world) rcpt(to string) error {
	w.t.Helper()
	return w.in.Recipient(w.t.Context(), w.peer(), mail.Address{}, address(w.t, to))
}

// item is a message in an inbox: its bytes, and what the rows say about them.
type item struct {
	text string
	meta []byte
	size int64
}

func (w *world) inbox(id mail.UserID) []item {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `SELECT g.file, g.meta, g.size FROM mailbox b JOIN mailbox_message mm ON mm.mailbox_key = b.key
		JOIN message g ON g.key = mm.message_key WHERE b.account_id = $1 AND b.name = 'INBOX' ORDER BY mm.uid`, id)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (item, error) {
		var i item
		err := row.Scan(&i.text, &i.meta, &i.size)
		return i, err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range out {
		out[i].text = w.stored(id.String(), out[i].text)
	}
	return out
}

func (w *world) stored(owner, name string) string {
	w.t.Helper()
	f, err := w.bodies.Open(w.t.Context(), owner, name)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// left lists the files of all accounts and the spools, temporary ones included.
func (w *world) left() []string {
	w.t.Helper()
	var out []string
	for _, pattern := range []string{"maildir/*/cur/*", "maildir/*/tmp/*", "tmp/*"} {
		found, err := filepath.Glob(filepath.Join(w.dir, pattern))
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}

// nothing fails when anything of a letter is left.
func (w *world) nothing(what string) {
	w.t.Helper()
	var rows, events int
	err := w.pool.QueryRow(w.t.Context(), `SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM event WHERE type = 'message.received')`).
		Scan(&rows, &events)
	if err != nil {
		w.t.Fatal(err)
	}
	if left := w.left(); rows != 0 || events != 0 || len(left) != 0 {
		w.t.Errorf("%s: %d messages, %d events, files %v", what, rows, events, left)
	}
}

// failing makes the store fail at a step for an owner.
func (w *world) failing(op body.Op, owner string, cause error) {
	f := func(st body.Step) error {
		if st.Op == op && strings.Contains(st.Name, owner) {
			return cause
		}
		return nil
	}
	w.hook.Store(&f)
}

func (w *world) healed() { w.hook.Store(nil) }

func disable(w *world, u account.User) {
	w.t.Helper()
	status := account.Disabled
	if _, err := w.accounts.Update(w.t.Context(), system(), u.ID, account.Update{Status: &status}); err != nil {
		w.t.Fatal(err)
	}
}

const (
	fields = "From: X <x@far.test>\r\nTo: ann@d.test\r\nSubject: hello\r\nMessage-ID: <1@far.test>\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\n"
	plain  = fields + "\r\nbody\r\n"
)

// top is what this server writes above a letter.
func top(to, receipt, forClause string) string {
	return fmt.Sprintf("Return-Path: <x@far.test>\r\nDelivered-To: %s\r\nReceived: from mx.far.test ([192.0.2.1])\r\n\tby host.test with ESMTPS (TLS1.3 X)\r\n"+
		"\tid %s%s;\r\n\tWed, 25 Nov 2026 15:04:05 +0000\r\nAuthentication-Results: host.test; none\r\n", to, receipt, forClause)
}
