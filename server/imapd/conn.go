package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// conn is one connection: who is on the other side, and what has been said. The goroutine of serve uses it from beginning to end;
// stop and what it touches is the exception.
type conn struct {
	srv    *Server
	kind   Kind
	remote netip.Addr
	log    *slog.Logger
	ctx    context.Context //nolint:containedctx // one connection
	cancel context.CancelFunc
	closed func() // counts the connection out of the metrics

	link *link
	nc   net.Conn // link, or the TLS connection over it
	tls  bool
	r    *imapwire.Reader
	w    *imapwire.Writer

	preAuth  time.Time // when a stranger's time is over (S-13)
	user     *user     // nil before sign-in
	p        mail.Principal
	failures int // of sign-in
	junk     int // commands answered with BAD
	quit     bool
	utf8     bool // ENABLE UTF8=ACCEPT or IMAP4rev2
	rev2     bool // ENABLE IMAP4rev2 (RFC 9051 §6.3.1)
	sel      *selected

	current atomic.Value // string: the command being carried out, for the log

	mu       sync.Mutex
	waiting  bool          // for a command: nothing is lost by ending now
	why      bye           // set by stop
	stopping chan struct{} // closed by stop
}

// selected is the mailbox of a session and the session's own numbering of its messages.
type selected struct {
	box      mailbox.Mailbox
	readOnly bool
	view     *mailbox.View
	keywords int // of the list that the client was told last
	watch    *watch
	doubtful mailbox.UIDRanges // messages whose flags the client may think to know and does not
	saved    mailbox.UIDRanges // the result that "$" stands for (RFC 5182)
}

// bye is why the server ends a connection.
type bye struct {
	code imap.ResponseCode
	text string
}

//nolint:gochecknoglobals // immutable
var (
	byeLogout      = bye{text: "Goodbye"}
	byeShutdown    = bye{imap.ResponseCodeUnavailable, "The server is shutting down"}
	byeCredentials = bye{imap.ResponseCodeExpired, "The account was changed, sign in again"}
	byeIdle        = bye{text: "Nothing was heard for too long"}
	byePreAuth     = bye{text: "Nobody signed in for too long"}
	byeAuth        = bye{text: "Too many failed sign-ins"}
	byeJunk        = bye{text: "Too many commands that make no sense"}
	byeBroken      = bye{text: "The connection cannot go on after this command"}
	byeDeleted     = bye{imap.ResponseCodeNonExistent, "The selected mailbox was deleted"}
	byeRenumbered  = bye{imap.ResponseCodeUnavailable, "The selected mailbox was restored, select it again"}
)

func newConn(ctx context.Context, s *Server, nc net.Conn, kind Kind, remote netip.Addr) *conn {
	ctx, cancel := context.WithCancel(obs.WithConnID(ctx, obs.NewConnID()))
	l := &link{Conn: nc, clk: s.config.Clock, write: s.config.Limits.Write}
	c := &conn{
		srv: s, kind: kind, remote: remote, ctx: ctx, cancel: cancel, link: l, nc: l,
		closed:   s.config.Metrics.ConnectionOpened(obs.ConnIMAP),
		log:      s.config.Logger.With(slog.String("port", kind.String()), slog.String("remote", remote.String())),
		stopping: make(chan struct{}),
	}
	c.current.Store("")
	c.r = imapwire.NewReader(l, imapwire.LimitsBeforeLogin(), c.goOn)
	c.r.Share(&s.buffers)
	c.w = imapwire.NewWriter(l)
	return c
}

func (c *conn) limits() *Limits { return &c.srv.config.Limits }

// serve is the life of a connection. A panic ends this one and no other (S-49).
func (c *conn) serve() {
	defer c.end()
	defer func() {
		if r := recover(); r != nil {
			command, _ := c.current.Load().(string)
			c.log.ErrorContext(c.ctx, "imap handler panicked", slog.Any("panic", r), slog.String("command", command),
				slog.String("stack", string(debug.Stack())))
			c.nc.Close()
		}
	}()
	c.preAuth = c.srv.config.Clock.Now().Add(c.limits().PreAuth)
	if c.kind == ImplicitTLS {
		if err := c.secure(); err != nil {
			c.log.InfoContext(c.ctx, "imap TLS handshake failed", slog.String("error", err.Error()))
			return
		}
	}
	c.link.expect(c.preAuth, 0)
	c.greet()
	for !c.quit {
		c.next()
	}
}

func (c *conn) greet() {
	c.w.Status(imap.StatusResponseTypeOK, imapwire.CodeCapability(c.caps()), c.srv.config.Hostname+" IMAP4 ready")
	c.flush()
}

// next reads a command and answers it.
func (c *conn) next() {
	if !c.await() {
		return
	}
	cmd, err := c.r.ReadCommand()
	if err != nil {
		c.unreadable(err)
		return
	}
	c.execute(cmd)
	c.flush()
}

// await waits for the first octet of a command. It gives false when the connection has ended.
func (c *conn) await() bool {
	if c.user != nil {
		c.link.expect(c.srv.config.Clock.Now().Add(c.limits().Idle), 0)
	}
	if !c.wait(true) {
		c.bye(c.why)
		return false
	}
	err := c.r.Wait()
	if !c.wait(false) {
		c.bye(c.why)
		return false
	}
	if err != nil {
		c.lost(err)
		return false
	}
	if c.user != nil {
		c.link.expect(noMoment(), c.limits().Block)
	}
	return true
}

// wait says whether the connection waits for a command, when stop may end it at once. It gives false when stop has been called.
func (c *conn) wait(on bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = on
	select {
	case <-c.stopping:
		return false
	default:
		return true
	}
}

// stop ends the connection: at once when it waits for a command or is in IDLE, else after its command. It may be called by anybody.
func (c *conn) stop(why bye) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stopping:
		return
	default:
	}
	c.why = why
	close(c.stopping)
	if c.waiting {
		c.link.interrupt()
	}
}

// unreadable answers a command that could not be read (RFC 9051 §7.1.3), or ends the connection.
func (c *conn) unreadable(err error) {
	var refused *imapwire.Error
	if !errors.As(err, &refused) {
		c.lost(err)
		return
	}
	c.w.Error(refused)
	if refused.Fatal {
		c.bye(byeBroken)
		return
	}
	if refused.Status == imap.StatusResponseTypeBad {
		c.countJunk()
	}
	c.flush()
}

func (c *conn) countJunk() {
	if c.junk++; reached(c.junk, c.limits().BadCommands) {
		c.bye(byeJunk)
	}
}

// lost ends a connection that gives nothing more: with a word when it was only silent.
func (c *conn) lost(err error) {
	c.quit = true
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	if c.user == nil {
		c.bye(byePreAuth)
	} else {
		c.bye(byeIdle)
	}
}

// bye says why the connection ends. Nothing is written after it but a tagged answer to LOGOUT.
func (c *conn) bye(why bye) {
	if c.w.Err() == nil {
		c.w.Bye(why.code, why.text)
	}
	c.quit = true
	c.flush()
}

// flush sends what has been written. A client that does not take it is gone.
func (c *conn) flush() {
	if err := c.w.Flush(); err != nil {
		c.quit = true
	}
}

// goOn tells the client to send a literal.
func (c *conn) goOn(text string) error {
	c.w.Continue(text)
	return c.w.Flush()
}

// secure makes the connection a TLS server. What the client sent in clear beyond its last command is dropped unread, so that it can
// never pass as sent under TLS (S-2).
func (c *conn) secure() error {
	c.link.expect(c.srv.config.Clock.Now().Add(c.limits().Handshake), 0)
	over := tls.Server(c.link, c.srv.config.TLS)
	if err := over.HandshakeContext(c.ctx); err != nil {
		return err
	}
	c.nc, c.tls = over, true
	c.r.Reset(over)
	c.w.Reset(over)
	return nil
}

// end closes the connection and forgets it.
func (c *conn) end() {
	c.unselect()
	if c.user != nil {
		c.srv.users.leave(c.user, c)
	}
	c.nc.Close()
	c.cancel()
	c.srv.guard.release(c.remote, c.user == nil)
	c.closed()
	c.srv.leave(c)
}
