package api_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

// gateway stands between the server and its database, and can be taken away.
type gateway struct {
	t           *testing.T
	from, to    string
	mu          sync.Mutex
	listener    net.Listener
	connections []net.Conn
	flow        sync.RWMutex // held by whoever wants nothing to pass
}

// newGateway gives the connection string that leads through a gateway.
func newGateway(t *testing.T, dsn string) (*gateway, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	port := q.Get("port")
	if port == "" {
		port = "5432"
	}
	dir, err := os.MkdirTemp("", "gw") // short, for the name of the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	name := ".s.PGSQL." + port
	g := &gateway{t: t, from: filepath.Join(dir, name), to: filepath.Join(q.Get("host"), name)}
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	g.open()
	t.Cleanup(g.close)
	return g, u.String()
}

func (g *gateway) open() {
	g.t.Helper()
	listener, err := net.Listen("unix", g.from)
	if err != nil {
		g.t.Fatal(err)
	}
	g.listener = listener
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", g.to)
			if err != nil {
				in.Close()
				continue
			}
			g.mu.Lock()
			g.connections = append(g.connections, in, out)
			g.mu.Unlock()
			go g.pipe(out, in)
			go g.pipe(in, out)
		}
	}()
}

func (g *gateway) pipe(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		g.flow.RLock()
		g.flow.RUnlock() //nolint:staticcheck // waits while nothing may pass
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (g *gateway) close() {
	g.listener.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.connections {
		c.Close()
	}
	g.connections = nil
}

func TestADatabaseThatIsDownIs503AndComesBackWithoutARestart(t *testing.T) {
	t.Parallel()
	g, dsn := newGateway(t, pgtest.DSN(t))
	pool, err := pg.Open(t.Context(), pg.Config{DSN: dsn, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	e := newEnvWith(t, pool)
	e.call(e.key, "GET", "/v1/domains", nil).want(200)
	g.close()
	for _, c := range []struct{ token, method, path, body string }{
		{e.key, "GET", "/v1/domains", ""},
		{e.key, "POST", "/v1/emails", letter},
		{e.owner, "GET", "/v1/me", ""},
		{"", "POST", "/v1/auth/sessions", `{"email":"owner@a.test","password":"` + goodPassword + `"}`},
	} {
		var body any
		if c.body != "" {
			body = raw(c.body)
		}
		a := e.call(c.token, c.method, c.path, body, "Idempotency-Key", "k")
		a.problem(503, "unavailable")
		if a.header.Get("Retry-After") != "1" || strings.Contains(string(a.body), "PGSQL") {
			t.Errorf("%v %s", a.header, a.body)
		}
	}
	g.open()
	e.call(e.key, "GET", "/v1/domains", nil).want(200)
	e.call(e.key, "POST", "/v1/emails", raw(letter), "Idempotency-Key", "k").want(202)
}

// answersWithin makes the operations give up after so long, whatever is added for the slowest statement.
func answersWithin(d time.Duration) option {
	return func(deps *api.Deps) { deps.Limits.Database.StatementTimeout = d - 5*time.Second }
}

// A process that is stopped takes connections and answers nothing.
func TestADatabaseThatHangsIs503AndNotSilence(t *testing.T) {
	t.Parallel()
	g, dsn := newGateway(t, pgtest.DSN(t))
	pool, err := pg.Open(t.Context(), pg.Config{DSN: dsn, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	e := newEnvWith(t, pool, answersWithin(2*time.Second))
	e.call(e.key, "GET", "/v1/domains", nil).want(200)
	g.flow.Lock()
	thaw := sync.OnceFunc(g.flow.Unlock)
	t.Cleanup(thaw)
	var all sync.WaitGroup
	for _, c := range []struct{ token, method, path, body string }{
		{e.key, "GET", "/v1/domains", ""},
		{e.key, "POST", "/v1/emails", letter},
		{e.owner, "PATCH", "/v1/users/" + e.ownerID, `{"name":"x"}`},
		{"", "POST", "/v1/auth/sessions/refresh", ""},
	} {
		all.Go(func() {
			var body any
			if c.body != "" {
				body = raw(c.body)
			}
			a := e.call(c.token, c.method, c.path, body, "Idempotency-Key", "k")
			if c.token == "" { // needs no database
				a.want(204)
				return
			}
			a.problem(503, "unavailable")
			if a.header.Get("Retry-After") != "1" {
				t.Errorf("%s: %v", c.path, a.header)
			}
		})
	}
	all.Wait()
	thaw()
	e.call(e.key, "GET", "/v1/domains", nil).want(200)
	e.call(e.key, "POST", "/v1/emails", raw(letter), "Idempotency-Key", "k").want(202)
}

func TestADownloadIsNotCutWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	const within = time.Second
	e := newEnv(t, answersWithin(within))
	e.mail(e.key, "owner@a.test", "owner@a.test", "large", strings.Repeat("0123456789abcdef\n", 8<<20/17))
	m := e.messages(e.mailboxNamed(e.ownerID, "INBOX").ID)[0]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+"/v1/messages/"+m.ID+"/raw", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.owner)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	<-time.After(within + within/2) // the sockets hold less than the message: the rest comes later
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || n != m.SizeBytes {
		t.Errorf("%d of %d bytes came: %v", n, m.SizeBytes, err)
	}
}

func TestAFaultOfOursIs500AndSaysNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(d *api.Deps) { d.Domains = nil })
	a := e.call(e.key, "GET", "/v1/domains/"+unknownDomain, nil)
	p := a.problem(500, "internal")
	if strings.Contains(string(a.body), "nil") || len(p.Errors) != 0 {
		t.Errorf("%s", a.body)
	}
}

func TestTooManyRequestsAreToldWhenToComeBack_S41(t *testing.T) {
	t.Parallel()
	pool := pgtest.DB(t)
	e := newEnvWith(t, pool, func(d *api.Deps) {
		d.Limiter = limit.New(pool, clock.System(), "default")
		d.Limits.API.RequestsPerMinute, d.Limits.API.LoginsPerMinute = 5, 3
	})
	limited := func(token, method, path string, body any, allowed int) {
		t.Helper()
		for i := range allowed + 1 {
			a := e.call(token, method, path, body)
			if i < allowed && a.status == 429 {
				t.Errorf("%s: only %d requests", path, i)
			}
			if i == allowed {
				a.problem(429, "rate-limited")
				if wait := a.header.Get("Retry-After"); wait == "" || wait == "0" {
					t.Errorf("Retry-After %q", wait)
				}
			}
		}
	}
	limited(e.key, "GET", "/v1/domains", nil, 5)
	limited("", "POST", "/v1/auth/sessions/refresh", nil, 2) // the harness has signed in once
}
