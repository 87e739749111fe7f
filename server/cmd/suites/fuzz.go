package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// fuzzTarget is one Fuzz function of one package.
type fuzzTarget struct{ pkg, name string }

// fuzz runs every fuzz target of the repository for the given time and prints the closing line of the suites.
func fuzz(ctx context.Context, out io.Writer, each time.Duration) int {
	listed, err := exec.CommandContext(ctx, "go", "test", "-vet=off", "-json", "-list", "^Fuzz", "./...").Output()
	if err != nil {
		fmt.Fprintf(out, "list the fuzz targets: %v\n", err)
		return exitFailed
	}
	if err := makeLogDir(); err != nil {
		fmt.Fprintln(out, err)
		return exitFailed
	}
	start := time.Now()
	var results []result
	for _, target := range fuzzTargets(string(listed)) {
		if ctx.Err() != nil {
			break
		}
		results = append(results, runSuite(ctx, out, fuzzSuite(target, each)))
	}
	return printTable(out, results, time.Since(start))
}

// fuzzTargets reads the output of `go test -json -list`.
func fuzzTargets(stream string) []fuzzTarget {
	var targets []fuzzTarget
	for line := range strings.Lines(stream) {
		e, ok := parseEvent(line)
		if name := strings.TrimSpace(e.Output); ok && e.Action == "output" && strings.HasPrefix(name, "Fuzz") {
			targets = append(targets, fuzzTarget{pkg: e.Package, name: name})
		}
	}
	return targets
}

func fuzzSuite(target fuzzTarget, each time.Duration) suite {
	pkg := "." + strings.TrimPrefix(target.pkg, modulePath)
	return suite{
		name:    target.name,
		about:   fmt.Sprintf("%s for %s", pkg, each),
		timeout: each + 5*time.Minute,
		run: func(ctx context.Context, r *recorder) {
			r.check(ctx, pkg, "go", "test", "-vet=off", "-run", "^$", "-fuzz", "^"+target.name+"$", "-fuzztime", each.String(), pkg)
		},
	}
}
