package api_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/api"
)

// Over HTTP/2 the connection goes on while one of its streams stands still, so the listener's limit does not see it.
func TestAClientThatDoesNotReadIsCut_S13(t *testing.T) {
	t.Parallel()
	for _, major := range []int{1, 2} {
		ended := make(chan error, 1)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != major {
				t.Errorf("HTTP/%d", r.ProtoMajor)
			}
			ended <- api.Flood(w, 200*time.Millisecond)
		}))
		server.EnableHTTP2 = major == 2
		server.StartTLS()
		defer server.Close()
		res, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		select {
		case err := <-ended:
			if !errors.Is(err, os.ErrDeadlineExceeded) && !strings.Contains(err.Error(), "stream") && !strings.Contains(err.Error(), "deadline") {
				t.Errorf("HTTP/%d: %v", major, err)
			}
		case <-time.After(patience):
			t.Errorf("HTTP/%d: a client that does not read keeps its place", major)
		}
	}
}
