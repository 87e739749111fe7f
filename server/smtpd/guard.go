package smtpd

import (
	"net"
	"net/netip"
	"sync"
)

// guard counts the connections of one listener (L-30). Its memory is bounded by the connections themselves: a count that falls
// to zero is forgotten (S-17).
type guard struct {
	limits *Limits

	mu        sync.Mutex
	total     int
	addresses map[netip.Addr]int
	networks  map[netip.Prefix]int
}

func newGuard(limits *Limits) *guard {
	return &guard{limits: limits, addresses: map[netip.Addr]int{}, networks: map[netip.Prefix]int{}}
}

// admit counts a connection in, or reports that there are too many. Peers without an IP address (pipes) count in the total only.
func (g *guard) admit(a netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := network(a)
	switch {
	case reached(g.total, g.limits.Connections):
		return false
	case a.IsValid() && reached(g.addresses[a], g.limits.ConnectionsPerIP):
		return false
	case a.IsValid() && reached(g.networks[n], g.limits.ConnectionsPerNetwork):
		return false
	}
	g.total++
	if a.IsValid() {
		g.addresses[a]++
		g.networks[n]++
	}
	return true
}

// release counts a connection out.
func (g *guard) release(a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if a.IsValid() {
		lower(g.addresses, a)
		lower(g.networks, network(a))
	}
}

func lower[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// stressed reports whether the listener is so full that patience has to be short (L-41).
func (g *guard) stressed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.Connections > 0 && g.total*5 > g.limits.Connections*4
}

// network is the /24 or /64 that an address belongs to.
func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 24
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

// inlet is the listener that go-smtp accepts from: connections that have been admitted and, on 465, secured.
type inlet struct {
	ready chan net.Conn
	gone  chan struct{}
	addr  net.Addr
}

// Accept implements net.Listener.
func (i *inlet) Accept() (net.Conn, error) {
	select {
	case c := <-i.ready:
		return c, nil
	case <-i.gone:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The server closes the inlet, not the library.
func (i *inlet) Close() error { return nil }

// Addr implements net.Listener.
func (i *inlet) Addr() net.Addr { return i.addr }
