package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/api"
)

func TestAFileIsUploadedOnceAndGoesOutWithManyEmails(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	content := strings.Repeat("receipt of the year\n", 100_000) // more than a spool holds in memory
	a := e.call(e.key, "POST", "/v1/blobs", raw(content), "Content-Type", "text/csv; charset=utf-8").want(201)
	var b api.Blob
	a.into(&b)
	sum := sha256.Sum256([]byte(content))
	if a.header.Get("Location") != "/v1/blobs/"+b.ID || b.SizeBytes != int64(len(content)) || b.SHA256 != hex.EncodeToString(sum[:]) ||
		b.ContentType != "text/csv; charset=utf-8" || b.ExpiresAt.Sub(b.CreatedAt) != 24*time.Hour {
		t.Errorf("%v %s", a.header, a.body)
	}
	var read api.Blob
	e.call(e.key, "GET", "/v1/blobs/"+b.ID, nil).want(200).into(&read)
	if read != b {
		t.Errorf("read %+v, made %+v", read, b)
	}
	got := e.call(e.key, "GET", "/v1/blobs/"+b.ID+"/content", nil).want(200)
	if string(got.body) != content || got.header.Get("Content-Type") != b.ContentType || got.header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment;") || !strings.Contains(got.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%d octets, %v", len(got.body), got.header)
	}
	with := func(subject string) map[string]any {
		return map[string]any{
			"from": "app@a.test", "to": "owner@a.test", "subject": subject, "text": "t",
			"attachments": []any{map[string]any{"filename": "receipts.csv", "blob_id": b.ID}},
		}
	}
	var sent api.EmailAccepted
	e.call(e.key, "POST", "/v1/emails", with("one")).want(202).into(&sent)
	var both api.EmailBatchAccepted
	e.call(e.key, "POST", "/v1/emails/batch", []any{with("two"), with("three")}).want(202).into(&both)
	e.call(e.key, "DELETE", "/v1/blobs/"+b.ID, nil).want(204)
	e.call(e.key, "GET", "/v1/blobs/"+b.ID, nil).problem(404, "not-found")
	e.call(e.key, "POST", "/v1/emails", with("four")).problem(422, "blob-not-found")
	for _, id := range []string{sent.ID, both.Items[0].ID, both.Items[1].ID} {
		e.deliver(id)
	}
	inbox := e.messages(e.mailboxNamed(e.ownerID, "INBOX").ID)
	if len(inbox) != 3 {
		t.Fatalf("%d letters", len(inbox))
	}
	for _, m := range inbox {
		part := e.call(e.owner, "GET", "/v1/messages/"+m.ID+"/parts/2", nil).want(200)
		if string(part.body) != content || part.header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("%s: %d octets of %s", m.Subject, len(part.body), part.header.Get("Content-Type"))
		}
	}
}

func TestAnUploadWithAKeyIsKeptOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	post := func(content, contentType string) *answer {
		return e.call(e.key, "POST", "/v1/blobs", raw(content), "Content-Type", contentType, "Idempotency-Key", "k")
	}
	content := strings.Repeat("x", 2<<20)
	var first, again api.Blob
	post(content, "text/plain").want(201).into(&first)
	a := post(content, "text/plain").want(201).into(&again)
	if first != again || a.header.Get("Idempotency-Replayed") != "true" || a.header.Get("Location") != "/v1/blobs/"+first.ID {
		t.Errorf("%+v, then %+v, %v", first, again, a.header)
	}
	post(content[1:], "text/plain").problem(422, "idempotency-key-reused")
	post("y"+content[1:], "text/plain").problem(422, "idempotency-key-reused")
	post(content, "text/csv").problem(422, "idempotency-key-reused")
	var n int
	if err := e.pool.QueryRow(t.Context(), `SELECT count(*) FROM blob`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d blobs, %v", n, err)
	}
}

func TestTheTypeOfAnUploadIsKeptAndMustBeOne(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for given, want := range map[string]string{
		"application/json": "application/json", "message/rfc822": "message/rfc822", "multipart/mixed; boundary=x": "multipart/mixed; boundary=x",
		"": "application/octet-stream",
	} {
		if b := e.upload(e.key, "{", given); b.ContentType != want {
			t.Errorf("%q is kept as %q", given, b.ContentType)
		}
	}
	for _, bad := range []string{"text", "text/plain; charset", "a b/c", "text/" + strings.Repeat("x", 300)} {
		e.call(e.key, "POST", "/v1/blobs", raw("x"), "Content-Type", bad).problem(415, "unsupported-media-type")
	}
	e.call(e.key, "POST", "/v1/blobs", raw("x"), "Accept", "text/html").problem(406, "not-acceptable")
	// A container is attached as plain bytes: it must not go out in base64 under its own type (RFC 2046 §5.2.1).
	b := e.upload(e.key, "Subject: x\r\n\r\ny", "message/rfc822")
	var sent api.EmailAccepted
	e.call(e.key, "POST", "/v1/emails", raw(fmt.Sprintf(
		`{"from":"app@a.test","to":"owner@a.test","text":"t","attachments":[{"filename":"a.eml","blob_id":%q}]}`, b.ID))).want(202).into(&sent)
	if text := string(e.call(e.key, "GET", "/v1/emails/"+sent.ID+"/raw", nil).want(200).body); strings.Contains(text, "message/rfc822") {
		t.Errorf("sent as\n%s", text)
	}
}

// While a file arrives no room of the budget is taken, and what is cut off is not kept.
func TestUploadsTakeNoRoomInMemoryAndACutOneIsNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(d *api.Deps) { d.Limits.API.BodyBudgetBytes = 1 << 20 })
	slow, feed := io.Pipe()
	first := make(chan *answer, 1)
	go func() { first <- e.call(e.key, "POST", "/v1/blobs", slow) }()
	chunk := []byte(strings.Repeat("x", 1<<20))
	for range 4 {
		if _, err := feed.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if e.api.Room() != 1<<20 {
		t.Errorf("%d octets of room are left", e.api.Room())
	}
	e.call(e.key, "POST", "/v1/emails", raw(letter)).want(202)
	feed.Close()
	var b api.Blob
	(<-first).want(201).into(&b)
	if b.SizeBytes != 4<<20 {
		t.Errorf("%d octets", b.SizeBytes)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/v1/blobs", io.MultiReader(strings.NewReader("half"), failing{}))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.key)
	req.ContentLength = 100
	if res, err := http.DefaultClient.Do(req); err == nil {
		res.Body.Close()
		t.Error("half a file was answered")
	}
	var n int
	if err := e.pool.QueryRow(t.Context(), `SELECT count(*) FROM blob`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d blobs, %v", n, err)
	}
}

// failing is a client's file that cannot be read on.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestABlobOfAnotherIsNotThere_S43(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.upload(e.key, "secret of the key", "text/plain")
	other := e.newKey([]string{"emails:send"})
	for _, token := range []string{other, e.owner} {
		e.call(token, "GET", "/v1/blobs/"+b.ID, nil).problem(404, "not-found")
		e.call(token, "GET", "/v1/blobs/"+b.ID+"/content", nil).problem(404, "not-found")
		e.call(token, "DELETE", "/v1/blobs/"+b.ID, nil).problem(404, "not-found")
		with := raw(fmt.Sprintf(`{"from":"app@a.test","to":"owner@a.test","text":"t","attachments":[{"filename":"a","blob_id":%q}]}`, b.ID))
		p := e.call(token, "POST", "/v1/emails", with).problem(422, "blob-not-found")
		if !hasPlace(p.Errors, "body.attachments[0].blob_id") {
			t.Errorf("%+v", p.Errors)
		}
	}
	e.call(e.newKey([]string{"emails:read"}), "GET", "/v1/blobs/"+b.ID, nil).problem(403, "scope-missing")
}
