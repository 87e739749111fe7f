package smtpout

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/dns"
)

const (
	// clearFor is how long a host whose TLS is broken is spoken to in clear (O-11).
	clearFor = 24 * time.Hour
	// lastFor is how long a host whose IPv6 did not answer is tried by IPv4 first (O-4).
	lastFor = time.Hour
)

// Client is what all couriers share. It may be used from many goroutines.
type Client struct {
	cfg      Config
	resolver dns.Resolver
	clk      clock.Clock
	log      *slog.Logger
	table    *table
	// brokenTLS and brokenV6 remember hosts as "name:port".
	brokenTLS, brokenV6 *memory
}

// New makes a client. Nothing is dialled or asked before the first Carry.
func New(cfg Config, resolver dns.Resolver, clk clock.Clock, log *slog.Logger) *Client {
	log = cmp.Or(log, slog.New(slog.DiscardHandler))
	t, err := parseTable(answers)
	if err != nil {
		// A test keeps this from happening; the rows above the fault still count.
		log.Error("the table of answers is damaged", slog.Any("error", err))
	}
	if cfg.IsOwn == nil {
		cfg.IsOwn = func(string, []netip.Addr) bool { return false }
	}
	if cfg.Shuffle == nil {
		cfg.Shuffle = rand.Shuffle
	}
	return &Client{
		cfg: cfg.withDefaults(), resolver: resolver, clk: clk, log: log, table: t,
		brokenTLS: newMemory(clk), brokenV6: newMemory(clk),
	}
}

// TableVersion returns the version of the table that says what answers mean.
func (c *Client) TableVersion() string { return c.table.version }

// Courier returns a new way to the mail servers of a domain, given as lower case A-labels: to its configured route, else to
// its MX hosts.
func (c *Client) Courier(domain string) *Courier { return &Courier{client: c, domain: domain} }

// RelayCourier returns a new way through a relay.
func (c *Client) RelayCourier(r Relay) *Courier { return &Courier{client: c, relay: &r} }
