package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	modulePath = "github.com/mailserver-dev/mailserver"
	logDir     = ".run/test"
	// heartbeat is how often a long suite says that it lives.
	heartbeat = 20 * time.Second
	// grace is how long an interrupted process may take to end before it is killed.
	grace = 15 * time.Second
)

// suite is one line of the closing table.
type suite struct {
	name    string
	about   string
	timeout time.Duration
	// run does the work and records the outcome.
	run func(context.Context, *recorder)
}

// recorder is what a running suite writes to: the outcome, its log file, and a line that tells how far it is.
// The heartbeat reads it from another goroutine.
type recorder struct {
	mu     sync.Mutex
	result result
	log    io.Writer
	status func() string // nil, or how far the current command is; called under mu
}

func (r *recorder) pass()                           { r.locked(func() { r.result.passed++ }) }
func (r *recorder) fail(name string, text []string) { r.locked(func() { r.result.fail(name, text) }) }

func (r *recorder) skip(reason string) { r.locked(func() { r.result.skip(r.result.name, reason) }) }

func (r *recorder) locked(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// runSuite runs one suite under its time limit, with its log, a heartbeat and its failures printed at the end.
func runSuite(ctx context.Context, out io.Writer, s suite) result {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rec := &recorder{result: result{name: s.name, log: filepath.Join(logDir, s.name+".log")}}
	file, err := os.Create(rec.result.log)
	if err != nil {
		rec.result.fail("log", []string{err.Error()})
		return rec.result
	}
	defer file.Close()
	rec.log = file
	fmt.Fprintf(out, "==> %s: %s\n", s.name, s.about)
	start := time.Now()
	stop := beat(out, rec, start)
	s.run(ctx, rec)
	stop()
	rec.result.took = time.Since(start)
	if ctx.Err() != nil {
		rec.result.fail("the suite as a whole", []string{fmt.Sprintf("stopped (its time is %s): %v", s.timeout, ctx.Err())})
	}
	printFailures(out, rec.result)
	fmt.Fprintf(out, "    %s: %d passed, %d failed, %d skipped in %.1f s\n",
		s.name, rec.result.passed, len(rec.result.failures), rec.result.skipped, rec.result.took.Seconds())
	return rec.result
}

// makeLogDir makes the folder of the logs. The one above it is the default data folder of `make run` too, and the account of the
// private PostgreSQL must be able to pass through it.
func makeLogDir() error {
	return os.MkdirAll(logDir, 0o755) //nolint:gosec // test logs are no secret, and see above
}

// beat prints a line every heartbeat until the returned function is called.
func beat(out io.Writer, rec *recorder, start time.Time) (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				status := "still running"
				rec.locked(func() {
					if rec.status != nil {
						status = rec.status()
					}
				})
				fmt.Fprintf(out, "    %s: %s, %.0f s\n", rec.result.name, status, time.Since(start).Seconds())
			}
		}
	})
	return func() {
		close(done)
		wait.Wait()
	}
}

// prepared returns a command in a process group of its own, because `go test` does not hand a signal on to the tests: the whole
// group gets SIGTERM when the context ends, and what is left of the command SIGKILL when that does not help.
func prepared(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	return cmd
}

// lines runs a command and hands every line of its output, errors among it, to each. Standard output that has a place already is
// left there.
func lines(cmd *exec.Cmd, each func(string)) error {
	read, write := io.Pipe()
	cmd.Stderr = write
	if cmd.Stdout == nil {
		cmd.Stdout = write
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		write.Close()
	}()
	buffered := bufio.NewReader(read)
	for {
		line, err := buffered.ReadString('\n')
		if line != "" {
			each(strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			return errors.Join(<-ended, notEOF(err))
		}
	}
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// check runs a command as one check: exit 0 is a pass, anything else a failure with the end of what it printed.
func (r *recorder) check(ctx context.Context, name, command string, args ...string) bool {
	return r.checkCmd(name, prepared(ctx, command, args...))
}

func (r *recorder) checkCmd(name string, cmd *exec.Cmd) bool {
	var tail []string
	err := lines(cmd, func(line string) {
		tail = keep(tail, line)
		fmt.Fprintln(r.log, line)
	})
	if err != nil {
		r.fail(name, append(tail, err.Error()))
		return false
	}
	r.pass()
	return true
}

// goTest runs `go test -json` with the arguments and counts its tests.
func (r *recorder) goTest(ctx context.Context, args ...string) {
	r.goStream(prepared(ctx, "go", append([]string{"test", "-json", "-vet=off"}, args...)...))
}

// goStream runs a command that prints a stream of test2json and counts its tests.
func (r *recorder) goStream(cmd *exec.Cmd) {
	report := newGoReport()
	r.locked(func() { r.status = report.progress })
	err := lines(cmd, func(line string) {
		r.locked(func() {
			fmt.Fprint(r.log, report.add(line))
		})
	})
	r.locked(func() {
		r.status = nil
		report.finish(&r.result, err)
	})
}
