package api_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mailserver-dev/mailserver/api"
)

// A problem stands once in the published document. What an operation refers to must be what it answers with.
func TestASharedProblemSaysWhatTheOperationSays(t *testing.T) {
	t.Parallel()
	spec, err := api.Spec()
	if err != nil {
		t.Fatal(err)
	}
	var published, whole map[string]any
	if err := yaml.Unmarshal(spec, &published); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(document(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	shared := published["components"].(map[string]any)["responses"].(map[string]any)
	compared := 0
	for path, methods := range whole["paths"].(map[string]any) {
		for method, op := range methods.(map[string]any) {
			for status, want := range op.(map[string]any)["responses"].(map[string]any) {
				got := published["paths"].(map[string]any)[path].(map[string]any)[method].(map[string]any)["responses"].(map[string]any)[status]
				ref, isRef := got.(map[string]any)["$ref"].(string)
				if problem := status == "default" || status[0] >= '4'; problem != isRef {
					t.Errorf("%s %s %s refers to a shared answer: %t", method, path, status, isRef)
				}
				if isRef {
					got = shared[strings.TrimPrefix(ref, "#/components/responses/")]
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s %s %s\nis published as %v\nand answers with %v", method, path, status, got, want)
				}
				compared++
			}
		}
	}
	if compared < 300 {
		t.Errorf("only %d answers were compared", compared)
	}
}
