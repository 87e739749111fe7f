package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// contender is a server with what it reached so far.
type contender struct {
	name    string
	own     bool // ours: what is wrong with it fails the run
	host    host
	server  *server
	skipped string // why it is not measured, or not any more
	got     map[string][]float64
}

// runner is one run.
type runner struct {
	options

	plan      plan
	out       io.Writer
	begin     time.Time
	res       *result
	paper     paper
	sink      *sink
	ours      *ours
	peer      *peer
	generator *generator
	list      []*contender
}

// run does everything. The result is never nil.
func run(ctx context.Context, o options, out io.Writer) (*result, error) {
	r := &runner{options: o, plan: o.plan(), out: out, begin: time.Now(), paper: newPaper()}
	r.res = &result{
		OK: true, Started: r.begin.UTC().Format(time.RFC3339), Cores: runtime.NumCPU(), Rounds: r.plan.rounds, Quick: o.quick, Gated: o.gates,
	}
	limit := r.plan.deadline
	if o.foreign != "" {
		limit += r.plan.foreign
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := r.story(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("the time is over (%s): what is missing in the table was not measured", limit)
	}
	r.conclude()
	r.res.Seconds = round(time.Since(r.begin).Seconds())
	return r.res, err
}

// story is the run from the folder to the end of the servers.
func (r *runner) story(ctx context.Context) (err error) {
	if err := r.prepare(ctx); err != nil {
		return errors.Join(err, r.finish(ctx))
	}
	defer func() { err = errors.Join(err, r.finish(ctx)) }()
	fmt.Fprintf(r.out, "bench: %d rounds, folder %s\n", r.plan.rounds, r.data)
	if list := r.wanted(); len(list) > 0 {
		if err := r.compete(ctx, list); err != nil {
			return err
		}
	}
	if r.drains() && ctx.Err() == nil {
		return errors.Join(r.rest(ctx), r.drain(ctx))
	}
	return ctx.Err()
}

// compete takes the measures on both servers.
func (r *runner) compete(ctx context.Context, list []measure) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	for _, m := range list {
		if m.once {
			r.measure(ctx, m, 0)
		}
	}
	for round := 1; round <= r.plan.rounds; round++ {
		for _, m := range list {
			if !m.once {
				r.measure(ctx, m, round)
			}
		}
	}
	return nil
}

// rest stops both servers, so that they do not disturb what follows.
func (r *runner) rest(ctx context.Context) error {
	var errs []error
	for _, c := range r.list {
		if c.server != nil {
			errs = append(errs, c.host.stop(ctx))
			c.server = nil
		}
	}
	return errors.Join(errs...)
}

// wanted are the measures of this run.
func (r *runner) wanted() []measure {
	var list []measure
	for _, m := range r.plan.measures() {
		if m.foreign && r.generator == nil || !r.chosen(m.name) {
			continue
		}
		list = append(list, m)
	}
	return list
}

// chosen says whether -only names the measure. What is fetched must have been filled in.
func (r *runner) chosen(name string) bool {
	word, _, _ := strings.Cut(name, " ")
	if word == "fill" {
		word = "fetch"
	}
	return len(r.only) == 0 || slices.Contains(r.only, word)
}

// prepare makes the folder, the sink and both servers' configuration.
func (r *runner) prepare(ctx context.Context) error {
	if err := freshFolder(r.data); err != nil {
		return err
	}
	ports, err := freePorts(ctx, 1)
	if err != nil {
		return err
	}
	if r.sink, err = openSink(ctx, ports[0]); err != nil {
		return err
	}
	log, err := openLog(filepath.Join(r.data, "mailserver.log"))
	if err != nil {
		return err
	}
	d := &dialer{}
	r.ours = &ours{
		binary: r.binary, data: filepath.Join(r.data, "mailserver"), environ: r.environ, log: log, sinkAt: ports[0], dialer: d,
		people: append(accounts(), bigUser), profile: r.profile, further: r.settings,
	}
	if r.profile {
		if err := os.MkdirAll(r.profiles, 0o755); err != nil { //nolint:gosec // no secret is in a profile
			return err
		}
	}
	r.list = []*contender{{name: "mailserver", own: true, host: r.ours, got: map[string][]float64{}}}
	other := &contender{name: peerName, got: map[string][]float64{}}
	if r.noPeer {
		other.skipped = "-no-peer was given"
	} else if len(r.wanted()) == 0 {
		other.skipped = "the drain is ours alone"
	} else if r.peer, err = newPeer(ctx, filepath.Join(r.data, "peer"), ports[0], d); err != nil {
		other.skipped = err.Error()
	} else {
		other.host = r.peer
	}
	r.list = append(r.list, other)
	if other.skipped != "" {
		fmt.Fprintf(r.out, "%s is left out: %s\n", peerName, other.skipped)
	}
	if r.foreign != "" && len(r.wanted()) > 0 {
		fmt.Fprintf(r.out, "building the independent generator of %s\n", r.foreign)
		r.generator, err = buildGenerator(ctx, r.foreign, r.data)
	}
	return err
}

// freshFolder makes a folder that other accounts can pass through: PostgreSQL's and those of the peer.
func freshFolder(dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: choose another -data", dir)
	}
	return os.MkdirAll(dir, 0o755) //nolint:gosec // see above
}

// start starts both. Ours is started twice: the first time makes the accounts, and the second has served nobody yet.
func (r *runner) start(ctx context.Context) error {
	if _, err := r.ours.start(ctx); err != nil {
		return err
	}
	if err := r.ours.stop(ctx); err != nil {
		return err
	}
	for _, c := range r.list {
		if c.skipped != "" {
			continue
		}
		s, err := c.host.start(ctx)
		switch {
		case err != nil && c.own:
			return err
		case err != nil:
			c.skipped = err.Error()
			fmt.Fprintf(r.out, "%s is left out: %v\n", c.name, err)
		default:
			c.server = s
		}
	}
	return nil
}

// measure takes one measure on both servers, which begin in turn.
func (r *runner) measure(ctx context.Context, m measure, round int) {
	list := slices.Clone(r.list)
	if round%2 == 0 {
		slices.Reverse(list)
	}
	for _, c := range list {
		if c.skipped != "" || ctx.Err() != nil {
			continue
		}
		if m.sends && !c.server.sends {
			r.res.note("%s, %s: not measured: %s", c.name, m.name, c.server.why)
			continue
		}
		r.bout(ctx, m, c, round)
	}
}

// bout takes one measure on one server.
func (r *runner) bout(ctx context.Context, m measure, c *contender, round int) {
	awaitQuiet(ctx, r.plan.quiet, r.res.Cores)
	b := &bout{ctx: ctx, server: c.server, values: values{}, ledger: newLedger()}
	if c.server.profiles != "" {
		b.profiler = &profiler{dir: r.profiles, base: c.server.profiles}
	}
	begin := time.Now()
	err := m.run(r, b)
	b.abandon()
	for key, value := range b.values {
		c.got[key] = append(c.got[key], value)
	}
	r.res.Profiles = append(r.res.Profiles, b.profiled...)
	where := fmt.Sprintf("%s, %s", c.name, m.name)
	if round > 0 {
		where = fmt.Sprintf("%s, round %d", where, round)
	}
	if b.judged == nil && len(b.ledger.sent) > 0 && err == nil {
		err = errors.New("nothing was verified")
	}
	if b.judged != nil {
		r.res.Verdicts = append(r.res.Verdicts, judgement{m.name, c.name, round, *b.judged})
		if !b.judged.clean() {
			err = errors.Join(err, fmt.Errorf("%s: %s", b.judged, strings.Join(b.judged.Samples, "; ")))
		}
	}
	r.progress(where, time.Since(begin), b.values.short())
	if err != nil && ctx.Err() == nil {
		r.trouble(c, where, err)
	}
	if gone := c.server.alive(); gone != nil && ctx.Err() == nil {
		c.skipped = gone.Error()
		r.trouble(c, where, gone)
	}
}

// progress tells what has just been done.
func (r *runner) progress(what string, took time.Duration, text string) {
	fmt.Fprintf(r.out, "  %5.0f s  %-40s %5.1f s  %s\n", time.Since(r.begin).Seconds(), what, took.Seconds(), text)
}

// trouble with our server fails the run, with the peer it is told.
func (r *runner) trouble(c *contender, where string, err error) {
	text := where + ": " + strings.Join(strings.Fields(err.Error()), " ")
	fmt.Fprintf(r.out, "    %.400s\n", text)
	if c.own {
		r.res.problem("%s", text)
	} else {
		r.res.note("%s", text)
	}
}

// short shows the leading figures of a measure in one line of progress.
func (v values) short() string {
	var parts []string
	for _, shown := range []struct{ suffix, unit string }{
		{"visible_per_s", " visible/s"},
		{"sink_per_s", " at the sink/s"},
		{"append_per_s", " appended/s"},
		{"list_ms", " ms for the list"},
		{"bodies_mib_per_s", " MiB/s"},
		{"dot_p50_ms", " ms dot p50"},
		{"dot_p99_ms", " ms dot p99"},
		{"mail_p50_ms", " ms MAIL to push p50"},
		{"to_sink_p50_ms", " ms to the sink p50"},
		{"cpu_ms", " ms CPU"},
		{"idle_mib", " MiB idle"},
		{"connection_kib", " KiB a connection"},
		{"others_cores", " cores used by others"},
	} {
		for key, value := range v {
			if strings.HasSuffix(key, "."+shown.suffix) {
				parts = append(parts, number4(round(value))+shown.unit)
			}
		}
	}
	return strings.Join(parts, ", ")
}

// conclude fills the table.
func (r *runner) conclude() {
	if len(r.list) < 2 {
		return
	}
	if r.ours.settings != nil {
		r.res.Settings = r.ours.settings
	}
	if r.res.Drain != nil {
		maps.Copy(r.list[0].got, r.res.Drain.values)
	}
	r.res.Figures = tabulate(specs(r.plan), r.list[0].got, r.list[1].got)
	if len(r.only) > 0 {
		r.res.Figures = slices.DeleteFunc(r.res.Figures, func(f figure) bool { return f.Ours.Median == nil && f.Peer.Median == nil })
	}
	var others []float64
	for _, c := range r.list {
		shown := contestant{Name: c.name, Skipped: c.skipped, Values: map[string][]float64{}}
		for key, list := range c.got {
			if rounds := newSide(list).Rounds; len(rounds) > 0 {
				shown.Values[key] = rounds
			}
			if strings.HasSuffix(key, ".others_cores") {
				others = append(others, list...)
			}
		}
		if !c.own && r.peer != nil {
			shown.Version = r.peer.version
		}
		r.res.Servers = append(r.res.Servers, shown)
		r.res.Pairs = append(r.res.Pairs, compare(c.name, c.got)...)
	}
	r.res.Others = round(median(others))
	if r.gates {
		r.res.gates()
	}
}

// finish stops the servers and the sink. The folder stays when something went wrong.
func (r *runner) finish(ctx context.Context) error {
	var errs []error
	if r.ours != nil {
		errs = append(errs, r.ours.stop(ctx), r.ours.log.Close())
	}
	if r.peer != nil {
		errs = append(errs, r.peer.stop(ctx), r.peer.log.Close(), r.peer.remove())
	}
	if r.sink != nil {
		r.sink.close()
	}
	err := errors.Join(errs...)
	if err == nil && r.res.OK && ctx.Err() == nil && !r.keep {
		return os.RemoveAll(r.data)
	}
	return err
}
