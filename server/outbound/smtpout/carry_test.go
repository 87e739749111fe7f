package smtpout

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

func TestALetterIsCarriedWithStuffedDotsAndItsLastLineEnded_O23(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", greeting+`
C: MAIL FROM:<alice@our.test> SIZE=37 BODY=8BITMIME
C: RCPT TO:<bob@dest.test>
C: RCPT TO:<"b c"@dest.test>
S: 250 2.1.0 ok
S: 250 2.1.5 ok
S: 251 2.1.5 will forward
C: DATA
S: 354 go
C: Subject: dots
C:
C: ..
C: ..a
C: ....b
C: c.
C: end
C: .
S: 250 2.6.0 queued as 7
`)
	l := letter("Subject: dots\r\n\r\n.\r\n.a\r\n...b\r\nc.\r\nend", "bob@dest.test", "b c@dest.test")
	l.EightBit = true
	got := meet(t, s).courier(t).Carry(t.Context(), l)
	want(t, got, "delivered 250 2.6.0 queued as 7", "delivered 250 2.6.0 queued as 7")
	if got[0].Host != "mx.dest.test" || got[0].Addr != s.addr {
		t.Errorf("carried to %q %v", got[0].Host, got[0].Addr)
	}
}

func TestABounceLeavesWithTheNullSenderToAServerWithoutExtensions(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", `
S: 220 old
C: EHLO our.test
S: 502 what
C: HELO our.test
S: 250 hello
C: MAIL FROM:<>
S: 250 ok
C: RCPT TO:<bob@dest.test>
S: 250 ok
C: RCPT TO:<eve@dest.test>
S: 550 5.1.1 no such user
`+content)
	l := letter(hi, "bob@dest.test", "eve@dest.test")
	l.From = mail.Address{}
	want(t, meet(t, s).courier(t).Carry(t.Context(), l),
		"delivered 250 2.0.0 queued", "refused 550 5.1.1 no such user (hard_recipient)")
}

func TestAnswersToSingleRecipientsStayTheirOwn_O23(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", greeting+`
C: MAIL FROM:<alice@our.test> SIZE=19
C: RCPT TO:<a@dest.test>
C: RCPT TO:<b@dest.test>
C: RCPT TO:<c@dest.test>
C: RCPT TO:<d@dest.test>
S: 250 2.1.0 ok
S: 550-5.1.1 The account that you tried to reach
S: 550 5.1.1 does not exist
S: 250 2.1.5 ok
S: 452 4.2.2 mailbox full
S: 450 4.2.0 Greylisted, come back in 00:04:00
`+content+reset+`
C: MAIL FROM:<alice@our.test> SIZE=19
C: RCPT TO:<a@dest.test>
S: 250 2.0.0 flushed
S: 250 2.1.0 ok
S: 550 5.2.1 disabled
`+reset+`
C: MAIL FROM:<alice@our.test> SIZE=19
C: RCPT TO:<bob@dest.test>
S: 250 2.0.0 flushed
S: 250 2.1.0 ok
S: 250 2.1.5 ok
`+content)
	c := meet(t, s).courier(t)
	want(t, c.Carry(t.Context(), letter(hi, "a@dest.test", "b@dest.test", "c@dest.test", "d@dest.test")),
		"refused 550 5.1.1 The account that you tried to reach does not exist (hard_recipient)",
		"delivered 250 2.0.0 queued",
		"deferred 452 4.2.2 mailbox full (quota)",
		"deferred 450 4.2.0 Greylisted, come back in 00:04:00 (greylist) after 4m0s")
	want(t, c.Carry(t.Context(), letter(hi, "a@dest.test")), "refused 550 5.2.1 disabled (hard_recipient)")
	want(t, c.Carry(t.Context(), letter(hi)), "delivered 250 2.0.0 queued")
}

func TestRecipientsTheRemoteHasNoRoomForGoInAnotherTransaction(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", greeting+`
C: MAIL FROM:<alice@our.test> SIZE=19
C: RCPT TO:<a@dest.test>
C: RCPT TO:<b@dest.test>
C: RCPT TO:<c@dest.test>
S: 250 2.1.0 ok
S: 250 2.1.5 ok
S: 452 4.5.3 too many recipients
S: 452 4.5.3 too many recipients
`+content+reset+`
C: MAIL FROM:<alice@our.test> SIZE=19
C: RCPT TO:<b@dest.test>
C: RCPT TO:<c@dest.test>
S: 250 2.0.0 flushed
S: 250 2.1.0 ok
S: 452 4.5.3 too many recipients
S: 452 4.5.3 too many recipients
`)
	want(t, meet(t, s).courier(t).Carry(t.Context(), letter(hi, "a@dest.test", "b@dest.test", "c@dest.test")),
		"delivered 250 2.0.0 queued",
		"deferred 452 4.5.3 too many recipients (other)", "deferred 452 4.5.3 too many recipients (other)")
}

func TestAnswersToDataAndToTheDotAreForEveryAcceptedRecipient_O23(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		want   string
	}{
		"data 4yz":   {"C: DATA\nS: 451 4.3.0 later", "deferred 451 4.3.0 later (other)"},
		"data 5yz":   {"C: DATA\nS: 554 5.6.0 bad content", "refused 554 5.6.0 bad content (message)"},
		"data 421":   {"C: DATA\nS: 421 4.3.2 going down\nEOF", "deferred 421 4.3.2 going down (other) trouble"},
		"data 250":   {"C: DATA\nS: 250 ok\nEOF", "deferred 451 4.5.0 mx.dest.test was lost at DATA: not an SMTP reply: 250 (network) trouble"},
		"dot 5yz":    {dotWith("552 5.3.4 too big"), "refused 552 5.3.4 too big (message)"},
		"dot rbl":    {dotWith("554 5.7.1 blocked using zen.spamhaus.org"), "deferred 554 5.7.1 blocked using zen.spamhaus.org (reputation) after 1h0m0s"},
		"dot 4yz":    {dotWith("450 4.7.0 later"), "deferred 450 4.7.0 later (other)"},
		"dot 421":    {dotWith("421 4.3.2 going down\nEOF"), "deferred 421 4.3.2 going down (other) trouble"},
		"dot lost":   {dotWith("\nCLOSE"), "deferred 451 4.5.0 mx.dest.test was lost at the final dot: not an SMTP reply (network) trouble maybe"},
		"dot silent": {strings.TrimSuffix(dotWith(""), "S: ") + "CLOSE", "deferred 451 4.4.2 mx.dest.test was lost at the final dot: connection closed (network) trouble maybe"},
		"dot reset":  {strings.TrimSuffix(dotWith(""), "S: ") + "RESET", "deferred 451 4.4.2 mx.dest.test was lost at the final dot: connection reset by peer (network) trouble maybe"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A second host would make duplicates of lost replies: it must not be asked after one.
			s := serve(t, "127.0.0.1:0", greeting+envelope1+test.script)
			w := meet(t, s)
			if strings.HasSuffix(test.want, "maybe") {
				w.fake.Set("A", "mx.dest.test", "127.0.0.1", "127.0.0.2")
			}
			want(t, w.courier(t).Carry(t.Context(), letter(hi)), test.want)
		})
	}
}

func dotWith(reply string) string {
	return "C: DATA\nS: 354 go\nC: Subject: hi\nC:\nC: hi\nC: .\nS: " + reply
}

func TestProceedIsAskedBeforeDataAndBeforeTheDotAndNobodyGetsWhatItForbids(t *testing.T) {
	t.Parallel()
	lost := errors.New("the lease is lost")
	for name, test := range map[string]struct {
		refuseAt int
		script   string
	}{
		"before data": {1, "EOF"},
		"before dot":  {2, "C: DATA\nS: 354 go\nC: Subject: hi\nC:\nC: hi\nEOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1:0", greeting+envelope1+test.script)
			l, asked := letter(hi), 0
			l.Proceed = func() error {
				if asked++; asked == test.refuseAt {
					return lost
				}
				return nil
			}
			got := meet(t, s).courier(t).Carry(t.Context(), l)
			want(t, got, "aborted 451 4.3.0 stopped on our side before the message was sent (other)")
			if !errors.Is(got[0].Err, lost) || asked != test.refuseAt {
				t.Errorf("asked %d times, %v", asked, got[0].Err)
			}
		})
	}
}

func TestALetterThatCannotBeReadOrIsTruncatedIsNotSent(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk")
	body := "C: DATA\nS: 354 go\nC: Subject: hi\nC:\nC: hi\n"
	for name, test := range map[string]struct {
		open   func(context.Context) (io.ReadCloser, error)
		script string
		want   string
	}{
		"open fails": {
			func(context.Context) (io.ReadCloser, error) { return nil, broken },
			"", "aborted 451 4.3.0 stopped on our side before the message was sent (other)",
		},
		"read fails": {
			reads(io.MultiReader(strings.NewReader(hi), failing{broken})),
			"C: DATA\nS: 354 go\nEOF", "aborted 451 4.3.0 stopped on our side before the message was sent (other)",
		},
		"too short": {
			reads(strings.NewReader(hi[:len(hi)-4])),
			"C: DATA\nS: 354 go\nEOF", "aborted 451 4.3.0 stopped on our side before the message was sent (other)",
		},
		"too long": {
			reads(strings.NewReader(hi + "more\r\n")),
			"C: DATA\nS: 354 go\nEOF", "aborted 451 4.3.0 stopped on our side before the message was sent (other)",
		},
		"bare LF": { // S-1
			reads(strings.NewReader(hi[:len(hi)-4] + "\n.\r\n")),
			"C: DATA\nS: 354 go\nEOF", "refused 554 5.6.0 the message has a bare CR or LF and cannot be sent (message)",
		},
		"one octet at a time": {
			reads(&slow{strings.NewReader(hi)}), body + "C: .\nS: 250 2.0.0 ok", "delivered 250 2.0.0 ok",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1:0", greeting+envelope1+test.script)
			l := letter(hi)
			l.Open = test.open
			want(t, meet(t, s).courier(t).Carry(t.Context(), l), test.want)
		})
	}
}

func reads(r io.Reader) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(r), nil }
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type slow struct{ r io.Reader }

func (s *slow) Read(p []byte) (int, error) { return s.r.Read(p[:1]) }

func TestWhatTheRemoteCannotTakeIsRefusedWithoutSendingIt_O34(t *testing.T) {
	t.Parallel()
	small := strings.Replace(greeting, "10000000", "10", 1)
	plain := "S: 220 mx\nC: EHLO our.test\nS: 250-mx\nS: 250 SIZE\n"
	for name, test := range map[string]struct {
		script string
		change func(*Letter)
		want   string
	}{
		"too large": {small, func(*Letter) {}, "refused 552 5.3.4 the message of 19 octets is larger than the 10 that mx.dest.test takes (message)"},
		"8 bit":     {plain, func(l *Letter) { l.EightBit = true }, "refused 554 5.6.3 the message needs 8BITMIME, which mx.dest.test does not offer (message)"},
		"no limit":  {plain + strings.Replace(envelope1, "C: RCPT TO:<bob@dest.test>\nS: 250 2.1.0 ok", "S: 250 2.1.0 ok\nC: RCPT TO:<bob@dest.test>", 1) + content, func(*Letter) {}, "delivered 250 2.0.0 queued"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := letter(hi)
			test.change(&l)
			want(t, meet(t, serve(t, "127.0.0.1:0", test.script)).courier(t).Carry(t.Context(), l), test.want)
		})
	}
}

func TestAnAddressIsNeverMoreThanAnAddressOnTheWire_S4(t *testing.T) {
	t.Parallel()
	bad := "refused 553 5.6.7 an address that is not ASCII cannot be sent (message)"
	c := meet(t, nil).courier(t)
	want(t, c.Carry(t.Context(), letter(hi, "é@dest.test", "a\r\nDATA@dest.test", "@dest.test")), bad, bad, bad)
	l := letter(hi)
	l.From.Local = "x>\r\nRCPT TO:<y"
	want(t, c.Carry(t.Context(), l), bad)
}

func TestTheEndOfTheContextCutsTheLetterBeforeTheDotAndWaitsForTheReplyAfterIt(t *testing.T) {
	t.Parallel()
	stopped := "aborted 451 4.3.0 stopped on our side before the message was sent (other)"
	for name, test := range map[string]struct{ script, want string }{
		"at the banner": {"ARRIVE\nEOF", stopped},
		"at RCPT":       {greeting + "C: MAIL FROM:<alice@our.test> SIZE=19\nC: RCPT TO:<bob@dest.test>\nS: 250 ok\nARRIVE\nEOF", stopped},
		"at DATA":       {greeting + envelope1 + "C: DATA\nARRIVE\nEOF", stopped},
		"the reply to the dot comes": {
			greeting + envelope1 + "C: DATA\nS: 354 go\nC: Subject: hi\nC:\nC: hi\nC: .\nARRIVE\nGATE\nS: 250 2.0.0 late",
			"delivered 250 2.0.0 late",
		},
		"the reply to the dot does not come": {
			greeting + envelope1 + "C: DATA\nS: 354 go\nC: Subject: hi\nC:\nC: hi\nC: .\nARRIVE\nEOF",
			"deferred 451 4.4.2 mx.dest.test was lost at the final dot: no answer in time (network) trouble maybe",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1:0", test.script)
			w := meet(t, s, func(c *Config) {
				if strings.HasPrefix(test.want, "delivered") {
					c.Timeouts.Grace = 10 * time.Second
				}
			})
			c := w.courier(t)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				<-s.arrived
				cancel()
				close(s.gate)
			})
			want(t, c.Carry(ctx, letter(hi)), test.want)
			wg.Wait()
		})
	}
}

func TestARemoteThatDripsOrNeverEndsItsReplyIsLeftInTime(t *testing.T) {
	t.Parallel()
	begun := greeting + "C: MAIL FROM:<alice@our.test> SIZE=19\nC: RCPT TO:<bob@dest.test>\n"
	for name, test := range map[string]struct{ script, want string }{
		"drip at the banner": {"DRIP 220-mx.dest.test ", "deferred 451 4.4.2 mx.dest.test was lost at its greeting: no answer in time (network) trouble"},
		"drip at MAIL":       {begun + "DRIP 250-ok", "deferred 451 4.4.2 mx.dest.test was lost at MAIL: no answer in time (network) trouble"},
		"lines without end":  {begun + "SPAM 250-ok", "deferred 451 4.5.0 mx.dest.test was lost at MAIL: not an SMTP reply (network) trouble"},
		"a line without end": {begun + "SPAM 250-" + strings.Repeat("x", 9000), "deferred 451 4.5.0 mx.dest.test was lost at MAIL: not an SMTP reply (network) trouble"},
		"no SMTP":            {"S: SSH-2.0-OpenSSH\nEOF", "deferred 451 4.5.0 mx.dest.test was lost at its greeting: not an SMTP reply (network) trouble"},
		"silence":            {"EOF", "deferred 451 4.4.2 mx.dest.test was lost at its greeting: no answer in time (network) trouble"},
		"speaks unasked": {
			strings.Replace(greeting, "S: 220 mx.dest.test ESMTP", "S: 220 mx\nS: 250-mx\nS: 250 SIZE 1", 1)[:len("S: 220 mx\nS: 250-mx\nS: 250 SIZE 1")] + "\nEOF",
			"deferred 451 4.5.0 mx.dest.test was lost at EHLO: the remote speaks without being asked (network) trouble",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1:0", test.script)
			w := meet(t, s, func(c *Config) {
				switch {
				case strings.HasSuffix(name, "MAIL"):
					c.Timeouts.Mail = 100 * time.Millisecond
				case strings.HasSuffix(name, "banner"), name == "silence":
					c.Timeouts.Banner = 100 * time.Millisecond
				}
			})
			want(t, w.courier(t).Carry(t.Context(), letter(hi)), test.want)
		})
	}
}

func TestAnAttemptOfManySlowRepliesEndsAndCounts(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", greeting+"C: MAIL FROM:<alice@our.test> SIZE=19\nC: RCPT TO:<bob@dest.test>\nEOF")
	w := meet(t, s, func(c *Config) { c.Timeouts.Attempt = time.Second })
	want(t, w.courier(t).Carry(t.Context(), letter(hi)), "deferred 451 4.4.2 the attempt took too long (network) trouble")
}

func TestARemoteThatStopsReadingIsLeft(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", strings.Replace(greeting, "10000000", "0", 1)+`
C: MAIL FROM:<alice@our.test>
C: RCPT TO:<bob@dest.test>
S: 250 ok
S: 250 ok
C: DATA
S: 354 go
GATE
CLOSE`)
	w := meet(t, s, func(c *Config) { c.Timeouts.Block, c.Timeouts.Probe = 100*time.Millisecond, 10*time.Millisecond })
	l := letter("")
	l.Open = reads(io.LimitReader(&lines{}, 64<<20))
	c := w.courier(t)
	got := c.Carry(t.Context(), l)
	close(s.gate)
	want(t, got, "deferred 451 4.4.2 mx.dest.test was lost at DATA: no answer in time (network) trouble")
}

// lines reads as one line after the other.
type lines struct{ at int }

func (l *lines) Read(p []byte) (int, error) {
	const line = "xxxxxxxxxxxxxx\r\n"
	for i := range p {
		p[i] = line[l.at%len(line)]
		l.at++
	}
	return len(p), nil
}

func TestARemoteThatHasHadEnoughOfTheBodyIsHeard(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", greeting+`
C: MAIL FROM:<alice@our.test>
C: RCPT TO:<bob@dest.test>
S: 250 ok
S: 250 ok
C: DATA
S: 354 go
S: 552 5.3.4 too big
CLOSE`)
	l := letter("")
	l.Open = reads(io.LimitReader(&lines{}, 64<<20))
	want(t, meet(t, s).courier(t).Carry(t.Context(), l), "refused 552 5.3.4 too big (message)")
}
