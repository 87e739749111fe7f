package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/mailserver-dev/mailserver/server/clock"
)

const (
	// DefaultTimeout bounds one lookup with all its tries (L-44).
	DefaultTimeout = 5 * time.Second
	// tries is how often each server is asked.
	tries = 2
	// udpSize is the answer size that passes without fragments (RFC 9715 §3.2.5).
	udpSize = 1232
	// maxChain bounds the aliases that are followed within one answer.
	maxChain = 10
	// maxRecords bounds the records of one type that are taken from an answer.
	maxRecords = 1000
	resolvConf = "/etc/resolv.conf"
)

// Options is what a Client needs.
type Options struct {
	// Servers are recursive resolvers as ip:port. Empty means those of
	// /etc/resolv.conf.
	Servers []string
	// Timeout bounds a lookup, 0 means DefaultTimeout.
	Timeout time.Duration
	Clock   clock.Clock
}

// Client is the real Resolver. It keeps answers for as long as they allow.
type Client struct {
	servers []string
	timeout time.Duration
	cache   *cache
}

// New returns a client. It fails only when there is no server to ask.
func New(opts Options) (*Client, error) {
	c := &Client{servers: opts.Servers, timeout: opts.Timeout, cache: newCache(opts.Clock)}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if len(c.servers) == 0 {
		conf, err := mdns.ClientConfigFromFile(resolvConf)
		if err != nil {
			return nil, fmt.Errorf("dns.servers is empty and %s cannot be read: %w", resolvConf, err)
		}
		for _, server := range conf.Servers {
			c.servers = append(c.servers, net.JoinHostPort(server, conf.Port))
		}
	}
	if len(c.servers) == 0 {
		return nil, fmt.Errorf("dns.servers is empty and %s names no server", resolvConf)
	}
	return c, nil
}

// LookupTXT implements Resolver.
func (c *Client) LookupTXT(ctx context.Context, name string) ([]string, error) {
	records, err := c.lookup(ctx, name, mdns.TypeTXT)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, rr := range records {
		if txt, ok := rr.(*mdns.TXT); ok {
			texts = append(texts, unescape(strings.Join(txt.Txt, "")))
		}
	}
	return texts, nil
}

// unescape turns the presentation form of a character-string (RFC 1035 §5.1),
// which is what miekg/dns hands out, back into its octets.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		if i+3 < len(text) && isDigit(text[i+1]) && isDigit(text[i+2]) && isDigit(text[i+3]) {
			b.WriteByte((text[i+1]-'0')*100 + (text[i+2]-'0')*10 + (text[i+3] - '0'))
			i += 3
			continue
		}
		i++
		b.WriteByte(text[i])
	}
	return b.String()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// LookupMX implements Resolver.
func (c *Client) LookupMX(ctx context.Context, name string) ([]MX, error) {
	records, err := c.lookup(ctx, name, mdns.TypeMX)
	if err != nil {
		return nil, err
	}
	var list []MX
	for _, rr := range records {
		if mx, ok := rr.(*mdns.MX); ok {
			list = append(list, MX{Preference: mx.Preference, Host: plainName(mx.Mx)})
		}
	}
	sortMX(list)
	return list, nil
}

func sortMX(list []MX) {
	slices.SortStableFunc(list, func(a, b MX) int { return int(a.Preference) - int(b.Preference) })
}

func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// LookupAddr implements Resolver.
func (c *Client) LookupAddr(ctx context.Context, host string) ([]netip.Addr, error) {
	type result struct {
		records []mdns.RR
		err     error
	}
	six := make(chan result, 1)
	go func() {
		records, err := c.lookup(ctx, host, mdns.TypeAAAA)
		six <- result{records, err}
	}()
	records, err := c.lookup(ctx, host, mdns.TypeA)
	other := <-six
	var addrs []netip.Addr
	for _, rr := range slices.Concat(records, other.records) {
		if addr, ok := addrOf(rr); ok {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) > 0 {
		return addrs, nil
	}
	return nil, worse(err, other.err)
}

func addrOf(rr mdns.RR) (netip.Addr, bool) {
	var ip net.IP
	switch rr := rr.(type) {
	case *mdns.A:
		ip = rr.A
	case *mdns.AAAA:
		ip = rr.AAAA
	}
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}

// worse returns the fault that says less about the name: one that may go away
// hides whether there is an address.
func worse(a, b error) error {
	if Temporary(b) && !Temporary(a) {
		return b
	}
	return a
}

// LookupPTR implements Resolver.
func (c *Client) LookupPTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	name, err := mdns.ReverseAddr(addr.Unmap().WithZone("").String())
	if err != nil {
		return nil, &Error{Type: "PTR", Name: addr.String(), Outcome: ErrInvalidName, Cause: err}
	}
	records, err := c.lookup(ctx, name, mdns.TypePTR)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, rr := range records {
		if ptr, ok := rr.(*mdns.PTR); ok {
			names = append(names, plainName(ptr.Ptr))
		}
	}
	return names, nil
}

// lookup returns the records of one type, from the cache or from a server.
func (c *Client) lookup(ctx context.Context, name string, qtype uint16) ([]mdns.RR, error) {
	kind := mdns.TypeToString[qtype]
	qname, err := queryName(name)
	if err != nil {
		return nil, &Error{Type: kind, Name: name, Outcome: ErrInvalidName, Cause: err}
	}
	key := question{qname, qtype}
	a, ok := c.cache.get(key)
	if !ok {
		a = c.ask(ctx, key)
		c.cache.put(key, a)
	}
	if a.outcome != nil {
		return nil, &Error{Type: kind, Name: plainName(qname), Outcome: a.outcome, Cause: a.cause}
	}
	return a.records, nil
}

// ask asks each server in turn until one answers.
func (c *Client) ask(ctx context.Context, q question) answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// A server that is silent must leave time for the next one.
	share := c.timeout / time.Duration(tries*len(c.servers))
	var last answer
	for range tries {
		for _, server := range c.servers {
			last = askOne(ctx, server, q, share)
			switch {
			case !Temporary(last.outcome):
				return last
			case ctx.Err() != nil:
				return faultOf(ctx.Err())
			}
		}
	}
	return last
}

// askOne asks one server.
func askOne(ctx context.Context, server string, q question, patience time.Duration) answer {
	reply, err := exchange(ctx, server, q, patience)
	if err != nil {
		return faultOf(err)
	}
	return read(reply, q)
}

// faultOf sorts a fault of the network.
func faultOf(err error) answer {
	var ne net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout() {
		return answer{outcome: ErrTimeout, cause: err}
	}
	return answer{outcome: ErrServFail, cause: err}
}

// exchange asks one server by UDP, and by TCP when the answer was cut.
func exchange(ctx context.Context, server string, q question, patience time.Duration) (*mdns.Msg, error) {
	msg := new(mdns.Msg).SetQuestion(q.name, q.qtype)
	msg.SetEdns0(udpSize, false)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, network := range []string{"udp", "tcp"} {
		client := &mdns.Client{Net: network, Timeout: patience}
		reply, _, err := client.ExchangeContext(ctx, msg, server)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(reply.Question, msg.Question) {
			return nil, errors.New("the answer is to another question")
		}
		if !reply.Truncated {
			return reply, nil
		}
	}
	return nil, errors.New("the answer is cut even by TCP")
}

// read takes what was asked for out of a reply (RFC 2308 §2).
func read(reply *mdns.Msg, q question) answer {
	switch reply.Rcode {
	case mdns.RcodeSuccess:
	case mdns.RcodeNameError:
		return answer{outcome: ErrNXDomain, ttl: negativeTTL(reply)}
	default:
		return answer{outcome: ErrServFail, cause: errors.New(mdns.RcodeToString[reply.Rcode])}
	}
	a := answer{ttl: maxTTL}
	owner := q.name
	for range maxChain {
		target := a.take(reply.Answer, owner, q.qtype)
		if len(a.records) > 0 || target == "" {
			break
		}
		owner = target
	}
	if len(a.records) == 0 {
		return answer{outcome: ErrNoData, ttl: min(a.ttl, negativeTTL(reply))}
	}
	return a
}

// take adds the records of one owner and returns where an alias of it leads.
func (a *answer) take(records []mdns.RR, owner string, qtype uint16) (target string) {
	for _, rr := range records {
		header := rr.Header()
		if !strings.EqualFold(header.Name, owner) {
			continue
		}
		alias, isAlias := rr.(*mdns.CNAME)
		switch {
		case isAlias:
			target = alias.Target
		case header.Rrtype == qtype && len(a.records) < maxRecords:
			a.records = append(a.records, rr)
		default:
			continue
		}
		a.ttl = min(a.ttl, time.Duration(header.Ttl)*time.Second)
	}
	return target
}

// negativeTTL is how long an absence holds (RFC 2308 §5), 0 without a SOA.
func negativeTTL(reply *mdns.Msg) time.Duration {
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*mdns.SOA); ok {
			return min(time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second, maxNegativeTTL)
		}
	}
	return 0
}
