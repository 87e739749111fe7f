// Package api is the REST surface of the server under /v1: one contract for everything that a person or a program may do.
//
// Each file holds one resource: its types, which are the contract, and its operations, which call a service and translate. No rule
// about mail lives here, no SQL, and no decision about rights besides the scope that an operation names: services decide with the
// principal they are given, so that the API and the mail protocols cannot differ.
//
// Errors leave as RFC 9457 problems with a stable code and never repeat what the caller sent. The OpenAPI document is made from
// the same registrations (Spec) and committed as openapi/openapi.yaml.
package api
