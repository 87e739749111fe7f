package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// F-7: health says which part failed meanwhile, and that all is well again.
func TestHealthIsWatchedUntilItIsContent(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		if r.URL.Path != "/health/detailed" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		if n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"status":"failed","components":{"database":"failed","storage":"ok"}}`)
			return
		}
		fmt.Fprint(w, `{"status":"ok","components":{"database":"ok","storage":"ok"}}`)
	}))
	defer server.Close()
	var back comeback
	err := back.watchHealth(t.Context(), &target{devInfo: devInfo{APIURL: server.URL + "/v1"}}, time.Now())
	if err != nil || !slices.Equal(back.Failed, []string{"database"}) || back.Healthy == 0 || asked.Load() != 3 {
		t.Errorf("%+v after %d questions, %v", back, asked.Load(), err)
	}
}

func TestLettersAreSortedToTheServersThatTheyWereSentTo(t *testing.T) {
	t.Parallel()
	r := &runner{options: options{seed: 7}}
	first := &site{runner: r, name: "main", load: &load{seed: 7, site: "main"}}
	second := &site{runner: r, name: "disk", load: &load{seed: 7, site: "disk", tag: "d"}}
	r.sites = []*site{first, second}
	for id, want := range map[string]*site{
		first.load.client("a0", 1).nextID(): first, second.load.client("a0", 1).nextID(): second,
		first.load.watcher().arriving.nextID(): first, second.load.watcher().filing.nextID(): second, "strange": nil,
	} {
		if got := r.siteOf(id); got != want {
			t.Errorf("%s is sorted wrongly", id)
		}
	}
}

func TestWayOverWhichNothingCameIsNamed_F18(t *testing.T) {
	t.Parallel()
	before := [ways]int64{1, 2, 3, 4}
	if got := missing(before, [ways]int64{2, 3, 4, 5}); got != "" {
		t.Errorf("missing is %q", got)
	}
	if got := missing(before, [ways]int64{2, 3, 3, 5}); got != "api" {
		t.Errorf("missing is %q", got)
	}
}

func TestClientsThatComeBackAreWaitedForHoweverLongTheServerRan_F18(t *testing.T) {
	t.Parallel()
	l, err := openLedger(filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.close() }()
	s := &site{
		runner: &runner{res: newResult(&options{}), ledger: l}, load: &load{}, proc: &process{exited: make(chan struct{})},
		prog: &program{log: l.file}, up: time.Now().Add(-time.Hour),
	}
	working, stop := context.WithCancel(t.Context())
	s.load.wait.Go(func() {
		for way := 0; pause(working, time.Millisecond); way = (way + 1) % ways {
			s.load.marks[way].Add(1)
		}
	})
	if err := s.everyWay(t.Context()); err != nil || !s.res.OK || len(s.res.Restarts.Reconnected) != 1 {
		t.Errorf("%v, violations %v", err, s.res.Violations)
	}
	stop()
	s.load.wait.Wait()
	close(s.proc.exited)
	if err := s.everyWay(t.Context()); err == nil {
		t.Error("a server that ended by itself was not noticed")
	}
}
