package inbound

import (
	"context"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// disabledPatience is how long senders to a disabled domain are asked to try again before they are told to give up (I-12).
const disabledPatience = 7 * 24 * time.Hour

// Recipient decides at RCPT, in this order: relay, domain, address, state, quota (mail-rules I-4). Errors:
// fault.Forbidden "relaying-denied" (I-11), fault.Limited "domain-disabled" (I-12), fault.NotFound "no-such-user" (I-10),
// fault.Forbidden "mailbox-disabled" (I-13), fault.OverQuota (I-16), temporary kinds when we cannot know.
func (s *Service) Recipient(ctx context.Context, _ mail.Peer, _, to mail.Address) error {
	_, err := s.lookup(ctx, to)
	return err
}

// lookup finds the account of an address that may receive now.
func (s *Service) lookup(ctx context.Context, to mail.Address) (account.Route, error) {
	dom, err := s.hosted(ctx, to)
	if err != nil {
		return account.Route{}, err
	}
	route, err := s.accounts.Lookup(ctx, mail.Address{Local: to.Local, Domain: dom.Name}.String())
	if fault.Is(err, fault.NotFound) {
		route, err = s.stead(ctx, dom, to)
	}
	switch {
	case err != nil:
		return account.Route{}, err
	case route.Status != account.Active:
		return account.Route{}, fault.New(fault.Forbidden, "mailbox-disabled", "mailbox disabled")
	case route.UsedBytes >= route.QuotaBytes:
		s.metrics.QuotaExceeded()
		return account.Route{}, fault.New(fault.OverQuota, "quota-exceeded", "mailbox full")
	}
	return route, nil
}

// hosted finds the domain of an address. What is not ours, and a local part by which other programs would route on, is
// refused in the same words (S-4).
func (s *Service) hosted(ctx context.Context, to mail.Address) (domain.Domain, error) {
	name, err := dns.ToASCII(to.Domain)
	if err != nil || strings.ContainsAny(to.Local, "%!@") {
		return domain.Domain{}, errRelay()
	}
	dom, found, err := s.domains.Hosted(ctx, name)
	switch {
	case err != nil:
		return dom, err
	case !found && strings.EqualFold(to.Local, outbound.Postmaster) && strings.EqualFold(name, s.cfg.Hostname):
		return domain.Domain{Name: name, Status: domain.Verified}, nil // the postmaster of this host (RFC 5321 §4.5.1)
	case !found:
		return dom, errRelay()
	case dom.Status != domain.Disabled:
		return dom, nil
	case s.clock.Now().Sub(dom.UpdatedAt) > disabledPatience:
		return dom, fault.New(fault.Forbidden, "mailbox-disabled", "domain disabled")
	}
	return dom, fault.New(fault.Limited, "domain-disabled", "domain temporarily disabled")
}

func errRelay() error { return fault.New(fault.Forbidden, "relaying-denied", "relaying denied") }

func errNoUser() error { return fault.New(fault.NotFound, "no-such-user", "no such user") }
