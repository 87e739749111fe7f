package smtpout

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mailserver-dev/mailserver/server/dns"
)

const (
	// maxHosts bounds the MX hosts that are considered, whatever the zone lists (S-48).
	maxHosts = 20
	// maxAddresses bounds the addresses of one attempt; hostShare those of one host while there are others (O-4).
	maxAddresses = 5
	hostShare    = 3
)

// host is a mail server with the addresses that may be dialled, best first.
type host struct {
	name  string
	port  uint16
	addrs []netip.Addr
}

// key names the host in what is remembered of hosts.
func (h *host) key() string { return net.JoinHostPort(h.name, strconv.Itoa(int(h.port))) }

// target is one address to dial.
type target struct {
	host *host
	addr netip.AddrPort
}

// sibling returns an address of the other family at the same host.
func (t target) sibling() (target, bool) {
	for _, addr := range t.host.addrs {
		if addr.Is4() != t.addr.Addr().Is4() {
			return target{t.host, netip.AddrPortFrom(addr, t.host.port)}, true
		}
	}
	return target{}, false
}

// route returns the addresses to try, best first, at least one unless it fails.
func (c *Courier) route(ctx context.Context) ([]target, *failure) {
	if c.relay != nil {
		return c.client.relayTargets(ctx, *c.relay)
	}
	if to, ok := c.client.cfg.Routes[c.domain]; ok {
		return c.client.routeTargets(ctx, to)
	}
	if strings.HasPrefix(c.domain, "[") {
		// RFC 5321 §4.1.3 literals are refused where letters come in; none is dialled here either (O-7).
		return nil, ruled("O-7", stop(Refused, 553, "5.1.3", ClassHardRecipient, nil, "address literals are not served"))
	}
	return c.client.mxTargets(ctx, c.domain)
}

func ruled(rule string, f *failure) *failure {
	f.Rule = rule
	return f
}

// mxTargets follows RFC 5321 §5.1.
func (c *Client) mxTargets(ctx context.Context, domain string) ([]target, *failure) {
	list, implicit, f := c.exchangers(ctx, domain)
	if f != nil {
		return nil, f
	}
	list = c.beforeOwn(list)
	var hosts []*host
	var last error
	for rest, found := list, 0; len(rest) > 0 && found < maxAddresses; {
		group := equals(rest)
		good, isOwn, err := c.resolveGroup(ctx, group)
		if isOwn {
			list = list[:len(list)-len(rest)]
			break
		}
		rest, last = rest[len(group):], worse(last, err)
		for _, h := range good {
			hosts, found = append(hosts, h), found+len(h.addrs)
		}
	}
	switch {
	case len(hosts) > 0:
		return c.pick(hosts), nil
	case len(list) == 0: // nobody is better than we are
		return nil, ruled("O-5", stop(Refused, 554, "5.4.6", ClassRouting, nil, "mail for %s loops back to this server", domain))
	case implicit && dns.NotFound(last):
		return nil, ruled("O-1", stop(Refused, 550, "5.1.2", ClassHardRecipient, last, "%s has neither a mail server nor an address", domain))
	case dns.Temporary(last):
		return nil, ruled("O-1", stop(Deferred, 451, "4.4.3", ClassRouting, last, "the mail servers of %s cannot be looked up now", domain))
	case errors.Is(last, errForbidden):
		return nil, ruled("O-6", stop(Deferred, 451, "4.4.4", ClassRouting, last, "no mail server of %s has a public address", domain))
	}
	return nil, ruled("O-1", stop(Deferred, 451, "4.4.4", ClassRouting, last, "no mail server of %s has an address", domain))
}

// exchangers returns the MX hosts in order, equals shuffled; implicit says that the domain itself is the only one.
func (c *Client) exchangers(ctx context.Context, domain string) (list []dns.MX, implicit bool, f *failure) {
	records, err := c.resolver.LookupMX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNoData), err == nil && len(records) == 0:
		return []dns.MX{{Host: domain}}, true, nil
	case errors.Is(err, dns.ErrNXDomain), errors.Is(err, dns.ErrInvalidName):
		return nil, false, ruled("O-1", stop(Refused, 550, "5.1.2", ClassHardRecipient, err, "the domain %s does not exist", domain))
	case err != nil:
		// A fault is never taken for "no MX": the address of the domain may be a web server.
		return nil, false, ruled("O-1", stop(Deferred, 451, "4.4.3", ClassRouting, err, "the mail servers of %s cannot be looked up now", domain))
	}
	seen := map[string]bool{"": true} // "" is ".", which beside other hosts means nothing
	for _, mx := range records {
		if !seen[mx.Host] {
			seen[mx.Host] = true
			list = append(list, mx)
		}
	}
	if len(list) == 0 {
		return nil, false, ruled("O-2", stop(Refused, 556, "5.1.10", ClassHardRecipient, nil, "%s takes no mail (null MX, RFC 7505)", domain))
	}
	slices.SortStableFunc(list, func(a, b dns.MX) int { return int(a.Preference) - int(b.Preference) })
	for rest := list; len(rest) > 0; {
		group := equals(rest)
		c.cfg.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
		rest = rest[len(group):]
	}
	return list, false, nil
}

// equals returns the leading entries of one preference.
func equals(list []dns.MX) []dns.MX {
	n := 1
	for n < len(list) && list[n].Preference == list[0].Preference {
		n++
	}
	return list[:n]
}

// beforeOwn drops what is ours by its name with everything of equal or worse preference, and what is beyond the bound.
func (c *Client) beforeOwn(list []dns.MX) []dns.MX {
	for i, mx := range list {
		if c.cfg.IsOwn(mx.Host, nil) {
			list = list[:slices.IndexFunc(list[:i+1], func(other dns.MX) bool { return other.Preference == mx.Preference })]
			break
		}
	}
	return list[:min(len(list), maxHosts)]
}

// resolveGroup looks up hosts of one preference. IsOwn says that one of them is ours by its address. The error is the one
// that leaves most hope, nil when every host has an address.
func (c *Client) resolveGroup(ctx context.Context, group []dns.MX) (hosts []*host, isOwn bool, last error) {
	for _, mx := range group {
		h, all, err := c.resolve(ctx, mx.Host, uint16(c.cfg.Port))
		if len(all) > 0 && c.cfg.IsOwn(mx.Host, all) {
			return nil, true, nil
		}
		if err != nil {
			last = worse(last, err)
			continue
		}
		hosts = append(hosts, h)
	}
	return hosts, false, last
}

// worse returns the error that leaves more hope: one that may go away, then an address that may not be dialled.
func worse(a, b error) error {
	rank := func(err error) int {
		switch {
		case err == nil:
			return 0
		case dns.NotFound(err):
			return 1
		case errors.Is(err, errForbidden):
			return 2
		}
		return 3
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// resolve looks up a host. All are its addresses, those of the host only the ones that may be dialled; there is at least one
// when the error is nil.
func (c *Client) resolve(ctx context.Context, name string, port uint16) (h *host, all []netip.Addr, err error) {
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		all = []netip.Addr{addr}
	} else if all, err = c.resolver.LookupAddr(ctx, name); err != nil {
		return nil, nil, err
	}
	h = &host{name: name, port: port}
	for _, addr := range all {
		addr = addr.Unmap().WithZone("")
		if forbidden := c.mayDial(addr); forbidden != nil {
			err = worse(err, forbidden)
			continue
		}
		if !c.cfg.Source.IsValid() || c.cfg.Source.Unmap().Is4() == addr.Is4() {
			h.addrs = append(h.addrs, addr)
		}
	}
	if len(h.addrs) > 0 {
		h.addrs = c.order(h)
		return h, all, nil
	}
	if err == nil {
		err = fmt.Errorf("%w: none of the family of the source address", errForbidden)
	}
	return nil, all, err
}

// order takes turns between the families, IPv6 first unless it has failed lately; addresses of one family are shuffled.
func (c *Client) order(h *host) []netip.Addr {
	var first, second []netip.Addr
	for _, addr := range h.addrs {
		if addr.Is4() {
			second = append(second, addr)
		} else {
			first = append(first, addr)
		}
	}
	for _, family := range [][]netip.Addr{first, second} {
		c.cfg.Shuffle(len(family), func(i, j int) { family[i], family[j] = family[j], family[i] })
	}
	if c.brokenV6.knows(h.key()) {
		first, second = second, first
	}
	var out []netip.Addr
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return slices.Compact(out)
}

// pick takes the addresses of one attempt from hosts in order.
func (c *Client) pick(hosts []*host) []target {
	share := maxAddresses
	if len(hosts) > 1 {
		share = hostShare
	}
	var out []target
	seen := map[netip.AddrPort]bool{}
	for _, h := range hosts {
		for _, addr := range h.addrs[:min(share, len(h.addrs))] {
			to := netip.AddrPortFrom(addr, h.port)
			if !seen[to] && len(out) < maxAddresses {
				seen[to] = true
				out = append(out, target{h, to})
			}
		}
	}
	return out
}

// routeTargets resolves a configured route. What is wrong with one is ours and never refuses a recipient.
func (c *Client) routeTargets(ctx context.Context, to string) ([]target, *failure) {
	name, number, err := net.SplitHostPort(to)
	port, err2 := strconv.ParseUint(number, 10, 16)
	if err = errors.Join(err, err2); err != nil || name == "" || port == 0 {
		return nil, stop(Deferred, 451, "4.3.5", ClassConfiguration, err, "the configured route %q is not host:port", to)
	}
	return c.fixedTargets(ctx, name, uint16(port), "the configured route")
}

// relayTargets resolves a relay.
func (c *Client) relayTargets(ctx context.Context, r Relay) ([]target, *failure) {
	switch {
	case r.Host == "" || r.Port < 0 || r.Port > 65535:
		return nil, stop(Deferred, 451, "4.3.5", ClassConfiguration, nil, "the relay has no host or a bad port")
	case r.TLS == TLSNone && r.Username+r.Password != "":
		return nil, ruled("O-46", stop(Deferred, 451, "4.3.5", ClassConfiguration, nil, "credentials are not sent to a relay without TLS"))
	case r.TLS != "" && r.TLS != TLSNone && r.TLS != TLSStartTLS && r.TLS != TLSImplicit:
		return nil, stop(Deferred, 451, "4.3.5", ClassConfiguration, nil, "the relay has an unknown kind of TLS")
	}
	port := uint16(r.Port)
	if port == 0 {
		port = 587
		if r.TLS == TLSImplicit {
			port = 465
		}
	}
	return c.fixedTargets(ctx, r.Host, port, "the relay")
}

func (c *Client) fixedTargets(ctx context.Context, name string, port uint16, what string) ([]target, *failure) {
	h, _, err := c.resolve(ctx, name, port)
	switch {
	case errors.Is(err, errForbidden):
		return nil, ruled("O-6", stop(Deferred, 451, "4.4.4", ClassConfiguration, err, "%s %s is not in a network that may be dialled", what, name))
	case err != nil && dns.NotFound(err):
		return nil, stop(Deferred, 451, "4.4.4", ClassConfiguration, err, "%s %s has no address", what, name)
	case err != nil:
		return nil, stop(Deferred, 451, "4.4.3", ClassRouting, err, "%s %s cannot be looked up now", what, name)
	}
	return c.pick([]*host{h}), nil
}
