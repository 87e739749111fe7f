package imapd_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/imapd"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

const password = "correct horse battery"

// env is a whole IMAP server on loopback, with real services and a database of its own.
type env struct {
	t         testing.TB
	dir       string
	pool      *pg.Pool
	bodies    *body.Store
	bus       *bus.Bus
	accounts  *account.Service
	mailboxes *mailbox.Service
	metrics   *obs.Metrics
	server    *imapd.Server
	plain     string // address of the STARTTLS port
	secure    string // address of the TLS port
	domain    mail.DomainID
	clientTLS *tls.Config
}

// option changes the configuration of an env.
type option func(*imapd.Config)

func limits(change func(*imapd.Limits)) option {
	return func(c *imapd.Config) { change(&c.Limits) }
}

func newEnv(t testing.TB, options ...option) *env {
	t.Helper()
	return newEnvOn(t, pgtest.DSN(t), options...)
}

func newEnvOn(t testing.TB, dsn string, options ...option) *env {
	t.Helper()
	log := slog.New(slog.NewTextHandler(logTo{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	clk := clock.System()
	pool, err := pg.Open(t.Context(), pg.Config{DSN: dsn, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	e := &env{t: t, dir: t.TempDir(), pool: pool, bus: bus.New(), metrics: obs.NewMetrics()}
	lowWater := func(int64) int64 { return 0 }
	if e.bodies, err = body.Open(body.Options{Dir: e.dir, LowWater: lowWater}, clk, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.bodies.Close() })
	domains := domain.New(pool, clk, e.bus, log, domain.Config{AutoVerify: true})
	e.mailboxes = mailbox.New(pool, e.bodies, e.bus, clk, log, mailbox.Options{})
	e.mailboxes.Start(t.Context())
	t.Cleanup(func() { e.mailboxes.Stop(context.Background()) }) //nolint:errcheck // the test is over
	e.accounts = account.New(account.Deps{
		Pool: pool, Clock: clk, Log: log, Bus: e.bus, Limiter: limit.New(pool, clk, limit.ProfileNone), Domains: domains,
	}, account.Config{Argon2: account.Argon2{Time: 1, MemoryKiB: 64, Threads: 1}})
	e.accounts.OnCreate = func(ctx context.Context, tx pgx.Tx, u account.User) error {
		return e.mailboxes.CreateDefaults(ctx, tx, u.ID)
	}
	d, err := domains.Create(t.Context(), mail.System("test"), domain.Create{Name: "example.test"})
	if err != nil {
		t.Fatal(err)
	}
	e.domain = d.ID
	e.serve(log, clk, options)
	return e
}

func (e *env) serve(log *slog.Logger, clk clock.Clock, options []option) {
	e.t.Helper()
	serverTLS, clientTLS := certificate(e.t)
	e.clientTLS = clientTLS
	config := imapd.Config{
		Hostname: "mail.example.test", Version: "1.2.3", TLS: serverTLS, Limits: imapd.DefaultLimits().Lifted(), Clock: clk, Logger: log,
		Metrics: e.metrics, Accounts: e.accounts, Mailboxes: e.mailboxes, Bus: e.bus,
	}
	config.Limits.AuthFailures = 3
	for _, change := range options {
		change(&config)
	}
	e.server = imapd.New(config)
	e.plain, e.secure = e.listen(imapd.Plain), e.listen(imapd.ImplicitTLS)
	e.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.server.Shutdown(ctx); err != nil {
			e.t.Errorf("the server did not stop: %v", err)
		}
	})
}

func (e *env) listen(kind imapd.Kind) string {
	e.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- e.server.Serve(context.WithoutCancel(e.t.Context()), l, kind) }()
	e.t.Cleanup(func() {
		l.Close()
		if err := <-done; err != nil {
			e.t.Errorf("serve %s: %v", kind, err)
		}
	})
	return l.Addr().String()
}

// certificate makes a certificate for loopback, and what trusts it.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	pair, pool := certificateOnce()
	return &tls.Config{Certificates: []tls.Certificate{pair}}, &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

var certificateOnce = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

// logTo shows the server's log beside the test that failed.
type logTo struct{ t testing.TB }

func (l logTo) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimRight(string(p), "\n"))
	}
	return len(p), nil
}

// person is an account with its mailboxes.
type person struct {
	e     *env
	email string
	id    mail.UserID
	p     mail.Principal
}

func (e *env) person(name string) *person {
	e.t.Helper()
	email := name + "@example.test"
	u, err := e.accounts.Create(e.t.Context(), mail.System("test"), account.Create{Email: email, Password: password})
	if err != nil {
		e.t.Fatal(err)
	}
	return &person{e: e, email: email, id: u.ID, p: mail.Principal{User: u.ID, Role: mail.RoleUser, Remote: netip.Addr{}}}
}

func (w *person) box(name string) mailbox.Mailbox {
	w.e.t.Helper()
	m, err := w.e.mailboxes.GetByName(w.e.t.Context(), w.p, w.id, name)
	if err != nil {
		w.e.t.Fatalf("%s: %v", name, err)
	}
	return m
}

// letter puts a body into the store and gives the letter for it.
func (w *person) letter(box, text string) mailbox.Letter {
	w.e.t.Helper()
	l, err := w.tryLetter(box, text)
	if err != nil {
		w.e.t.Fatal(err)
	}
	return l
}

func (w *person) tryLetter(box, text string) (mailbox.Letter, error) {
	meta, err := mime.Scan(strings.NewReader(text), int64(len(text)))
	if err != nil {
		return mailbox.Letter{}, err
	}
	ref, err := w.e.bodies.Put(context.Background(), w.id.String(), body.Bytes([]byte(text)))
	return mailbox.Letter{
		Account: w.id, Domain: w.e.domain, Mailbox: box, Body: ref, Meta: meta,
		InternalDate: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC),
	}, err
}

// deliver files letters into a mailbox in one transaction.
func (w *person) deliver(box string, texts ...string) []mailbox.Filed {
	w.e.t.Helper()
	letters := make([]mailbox.Letter, len(texts))
	for i, text := range texts {
		letters[i] = w.letter(box, text)
	}
	filed, err := w.e.mailboxes.Deliver(w.e.t.Context(), letters)
	if err != nil {
		w.e.t.Fatal(err)
	}
	return filed
}

// note is a small message with a number in its subject.
func note(n int) string {
	return fmt.Sprintf("From: Ann <ann@example.test>\r\nTo: bob@example.test\r\nSubject: note %d\r\n"+
		"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d@example.test>\r\n\r\nbody of note %d\r\n", n, n, n)
}

// client speaks IMAP line by line, so that a test sees exactly what was sent.
type client struct {
	t   testing.TB
	nc  net.Conn
	br  *bufio.Reader
	tag int
}

const patience = 20 * time.Second

// dial connects to the TLS port and reads the greeting.
func (e *env) dial() *client {
	e.t.Helper()
	nc, err := tls.Dial("tcp", e.secure, e.clientTLS)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.client(nc)
}

// dialPlain connects to the port that begins in clear and reads the greeting.
func (e *env) dialPlain() *client {
	e.t.Helper()
	nc, err := net.Dial("tcp", e.plain)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.client(nc)
}

func (e *env) client(nc net.Conn) *client {
	e.t.Helper()
	c := &client{t: e.t, nc: nc, br: bufio.NewReader(nc)}
	e.t.Cleanup(func() { nc.Close() })
	if line := c.line(); !strings.HasPrefix(line, "* OK ") {
		e.t.Fatalf("greeting %q", line)
	}
	return c
}

// login connects and signs in.
func (w *person) login() *client {
	w.e.t.Helper()
	c := w.e.dial()
	c.ok("LOGIN %s %q", w.email, password)
	return c
}

// in signs in and selects a mailbox.
func (w *person) in(box string) *client {
	w.e.t.Helper()
	c := w.login()
	c.ok("SELECT %q", box)
	return c
}

// line reads a line, literals included.
func (c *client) line() string {
	c.t.Helper()
	line, err := c.tryLine()
	if err != nil {
		c.t.Fatalf("after %q: %v", line, err)
	}
	return line
}

func (c *client) tryLine() (string, error) {
	c.nc.SetReadDeadline(time.Now().Add(patience))
	var all strings.Builder
	for {
		line, err := c.br.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return all.String(), err
		}
		text, crlf := strings.CutSuffix(line, "\r\n")
		if !crlf {
			return all.String(), fmt.Errorf("a line ends without CR: %q", line)
		}
		var n int64
		i := strings.LastIndexByte(text, '{')
		if i < 0 || !strings.HasSuffix(text, "}") {
			return strings.TrimSuffix(all.String(), "\r\n"), nil
		}
		if read, _ := fmt.Sscanf(text[i:], "{%d}", &n); read == 0 { // braces at the end of a text
			return strings.TrimSuffix(all.String(), "\r\n"), nil
		}
		if _, err := io.CopyN(&all, c.br, n); err != nil {
			return all.String(), err
		}
	}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// start sends a command and gives its tag.
func (c *client) start(format string, args ...any) string {
	c.t.Helper()
	c.tag++
	tag := fmt.Sprintf("t%d", c.tag)
	c.send(tag + " " + fmt.Sprintf(format, args...) + "\r\n")
	return tag
}

// finish reads up to the tagged answer.
func (c *client) finish(tag string) (untagged []string, status string) {
	c.t.Helper()
	for {
		line := c.line()
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			return untagged, rest
		}
		untagged = append(untagged, line)
	}
}

// do sends a command and reads the answer.
func (c *client) do(format string, args ...any) (untagged []string, status string) {
	c.t.Helper()
	return c.finish(c.start(format, args...))
}

// ok sends a command that must succeed and gives its untagged responses.
func (c *client) ok(format string, args ...any) []string {
	c.t.Helper()
	untagged, status := c.do(format, args...)
	if !strings.HasPrefix(status, "OK") {
		c.t.Fatalf("%s: %s", fmt.Sprintf(format, args...), status)
	}
	return untagged
}

// want sends a command whose tagged answer must begin so.
func (c *client) want(prefix, format string, args ...any) []string {
	c.t.Helper()
	untagged, status := c.do(format, args...)
	if !strings.HasPrefix(status, prefix) {
		c.t.Fatalf("%s: got %q, want %q", fmt.Sprintf(format, args...), status, prefix)
	}
	return untagged
}

// has fails unless one of the lines is the wanted one.
func has(t testing.TB, lines []string, want string) {
	t.Helper()
	if !slices.Contains(lines, want) {
		t.Errorf("no line %q in %q", want, lines)
	}
}

// same compares all lines.
func same(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func readFile(name string) ([]byte, error) { return os.ReadFile(name) }
