package api_test

import (
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
)

// list repeats an element.
func list(element string, times int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", times), ",") + "]"
}

// The library would make an error of each of them, which is gigabytes.
func TestMillionsOfValuesAreRefusedBeforeTheyAreDecoded(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	with := func(field, value string) string {
		return strings.TrimSuffix(letter, "}") + `,"` + field + `":` + value + "}"
	}
	zeros, some := list("0", 1<<20), list("0", 5000)
	for _, c := range []struct{ name, method, path, body, where, text string }{
		{"attachments", "POST", "/v1/emails", with("attachments", zeros), "body.attachments", "has more than 1000 values"},
		{"an unknown field", "POST", "/v1/emails", with("x", zeros), "body.x", "has more than 1000 values"},
		{"fields of an object", "POST", "/v1/emails", with("metadata", "{"+strings.Repeat(`"a":"",`, 2000)+`"b":""}`), "body.metadata", "has more than 1000 values"},
		{"lists in a list", "POST", "/v1/emails", with("x", list(list("0", 100), 300)), "body", "has more than 20000 values"},
		{"scopes of a key", "POST", "/v1/api-keys", `{"name":"k","scopes":` + list(`"x"`, 1001) + `}`, "body.scopes", "has more than 1000 values"},
		{"a merge patch", "PATCH", "/v1/domains/" + unknownDomain, `{"x":` + list("0", 1001) + `}`, "body.x", "has more than 1000 values"},
		{"one email of a batch", "POST", "/v1/emails/batch", list(letter, 2)[:len(letter)*2+2] + "," + with("attachments", some) + "]", "body[2].attachments", "has more than 1000 values"},
		{"no emails in a batch", "POST", "/v1/emails/batch", zeros, "body", "has more than 500000 values"},
	} {
		for _, key := range []string{"", "k " + c.name} {
			headers := []string{"Idempotency-Key", key}
			if key == "" {
				headers = nil
			}
			p := e.call(e.key, c.method, c.path, raw(c.body), headers...).problem(422, "validation-failed")
			if len(p.Errors) != 1 || p.Errors[0].Location != c.where || p.Errors[0].Message != c.text {
				t.Errorf("%s: %+v", c.name, p.Errors)
			}
		}
	}
	// The bad one alone is refused where the others are sent.
	var sent api.EmailBatchAccepted
	e.call(e.key, "POST", "/v1/emails/batch?mode=per_item", raw("["+letter+","+with("attachments", some)+"]")).want(202).into(&sent)
	if sent.Items[0].ID == "" || sent.Items[1].Problem == nil || sent.Items[1].Problem.Errors[0].Location != "body[1].attachments" {
		t.Errorf("%+v", sent)
	}
	var said api.EmailValidation
	e.call(e.key, "POST", "/v1/emails/validate", raw(with("attachments", zeros))).want(200).into(&said)
	if len(said.Problems) != 1 || said.Problems[0].Location != "body.attachments" {
		t.Errorf("%+v", said)
	}
}

func TestTheShapeOfABodyIsCountedAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{list("0", 1000), ""},
		{list("0", 1001), "more values than 1000 in body"},
		{`{"a":` + list(`",,,[{"`, 1000) + `}`, ""},
		{`{"a":{"b,\"":[1,{"c" : ` + list("0", 1001) + `}]}}`, `more values than 1000 in body.a.b,\"[1].c`},
		{`{"a":1,"b":[[],` + list("0", 1001) + `]}`, "more values than 1000 in body.b[1]"},
		{strings.Repeat("[", 33), "the JSON is nested too deep"},
		{`"`, ""},
		{`["`, ""},
		{`["\`, ""},
		{`]]],,::"`, ""},
	} {
		got := ""
		if err := api.Shapely([]byte(c.text)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%.40s: %q, want %q", c.text, got, c.want)
		}
	}
}
