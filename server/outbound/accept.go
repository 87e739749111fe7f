package outbound

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/event"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// firstLease is how long the wake-up of a fresh email may take before the scanner repeats it.
const firstLease = 15 * time.Second

// AttemptArgs is the wake-up job: it names the email and carries nothing else.
type AttemptArgs struct {
	Email mail.EmailID `json:"email_id"`
}

// Kind is the job's name in the queue's tables.
func (AttemptArgs) Kind() string { return "outbound_attempt" }

// InsertOpts names the job's queue.
func (AttemptArgs) InsertOpts() queue.InsertOpts { return queue.InsertOpts{Queue: queue.Delivery} }

// Accept takes an email of the API: checks it, composes it, makes it durable. When it returns without error every recipient
// is on stable storage (D-14). Errors: fault.Invalid with located details, "sender-not-verified"; fault.Forbidden
// "domain-forbidden" or "sender-not-owned"; fault.TooLarge "message-too-large".
func (s *Service) Accept(ctx context.Context, p mail.Principal, d Draft) (*Email, error) {
	if err := d.check(s.cfg.RecipientsAPI); err != nil {
		return nil, err
	}
	dom, err := s.senderDomain(ctx, p, d.From.Address)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	e := &Email{
		ID: mail.EmailID{}.New(now), Domain: dom, Account: p.User, Actor: p.Actor(), Source: SourceAPI, Test: p.Test,
		EnvelopeFrom: d.From.Address, HeaderFrom: printParty(d.From), Subject: d.Subject,
		Tags: slices.Clip(d.Tags), Metadata: d.Metadata, CreatedAt: now, Recipients: d.kinds(),
	}
	e.MessageID = newMessageID(e.ID, d.From.Address.Domain)
	spool := s.bodies.NewSpool()
	defer spool.Close() //nolint:errcheck // nothing is kept in it
	if err := mime.Compose(&capped{w: spool, left: s.cfg.MaxBytes, limit: s.cfg.MaxBytes}, s.compose(e, d)); err != nil {
		return nil, composeFault(err)
	}
	return e, s.enqueue(ctx, e, spool.Source())
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

func (s *Service) compose(e *Email, d Draft) mime.Draft {
	out := mime.Draft{
		Random: rand.Reader, From: composeAddresses([]Party{d.From}), To: composeAddresses(d.To), Cc: composeAddresses(d.Cc), ReplyTo: composeAddresses(d.ReplyTo),
		Subject: d.Subject, Date: e.CreatedAt, MessageID: e.MessageID, Text: d.Text, HTML: d.HTML,
	}
	for _, h := range d.Headers {
		out.Headers = append(out.Headers, mime.HeaderField{Name: h.Name, Value: h.Value})
	}
	for _, a := range d.Attachments {
		out.Attachments = append(out.Attachments, mime.Attachment{
			FileName: a.Filename, ContentType: a.ContentType, ContentID: a.ContentID, Inline: a.Inline, Content: bytes.NewReader(a.Content),
		})
	}
	return out
}

func composeAddresses(parties []Party) []mime.Address {
	out := make([]mime.Address, len(parties))
	for i, p := range parties {
		out[i] = mime.Address{Name: p.Name, Email: p.Address.String()}
	}
	return out
}

func printParty(p Party) string {
	if p.Name == "" {
		return p.Address.String()
	}
	return p.Name + " <" + p.Address.String() + ">"
}

func newMessageID(id mail.EmailID, domain string) string {
	_, digits, _ := strings.Cut(id.String(), "_")
	return "<" + digits + "@" + domain + ">"
}

// errTooLarge is what the writer of a message gives above the limit.
type errTooLarge struct{ limit int64 }

func (e errTooLarge) Error() string { return fmt.Sprintf("message larger than %d octets", e.limit) }

// capped refuses to write more than left octets.
type capped struct {
	w           io.Writer
	left, limit int64
}

func (c *capped) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		return 0, errTooLarge{c.limit}
	}
	n, err := c.w.Write(p)
	c.left -= int64(n)
	return n, err
}

func composeFault(err error) error {
	var large errTooLarge
	if errors.As(err, &large) {
		return fault.New(fault.TooLarge, "message-too-large", "the message with its attachments encoded is larger than %d octets", large.limit)
	}
	var draft *mime.DraftError
	if errors.As(err, &draft) {
		return fault.Wrap(err, fault.Invalid, "validation-failed", "%s: %s", draft.Field, draft.Reason).At("body." + draft.Field)
	}
	return err
}

// enqueue makes the bytes durable, then the rows (D-14, file first).
func (s *Service) enqueue(ctx context.Context, e *Email, parts ...body.Source) error {
	ref, err := s.bodies.Put(ctx, bodyOwner, parts...)
	if err != nil {
		return err
	}
	e.File, e.Size, e.SHA256 = ref.File, ref.Size, ref.SHA256
	if err := s.bodies.Sync(ctx, bodyOwner); err != nil {
		return errors.Join(err, s.bodies.Remove(ctx, bodyOwner, ref.File))
	}
	if err := s.route(ctx, e); err != nil {
		return errors.Join(err, s.bodies.Remove(ctx, bodyOwner, ref.File))
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error { return s.insert(ctx, tx, e) })
	if err != nil && !pg.CommitUnknown(err) {
		if gone := s.bodies.Remove(ctx, bodyOwner, ref.File); gone != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "a body without a row stays until verify", slog.String("file", ref.File), slog.Any("error", gone))
		}
	}
	return pg.Fault(err)
}

// route decides for each recipient whether the address is hosted here.
func (s *Service) route(ctx context.Context, e *Email) error {
	hosted := map[string]bool{}
	for i := range e.Recipients {
		r := &e.Recipients[i]
		r.ID, r.Position, r.Destination = mail.DeliveryID{}.New(e.CreatedAt), i, r.Address.Domain
		r.Status, r.NextAt, r.UpdatedAt = Queued, e.CreatedAt.Add(firstLease), e.CreatedAt
		if e.Test {
			r.Transport = TransportTest
			continue
		}
		here, known := hosted[r.Destination]
		if !known {
			var err error
			if _, here, err = s.domains.Hosted(ctx, r.Destination); err != nil {
				return err
			}
			hosted[r.Destination] = here
		}
		r.Local = here
	}
	e.Status = summarise(e.Recipients)
	return nil
}

func (s *Service) insert(ctx context.Context, tx pgx.Tx, e *Email) error {
	if err := insertEmail(ctx, tx, e); err != nil {
		return err
	}
	addresses := make([]string, 0, min(len(e.Recipients), 100))
	for _, r := range e.Recipients[:min(len(e.Recipients), 100)] {
		addresses = append(addresses, r.Address.String())
	}
	err := event.Append(ctx, tx, e.CreatedAt, event.Event{
		Type: "email.accepted", Domain: e.Domain, Account: e.Account, Subject: e.ID.String(),
		Data: map[string]any{"from": e.EnvelopeFrom.String(), "recipients": addresses, "size": e.Size, "source": e.Source},
	})
	if err != nil {
		return err
	}
	idem.SetEffect(ctx, e.ID.String())
	return queue.Insert(ctx, tx, AttemptArgs{Email: e.ID})
}
