package smtpout

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/dns"
)

// routed shows where a domain's letters go: "host address" each, or the result.
func routed(t *testing.T, c *Client, domain string) string {
	t.Helper()
	targets, f := c.Courier(domain).route(t.Context())
	if f != nil {
		if len(targets) > 0 || f.Outcome == 0 {
			t.Errorf("a failure of %v with %d targets", f.Outcome, len(targets))
		}
		return show([]Result{f.Result}) + " " + f.Rule
	}
	var out []string
	for _, to := range targets {
		out = append(out, to.host.name+" "+to.addr.String())
	}
	return strings.Join(out, ", ")
}

func routing(cfg Config, records map[string][]string) (*Client, *dns.Fake) {
	fake := dns.NewFake(records)
	cfg.Allow = append(cfg.Allow, netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32"))
	if cfg.Shuffle == nil {
		cfg.Shuffle = func(int, func(int, int)) {}
	}
	return New(cfg, fake, clock.NewFake(start0()), nil), fake
}

func ours(names ...string) func(string, []netip.Addr) bool {
	return func(host string, addrs []netip.Addr) bool {
		return slices.Contains(names, host) || slices.ContainsFunc(addrs, func(a netip.Addr) bool { return slices.Contains(names, a.String()) })
	}
}

func TestWhereADomainsLettersGo(t *testing.T) {
	t.Parallel()
	hosts := map[string][]string{
		"A a.test": {"192.0.2.1"}, "A b.test": {"192.0.2.2"}, "A c.test": {"192.0.2.3"}, "AAAA c.test": {"2001:db8::3"},
		"A big.test":    {"192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14", "192.0.2.15", "192.0.2.16"},
		"A inside.test": {"127.0.0.1", "10.0.0.1"}, "A half.test": {"10.0.0.1", "192.0.2.9"},
	}
	for _, test := range []struct {
		name, domain string
		mx           []string
		more         map[string][]string
		cfg          Config
		fail         map[string]error
		want         string
	}{
		{name: "O1 an unknown domain is permanent", domain: "none.test", want: "refused 550 5.1.2 the domain none.test does not exist (hard_recipient) O-1"},
		{name: "O1 a silent name server is never taken for no MX", domain: "a.test", fail: map[string]error{"a.test": dns.ErrServFail}, want: "deferred 451 4.4.3 the mail servers of a.test cannot be looked up now (routing) O-1"},
		{name: "O1 neither is one that is too slow", domain: "a.test", fail: map[string]error{"a.test": dns.ErrTimeout}, want: "deferred 451 4.4.3 the mail servers of a.test cannot be looked up now (routing) O-1"},
		{name: "O1 without MX the domain is its own", domain: "a.test", want: "a.test 192.0.2.1:25"},
		{name: "O1 without MX and address it takes no mail", domain: "txt.test", more: map[string][]string{"TXT txt.test": {"x"}}, want: "refused 550 5.1.2 txt.test has neither a mail server nor an address (hard_recipient) O-1"},
		{name: "O1 an MX without address is no reason to try the domain", domain: "d.test", mx: []string{"10 gone.test"}, more: map[string][]string{"A d.test": {"192.0.2.99"}}, want: "deferred 451 4.4.4 no mail server of d.test has an address (routing) O-1"},
		{name: "O1 an MX that cannot be looked up is tried later", domain: "d.test", mx: []string{"10 gone.test", "20 a.test"}, fail: map[string]error{"a.test": dns.ErrServFail}, want: "deferred 451 4.4.3 the mail servers of d.test cannot be looked up now (routing) O-1"},
		{name: "O1 one MX that works is enough", domain: "d.test", mx: []string{"10 gone.test", "20 a.test"}, fail: map[string]error{"gone.test": dns.ErrServFail}, want: "a.test 192.0.2.1:25"},
		{name: "O2 a null MX refuses", domain: "d.test", mx: []string{"0 ."}, more: map[string][]string{"A d.test": {"192.0.2.99"}}, want: "refused 556 5.1.10 d.test takes no mail (null MX, RFC 7505) (hard_recipient) O-2"},
		{name: "O2 a dot beside others is nothing", domain: "d.test", mx: []string{"0 .", "10 a.test"}, want: "a.test 192.0.2.1:25"},
		{name: "O4 by preference", domain: "d.test", mx: []string{"20 b.test", "10 a.test"}, want: "a.test 192.0.2.1:25, b.test 192.0.2.2:25"},
		{name: "O4 equals in random order", domain: "d.test", mx: []string{"10 a.test", "10 b.test"}, cfg: Config{Shuffle: backwards}, want: "b.test 192.0.2.2:25, a.test 192.0.2.1:25"},
		{name: "O4 both families, IPv6 first", domain: "d.test", mx: []string{"10 c.test"}, want: "c.test [2001:db8::3]:25, c.test 192.0.2.3:25"},
		{name: "O4 the source address has one family", domain: "d.test", mx: []string{"10 c.test"}, cfg: Config{Source: netip.MustParseAddr("192.0.2.200")}, want: "c.test 192.0.2.3:25"},
		{name: "O4 no other family is no address", domain: "d.test", mx: []string{"10 a.test"}, cfg: Config{Source: netip.MustParseAddr("2001:db8::200")}, want: "deferred 451 4.4.4 no mail server of d.test has a public address (routing) O-6"},
		{name: "O4 five addresses of one host", domain: "d.test", mx: []string{"10 big.test"}, want: "big.test 192.0.2.11:25, big.test 192.0.2.12:25, big.test 192.0.2.13:25, big.test 192.0.2.14:25, big.test 192.0.2.15:25"},
		{name: "O4 and others get their share", domain: "d.test", mx: []string{"10 big.test", "10 c.test"}, want: "big.test 192.0.2.11:25, big.test 192.0.2.12:25, big.test 192.0.2.13:25, c.test [2001:db8::3]:25, c.test 192.0.2.3:25"},
		{name: "O5 we are the best MX", domain: "d.test", mx: []string{"10 us.test", "20 a.test"}, cfg: Config{IsOwn: ours("us.test")}, want: "refused 554 5.4.6 mail for d.test loops back to this server (routing) O-5"},
		{name: "O5 we are the second: only better ones count", domain: "d.test", mx: []string{"10 a.test", "20 b.test", "20 us.test", "30 c.test"}, cfg: Config{IsOwn: ours("us.test")}, want: "a.test 192.0.2.1:25"},
		{name: "O5 known by our address", domain: "d.test", mx: []string{"10 a.test", "20 b.test", "30 c.test"}, cfg: Config{IsOwn: ours("192.0.2.2")}, want: "a.test 192.0.2.1:25"},
		{name: "O5 the only address is ours", domain: "a.test", cfg: Config{IsOwn: ours("192.0.2.1")}, want: "refused 554 5.4.6 mail for a.test loops back to this server (routing) O-5"},
		{name: "O5 a better one that is lost is waited for", domain: "d.test", mx: []string{"10 gone.test", "20 us.test"}, cfg: Config{IsOwn: ours("us.test")}, want: "deferred 451 4.4.4 no mail server of d.test has an address (routing) O-1"},
		{name: "O6 an MX inside our network is no MX", domain: "d.test", mx: []string{"10 inside.test"}, want: "deferred 451 4.4.4 no mail server of d.test has a public address (routing) O-6"},
		{name: "O6 its public address counts", domain: "d.test", mx: []string{"10 half.test"}, want: "half.test 192.0.2.9:25"},
		{name: "O6 unless it is allowed", domain: "d.test", mx: []string{"10 inside.test"}, cfg: Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, want: "inside.test 127.0.0.1:25"},
		{name: "O7 literals are refused", domain: "[192.0.2.1]", want: "refused 553 5.1.3 address literals are not served (hard_recipient) O-7"},
		{name: "route to an address", domain: "d.test", mx: []string{"0 ."}, cfg: Config{Routes: map[string]string{"d.test": "192.0.2.7:2525"}}, want: "192.0.2.7 192.0.2.7:2525"},
		{name: "route to an IPv6 address", domain: "d.test", cfg: Config{Routes: map[string]string{"d.test": "[2001:db8::7]:2525"}}, want: "2001:db8::7 [2001:db8::7]:2525"},
		{name: "route to a name", domain: "d.test", cfg: Config{Routes: map[string]string{"d.test": "c.test:26"}}, want: "c.test [2001:db8::3]:26, c.test 192.0.2.3:26"},
		{name: "route of another domain", domain: "a.test", cfg: Config{Routes: map[string]string{"d.test": "c.test:26"}}, want: "a.test 192.0.2.1:25"},
		{name: "route to nowhere is our mistake", domain: "d.test", cfg: Config{Routes: map[string]string{"d.test": "gone.test:26"}}, want: "deferred 451 4.4.4 the configured route gone.test has no address (configuration) "},
		{name: "route without port is our mistake", domain: "d.test", cfg: Config{Routes: map[string]string{"d.test": "gone.test"}}, want: `deferred 451 4.3.5 the configured route "gone.test" is not host:port (configuration) `},
		{name: "another port", domain: "a.test", cfg: Config{Port: 2525}, want: "a.test 192.0.2.1:2525"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, fake := routing(test.cfg, hosts)
			if test.mx != nil {
				fake.Set("MX", test.domain, test.mx...)
			}
			for key, values := range test.more {
				kind, name, _ := strings.Cut(key, " ")
				fake.Set(kind, name, values...)
			}
			for name, err := range test.fail {
				fake.Fail(name, err)
			}
			if got := routed(t, c, test.domain); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func backwards(n int, swap func(i, j int)) {
	for i := range n / 2 {
		swap(i, n-1-i)
	}
}

func TestAThousandMXRecordsCostTwentyLookupsAndFiveConnections_O4(t *testing.T) {
	t.Parallel()
	for _, resolves := range []bool{true, false} {
		c, fake := routing(Config{}, nil)
		var list []string
		for i := range 1000 {
			list = append(list, fmt.Sprintf("%d mx%d.test", 1000-i, i))
			if resolves {
				fake.Set("A", fmt.Sprintf("mx%d.test", i), "192.0.2.1")
			}
		}
		fake.Set("MX", "d.test", list...)
		got := routed(t, c, "d.test")
		if resolves && got != "mx999.test 192.0.2.1:25" {
			t.Errorf("routed to %s", got)
		}
		if asked := len(fake.Asked()); asked > 1+2*maxHosts {
			t.Errorf("%d questions", asked)
		}
		if !resolves && !strings.HasPrefix(got, "deferred 451 4.4.4") {
			t.Errorf("routed to %s", got)
		}
	}
}

func TestAnAliasOfADomainIsFollowedToItsMX_O3(t *testing.T) {
	t.Parallel()
	records := map[string][]string{
		"alias.test. MX":    {"alias.test. 60 IN CNAME real.test.", "real.test. 60 IN MX 10 mx.real.test."},
		"mx.real.test. A":   {"mx.real.test. 60 IN CNAME host.real.test.", "host.real.test. 60 IN A 192.0.2.77"},
		"loop.test. MX":     {"loop.test. 60 IN CNAME pool.test.", "pool.test. 60 IN CNAME loop.test."},
		"loop.test. A":      {"loop.test. 60 IN CNAME pool.test.", "pool.test. 60 IN CNAME loop.test."},
		"dangling.test. MX": {"dangling.test. 60 IN CNAME gone.test."},
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &mdns.Server{PacketConn: udp, Handler: mdns.HandlerFunc(func(w mdns.ResponseWriter, r *mdns.Msg) {
		reply := new(mdns.Msg).SetReply(r)
		key := r.Question[0].Name + " " + mdns.TypeToString[r.Question[0].Qtype]
		for _, text := range records[key] {
			rr, _ := mdns.NewRR(text)
			reply.Answer = append(reply.Answer, rr)
		}
		if key == "dangling.test. MX" {
			reply.Rcode = mdns.RcodeNameError
		}
		_ = w.WriteMsg(reply)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	resolver, err := dns.New(dns.Options{Servers: []string{udp.LocalAddr().String()}, Clock: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	c := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, resolver, clock.System(), nil)
	for domain, wanted := range map[string]string{
		"alias.test":    "mx.real.test 192.0.2.77:25",
		"loop.test":     "refused 550 5.1.2 loop.test has neither a mail server nor an address (hard_recipient) O-1",
		"dangling.test": "refused 550 5.1.2 the domain dangling.test does not exist (hard_recipient) O-1",
	} {
		if got := routed(t, c, domain); got != wanted {
			t.Errorf("%s: got %s, want %s", domain, got, wanted)
		}
	}
}
