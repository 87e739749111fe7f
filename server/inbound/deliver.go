package inbound

import (
	"context"
	"io"
	"log/slog"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// Deliver files the message for every recipient of the envelope, or for none (D-2). When it returns without error the bytes
// and the rows are on stable storage (D-1). The body is read to its end first; its error is returned as it is.
func (s *Service) Deliver(ctx context.Context, peer mail.Peer, env mail.Envelope, r io.Reader) (receipt string, err error) {
	l := &letter{id: mail.EventID{}.New(s.clock.Now()), peer: peer, env: env, spool: s.bodies.NewSpool()}
	defer l.spool.Close() // nothing is kept in it
	if _, err := io.Copy(l.spool, r); err != nil {
		return "", err
	}
	if len(env.Recipients) == 0 {
		return "", fault.New(fault.Invalid, "message-rejected", "there are no recipients")
	}
	facts, err := s.examine(l)
	if err != nil {
		return "", err
	}
	verdict := Decide(facts)
	s.log.LogAttrs(ctx, slog.LevelInfo, "message", slog.String("msg_id", l.id.String()), slog.String("stage", "verdict"),
		slog.String("verdict", verdict.String()), slog.String("from", env.From.String()), slog.Int("recipients", len(env.Recipients)),
		slog.Int64("size", l.spool.Size()))
	if verdict.Action == Refuse {
		return "", verdict.Refusal
	}
	if err := s.file(ctx, l, verdict); err != nil {
		return "", forAll(err, len(env.Recipients))
	}
	s.metrics.MessageReceived()
	return l.id.String(), nil
}

// forAll gives the error for an envelope of n recipients. What is final for one of them, because something changed since RCPT,
// must not be final for the others: the sender tries again and is told at RCPT whom it concerns.
func forAll(err error, n int) error {
	if n == 1 || fault.KindOf(err).Temporary() {
		return err
	}
	return fault.Wrap(err, fault.Unavailable, "unavailable", "a recipient has just changed; try again")
}

// file writes the bytes for each account and commits all of them together. An account that is reached by several addresses gets
// the letter once, for the first of them.
func (s *Service) file(ctx context.Context, l *letter, v Verdict) error {
	trace := received(s.cfg.Hostname, l.peer, l.env, l.id.String()) + authenticationResults(s.cfg.Hostname)
	letters := make([]mailbox.Letter, 0, len(l.env.Recipients))
	seen := make(map[mail.UserID]bool, len(l.env.Recipients))
	for _, to := range l.env.Recipients {
		// The state of an account may have changed since RCPT.
		route, err := s.lookup(ctx, to)
		if err == nil && !seen[route.User] {
			seen[route.User] = true
			var next mailbox.Letter
			if next, err = s.write(ctx, l, v, route, to, trace); err == nil {
				letters = append(letters, next)
			}
		}
		if err != nil {
			for _, done := range letters {
				s.forget(ctx, done.Body)
			}
			return err
		}
	}
	letters[0].Event.ID = l.id
	_, err := s.mailboxes.Deliver(ctx, letters)
	return err
}

// write makes the bytes for one account durable.
func (s *Service) write(ctx context.Context, l *letter, v Verdict, route account.Route, to mail.Address, trace string) (mailbox.Letter, error) {
	head := finalFields(l.env.From, to) + trace
	ref, err := s.bodies.Put(ctx, route.User.String(), append([]body.Source{body.Bytes([]byte(head))}, l.parts...)...)
	if err != nil {
		return mailbox.Letter{}, err
	}
	return s.letter(route, v.Mailbox, ref, l.meta.WithPrefix(int64(len(head))), map[string]any{
		"from": l.env.From.String(), "to": to.String(), "receipt": l.id.String(), "size": ref.Size, "client": l.peer.Addr.String(),
	}), nil
}

func (s *Service) letter(route account.Route, box string, ref body.Ref, meta *mime.Message, data map[string]any) mailbox.Letter {
	return mailbox.Letter{
		Account: route.User, Domain: route.DomainID, Mailbox: box, Body: ref, Meta: meta, InternalDate: s.clock.Now(),
		Event: &event.Event{Type: event.MessageReceived, Domain: route.DomainID, Account: route.User, Data: data},
	}
}

// forget removes a body that no row will ever refer to, also when the client has gone.
func (s *Service) forget(ctx context.Context, ref body.Ref) {
	if err := s.bodies.Remove(context.WithoutCancel(ctx), ref.Owner, ref.File); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "a body without a row stays until verify", slog.String("owner", ref.Owner),
			slog.String("file", ref.File), slog.Any("error", err))
	}
}
