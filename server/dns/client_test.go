package dns_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	mdns "github.com/miekg/dns"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/dns"
)

const zone = `
example.test.          300 IN MX 20 mx2.example.test.
example.test.          300 IN MX 10 MX1.example.test.
example.test.          300 IN TXT "v=spf1 " "mx -all"
example.test.          300 IN TXT "a\"b\\c\195\164"
null.test.             300 IN MX 0 .
mx1.example.test.      300 IN A 192.0.2.1
mx1.example.test.      300 IN AAAA 2001:db8::1
four.test.             300 IN A 192.0.2.4
six.test.              300 IN AAAA 2001:db8::6
alias.test.             60 IN CNAME alias2.test.
alias2.test.           300 IN CNAME mx1.example.test.
loop.test.             300 IN CNAME loop.test.
dangling.test.         300 IN CNAME nowhere.other.
xn--bcher-kva.test.    300 IN TXT "books"
_dmarc.xn--bcher-kva.test. 300 IN TXT "v=DMARC1"
1.2.0.192.in-addr.arpa. 300 IN PTR Mail.example.test.
short.test.              1 IN TXT "short"
zero.test.               0 IN TXT "zero"
forever.test.   2000000000 IN TXT "forever"
`

// server is a name server on loopback that answers from the zone above. It
// counts questions and follows special names.
type server struct {
	addr    string
	mu      sync.Mutex
	asked   map[string]int
	records map[string][]mdns.RR
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{asked: map[string]int{}, records: map[string][]mdns.RR{}}
	parser := mdns.NewZoneParser(strings.NewReader(zone), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := strings.ToLower(rr.Header().Name)
		s.records[name] = append(s.records[name], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = udp.LocalAddr().String()
	tcp, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, srv := range []*mdns.Server{{PacketConn: udp, Handler: s}, {Listener: tcp, Handler: s}} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		go func() { _ = srv.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = srv.Shutdown() })
	}
	return s
}

func (s *server) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

func (s *server) ServeDNS(w mdns.ResponseWriter, r *mdns.Msg) {
	q := r.Question[0]
	name := strings.ToLower(q.Name)
	s.mu.Lock()
	s.asked[name]++
	s.mu.Unlock()
	reply := new(mdns.Msg).SetReply(r)
	soa, _ := mdns.NewRR("test. 120 IN SOA ns.test. root.test. 1 2 3 4 60")
	_, overUDP := w.RemoteAddr().(*net.UDPAddr)
	switch {
	case name == "silent.test.":
		return
	case name == "servfail.test.":
		reply.Rcode = mdns.RcodeServerFailure
	case name == "refused.test.":
		reply.Rcode = mdns.RcodeRefused
	case name == "halfdead.test." && q.Qtype == mdns.TypeAAAA:
		reply.Rcode = mdns.RcodeServerFailure
	case name == "halfdead.test.":
		reply.Ns = append(reply.Ns, soa)
	case name == "liar.test.":
		reply.Question[0].Name = "other.test."
	case name == "big.test." && overUDP:
		reply.Truncated = true
	case name == "big.test.":
		for range 30 {
			reply.Answer = append(reply.Answer, &mdns.TXT{
				Hdr: mdns.RR_Header{Name: q.Name, Rrtype: mdns.TypeTXT, Class: mdns.ClassINET, Ttl: 60},
				Txt: []string{strings.Repeat("x", 200)},
			})
		}
	default:
		s.fill(reply, name, q.Qtype)
		if len(reply.Answer) == 0 {
			reply.Ns = append(reply.Ns, soa)
			if s.records[name] == nil {
				reply.Rcode = mdns.RcodeNameError
			}
		}
	}
	_ = w.WriteMsg(reply)
}

// fill adds the records and the chain of aliases, as a recursor does.
func (s *server) fill(reply *mdns.Msg, name string, qtype uint16) {
	for range 5 {
		next := ""
		for _, rr := range s.records[name] {
			alias, ok := rr.(*mdns.CNAME)
			if ok {
				next = alias.Target
			}
			if ok || rr.Header().Rrtype == qtype {
				reply.Answer = append(reply.Answer, rr)
			}
		}
		if next == "" {
			return
		}
		name = next
	}
}

func client(t *testing.T, clk clock.Clock, timeout time.Duration, servers ...string) *dns.Client {
	t.Helper()
	c, err := dns.New(dns.Options{Servers: servers, Timeout: timeout, Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func TestAnswersOfAServerAreReadAsMailNeedsThem(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, ctx := client(t, clock.System(), 0, s.addr), t.Context()
	check := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	mx, err := c.LookupMX(ctx, "EXAMPLE.test.")
	check("MX", mx, err, []dns.MX{{10, "mx1.example.test"}, {20, "mx2.example.test"}})
	mx, err = c.LookupMX(ctx, "null.test")
	check("null MX", mx, err, []dns.MX{{0, ""}})
	txt, err := c.LookupTXT(ctx, "example.test")
	check("TXT", txt, err, []string{"v=spf1 mx -all", `a"b\c` + "ä"})
	txt, err = c.LookupTXT(ctx, "_dmarc.bücher.test")
	check("U-label below an underscore", txt, err, []string{"v=DMARC1"})
	addr, err := c.LookupAddr(ctx, "mx1.example.test")
	check("both families", addr, err, addrs("192.0.2.1", "2001:db8::1"))
	addr, err = c.LookupAddr(ctx, "four.test")
	check("only IPv4", addr, err, addrs("192.0.2.4"))
	addr, err = c.LookupAddr(ctx, "six.test")
	check("only IPv6", addr, err, addrs("2001:db8::6"))
	addr, err = c.LookupAddr(ctx, "alias.test")
	check("alias", addr, err, addrs("192.0.2.1", "2001:db8::1"))
	ptr, err := c.LookupPTR(ctx, netip.MustParseAddr("::ffff:192.0.2.1"))
	check("PTR", ptr, err, []string{"mail.example.test"})
	txt, err = c.LookupTXT(ctx, "big.test")
	check("over TCP", len(txt), err, 30)
}

func TestEachKindOfAbsenceIsToldApart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, ctx := client(t, clock.System(), 400*time.Millisecond, s.addr), t.Context()
	dead := client(t, clock.System(), 400*time.Millisecond, "127.0.0.1:1")
	txt := func(c *dns.Client, name string) error { _, err := c.LookupTXT(ctx, name); return err }
	addr := func(name string) error { _, err := c.LookupAddr(ctx, name); return err }
	_, ptrErr := c.LookupPTR(ctx, netip.MustParseAddr("192.0.2.99"))
	_, badErr := c.LookupPTR(ctx, netip.Addr{})
	for name, c := range map[string]struct {
		got, want error
		temporary bool
	}{
		"no name":           {txt(c, "none.test"), dns.ErrNXDomain, false},
		"no record":         {txt(c, "four.test"), dns.ErrNoData, false},
		"no address":        {addr("example.test"), dns.ErrNoData, false},
		"no host":           {addr("none.test"), dns.ErrNXDomain, false},
		"one family lost":   {addr("halfdead.test"), dns.ErrServFail, true},
		"servfail":          {txt(c, "servfail.test"), dns.ErrServFail, true},
		"refused":           {txt(c, "refused.test"), dns.ErrServFail, true},
		"another answer":    {txt(c, "liar.test"), dns.ErrServFail, true},
		"silence":           {txt(c, "silent.test"), dns.ErrTimeout, true},
		"no server":         {txt(dead, "four.test"), dns.ErrServFail, true},
		"alias loop":        {txt(c, "loop.test"), dns.ErrNoData, false},
		"dangling alias":    {txt(c, "dangling.test"), dns.ErrNoData, false},
		"no PTR":            {ptrErr, dns.ErrNXDomain, false},
		"no address at all": {badErr, dns.ErrInvalidName, false},
		"empty":             {txt(c, ""), dns.ErrInvalidName, false},
		"empty label":       {txt(c, "a..test"), dns.ErrInvalidName, false},
		"blank":             {txt(c, "a b.test"), dns.ErrInvalidName, false},
		"long label":        {txt(c, strings.Repeat("a", 64)+".test"), dns.ErrInvalidName, false},
		"long name":         {txt(c, strings.Repeat("a.", 127)+"test"), dns.ErrInvalidName, false},
		"huge name":         {txt(c, strings.Repeat("ä", 100_000)), dns.ErrInvalidName, false},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v", name, c.got)
		}
		if dns.Temporary(c.got) != c.temporary || dns.NotFound(c.got) == c.temporary {
			t.Errorf("%s: temporary %v, not found %v", name, dns.Temporary(c.got), dns.NotFound(c.got))
		}
	}
	if got := txt(c, "none.test").Error(); got != "TXT none.test: no such name" {
		t.Error(got)
	}
}

func TestASilentServerDoesNotKeepTheNextFromAnswering_L44(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c := client(t, clock.System(), time.Second, silent.LocalAddr().String(), s.addr)
	begin := time.Now()
	txt, err := c.LookupTXT(t.Context(), "short.test")
	if err != nil || len(txt) != 1 || time.Since(begin) > time.Second {
		t.Errorf("%v %v after %v", txt, err, time.Since(begin))
	}
}

func TestACallerWhoLeavesGetsHisOwnError(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := client(t, clock.System(), 0, s.addr)
	if _, err := c.LookupTXT(ctx, "example.test"); !errors.Is(err, context.Canceled) || !dns.Temporary(err) {
		t.Errorf("got %v", err)
	}
	if _, err := c.LookupTXT(t.Context(), "example.test"); err != nil {
		t.Errorf("the failure was kept: %v", err)
	}
}

func TestAnswersAreKeptAsLongAsTheyAllow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keep, drop time.Duration
	}{
		"example.test.":  {299 * time.Second, 300 * time.Second},
		"short.test.":    {999 * time.Millisecond, time.Second},
		"forever.test.":  {time.Hour - 1, time.Hour},
		"none.test.":     {59 * time.Second, time.Minute}, // the SOA's minimum
		"four.test.":     {59 * time.Second, time.Minute},
		"zero.test.":     {-1, 0},
		"servfail.test.": {-1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, clk := newServer(t), clock.NewFake(time.Unix(0, 0))
			r := client(t, clk, 0, s.addr)
			ask := func() int {
				_, _ = r.LookupTXT(t.Context(), name)
				return s.count(name)
			}
			first := ask()
			if c.keep >= 0 {
				clk.Advance(c.keep)
				if got := ask(); got != first {
					t.Errorf("asked again after %v", c.keep)
				}
				clk.Advance(c.drop - c.keep)
			}
			if got := ask(); got == first {
				t.Errorf("not asked again after %v", c.drop)
			}
		})
	}
}

func TestAnAliasIsKeptNoLongerThanItsShortestLink(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t), clock.NewFake(time.Unix(0, 0))
	c := client(t, clk, 0, s.addr)
	for range 2 {
		if _, err := c.LookupAddr(t.Context(), "alias.test"); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.count("alias.test."); got != 2 {
		t.Errorf("asked %d times for two types", got)
	}
	clk.Advance(time.Minute)
	if _, err := c.LookupAddr(t.Context(), "alias.test"); err != nil || s.count("alias.test.") != 4 {
		t.Errorf("asked %d times, %v", s.count("alias.test."), err)
	}
}

func TestTheMachinesResolversAreUsedWhenNoneAreGiven(t *testing.T) {
	t.Parallel()
	if _, err := dns.New(dns.Options{Clock: clock.System()}); err != nil && !strings.Contains(err.Error(), "dns.servers is empty and /etc/resolv.conf") {
		t.Error(err)
	}
}
