package inbound

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// parcel is a letter between users of this server whose bytes are on stable storage.
type parcel struct {
	s      *Service
	letter mailbox.Letter
}

var (
	_ outbound.Local  = (*Service)(nil)
	_ outbound.Parcel = (*parcel)(nil)
)

// PrepareLocal implements outbound.Local: a letter from a user of this server for another one. It was checked when it was
// accepted, so only the fields of final delivery are added.
func (s *Service) PrepareLocal(ctx context.Context, l outbound.Letter) (outbound.Parcel, error) {
	route, err := s.lookup(ctx, l.Recipient.Address)
	if err != nil {
		return nil, err
	}
	head := finalFields(l.Email.EnvelopeFrom, l.Recipient.Address) + l.Email.Signature
	ref, err := s.bodies.Put(ctx, route.User.String(), body.Bytes([]byte(head)), body.Section(l.Bytes, 0, l.Email.Size))
	if err != nil {
		return nil, err
	}
	if err := s.bodies.Sync(ctx, ref.Owner); err != nil {
		s.forget(ctx, ref)
		return nil, err
	}
	return &parcel{s, s.letter(route, "", ref, l.Meta.WithPrefix(int64(len(head))), map[string]any{
		"from": l.Email.EnvelopeFrom.String(), "to": l.Recipient.Address.String(), "email_id": l.Email.ID.String(), "size": ref.Size,
	})}, nil
}

// File implements outbound.Parcel. One letter means that the locks of one mailbox and one usage row are taken, in this order.
func (p *parcel) File(ctx context.Context, tx pgx.Tx) (after func(), err error) {
	_, after, err = p.s.mailboxes.File(ctx, tx, []mailbox.Letter{p.letter})
	return after, err
}

// Discard implements outbound.Parcel.
func (p *parcel) Discard(ctx context.Context) { p.s.forget(ctx, p.letter.Body) }
