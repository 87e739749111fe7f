package mailserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// CallOption changes one call.
type CallOption func(*call)

// call is what the options say about one call and what it tells them.
type call struct {
	header http.Header
	stream bool // the body goes to the caller unread
	upload bool // the body of the request may be large
	once   bool // the caller repeats it itself, and bounds its time
	tags   []*string
}

// IdempotencyKey names a POST: for 24 hours the same request with the same key has one effect and gets the first answer again.
// Without this option each POST gets a key of its own, which protects its repetitions but not a second run of your program. An
// order number with a word for the purpose makes a good key.
func IdempotencyKey(key string) CallOption {
	return func(c *call) { c.header.Set("Idempotency-Key", key) }
}

// IfMatch makes a change depend on the version that ETag gave; when the object has another one by now, nothing is changed and
// the problem has the code etag-mismatch. A PUT whose answer was lost is sent again and may get the same problem because of itself:
// after etag-mismatch read the object before you decide that somebody else changed it.
func IfMatch(etag string) CallOption {
	return func(c *call) { c.header.Set("If-Match", etag) }
}

// IfNoneMatch makes a Get return ErrNotModified when the object still has the version that ETag gave.
func IfNoneMatch(etag string) CallOption {
	return func(c *call) { c.header.Set("If-None-Match", etag) }
}

// ETag writes the version of the answer's object to into, for IfMatch and IfNoneMatch.
func ETag(into *string) CallOption {
	return func(c *call) { c.tags = append(c.tags, into) }
}

// RequestID names the call in the server's log: 8 to 64 letters, digits, _ and -.
func RequestID(id string) CallOption {
	return func(c *call) { c.header.Set("Request-Id", id) }
}

type callKey struct{}

// with puts the caller's options, and those of the method, where the transport finds them.
func with(ctx context.Context, options []CallOption, own ...CallOption) context.Context {
	c := &call{header: http.Header{}}
	for _, o := range slices.Concat(options, own) {
		o(c)
	}
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// streamed leaves the body of the answer to the caller.
func streamed(c *call) { c.stream = true }

// endless leaves repetition and time to the caller.
func endless(c *call) { c.once = true }

// patient gives a large body the time it needs.
func patient(c *call) { c.upload = true }

// segment makes a text safe as one part of a path. What could change the path becomes what the server refuses as no id.
func segment(text string) string {
	if strings.Trim(text, ".") == "" {
		return "-"
	}
	return text
}

// got gives the object of an answer 200.
func got[R interface {
	GetJSON200() *T
	StatusCode() int
}, T any](answer R, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return present(answer.GetJSON200(), answer.StatusCode())
}

// made gives the object of an answer 201.
func made[R interface {
	GetJSON201() *T
	StatusCode() int
}, T any](answer R, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return present(answer.GetJSON201(), answer.StatusCode())
}

// taken gives the object of an answer 202.
func taken[R interface {
	GetJSON202() *T
	StatusCode() int
}, T any](answer R, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return present(answer.GetJSON202(), answer.StatusCode())
}

// done gives nothing but the error.
func done[R any](_ R, err error) error { return err }

func present[T any](object *T, status int) (*T, error) {
	switch {
	case object != nil:
		return object, nil
	case status == http.StatusNotModified:
		return nil, ErrNotModified
	}
	return nil, fmt.Errorf("the server answered %d without the JSON that belongs to it: is the URL that of a mailserver?", status)
}

// download gives the body of an answer to the caller.
func download(res *http.Response, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}
