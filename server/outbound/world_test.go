package outbound_test

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
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
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/inbound"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
	"github.com/mailserver-dev/mailserver/server/seal"
)

const password = "correct horse battery"

// world is a whole mail system below the edges, with the domains d.test and other.test.
type world struct {
	t         *testing.T
	clk       *clock.Fake
	pool      *pg.Pool
	dir       string
	hook      atomic.Pointer[func(body.Step) error]
	bodies    *body.Store
	domains   *domain.Service
	accounts  *account.Service
	mailboxes *mailbox.Service
	metrics   *obs.Metrics
	notices   *bus.Bus
	in        *inbound.Service
	out       *outbound.Service
	demo      domain.Domain
	other     domain.Domain
	set       settings
}

// settings differ from test to test.
type settings struct {
	mode  outbound.Mode
	pool  *pg.Pool
	local func(outbound.Local) outbound.Local
	// routes say where mail for other domains goes, as outbound.routes.
	routes map[string]string
	relay  smtpout.Relay
	// keys are those of each domain; none, because RSA keys take their time.
	keys domain.KeyChoice
	// roots are who vouches for smart hosts.
	roots *x509.CertPool
	// records are what DNS says, for domains without a route.
	records map[string][]string
	// box keeps secrets; one of each world's own when nil.
	box *seal.Box
	// beside is another node on the same database and disk.
	beside *world
}

func system() mail.Principal { return mail.System("test") }

func newWorld(t *testing.T, set settings) *world {
	t.Helper()
	w := &world{t: t, set: set, clk: clock.NewFake(time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)), pool: set.pool, dir: t.TempDir(), metrics: obs.NewMetrics()}
	if w.pool == nil {
		w.pool = pgtest.DB(t)
	}
	if set.beside != nil {
		w.clk, w.dir = set.beside.clk, set.beside.dir
	}
	log, notices := slog.New(slog.DiscardHandler), bus.New()
	w.notices = notices
	hook := func(st body.Step) error {
		if f := w.hook.Load(); f != nil {
			return (*f)(st)
		}
		return nil
	}
	var err error
	if w.bodies, err = body.Open(body.Options{Dir: w.dir, Hook: hook, LowWater: func(int64) int64 { return 0 }}, w.clk, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.bodies.Close() })
	w.domains = domain.New(w.pool, w.clk, notices, log, domain.Config{AutoVerify: true, Box: w.box(), DefaultKeys: cmp.Or(set.keys, domain.KeysNone)})
	w.accounts = account.New(account.Deps{
		Pool: w.pool, Clock: w.clk, Log: log, Bus: notices, Limiter: limit.New(w.pool, w.clk, "none"), Domains: w.domains,
	}, account.Config{Argon2: account.Argon2{Time: 1, MemoryKiB: 64, Threads: 1}})
	w.mailboxes = mailbox.New(w.pool, w.bodies, notices, w.clk, log, mailbox.Options{})
	w.mailboxes.Attach(w.accounts)
	w.mailboxes.Start(t.Context())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := w.mailboxes.Stop(ctx); err != nil {
			t.Errorf("the committer did not stop: %v", err)
		}
	})
	w.in = inbound.New(inbound.Config{Hostname: "host.test", MaxHops: 50}, inbound.Deps{
		Clock: w.clk, Log: log, Bodies: w.bodies, Domains: w.domains, Accounts: w.accounts, Mailboxes: w.mailboxes,
	})
	if set.mode == "" {
		set.mode = outbound.ModeSink
	}
	var local outbound.Local = w.in
	if set.local != nil {
		local = set.local(w.in)
	}
	w.out = w.flow(set.mode, local)
	if set.beside == nil {
		w.demo, w.other = w.domain("d.test"), w.domain("other.test")
	}
	return w
}

func (w *world) box() *seal.Box {
	w.t.Helper()
	if w.set.box != nil {
		return w.set.box
	}
	b, err := seal.New(seal.Key{1})
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// flow is one more departure flow on the same database.
func (w *world) flow(mode outbound.Mode, local outbound.Local) *outbound.Service {
	log := slog.New(slog.DiscardHandler)
	client := smtpout.New(smtpout.Config{
		Hostname: "host.test", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Routes: w.set.routes, Roots: w.set.roots,
		Timeouts: smtpout.Timeouts{Connect: 5 * time.Second, Quit: time.Second},
	}, dns.NewFake(w.set.records), w.clk, log)
	out := outbound.New(outbound.Config{
		Hostname: "host.test", Mode: mode, MaxBytes: 1 << 20, RecipientsAPI: 1000, Relay: w.set.relay,
	}, outbound.Deps{
		Pool: w.pool, Clock: w.clk, Log: log, Bodies: w.bodies, Domains: w.domains, Accounts: w.accounts,
		Local: local, Client: client, Metrics: w.metrics, Bus: w.notices,
	})
	w.t.Cleanup(out.CloseFleet)
	return out
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
	in := account.Create{Email: email, Password: password}
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

func principal(u account.User) mail.Principal {
	return mail.Principal{User: u.ID, Address: u.Address(), Role: u.Role, Domains: u.AdminDomains}
}

func address(t *testing.T, text string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// draft is a mail from shop@d.test to some addresses.
func (w *world) draft(to ...string) outbound.Draft {
	w.t.Helper()
	d := outbound.Draft{From: outbound.Party{Name: "Shop", Address: address(w.t, "shop@d.test")}, Subject: "hello", Text: "text"}
	for _, text := range to {
		d.To = append(d.To, outbound.Party{Address: address(w.t, text)})
	}
	return d
}

func (w *world) accept(to ...string) *outbound.Email {
	w.t.Helper()
	e, err := w.out.Accept(w.t.Context(), system(), w.draft(to...))
	if err != nil {
		w.t.Fatal(err)
	}
	w.clk.Advance(time.Millisecond)
	return e
}

func (w *world) attempt(id mail.EmailID) {
	w.t.Helper()
	if err := w.out.Attempt(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(id mail.EmailID) *outbound.Email {
	w.t.Helper()
	e, err := w.out.Get(w.t.Context(), system(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// inbox gives the messages in a user's inbox as stored.
func (w *world) inbox(id mail.UserID) []string {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `SELECT g.file FROM mailbox b JOIN mailbox_message mm ON mm.mailbox_key = b.key
		JOIN message g ON g.key = mm.message_key WHERE b.account_id = $1 AND b.name = 'INBOX' ORDER BY mm.uid`, id)
	if err != nil {
		w.t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = w.stored(id.String(), name)
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

// files lists what lies in the directory of an owner, temporary files included.
func (w *world) files(owner string) []string {
	w.t.Helper()
	var out []string
	for _, sub := range []string{"cur", "tmp"} {
		entries, err := os.ReadDir(filepath.Join(w.dir, "maildir", owner, sub))
		if err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
		for _, e := range entries {
			out = append(out, sub+"/"+e.Name())
		}
	}
	return out
}

func query[T any](w *world, sql string, args ...any) T {
	w.t.Helper()
	var out T
	if err := w.pool.QueryRow(w.t.Context(), sql, args...).Scan(&out); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// jobs counts the wake-ups of an email.
func (w *world) jobs(id mail.EmailID) int {
	w.t.Helper()
	return query[int](w, `SELECT count(*) FROM river_job WHERE kind = 'outbound_attempt' AND args->>'email_id' = $1`, id.String())
}

// events gives the types of an email's events in their order.
func (w *world) events(id mail.EmailID) string {
	w.t.Helper()
	return query[string](w, `SELECT coalesce(string_agg(type, ' ' ORDER BY xid, id), '') FROM event WHERE subject = $1`, id.String())
}

// brief is an email's state and that of its recipients on one line.
func brief(e *outbound.Email) string {
	var b strings.Builder
	b.WriteString(string(e.Status))
	for _, r := range e.Recipients {
		fmt.Fprintf(&b, "; %s %s %s %d", r.Address, r.Status, r.Transport, r.Attempts)
	}
	return b.String()
}

// failing makes the store fail at a step.
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

// scrape gives the metrics as text.
func (w *world) scrape() string {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.metrics.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return rec.Body.String()
}
