package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is everything that one start of PostgreSQL needs. It does not change while the cluster lives.
type server struct {
	cfg     Config
	bin     binaries
	account account
	layout  layout
}

// initialise makes the data directory when there is none. A directory that initdb did not finish is thrown away.
func (s server) initialise(ctx context.Context) error {
	if isDir(s.layout.data) {
		return nil
	}
	fresh := s.layout.fresh()
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("private PostgreSQL: remove an unfinished cluster: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("private PostgreSQL: %w", err)
	}
	if err := s.account.own(fresh); err != nil {
		return fmt.Errorf("private PostgreSQL: give %s to %s: %w", fresh, s.account.name, err)
	}
	if err := s.initdb(ctx, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, s.layout.data); err != nil {
		return fmt.Errorf("private PostgreSQL: %w", err)
	}
	if err := syncDir(s.layout.dir); err != nil {
		return fmt.Errorf("private PostgreSQL: %w", err)
	}
	return nil
}

// initdb: byte-order collation survives updates of the C library; checksums find what a disk spoils.
func (s server) initdb(ctx context.Context, fresh string) error {
	target, hold := fresh, []string(nil)
	if s.layout.held {
		target, hold = heldPath(0), []string{fresh}
	}
	s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "creating the database", slog.String("dir", s.layout.dir),
		slog.Int("postgresql", s.bin.major), slog.String("account", s.account.name))
	p, err := launch(ctx, command{
		program: s.bin.program("initdb"),
		args: []string{
			"-D", target, "-U", Role, "-E", "UTF8", "--locale=C", "--data-checksums",
			"--auth-local=peer", "--auth-host=reject", "--no-instructions",
		},
		account: s.account,
		hold:    hold,
		log:     s.cfg.Logger,
	})
	if err != nil {
		return err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.signal(syscall.SIGINT)
		<-p.exited
		return ctx.Err()
	}
	if p.status != nil {
		return fmt.Errorf("private PostgreSQL: initdb failed (%w): %s", p.status, p.lastWords())
	}
	return nil
}

// configureAccess rewrites who may connect: accounts of this machine over the socket, proved by the kernel, and nobody else.
func (s server) configureAccess() error {
	if err := replaceFile(s.layout.data, "pg_hba.conf", "local all all peer map=ms\n", s.account); err != nil {
		return err
	}
	var ident strings.Builder
	for _, name := range s.account.clients() {
		fmt.Fprintf(&ident, "ms %q %s\n", name, Role)
	}
	return replaceFile(s.layout.data, "pg_ident.conf", ident.String(), s.account)
}

// errBusy says that processes of a dead postmaster still hold its shared memory.
var errBusy = errors.New("the previous postmaster's processes are still ending")

// bringUp starts PostgreSQL and returns when it accepts connections.
func (s server) bringUp(ctx context.Context) (*process, error) {
	for range 10 {
		p, err := s.tryUp(ctx)
		if !errors.Is(err, errBusy) {
			return p, err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("private PostgreSQL in %s: %w", s.layout.dir, errBusy)
}

func (s server) tryUp(ctx context.Context) (*process, error) {
	if err := s.awaitPredecessor(ctx); err != nil {
		return nil, err
	}
	data, run, hold := s.layout.data, s.layout.run, []string(nil)
	if s.layout.held {
		data, run, hold = heldPath(0), heldPath(1), []string{s.layout.data, s.layout.run}
	}
	p, err := launch(ctx, command{
		program: s.bin.program("postgres"),
		args:    append([]string{"-D", data}, arguments(s.cfg, s.bin.major, run)...),
		account: s.account,
		hold:    hold,
		log:     s.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	if err := s.awaitReady(ctx, p); err != nil {
		end(p, nil)
		return nil, err
	}
	return p, nil
}

// awaitReady polls postmaster.pid: line 1 is our child's pid and line 8 begins with "ready". Recovery after a crash may take
// minutes; the caller's context is the only limit.
func (s server) awaitReady(ctx context.Context, p *process) error {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		if file, err := readPidFile(s.layout.pidFile()); err == nil && file.pid == p.pid && file.ready {
			return nil
		}
		select {
		case <-p.exited:
			words := p.lastWords()
			if strings.Contains(words, "is still in use") {
				return errBusy
			}
			return fmt.Errorf("private PostgreSQL did not start (%w): %s", exitStatus(p), words)
		case <-ctx.Done():
			return fmt.Errorf("private PostgreSQL did not become ready in time: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

func exitStatus(p *process) error {
	if p.status == nil {
		return errors.New("exit status 0")
	}
	return p.status
}

// Limits of the wait for a postmaster that an earlier, killed server left behind. With the kernel's death signal it is already
// shutting down; without it is asked to after a grace.
const (
	predecessorGrace = 3 * time.Second
	predecessorLimit = 30 * time.Second
)

// awaitPredecessor waits until no process of an earlier postmaster works in the data directory. The lock is ours, so no living
// server wants it.
func (s server) awaitPredecessor(ctx context.Context) error {
	file, err := readPidFile(s.layout.pidFile())
	if errors.Is(err, os.ErrNotExist) {
		return s.clearLocks(file)
	}
	ctx, cancel := context.WithTimeout(ctx, predecessorLimit)
	defer cancel()
	grace := time.NewTimer(predecessorGrace)
	defer grace.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		running := clusterProcesses(s.layout.data, file.pid)
		if len(running) == 0 {
			return s.clearLocks(file)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("private PostgreSQL: processes %v of an earlier run still use %s: end them with kill -INT %d and start again: %w",
				running, s.layout.data, running[0], ctx.Err())
		case <-grace.C:
			if slices.Contains(running, file.pid) {
				s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "stopping the postgres of an earlier run", slog.Int("pid", file.pid))
				_ = syscall.Kill(file.pid, syscall.SIGINT) // gone already is what we want
			}
		case <-tick.C:
		}
	}
}

// clearLocks removes lock files that nobody holds: PostgreSQL takes them for held when their number now belongs to a foreign
// process, or to a dead one that was not collected. In a container the small numbers come back at every start. A postmaster.pid
// whose number is free stays, because PostgreSQL finds left-over shared memory by it.
func (s server) clearLocks(file pidFile) error {
	stale := []string{s.layout.socket() + ".lock"}
	if taken := file.pid > 0 && syscall.Kill(file.pid, 0) == nil; taken {
		stale = append(stale, s.layout.pidFile())
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("private PostgreSQL: remove a stale lock: %w", err)
		}
	}
	return nil
}

// pidFile is what postmaster.pid says.
type pidFile struct {
	pid   int
	ready bool
}

func readPidFile(path string) (pidFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	// A negative number marks a single-user backend.
	return pidFile{pid: max(pid, -pid), ready: len(lines) > 7 && strings.HasPrefix(lines[7], "ready")}, nil
}

// Limits of a stop: the fast way, then the immediate one, which needs recovery at the next start but loses nothing.
const (
	fastStop      = 20 * time.Second
	immediateStop = 10 * time.Second
)

// end stops a child and reports whether it is gone. A value on hurry skips the rest of the fast way. SIGKILL is never sent: it
// would leave shared memory and child processes behind.
func end(p *process, hurry <-chan struct{}) bool {
	p.signal(syscall.SIGINT)
	timer := time.NewTimer(fastStop)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-hurry:
	case <-timer.C:
	}
	p.signal(syscall.SIGQUIT)
	timer.Reset(immediateStop)
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// pause waits for d or the context.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
