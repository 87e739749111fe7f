package testenv_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/testenv"
	"github.com/mailserver-dev/mailserver/server/testenv/remote"
)

// sending is a server that sends mail for far.test and away.test to a scripted exchanger.
func sending(t *testing.T, options ...remote.Option) (*testenv.Server, *remote.MX) {
	t.Helper()
	mx := remote.Start(t, options...)
	s := testenv.Start(t, testenv.WithConfig(func(c *config.Config) {
		c.Outbound.Mode = "direct"
		c.Outbound.Routes = map[string]string{"far.test": mx.Addr().String(), "away.test": mx.Addr().String()}
	}))
	return s, mx
}

type emailAnswer struct {
	ID         string
	Status     string
	Recipients []struct {
		Email, Status, Transport string
		DeliveryID               string `json:"delivery_id"`
		LastReply                string `json:"last_reply"`
		LastTLS                  string `json:"last_tls"`
	}
}

// statusOf reads an email until it has a state.
func waitForEmail(t *testing.T, s *testenv.Server, id, status string) emailAnswer {
	t.Helper()
	var e emailAnswer
	testenv.Eventually(t, id+" is "+status, func() bool {
		e = emailAnswer{}
		s.Call(t, http.MethodGet, "/v1/emails/"+id, nil, &e)
		return e.Status == status
	})
	return e
}

func sendTo(t *testing.T, s *testenv.Server, to ...string) emailAnswer {
	t.Helper()
	var e emailAnswer
	res := s.Call(t, http.MethodPost, "/v1/emails", map[string]any{
		"from": s.Alice().Email, "to": to, "subject": "receipt", "text": "Thank you.",
	}, &e)
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %+v", res.StatusCode, e)
	}
	return e
}

func TestALetterLeavesTheServerOverTLSAndSigned(t *testing.T) {
	t.Parallel()
	s, mx := sending(t)
	e := sendTo(t, s, "x@far.test", "y@away.test", s.Bob().Email)
	got := waitForEmail(t, s, e.ID, "delivered")
	for _, r := range got.Recipients {
		if r.Status != "delivered" || r.Transport == "smtp" && !strings.HasPrefix(r.LastTLS, "TLS1") {
			t.Errorf("%+v", r)
		}
	}
	letters := mx.WaitFor(t, 2)
	for _, l := range letters {
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

// The sender learns from the mailbox and from the API that a recipient does not exist; a full one is tried again on demand.
func TestFailuresAreReportedAndDeferralsCanBeRetried(t *testing.T) {
	t.Parallel()
	s, mx := sending(t)
	mx.Recipient("gone@far.test", remote.RefuseRcpt(550, "5.1.1 no such user here"))
	mx.Recipient("full@away.test", remote.RefuseRcpt(452, "4.2.2 mailbox full"), remote.Accept())
	e := sendTo(t, s, "gone@far.test", "full@away.test")
	waitForEmail(t, s, e.ID, "deferred")

	var page struct {
		Items []struct{ ID, Recipient, Destination, Status string }
	}
	testenv.Eventually(t, "one entry waits", func() bool {
		page.Items = nil
		s.Call(t, http.MethodGet, "/v1/queue/entries?destination=away.test&status=deferred", nil, &page)
		return len(page.Items) == 1
	})
	if got := page.Items[0]; got.Recipient != "full@away.test" || got.Destination != "away.test" {
		t.Fatalf("%+v", got)
	}
	if res := s.Call(t, http.MethodPost, "/v1/queue/entries/"+page.Items[0].ID+"/retry", nil, nil); res.StatusCode != http.StatusOK {
		t.Fatalf("retry: %d", res.StatusCode)
	}
	mx.WaitForRecipient(t, "full@away.test", 1)
	waitForEmail(t, s, e.ID, "bounced")

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
