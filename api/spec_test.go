package api_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/api"
	"github.com/mailserver-dev/mailserver/server/account"
)

var write = flag.Bool("write", false, "write openapi/openapi.yaml anew")

func TestTheCommittedContractIsThatOfTheCode(t *testing.T) {
	t.Parallel()
	spec, err := api.Spec()
	if err != nil {
		t.Fatal(err)
	}
	const path = "../openapi/openapi.yaml"
	if *write {
		if err := os.WriteFile(path, spec, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != string(spec) {
		t.Error("openapi/openapi.yaml is not what the code says; run make gen")
	}
	again, err := api.Spec()
	if err != nil || string(again) != string(spec) {
		t.Error("the document is another one each time it is made", err)
	}
}

func document(t *testing.T) *huma.OpenAPI {
	t.Helper()
	doc, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

type operation struct {
	*huma.Operation
	item *huma.PathItem
}

func operations(doc *huma.OpenAPI) []operation {
	var out []operation
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				out = append(out, operation{op, item})
			}
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.OperationID, b.OperationID) })
	return out
}

// open reports whether an operation needs no credential.
func (op operation) open() bool { return len(op.Security) == 1 && len(op.Security[0]) == 0 }

// json gives the JSON that an operation takes, nil when it takes none.
func (op operation) json() *huma.MediaType {
	if op.RequestBody == nil {
		return nil
	}
	return op.RequestBody.Content["application/json"]
}

// body gives an example of what the operation takes, nil when it takes nothing.
func (op operation) body(t *testing.T) any {
	t.Helper()
	if op.RequestBody == nil {
		return nil
	}
	media := op.json()
	if media == nil {
		return raw("bytes of a file")
	}
	text, err := json.Marshal(media.Example)
	if err != nil {
		t.Fatal(err)
	}
	return raw(text)
}

func (op operation) scope() string {
	scope, _ := op.Extensions["x-required-scope"].(string)
	return scope
}

func TestEveryOperationSaysWhatAClientMustKnow(t *testing.T) {
	t.Parallel()
	doc := document(t)
	tags := map[string]bool{}
	for _, tag := range doc.Tags {
		tags[tag.Name] = tag.Description != ""
	}
	verbNoun := regexp.MustCompile(`^[a-z]+([A-Z][a-z]+)+$|^[a-z]+([A-Z][a-z]*)+$`)
	seen := map[string]bool{}
	for _, op := range operations(doc) {
		t.Run(op.OperationID, func(t *testing.T) {
			if !verbNoun.MatchString(op.OperationID) || seen[op.OperationID] {
				t.Error("the operationId is no lower camel verb-noun, or not unique")
			}
			seen[op.OperationID] = true
			if op.Summary == "" || !strings.HasSuffix(op.Description, ".") || len(op.Tags) != 1 || !tags[op.Tags[0]] {
				t.Errorf("summary %q, description %q, tags %q", op.Summary, op.Description, op.Tags)
			}
			if !op.open() && op.OperationID != "getMe" && !slices.Contains(account.AllScopes(), op.scope()) {
				t.Errorf("the scope %q does not exist", op.scope())
			}
			checkParameters(t, op)
			checkResponses(t, op)
		})
	}
	if len(seen) < 30 {
		t.Errorf("only %d operations", len(seen))
	}
}

func checkParameters(t *testing.T, op operation) {
	t.Helper()
	idempotent := false
	for _, p := range op.Parameters {
		if p.Description == "" || p.Schema == nil {
			t.Errorf("the parameter %s is not described", p.Name)
		}
		idempotent = idempotent || p.Name == "Idempotency-Key"
		if p.In == "path" && (!strings.Contains(op.Path, "{"+p.Name+"}") || !p.Required || p.Name != "part" && p.Name != "code" && p.Schema.Pattern == "") {
			t.Errorf("the path parameter %s has no place or no pattern", p.Name)
		}
	}
	if idempotent != (op.Method == http.MethodPost && !op.open()) {
		t.Errorf("Idempotency-Key declared: %t", idempotent)
	}
	// What only asks takes the key, as every POST does, and never answers from an earlier answer: it may be wrong by now.
	asks := op.OperationID == "validateEmail" || op.OperationID == "exportDkimKey"
	for key, r := range op.Responses {
		if replayed := r.Headers["Idempotency-Replayed"] != nil; key[0] == '2' && replayed != (idempotent && !asks) {
			t.Errorf("%s has Idempotency-Replayed: %t", key, replayed)
		}
	}
}

func checkResponses(t *testing.T, op operation) {
	t.Helper()
	needed := []string{"429", "500", "503", "406", "default"}
	if !op.open() {
		needed = append(needed, "401", "403")
	}
	if strings.Contains(op.Path, "{") {
		needed = append(needed, "400", "404")
	}
	if op.RequestBody != nil {
		needed = append(needed, "400", "413", "415", "422")
	}
	for _, status := range needed {
		if op.Responses[status] == nil {
			t.Errorf("the status %s is not declared", status)
		}
	}
	for key, r := range op.Responses {
		status, err := strconv.Atoi(key)
		if r.Description == "" || r.Headers["Request-Id"] == nil {
			t.Errorf("%s has no description or no Request-Id", key)
		}
		switch {
		case err != nil || status >= 400:
			media := r.Content["application/problem+json"]
			if len(r.Content) != 1 || media == nil || media.Schema.Ref != "#/components/schemas/Problem" {
				t.Errorf("%s is no Problem", key)
			}
		case status == 201 && r.Headers["Location"] == nil && op.OperationID != "createSession":
			t.Error("201 has no Location")
		case status == 204 || status == 304:
			if len(r.Content) != 0 {
				t.Errorf("%s has a body", key)
			}
		default:
			for name, media := range r.Content {
				if media.Example == nil || media.Schema == nil || name == "application/json" && media.Schema.Ref == "" {
					t.Errorf("%s %s has no example or no named schema", key, name)
				}
			}
			if len(r.Content) == 0 {
				t.Errorf("%s has no body", key)
			}
		}
		if (status == 429 || status == 503) && r.Headers["Retry-After"] == nil {
			t.Errorf("%s has no Retry-After", key)
		}
	}
	if op.RequestBody != nil {
		for name, media := range op.RequestBody.Content {
			if media.Example == nil || media.Schema.Ref == "" && media.Schema.Format != "binary" || op.RequestBody.Description == "" {
				t.Errorf("the body %s has no example, description or named schema", name)
			}
		}
	}
}

func TestEverySchemaIsDescribedAndAnswersMayGrow(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schemas := doc.Components.Schemas.Map()
	for name, s := range schemas {
		if s.Description == "" || !regexp.MustCompile(`^[A-Z][A-Za-z]+$`).MatchString(name) || strings.HasPrefix(name, "Page") {
			t.Errorf("%s is a bad name or is not described", name)
		}
		for field, property := range s.Properties {
			if property.Description == "" {
				t.Errorf("%s.%s is not described", name, field)
			}
			if property.Nullable && property.Type == huma.TypeArray {
				t.Errorf("%s.%s may be null instead of an empty list", name, field)
			}
			if property.Ref == "" && property.Type != huma.TypeArray && len(property.Examples) == 0 {
				t.Errorf("%s.%s has no example", name, field)
			}
		}
	}
	inRequests := map[string]bool{}
	for _, op := range operations(doc) {
		if media := op.json(); media != nil {
			reach(schemas, media.Schema, inRequests)
		}
	}
	for name, s := range schemas {
		strict := s.AdditionalProperties == false
		if len(s.Properties) > 0 && strict != inRequests[name] {
			t.Errorf("%s: refuses more fields: %t, is sent by clients: %t", name, strict, inRequests[name])
		}
	}
}

// reach names the schemas below one.
func reach(schemas map[string]*huma.Schema, s *huma.Schema, into map[string]bool) {
	name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
	if s.Ref != "" && !into[name] {
		into[name] = true
		reach(schemas, schemas[name], into)
	}
	for _, below := range slices.Concat(s.OneOf, s.AnyOf, s.AllOf) {
		reach(schemas, below, into)
	}
	if s.Items != nil {
		reach(schemas, s.Items, into)
	}
	for _, property := range s.Properties {
		reach(schemas, property, into)
	}
}

func TestEveryExampleIsValid(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schemas := doc.Components.Schemas
	for _, s := range schemas.Map() {
		precompute(s)
	}
	check := func(where string, s *huma.Schema, value any) {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(err)
		}
		res := &huma.ValidateResult{}
		huma.Validate(schemas, s, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, plain, res)
		for _, err := range res.Errors {
			t.Errorf("the example of %s is not valid: %v", where, err)
		}
	}
	for _, op := range operations(doc) {
		if media := op.json(); media != nil {
			check(op.OperationID+" body", media.Schema, media.Example)
		}
		for status, r := range op.Responses {
			if media := r.Content["application/json"]; media != nil {
				check(op.OperationID+" "+status, media.Schema, media.Example)
			}
		}
		for _, p := range op.Parameters {
			for _, example := range p.Schema.Examples {
				p.Schema.PrecomputeMessages()
				check(op.OperationID+" "+p.Name, p.Schema, example)
			}
		}
	}
	for name, example := range doc.Components.Examples {
		check(name, schemas.Map()["Problem"], example.Value)
	}
	for name, s := range schemas.Map() {
		for field, property := range s.Properties {
			for _, example := range property.Examples {
				check(name+"."+field, property, example)
			}
		}
	}
}

func precompute(s *huma.Schema) {
	s.PrecomputeMessages()
	for _, p := range s.Properties {
		precompute(p)
	}
	if s.Items != nil {
		precompute(s.Items)
	}
}
