package testenv_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/mailserver-dev/mailserver/server/config"
	"github.com/mailserver-dev/mailserver/server/testenv"
)

// Profiles are for a developer on the machine: where strangers connect there are none, and without the setting nowhere.
func TestProfilesHaveAListenerOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := testenv.Start(t, testenv.WithConfig(func(cfg *config.Config) { cfg.Debug.PprofListen = "127.0.0.1:0" }))
	status := func(listener string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Address(listener)+"/debug/pprof/heap", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	if got := status("pprof"); got != http.StatusOK {
		t.Errorf("the listener for profiles answers %d", got)
	}
	if got := status("http"); got != http.StatusNotFound {
		t.Errorf("the public listener answers %d", got)
	}
	if _, on := testenv.Start(t).Listening()["pprof"]; on {
		t.Error("profiles are served unasked")
	}
}
