package api

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/account"
)

// polish completes the document for readers and generators of clients.
func polish(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas.Map()
	polishSchemas(schemas, requestSchemas(doc))
	for _, scope := range account.Scopes() {
		scopes := schemas["APIKeyCreate"].Properties["scopes"].Items
		scopes.Enum = append(scopes.Enum, scope.Name)
		doc.Components.SecuritySchemes[bearer].Description += "\n- `" + scope.Name + "`: " + scope.Text
	}
	listCodes(schemas["Problem"].Properties["code"])
	doc.Components.Headers = headers()
	doc.Components.Examples = problemExamples()
	used := map[string]bool{}
	for op := range operations(doc) {
		for _, status := range op.Errors {
			used[exampleName(status)] = true
		}
		polishParameters(op)
		polishRequest(op, schemas)
		polishResponses(op, schemas)
	}
	maps.DeleteFunc(doc.Components.Examples, func(name string, _ *huma.Example) bool { return !used[name] })
}

// listCodes gives generators the codes that exist today and their meaning. The list is open: a program must bear new ones.
func listCodes(code *huma.Schema) {
	var names, texts []string
	for _, c := range Codes() {
		names, texts = append(names, c.Code), append(texts, c.Text)
	}
	code.Extensions = map[string]any{"x-extensible-enum": names, "x-enum-descriptions": texts}
}

// operations gives every operation of the document, in no order.
func operations(doc *huma.OpenAPI) func(func(*huma.Operation) bool) {
	return func(yield func(*huma.Operation) bool) {
		for _, item := range doc.Paths {
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
				if op != nil && !yield(op) {
					return
				}
			}
		}
	}
}

// requestSchemas names the schemas that bodies of requests refer to.
func requestSchemas(doc *huma.OpenAPI) map[string]bool {
	found := map[string]bool{}
	var visit func(s *huma.Schema)
	visit = func(s *huma.Schema) {
		if s == nil {
			return
		}
		if name, ok := strings.CutPrefix(s.Ref, schemaPrefix); ok && !found[name] {
			found[name] = true
			visit(doc.Components.Schemas.Map()[name])
		}
		for _, below := range children(s) {
			visit(below)
		}
	}
	for op := range operations(doc) {
		if op.RequestBody != nil {
			for _, media := range op.RequestBody.Content {
				visit(media.Schema)
			}
		}
	}
	return found
}

const schemaPrefix = "#/components/schemas/"

// children are the schemas directly below one.
func children(s *huma.Schema) []*huma.Schema {
	out := slices.Collect(maps.Values(s.Properties))
	out = append(out, s.OneOf...)
	out = append(out, s.AnyOf...)
	out = append(out, s.AllOf...)
	if s.Items != nil {
		out = append(out, s.Items)
	}
	if more, ok := s.AdditionalProperties.(*huma.Schema); ok {
		out = append(out, more)
	}
	return out
}

// polishSchemas describes each schema, lets answers grow (a client must not break at a new field or word; requests stay strict),
// and says what ids look like.
func polishSchemas(schemas map[string]*huma.Schema, strict map[string]bool) {
	texts := schemaTexts()
	for name, s := range schemas {
		if s.Description == "" {
			s.Description = texts[name]
		}
		if s.AdditionalProperties == false && !strict[name] {
			s.AdditionalProperties = nil
		}
		for field, property := range s.Properties {
			if !slices.Contains(anyID(), field) {
				addPattern(property)
			}
			switch {
			case len(property.Enum) == 0:
			case !strict[name]:
				openWords(property)
			case property.Nullable:
				property.Enum = append(property.Enum, nil)
			}
		}
	}
}

// openWords lists the words that a field of an answer has today. The list is open: a program must bear new ones.
func openWords(s *huma.Schema) {
	if s.Extensions == nil {
		s.Extensions = map[string]any{}
	}
	s.Extensions["x-extensible-enum"] = s.Enum
	s.Enum = nil
}

// anyID lists the fields that hold ids of several kinds.
func anyID() []string { return []string{"subject", "created_by"} }

// idExample matches the example of an id, by which its fields are known.
var idExample = regexp.MustCompile(`^([a-z]{3})_[0-7][0-9a-hjkmnp-tv-z]{25}$`)

// addPattern says what an id looks like. It is for readers: a bad id is refused with a code of its own.
func addPattern(s *huma.Schema) {
	for _, example := range s.Examples {
		target := s
		text, _ := example.(string)
		if list, ok := example.([]string); ok && len(list) > 0 {
			text, target = list[0], s.Items
		}
		if found := idExample.FindStringSubmatch(text); found != nil {
			target.Pattern = "^" + found[1] + "_[0-7][0-9a-hjkmnp-tv-z]{25}$"
		}
	}
}

func polishParameters(op *huma.Operation) {
	for _, p := range op.Parameters {
		if !slices.Contains(anyID(), p.Name) {
			addPattern(p.Schema)
		}
		if p.Description == "" {
			p.Description = p.Schema.Description
		}
		p.Schema.Description = ""
	}
}

func polishRequest(op *huma.Operation, schemas map[string]*huma.Schema) {
	if op.RequestBody == nil {
		return
	}
	if isUpload(op) {
		op.RequestBody.Content[anyBytes].Example = rawExample(anyBytes)
		return
	}
	media := op.RequestBody.Content["application/json"]
	media.Example = exampleOf(schemas, media.Schema)
	op.RequestBody.Description = schemas[strings.TrimPrefix(media.Schema.Ref, schemaPrefix)].Description
	if op.Method == http.MethodPatch {
		op.RequestBody.Content[mergePatch] = &huma.MediaType{Schema: media.Schema, Example: media.Example}
	}
}

func polishResponses(op *huma.Operation, schemas map[string]*huma.Schema) {
	op.Responses["default"] = &huma.Response{Content: problemContent(0)}
	for _, p := range op.Parameters {
		if p.Name == "If-None-Match" {
			op.Responses["304"] = &huma.Response{
				Description: "The caller has the current version.", Headers: map[string]*huma.Param{"ETag": headerRef("ETag")},
			}
		}
	}
	for key, response := range op.Responses {
		status, err := strconv.Atoi(key)
		switch {
		case err != nil || status >= http.StatusBadRequest:
			polishProblem(status, response)
		case status < http.StatusMultipleChoices:
			polishSuccess(op, response, schemas)
		}
		addHeader(response, "Request-Id")
	}
}

func polishSuccess(op *huma.Operation, response *huma.Response, schemas map[string]*huma.Schema) {
	for name, header := range response.Headers {
		if header.Schema != nil && header.Description == "" {
			header.Description, header.Schema.Description = header.Schema.Description, ""
		}
		if name == "ETag" || name == "Location" {
			response.Headers[name] = headerRef(name)
		}
	}
	if op.Method == http.MethodPost && !isOpen(op) && !onlyAsks(op) {
		addHeader(response, "Idempotency-Replayed")
	}
	for name, media := range response.Content {
		if media.Schema != nil && media.Schema.Format == "binary" {
			media.Example = rawExample(name)
		} else {
			media.Example = exampleOf(schemas, media.Schema)
		}
	}
	if response.Description == "" || response.Description == http.StatusText(op.DefaultStatus) {
		response.Description = successText(op.DefaultStatus)
	}
}

// successText says what a status means here.
func successText(status int) string {
	switch status {
	case http.StatusCreated:
		return "It was made."
	case http.StatusAccepted:
		return "It is on stable storage; the work goes on."
	case http.StatusNoContent:
		return "It was done; there is no body."
	}
	return "The object or the list."
}

// polishProblem completes an answer that is a problem. It depends on the status alone, so that one answer serves every operation.
func polishProblem(status int, response *huma.Response) {
	response.Description = problemText(status)
	response.Content = problemContent(status)
	switch status {
	case http.StatusUnauthorized:
		addHeader(response, "WWW-Authenticate")
	case http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		addHeader(response, "Retry-After")
	}
}

// problemText names the codes of a status.
func problemText(status int) string {
	if status == 0 {
		return "Any other problem."
	}
	var codes []string
	for _, c := range Codes() {
		if c.Status == status {
			codes = append(codes, c.Code)
		}
	}
	return http.StatusText(status) + ". Codes: " + strings.Join(codes, ", ") + "."
}

func problemContent(status int) map[string]*huma.MediaType {
	media := &huma.MediaType{Schema: &huma.Schema{Ref: schemaPrefix + "Problem"}}
	if status != 0 {
		name := exampleName(status)
		media.Examples = map[string]*huma.Example{"problem": {Ref: "#/components/examples/" + name}}
	}
	return map[string]*huma.MediaType{"application/problem+json": media}
}

func exampleName(status int) string { return "Problem" + strconv.Itoa(status) }

func addHeader(response *huma.Response, name string) {
	if response.Headers == nil {
		response.Headers = map[string]*huma.Param{}
	}
	response.Headers[name] = headerRef(name)
}

func headerRef(name string) *huma.Param {
	return &huma.Param{Ref: "#/components/headers/" + strings.ReplaceAll(name, "-", "")}
}

// headers are those that several answers have.
func headers() map[string]*huma.Header {
	one := func(text, example string) *huma.Header {
		return &huma.Header{Description: text, Schema: &huma.Schema{Type: huma.TypeString}, Example: example}
	}
	return map[string]*huma.Header{
		"RequestId": one("Names the request in the server's log. A Request-Id of the request, 8 to 64 letters, digits, _ and -, is kept.",
			"req_abcdefghijklmnopqrstuvwxyz"),
		"ETag":     one("The version of the object, for If-Match and If-None-Match.", `"3"`),
		"Location": one("Where the new object is.", "/v1/domains/dom_01h455vb4pex5vsknk084sn02q"),
		"IdempotencyReplayed": {
			Description: "Present and true when the answer is that of an earlier request with this Idempotency-Key.",
			Schema:      &huma.Schema{Type: huma.TypeString, Enum: []any{"true"}}, Example: "true",
		},
		"RetryAfter": {
			Description: "In how many seconds the same request may succeed.", Schema: &huma.Schema{Type: huma.TypeInteger}, Example: 1,
		},
		"WWWAuthenticate": one("The scheme that the API takes (RFC 6750).", `Bearer realm="mailserver"`),
	}
}
