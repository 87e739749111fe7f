package smtpout

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// errForbidden says that an address is not public and not allowed (O-6).
var errForbidden = errors.New("not a public address")

// notPublic are the networks that no public mail server can be in (IANA special-purpose registries), and those through which
// one reaches them: an MX record pointing there is a mistake or an attack on our own network (O-6, S-27).
//
//nolint:gochecknoglobals // immutable
var notPublic = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", // the metadata and wire server of a large cloud, in public space
	"::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, text := range list {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// mayDial says whether an address may be dialled: nil or errForbidden with the address.
func (c *Client) mayDial(addr netip.Addr) error {
	plain := addr.Unmap().WithZone("")
	for _, allowed := range c.cfg.Allow {
		if allowed.Contains(plain) {
			return nil
		}
	}
	for _, closed := range notPublic {
		if closed.Contains(plain) {
			return fmt.Errorf("%w: %s", errForbidden, plain)
		}
	}
	if !plain.IsValid() || plain.Is6() && !plain.IsGlobalUnicast() {
		return fmt.Errorf("%w: %s", errForbidden, plain)
	}
	return nil
}

// guard is asked by the dialer with the address that the socket is about to connect to. Whatever was checked before, this is
// what decides.
func (c *Client) guard(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errForbidden, address)
	}
	return c.mayDial(to.Addr())
}

// dial opens a socket.
func (c *Client) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Timeout: c.cfg.Timeouts.Connect, Control: c.guard, KeepAlive: time.Minute}
	if c.cfg.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.cfg.Source, 0))
	}
	return d.DialContext(ctx, "tcp", to.String())
}

// cause says in a few words what is behind a fault of the network, without our own addresses.
func cause(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}
