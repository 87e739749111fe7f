package mailserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Bounds of answers and pauses.
const (
	maxBody    = 64 << 20 // no JSON answer is larger
	maxProblem = 1 << 20
	firstPause = 250 * time.Millisecond
	maxPause   = 10 * time.Second
	// maxRetryAfter is the longest pause that a server may ask for; beyond it the caller is told instead.
	maxRetryAfter = time.Minute
)

// transport is below the generated client: credential, idempotency, repetition, and problems as errors.
type transport struct {
	http    *http.Client
	key     string
	agent   string
	retries int
	timeout time.Duration
}

// Do sends a request as often as is needed and safe. An answer from 400 on is an error, a *Problem.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	if err := t.complete(req, c); err != nil {
		return nil, err
	}
	uncertain := false // an earlier attempt may have done it
	for attempt := 0; ; attempt++ {
		res, err := t.attempt(req, c)
		if uncertain && req.Method == http.MethodDelete && IsCode(err, CodeNotFound) {
			return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}
		if err == nil {
			for _, into := range c.tags {
				*into = res.Header.Get("ETag")
			}
			return res, nil
		}
		pause, again := t.pause(req, err, attempt)
		if !again || c.once {
			return nil, err
		}
		uncertain = uncertain || !refused(err)
		if waitErr := wait(req.Context(), pause); waitErr != nil {
			return nil, fmt.Errorf("%w while waiting to repeat a request that failed: %w", waitErr, err)
		}
		if err := rewind(req); err != nil {
			return nil, err
		}
	}
}

// complete adds the headers. The same key goes with every repetition, or it would protect nothing.
func (t *transport) complete(req *http.Request, c *call) error {
	maps.Copy(req.Header, c.header)
	req.Header.Set("User-Agent", t.agent)
	if t.key != "" {
		req.Header.Set("Authorization", "Bearer "+t.key)
	}
	if !c.stream {
		req.Header.Set("Accept", "application/json")
	}
	if req.Method == http.MethodPost && req.Header.Get("Idempotency-Key") == "" {
		req.Header.Set("Idempotency-Key", rand.Text())
	}
	for name, values := range req.Header {
		if strings.ContainsFunc(strings.Join(values, ""), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return fmt.Errorf("the header field %s would have a control character in it", name)
		}
	}
	return nil
}

// refused reports whether the server certainly did not do what it was asked for.
func refused(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == http.StatusTooManyRequests
}

// attempt sends the request once and reads the whole answer, unless the caller wants it as a stream: a body that breaks off is a
// failed attempt too.
func (t *transport) attempt(req *http.Request, c *call) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timeout := t.timeout
	if c.upload {
		timeout = max(timeout, uploadTimeout)
	}
	timer := time.AfterFunc(timeout, func() { cancel(fmt.Errorf("%w (%s)", errTimeout, timeout)) })
	client := t.http
	if c.once {
		lasting := *t.http
		lasting.Timeout = 0 // it would end the body too
		client = &lasting
	}
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		timer.Stop()
		err = explain(ctx, err)
		cancel(nil)
		return nil, err
	}
	if c.stream && res.StatusCode < http.StatusMultipleChoices {
		if !timer.Stop() {
			res.Body.Close()
			return nil, errTimeout
		}
		res.Body = &streamBody{ReadCloser: res.Body, end: func() { cancel(nil) }}
		return res, nil
	}
	defer cancel(nil)
	defer timer.Stop()
	defer res.Body.Close()
	if res.StatusCode >= http.StatusMultipleChoices && res.StatusCode != http.StatusNotModified {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
		if err != nil {
			body = nil // the status says enough
		}
		return nil, problemOf(res, body)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, explain(ctx, fmt.Errorf("read the answer: %w", err))
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("%w of %d bytes", errTooLarge, maxBody)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

var (
	errTimeout  = errors.New("the server did not answer in time")
	errTooLarge = errors.New("the answer is larger than the bound")
)

// explain tells the time of the attempt from the end of the caller's context.
func explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errTimeout) {
		return cause
	}
	return err
}

// streamBody ends the request's context when the download is closed.
type streamBody struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (b *streamBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// pause says whether a failed request is sent again, and after which time.
func (t *transport) pause(req *http.Request, err error, attempt int) (time.Duration, bool) {
	var untrusted *tls.CertificateVerificationError
	if attempt >= t.retries || !repeatable(req) || req.Context().Err() != nil || errors.Is(err, errTooLarge) || errors.As(err, &untrusted) {
		return 0, false
	}
	pause := backoff(attempt)
	var p *Problem
	if !errors.As(err, &p) {
		return pause, true
	}
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		// The server still works on the first attempt, whose answer was lost.
		if p.Code != CodeIdempotencyInProgress {
			return 0, false
		}
	}
	return max(pause, p.RetryAfter), p.RetryAfter <= maxRetryAfter
}

// repeatable reports whether sending the request twice does no more than sending it once, and whether its body is there again.
func repeatable(req *http.Request) bool {
	if req.Body != nil && req.GetBody == nil {
		return false
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return req.Header.Get("Idempotency-Key") != ""
}

// backoff doubles from 250 ms to 10 s; a half of it is chance, so that many clients do not come back together.
func backoff(attempt int) time.Duration {
	full := min(maxPause, firstPause<<min(attempt, 10))
	return full/2 + mathrand.N(full/2) //nolint:gosec // no secret
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rewind gives the request its body back.
func rewind(req *http.Request) error {
	if req.GetBody == nil {
		return nil
	}
	body, err := req.GetBody()
	req.Body = body
	return err
}
