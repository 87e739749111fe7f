package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
)

// Words may be added to an answer without breaking a client that checks answers against the contract; those of an email are all
// there from the beginning.
func TestAnswersMayGetNewWordsAndAnEmailHasAllOfItsOwn(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schemas, sent := doc.Components.Schemas.Map(), map[string]bool{}
	var filter []any
	for _, op := range operations(doc) {
		if media := op.json(); media != nil {
			reach(schemas, media.Schema, sent)
		}
		for _, p := range op.Parameters {
			if op.OperationID == "listEmails" && p.Name == "status" {
				filter = p.Schema.Enum
			}
		}
	}
	open := 0
	for name, s := range schemas {
		for field, property := range s.Properties {
			words := property.Extensions["x-extensible-enum"]
			if !sent[name] && len(property.Enum) > 0 || sent[name] && words != nil {
				t.Errorf("%s.%s: closed words %v, open words %v", name, field, property.Enum, words)
			}
			if words != nil {
				open++
			}
		}
	}
	if open < 20 {
		t.Errorf("only %d fields have words", open)
	}
	const all = "[scheduled held queued sending deferred delivered bounced suppressed cancelled failed]"
	for _, name := range []string{"Email", "Recipient", "EmailAccepted", "RecipientAccepted", "EmailBatchItem"} {
		if words := fmt.Sprint(schemas[name].Properties["status"].Extensions["x-extensible-enum"]); words != all {
			t.Errorf("%s.status has the words %s", name, words)
		}
	}
	if fmt.Sprint(filter) != all {
		t.Errorf("emails are filtered by %v", filter)
	}
	e := newEnv(t)
	for _, word := range filter {
		e.call(e.key, "GET", fmt.Sprintf("/v1/emails?status=%s", word), nil).want(200)
	}
}

func TestEveryTimeOfAKeyIsInUTC(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var made api.APIKeyCreated
	a := e.call(e.owner, "POST", "/v1/api-keys", raw(`{"name":"k","scopes":["domains:read"],"expires_at":"2099-01-01T05:00:00+05:00"}`)).want(201).into(&made)
	for _, body := range []string{string(a.body), string(e.call(e.owner, "GET", "/v1/api-keys/"+made.ID, nil).want(200).body)} {
		if !strings.Contains(body, `"expires_at":"2099-01-01T00:00:00Z"`) {
			t.Error(body)
		}
	}
}
