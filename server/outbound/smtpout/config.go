package smtpout

import (
	"cmp"
	"crypto/x509"
	"net/netip"
	"time"
)

const (
	defaultPort          = 25
	defaultPerConnection = 50
	// maxAge and maxIdle bound the life of a connection that is kept for the next letter (O-42). One that was idle for
	// longer is asked first whether it still lives.
	maxAge  = 300 * time.Second
	maxIdle = 5 * time.Second
)

// Config is what a Client needs. Every field but Hostname works at its zero value.
type Config struct {
	// Hostname is the EHLO name (O-8). Without one the client says its address literal (RFC 5321 §4.1.4).
	Hostname string
	// Source is the address to dial from; the zero Addr leaves the choice to the system.
	Source netip.Addr
	// Port is where MX hosts listen, 25 when 0.
	Port int
	// Allow are networks that may be dialled although they are not public (O-6).
	Allow []netip.Prefix
	// Routes replace the MX lookup: recipient domain (A-label, lower case) to host:port.
	Routes map[string]string
	// Roots verify the certificates of relays; nil means the system's.
	Roots *x509.CertPool
	// IsOwn reports whether a host of an MX list is this server (O-5), by name and, where known, addresses; nil: none is. It
	// may be called from many goroutines.
	IsOwn func(host string, addrs []netip.Addr) bool
	// Timeouts bound every wait; zero fields have the figures of RFC 5321 §4.5.3.2.
	Timeouts Timeouts
	// PerConnection is how many letters one connection carries, 50 when 0.
	PerConnection int
	// Shuffle brings n elements into a random order (O-4); nil means that of math/rand/v2.
	Shuffle func(n int, swap func(i, j int))
}

// Timeouts bound the waits of one attempt. A reply must be complete in its time, however it drips.
type Timeouts struct {
	Connect   time.Duration // a TCP connection, 30 s
	Banner    time.Duration // the greeting, 300 s
	Hello     time.Duration // EHLO, HELO, STARTTLS, AUTH and RSET, 300 s each
	Handshake time.Duration // TLS, 60 s
	Mail      time.Duration // MAIL, 300 s
	Rcpt      time.Duration // each RCPT, 300 s
	Data      time.Duration // the 354 after DATA, 120 s
	Block     time.Duration // one write of at most 16 KiB, 180 s
	Dot       time.Duration // the reply to the final dot, 600 s
	Probe     time.Duration // RSET on a connection that was idle, 10 s
	Quit      time.Duration // the goodbye, 3 s
	// Grace is how long the reply to the final dot is awaited when the context has ended: by then the letter may be the
	// remote's, and leaving makes duplicates. 10 s.
	Grace time.Duration
	// Attempt bounds one Carry up to the final dot, so that no chain of slow replies holds a worker for hours. 15 min.
	Attempt time.Duration
}

// TLSMode is how a relay is spoken to.
type TLSMode string

// The modes. The empty TLSMode means TLSStartTLS.
const (
	TLSNone     TLSMode = "none"     // in clear; credentials are refused
	TLSStartTLS TLSMode = "starttls" // STARTTLS with a verified certificate, or nothing
	TLSImplicit TLSMode = "implicit" // TLS from the first octet (RFC 8314 §3.3), verified
)

// Relay is a smart host (O-46). There is no way around it: a letter for a relay never goes anywhere else.
type Relay struct {
	Host               string // a name or an IP address
	Port               int    // 0: 465 for TLSImplicit, else 587
	TLS                TLSMode
	Username, Password string // both empty: no AUTH
}

func (c Config) withDefaults() Config {
	c.Port = cmp.Or(c.Port, defaultPort)
	c.PerConnection = cmp.Or(max(c.PerConnection, 0), defaultPerConnection)
	c.Timeouts = c.Timeouts.withDefaults()
	return c
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Connect, 30 * time.Second},
		{&t.Banner, 300 * time.Second},
		{&t.Hello, 300 * time.Second},
		{&t.Handshake, 60 * time.Second},
		{&t.Mail, 300 * time.Second},
		{&t.Rcpt, 300 * time.Second},
		{&t.Data, 120 * time.Second},
		{&t.Block, 180 * time.Second},
		{&t.Dot, 600 * time.Second},
		{&t.Probe, 10 * time.Second},
		{&t.Quit, 3 * time.Second},
		{&t.Grace, 10 * time.Second},
		{&t.Attempt, 15 * time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return t
}
