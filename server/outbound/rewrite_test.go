package outbound

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// pure is a service without a database.
func pure(t *testing.T) *Service {
	t.Helper()
	bodies, err := body.Open(body.Options{Dir: t.TempDir()}, clock.System(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bodies.Close() })
	return &Service{cfg: Config{Hostname: "host.test"}, bodies: bodies, accounts: &account.Service{}}
}

func (s *Service) spooled(t *testing.T, text string) *body.Spool {
	t.Helper()
	spool := s.bodies.NewSpool()
	t.Cleanup(func() { spool.Close() })
	if _, err := spool.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return spool
}

const trace = "Received: by host.test with ESMTPSA\r\n\tid eml_00000000000000000000000000;\r\n\tWed, 25 Nov 2026 15:04:05 +0000\r\n"

// rewritten is a submitted message as it is stored.
func rewritten(t *testing.T, text string) (string, *Email) {
	t.Helper()
	s := pure(t)
	spool := s.spooled(t, text)
	l, err := s.read(spool)
	if err != nil {
		t.Fatal(err)
	}
	e := &Email{CreatedAt: time.Date(2026, 11, 25, 15, 4, 5, 0, time.UTC), EnvelopeFrom: mail.Address{Local: "ann", Domain: "d.test"}}
	peer := mail.Peer{Addr: netip.MustParseAddr("192.0.2.77"), Helo: "secret.client.test", TLS: "TLS1.3 X", ESMTP: true}
	head := s.rewrite(e, peer, mail.Envelope{}, l)
	return string(head) + text[l.rest:], e
}

func TestSubmittedHeadersAreRewrittenAndNothingElse_I57_I59(t *testing.T) {
	t.Parallel()
	const from, date, id = "From: Ann <ann@d.test>\r\n", "Date: Mon, 23 Nov 2026 10:00:00 +0100\r\n", "Message-ID: <Own.1@client>\r\n"
	const fresh = "Message-ID: <00000000000000000000000000@d.test>\r\n"
	const added = "Date: Wed, 25 Nov 2026 15:04:05 +0000\r\n"
	const text = "\r\nBcc: this is text\r\n.\r\n"
	for name, tc := range map[string]struct{ in, out string }{
		"nothing to do":                   {from + date + id + text, trace + from + date + id + text},
		"no date":                         {from + id + text, trace + added + from + id + text},
		"no id":                           {from + date + text, trace + fresh + from + date + text},
		"neither":                         {from + text, trace + fresh + added + from + text},
		"an id that is none":              {"Message-ID: \r\n" + from + date + text, trace + fresh + from + date + text},
		"blind copies":                    {from + "Bcc: x@e.test\r\nBCC : y@e.test\r\nbcc:\r\n z@e.test,\r\n\tq@e.test\r\n" + date + id + text, trace + from + date + id + text},
		"blind copies of a resent one":    {"Resent-Bcc: x@e.test\r\n" + from + date + id + text, trace + from + date + id + text},
		"fields of final delivery":        {"Return-Path: <x@e.test>\r\nDELIVERED-TO: x@e.test\r\n" + from + date + id + text, trace + from + date + id + text},
		"results in our name":             {"Authentication-Results: (a\\)b) HOST.test 1;\r\n dmarc=pass\r\n" + from + date + id + text, trace + from + date + id + text},
		"results in another name":         {"Authentication-Results: mx.e.test; dmarc=pass\r\n" + from + date + id + text, trace + "Authentication-Results: mx.e.test; dmarc=pass\r\n" + from + date + id + text},
		"a first line that continues":     {" dmarc=pass\r\n\tmore\r\n" + from + date + id + text, trace + from + date + id + text},
		"no blank line":                   {from + date + id, trace + from + date + id},
		"odd lines stay":                  {from + date + id + "no field at all\r\nX-Long:\r\n  a\r\n\tb\r\nSubject:  two  spaces \r\n" + text, trace + from + date + id + "no field at all\r\nX-Long:\r\n  a\r\n\tb\r\nSubject:  two  spaces \r\n" + text},
		"a name that only begins alike":   {"Bccx: a\r\nX-Bcc: b\r\n" + from + date + id + text, trace + "Bccx: a\r\nX-Bcc: b\r\n" + from + date + id + text},
		"traces of a server on the way":   {"Received: by relay.test; Mon, 23 Nov 2026 10:00:00 +0100\r\n" + from + date + id + text, trace + "Received: by relay.test; Mon, 23 Nov 2026 10:00:00 +0100\r\n" + from + date + id + text},
		"an id on a line of its own":      {from + date + "Message-ID:\r\n <Own.1@client>\r\n" + text, trace + from + date + "Message-ID:\r\n <Own.1@client>\r\n" + text},
		"dates that cannot be read, stay": {from + "Date: yesterday\r\n" + id + text, trace + from + "Date: yesterday\r\n" + id + text},
	} {
		got, e := rewritten(t, tc.in)
		if got != tc.out {
			t.Errorf("%s:\n got %q\nwant %q", name, got, tc.out)
		}
		if strings.Contains(got, "192.0.2.77") || strings.Contains(got, "secret.client") {
			t.Errorf("%s: the client's address leaves with the message", name)
		}
		if want := strings.Contains(tc.out, "Own.1"); want != (e.MessageID == "<Own.1@client>") {
			t.Errorf("%s: the row says %s", name, e.MessageID)
		}
	}
}

func TestTheProtocolOfASubmissionIsNamed(t *testing.T) {
	t.Parallel()
	for want, tc := range map[string]struct {
		peer mail.Peer
		env  mail.Envelope
	}{
		"ESMTPA": {}, "ESMTPSA": {mail.Peer{TLS: "x"}, mail.Envelope{}},
		"UTF8SMTPA": {mail.Peer{}, mail.Envelope{UTF8: true}}, "UTF8SMTPSA": {mail.Peer{TLS: "x"}, mail.Envelope{UTF8: true}},
	} {
		if got := submissionProtocol(tc.peer, tc.env); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// I-57: a forged result in our name is recognised in each of its spellings.
func TestAuthservIDOfForgedResults_I57(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		" host.test; dmarc=pass":                   "host.test",
		" Host.TEST 1; dmarc=pass":                 "host.test",
		"host.test\t1;spf=pass":                    "host.test",
		"\r\n\t(x) host.test (y (z));spf=pass":     "host.test",
		"(a) (b(c))host.test(d)1; spf=pass":        "host.test",
		`(a\)b) host.test; none`:                   "host.test",
		`(a\\) host.test; none`:                    "host.test",
		`(";" )host.test; none`:                    "host.test",
		`"host.test"; none`:                        "host.test",
		`"ho\st.test" 1; none`:                     "host.test",
		"host.test":                                "host.test",
		"host.test(never closed; dmarc=pass":       "host.test",
		" other.test; host.test":                   "other.test",
		"(host.test) other.test; none":             "other.test",
		"host.test.other.test; none":               "host.test.other.test",
		"; host.test":                              "",
		"(never closed host.test; dmarc=pass":      "",
		"":                                         "",
		`\`:                                        "",
		"host.test\\":                              "host.test",
		"=?utf-8?q?host.test?=; decoded by no one": "=?utf-8?q?host.test?=",
	} {
		if got := AuthservID(value); got != want {
			t.Errorf("AuthservID(%q) = %q, want %q", value, got, want)
		}
	}
}

// S-6: whoever's name stands in the header must be the user's own, in whatever form it is written.
func TestAuthorsMustBeTheUsersOwn_S6(t *testing.T) {
	t.Parallel()
	s := pure(t)
	ann := mail.Principal{User: mail.UserID{1}, Role: mail.RoleUser, Address: mail.Address{Local: "ann", Domain: "d.test"}}
	for header, allowed := range map[string]bool{
		"From: ann@d.test":                                            true,
		"From: Ann <ANN@D.TEST>":                                      true,
		"From: \"bob@d.test\" <ann@d.test>":                           true, // a name is not an address
		"From: ann@d.test (bob@d.test)":                               true,
		"From: ann@d.test, Ann <ann@d.test>":                          true,
		"From: us: ann@d.test;":                                       true,
		"From: =?utf-8?q?bob=40d.test?= <ann@d.test>":                 true,
		"From: ann@d.test\r\nSender: ann@d.test":                      true,
		"From: bob@d.test":                                            false,
		"From: bob@e.test":                                            false,
		"From: \"ann@d.test\" <bob@d.test>":                           false,
		"From: ann@d.test <bob@d.test>":                               false,
		"From: (ann@d.test) bob@d.test":                               false,
		"From: ann@d.test, bob@d.test":                                false,
		"From: ann@d.test,\r\n bob@d.test":                            false,
		"From: us: ann@d.test, bob@d.test;":                           false,
		"From: bob, ann@d.test":                                       false,
		"From: <@relay.test:bob@d.test>":                              false,
		"From: ann@d.test@e.test":                                     false,
		"From: \"ann@d.test\"@e.test":                                 false,
		"From: ann@[192.0.2.1]":                                       false,
		"From: ann%d.test@e.test":                                     false,
		"From: ann@d.test.e.test":                                     false,
		"From: ann@d.test\r\nSender: bob@d.test":                      false,
		"From: ann@d.test\r\nSENDER : bob@d.test":                     false,
		"From: ann@d.test\r\nResent-From: bob@d.test":                 false,
		"From: ann@d.test\r\nResent-Sender: <bob@d.test>":             false,
		"From: ann@d.test\r\nResent-From: ann@d.test, bob@d":          false,
		"From: " + strings.Repeat("ann@d.test,", 1200) + "bob@d.test": false,
	} {
		l, err := s.read(s.spooled(t, header+"\r\n\r\nx\r\n"))
		if err != nil {
			t.Errorf("%q: %v", header, err)
			continue
		}
		for _, f := range l.fields {
			if err = s.authors(t.Context(), ann, f); err != nil {
				break
			}
		}
		if allowed != (err == nil) || err != nil && fault.CodeOf(err) != "sender-not-owned" {
			t.Errorf("%.80q: %v", header, err)
		}
	}
}

// A field that our scanner does not read to its end could hold a name that nobody checked.
func TestHeadersBeyondTheScannersLimitsAreRefused_S6(t *testing.T) {
	t.Parallel()
	s := pure(t)
	for name, header := range map[string]string{
		"block":  "From: ann@d.test\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 900)+"\r\n", 400),
		"field":  "From: ann@d.test,\r\n" + strings.Repeat(" "+strings.Repeat("a", 900)+",\r\n", 100) + " bob@d.test\r\n",
		"fields": "From: ann@d.test\r\n" + strings.Repeat("A: b\r\n", 1100) + "Sender: bob@d.test\r\n",
	} {
		if _, err := s.read(s.spooled(t, header+"\r\nx\r\n")); fault.CodeOf(err) != "message-rejected" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
