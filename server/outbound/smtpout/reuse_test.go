package smtpout

import (
	"strings"
	"testing"
	"time"
)

const again = `C: RSET
C: MAIL FROM:<alice@our.test> SIZE=19
C: RCPT TO:<bob@dest.test>
S: 250 2.0.0 flushed
S: 250 2.1.0 ok
S: 250 2.1.5 ok
`

const delivered = "delivered 250 2.0.0 queued"

func TestAConnectionIsKeptForTheNextLetterWithRSETBetween_O42(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", greeting+envelope1+content+again+content+again+content)
	c := meet(t, s).courier(t)
	for range 3 {
		want(t, c.Carry(t.Context(), letter(hi)), delivered)
	}
	c.Close()
	c.Close()
}

func TestAConnectionCarriesSoManyLettersAndLivesSoLong_O42(t *testing.T) {
	t.Parallel()
	one := greeting + envelope1 + content
	t.Run("letters", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "127.0.0.1:0", one+again+content, one)
		c := meet(t, s, func(c *Config) { c.PerConnection = 2 }).courier(t)
		for range 3 {
			want(t, c.Carry(t.Context(), letter(hi)), delivered)
		}
	})
	t.Run("age", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "127.0.0.1:0", one, one)
		w := meet(t, s)
		c := w.courier(t)
		want(t, c.Carry(t.Context(), letter(hi)), delivered)
		w.clk.Advance(300 * time.Second)
		want(t, c.Carry(t.Context(), letter(hi)), delivered)
	})
	t.Run("idle is asked first whether it lives", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "127.0.0.1:0", one+reset+resetOK+envelope1+content)
		w := meet(t, s)
		c := w.courier(t)
		want(t, c.Carry(t.Context(), letter(hi)), delivered)
		w.clk.Advance(6 * time.Second)
		want(t, c.Carry(t.Context(), letter(hi)), delivered)
	})
	t.Run("idle and dumb is left soon", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "127.0.0.1:0", one+reset+"EOF", one)
		w := meet(t, s, func(c *Config) { c.Timeouts.Probe = 50 * time.Millisecond })
		c := w.courier(t)
		want(t, c.Carry(t.Context(), letter(hi)), delivered)
		w.clk.Advance(6 * time.Second)
		want(t, c.Carry(t.Context(), letter(hi)), delivered)
	})
}

func TestAKeptConnectionThatHasDiedIsNoFailedAttempt_O42(t *testing.T) {
	t.Parallel()
	one := greeting + envelope1 + content
	for name, end := range map[string]string{
		"closed":                   "CLOSE",
		"reset":                    "RESET",
		"421 while nobody asked":   "S: 421 4.4.2 idle\nCLOSE",
		"closed after RSET":        "C: RSET\nCLOSE",
		"421 to RSET":              "C: RSET\nS: 421 4.4.2 too old\nCLOSE",
		"closed before MAIL reply": "C: RSET\nS: 250 ok\nCLOSE",
		"RSET unknown":             "C: RSET\nC: MAIL FROM:<alice@our.test> SIZE=19\nC: RCPT TO:<bob@dest.test>\nS: 502 what\nEOF",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1:0", one+end, one)
			c := meet(t, s).courier(t)
			want(t, c.Carry(t.Context(), letter(hi)), delivered)
			want(t, c.Carry(t.Context(), letter(hi)), delivered)
		})
	}
}

func TestAConnectionIsNotKeptAfter421OrASurprise_O42(t *testing.T) {
	t.Parallel()
	one := greeting + envelope1 + content
	for name, test := range map[string]struct{ script, want string }{
		"421 to MAIL": {
			strings.Replace(again, "S: 250 2.1.0 ok\nS: 250 2.1.5 ok", "S: 421 4.7.0 too many messages\nEOF", 1),
			"deferred 421 4.7.0 too many messages (throttle) trouble after 5m0s",
		},
		"421 to RCPT": {
			strings.Replace(again, "S: 250 2.1.5 ok", "S: 421 4.3.2 going down\nEOF", 1),
			"deferred 421 4.3.2 going down (other) trouble",
		},
		"codes that differ": {
			strings.Replace(again, "S: 250 2.1.5 ok", "S: 450-4.2.1 no\nS: 550 5.2.1 no\nEOF", 1),
			"refused 550 5.2.1 no 4.2.1 no (hard_recipient)",
		},
		"more than one reply to the dot": {again + dotWith("250 2.0.0 queued\nS: 250 and more\nEOF"), delivered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "codes that differ" {
				test.want = "refused 550 5.2.1 4.2.1 no no (hard_recipient)"
			}
			s := serve(t, "127.0.0.1:0", one+test.script, one)
			c := meet(t, s).courier(t)
			want(t, c.Carry(t.Context(), letter(hi)), delivered)
			want(t, c.Carry(t.Context(), letter(hi)), test.want)
			want(t, c.Carry(t.Context(), letter(hi)), delivered)
		})
	}
}

func TestAfterARefusedMAILTheConnectionGoesOn(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", greeting+`
C: MAIL FROM:<alice@our.test> SIZE=19
C: RCPT TO:<bob@dest.test>
S: 552 5.3.4 too big
S: 503 5.5.1 no MAIL
`+again+content)
	c := meet(t, s).courier(t)
	want(t, c.Carry(t.Context(), letter(hi)), "refused 552 5.3.4 too big (message)")
	want(t, c.Carry(t.Context(), letter(hi)), delivered)
}
