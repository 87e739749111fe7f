package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	mailserver "github.com/mailserver-dev/mailserver/sdk/go"
)

// drainer fills a queue while no worker runs, and then measures again and again, on a copy of the same data each time, how long
// it takes to drain: with all destinations alive, and with one of them dead.
type drainer struct {
	r       *runner
	work    drainWork
	letters drainLetters
	host    *ours
	filled  string // the folder that every round begins with
	sink    *sink
	tally   atomic.Pointer[tally]
	taken   int // letters that were accepted
	end     *deadEnd
	report  *drainReport
}

// drain is the whole scenario.
func (r *runner) drain(ctx context.Context) (err error) {
	d, err := r.newDrainer(ctx)
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	defer func() { err = errors.Join(err, d.close(ctx)) }()
	r.res.Drain = d.report
	if err := d.fill(ctx); err != nil {
		return fmt.Errorf("fill the queue: %w", err)
	}
	// Somebody else's work on the machine makes rounds differ by more than a dead destination does: pairs are repeated for that.
	for pair := 0; pair < d.work.pairs || pair < 2*d.work.pairs && d.report.quietPairs() < d.work.pairs; pair++ {
		kinds := []string{"", r.dead}
		if pair%2 == 1 {
			slices.Reverse(kinds)
		}
		for _, dead := range kinds {
			if err := d.round(ctx, dead); err != nil {
				return fmt.Errorf("drain, round %d: %w", len(d.report.Rounds)+1, err)
			}
		}
	}
	d.report.compare()
	if d.report.Disturbed {
		r.res.note("drain: others used more than %g cores in too many rounds, so \"slower\" counts the core-seconds that they left; by the clock it is %s %% "+
			"until the last letter and %s %% for a destination", mostOthers, number4(d.report.slower("s")), number4(d.report.slower("p50_s")))
	}
	return nil
}

func (r *runner) newDrainer(ctx context.Context) (*drainer, error) {
	dir := filepath.Join(r.data, "drain")
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL's account passes through
		return nil, err
	}
	log, err := openLog(filepath.Join(dir, "mailserver.log"))
	if err != nil {
		return nil, err
	}
	work := r.plan.emptying
	d := &drainer{
		r: r, work: work, letters: newDrainLetters(work.messages, work.destinations), filled: filepath.Join(dir, "filled"),
		host: &ours{binary: r.binary, data: filepath.Join(dir, "mailserver"), environ: r.environ, log: log, dialer: &dialer{}},
		report: &drainReport{
			Messages: work.messages, Destinations: work.destinations, Kind: r.dead, Dead: drainLetters{}.domain(deadOne),
		},
	}
	d.sink, err = openSinkFor(ctx, "127.0.0.1:0", func(to string, raw []byte) {
		if t := d.tally.Load(); t != nil {
			t.arrive(to, raw)
		}
	})
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	d.host.sinkAt = d.sink.ln.Addr().String()
	return d, nil
}

// close ends everything that is left.
func (d *drainer) close(ctx context.Context) error {
	err := errors.Join(d.host.stop(ctx), d.host.log.Close())
	if d.end != nil {
		d.end.close()
	}
	d.sink.close()
	return err
}

// settings give every destination its way: all to the sink, and the dead one to its end when there is one.
func (d *drainer) settings(roles string) []string {
	routes := make([]string, d.work.destinations)
	for i := range routes {
		routes[i] = d.letters.domain(i) + "=" + d.host.sinkAt
	}
	routes = append(routes, freshDomain+"="+d.host.sinkAt)
	if d.end != nil {
		routes[deadOne] = d.report.Dead + "=" + d.end.address
	}
	return append([]string{"MAILSERVER_OUTBOUND_ROUTES=" + strings.Join(routes, ","), "MAILSERVER_ROLES=" + roles}, d.r.settings...)
}

// batchSize is how many letters one request brings.
const batchSize = 1_000

// fill brings all letters into the queue through the API, with no worker running, and keeps the data.
func (d *drainer) fill(ctx context.Context) error {
	d.host.further = d.settings("api")
	if _, err := d.host.start(ctx); err != nil {
		return err
	}
	d.r.res.Settings = shorten(d.host.settings)
	client, err := d.host.client()
	if err != nil {
		return err
	}
	begin := time.Now()
	for from := 0; from < d.work.messages; from += batchSize {
		if err := d.batch(ctx, client, from, min(from+batchSize, d.work.messages)); err != nil {
			return err
		}
	}
	took := time.Since(begin)
	d.report.FillPerS = round(rate(d.taken, took))
	d.r.progress("drain: filled", took, fmt.Sprintf("%d letters in %d batches, %s/s", d.taken, (d.work.messages+batchSize-1)/batchSize, number4(d.report.FillPerS)))
	d.report.Waiting, err = askQueue(ctx, client, apiTries)
	if err != nil {
		return err
	}
	d.report.keepTimes(d.report.Waiting)
	d.r.progress("drain: queue API, all waiting", 0, d.report.Waiting.String())
	if err := d.host.stop(ctx); err != nil {
		return err
	}
	return os.Rename(d.host.data, d.filled)
}

// batch sends some of the letters in one request.
func (d *drainer) batch(ctx context.Context, client *mailserver.Client, from, to int) error {
	list := make([]mailserver.EmailSend, 0, to-from)
	for n := from; n < to; n++ {
		l := d.letters.letter(n)
		list = append(list, mailserver.EmailSend{From: l.from, To: []string{l.to}, Subject: subject + l.id, Text: d.letters.text(n)})
	}
	items, err := client.Emails.SendBatch(ctx, list, mailserver.BatchAllOrNothing)
	if err != nil {
		return fmt.Errorf("letters %d to %d: %w", from, to-1, err)
	}
	d.taken += len(items)
	return nil
}

// shorten leaves of long settings what a reader needs.
func shorten(settings []string) []string {
	list := slices.Clone(settings)
	for i, s := range list {
		if len(s) > 200 {
			list[i] = fmt.Sprintf("%s… (%d characters)", s[:100], len(s))
		}
	}
	return list
}

// restore gives the server the filled queue.
func (d *drainer) restore() error {
	if err := os.RemoveAll(d.host.data); err != nil {
		return err
	}
	letters := "maildir" + string(filepath.Separator) // their bytes never change
	err := copyTree(d.filled, d.host.data, func(path string) bool { return strings.HasPrefix(path, letters) })
	syscall.Sync() // what the copy leaves to be written must not slow the drain down
	return err
}

// round is one drain. dead is how the dead destination is dead, empty when it is alive.
func (d *drainer) round(ctx context.Context, dead string) (err error) {
	if err := d.restore(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.finish(ctx)) }()
	t := newTally(d.letters)
	d.tally.Store(t)
	d.end = nil
	if dead != "" {
		if d.end, err = openDeadEnd(ctx, dead, d.sink); err != nil {
			return err
		}
	}
	d.host.further = d.settings("")
	awaitQuiet(ctx, d.r.plan.quiet, d.r.res.Cores)
	before := usage{self: selfTime(), machine: machineTime(), at: time.Now()}
	s, err := d.host.start(ctx)
	if err != nil {
		return err
	}
	client, err := d.host.client()
	if err != nil {
		return err
	}
	row, err := d.measure(ctx, client, s, before)
	if err != nil {
		return err
	}
	row.Dead = dead
	d.report.Rounds = append(d.report.Rounds, row)
	d.r.progress(fmt.Sprintf("drain: round %d, %s", len(d.report.Rounds), row.who()), time.Since(before.at), row.String())
	if d.end != nil {
		if err := d.revival(ctx, client); err != nil {
			return err
		}
	}
	return d.settle(ctx, client)
}

// finish ends a round's server and its dead end.
func (d *drainer) finish(ctx context.Context) error {
	err := d.host.stop(ctx)
	if d.end != nil {
		d.end.close()
	}
	return err
}

// measure waits until all destinations but the dead one have their letters, and says how it went.
func (d *drainer) measure(ctx context.Context, client *mailserver.Client, s *server, before usage) (drainRound, error) {
	t := d.tally.Load()
	within, stop := context.WithCancel(ctx)
	defer stop()
	watched, meanwhile := d.watch(ctx, client), d.freshLater(within, client)
	err := d.await(ctx, t.rest, s)
	after := used(s)
	times, apiErr := watched()
	if err = errors.Join(err, apiErr); err != nil {
		return drainRound{}, err
	}
	behind, err := d.fresh(ctx, client, "afterwards")
	if err != nil {
		return drainRound{}, err
	}
	amid, err := meanwhile()
	if err != nil {
		return drainRound{}, err
	}
	c, err := t.course()
	if err != nil {
		return drainRound{}, err
	}
	cpu, others := after.since(before)
	n := d.work.messages - d.letters.of(deadOne)
	sum := time.Duration(0)
	for _, each := range c.each {
		sum += each
	}
	return drainRound{
		Mean:    sum.Seconds() / float64(len(c.each)),
		Left:    max(0, float64(d.r.res.Cores)-others) * c.total.Seconds(),
		Seconds: c.total.Seconds(), PerS: rate(n, c.total), P50: percentile(c.each, 50) / 1e3, P95: percentile(c.each, 95) / 1e3,
		Rates: c.rates, CPU: share(millis(cpu), n), Others: others, First: t.begin.Sub(before.at).Seconds(), API: times,
		Amid: amid.Seconds(), Behind: behind.Seconds(),
	}, nil
}

// await waits for a channel of the tally, for as long as letters keep coming.
func (d *drainer) await(ctx context.Context, done <-chan struct{}, s *server) error {
	t := d.tally.Load()
	last, since := -1, time.Now()
	for {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
		if now := t.there(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > d.work.stall {
			return fmt.Errorf("nothing has come for %s; %d of %d letters are there", d.work.stall, last, d.work.messages)
		}
		if err := s.alive(); err != nil {
			return err
		}
	}
}
