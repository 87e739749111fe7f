package testenv

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/app"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/obs"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

// Patience is how long a test waits for something that must happen soon; it is generous because machines are shared.
const Patience = 30 * time.Second

// Server is a running server with the demo domain and users.
type Server struct {
	*app.App
	Demo   app.Demo
	Config *config.Config
	// Log is what the server has logged.
	Log *Log
	// DSN is the server's database.
	DSN string
	// Private says that the server runs its own PostgreSQL.
	Private bool
	roots   *x509.CertPool
}

// Option changes a server before it starts.
type Option func(*Server, *app.Options)

// WithClock gives the server a clock. Deadlines of sockets stay real.
func WithClock(clk clock.Clock) Option {
	return func(_ *Server, o *app.Options) { o.Clock = clk }
}

// WithConfig changes the configuration.
func WithConfig(change func(*config.Config)) Option {
	return func(s *Server, _ *app.Options) { change(s.Config) }
}

// WithPrivateDatabase makes the server run its own PostgreSQL, as it does without a database_url.
func WithPrivateDatabase() Option {
	return func(s *Server, _ *app.Options) { s.Private = true }
}

// Start starts a server with the defaults of development mode on free ports and stops it at the end of the test.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	cfg := config.Default(config.Dev)
	cfg.DataDir = t.TempDir()
	for _, l := range cfg.Listen.All() {
		cfg.Listen.Set(l.Name, "127.0.0.1:0")
	}
	cfg.Limits.DiskLowWaterBytes = 1 << 20
	cfg.Auth.Argon2 = config.Argon2{Time: 1, MemoryKiB: 64, Threads: 1}
	s := &Server{Config: cfg, Log: &Log{}}
	opts := app.Options{Log: obs.NewLogger(s.Log, obs.LogOptions{Log: config.Log{Level: "info", Format: "json"}}), Clock: clock.System(), Version: "test"}
	for _, o := range options {
		o(s, &opts)
	}
	if !s.Private && opts.DSN == "" {
		opts.DSN = pgtest.DSN(t)
	}
	s.DSN = opts.DSN
	a, err := app.Start(t.Context(), cfg, opts)
	if err != nil {
		t.Fatalf("start the server: %v\n%s", err, s.Log)
	}
	s.App = a
	t.Cleanup(func() { s.stop(t) })
	if s.Demo, err = app.SeedDemo(t.Context(), a, app.Demo{Domain: "demo.test"}, false, func(app.Demo) error { return nil }); err != nil {
		t.Fatalf("make the demo objects: %v", err)
	}
	s.trust(t)
	return s
}

func (s *Server) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop the server: %v", err)
	}
	if t.Failed() {
		t.Logf("the server's log:\n%s", s.Log)
	}
}

func (s *Server) trust(t testing.TB) {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	s.roots = x509.NewCertPool()
	if !s.roots.AppendCertsFromPEM(pem) {
		t.Fatal("the authority's file holds no certificate")
	}
}

// TLS trusts the server's own authority and nobody else.
func (s *Server) TLS() *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// Alice and Bob are the two users of the demo domain.
func (s *Server) Alice() app.Login { return s.Demo.Users[0] }

// Bob is the second user.
func (s *Server) Bob() app.Login { return s.Demo.Users[1] }

// Address gives the address of a listener ("imaps").
func (s *Server) Address(name string) string { return s.Listening()[name] }

// IMAP signs a client in over implicit TLS.
func (s *Server) IMAP(t testing.TB, who app.Login) *imapclient.Client {
	t.Helper()
	return s.IMAPWith(t, who, nil)
}

// IMAPWith is IMAP with a handler for what the server says unasked.
func (s *Server) IMAPWith(t testing.TB, who app.Login, handler *imapclient.UnilateralDataHandler) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialTLS(s.Address("imaps"), &imapclient.Options{TLSConfig: s.TLS(), UnilateralDataHandler: handler})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Login(who.Email, who.Password).Wait(); err != nil {
		t.Fatalf("sign in as %s: %v", who.Email, err)
	}
	return c
}

// Arrive delivers a message from outside over port 25 and gives the error of the server's answer.
func (s *Server) Arrive(from string, to []string, message string) error {
	c, err := smtp.Dial(s.Address("smtp"))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SendMail(from, to, bytes.NewReader([]byte(message))); err != nil {
		return err
	}
	return c.Quit()
}

// Submit sends a message as a signed-in user over port 465.
func (s *Server) Submit(who app.Login, to []string, message string) error {
	return s.SubmitFrom(who, who.Email, to, message)
}

// SubmitFrom is Submit with another envelope sender.
func (s *Server) SubmitFrom(who app.Login, from string, to []string, message string) error {
	c, err := smtp.DialTLS(s.Address("submissions"), s.TLS())
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", who.Email, who.Password)); err != nil {
		return err
	}
	if err := c.SendMail(from, to, bytes.NewReader([]byte(message))); err != nil {
		return err
	}
	return c.Quit()
}

// SDK gives a client of the API with the demo key.
func (s *Server) SDK(t testing.TB, options ...mailserver.Option) *mailserver.Client {
	t.Helper()
	return s.SDKAs(t, s.Demo.APIKey, options...)
}

// SDKAs is SDK with another API key or access token.
func (s *Server) SDKAs(t testing.TB, token string, options ...mailserver.Option) *mailserver.Client {
	t.Helper()
	c, err := mailserver.New("http://"+s.Address("http"), append([]mailserver.Option{mailserver.WithAPIKey(token)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Call makes an API request with the demo key and decodes the answer into out, when out is not nil.
func (s *Server) Call(t testing.TB, method, path string, body, out any) *http.Response {
	t.Helper()
	return s.CallAs(t, s.Demo.APIKey, method, path, body, out)
}

// CallAs is Call with another bearer token; an empty one sends none.
func (s *Server) CallAs(t testing.TB, token, method, path string, body, out any) *http.Response {
	t.Helper()
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Address("http")+path, payload)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			t.Fatalf("%s %s: %d %s: %v", method, path, res.StatusCode, raw, err)
		}
	}
	return res
}

// Eventually waits until the condition holds, asking every few milliseconds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %s in vain: %s", Patience, what)
		}
	}
}

// FreeAddress gives an address of loopback that was free a moment ago.
func FreeAddress(t testing.TB) string {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Log collects what a server logs.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String gives everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
