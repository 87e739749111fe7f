package outbound

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// route decides for each recipient whether the address is hosted here and where its mail goes, and drops those that are
// written twice: our own are compared folded, others byte for byte (S-47).
func (s *Service) route(ctx context.Context, e *Email) error {
	e.ExpiresAt = e.CreatedAt.Add(s.cfg.GiveUpAfter)
	hosted, seen := map[string]bool{}, map[string]bool{}
	relay, err := s.relayOf(ctx, e.Domain)
	if err != nil {
		return err
	}
	kept := e.Recipients[:0]
	for _, r := range e.Recipients {
		if !e.Test {
			here, err := s.isHosted(ctx, hosted, r.Address.Domain)
			if err != nil {
				return err
			}
			r.Local = here
		}
		key := r.Address.String()
		switch {
		case r.Local:
			key = account.Fold(r.Address)
		case e.Test:
			r.Transport = TransportTest
		case s.cfg.Mode == ModeNone:
			return fault.New(fault.Invalid, "recipient-invalid", "this server sends no mail to other servers").At("body.to")
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		r.ID, r.Position, r.Destination = mail.DeliveryID{}.New(e.CreatedAt), len(kept), r.Address.Domain
		if !r.Local && !e.Test && relay != nil {
			r.Destination = relayName(*relay)
		}
		r.Status, r.NextAt, r.UpdatedAt = Queued, e.CreatedAt, e.CreatedAt
		kept = append(kept, r)
	}
	if len(kept) == 0 {
		return errors.New("an email without recipients")
	}
	e.Recipients, e.Status = kept, summarise(kept)
	return nil
}

func (s *Service) isHosted(ctx context.Context, known map[string]bool, name string) (bool, error) {
	if here, ok := known[name]; ok {
		return here, nil
	}
	_, here, err := s.domains.Hosted(ctx, name)
	if err == nil {
		known[name] = here
	}
	return here, err
}

// relayOf gives the smart host for mail of a sender's domain: the domain's own, else the server's in ModeRelay, else none.
func (s *Service) relayOf(ctx context.Context, id mail.DomainID) (*smtpout.Relay, error) {
	if !s.dials() {
		return nil, nil //nolint:nilnil // nothing is sent
	}
	own, password, found, err := s.domains.RelayOf(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case found:
		return &smtpout.Relay{Host: own.Host, Port: own.Port, TLS: smtpout.TLSMode(own.TLS), Username: own.Username, Password: password}, nil
	case s.cfg.Mode == ModeRelay:
		return &s.cfg.Relay, nil
	}
	return nil, nil //nolint:nilnil // mail goes to the recipient's exchangers
}

// relayName is how a smart host is called among the destinations; a domain never has a colon in its name.
func relayName(r smtpout.Relay) string { return net.JoinHostPort(r.Host, strconv.Itoa(r.Port)) }

// wakeups are the jobs of fresh emails: one for what this server finishes by itself of an email, and one for each destination.
func (s *Service) wakeups(emails []*Email) []queue.Item {
	var items []queue.Item
	seen := map[string]bool{}
	for _, e := range emails {
		near := false
		for _, r := range e.Recipients {
			switch {
			case s.isNear(r):
				near = true
			case !seen[r.Destination]:
				seen[r.Destination] = true
				items = append(items, queue.Item{Args: DrainArgs{Destination: r.Destination}})
			}
		}
		if near {
			items = append(items, queue.Item{Args: AttemptArgs{Email: e.ID}})
		}
	}
	return items
}

// isNear says that no other server is needed for the recipient.
func (s *Service) isNear(r Recipient) bool {
	return r.Local || r.Transport == TransportTest || !s.dials()
}

// dials reports whether this server calls others at all.
func (s *Service) dials() bool { return s.cfg.Mode == ModeDirect || s.cfg.Mode == ModeRelay }
