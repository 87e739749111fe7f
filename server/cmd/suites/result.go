package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// failure is one failed test or check with the end of what it printed.
type failure struct {
	name   string
	output []string
}

// result is the outcome of one suite.
type result struct {
	name     string
	passed   int
	skipped  int
	failures []failure
	reasons  map[string]int // why something was skipped, and how often
	took     time.Duration
	log      string // where everything is that the suite printed
}

func (r *result) fail(name string, output []string) {
	r.failures = append(r.failures, failure{name: name, output: output})
}

// skip counts a skipped test; a skip without a reason hides something and counts as failed.
func (r *result) skip(name, reason string) {
	if reason == "" {
		r.fail(name, []string{"skipped without a reason: say in t.Skip what is missing and how to get it"})
		return
	}
	r.skipped++
	if r.reasons == nil {
		r.reasons = map[string]int{}
	}
	r.reasons[reason]++
}

// skippedBecause prints the reasons of a suite in one line, the most frequent first.
func (r *result) skippedBecause() string {
	reasons := make([]string, 0, len(r.reasons))
	for reason := range r.reasons {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(a, b string) int {
		if r.reasons[a] != r.reasons[b] {
			return r.reasons[b] - r.reasons[a]
		}
		return strings.Compare(a, b)
	})
	for i, reason := range reasons {
		if n := r.reasons[reason]; n > 1 {
			reasons[i] = fmt.Sprintf("%s (%d tests)", reason, n)
		}
	}
	return strings.Join(reasons, "; ")
}

// printFailures shows each failure of a suite with its last lines.
func printFailures(out io.Writer, r result) {
	const shown, lines = 25, 40
	for i, f := range r.failures {
		if i == shown {
			fmt.Fprintf(out, "  ... and %d more failures: %s\n", len(r.failures)-shown, r.log)
			return
		}
		fmt.Fprintf(out, "  FAILED %s: %s\n", r.name, f.name)
		for _, line := range f.output[max(0, len(f.output)-lines):] {
			fmt.Fprintf(out, "    | %s\n", line)
		}
	}
}

// printTable prints the closing table and returns the exit code. Its last line is plain on purpose: programs read it.
func printTable(out io.Writer, results []result, took time.Duration) int {
	var passed, failed, skipped int
	fmt.Fprintf(out, "\n%-12s %7s %7s %8s %8s  %s\n", "suite", "passed", "failed", "skipped", "seconds", "skipped because")
	for _, r := range results {
		row := fmt.Sprintf("%-12s %7d %7d %8d %8.1f  %s", r.name, r.passed, len(r.failures), r.skipped, r.took.Seconds(), r.skippedBecause())
		fmt.Fprintln(out, strings.TrimSpace(row))
		passed, failed, skipped = passed+r.passed, failed+len(r.failures), skipped+r.skipped
	}
	fmt.Fprintf(out, "%-12s %7d %7d %8d %8.1f\n", "all", passed, failed, skipped, took.Seconds())
	if failed > 0 {
		fmt.Fprintln(out, "\nfailed:")
	}
	for _, r := range results {
		for _, f := range r.failures {
			fmt.Fprintf(out, "  %s: %s  (%s)\n", r.name, f.name, r.log)
		}
	}
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 {
		return exitFailed
	}
	return exitOK
}
