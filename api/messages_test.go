package api_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
)

// withFile sends an email with text, HTML and two files to the owner and gives the message.
func (e *env) withFile() api.Message {
	e.t.Helper()
	var accepted api.EmailAccepted
	e.call(e.key, "POST", "/v1/emails", map[string]any{
		"from": map[string]any{"email": "app@a.test", "name": "Käfer"}, "to": []any{"Owner <owner@a.test>"}, "cc": "far@elsewhere.test",
		"reply_to": "answers@a.test", "subject": "Grüße", "text": "über", "html": "<p>über <img src=\"cid:logo\"></p>",
		"attachments": []any{
			map[string]any{"filename": "bericht.txt", "content": base64.StdEncoding.EncodeToString([]byte("file\n")), "content_type": "text/plain"},
			map[string]any{"filename": "logo.png", "content": "iVBORw0KGgo=", "content_type": "image/png", "content_id": "logo", "disposition": "inline"},
		},
		"headers": map[string]any{"In-Reply-To": "<first@a.test>"}, "tags": []any{"plain", map[string]any{"name": "k", "value": "v"}},
		"metadata": map[string]any{"order": "42"},
	}).want(202).into(&accepted)
	e.deliver(accepted.ID)
	var m api.Message
	id := e.messages(e.mailboxNamed(e.ownerID, "INBOX").ID)[0].ID
	e.call(e.key, "GET", "/v1/messages/"+id, nil).want(200).into(&m)
	return m
}

func TestAMessageIsShownDecodedWithItsFiles(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	m := e.withFile()
	if m.Subject != "Grüße" || m.From[0].Name != "Käfer" || m.From[0].Email != "app@a.test" || m.To[0].Email != "owner@a.test" ||
		m.Cc[0].Email != "far@elsewhere.test" || m.ReplyTo[0].Email != "answers@a.test" || m.InReplyTo != "first@a.test" || m.UserID != e.ownerID {
		t.Errorf("%+v", m)
	}
	if m.Text == nil || strings.TrimSpace(*m.Text) != "über" || m.HTML == nil || !strings.Contains(*m.HTML, "<p>über") || m.Truncated {
		t.Errorf("text %v, html %v", m.Text, m.HTML)
	}
	if len(m.Attachments) != 2 || len(m.MailboxIDs) != 1 {
		t.Fatalf("%+v", m)
	}
	for _, file := range m.Attachments {
		a := e.call(e.key, "GET", "/v1/messages/"+m.ID+"/parts/"+file.Part, nil).want(200)
		want := map[string]string{"bericht.txt": "file\n", "logo.png": "\x89PNG\r\n\x1a\n"}[file.Filename]
		if string(a.body) != want || !strings.HasPrefix(a.header.Get("Content-Type"), file.ContentType) ||
			a.header.Get("Content-Disposition") != `attachment; filename="`+file.Filename+`"` ||
			!strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%+v: %v %q", file, a.header, a.body)
		}
		if file.Inline != (file.Filename == "logo.png") || file.Inline && file.ContentID != "logo" {
			t.Errorf("%+v", file)
		}
	}
	whole := e.call(e.key, "GET", "/v1/messages/"+m.ID+"/raw", nil).want(200)
	if whole.header.Get("Content-Type") != "message/rfc822" || int64(len(whole.body)) != m.SizeBytes || !strings.Contains(string(whole.body), "Delivered-To: owner@a.test") {
		t.Errorf("%v %s", whole.header, whole.body)
	}
	for _, part := range []string{"9", "1.9", "1"} {
		e.call(e.key, "GET", "/v1/messages/"+m.ID+"/parts/"+part, nil).problem(404, "not-found") // part 1 is a multipart
	}
	for _, part := range []string{"0", "x", "1.", "-1", "1..2", "99999"} {
		e.call(e.key, "GET", "/v1/messages/"+m.ID+"/parts/"+part, nil).problem(400, "invalid-id")
	}
}

func TestBodiesNeedTheirOwnScope(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	m := e.withFile()
	read := e.newKey([]string{"messages:read"})
	var got api.Message
	e.call(read, "GET", "/v1/messages/"+m.ID, nil).want(200).into(&got)
	if got.Text != nil || got.HTML != nil || got.Subject != "Grüße" {
		t.Errorf("%+v", got)
	}
	for _, path := range []string{"/raw", "/parts/2"} {
		p := e.call(read, "GET", "/v1/messages/"+m.ID+path, nil).problem(403, "scope-missing")
		if p.RequiredScopes[0] != "messages:content" {
			t.Errorf("%+v", p)
		}
	}
	content := e.newKey([]string{"messages:content"})
	e.call(content, "GET", "/v1/messages/"+m.ID+"/raw", nil).want(200)
	e.call(content, "GET", "/v1/messages/"+m.ID+"/parts/2", nil).want(200)
	e.call(content, "GET", "/v1/messages/"+m.ID, nil).problem(403, "scope-missing")
}

func TestFlagsOfAMessageAreChangedAndShown(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	m := e.withFile()
	path := "/v1/messages/" + m.ID
	for _, c := range []struct{ patch, flags string }{
		{`{"seen":true}`, `\Seen`},
		{`{"flagged":true,"answered":true}`, `\Seen \Answered \Flagged`},
		{`{"seen":false}`, `\Answered \Flagged`},
		{`{"flags":["$Forwarded","\\Draft"]}`, `\Draft $Forwarded`},
		{`{"flags":["\\seen"],"seen":false,"flagged":true}`, `\Flagged`},
		{`{}`, `\Flagged`},
		{`{"flags":[]}`, ``},
	} {
		var got api.MessageSummary
		e.call(e.key, "PATCH", path, raw(c.patch)).want(200).into(&got)
		if strings.Join(got.Flags, " ") != c.flags || got.Seen != strings.Contains(c.flags, "Seen") || got.Flagged != strings.Contains(c.flags, "Flagged") {
			t.Errorf("%s: %+v", c.patch, got)
		}
	}
	for _, bad := range []string{`{"flags":["a b"]}`, `{"flags":["\\Recent"]}`, `{"flags":[""]}`, `{"flags":null}`, `{"seen":"yes"}`} {
		e.call(e.key, "PATCH", path, raw(bad)).want(422)
	}
	e.call(e.key, "PATCH", path, raw(`{"seen":true}`)).want(200)
	inbox := e.mailboxNamed(e.ownerID, "INBOX").ID
	var page api.MessageSummaryPage
	e.call(e.key, "GET", "/v1/mailboxes/"+inbox+"/messages?unseen=true", nil).want(200).into(&page)
	if len(page.Items) != 0 || page.NextCursor != nil {
		t.Errorf("%+v", page)
	}
}

func TestAMessageIsMovedDeletedAndRemoved(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	m := e.withFile()
	archive, trash := e.mailboxNamed(e.ownerID, "Archive").ID, e.mailboxNamed(e.ownerID, "Trash").ID
	path := "/v1/messages/" + m.ID
	write := e.newKey([]string{"messages:write"})
	at := func() string {
		var got api.Message
		e.call(e.key, "GET", path, nil).want(200).into(&got)
		return strings.Join(got.MailboxIDs, " ")
	}
	for range 2 {
		e.call(write, "POST", path+"/move", api.MessageMove{MailboxID: archive}, "Idempotency-Key", "m").want(200)
		if at() != archive {
			t.Errorf("it is in %s", at())
		}
	}
	e.call(write, "POST", path+"/move", raw(`{"mailbox_id":"mbx_01h455vb4pex5vsknk084sn02q"}`)).problem(422, "mailbox-not-found")
	e.call(write, "DELETE", path, nil).want(204)
	if at() != trash {
		t.Errorf("it is in %s", at())
	}
	e.call(write, "DELETE", path, nil).want(204)
	e.call(e.key, "GET", path, nil).problem(404, "not-found")
	e.call(write, "DELETE", path, nil).problem(404, "not-found")

	again := e.withFile()
	e.call(write, "DELETE", "/v1/messages/"+again.ID+"?permanent=true", nil).want(204)
	e.call(e.key, "GET", "/v1/messages/"+again.ID, nil).problem(404, "not-found")
}

func TestMailboxesAreMadeRenamedAndDeleted(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	base := "/v1/users/" + e.ownerID + "/mailboxes"
	var m, child api.Mailbox
	a := e.call(e.key, "POST", base, api.MailboxCreate{Name: "Projects"}).want(201).into(&m)
	if a.header.Get("Location") != "/v1/mailboxes/"+m.ID || m.Name != "Projects" || m.Role != nil || !m.Subscribed || m.UserID != e.ownerID {
		t.Errorf("%v %+v", a.header, m)
	}
	e.call(e.key, "POST", base, api.MailboxCreate{Name: "Projects/2026"}).want(201).into(&child)
	e.call(e.key, "POST", base, api.MailboxCreate{Name: "Projects"}).problem(409, "already-exists")
	e.call(e.key, "POST", base, api.MailboxCreate{Name: "More", Role: "trash"}).problem(409, "role-taken")
	e.call(e.key, "POST", base, api.MailboxCreate{Name: "a//b"}).problem(422, "invalid-mailbox-name")
	e.call(e.key, "POST", base, raw(`{"name":"x","role":"king"}`)).problem(422, "validation-failed")
	e.call(e.key, "PATCH", "/v1/mailboxes/"+m.ID, raw(`{"name":"Work"}`)).want(200)
	e.call(e.key, "GET", "/v1/mailboxes/"+child.ID, nil).want(200).into(&child)
	if child.Name != "Work/2026" {
		t.Errorf("%+v", child)
	}
	e.call(e.key, "DELETE", "/v1/mailboxes/"+child.ID, nil).want(204)
	e.call(e.key, "GET", "/v1/mailboxes/"+child.ID, nil).problem(404, "not-found")
	e.call(e.key, "DELETE", "/v1/mailboxes/"+e.mailboxNamed(e.ownerID, "INBOX").ID, nil).problem(422, "inbox")
	var names []string
	for path := base + "?limit=2"; path != ""; {
		var page api.MailboxPage
		e.call(e.key, "GET", path, nil).want(200).into(&page)
		for _, one := range page.Items {
			names = append(names, one.Name)
		}
		path = ""
		if page.NextCursor != nil {
			path = base + query("limit", "2", "cursor", *page.NextCursor)
		}
	}
	if strings.Join(names, " ") != "Archive Drafts INBOX Junk Sent Trash Work" {
		t.Errorf("%q", names)
	}
	var page api.MailboxPage
	e.call(e.key, "GET", base+"?role=trash", nil).want(200).into(&page)
	if len(page.Items) != 1 || page.Items[0].Name != "Trash" {
		t.Errorf("%+v", page)
	}
}

func TestAnEmailShowsItsRecipientsTagsAndHistory(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.withFile()
	var list api.EmailPage
	e.call(e.key, "GET", "/v1/emails?recipient=far@elsewhere.test&status=delivered", nil).want(200).into(&list)
	if len(list.Items) != 1 {
		t.Fatalf("%+v", list)
	}
	m := list.Items[0]
	if m.Subject != "Grüße" || m.Metadata["order"] != "42" || len(m.Tags) != 2 || m.Tags[0].Name != "plain" || len(m.Recipients) != 2 || m.Source != "api" {
		t.Errorf("%+v", m)
	}
	for _, r := range m.Recipients {
		if want := map[string]string{"owner@a.test": "local", "far@elsewhere.test": "sink"}[r.Email]; r.Transport != want || r.Status != "delivered" || r.Attempts != 1 || r.LastReply == "" {
			t.Errorf("%+v", r)
		}
	}
	send := e.newKey([]string{"emails:read"})
	var events api.EventPage
	// An event shows when no older transaction is running, of any test on this database server.
	await(t, "the email's events show", func() bool {
		e.call(send, "GET", "/v1/emails/"+m.ID+"/events", nil).want(200).into(&events)
		return len(events.Items) == 3
	})
	if events.Items[0].Type != "email.accepted" || events.Items[0].Subject != m.ID {
		t.Errorf("%+v", events)
	}
	a := e.call(send, "GET", "/v1/emails/"+m.ID+"/raw", nil).want(200)
	if int64(len(a.body)) != m.SizeBytes || strings.Contains(string(a.body), "Bcc") {
		t.Errorf("%s", a.body)
	}
	var kept api.SinkMessagePage
	e.call(e.key, "GET", "/v1/sink/messages?to=far@elsewhere.test", nil).want(200).into(&kept)
	if len(kept.Items) != 1 || kept.Items[0].EmailID != m.ID {
		t.Fatalf("%+v", kept)
	}
	e.call(e.key, "GET", "/v1/sink/messages/"+kept.Items[0].ID, nil).want(200)
	e.call(e.key, "GET", "/v1/sink/messages/"+kept.Items[0].ID+"/raw", nil).want(200)
}
