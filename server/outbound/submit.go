package outbound

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// Postmaster is the local part that every hosted domain has, whether or not an account has it (RFC 5321 §4.5.1).
const Postmaster = "postmaster"

// Sender decides at MAIL whether the user may use the envelope sender (mail-rules S-6), from a domain that may send. The null
// sender is lawful: mail clients send read receipts with it (RFC 8098 §3); the header's From must be the user's all the same.
func (s *Service) Sender(ctx context.Context, p mail.Principal, from mail.Address) error {
	owned, err := s.accounts.OwnsAddress(ctx, p, from)
	if err != nil {
		return err
	}
	if !owned && !from.IsNull() {
		return fault.New(fault.Forbidden, "sender-not-owned", "sender not owned by %s", p.Address)
	}
	_, err = s.userDomain(ctx, p)
	return err
}

// userDomain gives the domain for which a user sends. A domain that may not send yet is no fault of the message's form.
func (s *Service) userDomain(ctx context.Context, p mail.Principal) (mail.DomainID, error) {
	dom, hosted, err := s.domains.Hosted(ctx, p.Address.Domain)
	if err != nil {
		return mail.DomainID{}, err
	}
	if !hosted || !dom.SendingAllowed() {
		return mail.DomainID{}, fault.New(fault.Forbidden, "sender-not-verified", "the domain %s may not send mail yet", p.Address.Domain)
	}
	return dom.ID, nil
}

// Recipient decides at RCPT whether the address can be sent to: one of ours must exist and be open, any other is accepted
// unless outbound.mode is none. A full mailbox is no reason to refuse: the letter waits for room.
func (s *Service) Recipient(ctx context.Context, _ mail.Principal, to mail.Address) error {
	name, err := dns.ToASCII(to.Domain)
	if err != nil {
		return fault.New(fault.Invalid, "recipient-invalid", "the domain of the recipient is not a valid name")
	}
	_, hosted, err := s.domains.HostedLately(ctx, name)
	switch {
	case err != nil:
		return err
	case !hosted && s.cfg.Mode == ModeNone:
		return fault.New(fault.Forbidden, "relaying-denied", "this server sends no mail to other servers")
	case !hosted:
		return nil
	}
	route, err := s.accounts.Lookup(ctx, mail.Address{Local: to.Local, Domain: name}.String())
	switch {
	case fault.Is(err, fault.NotFound) && strings.EqualFold(to.Local, Postmaster):
		return nil // Local finds who is responsible
	case err != nil:
		return err
	case route.Status != account.Active:
		return fault.New(fault.Forbidden, "mailbox-disabled", "mailbox disabled")
	}
	return nil
}

// Submit takes a message from a signed-in user. The body is read to its end before anything is decided; a reader's error is
// returned as it is. The receipt is the email's id.
func (s *Service) Submit(ctx context.Context, p mail.Principal, peer mail.Peer, env mail.Envelope, r io.Reader) (receipt string, err error) {
	spool := s.bodies.NewSpool()
	defer spool.Close() // nothing is kept in it
	if _, err := io.Copy(spool, r); err != nil {
		return "", err
	}
	l, err := s.read(spool)
	if err != nil {
		return "", err
	}
	dom, err := s.submitter(ctx, p, l)
	if err != nil {
		return "", err
	}
	now := s.clock.Now().Truncate(time.Microsecond)
	e := &Email{
		ID: mail.EmailID{}.New(now), Domain: dom, Account: p.User, Actor: p.Actor(), Source: SourceSubmission, Test: p.Test,
		HeaderFrom: clip(headerFrom(l.meta)), Subject: clip(mime.DecodeHeader(l.meta.Envelope.Subject)), CreatedAt: now,
	}
	if e.EnvelopeFrom, err = foldDomain(env.From); err != nil {
		return "", fault.New(fault.Invalid, "message-rejected", "the domain of the sender is not a valid name")
	}
	if e.Recipients, err = envelopeRecipients(env); err != nil {
		return "", err
	}
	head := s.rewrite(e, peer, env, l)
	if err := domain.Signable(bytes.NewReader(head), int64(len(head))); err != nil {
		return "", err
	}
	if err := s.enqueue(ctx, e, body.Bytes(head), body.Section(spool, l.rest, spool.Size())); err != nil {
		return "", err
	}
	return e.ID.String(), nil
}

func envelopeRecipients(env mail.Envelope) ([]Recipient, error) {
	if len(env.Recipients) == 0 {
		return nil, fault.New(fault.Invalid, "recipient-invalid", "there are no recipients")
	}
	out := make([]Recipient, len(env.Recipients))
	for i, to := range env.Recipients {
		a, err := foldDomain(to)
		if err != nil {
			return nil, fault.New(fault.Invalid, "recipient-invalid", "the domain of a recipient is not a valid name")
		}
		out[i] = Recipient{Kind: "envelope", Address: a}
	}
	return out, nil
}

// foldDomain turns the domain of an address into A-labels (S-47).
func foldDomain(a mail.Address) (mail.Address, error) {
	if a.IsNull() {
		return a, nil
	}
	name, err := dns.ToASCII(a.Domain)
	a.Domain = name
	return a, err
}

// submitted is a message as a client sent it.
type submitted struct {
	meta   *mime.Message
	fields []mime.Field
	rest   int64 // where the bytes below the fields begin, the blank line included
}

// read takes a submitted message apart. What our own scanner would not interpret to the end is refused: nobody could say whose
// name stands there.
func (s *Service) read(spool *body.Spool) (*submitted, error) {
	meta, err := mime.Scan(spool, spool.Size())
	if err != nil {
		return nil, err
	}
	for _, limit := range []string{mime.LimitHeader, mime.LimitFields, mime.LimitField} {
		if slices.Contains(meta.Limits, limit) {
			return nil, fault.New(fault.Invalid, "message-rejected", "the header of the message is too large")
		}
	}
	fields, err := mime.Header(spool, meta, meta.Root)
	if err != nil {
		return nil, err
	}
	l := &submitted{meta: meta, fields: fields}
	if len(fields) > 0 {
		l.rest = fields[len(fields)-1].End
	}
	return l, nil
}

// submitter holds the header's authors against the user (S-6, S-7) and gives the domain for which is sent.
func (s *Service) submitter(ctx context.Context, p mail.Principal, l *submitted) (mail.DomainID, error) {
	if l.meta.Faults.Has(mime.FaultNoFrom) || l.meta.Faults.Has(mime.FaultFromNoAddress) {
		return mail.DomainID{}, fault.New(fault.Invalid, "message-rejected", "the message has no From field with an address")
	}
	if len(l.meta.Duplicates) > 0 {
		return mail.DomainID{}, fault.New(fault.Invalid, "message-rejected", "the message has more than one %s field", l.meta.Duplicates[0])
	}
	for _, f := range l.fields {
		switch strings.ToLower(f.Name) {
		case "from", "sender", "resent-from", "resent-sender":
			if err := s.authors(ctx, p, f); err != nil {
				return mail.DomainID{}, err
			}
		}
	}
	return s.userDomain(ctx, p)
}

// authors refuses a field with an address that is not the user's.
func (s *Service) authors(ctx context.Context, p mail.Principal, f mime.Field) error {
	denied := fault.New(fault.Forbidden, "sender-not-owned", "%s must hold addresses owned by %s only", f.Name, p.Address)
	list, over := mime.ParseAddressList(f.Value())
	if over {
		return denied
	}
	for _, a := range list {
		if a.Kind != mime.NoGroup {
			continue
		}
		address, err := mail.SplitAddress(a.Mailbox + "@" + a.Host)
		if err != nil {
			return denied
		}
		owned, err := s.accounts.OwnsAddress(ctx, p, address)
		if err != nil {
			return err
		}
		if !owned {
			return denied
		}
	}
	return nil
}

func headerFrom(m *mime.Message) string {
	authors := mime.Decoded(m.Envelope.From)
	switch {
	case len(authors) == 0:
		return ""
	case authors[0].Name == "":
		return authors[0].Email
	}
	return authors[0].Name + " <" + authors[0].Email + ">"
}

// maxShownText bounds what rows hold of a submitted header, in octets.
const maxShownText = 998

// clip cuts a text at a character's border.
func clip(s string) string {
	if len(s) <= maxShownText {
		return s
	}
	return strings.ToValidUTF8(s[:maxShownText], "")
}
