package outbound_test

import (
	"bytes"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/pgtest"
)

// proxy stands between the service and PostgreSQL.
type proxy struct {
	l        net.Listener
	kind, to string
	down     atomic.Bool // nobody gets through, and whoever is connected is cut off with the next word
	// loseCommit lets the next COMMIT reach the database and cuts the connection before its answer comes back.
	loseCommit atomic.Bool
	// loseAll is loseCommit with down from then on.
	loseAll atomic.Bool
}

func newProxy(t *testing.T, dsn string) (p *proxy, through string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(int(cfg.Port))
	p = &proxy{kind: "tcp", to: net.JoinHostPort(cfg.Host, port)}
	if filepath.IsAbs(cfg.Host) {
		p.kind, p.to = "unix", filepath.Join(cfg.Host, ".s.PGSQL."+port)
	}
	if p.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.l.Close() })
	go func() {
		for {
			c, err := p.l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: p.l.Addr().String(), Path: "/" + cfg.Database,
		RawQuery: "sslmode=disable",
	}
	return p, u.String()
}

// serve carries one connection. Each request is read and passed on whole.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	if p.down.Load() {
		return
	}
	server, err := net.Dial(p.kind, p.to)
	if err != nil {
		return
	}
	defer server.Close()
	var mute atomic.Bool
	answered := make(chan struct{})
	go func() {
		defer client.Close()
		defer close(answered)
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if mute.Load() || err != nil {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil || p.down.Load() {
			return
		}
		if commit := bytes.Contains(buf[:n], []byte("commit\x00")); commit && (p.loseAll.Load() || p.loseCommit.CompareAndSwap(true, false)) {
			mute.Store(true)
			p.down.Store(p.loseAll.Load())
			if _, err := server.Write(buf[:n]); err == nil {
				<-answered
			}
			return
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// proxied is a world whose database can go away; eyes is the same one past the proxy.
func proxied(t *testing.T) (w, eyes *world, p *proxy) {
	t.Helper()
	dsn := pgtest.DSN(t)
	open := func(dsn string) *pg.Pool {
		pool, err := pg.Open(t.Context(), pg.Config{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
	p, through := newProxy(t, dsn)
	w = newWorld(t, settings{pool: open(through)})
	return w, newWorld(t, settings{pool: open(dsn), beside: w}), p
}

// I-44: a database that is down refuses for now, stores nothing, and serves again without a restart.
func TestADatabaseThatIsDownRefusesForNow_I44(t *testing.T) {
	t.Parallel()
	w, eyes, p := proxied(t)
	ann := w.user("ann@d.test")
	e := w.accept("ann@d.test")
	p.down.Store(true)
	if _, err := w.out.Accept(t.Context(), system(), w.draft("x@far.test")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("accept: %v", err)
	}
	if _, err := w.submit(ann, "From: ann@d.test\r\n\r\nx\r\n", "x@far.test"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("submit: %v", err)
	}
	if err := w.out.Recipient(t.Context(), principal(ann), address(t, "nobody@d.test")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("recipient: %v", err)
	}
	if err := w.out.Attempt(t.Context(), e.ID); !fault.Is(err, fault.Unavailable) {
		t.Errorf("attempt: %v", err)
	}
	if _, err := w.out.WakeDue(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("scan: %v", err)
	}
	if _, _, err := w.out.List(t.Context(), system(), outbound.ListQuery{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("list: %v", err)
	}
	if _, err := w.out.Get(t.Context(), system(), e.ID); !fault.Is(err, fault.Unavailable) {
		t.Errorf("get: %v", err)
	}
	if n := query[int](eyes, `SELECT count(*) FROM email`); n != 1 || len(w.files(body.Outbound)) != 1 {
		t.Errorf("%d emails, files %v", n, w.files(body.Outbound))
	}
	p.down.Store(false)
	for range 20 { // connections of the pool that died are used up
		if w.out.Attempt(t.Context(), e.ID) == nil {
			break
		}
	}
	if len(eyes.inbox(ann.ID)) != 1 {
		t.Errorf("got %s", brief(eyes.get(e.ID)))
	}
}

// D-12: an unanswered commit that happened is a success.
func TestAnUnansweredCommitThatHappenedIsASuccess_D12(t *testing.T) {
	t.Parallel()
	w, eyes, p := proxied(t)
	w.user("ann@d.test")
	p.loseCommit.Store(true)
	e, err := w.out.Accept(t.Context(), system(), w.draft("ann@d.test"))
	if err != nil {
		t.Fatal(err)
	}
	if p.loseCommit.Load() || query[int](eyes, `SELECT count(*) FROM email`) != 1 || len(w.files(body.Outbound)) != 1 || eyes.jobs(e.ID) != 1 {
		t.Fatalf("files %v", w.files(body.Outbound))
	}
}

// D-12: when nobody can tell, the sender is asked to try again and the bytes stay.
func TestACommitThatNobodyCanTellAboutKeepsTheBytes_D12(t *testing.T) {
	t.Parallel()
	w, eyes, p := proxied(t)
	p.loseAll.Store(true)
	if _, err := w.out.Accept(t.Context(), system(), w.draft("x@far.test")); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("got %v", err)
	}
	if n := query[int](eyes, `SELECT count(*) FROM email`); n != 1 || len(w.files(body.Outbound)) != 1 {
		t.Fatalf("%d emails, files %v", n, w.files(body.Outbound))
	}
}

// A delivery whose commit went unanswered is neither undone on the disk nor made twice.
func TestADeliveryWithAnUnansweredCommitIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	w, eyes, p := proxied(t)
	ann := eyes.user("ann@d.test")
	e := eyes.accept("ann@d.test") // past the proxy, so that the next commit there is the attempt's
	p.loseCommit.Store(true)
	if err := w.out.Attempt(t.Context(), e.ID); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("got %v", err)
	}
	for range 20 {
		if w.out.Attempt(t.Context(), e.ID) == nil {
			break
		}
	}
	if box := eyes.inbox(ann.ID); len(box) != 1 || brief(eyes.get(e.ID)) != "delivered; ann@d.test delivered local 1" {
		t.Fatalf("%s, %d messages", brief(eyes.get(e.ID)), len(box))
	}
}
