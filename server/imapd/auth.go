package imapd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

// authVerbs are those of a stranger (RFC 9051 §6.2).
func authVerbs() map[string]verb {
	return map[string]verb{
		"STARTTLS":     {in: stranger, still: true, run: (*conn).startTLS},
		"LOGIN":        {in: stranger, still: true, run: (*conn).login},
		"AUTHENTICATE": {in: stranger, still: true, run: (*conn).authenticate},
	}
}

// startTLS answers in clear and goes on under TLS (RFC 9051 §6.2.1). Its answer is written before the handshake, so what it returns
// is for a client that cannot have it.
func (c *conn) startTLS(ctx context.Context, cmd *imapwire.Command) answer {
	if c.tls || c.srv.config.TLS == nil {
		return bad("STARTTLS is not offered here")
	}
	c.w.Tagged(cmd.Tag, imap.StatusResponseTypeOK, "", "Begin TLS now")
	c.flush()
	if c.quit {
		return answer{}
	}
	if err := c.secure(); err != nil {
		c.log.InfoContext(ctx, "imap TLS handshake failed", slog.String("error", err.Error()))
		c.quit = true
	}
	c.link.expect(c.preAuth, 0)
	return answer{}
}

// login checks a password (RFC 9051 §6.2.3), but not one sent in clear (S-3).
func (c *conn) login(ctx context.Context, cmd *imapwire.Command) answer {
	if !c.tls {
		return privacyRequired()
	}
	in := args[imapwire.Login](cmd)
	return c.signIn(ctx, in.User, in.Password)
}

func privacyRequired() answer {
	return no(imap.ResponseCodePrivacyRequired, "Use STARTTLS first")
}

// authenticate is SASL PLAIN (RFC 4616), with or without an initial response (RFC 4959).
func (c *conn) authenticate(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.Authenticate](cmd)
	switch {
	case !c.tls:
		return privacyRequired()
	case in.Mechanism != "PLAIN":
		return no(imap.ResponseCodeCannot, "This mechanism is not offered")
	}
	response := in.Initial
	if !in.HasInitial {
		var refusal answer
		if response, refusal = c.ask(); refusal.status != "" {
			return refusal
		}
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || !utf8.Valid(response) {
		return bad("This is not a response of PLAIN")
	}
	if z := parts[0]; len(z) > 0 && !bytes.Equal(z, parts[1]) {
		return no(imap.ResponseCodeAuthorizationFailed, "Nobody may act for another user")
	}
	return c.signIn(ctx, string(parts[1]), string(parts[2]))
}

// ask sends an empty challenge and reads the response to it.
func (c *conn) ask() ([]byte, answer) {
	c.w.Challenge(nil)
	c.flush()
	if c.quit {
		return nil, bad("Gone")
	}
	line, err := c.r.ReadLine(imapwire.MaxAuthLine)
	var refused *imapwire.Error
	switch {
	case errors.As(err, &refused):
		c.quit = refused.Fatal
		return nil, badCode(refused.Code, refused.Text)
	case err != nil:
		c.lost(err)
		return nil, bad("Gone")
	case len(line) == 1 && line[0] == '*':
		return nil, bad("Cancelled") // RFC 9051 §6.2.2
	}
	response, valid := imapwire.DecodeBase64(line)
	if !valid {
		return nil, bad("This is not base64")
	}
	return response, answer{}
}

func (c *conn) signIn(ctx context.Context, name, password string) answer {
	begun := c.srv.users.begin()
	p, err := c.srv.config.Accounts.Authenticate(ctx, "imap", name, password, c.remote)
	if err != nil {
		a := c.failed(err)
		if fault.Is(err, fault.Unauthenticated) {
			if c.failures++; reached(c.failures, c.limits().AuthFailures) {
				a.last = byeAuth
			}
		}
		return a
	}
	p.Remote = c.remote
	slot, refusal := c.srv.users.enter(ctx, p, begun, c)
	if slot == nil {
		return refusal
	}
	// Changes are watched from here on; what changed since the password was checked is looked for once.
	if p, err = c.srv.config.Accounts.Recheck(ctx, p); err != nil {
		c.srv.users.leave(slot, c)
		return c.failed(err)
	}
	c.user, c.p = slot, p
	c.srv.guard.known(c.remote)
	limits := imapwire.LimitsAfterLogin()
	limits.AppendDrain = max(limits.AppendDrain, c.limits().MessageBytes+1<<20)
	c.r.SetLimits(limits)
	c.log = c.log.With(slog.String("account", p.User.String()))
	return okCode(imapwire.CodeCapability(c.caps()), "Signed in")
}
