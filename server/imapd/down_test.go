package imapd_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mailserver-dev/mailserver/server/pgtest"
)

// gate stands between the server and PostgreSQL, and can be shut.
type gate struct {
	t      testing.TB
	target string
	path   string

	mu     sync.Mutex
	l      net.Listener
	shut   bool
	conns  map[net.Conn]struct{}
	active sync.WaitGroup
}

// newGate gives a connection string that leads through the gate.
func newGate(t testing.TB, dsn string) (*gate, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	name := ".s.PGSQL." + query.Get("port")
	g := &gate{t: t, target: filepath.Join(query.Get("host"), name), path: filepath.Join(dir, name), conns: map[net.Conn]struct{}{}}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	g.open()
	t.Cleanup(func() {
		g.close()
		g.active.Wait()
		os.RemoveAll(dir)
	})
	return g, u.String()
}

func (g *gate) open() {
	g.t.Helper()
	l, err := net.Listen("unix", g.path)
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	g.l, g.shut = l, false
	g.mu.Unlock()
	g.active.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			g.active.Go(func() { g.pass(in) })
		}
	})
}

func (g *gate) pass(in net.Conn) {
	out, err := net.Dial("unix", g.target)
	if err != nil {
		in.Close()
		return
	}
	if !g.keep(in, out) {
		in.Close()
		out.Close()
		return
	}
	g.active.Go(func() {
		io.Copy(out, in) //nolint:errcheck // it ends when the gate is shut
		out.Close()
	})
	io.Copy(in, out) //nolint:errcheck // as above
	in.Close()
}

func (g *gate) keep(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		g.conns[c] = struct{}{}
	}
	return !g.shut
}

// close ends all connections and takes no new ones: the database is down.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	g.l.Close()
	for c := range g.conns {
		c.Close()
	}
	g.conns = map[net.Conn]struct{}{}
}

func TestSessionsOutliveTheDatabase(t *testing.T) {
	t.Parallel()
	g, dsn := newGate(t, pgtest.DSN(t))
	e := newEnvOn(t, dsn)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	c, idle, quiet := w.in("INBOX"), w.in("INBOX"), w.login()
	tag := idle.start("IDLE")
	if line := idle.line(); line != "+ Idling" {
		t.Fatal(line)
	}

	g.close()
	for _, command := range []string{
		"SELECT Trash", "STATUS INBOX (MESSAGES)", `LIST "" *`, "CREATE X", "APPEND INBOX {3}",
	} {
		quiet.want("NO [UNAVAILABLE]", "%s", command)
	}
	for _, command := range []string{
		"FETCH 1 BODY[]", `STORE 1 +FLAGS (\Seen)`, "COPY 1 Trash", "MOVE 1 Trash", "EXPUNGE", "SEARCH BODY x",
	} {
		c.want("NO [UNAVAILABLE]", "%s", command)
	}
	e.dial().want("NO [UNAVAILABLE]", "LOGIN %s %q", w.email, password)
	c.ok("NOOP") // it has nothing to say
	same(t, c.ok("FETCH 1 (UID FLAGS)"), "* 1 FETCH (UID 1 FLAGS ())")

	g.open()
	quiet.ok("SELECT INBOX")
	c.ok(`STORE 1 +FLAGS (\Seen)`)
	for line := idle.line(); line != `* 1 FETCH (UID 1 FLAGS (\Seen))`; line = idle.line() {
		if !strings.HasPrefix(line, "* OK ") {
			t.Fatalf("the idle session was told %q", line)
		}
	}
	idle.send("DONE\r\n")
	if _, status := idle.finish(tag); !strings.HasPrefix(status, "OK") {
		t.Error(status)
	}
	w.deliver("INBOX", note(2))
	has(t, c.ok("NOOP"), "* 2 EXISTS")
}

func metricsText(t testing.TB, e *env) string {
	t.Helper()
	rec := httptest.NewRecorder()
	e.metrics.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return rec.Body.String()
}
