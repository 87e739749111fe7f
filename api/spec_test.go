package api_test

import (
	"flag"
	"os"
	"testing"

	"github.com/mailserver-dev/mailserver/api"
)

var write = flag.Bool("write", false, "write openapi/openapi.yaml anew")

func TestTheCommittedContractIsThatOfTheCode(t *testing.T) {
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
}
