package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// reportFile is where the result of the last run lies.
const reportFile = ".run/chaos.json"

// options are the flags.
type options struct {
	kills   int           // by SIGKILL, under load
	stops   int           // by SIGTERM, under load
	lasting time.Duration // for the part with kills
	ready   time.Duration // how long a restart may take
	seed    uint64
	clients int
	data    string
	server  string
	keep    bool
	json    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command runs the whole test and returns the exit code.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	progress := stdout
	if o.json {
		progress = stderr
	}
	res, err := run(ctx, o, progress)
	switch {
	case ctx.Err() != nil:
		res.fail("interrupted")
	case err != nil:
		res.fail("the run itself: %v", err)
	}
	if err := res.write(reportFile); err != nil {
		res.fail("write %s: %v", reportFile, err)
	}
	if o.json {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		_ = enc.Encode(res) // a closed standard output has nobody to be told to
	}
	res.print(progress)
	if !res.OK {
		return exitFailed
	}
	return exitOK
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	seed := ""
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.IntVar(&o.kills, "kills", 20, "how often the server gets SIGKILL under load")
	flags.IntVar(&o.stops, "stops", 2, "how often it gets SIGTERM under load, beside the kills")
	flags.DurationVar(&o.lasting, "for", 4*time.Minute, "how long the part with kills lasts")
	flags.DurationVar(&o.ready, "ready", 5*time.Second, "how long the server may take to be ready again")
	flags.StringVar(&seed, "seed", "", "a number; the same seed makes the same plan (default: by chance)")
	flags.IntVar(&o.clients, "clients", 8, "how many clients work at once, at least 4")
	flags.StringVar(&o.data, "data", "", "folder of this run, new or empty (default .run/chaos/<seed>)")
	flags.StringVar(&o.server, "server", "bin/mailserver", "the program under test")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder after a good run too")
	flags.BoolVar(&o.json, "json", false, "print one JSON object on standard output, and progress on standard error")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("usage: chaos [flags]: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("chaos takes flags only, not %q", flags.Arg(0))
	case o.kills < 0 || o.stops < 0 || o.clients < 4 || o.lasting <= 0 || o.ready <= 0:
		return o, fmt.Errorf("-kills and -stops must not be negative, -clients at least 4, -for and -ready above 0")
	}
	o.seed = rand.Uint64N(1 << 32) //nolint:gosec // it is printed: not a secret
	if seed != "" {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			return o, fmt.Errorf("-seed %q is not a number", seed)
		}
		o.seed = n
	}
	if o.data == "" {
		o.data = filepath.Join(".run", "chaos", strconv.FormatUint(o.seed, 10))
	}
	return o, nil
}
