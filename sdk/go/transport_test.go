package mailserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailserver-dev/mailserver/sdk/go"
)

// step is one answer of a scripted server.
type step struct {
	status     int
	header     map[string]string
	body       string
	err        error         // the connection breaks instead
	breakAfter bool          // it breaks in the middle of the body
	delay      time.Duration // before anything comes
}

// script is a server below HTTP: one step per request, the last one again and again.
type script struct {
	steps []step
	seen  []*http.Request
	at    []time.Time
	body  []string
}

// RoundTrip implements http.RoundTripper.
func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	now := s.steps[min(len(s.seen), len(s.steps)-1)]
	s.seen, s.at = append(s.seen, req), append(s.at, time.Now())
	if req.Body != nil {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		s.body = append(s.body, string(text))
	}
	select {
	case <-time.After(now.delay):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if now.err != nil {
		return nil, now.err
	}
	res := &http.Response{StatusCode: now.status, Header: http.Header{"Content-Type": {"application/json"}}, Request: req}
	if now.status >= 400 {
		res.Header.Set("Content-Type", "application/problem+json")
	}
	for name, value := range now.header {
		res.Header.Set(name, value)
	}
	res.Body = io.NopCloser(strings.NewReader(now.body))
	if now.breakAfter {
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(now.body), broken{}))
	}
	return res, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// client speaks to the script.
func client(t *testing.T, s *script, options ...mailserver.Option) *mailserver.Client {
	t.Helper()
	c, err := mailserver.New("http://server.test/v1", append([]mailserver.Option{
		mailserver.WithAPIKey("ms_live_secret"), mailserver.WithHTTPClient(&http.Client{Transport: s}),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	domainBody = `{"id":"dom_1","name":"example.test","status":"verified","created_at":"2026-11-25T15:00:00Z","updated_at":"2026-11-25T15:00:00Z"}`
	busy       = `{"type":"/problems/unavailable","title":"Service Unavailable","status":503,"detail":"busy","code":"unavailable"}`
	inProgress = `{"type":"x","title":"Conflict","status":409,"detail":"it runs","code":"idempotency-in-progress"}`
	absent     = `{"type":"x","title":"Not Found","status":404,"detail":"there is none","code":"not-found"}`
	exists     = `{"type":"x","title":"Conflict","status":409,"detail":"there is one","code":"already-exists","request_id":"req_1"}`
)

// What is safe to repeat is repeated, and nothing else: a program neither loses a send to a hiccup nor does a thing twice.
func TestFailedRequestsAreRepeatedOnlyWhenThatIsSafe(t *testing.T) {
	t.Parallel()
	get := func(ctx context.Context, c *mailserver.Client) error {
		_, err := c.Domains.Get(ctx, "dom_1")
		return err
	}
	create := func(ctx context.Context, c *mailserver.Client) error {
		_, err := c.Domains.Create(ctx, mailserver.DomainCreate{Name: "example.test"})
		return err
	}
	update := func(ctx context.Context, c *mailserver.Client) error {
		_, err := c.Domains.Update(ctx, "dom_1", mailserver.DomainUpdate{})
		return err
	}
	remove := func(ctx context.Context, c *mailserver.Client) error { return c.Domains.Delete(ctx, "dom_1") }
	good, made, gone := step{status: 200, body: domainBody}, step{status: 201, body: domainBody}, step{status: 204}
	reset := step{err: errors.New("connection reset by peer")}
	for name, c := range map[string]struct {
		call     func(context.Context, *mailserver.Client) error
		steps    []step
		requests int
		fails    bool
	}{
		"a GET after 503":                     {get, []step{{status: 503, body: busy}, good}, 2, false},
		"a GET after 429":                     {get, []step{{status: 429, body: `{}`}, good}, 2, false},
		"a GET after 502 and 504":             {get, []step{{status: 502}, {status: 504}, good}, 3, false},
		"a GET after a reset":                 {get, []step{reset, good}, 2, false},
		"a GET whose answer broke off":        {get, []step{{status: 200, body: domainBody[:20], breakAfter: true}, good}, 2, false},
		"a GET after 500":                     {get, []step{{status: 500, body: `{}`}, good}, 1, true},
		"a GET after 404":                     {get, []step{{status: 404, body: `{}`}, good}, 1, true},
		"a GET that never works":              {get, []step{{status: 503, body: busy}}, 4, true},
		"a POST after a reset":                {create, []step{reset, made}, 2, false},
		"a POST after 503":                    {create, []step{{status: 503, body: busy}, made}, 2, false},
		"a POST that the server still does":   {create, []step{reset, {status: 409, body: inProgress}, made}, 3, false},
		"a POST with another conflict":        {create, []step{{status: 409, body: exists}, made}, 1, true},
		"a DELETE after a reset":              {remove, []step{reset, gone}, 2, false},
		"a DELETE whose answer was lost":      {remove, []step{reset, {status: 404, body: absent}}, 2, false},
		"a DELETE that a proxy gave up":       {remove, []step{{status: 502}, {status: 404, body: absent}}, 2, false},
		"a DELETE of nothing":                 {remove, []step{{status: 404, body: absent}}, 1, true},
		"a DELETE of nothing after 429":       {remove, []step{{status: 429, body: `{}`}, {status: 404, body: absent}}, 2, true},
		"a DELETE that a proxy does not find": {remove, []step{reset, {status: 404}}, 2, true},
		"a GET of nothing after a reset":      {get, []step{reset, {status: 404, body: absent}}, 2, true},
		"a PATCH after a reset":               {update, []step{reset, good}, 1, true},
		"a PATCH after 503":                   {update, []step{{status: 503, body: busy}, good}, 1, true},
		"a pause beyond what anybody wants":   {get, []step{{status: 503, body: busy, header: map[string]string{"Retry-After": "3600"}}, good}, 1, true},
		"an answer that is no JSON of ours":   {get, []step{{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: "<p>"}}, 1, true},
		"a redirect, which might lose a body": {create, []step{{status: 301, header: map[string]string{"Location": "https://other.test/"}}}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: c.steps}
				err := c.call(t.Context(), client(t, s))
				if len(s.seen) != c.requests || (err != nil) != c.fails {
					t.Errorf("%d requests, error %v; want %d requests, error: %t", len(s.seen), err, c.requests, c.fails)
				}
			})
		})
	}
}

func TestARepetitionHasTheSameBodyAndTheSameIdempotencyKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{err: io.ErrUnexpectedEOF}, {status: 503, body: busy}, {status: 201, body: domainBody}}}
		c := client(t, s)
		for range 2 {
			if _, err := c.Domains.Create(t.Context(), mailserver.DomainCreate{Name: "example.test"}); err != nil {
				t.Fatal(err)
			}
		}
		keys := make([]string, len(s.seen))
		for i, req := range s.seen {
			keys[i] = req.Header.Get("Idempotency-Key")
		}
		if len(keys) != 4 || len(keys[0]) < 20 || keys[0] != keys[1] || keys[1] != keys[2] || keys[2] == keys[3] {
			t.Errorf("the keys were %q; want one for the three attempts of a call, another for the next call", keys)
		}
		if slices.ContainsFunc(s.body, func(b string) bool { return b != `{"name":"example.test"}` }) {
			t.Errorf("the bodies were %q", s.body)
		}
		if auth := s.seen[0].Header.Get("Authorization"); auth != "Bearer ms_live_secret" {
			t.Errorf("the credential was %q", auth)
		}
	})
}

func TestTheCallersIdempotencyKeyWins(t *testing.T) {
	t.Parallel()
	s := &script{steps: []step{{status: 202, body: `{"id":"eml_1","status":"queued","recipients":[]}`}}}
	send := mailserver.EmailSend{From: "a@example.test", To: []string{"b@example.test"}, Text: "x"}
	if _, err := client(t, s).Emails.Send(t.Context(), send, mailserver.IdempotencyKey("order-42"), mailserver.RequestID("order42-first")); err != nil {
		t.Fatal(err)
	}
	if got := s.seen[0].Header; got.Get("Idempotency-Key") != "order-42" || got.Get("Request-Id") != "order42-first" {
		t.Errorf("sent %v", got)
	}
}

func TestPausesGrowAndHonourRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{
			{status: 503, body: busy},
			{status: 503, body: busy, header: map[string]string{"Retry-After": "7"}},
			{status: 503, body: busy},
			{status: 200, body: domainBody},
		}}
		if _, err := client(t, s).Domains.Get(t.Context(), "dom_1"); err != nil {
			t.Fatal(err)
		}
		for i, bound := range [][2]time.Duration{{125 * time.Millisecond, 250 * time.Millisecond}, {7 * time.Second, 7 * time.Second}, {500 * time.Millisecond, time.Second}} {
			if pause := s.at[i+1].Sub(s.at[i]); pause < bound[0] || pause > bound[1] {
				t.Errorf("pause %d was %s, want %s to %s", i+1, pause, bound[0], bound[1])
			}
		}
	})
}

func TestAnAttemptAndTheWholeAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{delay: time.Hour}, {status: 200, body: domainBody}}}
		c := client(t, s, mailserver.WithTimeout(10*time.Second))
		begin := time.Now()
		if _, err := c.Domains.Get(t.Context(), "dom_1"); err != nil {
			t.Errorf("a hanging attempt was not given up and repeated: %v", err)
		}
		if took := time.Since(begin); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("it took %s", took)
		}

		s.steps = []step{{status: 503, body: busy, header: map[string]string{"Retry-After": "30"}}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := c.Domains.Get(ctx, "dom_1")
		if !errors.Is(err, context.DeadlineExceeded) || !mailserver.IsCode(err, mailserver.CodeUnavailable) {
			t.Errorf("got %v; want the end of the context and what it waited for", err)
		}

		s.steps = []step{{delay: time.Hour}}
		if _, err := client(t, s, mailserver.WithTimeout(time.Second), mailserver.WithRetries(0)).Domains.Get(t.Context(), "dom_1"); err == nil ||
			!strings.Contains(err.Error(), "did not answer in time (1s)") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAProblemTellsEverythingThatTheServerSaid(t *testing.T) {
	t.Parallel()
	body := `{"type":"/problems/validation-failed","title":"Unprocessable Entity","status":422,"detail":"body.from: not an address",` +
		`"code":"validation-failed","request_id":"req_9","errors":[{"location":"body.from","message":"not an address","code":"recipient-invalid"}]}`
	s := &script{steps: []step{{status: 422, body: body, header: map[string]string{"Retry-After": "3"}}}}
	_, err := client(t, s).Emails.Send(t.Context(), mailserver.EmailSend{From: "x"})
	var p *mailserver.Problem
	if !errors.As(err, &p) || !mailserver.IsCode(err, mailserver.CodeNotFound, mailserver.CodeValidationFailed) || mailserver.IsCode(err, mailserver.CodeNotFound) {
		t.Fatalf("got %v", err)
	}
	if p.Status != 422 || p.RequestID != "req_9" || p.RetryAfter != 3*time.Second || len(p.Errors) != 1 || p.Errors[0].Location != "body.from" {
		t.Errorf("got %+v", p)
	}
	if want := "422 validation-failed: body.from: not an address (request req_9)"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestAnErrorOfSomethingBetweenIsAProblemWithoutACode(t *testing.T) {
	t.Parallel()
	s := &script{steps: []step{{status: 500, header: map[string]string{"Content-Type": "text/plain; charset=utf-8", "Request-Id": "req_7"}, body: "no route to the mail server\n"}}}
	_, err := client(t, s).Domains.Get(t.Context(), "dom_1")
	var p *mailserver.Problem
	if !errors.As(err, &p) || p.Code != "" || p.Status != 500 || p.RequestID != "req_7" || p.Detail != "no route to the mail server" {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestVersionsTravelAsETags(t *testing.T) {
	t.Parallel()
	s := &script{steps: []step{
		{status: 200, body: domainBody, header: map[string]string{"Etag": `"3"`}},
		{status: 200, body: domainBody, header: map[string]string{"Etag": `"4"`}},
		{status: 304, header: map[string]string{"Etag": `"4"`}},
	}}
	c := client(t, s)
	var tag string
	if _, err := c.Domains.Get(t.Context(), "dom_1", mailserver.ETag(&tag)); err != nil || tag != `"3"` {
		t.Fatalf("%q, %v", tag, err)
	}
	update := mailserver.DomainUpdate{Status: new(mailserver.DomainStatusDisabled)}
	if _, err := c.Domains.Update(t.Context(), "dom_1", update, mailserver.IfMatch(tag), mailserver.ETag(&tag)); err != nil || tag != `"4"` {
		t.Fatalf("%q, %v", tag, err)
	}
	if _, err := c.Domains.Get(t.Context(), "dom_1", mailserver.IfNoneMatch(tag)); !errors.Is(err, mailserver.ErrNotModified) {
		t.Errorf("got %v", err)
	}
	if s.seen[1].Header.Get("If-Match") != `"3"` || s.seen[2].Header.Get("If-None-Match") != `"4"` {
		t.Errorf("the conditions were not sent")
	}
}

func TestADownloadIsNotCutByTheTimeOfAnAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{status: 200, header: map[string]string{"Content-Type": "message/rfc822"}, body: "From: a\r\n\r\nx"}}}
		body, err := client(t, s, mailserver.WithTimeout(time.Second)).Emails.Raw(t.Context(), "eml_1")
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		text, err := io.ReadAll(body)
		if err != nil || string(text) != "From: a\r\n\r\nx" || s.seen[0].Context().Err() != nil {
			t.Errorf("%q, %v, %v", text, err, s.seen[0].Context().Err())
		}
		if err := body.Close(); err != nil || s.seen[0].Context().Err() == nil {
			t.Errorf("close: %v; the request's context goes on: %t", err, s.seen[0].Context().Err() == nil)
		}
	})
}

func TestBadURLsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "mail.example.test", "ftp://mail.example.test", "https://", "https://u:secret@mail.example.test", "http://x.test?a=b"} {
		if _, err := mailserver.New(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q gave %v", bad, err)
		}
	}
	for _, good := range []string{"http://x.test", "http://x.test/", "http://x.test/v1", "http://x.test/v1/", "http://x.test/mail/v1"} {
		s := &script{steps: []step{{status: 200, body: domainBody}}}
		c, err := mailserver.New(good, mailserver.WithHTTPClient(&http.Client{Transport: s}))
		if err != nil {
			t.Fatal(good, err)
		}
		if _, err := c.Domains.Get(t.Context(), "dom_1"); err != nil {
			t.Fatal(good, err)
		}
		want := "/v1/domains/dom_1"
		if strings.Contains(good, "/mail") {
			want = "/mail" + want
		}
		if got := s.seen[0].URL.Path; got != want {
			t.Errorf("%s asked for %s", good, got)
		}
	}
}

// A key with the line break of its file works; one that no request can carry is refused at once, and is in no error.
func TestAKeyIsTrimmedOrRefusedAndNeverQuoted(t *testing.T) {
	t.Parallel()
	s := &script{steps: []step{{status: 200, body: domainBody}}}
	if _, err := client(t, s, mailserver.WithAPIKey(" ms_live_secret\r\n")).Domains.Get(t.Context(), "dom_1"); err != nil {
		t.Fatal(err)
	}
	if got := s.seen[0].Header.Get("Authorization"); got != "Bearer ms_live_secret" {
		t.Errorf("sent %q", got)
	}
	for _, key := range []string{"ms_live_\nsecret", "ms_live_ secret", "ms_live_\x00secret", "ms_live_secret…", "ms_live_\xffsecret"} {
		if _, err := mailserver.New("http://server.test", mailserver.WithAPIKey(key)); err == nil || !strings.Contains(err.Error(), "API key") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q gave %v", key, err)
		}
	}
}

func TestAHeaderThatCannotBeSentIsNotTriedAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := &script{steps: []step{{status: 201, body: domainBody}}}
	_, err := client(t, s).Domains.Create(t.Context(), mailserver.DomainCreate{Name: "example.test"}, mailserver.IdempotencyKey("secret\n1"))
	if err == nil || !strings.Contains(err.Error(), "Idempotency-Key") || strings.Contains(err.Error(), "secret") || len(s.seen) != 0 {
		t.Errorf("%d requests, %v", len(s.seen), err)
	}
}

func TestFromEnv(t *testing.T) {
	t.Setenv(mailserver.EnvURL, "")
	t.Setenv(mailserver.EnvAPIKey, "ms_live_x")
	if _, err := mailserver.FromEnv(); !errors.Is(err, mailserver.ErrNotConfigured) || !strings.Contains(err.Error(), mailserver.EnvURL) {
		t.Errorf("without a URL: %v", err)
	}
	t.Setenv(mailserver.EnvURL, "http://server.test/v1\n")
	t.Setenv(mailserver.EnvAPIKey, " \n")
	if _, err := mailserver.FromEnv(); !errors.Is(err, mailserver.ErrNotConfigured) {
		t.Errorf("with an empty key: %v", err)
	}
	t.Setenv(mailserver.EnvAPIKey, "ms_live_x\n")
	s := &script{steps: []step{{status: 200, body: domainBody}}}
	c, err := mailserver.FromEnv(mailserver.WithHTTPClient(&http.Client{Transport: s}), mailserver.WithUserAgent("shop/1.0"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Domains.Get(t.Context(), "dom_1"); err != nil {
		t.Fatal(err)
	}
	if h := s.seen[0].Header; h.Get("Authorization") != "Bearer ms_live_x" || h.Get("User-Agent") != "shop/1.0 mailserver-go" {
		t.Errorf("sent %v", h)
	}
}

// Whatever answers, a program gets an object or an error and never a panic.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "application/json", "", domainBody)
	f.Add(503, "application/problem+json", "7", busy)
	f.Add(429, "application/problem+json; charset=utf-8", "Wed, 25 Nov 2026 15:00:00 GMT", `{"code":5}`)
	f.Add(502, "text/html", "-1", "<html>")
	f.Add(301, "", "99999999999999999999", "")
	f.Fuzz(func(t *testing.T, status int, media, retryAfter, body string) {
		if status < 200 || status > 599 {
			return
		}
		s := &script{steps: []step{{status: status, header: map[string]string{"Content-Type": media, "Retry-After": retryAfter}, body: body}}}
		c := client(t, s, mailserver.WithRetries(0))
		d, err := c.Domains.Get(t.Context(), "dom_1")
		var p *mailserver.Problem
		switch {
		case (d == nil) == (err == nil):
			t.Errorf("got %v and %v", d, err)
		case status >= 400 && (!errors.As(err, &p) || p.Status != int64(status) || p.RetryAfter < 0 || p.Error() == ""):
			t.Errorf("%d became %v", status, err)
		}
	})
}
