package api_test

import (
	"testing"

	"github.com/mailserver-dev/mailserver/api"
)

func TestAnEmailSentThroughTheAPIIsInTheMailboxAndCanBeRead(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	alice := e.newUser("alice@a.test", "user")
	id := e.mail(e.key, "app@a.test", "alice@a.test", "hello", "it works")

	var email api.Email
	e.call(e.key, "GET", "/v1/emails/"+id, nil).want(200).into(&email)
	if email.Status != "delivered" || len(email.Recipients) != 1 || email.Recipients[0].Transport != "local" || email.Recipients[0].NextAttemptAt != nil {
		t.Errorf("%+v", email)
	}
	inbox := e.mailboxNamed(alice.ID, "INBOX")
	if inbox.Total != 1 || inbox.Unseen != 1 {
		t.Errorf("%+v", inbox)
	}
	list := e.messages(inbox.ID)
	if len(list) != 1 || list[0].Subject != "hello" || list[0].From[0].Email != "app@a.test" || list[0].Seen {
		t.Fatalf("%+v", list)
	}
	var m api.Message
	e.call(e.key, "GET", "/v1/messages/"+list[0].ID, nil).want(200).into(&m)
	if m.Text == nil || *m.Text != "it works\r\n" && *m.Text != "it works" || m.HTML != nil {
		t.Errorf("%+v", m)
	}
}
