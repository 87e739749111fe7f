package inbound

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

func TestReceivedNamesTheHopAndNoBlindCopy_I58(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 15, 4, 5, 0, time.UTC)
	alice, bob := mail.Address{Local: "alice", Domain: "d.test"}, mail.Address{Local: "bob", Domain: "d.test"}
	for _, tc := range []struct {
		name string
		peer mail.Peer
		env  mail.Envelope
		want string
	}{
		{
			"one recipient over TLS",
			mail.Peer{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "mx.example", ESMTP: true, TLS: "TLS1.3 X", At: at},
			mail.Envelope{Recipients: []mail.Address{alice}},
			"Received: from mx.example ([192.0.2.1])\r\n\tby host.test with ESMTPS (TLS1.3 X)\r\n\tid q1 for <alice@d.test>;\r\n\tWed, 25 Nov 2026 15:04:05 +0000\r\n",
		},
		{
			"two recipients, IPv6, clear",
			mail.Peer{Addr: netip.MustParseAddr("2001:db8::1"), Helo: "x", ESMTP: true, At: at},
			mail.Envelope{Recipients: []mail.Address{alice, bob}},
			"Received: from x ([IPv6:2001:db8::1])\r\n\tby host.test with ESMTP\r\n\tid q1;\r\n\tWed, 25 Nov 2026 15:04:05 +0000\r\n",
		},
		{
			"HELO",
			mail.Peer{Addr: netip.MustParseAddr("::ffff:192.0.2.7"), Helo: "x", At: at},
			mail.Envelope{Recipients: []mail.Address{alice, bob}},
			"Received: from x ([192.0.2.7])\r\n\tby host.test with SMTP\r\n\tid q1;\r\n\tWed, 25 Nov 2026 15:04:05 +0000\r\n",
		},
	} {
		if got := received("host.test", tc.peer, tc.env, "q1"); got != tc.want {
			t.Errorf("%s:\n got %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

func TestUntrustedTextCannotBreakATraceField_I60(t *testing.T) {
	t.Parallel()
	peer := mail.Peer{Helo: "evil\r\nX-Injected: 1\x1b[31m(" + strings.Repeat("x", 2000), TLS: "a\r\nb", ESMTP: true}
	got := received("host.test", peer, mail.Envelope{}, "q1")
	for line := range strings.SplitSeq(strings.TrimSuffix(got, "\r\n"), "\r\n") {
		if !strings.HasPrefix(line, "Received:") && !strings.HasPrefix(line, "\t") || len(line) > 998 {
			t.Errorf("line %q", line)
		}
	}
	if strings.ContainsAny(got, "\x1b\x00") || strings.Contains(got, "\nX-Injected") {
		t.Errorf("got %q", got)
	}
}
