package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

// command runs one subcommand and returns the exit code.
func command(ctx context.Context, args []string, out io.Writer) int {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("suites "+name, flag.ContinueOnError)
	flags.SetOutput(out)
	only := flags.String("only", "", "run these suites alone, names separated by commas")
	each := flags.Duration("time", 20*time.Second, "how long each fuzz target runs")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	switch name {
	case "run":
		return runSuites(ctx, out, *only)
	case "fuzz":
		return fuzz(ctx, out, *each)
	case "list":
		for _, s := range plan() {
			fmt.Fprintf(out, "%-12s %s\n", s.name, s.about)
		}
		return exitOK
	}
	fmt.Fprintln(out, "usage: suites run [-only name,name] | list | fuzz [-time 20s]")
	return exitUsage
}

// runSuites runs the chosen suites in their order and prints the closing table.
func runSuites(ctx context.Context, out io.Writer, only string) int {
	chosen, err := choose(plan(), only)
	if err != nil {
		fmt.Fprintln(out, err)
		return exitUsage
	}
	if err := makeLogDir(); err != nil {
		fmt.Fprintln(out, err)
		return exitFailed
	}
	start := time.Now()
	results := make([]result, 0, len(chosen))
	for _, s := range chosen {
		if ctx.Err() != nil {
			fmt.Fprintf(out, "interrupted before %s\n", s.name)
			return exitFailed
		}
		results = append(results, runSuite(ctx, out, s))
	}
	return printTable(out, results, time.Since(start))
}

// choose returns the suites whose names are listed, in the order of the plan; all of them for an empty list.
func choose(all []suite, only string) ([]suite, error) {
	if only == "" {
		return all, nil
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	var chosen []suite
	for _, s := range all {
		if wanted[s.name] {
			chosen = append(chosen, s)
			delete(wanted, s.name)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("there is no suite %q; `suites list` prints the names", name)
	}
	return chosen, nil
}
