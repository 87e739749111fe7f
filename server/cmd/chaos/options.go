package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The parts of a run, in their order.
const (
	partKills    = "kills"
	partPostgres = "postgres"
	partRestarts = "restarts"
	partDisk     = "disk"
)

func allParts() []string { return []string{partKills, partPostgres, partRestarts, partDisk} }

// leastMessages is what a release has to show (mail-rules.md §7).
const leastMessages = 10_000

// options are the flags.
type options struct {
	only     []string      // the parts
	kills    int           // by SIGKILL, under load
	stops    int           // by SIGTERM, among the kills
	lasting  time.Duration // for the part with kills
	cuts     int           // how often the database is killed
	restarts int           // by SIGTERM, under load
	fillings int           // how often a volume is filled
	least    int           // acknowledged messages without which a run proves too little
	ready    time.Duration // how long a restart may take
	seed     uint64
	clients  int
	data     string
	server   string
	short    bool
	keep     bool
	json     bool
}

// defaults are the figures of the flags. Those of -short are for a machine that does other things as well, and leave the disk out,
// which needs root.
func defaults(short bool) options {
	o := options{only: allParts(), kills: 20, stops: 2, lasting: 4 * time.Minute, cuts: 5, restarts: 100, fillings: 4, least: -1, ready: 5 * time.Second, short: short}
	if short {
		o.only = []string{partKills, partPostgres, partRestarts}
		o.kills, o.stops, o.lasting, o.cuts, o.restarts, o.ready = 5, 1, time.Minute, 1, 3, 10*time.Second
	}
	return o
}

func (o *options) runs(part string) bool { return slices.Contains(o.only, part) }

func parse(args []string, out io.Writer) (options, error) {
	isShort := func(arg string) bool {
		return slices.Contains([]string{"-short", "--short", "-short=true", "--short=true"}, arg)
	}
	o := defaults(slices.ContainsFunc(args, isShort))
	only, seed := strings.Join(o.only, ","), ""
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&only, "only", only, "which parts run")
	flags.BoolVar(&o.short, "short", o.short, "a run of two minutes: fewer kills, no disk; what other flags say goes before")
	flags.IntVar(&o.kills, "kills", o.kills, "how often the server gets SIGKILL under load")
	flags.IntVar(&o.stops, "stops", o.stops, "how often it gets SIGTERM among the kills")
	flags.DurationVar(&o.lasting, "for", o.lasting, "how long the part with kills lasts")
	flags.IntVar(&o.cuts, "postgres", o.cuts, "how often the database gets SIGKILL below the living server")
	flags.IntVar(&o.restarts, "restarts", o.restarts, "how often the server gets SIGTERM under load and is started again")
	flags.IntVar(&o.fillings, "fillings", o.fillings, "how often a volume is filled: with bytes, with files, that of the database, that and the database killed, and so on")
	flags.IntVar(&o.least, "least", o.least, "how many messages have to be acknowledged; -1 is 10000 for a run of all parts, else any number")
	flags.DurationVar(&o.ready, "ready", o.ready, "how long the server may take to be ready again")
	flags.StringVar(&seed, "seed", "", "a number; the same seed makes the same plan (default: by chance)")
	flags.IntVar(&o.clients, "clients", 8, "how many clients work at once, at least 4")
	flags.StringVar(&o.data, "data", "", "folder of this run, new or empty (default .run/chaos/<seed>)")
	flags.StringVar(&o.server, "server", "bin/mailserver", "the program under test")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder after a good run too")
	flags.BoolVar(&o.json, "json", false, "print one JSON object on standard output, and progress on standard error")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("usage: chaos [flags]: %w", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("chaos takes flags only, not %q", flags.Arg(0))
	}
	if err := o.complete(only, seed); err != nil {
		return o, err
	}
	return o, nil
}

// complete checks the figures and fills in what is left to us.
func (o *options) complete(only, seed string) error {
	o.only = strings.Split(only, ",")
	for _, part := range o.only {
		if !slices.Contains(allParts(), part) {
			return fmt.Errorf("-only %s: the parts are %s", only, strings.Join(allParts(), ","))
		}
	}
	if min(o.kills, o.stops, o.cuts, o.restarts, o.fillings) < 0 || o.clients < 4 || o.lasting <= 0 || o.ready <= 0 {
		return fmt.Errorf("-kills, -stops, -postgres, -restarts and -fillings must not be negative, -clients at least 4, -for and -ready above 0")
	}
	if o.least < 0 {
		o.least = 0
		if len(o.only) == len(allParts()) {
			o.least = leastMessages
		}
	}
	o.seed = rand.Uint64N(1 << 32) //nolint:gosec // it is printed: not a secret
	if seed != "" {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			return fmt.Errorf("-seed %q is not a number", seed)
		}
		o.seed = n
	}
	if o.data == "" {
		o.data = filepath.Join(".run", "chaos", strconv.FormatUint(o.seed, 10))
	}
	return nil
}

// most bounds the whole run: what the parts may take, and the start, the check and the end.
func (o *options) most() time.Duration {
	all := 6 * time.Minute
	if o.runs(partKills) {
		all += o.lasting * 3 / 2
	}
	if o.runs(partPostgres) {
		all += time.Duration(o.cuts) * 30 * time.Second
	}
	if o.runs(partRestarts) {
		all += time.Duration(o.restarts) * 15 * time.Second
	}
	if o.runs(partDisk) {
		all += time.Duration(o.fillings) * time.Minute
	}
	return all
}
