package webd

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/obs"
)

const (
	// writeStall is how long a peer may take for writeChunk bytes of an answer.
	writeStall = time.Minute
	writeChunk = 64 << 10
	// bodyGrace is how long a request body may take beside its lowest rate.
	bodyGrace = 30 * time.Second
	// drainTime is how long the rest of a body that nobody wanted may take.
	drainTime = 5 * time.Second
)

// now is the time of socket deadlines. The kernel keeps them, so they follow
// the machine's clock and never one of a test.
func now() time.Time { return clock.System().Now() }

// guard is a listener that closes connections beyond its limits at once.
type guard struct {
	net.Listener
	total, perIP int
	metrics      *obs.Metrics

	mu     sync.Mutex
	open   int
	byAddr map[netip.Prefix]int
}

// newGuard wraps ln. A limit of 0 is no limit.
func newGuard(ln net.Listener, total, perIP int, metrics *obs.Metrics) *guard {
	return &guard{Listener: ln, total: total, perIP: perIP, metrics: metrics, byAddr: map[netip.Prefix]int{}}
}

// Accept returns the next connection that is within the limits.
func (g *guard) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(conn.RemoteAddr())
		if !g.admit(source) {
			conn.Close()
			continue
		}
		closed := g.metrics.ConnectionOpened(obs.ConnHTTP)
		return &guardedConn{Conn: conn, release: sync.OnceFunc(func() {
			closed()
			g.leave(source)
		})}, nil
	}
}

// sourceOf is the address, or the /64 it is in, that connections are counted
// by; the zero Prefix for loopback, where a reverse proxy speaks for many.
func sourceOf(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.IsLoopback() {
		return netip.Prefix{}
	}
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

func (g *guard) admit(source netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total > 0 && g.open >= g.total {
		return false
	}
	if source.IsValid() {
		if g.perIP > 0 && g.byAddr[source] >= g.perIP {
			return false
		}
		g.byAddr[source]++
	}
	g.open++
	return true
}

func (g *guard) leave(source netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	if !source.IsValid() {
		return
	}
	if g.byAddr[source]--; g.byAddr[source] <= 0 {
		delete(g.byAddr, source)
	}
}

// guardedConn gives its place back when it is closed, and gives up on a peer
// that does not read its answer.
type guardedConn struct {
	net.Conn
	release func()

	mu sync.Mutex
	// until is the deadline of whoever answers, zero for none.
	until time.Time
}

// SetWriteDeadline implements net.Conn. Write keeps it when it comes before
// its own.
func (c *guardedConn) SetWriteDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = at
	return c.Conn.SetWriteDeadline(at)
}

// SetDeadline implements net.Conn.
func (c *guardedConn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}

// limit gives the next chunk its deadline.
func (c *guardedConn) limit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := now().Add(writeStall)
	if !c.until.IsZero() && c.until.Before(at) {
		at = c.until
	}
	return c.Conn.SetWriteDeadline(at)
}

// Write sends in chunks, each with its own deadline, so that a slow reader is
// served and one that has stopped is not.
func (c *guardedConn) Write(p []byte) (int, error) {
	written := 0
	for {
		chunk := p[written:min(len(p), written+writeChunk)]
		if err := c.limit(); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(chunk)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// Close closes the connection and frees its place.
func (c *guardedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// pace is how slow a request body may be: the time that its bytes take at rate
// bytes a second, and grace. What came faster saves no more than grace, so a
// body that has stalled ends soon however much of it has come. A rate of 0 is
// no limit.
type pace struct {
	rate  int
	grace time.Duration
	// drain is how long the rest of a body that nobody wanted may take.
	drain time.Duration
}

// slowBody holds request bodies to a pace (S-13).
func slowBody(next http.Handler, p pace) http.Handler {
	if p.rate <= 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		body := &ratedBody{ReadCloser: r.Body, control: http.NewResponseController(w), credit: p.grace, pace: p}
		r.Body = body
		next.ServeHTTP(w, r)
		if !body.ended {
			// What the handler left unread is thrown away by the server, which
			// sets no deadline for it.
			_ = body.control.SetReadDeadline(now().Add(p.drain))
		}
	})
}

// ratedBody moves the read deadline of the connection with what has arrived.
// At the end of the body net/http takes the deadline away again, so a long
// answer is not cut by it.
type ratedBody struct {
	io.ReadCloser
	control *http.ResponseController
	pace    pace
	// credit is how long the next bytes may take.
	credit time.Duration
	ended  bool
}

// Read fails with a timeout when the body is too slow. Only the waiting
// counts, not what the handler does between two reads.
func (b *ratedBody) Read(p []byte) (int, error) {
	begin := now()
	if err := b.control.SetReadDeadline(begin.Add(b.credit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	worth := time.Duration(n) * time.Second / time.Duration(b.pace.rate)
	b.credit = min(b.credit-now().Sub(begin)+worth, b.pace.grace)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}
