package openapi_test

import (
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/openapi"
)

func TestTheBinaryCarriesTheContract(t *testing.T) {
	t.Parallel()
	if document := openapi.Document(); !strings.Contains(document, "openapi: 3.1") {
		t.Errorf("the embedded document is not OpenAPI 3.1: it begins with %.60q", document)
	}
}
