package api

import (
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// wholeExamples are bodies that are not the sum of their fields' examples.
func wholeExamples() map[string]any {
	return map[string]any{
		"EmailSend": map[string]any{
			"from": "Shop <shop@example.test>", "to": []any{"alice@example.test"}, "subject": "Your receipt", "text": "Thank you.",
			"html": "<p>Thank you.</p>", "headers": map[string]any{"X-Order": "42"},
			"attachments": []any{map[string]any{"filename": "receipt.txt", "content": "VGhhbmsgeW91Lg==", "content_type": "text/plain"}},
			"tags":        []any{map[string]any{"name": "kind", "value": "receipt"}}, "metadata": map[string]any{"order": "42"},
		},
		"EmailBatchAccepted": map[string]any{"items": []any{
			map[string]any{
				"index": 0, "id": "eml_01h455vb4pex5vsknk084sn02q", "status": "queued", "recipients": []any{map[string]any{
					"email": "alice@example.test", "delivery_id": "dlv_01h455vb4pex5vsknk084sn02q", "status": "queued",
				}},
			},
			map[string]any{"index": 1, "problem": map[string]any{
				"type": "/problems/recipient-invalid", "title": "Unprocessable Entity", "status": 422, "code": "recipient-invalid",
				"detail": "body[1].to[0]: the address is missing or cannot be read",
				"errors": []any{map[string]any{
					"location": "body[1].to[0]", "message": "the address is missing or cannot be read", "code": "recipient-invalid",
				}},
			}},
		}},
		"EmailValidation": map[string]any{
			"valid": true, "problems": []any{}, "size_bytes": 1234, "recipients": []any{map[string]any{
				"email": "alice@example.test", "local": true, "destination": "example.test", "would": "deliver_local",
			}},
			"signed_by": []any{map[string]any{
				"key_id": "dkm_01h455vb4pex5vsknk084sn02q", "domain": "example.test", "selector": "202611r1", "algorithm": "rsa2048",
			}},
		},
		"UserCreate": map[string]any{
			"email": "alice@example.test", "password": "correct-horse-battery", "name": "Alice", "role": "user",
		},
		"UserUpdate":    map[string]any{"name": "Alice", "quota_bytes": 1073741824},
		"MessageUpdate": map[string]any{"seen": true, "flagged": false},
	}
}

// exampleOf makes a full example of a schema from those of its fields.
func exampleOf(schemas map[string]*huma.Schema, s *huma.Schema) any {
	if name, ok := strings.CutPrefix(s.Ref, schemaPrefix); ok {
		if whole, ok := wholeExamples()[name]; ok {
			return whole
		}
		return exampleOf(schemas, schemas[name])
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.OneOf) > 0:
		return exampleOf(schemas, s.OneOf[0])
	case s.Type == huma.TypeArray:
		return []any{exampleOf(schemas, s.Items)}
	case s.Type != huma.TypeObject:
		return nil
	}
	out := map[string]any{}
	for name, property := range s.Properties {
		out[name] = exampleOf(schemas, property)
	}
	return out
}

func rawExample(mediaType string) any {
	if mediaType == "message/rfc822" {
		return "From: shop@example.test\r\nTo: alice@example.test\r\nSubject: Your receipt\r\n\r\nThank you.\r\n"
	}
	return "Thank you."
}

// problemExamples gives one problem for each status.
func problemExamples() map[string]*huma.Example {
	out := map[string]*huma.Example{}
	for _, c := range Codes() {
		name := exampleName(c.Status)
		if out[name] != nil {
			continue
		}
		value := map[string]any{
			"type": "/problems/" + c.Code, "title": http.StatusText(c.Status), "status": c.Status, "detail": c.Text, "code": c.Code,
			"instance": "/v1/emails", "request_id": "req_abcdefghijklmnopqrstuvwxyz",
		}
		switch c.Code {
		case "validation-failed":
			value["detail"] = "body.from: an address is missing"
			value["errors"] = []any{map[string]any{"location": "body.from", "message": "an address is missing", "code": "recipient-invalid"}}
		case "scope-missing":
			value["required_scopes"] = []any{"emails:send"}
		}
		out[name] = &huma.Example{Summary: c.Text, Value: value}
	}
	return out
}
