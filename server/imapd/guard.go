package imapd

import (
	"net"
	"net/netip"
	"sync"
)

// guard counts connections (L-31). What falls to zero is forgotten, so its memory is bounded by the connections themselves.
type guard struct {
	limits *Limits

	mu        sync.Mutex
	total     int
	strangers map[netip.Prefix]int // connections that nobody has signed in on, by network
}

func newGuard(limits *Limits) *guard {
	return &guard{limits: limits, strangers: map[netip.Prefix]int{}}
}

// admit counts a connection in, or says why not. Peers without an IP address (pipes) count in the total only.
func (g *guard) admit(a netip.Addr) (refusal string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := network(a)
	switch {
	case reached(g.total, g.limits.Connections):
		return "Too many connections, try again later"
	case n.IsValid() && reached(g.strangers[n], g.limits.PreAuthPerIP):
		return "Too many connections from your address that nobody has signed in on"
	}
	g.total++
	if n.IsValid() {
		g.strangers[n]++
	}
	return ""
}

// known says that somebody has signed in on a connection of this address.
func (g *guard) known(a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(a)
}

// release counts a connection out.
func (g *guard) release(a netip.Addr, stranger bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if stranger {
		g.forget(a)
	}
}

func (g *guard) forget(a netip.Addr) {
	n := network(a)
	if !n.IsValid() {
		return
	}
	if g.strangers[n]--; g.strangers[n] <= 0 {
		delete(g.strangers, n)
	}
}

// network is the IPv4 address, or the /64 of an IPv6 one: whoever has one address of it has all.
func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// remoteIP gives the address of a connection's other side; it is invalid for pipes.
func remoteIP(nc net.Conn) netip.Addr {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}
