package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/api"
)

// batch is a batch of letters to the owner of a.test, some of them changed.
func batch(n int, change map[int]string) raw {
	items := make([]string, n)
	for i := range items {
		items[i] = strings.Replace(letter, "receipt", fmt.Sprintf("letter %d", i), 1)
		if with, ok := change[i]; ok {
			items[i] = with
		}
	}
	return raw("[" + strings.Join(items, ",") + "]")
}

const (
	badSender = `{"from":"x@elsewhere.test","to":"owner@a.test","text":"t"}`
	badShape  = `{"from":"app@a.test","to":"owner@a.test","text":"t","send_at":"+1h","attachments":[{"filename":5}]}`
	badBase64 = `{"from":"app@a.test","to":["nobody"],"text":"t","attachments":[{"filename":"a","content":"%%%"}]}`
)

// places gives code, location and code of each finding.
func findings(p *api.Problem) string {
	out := []string{fmt.Sprint(p.Status, " ", p.Code)}
	for _, e := range p.Errors {
		out = append(out, e.Location+" "+e.Code)
	}
	return strings.Join(out, ", ")
}

func TestABatchIsAcceptedInOrder(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var got api.EmailBatchAccepted
	e.call(e.key, "POST", "/v1/emails/batch", batch(20, nil)).want(202).into(&got)
	if len(got.Items) != 20 {
		t.Fatalf("%d items", len(got.Items))
	}
	for i, item := range got.Items {
		var email api.Email
		e.call(e.key, "GET", "/v1/emails/"+item.ID, nil).want(200).into(&email)
		if item.Index != i || item.Problem != nil || item.Status != "queued" || len(item.Recipients) != 1 || email.Subject != fmt.Sprintf("letter %d", i) {
			t.Errorf("item %d: %+v, %s", i, item, email.Subject)
		}
		e.deliver(item.ID)
	}
	if n := len(e.messages(e.mailboxNamed(e.ownerID, "INBOX").ID)); n != 20 {
		t.Errorf("%d letters arrived", n)
	}
}

func TestOneBadEmailRefusesABatchOfAllOrNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	bad := batch(6, map[int]string{1: badSender, 3: badShape, 5: badBase64})
	for _, query := range []string{"", "?mode=all_or_nothing"} {
		p := e.call(e.key, "POST", "/v1/emails/batch"+query, bad).problem(422, "validation-failed")
		want := "422 validation-failed, body[1].from sender-not-verified, body[3].attachments[0].filename validation-failed, " +
			"body[3].send_at unknown-field, body[5].attachments[0].content validation-failed"
		if got := findings(&p); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if n := e.countEmails(); n != 0 {
		t.Errorf("%d emails", n)
	}
	p := e.call(e.newKey([]string{"emails:send"}, e.newDomain("b.test").ID), "POST", "/v1/emails/batch", batch(2, nil)).problem(403, "domain-forbidden")
	if len(p.Errors) != 2 || p.Errors[1].Location != "body[1].from" {
		t.Errorf("%+v", p.Errors)
	}
}

func TestABatchPerItemSendsWhatIsSound(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var got api.EmailBatchAccepted
	a := e.call(e.key, "POST", "/v1/emails/batch?mode=per_item", batch(7, map[int]string{1: badSender, 3: badShape, 5: badBase64, 6: "7"})).want(202).into(&got)
	for i, want := range map[int]string{
		1: "422 sender-not-verified, body[1].from sender-not-verified",
		3: "422 validation-failed, body[3].attachments[0].filename validation-failed, body[3].send_at unknown-field",
		5: "422 validation-failed, body[5].attachments[0].content validation-failed",
		6: "422 validation-failed, body[6] validation-failed",
	} {
		item := got.Items[i]
		if item.Problem == nil || findings(item.Problem) != want || item.Index != i || item.ID != "" || item.Problem.Type != "/problems/"+item.Problem.Code ||
			item.Problem.Title == "" || !strings.HasPrefix(item.Problem.Detail, fmt.Sprintf("body[%d]", i)) {
			t.Errorf("item %d: %s", i, a.body)
		}
	}
	for _, i := range []int{0, 2, 4} {
		if item := got.Items[i]; item.Problem != nil || item.ID == "" || item.Index != i {
			t.Errorf("item %d: %+v", i, item)
		}
	}
	if n := e.countEmails(); n != 3 {
		t.Errorf("%d emails", n)
	}
	if bytes.Contains(a.body, []byte("%%%")) {
		t.Errorf("the answer repeats what was sent: %s", a.body)
	}
}

func TestAKeyCoversTheWholeBatch(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, path := range []string{"/v1/emails/batch", "/v1/emails/batch?mode=per_item"} {
		body := batch(5, nil)
		if strings.HasSuffix(path, "per_item") {
			body = batch(5, map[int]string{1: badSender, 3: badShape})
		}
		before := e.countEmails()
		first := e.call(e.key, "POST", path, body, "Idempotency-Key", "k"+path).want(202)
		made := e.countEmails() - before
		stored := e.call(e.key, "POST", path, body, "Idempotency-Key", "k"+path).want(202)
		// The answer is lost with a killed process: it is rendered again from what the batch has become.
		if _, err := e.pool.Exec(t.Context(), `UPDATE idempotency SET status = NULL, header = NULL, body = NULL`); err != nil {
			t.Fatal(err)
		}
		rendered := e.call(e.key, "POST", path, body, "Idempotency-Key", "k"+path).want(202)
		for what, again := range map[string]*answer{"stored": stored, "rendered": rendered} {
			if again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Location") != first.header.Get("Location") ||
				again.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %v", path, what, again.header)
			}
			var got, want any
			if err := json.Unmarshal(again.body, &got); err != nil {
				t.Fatal(err)
			}
			first.into(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %s: another answer: %s", path, what, diff)
			}
		}
		if n := e.countEmails() - before; n != made {
			t.Errorf("%s: %d emails, then %d", path, made, n)
		}
		e.call(e.key, "POST", path, batch(4, nil), "Idempotency-Key", "k"+path).problem(422, "idempotency-key-reused")
	}
}

// An answer above the size that is stored is rendered anew.
func TestALargeBatchHasOneEffectToo(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var many []string
	for i := range 95 {
		many = append(many, fmt.Sprintf(`"recipient-with-a-rather-long-name-number-%d-of-the-large-batch@far-away.elsewhere.test"`, i))
	}
	one := `{"from":"app@a.test","bcc":[` + strings.Join(many, ",") + `],"text":"t"}`
	body := raw("[" + strings.TrimSuffix(strings.Repeat(one+",", 80), ",") + "]")
	first := e.call(e.key, "POST", "/v1/emails/batch", body, "Idempotency-Key", "k").want(202)
	if len(first.body) <= 1<<20 {
		t.Fatalf("only %d octets: the test tries nothing", len(first.body))
	}
	again := e.call(e.key, "POST", "/v1/emails/batch", body, "Idempotency-Key", "k").want(202)
	if !bytes.Equal(first.body, again.body) || again.header.Get("Idempotency-Replayed") != "true" || e.countEmails() != 80 {
		t.Errorf("%d emails, %d octets and then %d", e.countEmails(), len(first.body), len(again.body))
	}
}

func TestValidateAnswersWhatSendingWouldSay(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for name, body := range map[string]string{
		"sound": letter, "sender": badSender, "shape": badShape, "base64": badBase64, "no object": "7", "nothing": `{}`,
		"subject": `{"from":"app@a.test","to":["owner@a.test","x"],"subject":"a\nb"}`,
		"blob":    `{"from":"app@a.test","to":"owner@a.test","text":"t","attachments":[{"filename":"a","blob_id":"` + unknownBlob + `"}]}`,
	} {
		var v api.EmailValidation
		e.call(e.key, "POST", "/v1/emails/validate", raw(body)).want(200).into(&v)
		if n := e.countEmails(); n != 0 {
			t.Fatalf("%s: %d emails", name, n)
		}
		sent := e.call(e.key, "POST", "/v1/emails", raw(body))
		if v.Valid != (sent.status == 202) || v.Problems == nil || v.Recipients == nil {
			t.Errorf("%s: %+v, sending gives %d", name, v, sent.status)
		}
		if sent.status == 202 {
			var accepted api.EmailAccepted
			sent.into(&accepted)
			var email api.Email
			e.call(e.key, "GET", "/v1/emails/"+accepted.ID, nil).want(200).into(&email)
			if v.SizeBytes != email.SizeBytes || len(v.Recipients) != 1 || v.Recipients[0].Would != "deliver_local" || !v.Recipients[0].Local ||
				len(v.SignedBy) != 1 || v.SignedBy[0].Algorithm != "ed25519" || v.SignedBy[0].Domain != "a.test" {
				t.Errorf("%s: %+v, sent %d octets", name, v, email.SizeBytes)
			}
			if _, err := e.pool.Exec(t.Context(), `DELETE FROM email`); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var p api.Problem
		sent.into(&p)
		for _, want := range p.Errors {
			found := false
			for _, got := range v.Problems {
				found = found || got.Location == want.Location && got.Code == want.Code
			}
			if !found {
				t.Errorf("%s: sending names %+v, validate %+v", name, want, v.Problems)
			}
		}
	}
	e.call(e.newKey([]string{"emails:send"}, e.newDomain("b.test").ID), "POST", "/v1/emails/validate", raw(letter)).problem(403, "domain-forbidden")
	e.call(e.newKey([]string{"emails:read"}), "POST", "/v1/emails/validate", raw(letter)).problem(403, "scope-missing")
}

// The database says what a batch of a test key has touched.
func TestABatchOfATestKeyEndsInTheTestNetwork(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var made api.APIKeyCreated
	e.call(e.owner, "POST", "/v1/api-keys", api.APIKeyCreate{Name: "test", Scopes: []string{"emails:send"}, Mode: "test"}).want(201).into(&made)
	file := e.upload(made.Key, "x", "text/plain")
	var got api.EmailBatchAccepted
	with := fmt.Sprintf(`{"from":"app@a.test","to":"owner@a.test","text":"t","attachments":[{"filename":"a","blob_id":%q}]}`, file.ID)
	e.call(made.Key, "POST", "/v1/emails/batch", batch(2, map[int]string{1: with})).want(202).into(&got)
	for _, item := range got.Items {
		e.deliver(item.ID)
	}
	if n := len(e.messages(e.mailboxNamed(e.ownerID, "INBOX").ID)); n != 0 {
		t.Errorf("%d letters arrived", n)
	}
	e.call(made.Key, "DELETE", "/v1/blobs/"+file.ID, nil).want(204)
}
