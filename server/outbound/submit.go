package outbound

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// Sender decides at MAIL whether the user may use the envelope sender (mail-rules S-6).
func (s *Service) Sender(ctx context.Context, p mail.Principal, from mail.Address) error {
	if from.IsNull() {
		return fault.New(fault.Forbidden, "sender-not-owned", "the null sender is not for submission; use your own address")
	}
	owned, err := s.accounts.OwnsAddress(ctx, p, from)
	if err != nil {
		return err
	}
	if !owned {
		return fault.New(fault.Forbidden, "sender-not-owned", "sender not owned by %s", p.Address)
	}
	return nil
}

// Recipient decides at RCPT whether the address can be sent to: one of ours must exist, any other is accepted unless
// outbound.mode is none.
func (s *Service) Recipient(ctx context.Context, _ mail.Principal, to mail.Address) error {
	name, err := dns.ToASCII(to.Domain)
	if err != nil {
		return fault.New(fault.Invalid, "recipient-invalid", "the domain of the recipient is not a valid name")
	}
	_, hosted, err := s.domains.Hosted(ctx, name)
	switch {
	case err != nil:
		return err
	case hosted:
		_, err = s.accounts.Lookup(ctx, mail.Address{Local: to.Local, Domain: name}.String())
		return err
	case s.cfg.Mode == ModeNone:
		return fault.New(fault.Forbidden, "relaying-denied", "this server sends no mail to other servers")
	}
	return nil
}

// Submit takes a message from a signed-in user. The body is read to its end before anything is decided; a reader's error is
// returned as it is. The receipt is the email's id.
func (s *Service) Submit(ctx context.Context, p mail.Principal, peer mail.Peer, env mail.Envelope, r io.Reader) (receipt string, err error) {
	spool := s.bodies.NewSpool()
	defer spool.Close() //nolint:errcheck // nothing is kept in it
	if _, err := io.Copy(spool, r); err != nil {
		return "", err
	}
	m, err := mime.Scan(spool, spool.Size())
	if err != nil {
		return "", err
	}
	dom, err := s.submitter(ctx, p, m)
	if err != nil {
		return "", err
	}
	now := s.clock.Now()
	e := &Email{
		ID: mail.EmailID{}.New(now), Domain: dom, Account: p.User, Actor: p.Actor(), Source: SourceSubmission, Test: p.Test,
		EnvelopeFrom: env.From, HeaderFrom: headerFrom(m), Subject: mime.DecodeHeader(m.Envelope.Subject), CreatedAt: now,
	}
	for _, to := range env.Recipients {
		name, err := dns.ToASCII(to.Domain)
		if err != nil {
			return "", fault.New(fault.Invalid, "recipient-invalid", "the domain of a recipient is not a valid name")
		}
		e.Recipients = append(e.Recipients, Recipient{Kind: "envelope", Address: mail.Address{Local: to.Local, Domain: name}})
	}
	head, err := s.rewrite(e, peer, m, spool)
	if err != nil {
		return "", err
	}
	return e.ID.String(), s.enqueue(ctx, e, body.Bytes(head), section(spool, m.Root.BodyStart, spool.Size()))
}

// submitter holds the header's authors against the user (S-6, S-7) and gives the domain for which is sent.
func (s *Service) submitter(ctx context.Context, p mail.Principal, m *mime.Message) (mail.DomainID, error) {
	if m.Faults.Has(mime.FaultNoFrom) || m.Faults.Has(mime.FaultFromNoAddress) {
		return mail.DomainID{}, fault.New(fault.Invalid, "message-rejected", "the message has no From field with an address")
	}
	if len(m.Duplicates) > 0 {
		return mail.DomainID{}, fault.New(fault.Invalid, "message-rejected", "the message has more than one %s field", m.Duplicates[0])
	}
	for _, a := range slices.Concat(m.Envelope.From, m.Envelope.Sender) {
		if a.Kind != mime.NoGroup {
			continue
		}
		if err := s.author(ctx, p, a.Mailbox, a.Host); err != nil {
			return mail.DomainID{}, err
		}
	}
	dom, hosted, err := s.domains.Hosted(ctx, p.Address.Domain)
	if err != nil {
		return mail.DomainID{}, err
	}
	if !hosted || !dom.SendingAllowed() {
		return mail.DomainID{}, fault.New(fault.Invalid, "sender-not-verified", "the domain %s is not verified here yet", p.Address.Domain)
	}
	return dom.ID, nil
}

func (s *Service) author(ctx context.Context, p mail.Principal, local, host string) error {
	denied := fault.New(fault.Forbidden, "sender-not-owned", "From and Sender must be addresses owned by %s", p.Address)
	a, err := mail.SplitAddress(local + "@" + host)
	if err != nil {
		return denied
	}
	if a.Domain, err = dns.ToASCII(a.Domain); err != nil {
		return denied
	}
	owned, err := s.accounts.OwnsAddress(ctx, p, a)
	if err != nil {
		return err
	}
	if !owned {
		return denied
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

// rewrite gives the header as it leaves: our trace on top without the client's address (I-59), Bcc and Return-Path gone,
// Date and Message-ID added when missing (RFC 6409 §8). Everything else stays byte for byte.
func (s *Service) rewrite(e *Email, peer mail.Peer, m *mime.Message, r io.ReaderAt) ([]byte, error) {
	fields, err := mime.Header(r, m, m.Root)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Received: by %s with %s\r\n\tid %s;\r\n\t%s\r\n", s.cfg.Hostname, submissionProtocol(peer),
		e.ID, e.CreatedAt.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	e.MessageID = m.Envelope.MessageID
	if m.Faults.Has(mime.FaultNoMessageID) {
		e.MessageID = newMessageID(e.ID, e.EnvelopeFrom.Domain)
		fmt.Fprintf(&b, "Message-ID: %s\r\n", e.MessageID)
	}
	if m.Faults.Has(mime.FaultNoDate) {
		fmt.Fprintf(&b, "Date: %s\r\n", e.CreatedAt.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	}
	for _, f := range fields {
		switch strings.ToLower(f.Name) {
		case "bcc", "return-path", "delivered-to":
		case "message-id":
			if !m.Faults.Has(mime.FaultNoMessageID) {
				b.Write(f.Raw)
			}
		default:
			b.Write(f.Raw)
		}
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

// section is a piece of r, from and to in octets.
func section(r io.ReaderAt, from, to int64) body.Source {
	return body.Source{R: io.NewSectionReader(r, from, to-from), Size: to - from}
}

func submissionProtocol(peer mail.Peer) string {
	if peer.TLS == "" {
		return "ESMTPA"
	}
	return "ESMTPSA"
}
