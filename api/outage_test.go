package api_test

import (
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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
			pipe := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				to.Close()
			}
			go pipe(out, in)
			go pipe(in, out)
		}
	}()
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
