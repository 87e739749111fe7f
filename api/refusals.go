package api

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
)

// useProblems makes the library refuse with our problems, and field names count as they are written. Its hooks are variables,
// one for the whole process, and are set once.
var useProblems = sync.OnceFunc(func() { //nolint:gochecknoglobals // the library's hooks are global
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError { return refusal(status, msg, errs) }
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		p := refusal(status, msg, errs)
		p.complete(ctx.Context(), ctx.URL().Path)
		for name, values := range p.GetHeaders() {
			ctx.SetHeader(name, values[0])
		}
		return p
	}
})

// refusal turns the library's own refusals into problems. What the caller sent is never repeated: no value, and no text of a
// JSON parser.
func refusal(status int, msg string, errs []error) *Problem {
	if p := readProblem(errors.Join(errs...)); p != nil {
		return p
	}
	switch status {
	case http.StatusBadRequest:
		if msg == "request body is required" {
			return newProblem(status, "bad-json", "this operation needs a JSON body")
		}
		if p := crowdedProblem(errs); p != nil {
			return p
		}
		return newProblem(status, "bad-json", "the body is not valid JSON; check quotes, commas and brackets")
	case http.StatusRequestEntityTooLarge:
		return tooLarge()
	case http.StatusUnsupportedMediaType:
		return newProblem(status, "unsupported-media-type", "send the body as application/json")
	case http.StatusRequestTimeout:
		return newProblem(status, "request-timeout", "the body did not arrive in time")
	case http.StatusUnprocessableEntity:
		return invalidProblem(errs)
	case 0, http.StatusInternalServerError:
		return newProblem(http.StatusInternalServerError, "internal", "internal error; the server's log has the cause under this request id")
	}
	return newProblem(status, "bad-request", http.StatusText(status))
}

// readProblem is for a body that could not be read whole; nil when that is not what happened.
func readProblem(err error) *Problem {
	var ready *Problem
	var large *http.MaxBytesError
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ready):
		return ready
	case errors.As(err, &large):
		return tooLarge()
	case errors.Is(err, errBusy):
		p := newProblem(http.StatusServiceUnavailable, "unavailable", "too many large requests at once; try again in a moment")
		p.retryAfter = time.Second
		return p
	case errors.Is(err, errShare):
		p := newProblem(http.StatusTooManyRequests, "rate-limited", "too many large requests of this credential at once; send them one after another")
		p.retryAfter = time.Second
		return p
	case errors.As(err, &timeout) && timeout.Timeout():
		return newProblem(http.StatusRequestTimeout, "request-timeout", "the body did not arrive in time")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, http.ErrBodyReadAfterClose):
		return newProblem(http.StatusBadRequest, "bad-request", "the body ended before its stated length")
	}
	return nil
}

// mostFindings bounds the list of findings, which a body of many unknown fields would make long.
const mostFindings = 32

func invalidProblem(errs []error) *Problem {
	var list []ProblemError
	for _, err := range errs {
		list = append(list, findingOf(err))
	}
	slices.SortStableFunc(list, func(a, b ProblemError) int { return cmp.Compare(a.Location, b.Location) })
	list = slices.Clone(list[:min(len(list), mostFindings)]) // a long list is not kept for its beginning
	code, detail := "validation-failed", "the request is not valid"
	if len(list) > 0 {
		code, detail = list[0].Code, list[0].Location+" "+list[0].Message
	}
	for _, one := range list {
		if one.Code != code {
			code = "validation-failed"
		}
	}
	p := newProblem(http.StatusUnprocessableEntity, code, detail)
	p.Errors = list
	return p
}

// crowdedProblem is for a body of too many values; nil when that is not what happened.
func crowdedProblem(errs []error) *Problem {
	for _, err := range errs {
		var detailer huma.ErrorDetailer
		if !errors.As(err, &detailer) {
			continue
		}
		if found, ok := crowdedPlace(detailer.ErrorDetail().Message); ok {
			p := newProblem(http.StatusUnprocessableEntity, found.Code, found.Location+" "+found.Message)
			p.Errors = []ProblemError{found}
			return p
		}
	}
	return nil
}

// findingOf passes on where something is wrong and what, as far as the library's words are its own.
func findingOf(err error) ProblemError {
	out := ProblemError{Location: "body", Message: "is not valid", Code: "validation-failed"}
	var detailer huma.ErrorDetailer
	if !errors.As(err, &detailer) {
		return out
	}
	d := detailer.ErrorDetail()
	out.Location = cleanLocation(d.Location)
	switch {
	case d.Message == "unknown query parameter":
		out.Code, out.Message = "unknown-parameter", "is not a parameter of this operation"
	case d.Message == "unexpected property":
		out.Code, out.Message = "unknown-field", "is not a field of this operation"
	case strings.Contains(d.Message, "match exactly one schema"):
		out.Message = "has none of the forms that this field takes"
	case d.Message == nullMessage, strings.HasPrefix(d.Message, "expected "), strings.HasPrefix(d.Message, "required "),
		slices.Contains([]string{"invalid integer", "invalid boolean", "invalid float"}, d.Message):
		out.Message = d.Message
	}
	return out
}

// nullMessage is for fields of a merge patch that cannot be removed.
const nullMessage = "null would remove a field that every object of this kind has"

// cleanLocation bounds what names a place: for an unknown field it is the caller's own word.
func cleanLocation(s string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s))
	return string(runes[:min(len(runes), 120)])
}
