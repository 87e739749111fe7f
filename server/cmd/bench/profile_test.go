package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// profiled is a server that gives profiles and counts what it allocates.
type profiled struct {
	*httptest.Server
	running atomic.Int64
	objects atomic.Int64
}

func newProfiled(t *testing.T) *profiled {
	t.Helper()
	p := &profiled{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		if p.running.Add(1) > 1 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		} else {
			text, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "cpu until %q", text)
		}
		p.running.Add(-1)
	})
	mux.HandleFunc("GET /debug/pprof/memory", func(w http.ResponseWriter, _ *http.Request) {
		n := p.objects.Add(500)
		fmt.Fprintf(w, "allocated_objects %d\nallocated_bytes %d\nother 1\n", n, 1024*n)
	})
	mux.HandleFunc("GET /debug/pprof/{name}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.PathValue("name")) })
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func TestEachMeasureLeavesItsProfilesAndWhatOneLetterCost(t *testing.T) {
	t.Parallel()
	p := newProfiled(t)
	b := &bout{ctx: t.Context(), server: &server{}, profiler: &profiler{dir: t.TempDir(), base: p.URL}}
	for range 2 {
		s, err := b.begin("ingest C=8")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.finish(); err != nil {
			t.Fatal(err)
		}
		b.each(100)
	}
	if _, err := b.begin("broken off"); err != nil { // as when a measure fails
		t.Fatal(err)
	}
	b.abandon()
	if p.running.Load() != 0 {
		t.Error("the profile goes on")
	}
	entries, err := os.ReadDir(b.profiler.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	var want []string
	for _, kind := range []string{"allocs-before", "allocs", "cpu", "heap"} {
		want = append(want, "ingest-c=8."+kind+".pprof", "ingest-c=8-2."+kind+".pprof")
	}
	want = append(want, "broken-off.allocs-before.pprof", "broken-off.cpu.pprof")
	slices.Sort(want)
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("kept %v, want %v", names, want)
	}
	text, err := os.ReadFile(filepath.Join(b.profiler.dir, "ingest-c=8.cpu.pprof"))
	if err != nil || !strings.HasPrefix(string(text), "cpu until") {
		t.Errorf("the profile holds %q, %v", text, err)
	}
	if len(b.profiled) != 2 || b.profiled[0].Objects != 500 || b.profiled[0].Bytes != 500*1024 || b.profiled[1].Units != 100 {
		t.Errorf("counted %+v", b.profiled)
	}
	var out bytes.Buffer
	b.profiled[0].show(&out)
	if got := out.String(); got != "ingest C=8\t100\t0\t0\t5\t5\n" {
		t.Errorf("shown as %q", got)
	}
}

func TestAServerThatIsBeingProfiledByOthersFailsTheMeasure(t *testing.T) {
	t.Parallel()
	p := newProfiled(t)
	p.running.Store(1)
	b := &bout{ctx: t.Context(), server: &server{}, profiler: &profiler{dir: t.TempDir(), base: p.URL}}
	s, err := b.begin("push")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.finish(); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("got %v", err)
	}
}
