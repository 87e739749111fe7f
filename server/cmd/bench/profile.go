package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// profileDir is where profiles are kept.
const profileDir = ".run/pprof"

// profiler takes profiles of our server, one set for each thing that is measured.
type profiler struct {
	dir  string // absolute
	base string // of the server that runs now
}

// counters are what the server's runtime has counted since its start.
type counters struct{ objects, bytes int64 }

// span is a stretch of time in which a server is measured: the same one for CPU time, allocations and the profile.
type span struct {
	b        *bout
	name     string
	before   usage
	counted  counters
	end      *io.PipeWriter // ends the CPU profile; nil without one
	profiled chan error
}

// begin starts a stretch. name is that of its profiles; several of one name follow each other as name-2, name-3.
func (b *bout) begin(name string) (*span, error) {
	s := &span{b: b, name: name}
	if p := b.profiler; p != nil {
		if err := p.save(b.ctx, "allocs", p.fresh(name, "allocs-before")); err != nil {
			return nil, err
		}
		var err error
		if s.counted, err = p.count(b.ctx); err != nil {
			return nil, err
		}
		s.cpu(p)
		b.running = s
	}
	s.before = used(b.server)
	return s, nil
}

// cpu starts the CPU profile, which lasts as long as the body of its request.
func (s *span) cpu(p *profiler) {
	body, end := io.Pipe()
	s.end, s.profiled = end, make(chan error, 1)
	go func() {
		err := p.fetch(s.b.ctx, http.MethodPost, "profile", body, p.fresh(s.name, "cpu"))
		body.CloseWithError(err) // or nobody would read what begins it
		s.profiled <- err
	}()
	_, _ = end.Write([]byte("begin\n")) // taken when the request is under way; its end says what went wrong
}

// spent is what a stretch has cost the server.
type spent struct {
	usage

	cpu, own time.Duration // own without the database
	others   float64
}

// finish ends a stretch in which the server did so many things, and notes what each of them cost.
func (s *span) finish() (spent, error) {
	var out spent
	out.usage = used(s.b.server)
	out.cpu, out.others = out.since(s.before)
	out.own = out.process - s.before.process
	p := s.b.profiler
	if p == nil {
		return out, nil
	}
	after, err := p.count(s.b.ctx)
	if err != nil {
		return out, err
	}
	s.b.running = nil
	s.end.Close()
	if err := <-s.profiled; err != nil {
		return out, fmt.Errorf("CPU profile: %w", err)
	}
	s.b.profiled = append(s.b.profiled, stretch{
		Name: s.name, Seconds: round(out.at.Sub(s.before.at).Seconds()), CPU: round(millis(out.own)), Database: round(millis(out.cpu - out.own)),
		Objects: after.objects - s.counted.objects, Bytes: after.bytes - s.counted.bytes,
	})
	for _, kind := range []string{"allocs", "heap"} {
		if err := p.save(s.b.ctx, kind, p.fresh(s.name, kind)); err != nil {
			return out, err
		}
	}
	return out, nil
}

// abandon ends the profile of a stretch that was not finished, or there could be no other one.
func (b *bout) abandon() {
	if b.running != nil {
		_ = b.running.end.Close()
		<-b.running.profiled //nolint:errcheck // the stretch has failed already
	}
}

// stretch is what a profile is about.
type stretch struct {
	Name     string  `json:"name"`
	Seconds  float64 `json:"seconds"`
	Units    int     `json:"units"` // letters, pushes, connections
	CPU      float64 `json:"cpu_ms"`
	Database float64 `json:"database_cpu_ms"`
	Objects  int64   `json:"allocated_objects"`
	Bytes    int64   `json:"allocated_bytes"`
}

// each says how many things the last stretch was about.
func (b *bout) each(units int) {
	if n := len(b.profiled); n > 0 {
		b.profiled[n-1].Units = units
	}
}

// show prints what each thing cost.
func (s stretch) show(out io.Writer) {
	n := max(1, s.Units)
	fmt.Fprintf(out, "%s\t%d\t%s\t%s\t%s\t%s\n", s.Name, n, number4(s.CPU/float64(n)), number4(s.Database/float64(n)),
		number4(float64(s.Objects)/float64(n)), number4(float64(s.Bytes)/1024/float64(n)))
}

// fresh gives the name of a file that is not there yet.
func (p *profiler) fresh(name, kind string) string {
	name = strings.ReplaceAll(strings.ToLower(name), " ", "-")
	for n := 1; ; n++ {
		path := filepath.Join(p.dir, name+"."+kind+".pprof")
		if n > 1 {
			path = filepath.Join(p.dir, fmt.Sprintf("%s-%d.%s.pprof", name, n, kind))
		}
		if _, err := os.Lstat(path); err != nil {
			return path
		}
	}
}

func (p *profiler) save(ctx context.Context, kind, path string) error {
	return p.fetch(ctx, http.MethodGet, kind, nil, path)
}

// fetch asks for one profile and writes it to a file.
func (p *profiler) fetch(ctx context.Context, method, what string, body io.Reader, path string) error {
	raw, err := p.ask(ctx, method, what, body)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644) //nolint:gosec // no secret is in a profile
}

func (p *profiler) ask(ctx context.Context, method, what string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.base+"/debug/pprof/"+what, body)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", what, res.Status, raw)
	}
	return raw, err
}

// count reads the runtime's counters.
func (p *profiler) count(ctx context.Context) (counters, error) {
	raw, err := p.ask(ctx, http.MethodGet, "memory", nil)
	if err != nil {
		return counters{}, err
	}
	var c counters
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return c, fmt.Errorf("memory: %w", err)
		}
		switch name {
		case "allocated_objects":
			c.objects = n
		case "allocated_bytes":
			c.bytes = n
		}
	}
	return c, nil
}
