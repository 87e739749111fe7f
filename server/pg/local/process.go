package local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// command is a program of PostgreSQL to be run as the cluster's account.
type command struct {
	program string
	args    []string
	account account
	// hold are directories that the child gets as descriptors 3, 4, ...
	hold []string
	log  *slog.Logger
}

// process is a running child.
type process struct {
	pid int
	// exited is closed when the child is gone; status is valid then.
	exited chan struct{}
	status error
	tail   *tail
	handle *os.Process
	// drained is closed when the child and all its descendants have closed their output.
	drained chan struct{}
}

func (p *process) signal(sig os.Signal) { _ = p.handle.Signal(sig) } // a child that is gone needs no signal

// lastWords returns the end of the output of a child that has ended.
func (p *process) lastWords() string {
	select {
	case <-p.drained:
	case <-time.After(200 * time.Millisecond): // a descendant still has the pipe
	}
	return p.tail.String()
}

// gone reports whether the child has ended.
func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// launch starts the child from a thread of its own, which lives as long as the child: the signal that the kernel sends at our
// death follows the thread that forked, not the process. The end of ctx does not end the child.
func launch(ctx context.Context, c command) (*process, error) {
	held, err := openAll(c.hold)
	if err != nil {
		return nil, err
	}
	defer closeAll(held)
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("private PostgreSQL: %w", err)
	}
	cmd := exec.Command(c.program, c.args...) //nolint:noctx // it outlives the caller's context and is ended by Stop
	cmd.Dir = "/"                             // a directory that the account can always enter
	cmd.Env = childEnvironment()
	cmd.Stderr = writer
	cmd.ExtraFiles = held
	cmd.SysProcAttr = childAttributes(c.account)

	p := &process{exited: make(chan struct{}), drained: make(chan struct{}), tail: &tail{}}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid, p.handle = cmd.Process.Pid, cmd.Process
		}
		started <- err
		if err == nil {
			p.status = cmd.Wait()
			close(p.exited)
		}
	}()
	err = <-started
	writer.Close()
	if err != nil {
		reader.Close()
		return nil, fmt.Errorf("private PostgreSQL: start %s: %w", c.program, err)
	}
	go func() {
		defer close(p.drained)
		readLog(context.WithoutCancel(ctx), reader, c.log, p.tail)
	}()
	return p, nil
}

func openAll(dirs []string) ([]*os.File, error) {
	files := make([]*os.File, 0, len(dirs))
	for _, dir := range dirs {
		file, err := os.Open(dir)
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("private PostgreSQL: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

// heldPath is how the child names the n-th held directory.
func heldPath(n int) string { return fmt.Sprintf("/proc/self/fd/%d", 3+n) }

// tail keeps the last lines of a child's output for error texts.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 12

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = slices.Delete(t.lines, 0, 1)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "; ")
}

// maxLogLine bounds what one line of PostgreSQL's output may hold; the rest of a longer line is dropped.
const maxLogLine = 8 << 10

// readLog turns the child's output into log records until all its descendants have closed it.
func readLog(ctx context.Context, r io.ReadCloser, log *slog.Logger, t *tail) {
	defer r.Close()
	buffered := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, isPrefix, err := buffered.ReadLine()
		if err != nil {
			return
		}
		text := strings.TrimSpace(string(line))
		for isPrefix && err == nil {
			_, isPrefix, err = buffered.ReadLine()
		}
		if text == "" {
			continue
		}
		t.add(text)
		level, message := severity(text)
		log.LogAttrs(ctx, level, "postgres", slog.String("message", message))
	}
}

// severity splits a line such as "LOG:  database system is ready". What PostgreSQL calls LOG is detail to an operator here.
func severity(line string) (slog.Level, string) {
	word, message, ok := strings.Cut(line, ":  ")
	if !ok {
		return slog.LevelDebug, line
	}
	switch word {
	case "PANIC":
		return slog.LevelError, message
	case "FATAL", "WARNING":
		return slog.LevelWarn, message
	default:
		return slog.LevelDebug, message
	}
}
