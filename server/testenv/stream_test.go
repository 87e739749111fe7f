package testenv_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/testenv"
)

// listen opens an event stream over HTTP/1.1 or, with TLS, HTTP/2.
func listen(t *testing.T, s *testenv.Server, scheme, query string) *bufio.Reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+strings.Replace(s.Address(scheme), "127.0.0.1", "localhost", 1)+"/v1/events/stream"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Demo.APIKey)
	res, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS(), ForceAttemptHTTP2: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if want := map[string]int{"http": 1, "https": 2}[scheme]; res.StatusCode != http.StatusOK || res.ProtoMajor != want {
		t.Fatalf("%d over HTTP/%d", res.StatusCode, res.ProtoMajor)
	}
	return bufio.NewReader(res.Body)
}

// hear reads up to an event of the type and gives its data.
func hear(t *testing.T, in *bufio.Reader, kind string) string {
	t.Helper()
	for found := false; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("no %s: %v", kind, err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok && found {
			return strings.TrimSpace(data)
		}
		found = strings.TrimSpace(line) == "event: "+kind || found && line != "\n"
	}
}

// A49, A50: what happens in any protocol is seen in the console's stream at once, and the numbers follow.
func TestAStreamFollowsALetterThroughTheServerAndEndsWithIt(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t)
	plain, secure := listen(t, s, "http", ""), listen(t, s, "https", "?type=stats.tick&type=message.*")
	hear(t, plain, "stream.open")
	hear(t, secure, "stats.tick")
	begin := time.Now()
	if err := s.Arrive("someone@outside.test", []string{s.Alice().Email}, fmt.Sprintf(letter, "first", "m1")); err != nil {
		t.Fatal(err)
	}
	if data := hear(t, plain, "message.received"); !strings.Contains(data, "alice@demo.test") {
		t.Errorf("%s", data)
	}
	t.Logf("seen %v after the connection to port 25 was opened", time.Since(begin))
	hear(t, secure, "message.received")
	for data := ""; !strings.Contains(data, `"last_hour":{"received":1,`); {
		data = hear(t, secure, "stats.tick")
	}
	t.Logf("counted %v after it", time.Since(begin))
	if err := s.Submit(s.Alice(), []string{"someone@outside.test"}, "From: alice@demo.test\r\nTo: someone@outside.test\r\nSubject: second\r\n\r\nhello\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"email.accepted", "email.delivered"} {
		hear(t, plain, kind)
	}
	// A client that has gone to sleep does not hold the server up.
	listen(t, s, "http", "?after=oldest")
	begin = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	for _, in := range []*bufio.Reader{plain, secure} {
		if data := hear(t, in, "stream.end"); data != `{"code":"shutdown"}` {
			t.Errorf("%s", data)
		}
		if _, err := io.Copy(io.Discard, in); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
	}
}
