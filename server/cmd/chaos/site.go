package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// halfwayWithin is how long a kill waits for a message that another server has taken and not yet answered.
	halfwayWithin = 3 * time.Second
	// settleWithin is how long after the last restart the last accepted email may be without a result, or its sender without a
	// notice: a lease that a killed worker left, the ladder, and a minute in which failures are gathered.
	settleWithin = 90 * time.Second
	// clientsWithin is how long the clients may take to finish what they are at.
	clientsWithin = 2 * time.Minute
)

// site is one server under test with its data directory, its clients, and what was done to it.
type site struct {
	*runner

	name  string
	prog  *program
	gate  *gate
	load  *load
	watch *watcher
	deeds *deeds

	proc *process
	life int
	up   time.Time // since when the server is ready
	had  int64     // operations acknowledged before

	calm    context.CancelFunc // ends the clients; nil when there are none
	results []*troubleResult   // one for each of the troubles
}

// newSite prepares a server on the data directory below dir. tag begins the names of its clients, env is what it gets besides the
// ports and the way to the other servers.
func (r *runner) newSite(name, tag, dir string, env ...string) (*site, error) {
	data, err := filepath.Abs(filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(r.server)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	env = append(env, "MAILSERVER_OUTBOUND_MODE=direct", "MAILSERVER_OUTBOUND_RETRY="+retryDelays, "MAILSERVER_OUTBOUND_ROUTES="+r.far.routes())
	s := &site{
		runner: r, name: name, gate: newGate(),
		prog:  &program{path: binary, data: data, log: log, dice: newDice(r.seed, streamPorts+uint64(len(r.sites))), env: env, taken: r.far.addresses()},
		deeds: &deeds{habit: func(address string) habit { return newHabit(r.seed, address) }},
	}
	s.load = &load{ledger: r.ledger, gate: s.gate, seed: r.seed, site: name, tag: tag, claims: newClaims()}
	s.watch = s.load.watcher()
	r.sites = append(r.sites, s)
	return s, nil
}

// open starts the server for the first time, and the clients.
func (s *site) open(ctx context.Context) error {
	took, err := s.start(ctx)
	if err != nil {
		return err
	}
	s.res.First = max(s.res.First, round(took))
	clients, stop := context.WithCancel(ctx)
	s.calm = stop
	s.load.start(clients, s.clients)
	return nil
}

// leave ends the clients, each after what it is at.
func (s *site) leave() error {
	if s.calm == nil {
		return nil
	}
	s.calm()
	s.calm = nil
	return s.quiet()
}

// start brings the server up, lets the clients in, and says how long it took.
func (s *site) start(ctx context.Context) (time.Duration, error) {
	proc, err := s.spawn(ctx)
	if err != nil {
		return 0, err
	}
	took, err := proc.await(ctx)
	if err != nil {
		return 0, fmt.Errorf("%w; see %s", err, s.prog.log.Name())
	}
	info, err := s.prog.info()
	if err != nil {
		return 0, err
	}
	s.life++
	t, err := newTarget(info, s.life)
	if err != nil {
		return 0, err
	}
	s.up, s.had = time.Now(), s.load.acked.Load()
	s.gate.open(t)
	return took, nil
}

// restart is a start after an end, which has to be quick.
func (s *site) restart(ctx context.Context) error {
	took, err := s.start(ctx)
	if err != nil {
		return err
	}
	s.readyIn(took)
	return nil
}

// spawn starts the server and notes that with the kill before it.
func (s *site) spawn(ctx context.Context) (*process, error) {
	proc, err := s.prog.start(ctx)
	if err != nil {
		return nil, err
	}
	if n := len(s.deeds.kills); n > 0 && s.deeds.kills[n-1].again.IsZero() {
		s.deeds.kills[n-1].again = proc.begin
	}
	s.proc = proc
	return proc, nil
}

func (s *site) readyIn(took time.Duration) {
	s.res.Ready = append(s.res.Ready, round(took))
	if took > s.ready {
		s.res.violate(violation{classSlow, fmt.Sprintf("restart %d was ready after %.2f s, more than %s", len(s.res.Ready), took.Seconds(), s.ready)})
	}
}

// kill ends the server and notes when.
func (s *site) kill(ctx context.Context, whole bool, how string) error {
	k := killing{how: how, at: time.Now()}
	err := s.proc.kill(ctx, whole)
	k.gone = time.Now()
	s.deeds.kills = append(s.deeds.kills, k)
	return err
}

// terminate sends SIGTERM and waits for the end.
func (s *site) terminate(ctx context.Context) {
	stop := span{from: time.Now()}
	took, err := s.proc.stop(ctx)
	stop.to = time.Now()
	s.deeds.stops = append(s.deeds.stops, stop)
	s.gate.shut()
	s.res.StopTimes = append(s.res.StopTimes, round(took))
	if err != nil {
		s.res.violate(violation{classSlow, fmt.Sprintf("SIGTERM: %v", err)})
	}
}

// serve lets the clients work for a while.
func (s *site) serve(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return s.ledger.failure()
	case <-s.proc.exited:
		return s.ended()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// alive says why there is nothing to go on with.
func (s *site) alive() error {
	select {
	case <-s.proc.exited:
		return s.ended()
	default:
		return s.ledger.failure()
	}
}

func (s *site) ended() error {
	return fmt.Errorf("the server ended by itself: %w; see %s", noNil(s.proc.err), s.prog.log.Name())
}

// awaitHalfway waits for a moment at which a kill comes between a message and its reply, and takes any moment when there is none.
func (s *site) awaitHalfway(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, halfwayWithin)
	defer cancel()
	for !s.far.halfway(s.deeds.habit) && pause(within, 25*time.Millisecond) {
	}
}

func (s *site) verify(ctx context.Context, after string) {
	v := s.prog.verify(ctx, after)
	s.res.Verifications = append(s.res.Verifications, v)
	if !v.Clean {
		s.res.violate(violation{classUnverified, fmt.Sprintf("verify after %s: %s %.600s", after, v.Error, v.Report)})
	}
}

// quiet waits for the clients.
func (s *site) quiet() error {
	done := make(chan struct{})
	go func() {
		s.load.wait.Wait()
		close(done)
	}()
	timer := time.NewTimer(clientsWithin)
	defer timer.Stop()
	select {
	case <-done:
		return s.ledger.failure()
	case <-timer.C:
		return fmt.Errorf("a client still waits for a reply after %s", clientsWithin)
	}
}

// settle waits until every accepted email has its result, and every sender with a mailbox his notices.
func (s *site) settle(ctx context.Context) error {
	t := s.gate.pass(ctx)
	if t == nil {
		return context.Cause(ctx)
	}
	begin := time.Now()
	h := newHTTP(t)
	defer h.CloseIdleConnections()
	for {
		n, err := unsettled(ctx, h)
		if n == 0 && err == nil {
			n, err = untold(ctx, h, t)
		}
		if err != nil {
			return err
		}
		waited := time.Since(begin)
		if n == 0 || waited > settleWithin {
			s.res.Settled = max(s.res.Settled, round(waited))
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

// read gives all that the server shows; copies is what the other servers have of it.
func (s *site) read(ctx context.Context, copies []farCopy) (*world, error) {
	t := s.gate.pass(ctx)
	if t == nil {
		return nil, context.Cause(ctx)
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
	return w, w.readDisk(s.prog.data, users)
}

// count puts what the ledger tells of the troubles and of the stops into the report.
func (s *site) count(c *checker) {
	for i, heard := range c.during() {
		s.results[i].replies = heard
	}
	for way, u := range c.underway {
		all := s.res.Restarts.Underway[way]
		all.add(u)
		s.res.Restarts.Underway[way] = all
	}
}

// close ends the server and has it verified once more.
func (s *site) close(ctx context.Context) error {
	err := s.leave()
	if s.proc != nil {
		took, stopErr := s.proc.stop(context.WithoutCancel(ctx))
		if stopErr == nil {
			s.res.StopTimes = append(s.res.StopTimes, round(took))
		}
		if ctx.Err() == nil { // a server that is interrupted during its start rightly ends with an error
			err = errors.Join(err, stopErr)
		}
	}
	if ctx.Err() == nil && s.proc != nil {
		s.verify(ctx, "the end of the run")
	}
	return errors.Join(err, s.prog.log.Close())
}
