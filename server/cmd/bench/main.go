package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mailserver-dev/mailserver/server/config"
)

const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitMissing = 3
)

// options are the flags.
type options struct {
	quick    bool
	gates    bool
	noPeer   bool
	keep     bool
	profile  bool
	rounds   int
	box      int
	only     []string
	letters  int      // of the drain
	dead     string   // how the dead destination is dead
	settings []string // more of them for our server
	data     string   // absolute
	report   string
	binary   string // absolute
	foreign  string // folder of the independent generator
	profiles string // absolute; folder of the profiles of this run
	environ  []string
}

// plan gives the amount of work.
func (o options) plan() plan {
	p := fullPlan()
	if o.quick {
		p = quickPlan()
	}
	if o.rounds > p.rounds { // more work gets more time
		p.deadline = p.deadline * time.Duration(o.rounds) / time.Duration(p.rounds)
		p.foreign = p.foreign * time.Duration(o.rounds) / time.Duration(p.rounds)
	}
	if o.rounds > 0 {
		p.rounds = o.rounds
	}
	if o.box > 0 {
		p.deadline += time.Duration(max(0, o.box-p.box)) * timePerMessage
		p.box = o.box
	}
	if o.rounds > 0 {
		p.emptying.pairs = o.rounds
	}
	if o.letters > 0 {
		p.emptying.messages = o.letters
	}
	if o.drains() {
		p.deadline += p.emptying.deadline()
	}
	return p
}

// drains says whether the drain was asked for, which takes too long to be done unasked.
func (o options) drains() bool { return slices.Contains(o.only, drainWord) }

// drainWord is how the drain is called.
const drainWord = "drain"

// timePerMessage is added to the time of a run for each message that the large mailbox holds more than usual, on both servers.
const timePerMessage = 40 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := bench(ctx, os.Args[1:], config.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// bench runs everything and returns the exit code.
func bench(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	o, err := parse(args, environ, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	if _, err := os.Stat(o.binary); err != nil {
		fmt.Fprintf(stderr, "%v: run make build first\n", err)
		return exitMissing
	}
	res, err := run(ctx, o, stdout)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		res.problem("interrupted")
	case err != nil:
		res.problem("the run itself: %v", err)
	}
	if err := res.write(o.report); err != nil {
		res.problem("write the report: %v", err)
	}
	res.print(stdout)
	fmt.Fprintln(stdout, "written to", o.report)
	if !res.OK {
		return exitFailed
	}
	return exitOK
}

func parse(args, environ []string, out io.Writer) (options, error) {
	o := options{environ: environ}
	only := ""
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.BoolVar(&o.quick, "quick", false, "a short run: one round, at most 3 minutes")
	flags.BoolVar(&o.gates, "gates", false, "fail when a gate is missed")
	flags.BoolVar(&o.noPeer, "no-peer", false, "leave Postfix and Dovecot out")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder after a good run too")
	flags.BoolVar(&o.profile, "profile", false, "take profiles of our server into .run/pprof/<time>; figures of time are a little worse meanwhile")
	flags.IntVar(&o.rounds, "rounds", 0, "how many rounds (default 3, or 1 with -quick)")
	flags.IntVar(&o.box, "mailbox", 0, "messages in the large mailbox (default 10000, or 2000 with -quick; lists have gates from 50000 on)")
	flags.StringVar(&only, "only", "", "comma-separated: memory, ingest, submission, push, fetch (default these), drain")
	flags.IntVar(&o.letters, "drain-messages", 0, "letters in the queue of the drain (default 100000 to 1000 destinations, or 5000 to 100 with -quick)")
	flags.StringVar(&o.dead, "dead", blackhole, "how a destination of the drain is dead: blackhole or refuse")
	flags.Func("setting", "one more setting of our server, as NAME=VALUE; may be repeated", func(text string) error {
		o.settings = append(o.settings, text)
		return nil
	})
	flags.StringVar(&o.data, "data", "", "folder of this run, new or empty (default .run/bench/<time>)")
	flags.StringVar(&o.report, "report", "", "file of the report (default .run/bench/<time>.json)")
	flags.StringVar(&o.binary, "server", "bin/mailserver", "the program under test")
	flags.StringVar(&o.foreign, "mailbench", config.Getenv(environ, foreignVariable), "folder of an independent generator; the default is that of the variable MAILBENCH")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("usage: bench [flags]: %w", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("bench takes flags only, not %q", flags.Arg(0))
	}
	if o.rounds < 0 || o.box < 0 || o.letters < 0 {
		return o, errors.New("-rounds, -mailbox and -drain-messages must not be negative")
	}
	if o.dead != blackhole && o.dead != refuse {
		return o, fmt.Errorf("-dead %q is neither %s nor %s", o.dead, blackhole, refuse)
	}
	if least := o.plan().emptying.destinations; o.letters > 0 && o.letters < least*slices20 {
		return o, fmt.Errorf("-drain-messages must be %d or more: some for each destination", least*slices20)
	}
	known := []string{"memory", "ingest", "submission", "push", "fetch", drainWord}
	for word := range strings.SplitSeq(only, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		if !slices.Contains(known, word) {
			return o, fmt.Errorf("-only %q is not one of %s", word, strings.Join(known, ", "))
		}
		o.only = append(o.only, word)
	}
	return o, o.paths(time.Now())
}

// paths completes the paths of a run that begins now.
func (o *options) paths(now time.Time) error {
	base := filepath.Join(".run", "bench", now.UTC().Format("20060102-150405"))
	if o.data == "" {
		o.data = base
	}
	if o.report == "" {
		o.report = base + ".json"
	}
	o.profiles = filepath.Join(profileDir, filepath.Base(base))
	for _, path := range []*string{&o.data, &o.binary, &o.profiles} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = absolute
	}
	return nil
}
