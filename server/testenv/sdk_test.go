package testenv_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/sdk/go"
	"github.com/mailserver-dev/mailserver/server/testenv"
)

// What the SDK writes by hand around the contract works against a server: batches, validation, uploads, conditional changes.
func TestTheSDKSendsBatchesChecksAndUploads(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	client, ctx := s.SDK(t), t.Context()
	blob, err := client.Blobs.Upload(ctx, "text/plain", strings.NewReader("the receipt"))
	if err != nil || blob.SizeBytes != 11 {
		t.Fatalf("%+v, %v", blob, err)
	}
	good := mailserver.EmailSend{
		From: mailserver.NameAddress(`The "Shop" ä`, "shop@demo.test"), To: []string{s.Bob().Email}, Subject: "receipt", Text: "x",
		Attachments: []mailserver.Attachment{{Filename: "receipt.txt", BlobID: blob.ID}, {Filename: "empty.txt", Content: []byte{}}},
	}
	bad := mailserver.EmailSend{From: "a@not-hosted.test", To: []string{s.Bob().Email}, Text: "x"}
	items, err := client.Emails.SendBatch(ctx, []mailserver.EmailSend{good, bad}, mailserver.BatchPerItem)
	if err != nil || len(items) != 2 || mailserver.IsCode(items[0].Problem, mailserver.CodeNotFound) || items[0].ID == "" || !mailserver.IsCode(items[1].Problem, mailserver.CodeSenderNotVerified) {
		t.Fatalf("%+v, %v", items, err)
	}
	var p *mailserver.Problem
	if _, err := client.Emails.SendBatch(ctx, []mailserver.EmailSend{good, bad}, mailserver.BatchAllOrNothing); !errors.As(err, &p) || len(p.Errors) == 0 ||
		p.Errors[0].Location != "body[1].from" {
		t.Errorf("all or nothing: %v", err)
	}
	if v, err := client.Emails.Validate(ctx, bad); err != nil || v.Valid || len(v.Problems) != 1 || v.Problems[0].Code != mailserver.CodeSenderNotVerified {
		t.Errorf("validation: %+v, %v", v, err)
	}
	if email := wait(t, client, items[0].ID); email.From != `The "Shop" ä <shop@demo.test>` {
		t.Errorf("the sender reads %s", email.From)
	}
	raw, err := client.Emails.Raw(ctx, items[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if text, err := io.ReadAll(raw); err != nil || !strings.Contains(string(text), "receipt.txt") || !strings.Contains(string(text), "empty.txt") {
		t.Errorf("%v in\n%s", err, text)
	}

	var tag string
	bob, err := client.Users.GetByEmail(ctx, s.Bob().Email)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Users.Get(ctx, bob.ID, mailserver.ETag(&tag)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Users.Get(ctx, bob.ID, mailserver.IfNoneMatch(tag)); !errors.Is(err, mailserver.ErrNotModified) {
		t.Errorf("unchanged: %v", err)
	}
	if _, err := client.Users.Update(ctx, bob.ID, mailserver.UserUpdate{Name: mailserver.Value("Robert")}, mailserver.IfMatch(tag)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Users.Update(ctx, bob.ID, mailserver.UserUpdate{Name: mailserver.Null[string]()}, mailserver.IfMatch(tag)); !mailserver.IsCode(err, mailserver.CodeETagMismatch) {
		t.Errorf("a stale change: %v", err)
	}
	if _, err := client.Users.Get(ctx, ".."); !mailserver.IsCode(err, mailserver.CodeInvalidID) {
		t.Errorf("a bad id: %v", err)
	}
}
