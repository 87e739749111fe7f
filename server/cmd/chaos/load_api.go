package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// sender posts emails. What is not through waits in later; a key that another attempt still holds is tried again in a second,
// as the server asks, and other emails go first.
type sender struct {
	*client

	later []*letter
}

// mostPosts bounds the attempts with one key; one that a killed server held is free again after a minute.
const mostPosts = 100

// emails sends through POST /v1/emails.
func (c *client) emails(ctx context.Context, _ int) {
	s := &sender{client: c}
	c.serve(ctx, func(ctx context.Context, t *target) error {
		h := newHTTP(t)
		defer h.CloseIdleConnections()
		for range 1 + c.IntN(30) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			refused := s.refused
			if err := s.post(ctx, h, t, s.next(t)); err != nil {
				return err
			}
			if s.refused > refused && !pause(ctx, breath) {
				return ctx.Err()
			}
		}
		return nil
	})
}

// next gives a letter whose time has come again, or a new one.
func (s *sender) next(t *target) *letter {
	for i, l := range s.later {
		if !time.Now().Before(l.due) {
			s.later = slices.Delete(s.later, i, i+1)
			return l
		}
	}
	return s.newEmail(t)
}

// newEmail makes an email to users, to the world, or to both; most have an Idempotency-Key, and half a sender with a mailbox.
func (c *client) newEmail(t *target) *letter {
	id := c.nextID()
	to := c.users(t)
	switch c.IntN(10) {
	case 0, 1, 2:
		to = c.strangers(id, 1)
	case 3:
		to = c.strangers(id, 2+c.IntN(4))
	case 4:
		to = append(to, c.strangers(id, 1+c.IntN(2))...)
	}
	from := pick(c.dice, "app@"+t.Domain, "app@"+t.Domain, t.Users[0].Email, t.Users[1].Email)
	l := &letter{parcel: composeText(c.dice, id), kind: kindAPI, from: from, to: to}
	if c.chance(65) {
		l.key = "key-" + id
	}
	return l
}

// post makes one attempt; some that succeeded are repeated with the same key. An error means a broken connection.
func (s *sender) post(ctx context.Context, h *caller, t *target, l *letter) error {
	for {
		outcome, reply := s.once(ctx, h, t, l)
		switch {
		case outcome == evAck && l.key != "" && s.chance(10):
			continue
		case outcome == evAck:
			return nil
		}
		return s.again(l, outcome, reply)
	}
}

// once makes one attempt.
func (s *sender) once(ctx context.Context, h *caller, t *target, l *letter) (outcome, reply string) {
	l.tries++
	op := s.begin(t, entry{Kind: kindAPI, ID: l.id, Sum: l.sum, From: l.from, Recipients: l.to, Key: l.key, Try: l.tries})
	outcome, reply, emailID := h.send(ctx, l)
	op.end(outcome, reply, entry{EmailID: emailID})
	return outcome, reply
}

// again decides whether the letter is sent once more. Without a key a careful sender mostly leaves an unknown one alone.
func (s *sender) again(l *letter, outcome, reply string) error {
	hopeless := outcome == evRefused && permanent(reply) || outcome == evUnknown && l.key == "" && s.chance(50)
	if !hopeless && l.tries < mostPosts {
		s.later = append(s.later, l)
	}
	if outcome != evRefused {
		return errAgain
	}
	l.due = time.Now().Add(time.Second)
	return nil
}

// permanent refusals are those that the same request would get again.
func permanent(reply string) bool {
	code, err := strconv.Atoi(reply[:min(3, len(reply))])
	return err == nil && code < 500 && code != http.StatusConflict && code != http.StatusTooManyRequests
}

// caller is an HTTP client that knows where the API is.
type caller struct {
	http.Client

	url, key string
}

func newHTTP(t *target) *caller {
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: patience}).DialContext, MaxIdleConnsPerHost: 4}
	return &caller{Client: http.Client{Transport: transport, Timeout: patience}, url: t.APIURL, key: t.APIKey}
}

type emailRequest struct {
	From    string            `json:"from"`
	To      []string          `json:"to"`
	Subject string            `json:"subject"`
	Text    string            `json:"text"`
	Headers map[string]string `json:"headers"`
}

// send posts the letter. The request itself is never cut short by the end of the run, so that its outcome is known.
func (h *caller) send(ctx context.Context, l *letter) (outcome, reply, emailID string) {
	body, err := json.Marshal(emailRequest{
		From: l.from, To: l.to, Subject: "chaos " + l.id, Text: l.text, Headers: map[string]string{idField: l.id},
	})
	if err != nil {
		return evUnsent, err.Error(), ""
	}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(context.WithoutCancel(ctx), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/emails", bytes.NewReader(body))
	if err != nil {
		return evUnsent, err.Error(), ""
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+h.key)
	if l.key != "" {
		req.Header.Set("Idempotency-Key", l.key)
	}
	resp, err := h.Do(req)
	switch {
	case err != nil && !connected.Load():
		return evUnsent, bare(err), ""
	case err != nil:
		return evUnknown, bare(err), ""
	}
	defer resp.Body.Close()
	return readAnswer(resp)
}

// bare takes the method and the address, which differ each time, off an error of the HTTP client.
func bare(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err.Error()
	}
	return err.Error()
}

func readAnswer(resp *http.Response) (outcome, reply, emailID string) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return evUnknown, fmt.Sprintf("%d, then %v", resp.StatusCode, err), ""
	}
	if resp.StatusCode != http.StatusAccepted {
		return evRefused, fmt.Sprintf("%d %s", resp.StatusCode, raw[:min(len(raw), 300)]), ""
	}
	var answer struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.ID == "" {
		return evRefused, fmt.Sprintf("202 without an id: %.300s", raw), ""
	}
	return evAck, "202", answer.ID
}

// get reads JSON.
func (h *caller) get(ctx context.Context, path string, out any) error {
	raw, err := h.raw(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// statusError is an answer other than 200.
type statusError struct {
	path string
	code int
	body string
}

func (e *statusError) Error() string { return fmt.Sprintf("GET %s: %d %s", e.path, e.code, e.body) }

// post asks for something without a body.
func (h *caller) post(ctx context.Context, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+h.key)
	resp, err := h.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("POST %s: %d", path, resp.StatusCode)
	}
	return nil
}

// raw reads bytes. A busy server (429, 503) is asked again for a while.
func (h *caller) raw(ctx context.Context, path string) ([]byte, error) {
	for try := 0; ; try++ {
		raw, err := h.rawOnce(ctx, path)
		var status *statusError
		if err == nil || try == 20 || !asStatus(err, &status) || status.code != http.StatusTooManyRequests && status.code != http.StatusServiceUnavailable {
			return raw, err
		}
		if !pause(ctx, 250*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}

func (h *caller) rawOnce(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+h.key)
	resp, err := h.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{path, resp.StatusCode, string(raw[:min(len(raw), 300)])}
	}
	return raw, nil
}
