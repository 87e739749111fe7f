package smtpd_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/smtpd"
)

// way is a way into the server.
type way string

const (
	clear25    way = "25 in clear"
	starttls25 way = "25 with STARTTLS"
	way587     way = "587"
	way465     way = "465"
)

func allWays() []way { return []way{clear25, starttls25, way587, way465} }

// stored is a message that a flow has taken.
type stored struct {
	peer mail.Peer
	env  mail.Envelope
	user mail.Principal
	body string
}

// flow is both flows: it keeps what it is given, and refuses what a test wants refused.
type flow struct {
	mu         sync.Mutex
	messages   []stored
	recipients []string
	senders    []string

	onReady     func() error
	onRecipient func(to mail.Address) error
	onSender    func(from mail.Address) error
	onStore     func(ctx context.Context, body io.Reader) (string, error)
}

func (f *flow) Ready(context.Context) error {
	if f.onReady != nil {
		return f.onReady()
	}
	return nil
}

func (f *flow) recipient(to mail.Address) error {
	f.mu.Lock()
	f.recipients = append(f.recipients, to.String())
	f.mu.Unlock()
	if f.onRecipient != nil {
		return f.onRecipient(to)
	}
	if to.Local == "nobody" {
		return fault.New(fault.NotFound, "no-such-user", "<%s>: no such user", to)
	}
	return nil
}

func (f *flow) store(ctx context.Context, m stored, body io.Reader) (string, error) {
	if f.onStore != nil {
		return f.onStore(ctx, body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return "", fmt.Errorf("spool: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m.body = string(b)
	f.messages = append(f.messages, m)
	return fmt.Sprintf("msg_%d", len(f.messages)), nil
}

func (f *flow) all() []stored {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]stored(nil), f.messages...)
}

func (f *flow) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.recipients...)
}

type arrivals struct{ *flow }

func (a arrivals) Recipient(_ context.Context, _ mail.Peer, _, to mail.Address) error {
	return a.recipient(to)
}

func (a arrivals) Deliver(ctx context.Context, peer mail.Peer, env mail.Envelope, body io.Reader) (string, error) {
	return a.store(ctx, stored{peer: peer, env: env}, body)
}

type departures struct{ *flow }

func (d departures) Sender(_ context.Context, p mail.Principal, from mail.Address) error {
	d.mu.Lock()
	d.senders = append(d.senders, from.String())
	d.mu.Unlock()
	if d.onSender != nil {
		return d.onSender(from)
	}
	if from != p.Address {
		return fault.New(fault.Forbidden, "sender-not-owned", "sender %s not owned by %s", from, p.Address)
	}
	return nil
}

func (d departures) Recipient(_ context.Context, _ mail.Principal, to mail.Address) error {
	return d.recipient(to)
}

func (d departures) Submit(ctx context.Context, p mail.Principal, peer mail.Peer, env mail.Envelope, body io.Reader) (string, error) {
	return d.store(ctx, stored{peer: peer, env: env, user: p}, body)
}

// passwords knows alice and counts the checks.
type passwords struct {
	mu     sync.Mutex
	checks int
	err    error
}

func (p *passwords) Authenticate(_ context.Context, protocol, username, password string, remote netip.Addr) (mail.Principal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checks++
	if p.err != nil {
		return mail.Principal{}, p.err
	}
	if protocol != "smtp" || !remote.IsLoopback() || username != "alice@d.test" || password != "correct horse" {
		return mail.Principal{}, fault.New(fault.Unauthenticated, "", "wrong password for %s", username)
	}
	return alice(), nil
}

func (p *passwords) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checks
}

func alice() mail.Principal {
	return mail.Principal{
		User:    mail.UserID{15: 1},
		Address: mail.Address{Local: "alice", Domain: "d.test"},
		Role:    mail.RoleUser,
	}
}

// world is a server on three loopback ports.
type world struct {
	t         *testing.T
	server    *smtpd.Server
	arrivals  *flow
	departs   *flow
	passwords *passwords
	metrics   *obs.Metrics
	addr      map[smtpd.Port]string
	roots     *x509.CertPool
	stop      context.CancelFunc
	served    sync.WaitGroup
}

// quick are the default limits without waiting.
func quick() smtpd.Limits {
	l := smtpd.DefaultLimits()
	l.AuthDelay, l.ErrorDelay, l.UnknownDelay = time.Millisecond, 0, 0
	l.Stop = 5 * time.Second
	return l
}

func newWorld(t *testing.T, change func(*smtpd.Config)) *world {
	t.Helper()
	w := &world{
		t: t, arrivals: &flow{}, departs: &flow{}, passwords: &passwords{}, metrics: obs.NewMetrics(), addr: map[smtpd.Port]string{},
	}
	certificate, roots := newCertificate(t)
	w.roots = roots
	config := smtpd.Config{
		Hostname: "mx.d.test", Limits: quick(), TLS: serverTLS(certificate),
		Clock: clock.System(), Logger: slog.New(slog.DiscardHandler), Metrics: w.metrics,
		Authenticator: w.passwords, Arrivals: arrivals{w.arrivals}, Departures: departures{w.departs},
	}
	if change != nil {
		change(&config)
	}
	w.server = smtpd.New(config)
	ctx, cancel := context.WithCancel(t.Context())
	w.stop = cancel
	for _, port := range []smtpd.Port{smtpd.Port25, smtpd.Port587, smtpd.Port465} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w.addr[port] = l.Addr().String()
		w.served.Go(func() {
			if err := w.server.Serve(ctx, l, port); err != nil {
				t.Errorf("Serve %s: %v", port, err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		grace, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		if err := w.server.Shutdown(grace); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		w.served.Wait()
	})
	return w
}

func serverTLS(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }

func newCertificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mx.d.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// metric gives the value of a series as it is scraped.
func (w *world) metric(series string) string {
	w.t.Helper()
	return scrape(w.t, w.metrics, series)
}

// client speaks raw SMTP.
type client struct {
	t  *testing.T
	w  *world
	nc net.Conn
	br *bufio.Reader
}

// connect opens a connection without reading anything.
func (w *world) connect(port smtpd.Port) *client {
	w.t.Helper()
	nc, err := net.Dial("tcp", w.addr[port])
	if err != nil {
		w.t.Fatal(err)
	}
	c := &client{t: w.t, w: w, nc: nc, br: bufio.NewReader(nc)}
	w.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// greeted opens a connection and reads the greeting.
func (w *world) greeted(port smtpd.Port) *client {
	w.t.Helper()
	c := w.connect(port)
	if port == smtpd.Port465 {
		c.handshake()
	}
	c.expect("220 ")
	return c
}

// dial comes by the way to the point where MAIL is allowed.
func (w *world) dial(by way) *client {
	w.t.Helper()
	port := map[way]smtpd.Port{clear25: smtpd.Port25, starttls25: smtpd.Port25, way587: smtpd.Port587, way465: smtpd.Port465}[by]
	c := w.greeted(port)
	c.cmd("EHLO client.test", "250 ")
	if by == starttls25 || by == way587 {
		c.cmd("STARTTLS", "220 ")
		c.handshake()
		c.cmd("EHLO client.test", "250 ")
	}
	if port != smtpd.Port25 {
		c.cmd("AUTH PLAIN "+plain("alice@d.test", "correct horse"), "235 ")
	}
	return c
}

func plain(user, password string) string { return b64("\x00" + user + "\x00" + password) }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func (c *client) handshake() {
	c.t.Helper()
	secure := tls.Client(c.nc, &tls.Config{RootCAs: c.w.roots, ServerName: "mx.d.test"})
	if err := secure.Handshake(); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	c.nc = secure
	c.br = bufio.NewReader(secure)
}

// raw sends octets as they are.
func (c *client) raw(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, s); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// throw sends octets that the server need not take.
func (c *client) throw(s string) { io.WriteString(c.nc, s) } //nolint:errcheck // see above

// drain reads a body like a flow that does not look at errors.
func drain(body io.Reader) { io.Copy(io.Discard, body) } //nolint:errcheck // see above

// reply reads one whole reply; several lines are joined by "|".
func (c *client) reply() (string, error) {
	var lines []string
	for {
		text, err := c.br.ReadString('\n')
		if err != nil {
			return strings.Join(lines, "|"), err
		}
		text = strings.TrimSuffix(text, "\r\n")
		lines = append(lines, text)
		if len(text) < 4 || text[3] != '-' {
			return strings.Join(lines, "|"), nil
		}
	}
}

// expect reads one reply, whose last line must begin with want, and gives all of it.
func (c *client) expect(want string) string {
	c.t.Helper()
	got, err := c.reply()
	if err != nil {
		c.t.Fatalf("want %q, got %q and %v", want, got, err)
	}
	if last := got[strings.LastIndexByte(got, '|')+1:]; !strings.HasPrefix(last, want) {
		c.t.Fatalf("want %q, got %q", want, got)
	}
	return got
}

// cmd sends a line and expects a reply.
func (c *client) cmd(text, want string) string {
	c.t.Helper()
	c.raw(text + "\r\n")
	return c.expect(want)
}

// closed expects the server to have closed the connection after what was read.
func (c *client) closed() {
	c.t.Helper()
	got, err := c.reply()
	if err == nil || got != "" {
		c.t.Fatalf("the connection should be closed, got %q", got)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatal("the connection should be closed and is silent")
	}
}

// envelope opens a transaction with alice as sender and recipient.
func (c *client) envelope() {
	c.t.Helper()
	c.cmd("MAIL FROM:<alice@d.test>", "250 2.1.0")
	c.cmd("RCPT TO:<bob@d.test>", "250 2.1.5")
}

// send transmits a whole message by DATA and gives the reply.
func (c *client) send(body string) string {
	c.t.Helper()
	c.envelope()
	c.cmd("DATA", "354 ")
	c.raw(body + "\r\n.\r\n")
	got, err := c.reply()
	if err != nil {
		c.t.Fatalf("reply to the body: %v", err)
	}
	return got
}

// flowOf gives the flow that a way leads to.
func (w *world) flowOf(by way) *flow {
	if by == way587 || by == way465 {
		return w.departs
	}
	return w.arrivals
}

// eachWay runs a test by every way, each against a server of its own.
func eachWay(t *testing.T, change func(*smtpd.Config), run func(w *world, by way)) {
	t.Helper()
	for _, by := range allWays() {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			run(newWorld(t, change), by)
		})
	}
}

var anyID = regexp.MustCompile(`con_[a-z0-9]{26}(-\d+)?`)

// tick waits for a short pause between octets of a slow client.
func tick(d time.Duration) { <-time.After(d) }
