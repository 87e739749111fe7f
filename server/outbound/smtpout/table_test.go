package smtpout

import (
	"bufio"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailserver-dev/mailserver/server/clock"
)

func start0() time.Time { return time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC) }

func newTable(t testing.TB) *table {
	t.Helper()
	tab, err := parseTable(answers)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func parsed(t testing.TB, text string) reply {
	t.Helper()
	rep, err := readReply(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")))
	if err != nil {
		t.Fatal(text, err)
	}
	return rep
}

// The answers are of the kind that servers give, as far as the rules quote them.
func TestWhatAnswersMean(t *testing.T) {
	t.Parallel()
	tab := newTable(t)
	for _, test := range []struct {
		at           stage
		answer, want string
	}{
		{stageRcpt, "550 5.1.1 <x@y>: Recipient address rejected: User unknown in virtual mailbox table", "refused hard_recipient O-31"},
		{stageRcpt, "550-5.1.1 The email account that you tried to reach does not exist.\n550 5.1.1 learn more", "refused hard_recipient O-31"},
		{stageRcpt, "550 no such user here", "refused hard_recipient O-31"},
		{stageRcpt, "553 5.1.3 bad address", "refused hard_recipient O-31"},
		{stageRcpt, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found", "refused hard_recipient O-31"},
		{stageRcpt, "556 5.1.10 null MX", "refused hard_recipient O-31"},
		{stageRcpt, "550 5.4.1 Recipient address rejected: Access denied.", "refused hard_recipient O-31"},
		{stageRcpt, "550 5.5.0 Requested action not taken: mailbox unavailable", "refused hard_recipient O-31"},
		{stageRcpt, "450 4.1.1 user unknown, for now", "deferred other O-41"},
		{stageRcpt, "550 5.1.0 <a@b>: Sender address rejected: User unknown", "refused other O-41"},
		{stageRcpt, "550 5.1.8 sender domain not found", "refused other O-41"},
		{stageMail, "550 5.1.1 user unknown", "deferred other O-41 trouble next"},
		{stageRcpt, "550 5.2.1 The email account that you tried to reach is inactive", "refused hard_recipient O-32"},
		{stageRcpt, "554 account has been disabled", "refused hard_recipient O-32"},
		{stageRcpt, "452 4.2.2 over quota", "deferred quota O-33"},
		{stageRcpt, "552 5.2.2 The recipient's inbox is out of storage space", "refused quota O-33"},
		{stageDot, "554 5.2.0 mailbox full", "refused quota O-33"},
		{stageRcpt, "550 5.2.2 quota", "refused quota O-33"},
		{stageMail, "552 5.3.4 Message size exceeds fixed limit", "refused message O-34"},
		{stageDot, "552 5.2.3 message size exceeds", "refused message O-34"},
		{stageDot, "550 5.2.3 not here", "refused message O-34"},
		{stageDot, "552 message too large", "refused message O-34"},
		{stageDot, "554 5.6.0 malformed", "refused message O-34"},
		{stageMail, "501 5.5.4 bad argument", "refused message O-34"},
		{stageDot, "550 5.5.2 line too long", "refused message O-34"},
		{stageRcpt, "554 5.7.1 Service unavailable; Client host [1.2.3.4] blocked using zen.spamhaus.org", "deferred reputation O-35 1h0m0s"},
		{stageRcpt, "550 5.7.1 Unfortunately, messages from [1.2.3.4] weren't sent. part of their network is on our block list (S3140).", "deferred reputation O-35 1h0m0s"},
		{stageRcpt, "550 5.7.1 rejected (S3150)", "deferred throttle O-40 1h0m0s"},
		{stageDot, "550-5.7.1 suspicious due to the very low reputation of the sending domain.\n550 5.7.1 blocked", "deferred reputation O-35 1h0m0s"},
		{stageRcpt, "550 5.7.1 marble delivery refused", "refused other O-41"},
		{stageRcpt, "450 4.2.0 <x>: Recipient address rejected: Greylisted, see http://postgrey.example/", "deferred greylist O-36 5m0s"},
		{stageRcpt, "451 4.7.1 Greylisting in action, please come back in 00:04:58", "deferred greylist O-36 4m58s"},
		{stageRcpt, "450 4.7.1 Please try again in 3 hours", "deferred greylist O-36 15m0s"},
		{stageRcpt, "451 4.7.1 try again in 2 seconds", "deferred greylist O-36 1m0s"},
		{stageRcpt, "450 4.7.1 Recipient limit, try again in 99999999999999999999 minutes", "deferred greylist O-36 5m0s"},
		{stageMail, "421 4.7.28 unusual rate of unsolicited mail", "deferred throttle O-37 5m0s trouble"},
		{stageRcpt, "450 4.2.1 The user you are trying to contact is receiving mail at a rate that", "deferred throttle O-37 5m0s"},
		{stageRcpt, "550 5.2.1 The user you are trying to contact is receiving mail at a rate that", "deferred throttle O-37 5m0s"},
		{stageBanner, "421 4.7.0 too many connections from your IP", "deferred throttle O-37 5m0s trouble"},
		{stageRcpt, "452 4.5.3 too many recipients", "deferred other RFC5321"},
		{stageRcpt, "452 too many recipients", "deferred other RFC5321"},
		{stageDot, "550-5.7.26 unauthenticated email is not accepted\n550 5.7.26 DMARC", "deferred configuration O-38 1h0m0s"},
		{stageDot, "421 4.7.29 TLS required", "deferred configuration O-38 1h0m0s trouble"},
		{stageDot, "450 4.7.32 alignment", "deferred configuration O-38 1h0m0s"},
		{stageBanner, "421 4.7.0 [TSS04] Messages from 1.2.3.4 temporarily deferred due to user complaints", "deferred throttle O-39 2h0m0s trouble"},
		{stageMail, "421 4.7.0 [TSS05] deferred", "deferred throttle O-39 4h0m0s trouble"},
		{stageMail, "421 4.7.0 [TS01] unexpected volume", "deferred throttle O-39 5m0s trouble"},
		{stageMail, "553 5.7.1 [BL21] connections will not be accepted", "deferred throttle O-39 1h0m0s"},
		{stageMail, "451 4.7.650 The mail server has been temporarily rate limited", "deferred throttle O-40 5m0s"},
		{stageDot, "550 5.7.515 Access denied, sending domain does not meet the required authentication level", "deferred configuration O-40 1h0m0s"},
		{stageRcpt, "550 5.7.606 Access denied, banned sending IP", "deferred reputation O-40 1h0m0s"},
		{stageRcpt, "550 5.7.650 something else", "refused other O-41"},
		{stageRcpt, "550 5.7.1 relaying denied", "refused other O-41"},
		{stageRcpt, "451 4.3.0 temporary lookup failure", "deferred other O-41"},
		{stageDot, "421 4.3.2 going down", "deferred other O-41 trouble"},
		{stageBanner, "554 5.3.2 no service", "deferred other O-41 trouble next"},
		{stageBanner, "554 5.1.1 user unknown", "deferred other O-41 trouble next"},
		{stageHello, "450 4.3.2 busy", "deferred other O-41 trouble next"},
		{stageHello, "550 5.5.1 what", "deferred other O-41 trouble next"},
		{stageTLS, "454 4.7.0 not now", "deferred tls O-41 trouble next"},
		{stageMail, "550 5.0.0 no", "deferred other O-41 trouble next"},
		{stageMail, "451 4.3.0 no", "deferred other O-41 next"},
		{stageAuth, "535 5.7.8 no", "deferred configuration O-46 1h0m0s trouble"},
		{stageRcpt, "550 4.1.1 codes that contradict", "refused other O-41"},
	} {
		f := tab.judge(test.at, parsed(t, test.answer))
		got := f.Outcome.String() + " " + f.Class + " " + f.Rule
		if f.RetryAfter > 0 {
			got += " " + f.RetryAfter.String()
		}
		if f.HostTrouble {
			got += " trouble"
		}
		if f.next {
			got += " next"
		}
		if got != test.want {
			t.Errorf("%v %q: got %s, want %s", test.at, test.answer, got, test.want)
		}
	}
}

func TestTheTableIsWholeAndEveryRowCanBeReached(t *testing.T) {
	t.Parallel()
	tab := newTable(t)
	classes := []string{ClassHardRecipient, ClassQuota, ClassMessage, ClassReputation, ClassGreylist, ClassThrottle, ClassConfiguration, ClassTLS, ClassOther}
	for _, r := range tab.rows {
		if !strings.Contains(strings.Join(classes, " "), r.class) || !strings.HasPrefix(r.rule, "O-") && r.rule != ruleCrowd {
			t.Errorf("row %s %s", r.rule, r.class)
		}
	}
	last := tab.rows[len(tab.rows)-1]
	for at := range last.stages {
		if !last.fits(stage(at), 499, "", "") {
			t.Errorf("nothing fits every answer at %v", stage(at))
		}
	}
	if got := New(Config{}, nil, clock.NewFake(start0()), nil).TableVersion(); got != tab.version || got == "" {
		t.Errorf("version %q", got)
	}
}

func TestAFaultInTheTableIsNamed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "version 1\nO-1|other|code", "version 1\nO-1|other|maybe|*|*|*|*|-", "version 1\nO-1|other|code|nowhere|*|*|*|-",
		"version 1\nO-1|other|code|*|abc|*|*|-", "version 1\nO-1|other|code|*|500-400|*|*|-", "version 1\nO-1|other|code|*|*|5.1|*|-",
		"version 1\nO-1|other|code|*|*|5.1.y|*|-", "version 1\nO-1|other|code|*|*|*|Upper|-", "version 1\nO-1|other|code|*|*|*|a;;b|-",
		"version 1\nO-1|other|code|*|*|*|*|soon",
	} {
		if _, err := parseTable(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestRepliesAreReadWithinTheirBounds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"250 2.0.0 ok\r\n":                     "250 2.0.0 ok",
		"250\r\n":                              "250",
		"250 \n":                               "250",
		"250-a\r\n250-\r\n250 b\r\n":           "250 a  b",
		"550-5.7.26 one\r\n550 5.7.26 two\r\n": "550 5.7.26 one two",
		"550 4.7.26 one\r\n":                   "550 4.7.26 one",
		"550 5.7 one\r\n":                      "550 5.7 one",
		"550 5.1.1\r\n":                        "550 5.1.1",
		"250 a\x1b[31m\x00b\xff\u202e\r\n":     "250 a [31m b?",
		"250-a\r\n350 b\r\n":                   "350 a b",
		"25 x\r\n":                             "", "2500 x\r\n": "", "150 x\r\n": "", "650 x\r\n": "", "abc\r\n": "", "\r\n": "", "250+x\r\n": "",
		"250 no end": "", "250-a\r\n": "", "": "",
		strings.Repeat("250-x\r\n", 99) + "250 x\r\n":                                        "250 " + strings.TrimSpace(strings.Repeat("x ", 100)),
		strings.Repeat("250-x\r\n", 100) + "250 x\r\n":                                       "",
		"250 " + strings.Repeat("x", 8<<10-6) + "\r\n":                                       "250 " + strings.Repeat("x", maxText),
		"250 " + strings.Repeat("x", 8<<10-5) + "\r\n":                                       "",
		"250 " + strings.Repeat("é", 600) + "\r\n":                                           "250 " + strings.Repeat("é", 500),
		"250-" + strings.Repeat("x", 5000) + "\r\n250 " + strings.Repeat("x", 5000) + "\r\n": "",
	} {
		rep, err := readReply(bufio.NewReader(strings.NewReader(text)))
		got := ""
		if err == nil {
			status, words := rep.answer()
			got = Result{Code: rep.code, Enhanced: status, Text: words}.Reply()
		}
		if got != want {
			t.Errorf("%.60q: got %.80q (%v), want %.80q", text, got, err, want)
		}
	}
}

func TestAStatusForAReportAgreesWithTheReplyCode_O26(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Result{
		"5.1.1": {Code: 550, Enhanced: "5.1.1"}, "5.0.0": {Code: 550}, "4.0.0": {Code: 450}, "2.0.0": {Code: 250},
	} {
		if got := r.Status(); got != want {
			t.Errorf("%s: %s", r.Reply(), got)
		}
	}
}

func TestTheMemoryOfHostsIsBoundedAndEnds(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start0())
	m := newMemory(clk)
	m.max = 16
	for i := range 100 {
		m.remember(strings.Repeat("x", i), time.Hour)
		if len(m.until) > m.max || !m.knows(strings.Repeat("x", i)) {
			t.Fatalf("%d names after %d", len(m.until), i)
		}
	}
	clk.Advance(time.Hour)
	if m.knows(strings.Repeat("x", 99)) {
		t.Error("what has ended is known")
	}
	m.remember("y", time.Hour)
	m.forget("y")
	if m.knows("y") {
		t.Error("what was forgotten is known")
	}
}

func FuzzReply(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.7.26 x\r\n", "250-\r\n", "421\n", strings.Repeat("250-x\r\n", 101), "250 " + strings.Repeat("x", 9000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := strings.NewReader(text)
		rep, err := readReply(bufio.NewReaderSize(r, 16))
		if used := len(text) - r.Len(); used > maxReplyOctets+16 && err == nil {
			t.Errorf("%d octets for one reply", used)
		}
		if err != nil {
			return
		}
		status, words := rep.answer()
		if rep.code < 200 || rep.code > 599 || len(rep.lines) > maxReplyLines || len(words) > maxText {
			t.Errorf("code %d, %d lines, %d octets", rep.code, len(rep.lines), len(words))
		}
		if status != "" && status[0] != "0123456789"[rep.code/100] {
			t.Errorf("status %s of code %d", status, rep.code)
		}
		if !utf8.ValidString(words) || strings.ContainsFunc(words, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("text %q", words)
		}
	})
}

func FuzzJudge(f *testing.F) {
	tab, err := parseTable(answers)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"5.1.1 user unknown", "4.7.1 greylisted, come back in 00:00:00", "try again in 99999 hours", "[BL", "rbl", ""} {
		f.Add(uint8(stageRcpt), 450, seed)
		f.Add(uint8(stageMail), 550, seed)
	}
	f.Fuzz(func(t *testing.T, at uint8, code int, text string) {
		if at > uint8(stageDot) || code < 400 || code > 599 {
			return
		}
		got := tab.judge(stage(at), reply{code: code, lines: []string{text}})
		switch {
		case got.Class == "" || got.Rule == "" || !got.spoke || got.MaybeDelivered:
			t.Errorf("%+v", got)
		case code < 500 && got.Outcome != Deferred:
			t.Errorf("%d is %v", code, got.Outcome)
		case code == 421 && !got.HostTrouble:
			t.Error("421 is no trouble of the host")
		case stage(at) < stageMail && (got.Outcome != Deferred || !got.HostTrouble):
			t.Errorf("before MAIL %d is %v", code, got.Outcome)
		case got.Class == ClassHardRecipient && stage(at) < stageRcpt:
			t.Error("a recipient is blamed before RCPT")
		case got.RetryAfter < 0 || got.RetryAfter > 4*time.Hour:
			t.Errorf("wait %v", got.RetryAfter)
		}
	})
}
