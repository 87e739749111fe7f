//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/config"
)

// patience is how long a start, a stop or a client may take on a loaded machine.
const patience = 60 * time.Second

// binary is the program under test, built by make before this suite runs.
func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../../bin/mailserver")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return path
}

// devInfo is dev.json.
type devInfo struct {
	PID        int               `json:"pid"`
	Data       string            `json:"data"`
	Domain     string            `json:"domain"`
	APIURL     string            `json:"api_url"`
	ConsoleURL string            `json:"console_url"`
	Listen     map[string]string `json:"listen"`
	CAFile     string            `json:"ca_file"`
	Owner      login             `json:"owner"`
	APIKey     string            `json:"api_key"`
	TestAPIKey string            `json:"test_api_key"`
	Users      []login           `json:"users"`
}

type login struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// server is a running "mailserver dev".
type server struct {
	devInfo
	dir      string
	cmd      *exec.Cmd
	exited   chan error
	ready    chan string
	begin    time.Time
	printout string
	took     time.Duration
	stderr   *syncBuffer
}

// start runs "mailserver dev" in dir and waits for its printout.
func start(t *testing.T, dir string, env []string, args ...string) *server {
	t.Helper()
	s := launch(t, dir, env, args...)
	s.await(t, args...)
	return s
}

// launch runs "mailserver dev" without waiting.
func launch(t *testing.T, dir string, env []string, args ...string) *server {
	t.Helper()
	return launchCommand(t, dir, env, append([]string{"dev"}, args...)...)
}

func launchCommand(t *testing.T, dir string, env []string, args ...string) *server {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary(t), args...)
	cmd.Dir = dir
	cmd.Env = append(config.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s := &server{dir: dir, cmd: cmd, exited: make(chan error, 1), ready: make(chan string, 1), stderr: &syncBuffer{}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = s.stderr
	s.begin = time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.watch(out)
	t.Cleanup(func() { s.stop(t) })
	return s
}

// await waits for the printout and reads dev.json.
func (s *server) await(t *testing.T, args ...string) {
	t.Helper()
	select {
	case s.printout = <-s.ready:
		s.took = time.Since(s.begin)
	case err := <-s.exited:
		s.exited <- err
		t.Fatalf("the server ended before it was ready: %v\n%s", err, s.stderr)
	case <-time.After(patience):
		t.Fatalf("not ready after %s\n%s", patience, s.stderr)
	}
	raw, err := os.ReadFile(filepath.Join(s.dataDir(args), "dev.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &s.devInfo); err != nil {
		t.Fatal(err)
	}
}

func (s *server) dataDir(args []string) string {
	for i, a := range args {
		if a == "--data" {
			return filepath.Join(s.dir, args[i+1])
		}
	}
	return filepath.Join(s.dir, ".run")
}

// watch collects the printout, which ends with the second command and an empty line, and reports the end of the process.
func (s *server) watch(out io.Reader) {
	var text strings.Builder
	lines := bufio.NewScanner(out)
	seen := false
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		seen = seen || strings.HasPrefix(lines.Text(), "Read it:")
		if seen && lines.Text() == "" {
			s.ready <- text.String()
			seen = false
		}
	}
	s.exited <- s.cmd.Wait()
}

// stop interrupts the server as Ctrl-C does and checks that nothing of it is left.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	children := s.family(t)
	begin := time.Now()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("interrupt: %v", err)
	}
	select {
	case err := <-s.exited:
		if err != nil {
			t.Errorf("the server ended with %v\n%s", err, s.stderr)
		}
	case <-time.After(patience):
		t.Errorf("not stopped after %s\n%s", patience, s.stderr)
		if err := s.cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-s.exited //nolint:errcheck // how it ended is known
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("stopping took %s; the promise is 10 s", took)
	}
	for _, pid := range children {
		if alive(pid) {
			t.Errorf("process %d of the server is still there", pid)
		}
	}
}

// interrupt is Ctrl-C before the server is ready: how it ends does not matter, that it ends does.
func (s *server) interrupt(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	select {
	case <-s.exited: //nolint:errcheck // how it ended does not matter
	case <-time.After(patience):
		t.Fatalf("not stopped after %s\n%s", patience, s.stderr)
	}
}

// kill ends the server with SIGKILL and waits until its database has gone too.
func (s *server) kill(t *testing.T) {
	t.Helper()
	children := s.family(t)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.exited //nolint:errcheck // how it ended is known
	eventually(t, "the killed server's database has ended", func() bool {
		return !slices.ContainsFunc(children, alive)
	})
}

// family lists the processes below the server.
func (s *server) family(t *testing.T) []int {
	t.Helper()
	var pids []int
	next := []int{s.cmd.Process.Pid}
	for len(next) > 0 {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", next[0], next[0]))
		next = next[1:]
		if err != nil {
			continue
		}
		for word := range strings.FieldsSeq(string(raw)) {
			var pid int
			if _, err := fmt.Sscan(word, &pid); err == nil {
				pids, next = append(pids, pid), append(next, pid)
			}
		}
	}
	return pids
}

// alive is false for ended processes and for those that only wait to be collected.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// freePorts gives each listener a port of its own, so that tests and a server that somebody runs do not meet.
func freePorts(t *testing.T) []string {
	t.Helper()
	var env []string
	for _, name := range []string{"SMTP", "SUBMISSION", "SUBMISSIONS", "IMAP", "IMAPS", "HTTP", "HTTPS"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		env = append(env, "MAILSERVER_LISTEN_"+name+"="+ln.Addr().String())
	}
	return env
}

// command takes one of the printed blocks, verbatim.
func (s *server) command(t *testing.T, title string) string {
	t.Helper()
	block := regexp.MustCompile(`(?m)^` + title + `\n((?:  .*\n)+)`).FindStringSubmatch(s.printout)
	if block == nil {
		t.Fatalf("the printout has no block %q:\n%s", title, s.printout)
	}
	return block[1]
}

// shell runs a command line in the server's folder.
func (s *server) shell(t *testing.T, line string) string {
	t.Helper()
	out, err := s.tryShell(t, line)
	if err != nil {
		t.Fatalf("%s\n%v\n%s", line, err, out)
	}
	return out
}

func (s *server) tryShell(t *testing.T, line string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// need skips the test when a client is not installed, and says how to install it.
func need(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("needs %s: apt-get install %s", program, pkg)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
