package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/limit"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// Problem is the body of every error (RFC 9457). Programs branch on code, never on text.
type Problem struct {
	Type      string         `json:"type" format:"uri-reference" example:"/problems/validation-failed" doc:"Where the code is explained."`
	Title     string         `json:"title" example:"Unprocessable Entity" doc:"The status in words."`
	Status    int            `json:"status" example:"422" doc:"The HTTP status."`
	Detail    string         `json:"detail" example:"body.from: an address is missing" doc:"What is wrong and what to do next, for people."`
	Instance  string         `json:"instance,omitempty" format:"uri-reference" example:"/v1/emails" doc:"The path that was asked for."`
	Code      string         `json:"code" example:"validation-failed" doc:"The stable code of the problem."`
	RequestID string         `json:"request_id,omitempty" example:"req_abcdefghijklmnop" doc:"Names the request in the server's log."`
	Errors    []ProblemError `json:"errors,omitempty" nullable:"false" doc:"The findings, when there are several or when one has a place."`
	// RequiredScopes comes with scope-missing.
	RequiredScopes []string `json:"required_scopes,omitempty" nullable:"false" example:"[\"domains:write\"]" doc:"With scope-missing: the scopes of which the key needs one."`

	retryAfter time.Duration
	allow      []string
}

// ProblemError is one finding about the input.
type ProblemError struct {
	Location string `json:"location" example:"body.from" doc:"Where it is: body.…, query.…, path.… or header.…"`
	Message  string `json:"message" example:"an address is missing" doc:"What is wrong there."`
	Code     string `json:"code" example:"validation-failed" doc:"The stable code of the finding."`
}

// Error implements error.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if len(p.allow) > 0 {
		h["Allow"] = []string{strings.Join(p.allow, ", ")}
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="mailserver"`)
	}
	return h
}

// ContentType implements huma.ContentTypeFilter.
func (*Problem) ContentType(string) string { return "application/problem+json" }

// newProblem fills in what follows from the code.
func newProblem(status int, code, detail string) *Problem {
	return &Problem{Type: "/problems/" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// statusOf is the one place where a kind becomes a status and a default code.
func statusOf(kind fault.Kind) (status int, code string) {
	switch kind {
	case fault.Malformed:
		return http.StatusBadRequest, "bad-request"
	case fault.Invalid:
		return http.StatusUnprocessableEntity, "validation-failed"
	case fault.Unauthenticated:
		return http.StatusUnauthorized, "unauthenticated"
	case fault.Forbidden:
		return http.StatusForbidden, "forbidden"
	case fault.NotFound:
		return http.StatusNotFound, "not-found"
	case fault.Gone:
		return http.StatusGone, "gone"
	case fault.Conflict:
		return http.StatusConflict, "state-conflict"
	case fault.Stale:
		return http.StatusPreconditionFailed, "etag-mismatch"
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge, "body-too-large"
	case fault.OverQuota, fault.Storage:
		return http.StatusInsufficientStorage, "quota-exceeded"
	case fault.Limited:
		return http.StatusTooManyRequests, "rate-limited"
	case fault.Unavailable:
		return http.StatusServiceUnavailable, "unavailable"
	case fault.Internal:
	}
	return http.StatusInternalServerError, "internal"
}

// problemOf turns the error of a service into a problem. The cause of an internal one goes to the log.
func problemOf(ctx context.Context, log *slog.Logger, err error) *Problem {
	var ready *Problem
	if errors.As(err, &ready) {
		return ready
	}
	if fault.Is(err, fault.Internal) && errors.Is(err, context.DeadlineExceeded) {
		err = fault.Wrap(err, fault.Unavailable, "unavailable", "the server could not do this in time; try again in a moment")
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		f = &fault.Error{Kind: fault.Internal, Err: err}
	}
	wait, passes := limit.RetryAfter(err)
	status, code := statusOf(f.Kind)
	switch {
	case f.Kind == fault.Limited && !passes:
		status = http.StatusConflict // a count that waiting does not lower
	case f.Kind == fault.Unavailable:
		wait = time.Second
	case f.Code == "idempotency-in-progress":
		wait = time.Second
	}
	if f.Code != "" && f.Kind != fault.Internal {
		code = f.Code
	}
	p := newProblem(status, code, fault.Public(err))
	p.retryAfter = wait
	for _, d := range f.Details {
		p.Errors = append(p.Errors, ProblemError{Location: inBody(d.Field), Message: d.Text, Code: orCode(d.Code)})
	}
	if len(p.Errors) == 0 && f.Field != "" {
		p.Errors = []ProblemError{{Location: inBody(f.Field), Message: p.Detail, Code: code}}
	}
	if status >= http.StatusInternalServerError {
		log.LogAttrs(ctx, slog.LevelError, "request failed", slog.Int("status", status), slog.String("code", code), slog.Any("error", err))
	}
	return p
}

// inBody gives a service's field name its place in the request.
func inBody(field string) string {
	if field == "Idempotency-Key" {
		return "header." + field
	}
	for _, place := range []string{"body", "query", "path", "header"} {
		if field == place || strings.HasPrefix(field, place+".") || strings.HasPrefix(field, place+"[") {
			return field
		}
	}
	return "body." + field
}

func orCode(code string) string {
	if code == "" {
		return "validation-failed"
	}
	return code
}

// complete adds what belongs to the request.
func (p *Problem) complete(ctx context.Context, path string) {
	p.RequestID = obs.RequestID(ctx)
	p.Instance = path
}

func errStale() error {
	return fault.New(fault.Stale, "etag-mismatch", "the object was changed since it was read; read it again and repeat the change")
}

// Problem writes a problem outside of an operation: for unknown paths, methods and panics.
func (a *API) Problem(w http.ResponseWriter, r *http.Request, status int, code string) {
	detail := http.StatusText(status)
	if info, ok := findCode(code); ok {
		detail = info.Text
	}
	writeProblem(w, r, newProblem(status, code, detail))
}

func writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	p.complete(r.Context(), r.URL.Path)
	raw, err := json.Marshal(p)
	if err != nil {
		raw = []byte(`{"code":"internal"}`)
	}
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(raw) // the client may have gone; there is nobody to tell
}
