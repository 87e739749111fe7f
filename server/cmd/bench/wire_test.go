package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func testSink(t *testing.T) (*sink, *dialer) {
	t.Helper()
	s, err := openSink(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s, &dialer{}
}

func TestLettersOfAllSizesReachTheSinkUnchanged(t *testing.T) {
	t.Parallel()
	s, d := testSink(t)
	letters := newSeries(testPaper(), everyday)
	l := newLedger()
	work := senders{
		connections: 4, letters: 40, most: patience, per: 7,
		open: func(ctx context.Context, _ int) (*smtpClient, error) {
			return openSMTP(ctx, d, s.ln.Addr().String(), nil)
		},
		letter: func(_, n int) letter { return letters.letter(n, outsider, fmt.Sprintf("r%d@%s", n%3, sinkDomain)) },
	}
	if err := work.run(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	seen := summarise(s.of(letters.name))
	if v := l.verify(seen.found); !v.clean() || v.Accepted != 40 {
		t.Errorf("%s: %q", v, v.Samples)
	}
	if len(seen.first) != 40 || seen.signed != 0 {
		t.Errorf("%d letters, %d signed", len(seen.first), seen.signed)
	}
}

// scripted is a server that answers the given texts one after the other, each after a line was read; the first one at once.
func scripted(t *testing.T, answers ...string) string {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		for i, a := range answers {
			if i > 0 {
				if _, err := r.ReadString('\n'); err != nil {
					return
				}
			}
			if _, err := conn.Write([]byte(a)); err != nil {
				return
			}
		}
	}()
	return ln.Addr().String()
}

func TestARefusalIsNoAcceptance(t *testing.T) {
	t.Parallel()
	address := scripted(t, "220 hi\r\n", "250 hi\r\n", "250 ok\r\n", "550 5.1.1 nobody\r\n", "250 ok\r\n")
	c, err := openSMTP(t.Context(), &dialer{}, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	s, err := c.send(newSeries(testPaper(), onlySmall).letter(0, outsider, account(0)))
	if err != nil || s.fate != refused || s.reply != "550 5.1.1 nobody" {
		t.Errorf("%v %q %v", s.fate, s.reply, err)
	}
}

func TestABrokenConnectionAfterTheDotLeavesTheFateOpen(t *testing.T) {
	t.Parallel()
	address := scripted(t, "220 hi\r\n", "250 hi\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "")
	c, err := openSMTP(t.Context(), &dialer{}, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	s, err := c.send(newSeries(testPaper(), onlySmall).letter(0, outsider, account(0)))
	if err == nil || s.fate != unknown {
		t.Errorf("%v %v", s.fate, err)
	}
}

func TestADataThatIsTakenAfterARefusedRecipientIsNoted(t *testing.T) {
	t.Parallel()
	address := scripted(t, "220 hi\r\n", "250-hi\r\n250 PIPELINING\r\n", "250 ok\r\n", "550 no\r\n", "354 go\r\n")
	c, err := openSMTP(t.Context(), &dialer{}, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	s, err := c.send(newSeries(testPaper(), onlySmall).letter(0, outsider, account(0)))
	var no *replyError
	if err == nil || errors.As(err, &no) || s.fate != unsent {
		t.Errorf("%v %v", s.fate, err)
	}
}

func imapOn(t *testing.T, answers ...string) *imapClient {
	t.Helper()
	answers = append([]string{"* OK hi\r\n", "t1 OK in\r\n"}, answers...)
	c, err := openIMAP(t.Context(), &dialer{}, scripted(t, answers...), nil, "u", "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	return c
}

func TestLettersAreReadOutOfLiterals(t *testing.T) {
	t.Parallel()
	l := newSeries(testPaper(), onlySmall).letter(0, outsider, account(0))
	raw := l.header() + l.firstLine() + string(l.filler.plain)
	answer := func(n, uid int) string {
		return fmt.Sprintf("* %d FETCH (UID %d FLAGS (\\Seen) BODY[] {%d}\r\n%s)\r\n", n, uid, len(raw), raw)
	}
	c := imapOn(t, "* 3 EXISTS\r\n* OK [UIDNEXT 12] next\r\nt2 OK selected\r\n", answer(2, 7)+"* 4 EXISTS\r\n"+answer(3, 9)+"t3 OK done\r\n")
	found, err := c.letters(inbox, account(0), 9)
	if err != nil || len(found) != 1 || found[0].id != l.id || found[0].sum != l.sum() {
		t.Errorf("found %d, %v: one is below the UID that was asked for", len(found), err)
	}
}

func TestAnAnswerWithoutABodyIsNotOverlooked(t *testing.T) {
	t.Parallel()
	c := imapOn(t, "t2 OK selected\r\n", "* 1 FETCH (UID 7 BODY[] NIL)\r\nt3 OK done\r\n")
	if _, err := c.letters(inbox, account(0), 1); err == nil {
		t.Error("a message without a body was taken for read")
	}
}

func TestStatusIsRead(t *testing.T) {
	t.Parallel()
	c := imapOn(t, "* STATUS \"INBOX\" (UIDNEXT 13 MESSAGES 12)\r\nt2 OK done\r\n", "t3 NO [UNAVAILABLE] later\r\n")
	if s, err := c.status(inbox); err != nil || s != (boxState{12, 13}) {
		t.Errorf("%+v %v", s, err)
	}
	if err := c.do("NOOP", nil); err == nil || !strings.Contains(err.Error(), comeAgain) {
		t.Errorf("a NO gave %v", err)
	}
}

func TestSourcesSpreadOverNetworks(t *testing.T) {
	t.Parallel()
	networks := map[string]bool{}
	for n := range uint32(2_000) {
		ip := source(n)
		if !ip.IsLoopback() || ip.Equal(net.IPv4(127, 0, 0, 1)) {
			t.Fatalf("%s", ip)
		}
		networks[ip.Mask(net.CIDRMask(24, 32)).String()] = true
	}
	if len(networks) != 2_000 {
		t.Errorf("2,000 connections come from %d networks", len(networks))
	}
}

func TestFlagsAndTheVariableOfTheGenerator(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	o, err := parse([]string{"-quick", "-only", "push, fetch", "-rounds", "2", "-mailbox", "50000"}, []string{"MAILBENCH=/some/where"}, &b)
	if err != nil || o.foreign != "/some/where" || !slices.Equal(o.only, []string{"push", "fetch"}) {
		t.Errorf("%+v %v", o, err)
	}
	if p := o.plan(); p.rounds != 2 || p.box != hugeBox || p.deadline <= 2*quickPlan().deadline || p.deadline > 40*time.Minute {
		t.Errorf("%+v", p)
	}
	r := runner{options: o, plan: o.plan()}
	var names []string
	for _, m := range r.wanted() {
		names = append(names, m.name)
	}
	if want := []string{"fill", "push", "fetch"}; !slices.Equal(names, want) {
		t.Errorf("measures %q, want %q", names, want)
	}
	for _, bad := range [][]string{{"-only", "everything"}, {"-rounds", "-1"}, {"now"}} {
		if _, err := parse(bad, nil, &b); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
