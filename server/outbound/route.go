package outbound

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
	"github.com/mailserver-dev/mailserver/server/pg"
	"github.com/mailserver-dev/mailserver/server/queue"
)

// route decides for each recipient whether the address is hosted here and where its mail goes, and drops those that are
// written twice: our own are compared folded, others byte for byte (S-47).
func (s *Service) route(ctx context.Context, e *Email) error {
	e.ExpiresAt = e.CreatedAt.Add(s.cfg.GiveUpAfter)
	hosted, seen := map[string]bool{}, map[string]bool{}
	way, err := s.wayOf(ctx, e.Domain)
	if err != nil && !fault.Is(err, fault.Unavailable) || pg.Unavailable(err) {
		return err // without the password of its smart host a letter is accepted and waits
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
		if !r.Local && !e.Test {
			r.Destination = way.destination(r.Address)
		}
		r.Status, r.NextAt, r.UpdatedAt = Queued, e.CreatedAt.Add(-clockSkew), e.CreatedAt
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
	_, here, err := s.domains.HostedLately(ctx, name)
	if err == nil {
		known[name] = here
	}
	return here, err
}

// clockSkew is how far the clocks of two nodes may lie apart: what is due at once is due for all of them.
const clockSkew = 5 * time.Second

// way is how mail of a sender's domain leaves: to the exchangers of each recipient, or to a smart host.
type way struct {
	relay *smtpout.Relay // nil: to the exchangers
	name  string         // of the smart host, among the destinations
	key   string         // whose connections these are; no other letters may travel on them
}

// wayOf gives the domain's own smart host, else the server's in ModeRelay, else none.
func (s *Service) wayOf(ctx context.Context, id mail.DomainID) (way, error) {
	if !s.dials() {
		return way{}, nil
	}
	own, password, found, err := s.domains.RelayOf(ctx, id)
	switch {
	case err != nil:
		return way{}, err
	case found:
		relay := smtpout.Relay{Host: own.Host, Port: own.Port, TLS: smtpout.TLSMode(own.TLS), Username: own.Username, Password: password}
		// The domain's name keeps two domains with one smart host apart: its breaker, its holds, its password (O-46).
		return way{&relay, own.DomainName + "@" + hostPort(relay), id.String() + " " + strconv.FormatInt(own.UpdatedAt.UnixMicro(), 10)}, nil
	case s.cfg.Mode == ModeRelay:
		return way{&s.cfg.Relay, hostPort(s.cfg.Relay), "server"}, nil
	}
	return way{}, nil
}

// destination gives where mail for the address goes: its domain, or a smart host, whose name always has a colon in it.
func (w way) destination(to mail.Address) string {
	if w.relay != nil {
		return w.name
	}
	return to.Domain
}

func hostPort(r smtpout.Relay) string { return net.JoinHostPort(r.Host, strconv.Itoa(r.Port)) }

// lineOf gives the line in which wake-ups of fresh emails wait.
func lineOf(emails []*Email) int {
	if len(emails) > 1 {
		return lineMany
	}
	return lineSingle
}

// wakeups are the jobs of fresh emails: one for what this server finishes by itself of an email, and one for each destination. One
// that is being drained in this process needs none: here names it.
func (s *Service) wakeups(emails []*Email) (items []queue.Item, here []string) {
	line, seen := lineOf(emails), map[string]bool{}
	for _, e := range emails {
		near := false
		for _, r := range e.Recipients {
			switch {
			case s.isNear(r):
				near = true
			case seen[r.Destination]:
			case s.turns.has(r.Destination) && !s.stopping():
				seen[r.Destination], here = true, append(here, r.Destination)
			default:
				seen[r.Destination] = true
				items = append(items, drainItem(r.Destination, line))
			}
		}
		if near {
			items = append(items, queue.Item{Args: AttemptArgs{Email: e.ID}, Opts: &queue.InsertOpts{Queue: queue.Delivery, Priority: line}})
		}
	}
	return items, here
}

// tellHere tells the drains of destinations that fresh mail has been committed for them. One that has ended since is woken like any
// other; should that fail, or this process die before it, the scanner finds the mail when its first lease ends.
//
// The context is not the caller's: hooks that are to run before the commit have run, and a client that leaves changes nothing.
func (s *Service) tellHere(here []string, line int) {
	here = slices.DeleteFunc(here, s.turns.wake)
	if len(here) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	defer cancel()
	err := pg.InTx(ctx, s.pool, func(ctx context.Context, tx pg.Tx) error {
		items := make([]queue.Item, len(here))
		for i, name := range here {
			items[i] = drainItem(name, line)
		}
		return queue.InsertMany(ctx, tx, items)
	})
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "fresh mail waits for the scanner", slog.Int("destinations", len(here)), slog.Any("error", err))
	}
}

// isNear says that no other server is needed for the recipient.
func (s *Service) isNear(r Recipient) bool {
	return r.Local || r.Transport == TransportTest || !s.dials()
}

// dials reports whether this server calls others at all.
func (s *Service) dials() bool { return s.cfg.Mode == ModeDirect || s.cfg.Mode == ModeRelay }
