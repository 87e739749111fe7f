// Package openapi carries the published contract of the API inside the binary.
//
// openapi.yaml is written by `mailserver openapi` (`make gen`) from the operations of package api and committed; `make verify`
// fails when code and document differ, and lints the document with zero warnings. The package owns the embedding and nothing
// else: it never builds, changes or interprets the document.
package openapi

import _ "embed"

//go:embed openapi.yaml
var document string

// Document returns openapi.yaml, OpenAPI 3.1 in YAML, as committed.
func Document() string {
	return document
}
