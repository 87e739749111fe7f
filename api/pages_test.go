package api_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mailserver-dev/mailserver/api"
)

func TestTheServedDocumentIsTheContract(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	spec, err := api.Spec()
	if err != nil {
		t.Fatal(err)
	}
	a := e.call("", "GET", "/openapi.yaml", nil).want(200)
	if string(a.body) != string(spec) {
		t.Error("the served document is not the contract")
	}
	var fromYAML, fromJSON any
	if err := yaml.Unmarshal(spec, &fromYAML); err != nil {
		t.Fatal(err)
	}
	e.call("", "GET", "/openapi.json", nil).want(200).into(&fromJSON)
	text, err := json.Marshal(fromYAML)
	if err != nil {
		t.Fatal(err)
	}
	var again any
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, fromJSON) {
		t.Error("the document in YAML and in JSON are two documents")
	}
	if strings.Contains(string(spec), "$schema") {
		t.Error("the document has $schema")
	}
}

func TestTheReferenceRunsNothingInlineAndNothingFromElsewhere_S39(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	inline := regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:|https?://|//[a-z]`)
	for _, c := range []struct{ path, accept, mediaType string }{
		{"/docs", "text/html", "text/html; charset=utf-8"},
		{"/docs/docs.css", "text/css", "text/css; charset=utf-8"},
		{"/docs/docs.js", "*/*", "text/javascript; charset=utf-8"},
		{"/problems", "text/html,*/*", "text/html; charset=utf-8"},
		{"/problems/bad-json", "text/html", "text/html; charset=utf-8"},
	} {
		a := e.call("", "GET", c.path, nil, "Accept", c.accept).want(200)
		policy := a.header.Get("Content-Security-Policy")
		if a.header.Get("Content-Type") != c.mediaType || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %v", c.path, a.header)
		}
		if found := inline.Find(a.body); found != nil && strings.HasSuffix(c.mediaType, "html; charset=utf-8") {
			t.Errorf("%s: %s", c.path, found)
		}
		if strings.Contains(string(a.body), "innerHTML") {
			t.Errorf("%s writes markup", c.path)
		}
	}
}

func TestEveryProblemTypeCanBeFollowed(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, c := range api.Codes() {
		var got api.Code
		e.call("", "GET", "/problems/"+c.Code, nil).want(200).into(&got)
		if got != c {
			t.Errorf("%+v", got)
		}
	}
	e.call("", "GET", "/problems/no-such-code", nil).problem(404, "not-found")
	var all struct{ Items []api.Code }
	e.call("", "GET", "/problems", nil).want(200).into(&all)
	if len(all.Items) != len(api.Codes()) {
		t.Errorf("%d codes", len(all.Items))
	}
}
