package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const ledgerName = "ledger.jsonl"

// runner is one run.
type runner struct {
	options

	out    io.Writer
	begin  time.Time
	res    *result
	ledger *ledger
	far    *far
	sites  []*site

	volumes []*volume
}

// run does everything. The result is never nil.
func run(ctx context.Context, o options, out io.Writer) (res *result, err error) {
	r := &runner{options: o, out: out, begin: time.Now()}
	r.res = newResult(&o)
	ctx, cancel := context.WithTimeout(ctx, o.most())
	defer cancel()
	if err := r.prepare(ctx); err != nil {
		return r.res, err
	}
	fmt.Fprintf(out, "chaos: seed %d, %s, %d clients, folder %s\n", o.seed, strings.Join(o.only, " "), o.clients, o.data)
	err = errors.Join(r.story(ctx), r.finish(ctx))
	r.res.Seconds = since(r.begin)
	good := err == nil && r.res.OK
	err = errors.Join(err, r.unmount(ctx, !good))
	if good && err == nil && !o.keep {
		err = os.RemoveAll(o.data)
	}
	return r.res, err
}

// prepare makes the folder, the ledger and the servers of others.
func (r *runner) prepare(ctx context.Context) error {
	if _, err := os.Stat(r.server); err != nil {
		return fmt.Errorf("%w: run make build first", err)
	}
	err := freshFolder(r.data)
	if err != nil {
		return err
	}
	if r.ledger, err = openLedger(filepath.Join(r.data, ledgerName)); err != nil {
		return err
	}
	addresses, err := freeAddresses(ctx, newDice(r.seed, streamFar), nil, farDomains)
	if err == nil {
		r.far, err = openFar(r.seed, filepath.Join(r.data, "far"), addresses)
	}
	if err != nil {
		return errors.Join(err, r.ledger.close())
	}
	return nil
}

// freshFolder makes the folder. The account of PostgreSQL, which is another one when we are root, has to pass through it and
// through those above it. What an earlier run left there is removed; anything else is not touched.
func freshFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, ledgerName)); err != nil {
			return fmt.Errorf("%s is not empty and not of an earlier run: choose another -data", dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return os.MkdirAll(dir, 0o755) //nolint:gosec // see above
}

// part is one part of the run that was asked for.
type part struct {
	name string
	n    int // how often something is done
	run  func(context.Context) error
}

// story is the run from the first start to the check. While the first server comes to rest the disk of another is filled.
func (r *runner) story(ctx context.Context) error {
	if err := r.mainStory(ctx); err != nil {
		return err
	}
	if err := r.diskStory(ctx); err != nil {
		return err
	}
	for _, s := range r.sites {
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	return r.compare(ctx)
}

// mainStory is all that happens to the first server.
func (r *runner) mainStory(ctx context.Context) error {
	if !r.runs(partKills) && !r.runs(partPostgres) && !r.runs(partRestarts) {
		return nil
	}
	s, err := r.newSite("main", "", r.data)
	if err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	parts := []part{
		{partKills, r.kills, (&killer{site: s}).run}, {partPostgres, r.cuts, s.loseDatabase}, {partRestarts, r.restarts, s.stopAndStart},
	}
	for _, p := range parts {
		if !r.runs(p.name) {
			continue
		}
		if err := r.carryOut(ctx, s, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if err := s.serve(ctx, lastUptime); err != nil {
		return err
	}
	return s.leave()
}

// lastUptime is how long the clients go on after the last restart.
const lastUptime = 3 * time.Second

// carryOut does one part and notes it.
func (r *runner) carryOut(ctx context.Context, s *site, p part) error {
	if p.name == partPostgres && runtime.GOOS != "linux" {
		r.skip(p.name, "the processes below a server are found on Linux only")
		return nil
	}
	fmt.Fprintf(r.out, "%s: %d times\n", p.name, p.n)
	begin, acked := time.Now(), s.load.acked.Load()
	if r.short && p.name != partKills {
		s.load.mild.Store(true)
	}
	err := p.run(ctx)
	r.res.Parts = append(r.res.Parts, partResult{
		Name: p.name, Planned: p.n, Ran: true, Seconds: since(begin), Acked: s.load.acked.Load() - acked,
	})
	return err
}

func (r *runner) skip(name, why string) {
	fmt.Fprintf(r.out, "%s: left out: %s\n", name, why)
	r.res.Parts = append(r.res.Parts, partResult{Name: name, Skipped: why})
}

// diskStory is all that happens to the server with small disks.
func (r *runner) diskStory(ctx context.Context) error {
	if !r.runs(partDisk) {
		return nil
	}
	if why := cannotMount(ctx); why != "" {
		r.skip(partDisk, why)
		return nil
	}
	d, err := r.newSmallDisk(filepath.Join(r.data, "disk"))
	if err != nil {
		return fmt.Errorf("%s: %w", partDisk, err)
	}
	if err := r.carryOut(ctx, d.site, part{partDisk, r.fillings, d.run}); err != nil {
		return fmt.Errorf("%s: %w", partDisk, err)
	}
	return nil
}

// compare reads the ledger and the worlds and checks one against the others, server by server.
func (r *runner) compare(ctx context.Context) error {
	if err := r.ledger.close(); err != nil {
		return err
	}
	ops, err := readLedger(filepath.Join(r.data, ledgerName))
	if err != nil {
		return err
	}
	if stray := slices.IndexFunc(ops, func(op *operation) bool {
		return !slices.ContainsFunc(r.sites, func(s *site) bool { return s.name == op.Site })
	}); stray >= 0 {
		return fmt.Errorf("entry %d of the ledger is of no server", ops[stray].N)
	}
	habits := func(address string) habit { return newHabit(r.seed, address) }
	copies, err := r.far.read(habits)
	if err != nil {
		return err
	}
	for i, s := range r.sites {
		own := func(c farCopy) bool { return r.siteOf(c.id) == s || i == 0 && r.siteOf(c.id) == nil }
		w, err := s.read(ctx, kept(copies, own))
		if err != nil {
			return fmt.Errorf("read what the server %s has: %w", s.name, err)
		}
		s.deeds.downs = r.far.downs()
		h := replay(kept(ops, func(op *operation) bool { return op.Site == s.name }), s.deeds.troubles)
		c := check(h, w, s.deeds)
		s.count(c)
		r.res.Messages += len(w.messages)
		r.res.Files += len(w.files)
		r.res.tabulate(h, c)
	}
	r.res.tally(r.least)
	return nil
}

// siteOf gives the server whose clients made the letter; nil for a stranger's.
func (r *runner) siteOf(id string) *site {
	for _, s := range slices.Backward(r.sites) { // the tag of the first is empty
		if strings.HasPrefix(id, fmt.Sprintf("k%d-%s", r.seed, s.load.tag)) {
			return s
		}
	}
	return nil
}

// kept gives the values that are wanted.
func kept[T any](list []T, want func(T) bool) []T {
	var out []T
	for _, v := range list {
		if want(v) {
			out = append(out, v)
		}
	}
	return out
}

// finish ends the servers and has them verified once more.
func (r *runner) finish(ctx context.Context) error {
	var errs []error
	for _, s := range r.sites {
		errs = append(errs, s.close(ctx))
	}
	return errors.Join(append(errs, r.ledger.close(), r.far.close())...)
}

// unmount takes the volumes away. After a bad run what they hold is saved first.
func (r *runner) unmount(ctx context.Context, save bool) error {
	var errs []error
	for _, v := range r.volumes {
		if save {
			errs = append(errs, v.copyTo(v.path+".saved"))
		}
		errs = append(errs, v.unmount(ctx))
	}
	return errors.Join(errs...)
}
