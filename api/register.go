package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Keys of an operation's metadata.
const (
	metaScope  = "scope"  // the scope that a key needs; "" for operations that only users have
	metaOpen   = "public" // true when no credential is needed
	metaSecret = "secret" // true when the answer holds a secret, which is never stored
	metaUpload = "upload" // true when the body is a file of any media type
	metaWhole  = "whole"  // true when the operation reads its JSON itself
	metaTest   = "test"   // true when a test key may do it, besides reading
	metaAsked  = "asked"  // true when a POST only asks: repeating it does nothing, and an old answer would be a wrong one
	metaStream = "stream" // true when the answer goes on for as long as the client stays
	// metaPatience is the time that the operation may take beyond an ordinary one.
	metaPatience = "patience"
)

// mergePatch is the media type of RFC 7396.
const mergePatch = "application/merge-patch+json"

// scoped begins an operation that needs a credential with the scope.
func scoped(method, path, id, tag, scope, summary, description string) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Tags: []string{tag}, Summary: summary, Description: description,
		Metadata:     map[string]any{metaScope: scope},
		Errors:       []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable},
		MaxBodyBytes: defaultBody,
	}
	if scope != "" {
		op.Extensions = map[string]any{"x-required-scope": scope}
		op.Security = []map[string][]string{{bearer: {scope}}}
	}
	return op
}

// public begins an operation without a credential.
func public(method, path, id, tag, summary, description string) huma.Operation {
	op := scoped(method, path, id, tag, "", summary, description)
	op.Metadata[metaOpen] = true
	op.Security = []map[string][]string{{}}
	op.Errors = []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}
	op.MaxBodyBytes = publicBody
	return op
}

func isOpen(op *huma.Operation) bool { return op.Metadata[metaOpen] == true }

// Bounds of JSON bodies in octets. Sending takes more, strangers may send little.
const (
	defaultBody = 1 << 20
	publicBody  = 16 << 10
)

// patient gives the operation more time than others.
func patient(op huma.Operation, more time.Duration) huma.Operation {
	op.Metadata[metaPatience] = more
	return op
}

// mayBeTest lets test keys do it: it changes nothing that is real.
func mayBeTest(op huma.Operation) huma.Operation {
	op.Metadata[metaTest] = true
	return op
}

// asks marks a POST that changes nothing: no answer is kept under an Idempotency-Key.
func asks(op huma.Operation) huma.Operation {
	op.Metadata[metaAsked] = true
	return op
}

func onlyAsks(op *huma.Operation) bool { return op.Metadata[metaAsked] == true }

// with adds statuses that the operation answers with on error.
func with(op huma.Operation, statuses ...int) huma.Operation {
	op.Errors = append(slices.Clone(op.Errors), statuses...)
	return op
}

// answers sets the status of success.
func answers(op huma.Operation, status int) huma.Operation {
	op.DefaultStatus = status
	return op
}

// register adds an operation whose errors become problems.
func register[I, O any](a *API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	if op.Method == http.MethodPost && !isOpen(&op) {
		op.Parameters = append(op.Parameters, idempotencyParameter(&op))
		op = with(op, http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity)
	}
	if slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, op.Method) {
		op = with(op, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	op = with(op, http.StatusNotAcceptable)
	op.MaxBodyBytes++ // the library refuses a body of exactly this size
	path := op.Path
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err == nil {
			return out, nil
		}
		var same *unchanged
		if errors.As(err, &same) {
			return nil, same
		}
		p := problemOf(ctx, a.Log, err)
		p.complete(ctx, pathOf(ctx, path))
		return nil, p
	})
}

type pathKey struct{}

// pathOf gives the path of the request, for the problem's instance.
func pathOf(ctx context.Context, otherwise string) string {
	if path, ok := ctx.Value(pathKey{}).(string); ok {
		return path
	}
	return otherwise
}

// Versioned is the part of an answer that names the object's version.
type Versioned struct {
	ETag string `header:"ETag" doc:"The version of the object."`
}

func versioned(version int64) Versioned { return Versioned{etag(version)} }

// etag is the strong validator of a version.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// ifMatch reads If-Match: 0 when absent or "*", -1 when it names no version of ours, which can never match. Of several tags none
// matches: we have one version at a time and give one tag.
func ifMatch(header string) int64 {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0
	}
	text, ok := strings.CutPrefix(header, `"`)
	text, ok2 := strings.CutSuffix(text, `"`)
	version, err := strconv.ParseInt(text, 10, 64)
	if !ok || !ok2 || err != nil || version <= 0 {
		return -1
	}
	return version
}

// checkVersion holds what ifMatch gave against an object that is not going to be changed by a service.
func checkVersion(want, version int64) error {
	if want != 0 && want != version {
		return errStale()
	}
	return nil
}

// notModified reports whether the client has the version already (RFC 9110 §13.1.2: a list, compared weakly).
func notModified(ifNoneMatch string, version int64) bool {
	for tag := range strings.SplitSeq(ifNoneMatch, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || tag == etag(version) {
			return true
		}
	}
	return false
}

// errNotModified ends a conditional GET.
func errNotModified(version int64) error { return &unchanged{etag(version)} }

// unchanged travels as an error through the library, which gives it status and header.
type unchanged struct{ tag string }

// Error implements error.
func (*unchanged) Error() string { return "not modified" }

// GetStatus implements huma.StatusError.
func (*unchanged) GetStatus() int { return http.StatusNotModified }

// GetHeaders implements huma.HeadersError.
func (u *unchanged) GetHeaders() http.Header { return http.Header{"Etag": {u.tag}} }
