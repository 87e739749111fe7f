package testenv_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/testenv"
	"github.com/mailserver-dev/mailserver/server/testenv/remote"
)

// sending is a server that sends mail for far.test and away.test to a scripted exchanger.
func sending(t *testing.T, options ...remote.Option) (*testenv.Server, *remote.MX) {
	t.Helper()
	mx := remote.Start(t, options...)
	s := testenv.Start(t, testenv.WithConfig(func(c *config.Config) {
		c.Hostname = "mail.demo.test"
		c.Outbound.Mode = "direct"
		c.Outbound.Routes = map[string]string{"far.test": mx.Addr().String(), "away.test": mx.Addr().String()}
	}))
	return s, mx
}

func sendTo(t *testing.T, s *testenv.Server, to ...string) string {
	t.Helper()
	e, err := s.SDK(t).Emails.Send(t.Context(), mailserver.EmailSend{From: s.Alice().Email, To: to, Subject: "receipt", Text: "Thank you."})
	if err != nil {
		t.Fatal(err)
	}
	return e.ID
}

func waitFor(t *testing.T, s *testenv.Server, id string, status mailserver.EmailStatus) *mailserver.Email {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	defer cancel()
	e, err := s.SDK(t).Emails.Wait(ctx, id, status)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestALetterLeavesTheServerOverTLSAndSigned(t *testing.T) {
	t.Parallel()
	s, mx := sending(t)
	got := waitFor(t, s, sendTo(t, s, "x@far.test", "y@away.test", s.Bob().Email), mailserver.EmailStatusDelivered)
	for _, r := range got.Recipients {
		if r.Transport == "smtp" && !strings.HasPrefix(r.LastTLS, "TLS1") {
			t.Errorf("%+v", r)
		}
	}
	for _, l := range mx.WaitFor(t, 2) {
		if n := strings.Count(string(l.Bytes), "DKIM-Signature: "); n != 2 {
			t.Errorf("%d signatures on the letter to %v", n, l.To)
		}
	}
	if err := s.Submit(s.Alice(), []string{"z@far.test"}, "From: "+s.Alice().Email+"\r\nSubject: by SMTP\r\n\r\nhello\r\n"); err != nil {
		t.Fatal(err)
	}
	if l := mx.WaitForRecipient(t, "z@far.test", 1); !strings.Contains(string(l[0].Bytes), "Subject: by SMTP") || l[0].From != s.Alice().Email {
		t.Errorf("submitted: %+v", l[0])
	}
}

func TestTheServerGreetsOthersWithItsHostname_O8(t *testing.T) {
	t.Parallel()
	s, mx := sending(t)
	waitFor(t, s, sendTo(t, s, "x@far.test"), mailserver.EmailStatusDelivered)
	for _, session := range mx.Sessions() {
		if session.Hello != "mail.demo.test" {
			t.Errorf("EHLO %s", session.Hello)
		}
	}
}

// The sender learns from the mailbox and from the API that a recipient does not exist; a full one is tried again on demand.
func TestFailuresAreReportedAndDeferralsCanBeRetried_O24(t *testing.T) {
	t.Parallel()
	s, mx := sending(t)
	mx.Recipient("gone@far.test", remote.RefuseRcpt(550, "5.1.1 no such user here"))
	mx.Recipient("full@away.test", remote.RefuseRcpt(452, "4.2.2 mailbox full"), remote.Accept())
	id := sendTo(t, s, "gone@far.test", "full@away.test")
	waitFor(t, s, id, mailserver.EmailStatusDeferred)

	client := s.SDK(t)
	var waiting []mailserver.QueueEntry
	testenv.Eventually(t, "one entry waits for its next attempt", func() bool {
		page, err := client.Queue.List(t.Context(), mailserver.ListQueue{Destination: "away.test", Status: "deferred"})
		if err != nil {
			t.Fatal(err)
		}
		waiting = page.Items
		return len(waiting) == 1
	})
	if got := waiting[0]; got.Recipient != "full@away.test" || got.Destination != "away.test" || got.Class != "quota" {
		t.Fatalf("%+v", got)
	}
	if _, err := client.Queue.Retry(t.Context(), waiting[0].ID); err != nil {
		t.Fatal(err)
	}
	mx.WaitForRecipient(t, "full@away.test", 1)
	waitFor(t, s, id, mailserver.EmailStatusBounced)

	box := s.IMAP(t, s.Alice())
	var report string
	testenv.Eventually(t, "the report is in the sender's inbox", func() bool {
		for _, m := range inboxOf(t, box) {
			if strings.Contains(m, "multipart/report") {
				report = m
			}
		}
		return report != ""
	})
	for _, want := range []string{"gone@far.test", "550 5.1.1 no such user here", "message/delivery-status", "Status: 5.1.1", "Return-Path: <>"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report does not say %q:\n%s", want, report)
		}
	}
}

// A domain's mail goes through its own smart host, with its password and only under verified TLS; others' mail does not.
func TestADomainSendsThroughItsOwnSmartHost_O46(t *testing.T) {
	t.Parallel()
	authority, err := remote.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	hub := remote.Start(t, func(c *remote.Config) { c.Authority, c.Users = authority, map[string]string{"demo": "relay secret"} })
	impostor := remote.Start(t, func(c *remote.Config) { c.Users = map[string]string{"demo": "relay secret"} })
	mx := remote.Start(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := testenv.Start(t, testenv.WithConfig(func(c *config.Config) {
		c.Outbound.Mode, c.Outbound.TLS.CAFile = "direct", file
		c.Outbound.Routes = map[string]string{"far.test": mx.Addr().String()}
	}))
	client, ctx := s.SDK(t), t.Context()
	demo, err := client.Domains.GetByName(ctx, "demo.test")
	if err != nil {
		t.Fatal(err)
	}
	set := func(m *remote.MX) {
		t.Helper()
		_, err := client.Domains.SetRelay(ctx, demo.ID, mailserver.DomainRelaySet{
			Host: m.Addr().Addr().String(), Port: new(int64(m.Addr().Port())), Username: new("demo"), Password: new("relay secret"),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	set(hub)
	e := waitFor(t, s, sendTo(t, s, "x@far.test"), mailserver.EmailStatusDelivered)
	if got := hub.WaitFor(t, 1)[0]; got.User != "demo" || got.TLS == "" || e.Recipients[0].Transport != "relay" || mx.Count() != 0 {
		t.Fatalf("%+v, %+v, %d letters at the exchanger", got, e.Recipients[0], mx.Count())
	}

	set(impostor)
	id := sendTo(t, s, "y@far.test")
	waitFor(t, s, id, mailserver.EmailStatusDeferred)
	if impostor.Count() != 0 || mx.Count() != 0 {
		t.Fatal("a letter went to who could not prove to be the smart host, or around it")
	}
	for _, session := range impostor.Sessions() {
		if session.User != "" || strings.Contains(session.Transcript, "C: AUTH") {
			t.Errorf("the impostor was given the password:\n%s", session.Transcript)
		}
	}

	if err := client.Domains.RemoveRelay(ctx, demo.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Queue.RetryAll(ctx, mailserver.QueueRetry{EmailID: id}); err != nil || n.Recipients != 1 {
		t.Fatalf("%+v, %v", n, err)
	}
	waitFor(t, s, id, mailserver.EmailStatusDelivered)
	if mx.WaitForRecipient(t, "y@far.test", 1)[0].User != "" {
		t.Error("the exchanger was given a password")
	}
}
