package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oapi-codegen/oapi-codegen/v2/pkg/codegen"
	"go.yaml.in/yaml/v3"
)

// object is a JSON object of the document.
type object = map[string]any

func read(name string) (object, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var doc object
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return doc, nil
}

// clientCode runs oapi-codegen over the document as prepare leaves it.
func clientCode(doc object) ([]byte, error) {
	raw, err := json.Marshal(prepare(doc))
	if err != nil {
		return nil, err
	}
	spec, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, fmt.Errorf("load the document: %w", err)
	}
	version := "v2.8.2" // as go.mod pins it; told here so that the header does not depend on how this program was built
	config := codegen.Configuration{
		PackageName: "api",
		Generate:    codegen.GenerateOptions{Models: true, Client: true},
		Compatibility: codegen.CompatibilityOptions{
			AlwaysPrefixEnumValues: true,
		},
		OutputOptions: codegen.OutputOptions{
			ResponseTypeSuffix:        "Result",
			NullableType:              true,
			PreferSkipOptionalPointer: true,
			SkipPrune:                 true,
			SkipEnumValidate:          true,
			NameNormalizer:            string(codegen.NameNormalizerFunctionToCamelCaseWithInitialisms),
			AdditionalInitialisms:     initialisms(),
		},
		NoVCSVersionOverride: &version,
	}
	code, err := codegen.Generate(spec, config.UpdateDefaults())
	if err != nil {
		return nil, fmt.Errorf("generate the client: %w", err)
	}
	return []byte(code), nil
}

// initialisms are the words that are spelt in capitals in Go names.
func initialisms() []string {
	return []string{
		"API", "CIDR", "CIDRs", "DKIM", "DMARC", "DNS", "DSN", "ETag", "HTML", "HTTP", "HTTPS", "ID", "IDs", "IMAP", "IP", "JSON", "MTA", "MX", "RSA",
		"RSA2048", "RSA3072", "RSA4096", "SHA256", "SMTP", "SPF", "SRV", "TCP", "TLS", "TOTP", "TTL", "TXT", "UDP", "UID", "URI", "URL", "UTF8", "XML",
	}
}
