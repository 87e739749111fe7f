package obs_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/obs"
)

// ask sends one request to a server of profiles and gives status and body.
func ask(t *testing.T, s *httptest.Server, method, path, host string, body io.Reader) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, got
}

// gzipped is how a profile begins.
var gzipped = []byte{0x1f, 0x8b}

// There is one CPU profile per process, so all that takes one is one test.
func TestACPUProfileLastsAsLongAsTheBodyOfItsRequest(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(obs.Profiles())
	defer s.Close()
	body, end := io.Pipe()
	type answer struct {
		status int
		text   []byte
	}
	first := make(chan answer, 1)
	go func() {
		status, text := ask(t, s, http.MethodPost, "/debug/pprof/profile", "", body)
		first <- answer{status, text}
	}()
	if _, err := end.Write([]byte("on")); err != nil {
		t.Fatal(err)
	}
	// The second one is refused while the first one runs, which shows that it does.
	for {
		status, text := ask(t, s, http.MethodPost, "/debug/pprof/profile", "", strings.NewReader(""))
		if status == http.StatusServiceUnavailable {
			break
		}
		if status != http.StatusOK || !bytes.HasPrefix(text, gzipped) {
			t.Fatalf("a profile of no time: %d, %.100q", status, text)
		}
	}
	select {
	case <-first:
		t.Fatal("the profile ended before its request")
	default:
	}
	end.Close()
	if got := <-first; got.status != http.StatusOK || !bytes.HasPrefix(got.text, gzipped) {
		t.Errorf("got %d, %.100q", got.status, got.text)
	}
	if status, text := ask(t, s, http.MethodGet, "/debug/pprof/profile?seconds=1", "", nil); status != http.StatusOK || !bytes.HasPrefix(text, gzipped) {
		t.Errorf("a profile of one second: %d, %.100q", status, text)
	}
}

func TestProfilesAreForThisMachineOnly(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(obs.Profiles())
	defer s.Close()
	for _, c := range []struct {
		path, host string
		want       int
	}{
		{"/debug/pprof/heap", "", http.StatusOK},
		{"/debug/pprof/heap?debug=1&gc=1", "localhost:6060", http.StatusOK},
		{"/debug/pprof/goroutine", "[::1]:6060", http.StatusOK},
		{"/debug/pprof/goroutine", "[::1]", http.StatusOK},
		{"/debug/pprof/heap", "rebound.example", http.StatusForbidden},
		{"/debug/pprof/heap", "192.0.2.1:6060", http.StatusForbidden},
		{"/debug/pprof/profile?seconds=0", "", http.StatusBadRequest},
		{"/debug/pprof/profile?seconds=601", "", http.StatusBadRequest},
		{"/debug/pprof/profile?seconds=x", "", http.StatusBadRequest},
		{"/debug/pprof/cmdline", "", http.StatusNotFound},
		{"/metrics", "", http.StatusNotFound},
	} {
		if got, _ := ask(t, s, http.MethodGet, c.path, c.host, nil); got != c.want {
			t.Errorf("%s of host %q: %d, want %d", c.path, c.host, got, c.want)
		}
	}
	if _, text := ask(t, s, http.MethodGet, "/debug/pprof/memory", "", nil); !regexp.MustCompile(`(?s)^allocated_objects [1-9]\d*\nallocated_bytes [1-9]`).Match(text) {
		t.Errorf("figures %.200q", text)
	}
}
