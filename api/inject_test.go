package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
)

// injections are what would add a field, end the header or hide one (S-5).
var injections = []string{
	"\r\nBcc: victim@elsewhere.test", "\nBcc: victim@elsewhere.test", "\rBcc: victim@elsewhere.test", "\u2028Bcc: victim@elsewhere.test",
	"\u2029Bcc: victim@elsewhere.test", "\u0085Bcc: victim@elsewhere.test", "\x00", "\r\n\r\n<script>", "\v\f\x1b[2J", "\x7f",
	"=?utf-8?q?=0D=0ABcc:_victim@elsewhere.test?=", "=?utf-8?b?DQpCY2M6IHZpY3RpbUBlbHNld2hlcmUudGVzdA==?=", `"; filename=evil.exe; x="`,
	`\"`, "\\", ">, <victim@elsewhere.test", ", victim@elsewhere.test", "<victim@elsewhere.test> <", "\u202egpj.exe", strings.Repeat("long ", 400),
	"ä\r\n ß", "\t", "--=_boundary", "boundary=\"x\"", "../../etc/passwd",
}

// stringFields are the places of an email where text of a stranger can stand. Each makes a body with the text in its place.
func stringFields() map[string]func(s string) map[string]any {
	with := func(change func(m map[string]any, s string)) func(string) map[string]any {
		return func(s string) map[string]any {
			m := map[string]any{"from": "app@a.test", "to": []any{"owner@a.test"}, "subject": "plain", "text": "plain"}
			change(m, s)
			return m
		}
	}
	set := func(field string) func(string) map[string]any {
		return with(func(m map[string]any, s string) { m[field] = "x" + s })
	}
	file := func(field string) func(string) map[string]any {
		return with(func(m map[string]any, s string) {
			f := map[string]any{"filename": "a.txt", "content": "eA==", "content_type": "text/plain"}
			f[field] = "a" + s
			m["attachments"] = []any{f}
		})
	}
	return map[string]func(string) map[string]any{
		"subject": set("subject"), "text": set("text"), "html": set("html"),
		"from name":    with(func(m map[string]any, s string) { m["from"] = map[string]any{"email": "app@a.test", "name": "x" + s} }),
		"from text":    with(func(m map[string]any, s string) { m["from"] = "x" + s + " <app@a.test>" }),
		"from address": with(func(m map[string]any, s string) { m["from"] = "app" + s + "@a.test" }),
		"to name":      with(func(m map[string]any, s string) { m["to"] = map[string]any{"email": "owner@a.test", "name": "x" + s} }),
		"to address":   with(func(m map[string]any, s string) { m["to"] = "owner@a.test" + s }),
		"cc name":      with(func(m map[string]any, s string) { m["cc"] = map[string]any{"email": "owner@a.test", "name": "x" + s} }),
		"reply_to":     with(func(m map[string]any, s string) { m["reply_to"] = "x" + s + " <answers@a.test>" }),
		"header value": with(func(m map[string]any, s string) { m["headers"] = map[string]any{"X-A": "x" + s} }),
		"header name": with(func(m map[string]any, s string) {
			m["headers"] = []any{map[string]any{"name": "X-A" + s, "value": "x"}}
		}),
		"in-reply-to": with(func(m map[string]any, s string) { m["headers"] = map[string]any{"In-Reply-To": "<x@a.test>" + s} }),
		"filename":    file("filename"), "content_type": file("content_type"), "content_id": file("content_id"),
		"tag":       with(func(m map[string]any, s string) { m["tags"] = []any{map[string]any{"name": "k", "value": "x" + s}} }),
		"metadata":  with(func(m map[string]any, s string) { m["metadata"] = map[string]any{"k": "x" + s} }),
		"meta name": with(func(m map[string]any, s string) { m["metadata"] = map[string]any{"k" + s: "x"} }),
	}
}

// allowedFields are the fields that a message of these bodies may have at its top.
var allowedFields = []string{
	"From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding", "X-A", "In-Reply-To",
}

func TestNothingInAFieldOfTheAPIBecomesAHeaderField_S5(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	fields := stringFields()
	accepted, refused := 0, 0
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, injection := range injections {
			a := e.call(e.key, "POST", "/v1/emails", fields[name](injection))
			switch a.status {
			case 202:
				accepted++
				e.checkInjection(a, name, injection)
			case 422:
				refused++
				if bytes.Contains(a.body, []byte("victim")) {
					t.Errorf("%s %q: the answer repeats it: %s", name, injection, a.body)
				}
			default:
				t.Errorf("%s %q: status %d %s", name, injection, a.status, a.body)
			}
		}
	}
	if accepted < 50 || refused < 100 {
		t.Errorf("%d were sent and %d refused: the test tries nothing", accepted, refused)
	}
}

// checkInjection reads the outgoing bytes and the envelope.
func (e *env) checkInjection(a *answer, name, injection string) {
	e.t.Helper()
	var sent api.EmailAccepted
	a.into(&sent)
	if len(sent.Recipients) > 2 || slices.ContainsFunc(sent.Recipients, func(r api.RecipientAccepted) bool { return r.Email != "owner@a.test" }) {
		e.t.Errorf("%s %q: another recipient: %s", name, injection, a.body)
	}
	content := e.call(e.key, "GET", "/v1/emails/"+sent.ID+"/raw", nil).want(200).body
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(content))).ReadMIMEHeader()
	if err != nil {
		e.t.Errorf("%s %q: the header cannot be read: %v\n%s", name, injection, err, content)
	}
	for field, values := range header {
		if !slices.Contains(allowedFields, field) || len(values) > 1 {
			e.t.Errorf("%s %q: the field %s: %q", name, injection, field, values)
		}
		for _, c := range strings.Join(values, "") {
			if c < ' ' && c != '\t' || c == 0x7f || c > 0x7f {
				e.t.Errorf("%s %q: the field %s has the character %U", name, injection, field, c)
			}
		}
	}
	if bytes.Contains(bytes.ReplaceAll(content, []byte("\r\n"), nil), []byte("\n")) || bytes.Contains(bytes.ReplaceAll(content, []byte("\r\n"), nil), []byte("\r")) {
		e.t.Errorf("%s %q: a bare CR or LF", name, injection)
	}
}

func FuzzEmailBodies(f *testing.F) {
	for _, body := range []string{letter, `{"from":{"email":"a@b.test","name":"N"},"to":"x@y.test","headers":[{"name":"X-A","value":"1"}],"tags":["t"]}`, `{"to":[[]]}`, `{"headers":{"a":1}}`, `{"tags":[{}]}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in api.EmailSend
		if err := json.Unmarshal(body, &in); err != nil {
			return
		}
		for _, one := range in.To {
			if text := one.Address.String(); strings.ContainsAny(text, "\r\n\x00") {
				t.Errorf("an address with a line break: %q", text)
			}
		}
	})
}

func FuzzCursors(f *testing.F) {
	f.Add("YWJj", "domains")
	f.Fuzz(func(t *testing.T, text, filters string) {
		if content, err := api.OpenCursor(text, filters); err == nil && text != "" && api.SealCursor(content, filters) != text {
			t.Errorf("%q was not sealed here and opens as %q", text, content)
		}
	})
}

func FuzzElements(f *testing.F) {
	for _, s := range []string{`[]`, ` [ 1 , "a,]" , {"b":[1,2]} , [] ] `, `["\\",",\"",null]`, `{}`, `[[[[]]]]`, `[1`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}
		var want []json.RawMessage
		isList := json.Unmarshal(data, &want) == nil && bytes.HasPrefix(bytes.TrimSpace(data), []byte("["))
		got, ok := api.Elements(data, len(data)+1)
		if ok != isList || isList && len(got) != len(want) {
			t.Fatalf("%q: %d elements, %t; want %d, %t", data, len(got), ok, len(want), isList)
		}
		for i := range got {
			if !bytes.Equal(got[i], bytes.TrimSpace(want[i])) {
				t.Errorf("%q: element %d is %q, want %q", data, i, got[i], want[i])
			}
		}
	})
}

func FuzzJSONDepth(f *testing.F) {
	for _, s := range []string{`{"a":[1,"]\"",{}]}`, strings.Repeat("[", 40), `"\\"`, `{"a":"\\\""}`, strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		if json.Unmarshal(data, &v) != nil {
			_ = api.TooDeep(data)
			_ = api.Shapely(data)
			return
		}
		if api.TooDeep(data) != (depth(v) > 32) {
			t.Errorf("depth %d of %q", depth(v), data)
		}
	})
}

func depth(v any) int {
	most := 0
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			most = max(most, depth(one))
		}
	case map[string]any:
		for _, one := range v {
			most = max(most, depth(one))
		}
	default:
		return 0
	}
	return most + 1
}
