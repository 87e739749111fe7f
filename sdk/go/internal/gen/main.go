// Command gen writes the generated files of the Go SDK from the contract:
//
//	gen -contract openapi.yaml -out sdk/go
//
// writes api/api.gen.go (oapi-codegen's types and client), types.gen.go (what package mailserver shows of them) and codes.gen.go
// (the problem codes). It is a module of its own so that the generator's dependencies never reach users of the SDK. `make gen`
// runs it; `make verify` fails when the committed files differ from what it writes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	contract := flag.String("contract", "", "the OpenAPI document")
	out := flag.String("out", "", "the folder of the SDK")
	flag.Parse()
	if *contract == "" || *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := generate(*contract, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(contract, out string) error {
	doc, err := read(contract)
	if err != nil {
		return err
	}
	client, err := clientCode(doc)
	if err != nil {
		return err
	}
	types, err := typesCode(client)
	if err != nil {
		return err
	}
	codes, err := codesCode(doc)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(out, "api"), 0o755); err != nil {
		return err
	}
	for name, code := range map[string][]byte{"api/api.gen.go": client, "types.gen.go": types, "codes.gen.go": codes} {
		if err := os.WriteFile(filepath.Join(out, name), code, 0o644); err != nil {
			return err
		}
	}
	return nil
}
