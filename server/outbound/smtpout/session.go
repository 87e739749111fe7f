package smtpout

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

var (
	errNoVerifiedTLS = errors.New("no verified TLS")
	errNoMechanism   = errors.New("neither PLAIN nor LOGIN is offered")
)

// session is one connection that has been greeted and is ready for MAIL.
type session struct {
	client *Client
	wire   *wire
	target target
	relay  *Relay // nil on the direct way
	ext    extensions
	tls    string // "" clear, "TLS1.3"
	// opened and used are moments of the client's clock; served counts letters.
	opened, used time.Time
	served       int
	// dirty says that a transaction may be open, so that RSET goes before the next MAIL.
	dirty bool
	// broken says that the connection must not carry another letter.
	broken bool
	// buffer takes pieces of messages on their way.
	buffer []byte
}

// extensions are what an EHLO reply offers (RFC 5321 §4.1.1.1).
type extensions struct {
	pipelining, eightBit, startTLS, hasSize bool
	size                                    int64 // 0: no limit is stated
	auth                                    []string
}

func parseExtensions(lines []string) extensions {
	var e extensions
	for _, line := range lines {
		fields := strings.Fields(strings.ToUpper(line))
		if len(fields) == 0 {
			continue
		}
		switch fields[0] {
		case "PIPELINING":
			e.pipelining = true
		case "8BITMIME":
			e.eightBit = true
		case "STARTTLS":
			e.startTLS = true
		case "AUTH":
			e.auth = fields[1:]
		case "SIZE":
			e.hasSize = true
			if len(fields) > 1 {
				if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil && n > 0 {
					e.size = n
				}
			}
		}
	}
	return e
}

// open connects to a target until it is ready for MAIL. A host whose TLS breaks is asked once more in clear, on a connection
// of its own, unless TLS is a must (O-11).
func (c *Courier) open(outer, ctx context.Context, to target) (*session, *failure) {
	clear := c.relay == nil && c.client.brokenTLS.knows(to.host.key())
	s, f := c.connect(outer, ctx, to, clear)
	if f == nil || !f.clear || clear || c.relay != nil || ctx.Err() != nil {
		return s, f
	}
	c.client.log.WarnContext(ctx, "TLS with a mail server failed, trying in clear",
		slog.String("host", to.host.name), slog.String("addr", to.addr.String()), slog.Any("error", f.Err))
	s, second := c.connect(outer, ctx, to, true)
	if second != nil {
		// That the host is down says nothing about its TLS.
		return nil, second
	}
	c.client.brokenTLS.remember(to.host.key(), clearFor)
	return s, nil
}

// connect makes one connection.
func (c *Courier) connect(outer, ctx context.Context, to target, clear bool) (*session, *failure) {
	raw, err := c.client.dial(ctx, to.addr)
	if err != nil {
		return nil, c.unreachable(ctx, to, err)
	}
	if to.addr.Addr().Is6() {
		c.client.brokenV6.forget(to.host.key())
	}
	s := &session{client: c.client, wire: newWire(raw, c.client.cfg.Timeouts), target: to, relay: c.relay, opened: c.client.clk.Now()}
	release := s.wire.hold(outer, ctx)
	f := s.greet(ctx, clear)
	if !release() && f == nil {
		f = s.lost(stageBanner, context.Cause(ctx))
	}
	if f != nil {
		s.wire.close()
		return nil, s.named(f)
	}
	return s, nil
}

// unreachable is the failure of a dial.
func (c *Courier) unreachable(ctx context.Context, to target, err error) *failure {
	f := &failure{next: true}
	switch {
	case errors.Is(err, errForbidden):
		f.Result = own(Deferred, 451, "4.4.4", ClassRouting, err, "%s has no public address", to.host.name)
		f.Rule = "O-6"
	default:
		f.Result = own(Deferred, 451, "4.4.1", ClassNetwork, err, "no connection to %s [%s]: %s", to.host.name, to.addr.Addr(), cause(err))
		f.HostTrouble = true
		if to.addr.Addr().Is6() && ctx.Err() == nil {
			c.client.brokenV6.remember(to.host.key(), lastFor)
		}
	}
	f.Host, f.Addr = to.host.name, to.addr
	return f
}

// named fills in whom the failure is about.
func (s *session) named(f *failure) *failure {
	if f != nil {
		s.name(&f.Result)
	}
	return f
}

func (s *session) name(r *Result) { r.Host, r.Addr, r.TLS = s.target.host.name, s.target.addr, s.tls }

// greet reads the banner, says EHLO, and goes under TLS and signs in where that is asked for.
func (s *session) greet(ctx context.Context, clear bool) *failure {
	if s.relay != nil && s.relay.TLS == TLSImplicit {
		if f := s.handshake(ctx); f != nil {
			return f
		}
	}
	rep, err := s.wire.hear(s.client.cfg.Timeouts.Banner)
	if f := s.expect(stageBanner, rep, err, 220); f != nil {
		return f
	}
	if f := s.hello(); f != nil {
		return f
	}
	if f := s.startTLS(ctx, clear); f != nil {
		return f
	}
	if s.relay == nil || s.relay.Username+s.relay.Password == "" {
		return nil
	}
	return s.signIn()
}

// expect turns everything but the expected code into a failure. A code of 2 means any 2yz.
func (s *session) expect(at stage, rep reply, err error, code int) *failure {
	switch {
	case err != nil:
		return s.lost(at, err)
	case rep.code == code || code == 2 && rep.ok():
		s.broken = s.broken || rep.mixed
		return nil
	case rep.code < 400:
		return s.lost(at, fmt.Errorf("%w: %d", errReply, rep.code))
	}
	return s.judge(at, rep)
}

// judge asks the table. After 421 the remote closes the connection (RFC 5321 §4.2.1), so we do.
func (s *session) judge(at stage, rep reply) *failure {
	s.broken = s.broken || rep.code == 421 || rep.mixed
	return s.client.table.judge(at, rep)
}

// lost is the failure of a connection, or of a remote that does not speak SMTP.
func (s *session) lost(at stage, err error) *failure {
	s.broken = true
	status, what := "4.4.2", cause(err)
	switch {
	case errors.Is(err, errReply), errors.Is(err, errUnasked):
		status = "4.5.0"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		what = "connection closed"
	}
	f := stop(Deferred, 451, status, ClassNetwork, err, "%s was lost at %s: %s", s.target.host.name, at, what)
	f.HostTrouble, f.next = true, true
	return f
}

// hello says EHLO, and HELO to a server that does not know it (RFC 5321 §3.2). What was offered before counts no longer.
func (s *session) hello() *failure {
	t := s.client.cfg.Timeouts.Hello
	s.ext = extensions{}
	name := s.client.cfg.Hostname
	if name == "" {
		name = literal(s.wire.raw.LocalAddr())
	}
	rep, err := s.wire.ask(t, "EHLO "+name)
	if err != nil || rep.code < 500 {
		f := s.expect(stageHello, rep, err, 250)
		if f == nil && len(rep.lines) > 0 {
			s.ext = parseExtensions(rep.lines[1:])
		}
		return f
	}
	f := s.judge(stageHello, rep)
	if rep, err = s.wire.ask(t, "HELO "+name); err != nil {
		s.broken = true
		return f // the answer to EHLO says more than a lost connection
	}
	return s.expect(stageHello, rep, nil, 250)
}

// literal is the address literal of RFC 5321 §4.1.3.
func literal(local net.Addr) string {
	to, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return "localhost"
	}
	addr := to.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return "[" + addr.String() + "]"
	}
	return "[IPv6:" + addr.String() + "]"
}

// startTLS goes under TLS when that is offered, or asked for by a relay.
func (s *session) startTLS(ctx context.Context, clear bool) *failure {
	must := s.relay != nil && (s.relay.TLS == TLSStartTLS || s.relay.TLS == "")
	switch {
	case s.tls != "", !must && (clear || s.relay != nil || !s.ext.startTLS):
		return nil
	case !s.ext.startTLS:
		f := stop(Deferred, 451, "4.7.5", ClassTLS, errNoVerifiedTLS, "the relay %s offers no STARTTLS", s.target.host.name)
		f.HostTrouble, f.Rule = true, "O-46"
		return f
	}
	rep, err := s.wire.ask(s.client.cfg.Timeouts.Hello, "STARTTLS")
	if f := s.expect(stageTLS, rep, err, 220); f != nil {
		s.refusedTLS(f, rep.code)
		return f
	}
	if f := s.handshake(ctx); f != nil {
		return f
	}
	return s.hello()
}

// refusedTLS decides about a host that offers STARTTLS and does not do it. With 454 it is as good as a broken handshake. A 5yz
// is trouble of the host for this attempt (O-23); the next one does not ask it for TLS, or the letter would never leave.
func (s *session) refusedTLS(f *failure, code int) {
	f.clear = code/100 == 4 && code != 421
	if code >= 500 && s.relay == nil {
		s.client.brokenTLS.remember(s.target.host.key(), clearFor)
	}
}

// handshake puts TLS above the socket. On the direct way nobody vouches for the host, so its certificate is not looked at
// (O-10, RFC 7435); a relay's must be valid for its name.
func (s *session) handshake(ctx context.Context) *failure {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.target.host.name}
	if s.relay != nil {
		cfg.RootCAs = s.client.cfg.Roots
	} else {
		cfg.InsecureSkipVerify = true // opportunistic: the other choice is clear text
	}
	conn := tls.Client(s.wire.raw, cfg)
	s.wire.limit(s.client.cfg.Timeouts.Handshake)
	if err := conn.HandshakeContext(ctx); err != nil {
		s.broken = true
		f := stop(Deferred, 451, "4.7.5", ClassTLS, err, "TLS with %s failed: %s", s.target.host.name, cause(err))
		f.HostTrouble, f.next, f.clear = true, true, true
		return f
	}
	s.wire.secure(conn)
	s.tls = strings.ReplaceAll(tls.VersionName(conn.ConnectionState().Version), " ", "")
	return nil
}

// signIn authenticates at a relay, only ever under the TLS that was verified in handshake (S-3, O-46).
func (s *session) signIn() *failure {
	if s.tls == "" || s.relay == nil {
		return ruled("O-46", stop(Deferred, 451, "4.7.5", ClassTLS, errNoVerifiedTLS, "credentials are not sent without TLS"))
	}
	encode := base64.StdEncoding.EncodeToString
	user, password := s.relay.Username, s.relay.Password
	for _, mechanism := range s.ext.auth {
		switch mechanism {
		case "PLAIN": // RFC 4616
			return s.converse("AUTH PLAIN " + encode([]byte("\x00"+user+"\x00"+password)))
		case "LOGIN":
			return s.converse("AUTH LOGIN", encode([]byte(user)), encode([]byte(password)))
		}
	}
	f := stop(Deferred, 451, "4.7.0", ClassConfiguration, errNoMechanism, "the relay %s offers neither AUTH PLAIN nor LOGIN", s.target.host.name)
	f.HostTrouble, f.Rule = true, "O-46"
	return f
}

// converse sends lines of an AUTH exchange: 334 to each but the last, 235 to that (RFC 4954 §4). The lines are secret.
func (s *session) converse(lines ...string) *failure {
	for i, line := range lines {
		code := 334
		if i == len(lines)-1 {
			code = 235
		}
		rep, err := s.wire.ask(s.client.cfg.Timeouts.Hello, line)
		if f := s.expect(stageAuth, rep, err, code); f != nil {
			return f
		}
	}
	return nil
}

// bye says QUIT and closes (RFC 5321 §4.1.1.10). A connection with trouble is closed at once.
func (s *session) bye() {
	if !s.broken && s.wire.quiet() == nil {
		s.wire.block = s.client.cfg.Timeouts.Quit
		_, _ = s.wire.ask(s.client.cfg.Timeouts.Quit, "QUIT") // a courtesy
	}
	s.wire.close()
}
