package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	ledgerName = "ledger.jsonl"
	// halfwayWithin is how long a kill waits for a message that another server has taken and not yet answered.
	halfwayWithin = 3 * time.Second
	// lastUptime is how long the clients go on after the last restart.
	lastUptime = 4 * time.Second
	// settleWithin is how long after the last restart the last accepted email may be without a result, or its sender without a
	// notice: a lease that a killed worker left, the ladder, and a minute in which failures are gathered.
	settleWithin = 90 * time.Second
	// firstGuess is the time from a kill to the next service, before it was measured.
	firstGuess = 4 * time.Second
	// clientsWithin is how long the clients may take to finish what they are at.
	clientsWithin = 2 * time.Minute
	// slack is added to the planned time for the start, the check and the end.
	slack = 5 * time.Minute
)

// runner is one run.
type runner struct {
	options

	out    io.Writer
	begin  time.Time
	res    *result
	prog   *program
	ledger *ledger
	gate   *gate
	load   *load
	far    *far
	deeds  *deeds

	proc  *process
	life  int
	up    time.Time     // since when the server is ready
	had   int64         // operations acknowledged before
	down  time.Duration // all times from an end to the next service
	downs int
}

// run does everything. The result is never nil.
func run(ctx context.Context, o options, out io.Writer) (res *result, err error) {
	r := &runner{options: o, out: out, begin: time.Now(), gate: newGate()}
	r.res = &result{OK: true, Seed: o.seed, Clients: o.clients, Folder: o.data, Planned: o.kills}
	ctx, cancel := context.WithTimeout(ctx, o.lasting*3/2+slack)
	defer cancel()
	if err := r.prepare(ctx); err != nil {
		return r.res, err
	}
	fmt.Fprintf(out, "chaos: seed %d, %d kills and %d stops in about %s, %d clients, folder %s\n", o.seed, o.kills, o.stops, o.lasting, o.clients, o.data)
	err = errors.Join(r.story(ctx), r.finish(ctx))
	r.res.Seconds = since(r.begin)
	if err == nil && r.res.OK && !o.keep {
		err = os.RemoveAll(o.data)
	}
	return r.res, err
}

// prepare makes the folder, the ledger, the log and the servers of others.
func (r *runner) prepare(ctx context.Context) error {
	binary, err := filepath.Abs(r.server)
	if err != nil {
		return err
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("%w: run make build first", err)
	}
	if err := freshFolder(r.data); err != nil {
		return err
	}
	data, err := filepath.Abs(filepath.Join(r.data, "data"))
	if err != nil {
		return err
	}
	if r.ledger, err = openLedger(filepath.Join(r.data, ledgerName)); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(r.data, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return errors.Join(err, r.ledger.close())
	}
	r.prog = &program{path: binary, data: data, log: log, dice: newDice(r.seed, 1<<32)}
	r.load = &load{ledger: r.ledger, gate: r.gate, seed: r.seed, claims: newClaims()}
	r.deeds = &deeds{habit: func(address string) habit { return newHabit(r.seed, address) }}
	if err := r.openFar(ctx); err != nil {
		return errors.Join(err, log.Close(), r.ledger.close())
	}
	return nil
}

// openFar starts the servers of others and tells the server under test where they are.
func (r *runner) openFar(ctx context.Context) (err error) {
	if r.prog.taken, err = freeAddresses(ctx, r.prog.dice, nil, farDomains); err != nil {
		return err
	}
	if r.far, err = openFar(r.seed, filepath.Join(r.data, "far"), r.prog.taken); err != nil {
		return err
	}
	r.prog.env = []string{
		"MAILSERVER_OUTBOUND_MODE=direct", "MAILSERVER_OUTBOUND_RETRY=" + retryDelays, "MAILSERVER_OUTBOUND_ROUTES=" + r.far.routes(),
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

// story is the run from the first start to the check.
func (r *runner) story(ctx context.Context) error {
	if err := r.start(ctx, true); err != nil {
		return err
	}
	clients, stop := context.WithCancel(ctx)
	defer stop()
	r.load.start(clients, r.clients)
	away := make(chan outageResult, 1)
	go func() { away <- planOutage(r.seed, r.lasting).carryOut(ctx, r.far, r.gate) }()
	if err := r.deaths(ctx); err != nil {
		return errors.Join(err, r.quiet(stop))
	}
	if err := r.serve(ctx, lastUptime); err != nil {
		return errors.Join(err, r.quiet(stop))
	}
	if err := r.quiet(stop); err != nil {
		return err
	}
	t := r.gate.pass(ctx)
	if t == nil {
		return context.Cause(ctx)
	}
	if r.res.Outage = <-away; r.res.Outage.Failure != "" {
		return errors.New(r.res.Outage.Failure)
	}
	if err := r.settle(ctx, t); err != nil {
		return err
	}
	return r.compare(ctx, t)
}

// start brings the server up and lets the clients in.
func (r *runner) start(ctx context.Context, first bool) error {
	proc, err := r.spawn(ctx)
	if err != nil {
		return err
	}
	took, err := proc.await(ctx)
	if err != nil {
		return fmt.Errorf("%w; see %s", err, r.prog.log.Name())
	}
	if first {
		r.res.First = round(took)
	} else {
		r.readyIn(took)
	}
	info, err := r.prog.info()
	if err != nil {
		return err
	}
	r.life++
	t, err := newTarget(info, r.life)
	if err != nil {
		return err
	}
	r.up, r.had = time.Now(), r.load.acked.Load()
	r.gate.open(t)
	return nil
}

// spawn starts the server and notes that with the kill before it.
func (r *runner) spawn(ctx context.Context) (*process, error) {
	proc, err := r.prog.start(ctx)
	if err != nil {
		return nil, err
	}
	if n := len(r.deeds.kills); n > 0 && r.deeds.kills[n-1].again.IsZero() {
		r.deeds.kills[n-1].again = proc.begin
	}
	r.proc = proc
	return proc, nil
}

// kill ends the server and notes when.
func (r *runner) kill(ctx context.Context, s step, how string) error {
	k := killing{how: how, at: time.Now()}
	err := r.proc.kill(ctx, s.whole)
	k.gone = time.Now()
	r.deeds.kills = append(r.deeds.kills, k)
	return err
}

func (r *runner) readyIn(took time.Duration) {
	r.res.Ready = append(r.res.Ready, round(took))
	if took > r.ready {
		r.res.violate(violation{classSlow, fmt.Sprintf("restart %d was ready after %.2f s, more than %s", len(r.res.Ready), took.Seconds(), r.ready)})
	}
}

// deaths carries the plan out.
func (r *runner) deaths(ctx context.Context) error {
	plan := makePlan(r.seed, r.kills, r.stops)
	begin := time.Now()
	for i, s := range plan {
		left := r.lasting - time.Since(begin)
		if left < -r.lasting/4 {
			r.res.violate(violation{classSlow, fmt.Sprintf("only %d of %d ends of the server fitted into %s", i, len(plan), r.lasting)})
			return nil
		}
		if err := r.serve(ctx, s.uptime(left, len(plan)-i, r.overhead())); err != nil {
			return err
		}
		if err := r.die(ctx, s); err != nil {
			return err
		}
		fmt.Fprintf(r.out, "  %2d of %d: %s\n", i+1, len(plan), r.progress())
	}
	return nil
}

func (r *runner) overhead() time.Duration {
	if r.downs == 0 {
		return firstGuess
	}
	return r.down / time.Duration(r.downs)
}

// serve lets the clients work for a while.
func (r *runner) serve(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return r.ledger.failure()
	case <-r.proc.exited:
		return fmt.Errorf("the server ended by itself: %w; see %s", noNil(r.proc.err), r.prog.log.Name())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// die ends the server as the step says, looks at what is left, and starts it again.
func (r *runner) die(ctx context.Context, s step) error {
	begin := time.Now()
	if s.ending == kill {
		r.awaitHalfway(ctx)
	}
	d := death{After: since(r.begin), Uptime: since(r.up), How: "SIGKILL"}
	if s.whole {
		r.res.WholeKills++
		d.How = "SIGKILL of all"
	}
	if s.ending == interrupt {
		d.How = "SIGTERM"
		r.res.Stops++
		r.deeds.stops = append(r.deeds.stops, time.Now())
		took, err := r.proc.stop(ctx)
		r.gate.shut()
		r.res.StopTimes = append(r.res.StopTimes, round(took))
		if err != nil {
			r.res.violate(violation{classSlow, fmt.Sprintf("SIGTERM: %v", err)})
		}
	} else {
		r.res.Kills++
		err := r.kill(ctx, s, d.How)
		r.gate.shut()
		if err != nil {
			return err
		}
	}
	d.Acked = r.load.acked.Load() - r.had
	r.res.Deaths = append(r.res.Deaths, d)
	if s.again {
		if err := r.dieAgain(ctx, s); err != nil {
			return err
		}
	}
	r.verify(ctx, fmt.Sprintf("end %d", len(r.res.Deaths)))
	if err := r.start(ctx, false); err != nil {
		return err
	}
	r.down += time.Since(begin)
	r.downs++
	return nil
}

// awaitHalfway waits for a moment at which a kill comes between a message and its reply, and takes any moment when there is none.
func (r *runner) awaitHalfway(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, halfwayWithin)
	defer cancel()
	for !r.far.halfway(r.deeds.habit) && pause(within, 25*time.Millisecond) {
	}
}

// dieAgain starts the server on what the kill left and kills it before any client comes.
func (r *runner) dieAgain(ctx context.Context, s step) error {
	proc, err := r.spawn(ctx)
	if err != nil {
		return err
	}
	d := death{How: "SIGKILL during the start"}
	if s.early > 0 {
		pause(ctx, s.early)
	} else {
		took, err := proc.await(ctx)
		if err != nil {
			return err
		}
		r.readyIn(took)
		d.How = "SIGKILL right after the start"
	}
	r.res.EarlyKills++
	d.After = since(r.begin)
	r.res.Deaths = append(r.res.Deaths, d)
	return r.kill(ctx, s, d.How)
}

func (r *runner) verify(ctx context.Context, after string) {
	v := r.prog.verify(ctx, after)
	r.res.Verifications = append(r.res.Verifications, v)
	if !v.Clean {
		r.res.violate(violation{classUnverified, fmt.Sprintf("verify after %s: %s %.600s", after, v.Error, v.Report)})
	}
}

func (r *runner) progress() string {
	d, v := r.res.Deaths[len(r.res.Deaths)-1], r.res.Verifications[len(r.res.Verifications)-1]
	clean := "clean"
	if !v.Clean {
		clean = "NOT clean"
	}
	return fmt.Sprintf("%s at %.0f s, verify %s in %.1f s, ready in %.2f s, %d operations acknowledged so far",
		d.How, d.After, clean, v.Seconds, r.res.Ready[len(r.res.Ready)-1], r.load.acked.Load())
}

// quiet stops the clients, each after what it is at.
func (r *runner) quiet(stop context.CancelFunc) error {
	stop()
	done := make(chan struct{})
	go func() {
		r.load.wait.Wait()
		close(done)
	}()
	timer := time.NewTimer(clientsWithin)
	defer timer.Stop()
	select {
	case <-done:
		return r.ledger.failure()
	case <-timer.C:
		return fmt.Errorf("a client still waits for a reply after %s", clientsWithin)
	}
}

// settle waits until every accepted email has its result, and every sender with a mailbox his notices.
func (r *runner) settle(ctx context.Context, t *target) error {
	h := newHTTP(t)
	defer h.CloseIdleConnections()
	for {
		n, err := unsettled(ctx, h)
		if n == 0 && err == nil {
			if r.res.Drained == 0 {
				r.res.Drained = since(r.up)
			}
			n, err = untold(ctx, h, t)
		}
		if err != nil {
			return err
		}
		waited := time.Since(r.up)
		if n == 0 || waited > settleWithin {
			r.res.Settled = round(waited)
			return nil // the check names those without a result
		}
		if !pause(ctx, 200*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// untold counts the bounces of which no notice has come.
func untold(ctx context.Context, h *caller, t *target) (int, error) {
	n, err := owedNotices(ctx, h, t.Users)
	if err != nil {
		return 0, err
	}
	for _, user := range t.Users {
		got, err := countNotices(t, user)
		if err != nil {
			return 0, err
		}
		n -= got
	}
	return max(n, 0), nil
}

// compare reads the ledger and the world and checks one against the other.
func (r *runner) compare(ctx context.Context, t *target) error {
	if err := r.ledger.close(); err != nil {
		return err
	}
	ops, err := readLedger(filepath.Join(r.data, ledgerName))
	if err != nil {
		return err
	}
	w, err := r.read(ctx, t)
	if err != nil {
		return fmt.Errorf("read what the server has: %w", err)
	}
	h := replay(ops)
	r.res.Messages, r.res.Files = len(w.messages), len(w.files)
	r.deeds.downs = r.far.downs()
	r.res.tabulate(h, check(h, w, r.deeds))
	return nil
}

func (r *runner) read(ctx context.Context, t *target) (*world, error) {
	copies, err := r.far.read(r.deeds.habit)
	if err != nil {
		return nil, err
	}
	w := &world{copies: copies}
	for _, user := range t.Users {
		if err := w.readMail(t, user); err != nil {
			return nil, err
		}
	}
	h := newHTTP(t)
	defer h.CloseIdleConnections()
	users, err := readUsers(ctx, h)
	if err != nil {
		return nil, err
	}
	if err := w.readEmails(ctx, h); err != nil {
		return nil, err
	}
	if err := w.readBoxes(ctx, h, users); err != nil {
		return nil, err
	}
	return w, w.readDisk(r.prog.data, users)
}

// finish ends the server and has it verified once more.
func (r *runner) finish(ctx context.Context) error {
	err := errors.Join(r.ledger.close(), r.far.close())
	if r.proc != nil {
		took, stopErr := r.proc.stop(context.WithoutCancel(ctx))
		if stopErr == nil {
			r.res.StopTimes = append(r.res.StopTimes, round(took))
		}
		if ctx.Err() == nil { // a server that is interrupted during its start rightly ends with an error
			err = errors.Join(err, stopErr)
		}
	}
	if ctx.Err() == nil && r.proc != nil {
		r.verify(ctx, "the end of the run")
	}
	return errors.Join(err, r.prog.log.Close())
}
