package inbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// letter is an arriving message between its last byte and its filing.
type letter struct {
	id    mail.EventID // names it in logs, in Received and in the reply
	peer  mail.Peer
	env   mail.Envelope
	spool *body.Spool
	meta  *mime.Message
	head  []byte // the header without what must not be believed, ended by its blank line; nil: as it came
	rest  int64  // where the bytes below the header begin in the spool, when head is set
}

// Deliver files the message for every recipient of the envelope, or for none (D-2). When it returns without error the bytes
// and the rows are on stable storage (D-1). The body is read to its end first; its error is returned as it is.
func (s *Service) Deliver(ctx context.Context, peer mail.Peer, env mail.Envelope, r io.Reader) (receipt string, err error) {
	l := &letter{id: mail.EventID{}.New(s.clock.Now()), peer: peer, env: env, spool: s.bodies.NewSpool()}
	defer func() { err = errors.Join(err, l.spool.Close()) }()
	if _, err := io.Copy(l.spool, r); err != nil {
		return "", err
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
		return "", err
	}
	s.metrics.MessageReceived()
	return l.id.String(), nil
}

// examine reads the letter once and gathers the facts. It drops fields that only we may write: results in our own name
// (I-57), and Return-Path (RFC 5321 §4.4).
func (s *Service) examine(l *letter) (Facts, error) {
	meta, err := mime.Scan(l.spool, l.spool.Size())
	if err != nil {
		return Facts{}, err
	}
	l.meta = meta
	facts := Facts{FromFields: 1, FromAddresses: len(meta.Envelope.From), Received: meta.Received, MaxHops: s.cfg.MaxHops}
	if meta.Faults.Has(mime.FaultNoFrom) {
		facts.FromFields = 0
	}
	if meta.Faults.Has(mime.FaultSeveralFrom) {
		facts.FromFields = 2
	}
	if meta.Faults.Has(mime.FaultFromNoAddress) {
		facts.FromAddresses = 0
	}
	fields, err := mime.Header(l.spool, meta, meta.Root)
	if err != nil {
		return Facts{}, err
	}
	var kept bytes.Buffer
	dropped := false
	for _, f := range fields {
		drop := false
		switch strings.ToLower(f.Name) {
		case "return-path":
			drop = true
		case "authentication-results":
			drop = authservID(f.Value()) == strings.ToLower(s.cfg.Hostname)
		case "delivered-to":
			facts.DeliveredHere = facts.DeliveredHere || l.names(f.Value())
		}
		if dropped = dropped || drop; !drop {
			kept.Write(f.Raw)
		}
	}
	if !dropped {
		return facts, nil
	}
	kept.WriteString("\r\n")
	l.head, l.rest = kept.Bytes(), meta.Root.BodyStart
	return facts, l.rescan()
}

// rescan makes the offsets right again after fields were dropped.
func (l *letter) rescan() error {
	joined := join(l.sources())
	meta, err := mime.Scan(joined, joined.size())
	if err != nil {
		return err
	}
	l.meta = meta
	return nil
}

// names reports whether a Delivered-To value is one of the recipients: the letter has been here before.
func (l *letter) names(value string) bool {
	a, err := mail.ParseAddress(strings.TrimSpace(value))
	if err != nil {
		return false
	}
	for _, to := range l.env.Recipients {
		if to.Key() == a.Key() {
			return true
		}
	}
	return false
}

// sources gives the letter's own bytes, below the trace.
func (l *letter) sources() []body.Source {
	if l.head == nil {
		return []body.Source{l.spool.Source()}
	}
	return []body.Source{body.Bytes(l.head), section(l.spool, l.rest, l.spool.Size())}
}

// file writes each recipient's bytes and commits all of them together.
func (s *Service) file(ctx context.Context, l *letter, v Verdict) error {
	trace := received(s.cfg.Hostname, l.peer, l.env, l.id.String()) + authenticationResults(s.cfg.Hostname)
	letters := make([]mailbox.Letter, 0, len(l.env.Recipients))
	discard := func() {
		for _, done := range letters {
			if err := s.bodies.Remove(ctx, done.Body.Owner, done.Body.File); err != nil {
				s.log.LogAttrs(ctx, slog.LevelWarn, "a body without a row stays until verify", slog.Any("error", err))
			}
		}
	}
	for _, to := range l.env.Recipients {
		next, err := s.prepare(ctx, l, v, to, trace)
		if err != nil {
			discard()
			return err
		}
		letters = append(letters, next)
	}
	_, err := s.mailboxes.Deliver(ctx, letters)
	return err
}

// prepare writes the bytes for one recipient, whose state may have changed since RCPT.
func (s *Service) prepare(ctx context.Context, l *letter, v Verdict, to mail.Address, trace string) (mailbox.Letter, error) {
	route, err := s.lookup(ctx, to)
	if err != nil {
		return mailbox.Letter{}, err
	}
	head := finalFields(l.env.From, to) + trace
	ref, err := s.bodies.Put(ctx, route.User.String(), append([]body.Source{body.Bytes([]byte(head))}, l.sources()...)...)
	if err != nil {
		return mailbox.Letter{}, err
	}
	return s.letter(route, v.Mailbox, ref, l.meta.WithPrefix(int64(len(head))), map[string]any{
		"from": l.env.From.String(), "to": to.String(), "receipt": l.id.String(), "size": ref.Size, "client": l.peer.Addr.String(),
	}), nil
}

func (s *Service) letter(route account.Route, box string, ref body.Ref, meta *mime.Message, data map[string]any) mailbox.Letter {
	now := s.clock.Now()
	return mailbox.Letter{
		Account: route.User, Domain: route.DomainID, Mailbox: box, Body: ref, Meta: meta, InternalDate: now,
		Event: &event.Event{Type: "message.received", Domain: route.DomainID, Account: route.User, Data: data},
	}
}

// DeliverLocal implements outbound.Local: a letter from a user of this server for another one. It was checked when it was
// accepted, so only the trace of final delivery is added.
func (s *Service) DeliverLocal(ctx context.Context, tx pgx.Tx, l outbound.Letter) (after func(), err error) {
	route, err := s.lookup(ctx, l.Recipient.Address)
	if err != nil {
		return nil, err
	}
	file, err := l.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	meta, err := mime.Scan(file, l.Email.Size)
	if err != nil {
		return nil, err
	}
	head := finalFields(l.Email.EnvelopeFrom, l.Recipient.Address)
	ref, err := s.bodies.Put(ctx, route.User.String(), body.Bytes([]byte(head)), section(file, 0, l.Email.Size))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.bodies.Remove(ctx, ref.Owner, ref.File))
		}
	}()
	if err := s.bodies.Sync(ctx, ref.Owner); err != nil {
		return nil, err
	}
	next := s.letter(route, "", ref, meta.WithPrefix(int64(len(head))), map[string]any{
		"from": l.Email.EnvelopeFrom.String(), "to": l.Recipient.Address.String(), "email_id": l.Email.ID.String(), "size": ref.Size,
	})
	_, publish, err := s.mailboxes.File(ctx, tx, []mailbox.Letter{next})
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", l.Recipient.ID, err)
	}
	return func() { publish(); s.metrics.MessageReceived() }, nil
}

var _ outbound.Local = (*Service)(nil)
