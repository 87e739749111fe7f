package smtpd

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// screenAuth lets AUTH through only where it is offered: on 587 and 465, under TLS, once, outside a transaction (S-3, I-49).
func (s *session) screenAuth(cmd command) string {
	_, secure := s.wire.secure()
	switch {
	case s.helo == "":
		s.refuse(503, enhanced{5, 5, 1}, "say EHLO first")
	case !secure:
		s.refuse(538, enhanced{5, 7, 11}, "encryption required")
	case !s.entry.port.submission():
		s.refuse(502, enhanced{5, 5, 1}, "no sign-in on this port")
	case s.user != nil || s.tx != nil:
		s.refuse(503, enhanced{5, 5, 1}, "AUTH is not possible now")
	case cmd.arg == "":
		s.refuse(501, enhanced{5, 5, 4}, "syntax: AUTH mechanism [response]")
	default:
		return "AUTH " + cmd.arg
	}
	return ""
}

// AuthMechanisms implements smtp.AuthSession. The library's reply to EHLO, the only reader of it, is replaced.
func (s *session) AuthMechanisms() []string { return nil }

// Auth implements smtp.AuthSession.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch mechanism {
	case sasl.Plain:
		return &plainServer{s}, nil
	case sasl.Login:
		return &loginServer{session: s}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// signIn checks a password and remembers its user.
func (s *session) signIn(username, password string) error {
	ctx := s.ctx
	var user mail.Principal
	err := s.call(ctx, func(ctx context.Context) (err error) {
		user, err = s.srv.config.Authenticator.Authenticate(ctx, "smtp", username, password, s.remote)
		return err
	})
	if err != nil {
		return s.signInFailed(err)
	}
	s.user = &user
	s.log.InfoContext(s.ctx, "smtp signed in", slog.String("user", user.User.String()))
	return nil
}

// signInFailed answers a failed sign-in late, and the last one with the end of the session (I-50, S-16).
func (s *session) signInFailed(err error) *smtp.SMTPError {
	s.counts.auth++
	level := slog.LevelInfo
	if fault.Is(err, fault.Internal) {
		level = slog.LevelError
	}
	s.log.Log(s.ctx, level, "smtp sign-in failed", slog.String("reason", reasonOf(err)), slog.String("error", err.Error()))
	s.pause(s.limits().authDelay(s.counts.auth))
	if reached(s.counts.auth, s.limits().AuthFailures) {
		s.farewell = "421 4.7.0 too many failed sign-ins, closing connection"
	}
	return answerTo(stageAuth, err, s.id)
}

// plainServer is the PLAIN mechanism (RFC 4616). A user acts for nobody but himself. The library's own server sends a challenge
// that some clients take for content, and its errors would show.
type plainServer struct{ session *session }

// Next implements sasl.Server.
func (p *plainServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return nil, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[0]) > 0 && !bytes.EqualFold(parts[0], parts[1]) {
		// It counts as a failure, so that it is no way around the count.
		return nil, false, p.session.signInFailed(fault.New(fault.Unauthenticated, "malformed-response", "malformed response"))
	}
	if err := p.session.signIn(string(parts[1]), string(parts[2])); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}

// loginServer is the LOGIN mechanism, which some clients know only.
type loginServer struct {
	session  *session
	username *string
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil:
		return []byte("Username:"), false, nil
	case l.username == nil:
		username := string(response)
		l.username = &username
		return []byte("Password:"), false, nil
	}
	if err := l.session.signIn(*l.username, string(response)); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}
