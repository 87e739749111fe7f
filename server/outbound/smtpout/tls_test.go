package smtpout

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	offer = `S: 220 mx.dest.test ESMTP
C: EHLO our.test
S: 250-mx.dest.test
S: 250-PIPELINING
S: 250-SIZE 1
S: 250 STARTTLS
`
	under = `TLS
C: EHLO our.test
S: 250-mx.dest.test
S: 250-PIPELINING
S: 250 SIZE
`
	start       = offer + "C: STARTTLS\nS: 220 go\n"
	overTLS     = "delivered 250 2.0.0 queued TLS1.3"
	oneInClear  = greeting + envelope1 + content
	unsizedOne  = greeting + "C: MAIL FROM:<alice@our.test>\nC: RCPT TO:<bob@dest.test>\nS: 250 ok\nS: 250 ok\n" + content
	clearOffer  = offer + "C: MAIL FROM:<alice@our.test>\nC: RCPT TO:<bob@dest.test>\nS: 250 ok\nS: 250 ok\n" + content
	noHandshake = start + "PLAIN"
)

// unsized is a letter whose size is not announced: hosts of these scripts offer SIZE 1 in clear.
func unsized() Letter {
	l := letter(hi)
	l.Size = 0
	return l
}

func TestTLSIsUsedWhenOfferedWhateverTheCertificateAndEHLOIsSaidAgain_O10(t *testing.T) {
	t.Parallel()
	// The offers in clear count no longer: SIZE 1 would refuse the letter.
	s := serve(t, "127.0.0.1:0", start+under+envelope1+content+again+content)
	w := meet(t, s)
	w.fake.Set("MX", "dest.test", "10 another-name.dest.test")
	w.fake.Set("A", "another-name.dest.test", s.addr.Addr().String())
	c := w.courier(t)
	want(t, c.Carry(t.Context(), letter(hi)), overTLS)
	want(t, c.Carry(t.Context(), letter(hi)), overTLS)
}

func TestWhatWasSaidInClearBehindTheGoIsNotReadAsRepliesUnderTLS_O13(t *testing.T) {
	t.Parallel()
	injected := "S: 250-evil\nS: 250 SIZE 1\nS: 250 ok\nS: 250 ok\nS: 354 go\nS: 250 2.0.0 all yours\n"
	s := serve(t, "127.0.0.1:0", start+injected+under+envelope1+content)
	want(t, meet(t, s).courier(t).Carry(t.Context(), letter(hi)), overTLS)
}

func TestBrokenTLSIsTriedOnceInClearOnANewConnectionAndRememberedForADay_O11(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0",
		noHandshake, clearOffer, // the first letter
		clearOffer,                // a letter within the day
		start+"CLOSE", unsizedOne, // the day after; this time the handshake is cut
		unsizedOne,
	)
	w := meet(t, s)
	carry := func(wanted string) {
		t.Helper()
		c := w.Courier("dest.test")
		defer c.Close()
		want(t, c.Carry(t.Context(), unsized()), wanted)
	}
	carry(delivered)
	if !strings.Contains(w.logs.String(), "trying in clear") {
		t.Errorf("the log says %q", w.logs)
	}
	w.clk.Advance(24*time.Hour - time.Second)
	carry(delivered)
	w.clk.Advance(time.Second)
	carry(delivered)
	carry(delivered)
}

func TestAHandshakeThatStallsIsTriedInClear_O11(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", start+"GATE\nCLOSE", oneInClear)
	w := meet(t, s, func(c *Config) { c.Timeouts.Handshake = 100 * time.Millisecond })
	c := w.courier(t)
	want(t, c.Carry(t.Context(), letter(hi)), delivered)
	close(s.gate)
}

func TestAHostThatIsDownAfterABrokenHandshakeIsNotRememberedAsBroken_O11(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", noHandshake, "CLOSE", start+under+envelope1+content)
	w := meet(t, s)
	want(t, w.courier(t).Carry(t.Context(), letter(hi)), "deferred 451 4.4.2 mx.dest.test was lost at its greeting: connection closed (network) trouble")
	want(t, w.courier(t).Carry(t.Context(), letter(hi)), overTLS)
}

func TestAnOfferOfTLSThatIsNotKeptDoesNotKeepTheLetter_O11(t *testing.T) {
	t.Parallel()
	t.Run("454 goes on in clear at once", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "127.0.0.1:0", offer+"C: STARTTLS\nS: 454 4.7.0 not now\nEOF", clearOffer)
		want(t, meet(t, s).courier(t).Carry(t.Context(), unsized()), delivered)
	})
	t.Run("5yz is trouble of the host, and clear the next time", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "127.0.0.1:0", offer+"C: STARTTLS\nS: 554 5.7.3 no\nEOF", clearOffer)
		w := meet(t, s)
		want(t, w.courier(t).Carry(t.Context(), unsized()), "deferred 554 5.7.3 no (tls) trouble")
		want(t, w.courier(t).Carry(t.Context(), unsized()), delivered)
	})
}

func relayTo(s *script, mode TLSMode) Relay {
	return Relay{Host: "relay.test", Port: int(s.addr.Port()), TLS: mode, Username: "user", Password: "secret"}
}

const (
	relayUnder = `TLS
C: EHLO our.test
S: 250-relay.test
S: 250-PIPELINING
S: 250 AUTH LOGIN PLAIN
`
	relayMail = "C: MAIL FROM:<alice@our.test>\nC: RCPT TO:<bob@dest.test>\nS: 250 ok\nS: 250 ok\n" + content
)

func TestCredentialsGoToARelayUnderVerifiedTLSOnly_O46(t *testing.T) {
	t.Parallel()
	login := "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 2.7.0 ok\n"
	for name, test := range map[string]struct {
		script string
		change func(*Relay, *world)
		want   string
	}{
		"starttls": {start + relayUnder + login + relayMail, nil, overTLS},
		"plain": {
			start + strings.Replace(relayUnder, "LOGIN PLAIN", "XOAUTH2 PLAIN", 1) + "C: AUTH PLAIN AHVzZXIAc2VjcmV0\nS: 235 2.7.0 ok\n" + relayMail, nil, overTLS,
		},
		"implicit": {
			strings.Replace(relayUnder, "TLS\n", "TLS\nS: 220 relay.test\n", 1) + login + relayMail,
			func(r *Relay, _ *world) { r.TLS = TLSImplicit }, overTLS,
		},
		"no credentials": {start + relayUnder + relayMail, func(r *Relay, _ *world) { r.Username, r.Password = "", "" }, overTLS},
		"wrong password": {
			start + relayUnder + strings.Replace(login, "235 2.7.0 ok", "535 5.7.8 bad credentials\nEOF", 1), nil,
			"deferred 535 5.7.8 bad credentials (configuration) TLS1.3 trouble after 1h0m0s",
		},
		"no mechanism": {
			start + strings.Replace(relayUnder, "LOGIN PLAIN", "GSSAPI", 1) + "EOF", nil,
			"deferred 451 4.7.0 the relay relay.test offers neither AUTH PLAIN nor LOGIN (configuration) TLS1.3 trouble",
		},
		"no STARTTLS, as if somebody had taken it away": {
			greeting + "EOF", nil, "deferred 451 4.7.5 the relay relay.test offers no STARTTLS (tls) trouble",
		},
		"wrong name": {
			start + "TLS\nEOF", func(r *Relay, w *world) {
				r.Host = "other.test"
				w.fake.Set("A", "other.test", "127.0.0.1")
			},
			"deferred 451 4.7.5 TLS with other.test failed: tls: failed to verify certificate: x509: certificate is valid for mx.dest.test, relay.test, not other.test (tls) trouble",
		},
		"unknown authority": {
			start + "TLS\nEOF", func(_ *Relay, w *world) { _, w.cfg.Roots = certificate(t, "relay.test") },
			"deferred 451 4.7.5 TLS with relay.test failed: tls: failed to verify certificate: x509: certificate signed by unknown authority (tls) trouble",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1:0", test.script)
			w := meet(t, s)
			w.fake.Set("A", "relay.test", "127.0.0.1")
			r := relayTo(s, TLSStartTLS)
			if test.change != nil {
				test.change(&r, w)
			}
			c := w.RelayCourier(r)
			defer c.Close()
			got := show(c.Carry(t.Context(), unsized()))
			if cut := strings.Index(got, " (possibly because"); cut > 0 {
				got = got[:cut] + " (tls) trouble"
			}
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if strings.Contains(w.logs.String(), "secret") || strings.Contains(w.logs.String(), "c2VjcmV0") {
				t.Error("the log has the password")
			}
		})
	}
}

func TestARelayInClearCarriesLettersAndNeverCredentials_O46(t *testing.T) {
	t.Parallel()
	// STARTTLS is offered and not used: "none" means what it says.
	s := serve(t, "127.0.0.1:0", clearOffer)
	w := meet(t, s)
	w.fake.Set("A", "relay.test", "127.0.0.1")
	r := relayTo(s, TLSNone)
	want(t, w.RelayCourier(r).Carry(t.Context(), unsized()), "deferred 451 4.3.5 credentials are not sent to a relay without TLS (configuration)")
	r.Username, r.Password = "", ""
	c := w.RelayCourier(r)
	defer c.Close()
	want(t, c.Carry(t.Context(), unsized()), delivered)
}

func TestARelayThatIsDownIsNeverGoneAround_O46(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0") // the MX of dest.test; nobody may come
	w := meet(t, s)
	w.fake.Set("A", "relay.test", "127.0.0.9")
	r := Relay{Host: "relay.test", Port: int(s.addr.Port()), TLS: TLSImplicit}
	want(t, w.RelayCourier(r).Carry(t.Context(), letter(hi)),
		"deferred 451 4.4.1 no connection to relay.test [127.0.0.9]: connection refused (network) trouble")
	for _, bad := range []Relay{{Port: 25}, {Host: "relay.test", Port: 70000}, {Host: "relay.test", TLS: "maybe"}} {
		if got := w.RelayCourier(bad).Carry(t.Context(), letter(hi))[0]; got.Outcome != Deferred || got.Class != ClassConfiguration {
			t.Errorf("%+v: %s", bad, got.Reply())
		}
	}
	for mode, port := range map[TLSMode]uint16{TLSImplicit: 465, TLSStartTLS: 587, "": 587, TLSNone: 587} {
		targets, f := w.relayTargets(t.Context(), Relay{Host: "relay.test", TLS: mode})
		if f != nil || fmt.Sprint(targets[0].addr.Port()) != fmt.Sprint(port) {
			t.Errorf("%s: %v %v", mode, targets, f)
		}
	}
}
