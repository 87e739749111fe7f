package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// shareProblems keeps each problem once, under components/responses, and lets the operations refer to it: they are the same
// everywhere, and written out at every operation they would be most of the document.
func shareProblems(doc *huma.OpenAPI) {
	shared := map[string]*huma.Response{}
	for op := range operations(doc) {
		for key, response := range op.Responses {
			status, err := strconv.Atoi(key)
			if err == nil && status < http.StatusBadRequest {
				continue
			}
			name := exampleName(status)
			if err != nil {
				name = "ProblemOther"
			}
			shared[name] = response
			op.Responses[key] = &huma.Response{Ref: "#/components/responses/" + name}
		}
	}
	doc.Components.Responses = shared
}
