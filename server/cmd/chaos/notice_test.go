package main

import (
	"slices"
	"strings"
	"testing"
)

// returned is a notice about two recipients, with the original or only its header.
func returned(media, trace string) string {
	return strings.ReplaceAll(`Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mail.demo.test>
To: <alice@demo.test>
Subject: Your message could not be delivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="b"

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.demo.test

Final-Recipient: rfc822; k1.0@far1.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 nobody here by that
 name

Final-Recipient: rfc822; k1.1@far2.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 nobody here by that name

--b
Content-Type: `+media+`

`+trace+`X-Chaos-Id: k1
Message-ID: <k1@chaos.test>
Subject: chaos k1

the text

--b--
`, "\n", "\r\n")
}

const submittedTrace = "Received: by mail.demo.test with ESMTPSA\n\tid eml_01abc;\n\tWed, 25 Nov 2026 12:00:00 +0000\n"

func TestNoticeIsReadAsPeoplesProgramsDo(t *testing.T) {
	t.Parallel()
	for _, media := range []string{"message/rfc822", "text/rfc822-headers"} {
		raw := []byte(returned(media, submittedTrace))
		n := readNotice(raw)
		if n == nil || n.fault != "" {
			t.Fatalf("%s: %+v", media, n)
		}
		if n.letter != "k1" || n.mark.email != "eml_01abc" || !slices.Equal(n.failed, []string{"k1.0@far1.test", "k1.1@far2.test"}) {
			t.Errorf("%s: %+v", media, n)
		}
		if c := examine(raw); !c.isNotice() || c == examine(append(raw, ' ')) {
			t.Errorf("%s: examined as %+v", media, c)
		}
	}
	if n := readNotice([]byte(returned("message/rfc822", ""))); n.mark != (origin{messageID: "<k1@chaos.test>"}) {
		t.Errorf("without a trace: %+v", n.mark)
	}
}

func TestNoticeWithAFaultIsNoticed(t *testing.T) {
	t.Parallel()
	good := returned("message/rfc822", submittedTrace)
	for what, change := range map[string][2]string{
		"another action":     {"Action: failed", "Action: delayed"},
		"another status":     {"Status: 5.1.1", "Status: 5.0.0"},
		"no reply":           {"550 5.1.1 nobody", "550 5.1.1 somebody"},
		"no recipient":       {"Final-Recipient: rfc822; k1.1@far2.test", "X: y"},
		"no reporter":        {"Reporting-MTA", "X"},
		"nothing returned":   {"message/rfc822", "text/plain"},
		"a stranger's mail":  {"X-Chaos-Id: k1", "X: k1"},
		"cut short":          {"--b--", ""},
		"no part for people": {"--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n", ""},
	} {
		if !strings.Contains(good, change[0]) {
			t.Fatalf("%s: %q is not there", what, change[0])
		}
		if n := readNotice([]byte(strings.ReplaceAll(good, change[0], change[1]))); n == nil || n.fault == "" {
			t.Errorf("%s: %+v", what, n)
		}
	}
	for _, raw := range []string{"", "Subject: x\r\n\r\ny", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--"} {
		if n := readNotice([]byte(raw)); n != nil {
			t.Errorf("%q is a notice: %+v", raw, n)
		}
	}
}
