package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// reportFile is where the result of the last run lies.
const reportFile = ".run/chaos.json"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := start(ctx)
	stop()
	os.Exit(code)
}

// start reads the flags, and moves to mounts of our own when there is something to mount.
func start(ctx context.Context) int {
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	if o.runs(partDisk) {
		if code, ran := apart(ctx); ran {
			return code
		}
	}
	return command(ctx, o, os.Stdout, os.Stderr)
}

// command runs the whole test and returns the exit code.
func command(ctx context.Context, o options, stdout, stderr io.Writer) int {
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
