package smtpout_test

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound/smtpout"
	"github.com/mailserver-dev/mailserver/server/testenv/remote"
)

const message = "Message-ID: <1@our.test>\r\nSubject: hi\r\n\r\n.dot\r\n"

// carrier returns a courier to dest.test, which lies at the remote.
func carrier(t *testing.T, m *remote.MX, timeouts smtpout.Timeouts) *smtpout.Courier {
	t.Helper()
	client := smtpout.New(smtpout.Config{
		Hostname: "our.test",
		Allow:    []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Routes:   map[string]string{"dest.test": m.Addr().String()},
		Timeouts: timeouts,
	}, dns.NewFake(nil), clock.System(), nil)
	c := client.Courier("dest.test")
	t.Cleanup(c.Close)
	return c
}

func toBob() smtpout.Letter {
	return smtpout.Letter{
		From: mail.Address{Local: "alice", Domain: "our.test"}, To: []mail.Address{{Local: "bob", Domain: "dest.test"}},
		Size: int64(len(message)), EightBit: true,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(message)), nil },
	}
}

// Whatever a remote does, nobody is told "delivered" without the remote's word, a lost word is told as such, and a fault of
// the host never refuses a recipient.
func TestARemoteThatMisbehavesNeverLosesALetter(t *testing.T) {
	t.Parallel()
	const short = 200 * time.Millisecond
	session := func(s remote.SessionStep) remote.Script { return remote.Script{Sessions: []remote.SessionStep{s}} }
	once := func(s remote.SessionStep) remote.Script { return remote.Script{Sessions: []remote.SessionStep{s, {}}} }
	step := func(s remote.Step) remote.Script {
		return remote.Script{Recipients: map[string][]remote.Step{"bob@dest.test": {s}}}
	}
	at := func(stage remote.Stage, r remote.Reply) remote.Script { return session(remote.At(stage, r)) }
	for name, test := range map[string]struct {
		script remote.Script
		short  smtpout.Timeouts
		want   string // outcome, TLS, class
		maybe  bool
		kept   int // messages in the remote's ledger
	}{
		"honest":                  {script: remote.Script{}, want: "delivered TLS1.3 ", kept: 1},
		"no extensions":           {script: session(remote.SessionStep{NoPipelining: true, NoSize: true, TLS: remote.TLSAbsent}), want: "delivered  ", kept: 1},
		"no 8BITMIME":             {script: session(remote.SessionStep{No8BitMIME: true}), want: "refused TLS1.3 message"},
		"certificate of another":  {script: session(remote.SessionStep{TLS: remote.TLSWrongName}), want: "delivered TLS1.3 ", kept: 1},
		"certificate has ended":   {script: session(remote.SessionStep{TLS: remote.TLSExpired}), want: "delivered TLS1.3 ", kept: 1},
		"injected in clear O13":   {script: session(remote.SessionStep{TLS: remote.TLSInjected}), want: "delivered TLS1.3 ", kept: 1},
		"TLS refused O11":         {script: session(remote.SessionStep{TLS: remote.TLSRefused}), want: "delivered  ", kept: 1},
		"TLS reset O11":           {script: once(remote.SessionStep{TLS: remote.TLSReset}), want: "delivered  ", kept: 1},
		"TLS closed O11":          {script: session(remote.SessionStep{TLS: remote.TLSClosed}), want: "delivered  ", kept: 1},
		"TLS stalled O11":         {script: session(remote.SessionStep{TLS: remote.TLSStalled}), short: smtpout.Timeouts{Handshake: short}, want: "delivered  ", kept: 1},
		"TLS garbage O11":         {script: session(remote.SessionStep{TLS: remote.TLSGarbage}), want: "delivered  ", kept: 1},
		"TLS 1.0 O11":             {script: session(remote.SessionStep{TLS: remote.TLSOld}), want: "delivered  ", kept: 1},
		"drop":                    {script: remote.Script{DropAll: true}, want: "deferred  network"},
		"black hole":              {script: remote.Script{Blackhole: true}, short: smtpout.Timeouts{Banner: short}, want: "deferred  network"},
		"reset at once":           {script: session(remote.SessionStep{Reset: true}), want: "deferred  network"},
		"endless banner":          {script: at(remote.StageBanner, remote.Reply{Form: remote.FormEndless}), want: "deferred  network"},
		"huge EHLO reply":         {script: at(remote.StageEHLO, remote.Reply{Form: remote.FormHuge}), want: "deferred  network"},
		"dripping MAIL reply":     {script: at(remote.StageMail, remote.Reply{Drip: 50 * time.Millisecond, Text: strings.Repeat("x", 100)}), short: smtpout.Timeouts{Mail: short}, want: "deferred TLS1.3 network"},
		"421 at RCPT":             {script: step(remote.RefuseRcpt(421, "4.3.2 bye")), want: "deferred TLS1.3 other"},
		"unknown user":            {script: step(remote.RefuseRcpt(550, "5.1.1 unknown")), want: "refused TLS1.3 hard_recipient"},
		"250 at DATA":             {script: step(remote.OKAtData()), want: "deferred TLS1.3 network"},
		"354 and gone":            {script: step(remote.LieAtData()), want: "deferred TLS1.3 network", maybe: true},
		"drop before the dot":     {script: step(remote.DropBeforeDot()), want: "deferred TLS1.3 network", maybe: true},
		"reset before the dot":    {script: step(remote.ResetBeforeDot()), want: "deferred TLS1.3 network", maybe: true},
		"drop after the dot D29":  {script: step(remote.DropAfterDot()), want: "deferred TLS1.3 network", maybe: true, kept: 1},
		"reset after the dot D29": {script: step(remote.ResetAfterDot()), want: "deferred TLS1.3 network", maybe: true, kept: 1},
		"endless at the dot":      {script: step(remote.Step{Dot: remote.Reply{Form: remote.FormEndless}}), want: "deferred TLS1.3 network", maybe: true, kept: 1},
		"554 at the dot":          {script: step(remote.RefuseDot(554, "5.7.1 spam")), want: "refused TLS1.3 other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := remote.Start(t, func(c *remote.Config) { c.Script = test.script })
			r := carrier(t, m, test.short).Carry(t.Context(), toBob())[0]
			if got := r.Outcome.String() + " " + r.TLS + " " + r.Class; got != test.want {
				t.Errorf("got %q (%s, %v), want %q", got, r.Reply(), r.Err, test.want)
			}
			// A remote that goes in the middle of so short a letter may have taken it, for all we can know.
			if r.MaybeDelivered && !test.maybe || test.kept == 1 && r.Outcome != smtpout.Delivered && !r.MaybeDelivered {
				t.Errorf("maybe delivered is %v", r.MaybeDelivered)
			}
			for _, d := range m.WaitFor(t, test.kept) {
				if string(d.Bytes) != message {
					t.Errorf("the remote has %q", d.Bytes)
				}
			}
			if m.Count() != test.kept {
				t.Errorf("%d messages at the remote, want %d", m.Count(), test.kept)
			}
		})
	}
}

func TestFiftyLettersOfACourierUseOneConnection_O42(t *testing.T) {
	t.Parallel()
	m := remote.Start(t)
	c := carrier(t, m, smtpout.Timeouts{})
	for range 51 {
		if r := c.Carry(t.Context(), toBob())[0]; r.Outcome != smtpout.Delivered {
			t.Fatal(r.Reply(), r.Err)
		}
	}
	if m.Connections() != 2 || m.Count() != 51 {
		t.Errorf("%d messages over %d connections", m.Count(), m.Connections())
	}
	for _, s := range m.Sessions() {
		if len(s.Faults) > 0 {
			t.Errorf("the remote saw faults of ours: %q", s.Faults)
		}
	}
}
