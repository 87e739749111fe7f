package obs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// profileMost is how long one CPU profile may last.
const profileMost = 10 * time.Minute

// Profiles serves profiles of this process below /debug/pprof/, in the form that `go tool pprof` reads, to this machine only:
//
//	GET  profile?seconds=N  the CPU time of the next N seconds, default 30
//	POST profile            that of the time until the body of the request ends
//	GET  memory             what runtime.MemStats counts of allocations and of memory held, one "name number" a line
//	GET  NAME               heap, allocs, goroutine, block, mutex or threadcreate; with debug=1 as text, with gc=1 after a collection
//
// Nobody is asked who they are: serve it on a loopback address that nobody else can reach. One CPU profile runs at a time; another
// one gets 503. A request whose Host is not of this machine gets 403, so that no web page reads profiles by a name of its own.
func Profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		span := profileSpan(r.FormValue("seconds"))
		if span == 0 {
			http.Error(w, "seconds is a number from 1 to 600", http.StatusBadRequest)
			return
		}
		profileCPU(w, func() {
			ctx, cancel := context.WithTimeout(r.Context(), span)
			defer cancel()
			<-ctx.Done()
		})
	})
	mux.HandleFunc("POST /debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		profileCPU(w, func() {
			// The kernel keeps the deadlines of sockets. (Closing the body would wait for the read that it is to end.)
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(profileMost)) //nolint:forbidigo // see above
			_, _ = io.Copy(io.Discard, r.Body)                                             // however it ends, it has ended
		})
	})
	mux.HandleFunc("GET /debug/pprof/memory", memory)
	mux.HandleFunc("GET /debug/pprof/{name}", profileOf)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !thisMachine(r.Host) {
			http.Error(w, "ask by 127.0.0.1, [::1] or localhost", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// profileSpan gives how long a profile is to last, 0 for what is no number of seconds within the bound.
func profileSpan(seconds string) time.Duration {
	if seconds == "" {
		return 30 * time.Second
	}
	n, err := strconv.Atoi(seconds)
	if err != nil || n < 1 || n > int(profileMost/time.Second) {
		return 0
	}
	return time.Duration(n) * time.Second
}

// profileCPU profiles for as long as wait takes.
func profileCPU(w http.ResponseWriter, wait func()) {
	var out bytes.Buffer
	if err := pprof.StartCPUProfile(&out); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	wait()
	pprof.StopCPUProfile()
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(out.Bytes()) // who has left gets none
}

// memory tells the counters without which a profile, which is a sample, is hard to weigh.
func memory(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "allocated_objects %d\nallocated_bytes %d\nheap_bytes %d\nheap_held_bytes %d\nstack_bytes %d\ncollections %d\n",
		m.Mallocs, m.TotalAlloc, m.HeapAlloc, m.HeapSys-m.HeapReleased, m.StackInuse, m.NumGC) // who has left gets none
}

func profileOf(w http.ResponseWriter, r *http.Request) {
	p := pprof.Lookup(r.PathValue("name"))
	if p == nil {
		http.NotFound(w, r)
		return
	}
	if r.FormValue("gc") == "1" {
		runtime.GC()
	}
	debug, kind := 0, "application/octet-stream"
	if r.FormValue("debug") == "1" {
		debug, kind = 1, "text/plain; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	_ = p.WriteTo(w, debug) // who has left gets none
}

// thisMachine reports whether a Host field names this machine.
func thisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}
