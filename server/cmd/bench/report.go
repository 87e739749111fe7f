package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
)

// judgement is the verdict about one measure on one server.
type judgement struct {
	Measure string `json:"measure"`
	Server  string `json:"server"`
	Round   int    `json:"round"`
	verdict
}

// contestant is a server of the run.
type contestant struct {
	Name    string               `json:"name"`
	Version string               `json:"version,omitempty"`
	Skipped string               `json:"skipped,omitempty"` // why it was not measured
	Values  map[string][]float64 `json:"values,omitempty"`  // by key, one per round
}

// result is the report of a run.
type result struct {
	OK       bool         `json:"ok"`
	Started  string       `json:"started"`
	Seconds  float64      `json:"seconds"`
	Cores    int          `json:"cores"`
	Rounds   int          `json:"rounds"`
	Quick    bool         `json:"quick"`
	Gated    bool         `json:"gates_count"`
	Settings []string     `json:"settings"` // of our server
	Servers  []contestant `json:"servers"`
	Figures  []figure     `json:"figures"`
	Others   float64      `json:"others_cores"` // used by somebody else, median over the measures
	Pairs    []pair       `json:"mailbench,omitempty"`
	Drain    *drainReport `json:"drain,omitempty"`
	Profiles []stretch    `json:"profiles,omitempty"`
	Verdicts []judgement  `json:"verdicts"`
	// Problems make the run fail; notes do not: they concern the peer, or say what was left out.
	Problems []string `json:"problems"`
	Notes    []string `json:"notes"`
}

func (r *result) problem(format string, args ...any) {
	r.OK = false
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (r *result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// gates adds a problem for every gate that was missed.
func (r *result) gates() {
	for _, f := range r.Figures {
		if f.Gate != nil && !f.Gate.Met {
			r.problem("gate missed: %s is %s %s, wanted %s", f.Key, number4(*f.Ours.Median), f.Unit, f.Gate.Text)
		}
	}
}

// write stores the report.
func (r *result) write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // no secret, and other accounts pass through
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644) //nolint:gosec // as above
}

// print shows the report to people.
func (r *result) print(out io.Writer) {
	fmt.Fprintln(out)
	r.printFigures(out)
	if len(r.Pairs) > 0 {
		r.printPairs(out)
	}
	if len(r.Profiles) > 0 {
		r.printProfiles(out)
	}
	if r.Drain != nil {
		r.Drain.show(out)
	}
	fmt.Fprintf(out, "\n%d rounds, medians, %d cores, %.0f s; others used %.2f cores meanwhile\n", r.Rounds, r.Cores, r.Seconds, r.Others)
	for _, s := range r.Servers {
		if s.Skipped != "" {
			fmt.Fprintf(out, "%s was not measured: %s\n", s.Name, s.Skipped)
		} else {
			fmt.Fprintf(out, "%s: %s\n", s.Name, r.sum(s.Name))
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintln(out, "note:", n)
	}
	if r.OK {
		fmt.Fprintln(out, "OK: every accepted letter was found once, in its place and unchanged")
		return
	}
	fmt.Fprintln(out, "FAILED")
	for _, p := range r.Problems {
		fmt.Fprintln(out, " ", p)
	}
}

// sum adds up the verdicts about a server.
func (r *result) sum(server string) verdict {
	var v verdict
	for _, j := range r.Verdicts {
		if j.Server != server {
			continue
		}
		v.Accepted += j.Accepted
		v.Refused += j.Refused
		v.Unknown += j.Unknown
		v.Lost += j.Lost
		v.Doubled += j.Doubled
		v.Corrupt += j.Corrupt
		v.Strange += j.Strange
	}
	return v
}

func (r *result) printFigures(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "measure\tunit\tbetter\tmailserver\t%s\tours/peer\tgate\n", peerName)
	for _, f := range r.Figures {
		if f.Ours.Median == nil && f.Peer.Median == nil {
			continue // it was not asked for
		}
		wanted := "more"
		if f.Less {
			wanted = "less"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Label, f.Unit, wanted, cell(f.Ours.Median), cell(f.Peer.Median), cell(f.Ratio), f.Gate)
	}
	_ = w.Flush() // a closed standard output has nobody to be told to
}

// String shows a gate in the table; a nil one is empty.
func (g *gate) String() string {
	switch {
	case g == nil:
		return ""
	case g.Met:
		return g.Text + " met"
	}
	return g.Text + " MISSED"
}

func (r *result) printPairs(out io.Writer) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "both generators\tserver\tours\tmailbench\tdifference")
	for _, p := range r.Pairs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%+.1f %%\n", p.Label, p.Server, number4(p.Own), number4(p.Foreign), p.Difference)
	}
	_ = w.Flush() // as above
}

func (r *result) printProfiles(out io.Writer) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "for each of\tso many\tCPU ms\tof the database\tallocations\tKiB allocated")
	for _, s := range r.Profiles {
		s.show(w)
	}
	_ = w.Flush() // as above
}

func cell(v *float64) string {
	if v == nil {
		return "-"
	}
	return number4(*v)
}

// number4 shows a number with the digits that mean something.
func number4(v float64) string {
	if v >= 100 || v <= -100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
