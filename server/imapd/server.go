package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

// Server serves IMAP on any number of listeners.
type Server struct {
	config Config
	guard  *guard
	users  *users
	verbs  map[string]verb
	// searches bounds the searches that read bodies at the same moment.
	searches chan struct{}
	// buffers are what sessions read with while their clients say something.
	buffers imapwire.Buffers

	mu        sync.Mutex
	stopping  bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	active    sync.WaitGroup
}

// bodySearches is how many searches may read bodies at the same moment; others wait for the next message.
const bodySearches = 2

// errStopped says that a server that has been shut down cannot serve again.
var errStopped = errors.New("imapd: the server has been shut down")

// New makes a Server; it does nothing before Serve.
func New(config Config) *Server {
	if config.TLS != nil {
		config.TLS = config.TLS.Clone()
		config.TLS.MinVersion = max(config.TLS.MinVersion, tls.VersionTLS12)
	}
	config.Limits = config.Limits.complete()
	s := &Server{
		config: config, verbs: verbs(), searches: make(chan struct{}, bodySearches),
		listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{},
	}
	s.guard = newGuard(&s.config.Limits)
	s.users = newUsers(&s.config)
	return s
}

// Serve takes connections from l until Shutdown, or until ctx ends, which ends the sessions as well. It closes l and returns nil
// then, while sessions may still be ending: Shutdown waits for them. Any other return is an error of l.
func (s *Server) Serve(ctx context.Context, l net.Listener, kind Kind) error {
	defer l.Close()
	if kind == ImplicitTLS && s.config.TLS == nil {
		return errors.New("imapd: the port needs TLS")
	}
	if !s.register(l) {
		return errStopped
	}
	defer s.unregister(l)
	detach := context.AfterFunc(ctx, func() { s.begin(byeShutdown) })
	defer detach()
	return s.accept(context.WithoutCancel(ctx), l, kind)
}

// accept admits connections until the listener is closed. Errors such as "too many open files" pass; a listener that gives
// nothing else is given up.
func (s *Server) accept(ctx context.Context, l net.Listener, kind Kind) error {
	const patience = 20
	for failures := 0; ; {
		nc, err := l.Accept()
		switch {
		case err == nil:
			failures = 0
			s.admit(ctx, nc, kind)
			continue
		case errors.Is(err, net.ErrClosed):
			return nil
		}
		if failures++; failures >= patience {
			return fmt.Errorf("imapd: accept on %s: %w", kind, err)
		}
		s.config.Logger.WarnContext(ctx, "imap accept failed", slog.String("port", kind.String()), slog.String("error", err.Error()))
		s.config.Clock.Sleep(ctx, min(time.Second, 5*time.Millisecond<<failures)) //nolint:errcheck // ctx does not end
	}
}

// admit starts a session on a connection, or turns it away.
func (s *Server) admit(ctx context.Context, nc net.Conn, kind Kind) {
	remote := remoteIP(nc)
	if refusal := s.guard.admit(remote); refusal != "" {
		s.turnAway(nc, kind, refusal)
		return
	}
	c := newConn(ctx, s, nc, kind, remote)
	if !s.enter(c) {
		s.guard.release(remote, true)
		c.cancel()
		c.closed()
		s.turnAway(nc, kind, byeShutdown.text)
		return
	}
	go c.serve() //nolint:contextcheck // its context was made of ctx, for as long as the connection lives
}

// turnAway writes into the empty buffer of a new socket, which does not block. A client that expects TLS is told nothing: a
// handshake would cost what the refusal is to save.
func (s *Server) turnAway(nc net.Conn, kind Kind, why string) {
	if kind == Plain {
		nc.SetWriteDeadline(s.config.Clock.Now().Add(time.Second))
		nc.Write([]byte("* BYE [UNAVAILABLE] " + why + "\r\n")) //nolint:errcheck // the connection is closed anyway
	}
	nc.Close()
}

// Shutdown closes the listeners and ends all sessions with BYE: those that wait for a command or are in IDLE at once, the others
// after the command they carry out. It returns when all have ended, or the error of ctx when it had to cut connections.
func (s *Server) Shutdown(ctx context.Context) error {
	s.begin(byeShutdown)
	gone := make(chan struct{})
	go func() {
		s.active.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	s.cut()
	<-gone
	return ctx.Err()
}

// begin stops taking connections and tells the sessions to end.
func (s *Server) begin(why bye) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.stop(why)
	}
}

// cut closes the connections of sessions that did not end in time, and tells the services they wait for.
func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.log.WarnContext(c.ctx, "imap session cut", slog.String("command", c.current.Load().(string))) //nolint:forcetypeassert // set by newConn
		c.cancel()
		c.link.Close()
	}
}

func (s *Server) register(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) unregister(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.conns[c] = struct{}{}
	s.active.Add(1)
	return true
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.active.Done()
}
