package smtpd_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/smtpd"
)

// S-3: no password is looked at before TLS, on any port, and never on 25.
func TestNoSignInWithoutTLSAndNeverOn25_S3(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, port := range []smtpd.Port{smtpd.Port25, smtpd.Port587} {
		c := w.greeted(port)
		if got := c.cmd("EHLO client.test", "250 "); strings.Contains(got, "AUTH") {
			t.Errorf("%s offers AUTH in clear: %q", port, got)
		}
		for _, text := range []string{"AUTH PLAIN " + plain("alice@d.test", "correct horse"), "AUTH PLAIN", "AUTH LOGIN", "auth login"} {
			c.cmd(text, "538 5.7.11")
		}
	}
	c := w.dial(starttls25)
	if got := c.cmd("EHLO client.test", "250 "); strings.Contains(got, "AUTH") {
		t.Errorf("25 offers AUTH: %q", got)
	}
	c.cmd("AUTH PLAIN "+plain("alice@d.test", "correct horse"), "502 5.5.1")
	if n := w.passwords.count(); n != 0 {
		t.Errorf("%d passwords were checked", n)
	}
}

// I-51: on 587 and 465 nothing is taken without a sign-in.
func TestSubmissionNeedsASignIn_I51(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.greeted(smtpd.Port465)
	c.cmd("AUTH PLAIN "+plain("alice@d.test", "correct horse"), "503 5.5.1")
	c.cmd("EHLO client.test", "250 ")
	c.cmd("MAIL FROM:<alice@d.test>", "530 5.7.0 authentication required")
	c.cmd("RCPT TO:<bob@d.test>", "503 5.5.1")
	c.cmd("AUTH PLAIN "+plain("alice@d.test", "correct horse"), "235 ")
	c.cmd("AUTH PLAIN "+plain("alice@d.test", "correct horse"), "503 5.5.1")
	c.cmd("MAIL FROM:<alice@d.test>", "250 ")
	c.cmd("AUTH PLAIN "+plain("alice@d.test", "correct horse"), "503 5.5.1")
}

// S-6: the envelope sender must belong to the user.
func TestASignedInUserCannotSendAsAnother_S6(t *testing.T) {
	t.Parallel()
	for _, by := range []way{way587, way465} {
		w := newWorld(t, nil)
		c := w.dial(by)
		c.cmd("MAIL FROM:<bob@d.test>", "550 5.7.1 sender bob@d.test not owned by alice@d.test con_")
		c.cmd("RCPT TO:<bob@d.test>", "503 5.5.1")
		c.cmd("MAIL FROM:<alice@d.test>", "250 ")
	}
}

// Every form in which clients sign in.
func TestTheWaysOfSigningIn(t *testing.T) {
	t.Parallel()
	good := plain("alice@d.test", "correct horse")
	name, password := b64("alice@d.test"), b64("correct horse")
	for label, steps := range map[string][][2]string{
		"PLAIN at once":           {{"AUTH PLAIN " + good, "235 "}},
		"plain in lower case":     {{"auth plain " + good, "235 "}},
		"PLAIN asked":             {{"AUTH PLAIN", "334 "}, {good, "235 "}},
		"PLAIN with own identity": {{"AUTH PLAIN " + b64("alice@d.test\x00alice@d.test\x00correct horse"), "235 "}},
		"PLAIN for another":       {{"AUTH PLAIN " + b64("bob@d.test\x00alice@d.test\x00correct horse"), "535 5.7.8"}},
		"PLAIN empty":             {{"AUTH PLAIN =", "535 5.7.8"}},
		"PLAIN with a part more":  {{"AUTH PLAIN " + b64("\x00alice@d.test\x00correct horse\x00"), "535 5.7.8"}},
		"LOGIN":                   {{"AUTH LOGIN", "334 VXNlcm5hbWU6"}, {name, "334 UGFzc3dvcmQ6"}, {password, "235 "}},
		"LOGIN with name":         {{"AUTH LOGIN " + name, "334 UGFzc3dvcmQ6"}, {password, "235 "}},
		"LOGIN with empty name":   {{"AUTH LOGIN =", "334 UGFzc3dvcmQ6"}, {password, "535 5.7.8"}},
		"LOGIN empty password":    {{"AUTH LOGIN " + name, "334 UGFzc3dvcmQ6"}, {"", "535 5.7.8"}},
		"cancelled":               {{"AUTH LOGIN", "334 "}, {"*", "501 "}, {"AUTH PLAIN " + good, "235 "}},
		"not base64":              {{"AUTH PLAIN", "334 "}, {"!!!!", "454 4.7.0"}, {"NOOP", "250 "}},
		"a response is no command": {
			{"AUTH LOGIN", "334 "}, {"RSET", "334 UGFzc3dvcmQ6"}, {"QUIT", "535 5.7.8"}, {"NOOP", "250 "},
		},
		"unknown mechanism":     {{"AUTH CRAM-MD5", "504 5.7.4"}, {"AUTH", "501 5.5.4"}},
		"a response of 12 KiB":  {{"AUTH PLAIN", "334 "}, {b64("\x00alice@d.test\x00" + strings.Repeat("x", 9000)), "535 5.7.8"}},
		"an AUTH line of 12 KB": {{"AUTH PLAIN " + b64("\x00alice@d.test\x00"+strings.Repeat("x", 9000)), "535 5.7.8"}, {"NOOP", "250 "}},
	} {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t, nil).greeted(smtpd.Port465)
			c.cmd("EHLO client.test", "250 ")
			for _, step := range steps {
				c.cmd(step[0], step[1])
			}
		})
	}
}

func TestAnOverlongResponseEndsTheSession_L4(t *testing.T) {
	t.Parallel()
	c := newWorld(t, nil).greeted(smtpd.Port465)
	c.cmd("EHLO client.test", "250 ")
	c.cmd("AUTH PLAIN", "334 ")
	c.cmd(strings.Repeat("A", 13_000), "500 5.5.2 line too long")
	c.closed()
}

// I-50, S-21: the replies to a failed sign-in, the same for unknown user and wrong password.
func TestFailedSignInsAllLookTheSame_I50(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, "535 5.7.8 authentication failed {id}"},
		{fault.New(fault.Unauthenticated, "unknown-user", "no user eve"), "535 5.7.8 authentication failed {id}"},
		{fault.New(fault.NotFound, "", "no user eve"), "535 5.7.8 authentication failed {id}"},
		{fault.New(fault.Forbidden, "app-password-required", "secret policy"), "535 5.7.8 authentication failed {id}"},
		{fmt.Errorf("limit: %w", fault.New(fault.Limited, "", "banned until noon")), "454 4.7.0 temporary authentication failure, try later {id}"},
		{fault.New(fault.Unavailable, "", "database"), "454 4.7.0 temporary authentication failure, try later {id}"},
		{fmt.Errorf("pq: connection refused"), "454 4.7.0 temporary authentication failure, try later {id}"},
	} {
		w := newWorld(t, nil)
		w.passwords.err = tc.err
		c := w.greeted(smtpd.Port465)
		c.cmd("EHLO client.test", "250 ")
		got := c.cmd("AUTH PLAIN "+plain("eve@d.test", "guess"), "")
		if got = anyID.ReplaceAllString(got, "{id}"); got != tc.want {
			t.Errorf("%v: got %q, want %q", tc.err, got, tc.want)
		}
	}
}

// S-16, L-35: failed sign-ins are answered late and the third ends the session, whatever is between them.
func TestTheThirdFailedSignInEndsTheSession_S16(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits.AuthDelay = 40 * time.Millisecond })
	c := w.greeted(smtpd.Port465)
	c.cmd("EHLO client.test", "250 ")
	for i, least := range []int{40, 80, 160} {
		c.cmd("NOOP", "250 ")
		begin := time.Now()
		c.cmd("AUTH PLAIN "+plain("eve@d.test", fmt.Sprint("guess", i)), "535 5.7.8")
		if took := time.Since(begin); took.Milliseconds() < int64(least) {
			t.Errorf("failure %d was answered after %v", i+1, took)
		}
	}
	c.expect("421 4.7.0 too many failed sign-ins")
	c.closed()
}

// S-16: the delay of a failed sign-in stays when all else is lifted.
func TestAFailedSignInWaitsASecondEvenWithoutLimits_S16(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Limits = smtpd.Limits{Stop: time.Second} })
	c := w.greeted(smtpd.Port465)
	c.cmd("EHLO client.test", "250 ")
	begin := time.Now()
	c.cmd("AUTH PLAIN "+plain("eve@d.test", "guess"), "535 5.7.8")
	if took := time.Since(begin); took < time.Second {
		t.Errorf("answered after %v", took)
	}
}

// S-49: also when the service of passwords fails badly, the session ends in order and as our fault.
func TestAPanicInSignInIsOurFault_S49(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *smtpd.Config) { c.Authenticator = nil })
	c := w.greeted(smtpd.Port465)
	c.cmd("EHLO client.test", "250 ")
	c.cmd("AUTH PLAIN "+plain("alice@d.test", "correct horse"), "454 4.7.0")
	c.expect("421 4.3.0")
	c.closed()
}
