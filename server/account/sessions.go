package account

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

// SignIn checks a password and begins a browser session. Its errors are those of Authenticate.
func (s *Service) SignIn(ctx context.Context, email, password string, info SessionInfo) (Tokens, User, error) {
	if info.Protocol == "" {
		info.Protocol = protocolAPI
	}
	r, err := s.signIn(ctx, info.Protocol, email, password, info.Remote)
	if err != nil {
		return Tokens{}, User{}, err
	}
	keys, err := s.signers.all(ctx)
	if err != nil {
		return Tokens{}, User{}, err
	}
	now := s.now()
	token := newRefreshToken(mail.SessionID{}.New(now))
	sess := session{
		id: token.session, account: r.ID, tokenHash: token.hash(), epoch: r.epoch, userAgent: clipAgent(info.UserAgent),
		remote: addrText(info.Remote), createdAt: now, usedAt: now, expiresAt: now.Add(sessionLife),
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := insertSession(ctx, tx, sess); err != nil {
			return err
		}
		p := r.principal()
		p.Remote = info.Remote
		if err := s.noteSession(ctx, tx, p, r.User, sess.id, change{event.SessionCreated, "session.create", nil}); err != nil {
			return err
		}
		idem.SetEffect(ctx, sess.id.String())
		return nil
	})
	if err != nil {
		return Tokens{}, User{}, pg.Fault(err)
	}
	s.bus.Publish(bus.Events)
	tokens, err := s.issue(ctx, sess, token, keys[0].refresh)
	return tokens, r.User, err
}

// issue makes the tokens of a session as it now stands.
func (s *Service) issue(ctx context.Context, sess session, token refreshToken, key []byte) (Tokens, error) {
	access, err := s.issueAccess(ctx, sess.account, sess.id, sess.epoch)
	if err != nil {
		return Tokens{}, err
	}
	return Tokens{
		Session: sess.id, Access: access, ExpiresIn: accessLife, Refresh: token.text(key), RefreshUntil: sess.refreshUntil(),
	}, nil
}

// Refresh exchanges a refresh token for new tokens; the given one is spent. A spent token that comes back ends the session
// (RFC 9700 §4.14.2), except within ten seconds of its use: two tabs that refresh at once both get the same successor. Whatever
// is wrong gives the same fault.Unauthenticated.
func (s *Service) Refresh(ctx context.Context, refresh string, info SessionInfo) (Tokens, error) {
	keys, err := s.signers.all(ctx)
	if err != nil {
		return Tokens{}, err
	}
	token, key, ok := parseRefresh(refresh, keys)
	if !ok {
		return Tokens{}, errUnauthenticated()
	}
	var sess session
	next, alive := token.successor(key), false
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		sess, alive, err = s.rotate(ctx, tx, token, next, info)
		return err
	})
	if err != nil {
		return Tokens{}, pg.Fault(err)
	}
	if !alive {
		s.states.forget(token.session)
		s.bus.Publish(bus.Credentials(sess.account), bus.Events)
		return Tokens{}, errUnauthenticated()
	}
	return s.issue(ctx, sess, next, key)
}

// rotate replaces the token in the row, or ends the session when the token proves a theft. alive says whether next is valid.
func (s *Service) rotate(ctx context.Context, tx pgx.Tx, token, next refreshToken, info SessionInfo) (sess session, alive bool, err error) {
	sess, found, err := getSession(ctx, tx, sqlLockSession, token.session)
	now := s.now()
	if err != nil || !found || !sess.usable(now) {
		return sess, false, err
	}
	r, found, err := oneUser(ctx, tx, sqlGetUser, sess.account)
	if err != nil || !found {
		return sess, false, err
	}
	switch {
	case r.Status != Active || r.epoch != sess.epoch:
		return sess, false, s.end(ctx, tx, r.User, sess, info.Remote, "the account was changed")
	case agentClass(info.UserAgent) != agentClass(sess.userAgent):
		return sess, false, s.end(ctx, tx, r.User, sess, info.Remote, "another browser came with the token")
	case bytes.Equal(token.hash(), sess.tokenHash):
		sess.usedAt = now
		return sess, true, rotateSession(ctx, tx, sess.id, next.hash(), now, addrText(info.Remote))
	case bytes.Equal(token.hash(), sess.previous) && bytes.Equal(next.hash(), sess.tokenHash) && now.Sub(sess.rotatedAt) <= refreshGrace:
		return sess, true, nil
	}
	return sess, false, s.end(ctx, tx, r.User, sess, info.Remote, "a spent token came back")
}

// end revokes a session and records why.
func (s *Service) end(ctx context.Context, tx pgx.Tx, u User, sess session, remote netip.Addr, reason string) error {
	ended, err := revokeSession(ctx, tx, sess.id, s.now())
	if err != nil || !ended {
		return err
	}
	s.log.WarnContext(ctx, "session ended", slog.String("session", sess.id.String()), slog.String("reason", reason))
	p := mail.Principal{User: u.ID, Remote: remote}
	return s.noteSession(ctx, tx, p, u, sess.id, change{event.SessionRevoked, "session.revoke", map[string]any{"reason": reason}})
}

// SignOut ends the session of a refresh token. A token that belongs to none, or to one that has ended, changes nothing.
func (s *Service) SignOut(ctx context.Context, refresh string, remote netip.Addr) error {
	keys, err := s.signers.all(ctx)
	if err != nil {
		return err
	}
	token, _, ok := parseRefresh(refresh, keys)
	if !ok {
		return nil
	}
	return s.signOut(ctx, token.session, remote)
}

// SignOutAccess ends the session of an access token, for clients that have no cookie. It gives fault.Unauthenticated for a
// token that is not valid.
func (s *Service) SignOutAccess(ctx context.Context, access string, remote netip.Addr) error {
	c, err := s.parseAccess(ctx, access)
	if err != nil {
		return err
	}
	return s.signOut(ctx, c.Session, remote)
}

func (s *Service) signOut(ctx context.Context, id mail.SessionID, remote netip.Addr) error {
	var user mail.UserID
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		sess, found, err := getSession(ctx, tx, sqlLockSession, id)
		if err != nil || !found {
			return err
		}
		r, found, err := oneUser(ctx, tx, sqlGetUser, sess.account)
		if err != nil || !found {
			return err
		}
		user = r.ID
		return s.end(ctx, tx, r.User, sess, remote, "signed out")
	})
	if err != nil {
		return pg.Fault(err)
	}
	s.states.forget(id)
	s.bus.Publish(bus.Credentials(user), bus.Events)
	return nil
}

// SweepSessions deletes sessions that ended or ran out a day ago. A maintenance job calls it.
func (s *Service) SweepSessions(ctx context.Context) (deleted int64, err error) {
	ended := s.clk.Now().Add(-sessionKept)
	deleted, err = sweepSessions(ctx, s.pool, ended, ended.Add(-sessionIdle))
	return deleted, pg.Fault(err)
}

// noteSession is note with the session as the object.
func (s *Service) noteSession(ctx context.Context, q pg.Querier, p mail.Principal, u User, id mail.SessionID, c change) error {
	if c.data == nil {
		c.data = map[string]any{}
	}
	c.data["session_id"] = id.String()
	return s.note(ctx, q, p, u, c)
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}
