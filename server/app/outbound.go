package app

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
)

// outboundConfig turns the configuration into that of the departure flow.
func (a *App) outboundConfig() outbound.Config {
	out := a.cfg.Outbound
	return outbound.Config{
		Hostname: a.cfg.Hostname, Mode: outbound.Mode(out.Mode), MaxBytes: int64(a.cfg.Limits.MessageBytes), RecipientsAPI: a.cfg.Limits.RecipientsAPI,
		BlobTotal: int64(a.cfg.Limits.BlobTotalBytes),
		Relay: smtpout.Relay{
			Host: out.Relay.Host, Port: out.Relay.Port, TLS: smtpout.TLSMode(out.Relay.TLS), Username: out.Relay.Username, Password: out.Relay.Password,
		},
		Retry: out.Retry, GiveUpAfter: out.GiveUpAfter, Connections: out.Connections, PerDestination: out.ConnectionsPerDestination,
	}
}

// smtpClient makes the client for other servers.
func (a *App) smtpClient() (*smtpout.Client, error) {
	out := a.cfg.Outbound
	cfg := smtpout.Config{
		Hostname: a.cfg.Hostname, Port: out.SMTPPort, Allow: out.AllowNetworks, Routes: out.Routes, IsOwn: ownHost(a.cfg.Hostname),
	}
	if out.SourceAddress != "" {
		addr, err := netip.ParseAddr(out.SourceAddress)
		if err != nil {
			return nil, fmt.Errorf("outbound.source_address: %w", err)
		}
		cfg.Source = addr
	}
	if out.TLS.CAFile != "" {
		pem, err := os.ReadFile(out.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("outbound.tls.ca_file: %w", err)
		}
		cfg.Roots = x509.NewCertPool()
		if !cfg.Roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("outbound.tls.ca_file: no certificate in PEM form in " + out.TLS.CAFile)
		}
	}
	return smtpout.New(cfg, a.resolver, a.opts.Clock, a.log), nil
}

// ownHost recognises this server in a list of mail exchangers (O-5), by its name or by an address of this machine. Loopback is
// everybody's.
func ownHost(hostname string) func(string, []netip.Addr) bool {
	var own []netip.Addr
	list, _ := net.InterfaceAddrs() // a machine that does not tell is known by its name only
	for _, item := range list {
		if prefix, err := netip.ParsePrefix(item.String()); err == nil && !prefix.Addr().IsLoopback() {
			own = append(own, prefix.Addr().Unmap())
		}
	}
	return func(host string, addrs []netip.Addr) bool {
		return strings.EqualFold(host, hostname) && hostname != "localhost" ||
			slices.ContainsFunc(addrs, func(a netip.Addr) bool { return slices.Contains(own, a.Unmap()) })
	}
}
