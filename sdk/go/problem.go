package mailserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// ErrNotModified says that the object still has the version that IfNoneMatch named.
var ErrNotModified = errors.New("not modified")

// Problem is an error that the API answered with (RFC 9457): Code, Status, Title, Detail, RequestID, Errors, RequiredScopes.
// Code is stable and one of the Code constants; it is empty when something between answered that is no mailserver.
type Problem struct {
	api.Problem
	// RetryAfter is when the same request may succeed; 0 when the server did not say.
	RetryAfter time.Duration
}

// Error gives status, code, detail and the request's id.
func (p *Problem) Error() string {
	text := strconv.FormatInt(p.Status, 10)
	if p.Code != "" {
		text += " " + p.Code
	}
	text += ": " + p.Detail
	if p.RequestID != "" {
		text += " (request " + p.RequestID + ")"
	}
	return text
}

// IsCode reports whether the error is, or wraps, a problem with one of the codes.
func IsCode(err error, codes ...string) bool {
	var p *Problem
	return errors.As(err, &p) && p != nil && slices.Contains(codes, p.Code)
}

// problemOf reads an answer that is an error. The body may be anything: proxies answer too.
func problemOf(res *http.Response, body []byte) *Problem {
	p := &Problem{RetryAfter: retryAfter(res.Header.Get("Retry-After"))}
	media, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	if media != "application/problem+json" || json.Unmarshal(body, &p.Problem) != nil || p.Code == "" {
		p.Problem = api.Problem{Title: http.StatusText(res.StatusCode), Detail: foreign(res, media, body)}
	}
	p.Status = int64(res.StatusCode)
	if p.RequestID == "" {
		p.RequestID = res.Header.Get("Request-Id")
	}
	return p
}

// foreign describes an answer that does not come from a mailserver.
func foreign(res *http.Response, media string, body []byte) string {
	const shown = 200
	switch {
	case res.StatusCode >= http.StatusMultipleChoices && res.StatusCode < http.StatusBadRequest:
		return fmt.Sprintf("redirected to %q; use that as the URL", res.Header.Get("Location"))
	case media == "text/plain" && len(body) > 0:
		return strings.ToValidUTF8(strings.TrimSpace(string(body[:min(len(body), shown)])), "")
	}
	return http.StatusText(res.StatusCode) + ", not from a mailserver"
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3).
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 86400)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
