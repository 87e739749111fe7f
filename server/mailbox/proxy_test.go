package mailbox

import (
	"bytes"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// proxy stands between a node and PostgreSQL and cuts connections at chosen moments.
type proxy struct {
	l    net.Listener
	to   string
	kind string
	mode atomic.Int32

	mu    sync.Mutex
	conns []net.Conn
}

const (
	proxyPass       = iota
	proxyLoseReply  // the next request reaches the database, its answer never comes back
	proxyLoseAsk    // the next request never reaches the database
	proxyDown       // nobody gets through
	proxyLoseAndGo  // as proxyLoseReply, and down from then on
	proxyLoseCommit // the next COMMIT reaches the database, its answer never comes back
)

func newProxy(tb testing.TB, dsn string) (p *proxy, through string) {
	tb.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	port := strconv.Itoa(int(cfg.Port))
	p = &proxy{kind: "tcp", to: net.JoinHostPort(cfg.Host, port)}
	if filepath.IsAbs(cfg.Host) {
		p.kind, p.to = "unix", filepath.Join(cfg.Host, ".s.PGSQL."+port)
	}
	if p.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	go p.serve()
	tb.Cleanup(func() { p.l.Close(); p.cut() })
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: p.l.Addr().String(), Path: "/" + cfg.Database,
		RawQuery: "sslmode=disable",
	}
	return p, u.String()
}

func (p *proxy) serve() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		go p.conn(c)
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) conn(client net.Conn) {
	defer client.Close()
	if p.mode.Load() == proxyDown {
		return
	}
	server, err := net.Dial(p.kind, p.to)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	var deaf atomic.Bool
	answered := make(chan struct{}, 1)
	go func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			if deaf.Load() {
				answered <- struct{}{}
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
		if err != nil {
			return
		}
		switch mode := p.mode.Load(); {
		case mode == proxyLoseCommit && !bytes.Contains(bytes.ToLower(buf[:n]), []byte("commit\x00")):
		case mode == proxyDown:
			return
		case mode == proxyLoseAsk:
			p.mode.Store(proxyPass)
			return
		case mode != proxyPass:
			next := int32(proxyPass)
			if mode == proxyLoseAndGo {
				next = proxyDown
			}
			deaf.Store(true)
			p.mode.Store(next) // before anybody can notice and connect anew
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
