package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// Port is a kind of listener. Its policy follows from it, not from the number it listens on.
type Port uint8

// The kinds of listener.
const (
	// Port25 takes mail from anybody for our own users; STARTTLS is offered, AUTH is not.
	Port25 Port = iota + 1
	// Port587 takes mail from our users after STARTTLS and AUTH (RFC 6409).
	Port587
	// Port465 takes mail from our users after AUTH; TLS comes first (RFC 8314 §3.3).
	Port465
)

// String gives the name used in metrics and logs.
func (p Port) String() string {
	switch p {
	case Port25:
		return "smtp"
	case Port587:
		return "submission"
	case Port465:
		return "submissions"
	}
	return "unknown"
}

func (p Port) submission() bool { return p != Port25 }

// Config is what a Server is made of. All services of the ports that are served must be set.
type Config struct {
	// Hostname is our name in greetings, and the domain of <postmaster>.
	Hostname string
	// Limits bound sessions; the zero Limits lift everything.
	Limits Limits
	// TLS is offered on 25 and 587 and spoken on 465; versions below 1.2 are refused whatever it says. Without it, 25 is clear
	// only, and 587 and 465 are not served.
	TLS *tls.Config
	// Clock must run with real time: it also sets the deadlines of sockets.
	Clock  clock.Clock
	Logger *slog.Logger
	// Metrics counts connections and refusals; nil counts nothing. Sign-ins and messages are counted by the services.
	Metrics *obs.Metrics

	Authenticator Authenticator
	Arrivals      Arrivals
	Departures    Departures
}

// Server serves SMTP on any number of listeners.
type Server struct {
	config Config

	mu       sync.Mutex
	stopping bool
	entries  map[*entry]struct{}
	sessions map[*session]struct{}
	active   sync.WaitGroup
}

// entry is one listener at work.
type entry struct {
	port     Port
	listener net.Listener
	guard    *guard
	inlet    *inlet
}

// errStopped says that a server that has been shut down cannot serve again.
var errStopped = errors.New("smtpd: the server has been shut down")

// New makes a Server; it does nothing before Serve.
func New(config Config) *Server {
	if config.TLS != nil {
		config.TLS = config.TLS.Clone()
		config.TLS.MinVersion = max(config.TLS.MinVersion, tls.VersionTLS12)
	}
	return &Server{config: config, entries: map[*entry]struct{}{}, sessions: map[*session]struct{}{}}
}

// Serve takes connections from l until Shutdown, or until ctx ends, which counts as a Shutdown of the whole server. It closes l
// and returns nil then, while sessions may still be ending: Shutdown waits for them. Any other return is an error of l.
func (s *Server) Serve(ctx context.Context, l net.Listener, port Port) error {
	defer l.Close()
	if port.submission() && s.config.TLS == nil {
		return fmt.Errorf("smtpd: %s needs TLS", port)
	}
	e := &entry{port: port, listener: l, guard: newGuard(&s.config.Limits)}
	e.inlet = &inlet{ready: make(chan net.Conn), gone: make(chan struct{}), addr: l.Addr()}
	if !s.register(e) {
		if ctx.Err() != nil {
			return nil
		}
		return errStopped
	}
	defer s.unregister(e)
	lib := s.library()
	go lib.Serve(e.inlet) //nolint:errcheck // it ends with the inlet and has nothing else to say
	detach := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Limits.Stop+hardStop)
		defer cancel()
		s.Shutdown(grace) //nolint:errcheck // sessions that had to be cut are logged
	})
	defer detach()
	return s.accept(context.WithoutCancel(ctx), e)
}

// library makes the go-smtp server of one listener. All limits and TLS are ours; it gets no deadline and no size to enforce.
func (s *Server) library() *smtp.Server {
	lib := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		f, ok := c.Conn().(*front)
		if !ok {
			return nil, fmt.Errorf("smtpd: a connection of type %T", c.Conn())
		}
		return f.session, nil
	}))
	lib.Domain = s.config.Hostname
	lib.MaxLineLength = 0
	lib.AllowInsecureAuth = true
	lib.EnableSMTPUTF8 = true
	lib.ErrorLog = libraryLog{s.config.Logger}
	return lib
}

// accept admits connections until the listener is closed. Errors such as "too many open files" pass; a listener that gives
// nothing else is given up.
func (s *Server) accept(ctx context.Context, e *entry) error {
	const patience = 20
	for failures := 0; ; {
		nc, err := e.listener.Accept()
		switch {
		case err == nil:
			failures = 0
			s.admit(ctx, e, nc)
			continue
		case errors.Is(err, net.ErrClosed):
			return nil
		}
		if failures++; failures >= patience {
			return fmt.Errorf("smtpd: accept on %s: %w", e.port, err)
		}
		s.config.Logger.WarnContext(ctx, "smtp accept failed", slog.String("port", e.port.String()), slog.String("error", err.Error()))
		s.config.Clock.Sleep(ctx, min(time.Second, 5*time.Millisecond<<failures)) //nolint:errcheck // ctx does not end
	}
}

// admit starts a session on a connection, or refuses it before go-smtp sees it (I-21, I-55). On 465 the refusal is silent,
// because the client expects TLS.
func (s *Server) admit(ctx context.Context, e *entry, nc net.Conn) {
	remote := remoteIP(nc)
	if !e.guard.admit(remote) {
		s.config.Metrics.MessageRejected(obs.ReasonRateLimited)
		s.turnAway(e, nc, "421 4.7.0 too many connections, try later\r\n")
		return
	}
	session := s.newSession(ctx, e, nc, remote)
	if !s.enter(session) {
		e.guard.release(remote)
		session.cancel()
		session.gone()
		s.turnAway(e, nc, "421 4.3.2 shutting down\r\n")
		return
	}
	go s.prepare(session)
}

// turnAway writes into the empty buffer of a new socket, which does not block.
func (s *Server) turnAway(e *entry, nc net.Conn, text string) {
	if e.port != Port465 {
		nc.SetWriteDeadline(s.config.Clock.Now().Add(time.Second))
		nc.Write([]byte(text)) //nolint:errcheck // the connection is closed anyway
	}
	nc.Close()
}

func (s *Server) newSession(ctx context.Context, e *entry, nc net.Conn, remote netip.Addr) *session {
	id := obs.NewConnID()
	ctx, cancel := context.WithCancel(obs.WithConnID(ctx, id))
	protocol := obs.ConnSMTP
	if e.port.submission() {
		protocol = obs.ConnSubmission
	}
	return &session{
		srv: s, entry: e, wire: newWire(nc, s.config.Clock, &s.config.Limits), id: id, remote: remote,
		opened: s.config.Clock.Now(), ctx: ctx, cancel: cancel, gone: s.config.Metrics.ConnectionOpened(protocol),
		log: s.config.Logger.With(slog.String("port", e.port.String()), slog.String("remote", remote.String())),
	}
}

// prepare does what comes before the greeting and hands the connection to go-smtp.
func (s *Server) prepare(session *session) {
	defer func() {
		if r := recover(); r != nil {
			session.panicked(r) //nolint:errcheck // it has been recorded
			s.ended(session)
		}
	}()
	if !session.prepare() {
		s.ended(session)
		return
	}
	select {
	case session.entry.inlet.ready <- &front{session: session}:
	case <-session.entry.inlet.gone:
		session.end("421 4.3.2 shutting down")
		s.ended(session)
	}
}

// prepare secures port 465 and catches those on port 25 who talk before they are greeted (I-1).
func (s *session) prepare() bool {
	switch port := s.entry.port; {
	case port == Port465:
		if err := s.wire.startTLS(s.ctx, s.srv.config.TLS); err != nil {
			s.log.InfoContext(s.ctx, "smtp TLS handshake failed", slog.String("error", err.Error()))
			return false
		}
	case port == Port25 && s.limits().BannerDelay > 0:
		early, err := s.wire.talksEarly(s.limits().BannerDelay)
		if early {
			s.srv.config.Metrics.MessageRejected(obs.ReasonPolicy)
			s.unread = true
			s.end("554 5.5.1 talking before the greeting")
		}
		return !early && err == nil
	}
	return true
}

// ended closes a session's connection and forgets the session; it may be called more than once, by the session's goroutine.
func (s *Server) ended(session *session) {
	if session.closed {
		return
	}
	session.closed, session.hang = true, true
	session.wire.close(session.unread)
	session.cancel()
	session.entry.guard.release(session.remote)
	session.gone()
	s.leave(session)
}

// libraryLog takes what go-smtp has to say, which is of panics only.
type libraryLog struct{ log *slog.Logger }

// Printf implements smtp.Logger.
func (l libraryLog) Printf(format string, v ...any) {
	l.log.Error("smtp library", slog.String("text", fmt.Sprintf(format, v...)))
}

// Println implements smtp.Logger.
func (l libraryLog) Println(v ...any) {
	l.log.Error("smtp library", slog.String("text", fmt.Sprint(v...)))
}
