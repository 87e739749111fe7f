package outbound

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// Accept takes an email of the API: checks it, composes it, makes it durable. When it returns without error every recipient
// is on stable storage (D-14). Errors: fault.Invalid with located details, "sender-not-verified", "blob-not-found";
// fault.Forbidden "scope-missing", "domain-forbidden" or "sender-not-owned"; fault.TooLarge "message-too-large"; fault.Storage.
func (s *Service) Accept(ctx context.Context, p mail.Principal, d Draft) (*Email, error) {
	if err := scope(p, scopeSend); err != nil {
		return nil, err
	}
	e, err := s.examine(ctx, p, &d)
	if err != nil {
		return nil, err
	}
	if err := s.Ready(ctx); err != nil {
		return nil, err
	}
	spool := s.bodies.NewSpool()
	defer spool.Close() // nothing is kept in it
	if err := s.compose(spool, &d, e); err != nil {
		return nil, err
	}
	if err := s.enqueue(ctx, e, spool.Source()); err != nil {
		return nil, err
	}
	return e, nil
}

// examine decides whether the draft may be sent, finds its blobs, and gives the email that it will be. The addresses of the draft
// are folded.
func (s *Service) examine(ctx context.Context, p mail.Principal, d *Draft) (*Email, error) {
	if err := d.check(s.cfg.RecipientsAPI); err != nil {
		return nil, err
	}
	dom, err := s.senderDomain(ctx, p, d.From.Address)
	if err != nil {
		return nil, err
	}
	if err := s.findBlobs(ctx, p, d); err != nil {
		return nil, err
	}
	return d.email(p, dom, s.clock.Now().Truncate(time.Microsecond)), nil
}

// email is what a checked draft becomes, not yet routed or stored.
func (d *Draft) email(p mail.Principal, dom mail.DomainID, now time.Time) *Email {
	e := &Email{
		ID: mail.EmailID{}.New(now), Domain: dom, Account: p.User, Actor: p.Actor(), Source: SourceAPI, Test: p.Test,
		EnvelopeFrom: d.From.Address, HeaderFrom: printParty(d.From), Subject: d.Subject,
		Tags: slices.Clip(d.Tags), Metadata: d.Metadata, CreatedAt: now, Recipients: d.recipients(),
	}
	e.MessageID = newMessageID(e.ID, d.From.Address.Domain)
	return e
}

// compose writes the message of the draft, blobs included, and gives errors their kind and place.
func (s *Service) compose(w io.Writer, d *Draft, e *Email) error {
	defer d.closeBlobs()
	if err := mime.Compose(&capped{w: w, left: s.cfg.MaxBytes, limit: s.cfg.MaxBytes}, d.message(e)); err != nil {
		return composeFault(err)
	}
	return nil
}

// senderDomain gives the hosted, verified domain of the From address, when the principal may send for it.
func (s *Service) senderDomain(ctx context.Context, p mail.Principal, from mail.Address) (mail.DomainID, error) {
	dom, hosted, err := s.domains.Hosted(ctx, from.Domain)
	if err != nil {
		return mail.DomainID{}, err
	}
	if !hosted || !dom.SendingAllowed() {
		return mail.DomainID{}, fault.New(fault.Invalid, "sender-not-verified",
			"the domain of the sender is not hosted and verified here; create it with POST /v1/domains first").At("body.from")
	}
	if p.MayDomain(dom.ID) {
		return dom.ID, nil
	}
	if p.IsKey() {
		return mail.DomainID{}, fault.New(fault.Forbidden, "domain-forbidden", "this key may not send for the domain of the sender").At("body.from")
	}
	owned, err := s.accounts.OwnsAddress(ctx, p, from)
	if err != nil {
		return mail.DomainID{}, err
	}
	if !owned {
		return mail.DomainID{}, fault.New(fault.Forbidden, "sender-not-owned", "you may send only from your own address").At("body.from")
	}
	return dom.ID, nil
}

func newMessageID(id mail.EmailID, domain string) string {
	_, digits, _ := strings.Cut(id.String(), "_")
	return "<" + digits + "@" + domain + ">"
}
