package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/domain"
	"github.com/mailserver-dev/mailserver/server/seal"
)

// openBox finds the master key, or makes it when nothing was sealed yet.
func (a *App) openBox(ctx context.Context) error {
	keys, err := domain.SealedWith(ctx, a.pool)
	if err != nil {
		return fmt.Errorf("look for sealed secrets: %w", err)
	}
	more, err := account.SealedWith(ctx, a.pool)
	if err != nil {
		return fmt.Errorf("look for sealed secrets: %w", err)
	}
	for _, id := range more {
		if !slices.Contains(keys, id) {
			keys = append(keys, id)
		}
	}
	a.box, err = seal.Open(seal.Options{Dir: a.cfg.DataDir, Keys: a.cfg.Seal.Key, InUse: keys, Log: a.log})
	return err
}

// openResolver makes the client of the name servers. A machine without any can serve all the same: questions then have no answer.
func (a *App) openResolver(ctx context.Context) {
	client, err := dns.New(dns.Options{Servers: a.cfg.DNS.Servers, Clock: a.opts.Clock})
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "no name server is known; set dns.servers", slog.Any("error", err))
		a.resolver = silent{err}
		return
	}
	a.resolver = client
}

// silent is the resolver of a machine that knows no name server.
type silent struct{ cause error }

func (s silent) fail(kind, name string) error {
	return &dns.Error{Type: kind, Name: name, Outcome: dns.ErrServFail, Cause: s.cause}
}

// LookupTXT implements dns.Resolver.
func (s silent) LookupTXT(_ context.Context, name string) ([]string, error) {
	return nil, s.fail("TXT", name)
}

// LookupMX implements dns.Resolver.
func (s silent) LookupMX(_ context.Context, name string) ([]dns.MX, error) {
	return nil, s.fail("MX", name)
}

// LookupAddr implements dns.Resolver.
func (s silent) LookupAddr(_ context.Context, host string) ([]netip.Addr, error) {
	return nil, s.fail("A", host)
}

// LookupPTR implements dns.Resolver.
func (s silent) LookupPTR(_ context.Context, addr netip.Addr) ([]string, error) {
	return nil, s.fail("PTR", addr.String())
}

// ports are those that DNS records name to mail clients.
func (a *App) ports() domain.Ports {
	port := func(name string) int {
		ap, err := netip.ParseAddrPort(a.listening[name])
		if err != nil {
			return 0 // it is off
		}
		return int(ap.Port())
	}
	return domain.Ports{IMAPS: port("imaps"), Submissions: port("submissions"), Submission: port("submission")}
}
