package smtpout

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// pair serves two hosts of one domain on one port: mx.dest.test first, mx2.dest.test after it.
func pair(t *testing.T, first, second []string, change ...func(*Config)) (*world, *script, *script) {
	t.Helper()
	a := serve(t, "127.0.0.1:0", first...)
	b := serve(t, fmt.Sprintf("127.0.0.2:%d", a.addr.Port()), second...)
	w := meet(t, a, change...)
	w.fake.Set("MX", "dest.test", "10 mx.dest.test", "20 mx2.dest.test")
	w.fake.Set("A", "mx2.dest.test", "127.0.0.2")
	return w, a, b
}

func TestTroubleOfAHostLeadsToTheNextOneAndThenToLater_O23(t *testing.T) {
	t.Parallel()
	mail1 := greeting + "C: MAIL FROM:<alice@our.test> SIZE=19\nC: RCPT TO:<bob@dest.test>\n"
	for name, test := range map[string]struct{ script, alone string }{
		"banner 554":  {"S: 554 5.3.2 no service\nEOF", "deferred 554 5.3.2 no service (other) trouble"},
		"banner list": {"S: 554 5.7.1 blocked using spamhaus\nEOF", "deferred 554 5.7.1 blocked using spamhaus (reputation) trouble after 1h0m0s"},
		"banner 421":  {"S: 421 4.3.2 busy\nEOF", "deferred 421 4.3.2 busy (other) trouble"},
		"banner 250":  {"S: 250 hello\nEOF", "deferred 451 4.5.0 mx.dest.test was lost at its greeting: not an SMTP reply: 250 (network) trouble"},
		"EHLO 550":    {"S: 220 mx\nC: EHLO our.test\nS: 550 5.7.1 go away\nC: HELO our.test\nS: 550 5.7.1 go away\nEOF", "deferred 550 5.7.1 go away (other) trouble"},
		"EHLO 554, closed": {
			"S: 220 mx\nC: EHLO our.test\nS: 554 no\nCLOSE", "deferred 554 no (other) trouble",
		},
		"EHLO 451":     {"S: 220 mx\nC: EHLO our.test\nS: 451 4.3.0 later\nEOF", "deferred 451 4.3.0 later (other) trouble"},
		"STARTTLS 5yz": {"S: 220 mx\nC: EHLO our.test\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 502 5.5.1 no\nEOF", "deferred 502 5.5.1 no (tls) trouble"},
		"MAIL 5yz":     {mail1 + "S: 550 5.0.0 no\nS: 503 5.5.1 no\nEOF", "deferred 550 5.0.0 no (other) trouble"},
		"MAIL 4yz":     {mail1 + "S: 451 4.3.0 disk\nS: 503 5.5.1 no\nEOF", "deferred 451 4.3.0 disk (other)"},
		"lost at RCPT": {mail1 + "S: 250 ok\nCLOSE", "deferred 451 4.4.2 mx.dest.test was lost at RCPT: connection closed (network) trouble"},
		"lost at DATA": {greeting + envelope1 + "C: DATA\nCLOSE", "deferred 451 4.4.2 mx.dest.test was lost at DATA: connection closed (network) trouble"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, _ := pair(t, []string{test.script, test.script}, []string{greeting + envelope1 + content})
			got := w.courier(t).Carry(t.Context(), letter(hi))
			want(t, got, delivered)
			if got[0].Host != "mx2.dest.test" {
				t.Errorf("host %s", got[0].Host)
			}
			w.fake.Set("MX", "dest.test", "10 mx.dest.test")
			w.brokenTLS.forget(fmt.Sprintf("mx.dest.test:%d", w.cfg.Port))
			got = w.courier(t).Carry(t.Context(), letter(hi))
			want(t, got, test.alone)
			if got[0].Host != "mx.dest.test" || !got[0].Addr.IsValid() {
				t.Errorf("host %q at %v", got[0].Host, got[0].Addr)
			}
		})
	}
}

func TestAnAnswerThatAsksForPatienceIsNotCarriedToTheNextHost_O37(t *testing.T) {
	t.Parallel()
	for script, wanted := range map[string]string{
		"S: 421 4.7.0 too many connections\nEOF": "deferred 421 4.7.0 too many connections (throttle) trouble after 5m0s",
		greeting + "C: MAIL FROM:<alice@our.test> SIZE=19\nC: RCPT TO:<bob@dest.test>\nS: 450 4.7.1 try again in 2 minutes\nS: 503 no\n": "deferred 450 4.7.1 try again in 2 minutes (greylist) after 2m0s",
	} {
		w, _, _ := pair(t, []string{script}, nil)
		want(t, w.courier(t).Carry(t.Context(), letter(hi)), wanted)
	}
}

func TestRecipientsThatWereAnsweredAreNotAskedAgainAtTheNextHost_O23(t *testing.T) {
	t.Parallel()
	w, _, _ := pair(t, []string{greeting + `
C: MAIL FROM:<alice@our.test> SIZE=19
C: RCPT TO:<gone@dest.test>
C: RCPT TO:<bob@dest.test>
S: 250 ok
S: 550 5.1.1 gone
S: 250 ok
C: DATA
CLOSE`}, []string{greeting + envelope1 + content})
	want(t, w.courier(t).Carry(t.Context(), letter(hi, "gone@dest.test", "bob@dest.test")),
		"refused 550 5.1.1 gone (hard_recipient)", delivered)
}

func TestNoMoreThanTwoHostsAreSpokenWithInOneAttempt_O4(t *testing.T) {
	t.Parallel()
	down := greeting + "C: MAIL FROM:<alice@our.test> SIZE=19\nC: RCPT TO:<bob@dest.test>\nS: 451 4.3.0 disk\nS: 503 no\nEOF"
	w, a, _ := pair(t, []string{down}, []string{down})
	serve(t, fmt.Sprintf("127.0.0.3:%d", a.addr.Port()))
	w.fake.Set("MX", "dest.test", "10 mx.dest.test", "20 mx2.dest.test", "30 mx3.dest.test")
	w.fake.Set("A", "mx3.dest.test", "127.0.0.3")
	want(t, w.courier(t).Carry(t.Context(), letter(hi)), "deferred 451 4.3.0 disk (other)")
}

func TestADeadHostCostsNoMailAndTellsItsBreaker_O4(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.2:0", greeting+envelope1+content)
	w := meet(t, s)
	w.fake.Set("A", "mx.dest.test", "127.0.0.1", "127.0.0.2")
	want(t, w.courier(t).Carry(t.Context(), letter(hi)), delivered)
	w.fake.Set("A", "mx.dest.test", "127.0.0.1")
	want(t, w.courier(t).Carry(t.Context(), letter(hi)),
		"deferred 451 4.4.1 no connection to mx.dest.test [127.0.0.1]: connection refused (network) trouble")
}

func TestWhatAHostSaysTellsMoreThanAClosedPort_O23(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", "S: 554 5.3.2 no service\nEOF")
	w := meet(t, s)
	w.fake.Set("MX", "dest.test", "10 mx.dest.test", "20 mx2.dest.test")
	w.fake.Set("A", "mx2.dest.test", "127.0.0.2")
	want(t, w.courier(t).Carry(t.Context(), letter(hi)), "deferred 554 5.3.2 no service (other) trouble")
}

// twoFamilies serves mx.dest.test at ::1 and, on the same port, at 127.0.0.1.
func twoFamilies(t *testing.T, six, four []string) *world {
	t.Helper()
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6 loopback")
	} else {
		l.Close()
	}
	a := serve(t, "127.0.0.1:0", four...)
	if six != nil {
		serve(t, fmt.Sprintf("[::1]:%d", a.addr.Port()), six...)
	}
	w := meet(t, a)
	w.fake.Set("AAAA", "mx.dest.test", "::1")
	return w
}

func TestARefusalByPolicyIsTriedOnceOverTheOtherFamily_O4(t *testing.T) {
	t.Parallel()
	refused := greeting + "C: MAIL FROM:<alice@our.test> SIZE=19\nC: RCPT TO:<bob@dest.test>\nS: 250 ok\nS: 550 5.7.1 no IPv6 please\n"
	t.Run("and delivered", func(t *testing.T) {
		t.Parallel()
		w := twoFamilies(t, []string{refused}, []string{greeting + envelope1 + content})
		got := w.courier(t).Carry(t.Context(), letter(hi))
		want(t, got, delivered)
		if !got[0].Addr.Addr().Is4() {
			t.Errorf("address %v", got[0].Addr)
		}
	})
	t.Run("and refused again", func(t *testing.T) {
		t.Parallel()
		w := twoFamilies(t, []string{refused}, []string{strings.Replace(refused, "no IPv6 please", "nor IPv4", 1)})
		want(t, w.courier(t).Carry(t.Context(), letter(hi)), "refused 550 5.7.1 nor IPv4 (other)")
	})
	t.Run("and what was said stays when the other is down", func(t *testing.T) {
		t.Parallel()
		w := twoFamilies(t, []string{refused}, []string{"CLOSE"})
		want(t, w.courier(t).Carry(t.Context(), letter(hi)), "refused 550 5.7.1 no IPv6 please (other)")
	})
	t.Run("but not at a later attempt", func(t *testing.T) {
		t.Parallel()
		w := twoFamilies(t, []string{refused}, nil)
		l := letter(hi)
		l.Attempt = 2
		want(t, w.courier(t).Carry(t.Context(), l), "refused 550 5.7.1 no IPv6 please (other)")
	})
}

func TestAHostWithoutWorkingIPv6IsTriedByIPv4First_O4(t *testing.T) {
	t.Parallel()
	one := greeting + envelope1 + content
	w := twoFamilies(t, nil, []string{one, one})
	order := func() string {
		targets, f := w.Courier("dest.test").route(t.Context())
		if f != nil {
			t.Fatal(f.Reply())
		}
		var out []string
		for _, to := range targets {
			out = append(out, to.addr.Addr().String())
		}
		return strings.Join(out, " ")
	}
	for _, wanted := range []string{"::1 127.0.0.1", "127.0.0.1 ::1"} {
		if got := order(); got != wanted {
			t.Errorf("order %s, want %s", got, wanted)
		}
		want(t, w.courier(t).Carry(t.Context(), letter(hi)), delivered)
	}
	w.clk.Advance(lastFor)
	if got := order(); got != "::1 127.0.0.1" {
		t.Errorf("order %s after the memory has ended", got)
	}
}

func TestNothingThatIsNotPublicIsEverDialled_O6(t *testing.T) {
	t.Parallel()
	// The server would count a connection that was not expected.
	s := serve(t, "127.0.0.1:0")
	w := meet(t, s, func(c *Config) { c.Allow = nil })
	want(t, w.courier(t).Carry(t.Context(), letter(hi)), "deferred 451 4.4.4 no mail server of dest.test has a public address (routing)")
	w.cfg.Routes = map[string]string{"dest.test": s.addr.String()}
	want(t, w.courier(t).Carry(t.Context(), letter(hi)),
		"deferred 451 4.4.4 the configured route 127.0.0.1 is not in a network that may be dialled (configuration)")
	relay := w.RelayCourier(Relay{Host: "127.0.0.1", Port: int(s.addr.Port()), TLS: TLSNone})
	want(t, relay.Carry(t.Context(), letter(hi)),
		"deferred 451 4.4.4 the relay 127.0.0.1 is not in a network that may be dialled (configuration)")
	if _, err := w.dial(t.Context(), s.addr); err == nil {
		t.Error("the dialer itself connected")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c := &Courier{client: w.Client, domain: "dest.test"}
	if _, f := c.open(ctx, ctx, target{&host{name: "mx.dest.test"}, s.addr}); f == nil || f.HostTrouble || f.Rule != "O-6" {
		t.Errorf("open returned %+v", f)
	}
}

func TestWhatIsPublic_O6(t *testing.T) {
	t.Parallel()
	c := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}}, nil, nil, nil)
	for text, open := range map[string]bool{
		"8.8.8.8": true, "2a00:1450:400c:c0b::1b": true, "192.31.7.1": true, "172.32.0.1": true, "100.128.0.1": true,
		"10.1.2.3": true, "fd00:1::7": true, "::ffff:10.1.2.3": true, "::ffff:8.8.8.8": true,
		"10.2.0.1": false, "127.0.0.1": false, "127.255.255.254": false, "::1": false, "0.0.0.0": false, "::": false,
		"169.254.169.254": false, "fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false,
		"172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "100.64.0.1": false, "198.18.0.1": false,
		"224.0.0.1": false, "239.1.1.1": false, "255.255.255.255": false, "240.0.0.1": false, "0.1.2.3": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::7f00:1": false, "64:ff9b::7f00:1": false,
		"2002:7f00:1::": false, "2001:0:1::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false,
		"fc00::1": false, "2001:db8::1": false, "192.0.2.1": false,
	} {
		if err := c.mayDial(netip.MustParseAddr(text)); (err == nil) != open {
			t.Errorf("%s: %v", text, err)
		}
		if err := c.guard("tcp", net.JoinHostPort(text, "25"), nil); (err == nil) != open {
			t.Errorf("guard of %s: %v", text, err)
		}
	}
	if c.guard("tcp", "nonsense", nil) == nil || c.mayDial(netip.Addr{}) == nil {
		t.Error("what is no address may be dialled")
	}
}
