package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startWithin is when a start is given up; how fast it should be is another question.
	startWithin = 90 * time.Second
	// stopWithin is how long the server may take to end after SIGTERM (F-18).
	stopWithin = 30 * time.Second
	// goneWithin is how long the database of a killed server may take to end.
	goneWithin   = 20 * time.Second
	verifyWithin = 3 * time.Minute
)

// devInfo is what we need of dev.json.
type devInfo struct {
	Domain string            `json:"domain"`
	APIURL string            `json:"api_url"`
	Listen map[string]string `json:"listen"`
	CAFile string            `json:"ca_file"`
	APIKey string            `json:"api_key"`
	Users  []login           `json:"users"`
}

type login struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// name is the part of the address before the @.
func (l login) name() string {
	local, _, _ := strings.Cut(l.Email, "@")
	return local
}

// program starts and checks the server on one data directory.
type program struct {
	path string
	data string // absolute
	log  *os.File
	dice dice
	// env is what every start gets besides its ports, and taken are ports that it must not get.
	env, taken []string
}

// process is one life of the server.
type process struct {
	cmd    *exec.Cmd
	ready  chan struct{}
	exited chan struct{}
	err    error // of the exit; valid after exited is closed
	begin  time.Time
	end    time.Time // valid after exited is closed
}

// start runs "mailserver dev" on free ports and does not wait.
func (p *program) start(ctx context.Context) (*process, error) {
	ports, err := freePorts(ctx, p.dice, p.taken, "SMTP", "SUBMISSION", "SUBMISSIONS", "IMAPS", "HTTP")
	if err != nil {
		return nil, err
	}
	// The end of ctx must not kill the server: we choose how it ends.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.path, "dev", "--data", p.data, "--seed", "none")
	cmd.Env = append(cmd.Environ(), "MAILSERVER_LISTEN_IMAP=", "MAILSERVER_LISTEN_HTTPS=")
	cmd.Env = append(append(cmd.Env, p.env...), ports...)
	cmd.SysProcAttr = attributes()
	cmd.Stderr = p.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	proc := &process{cmd: cmd, ready: make(chan struct{}), exited: make(chan struct{}), begin: time.Now()}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go proc.watch(out)
	return proc, nil
}

// watch waits for the printout and for the end.
func (p *process) watch(out io.Reader) {
	lines := bufio.NewScanner(out)
	ready := false
	for lines.Scan() {
		if !ready && strings.HasPrefix(lines.Text(), "mailserver ready in ") {
			ready = true
			close(p.ready)
		}
	}
	p.err = p.cmd.Wait()
	p.end = time.Now()
	close(p.exited)
}

// await waits until the server is ready and says how long that took.
func (p *process) await(ctx context.Context) (time.Duration, error) {
	timeout := time.NewTimer(startWithin)
	defer timeout.Stop()
	select {
	case <-p.ready:
		return time.Since(p.begin), nil
	case <-p.exited:
		return 0, fmt.Errorf("the server ended before it was ready: %w", noNil(p.err))
	case <-timeout.C:
		return 0, fmt.Errorf("the server was not ready after %s", startWithin)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func noNil(err error) error {
	if err == nil {
		return errors.New("exit 0")
	}
	return err
}

// info reads dev.json, which is there when the server is ready.
func (p *program) info() (devInfo, error) {
	var info devInfo
	raw, err := os.ReadFile(filepath.Join(p.data, "dev.json"))
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(raw, &info); err != nil {
		return info, fmt.Errorf("dev.json: %w", err)
	}
	if len(info.Users) < 2 {
		return info, errors.New("dev.json names fewer than two users")
	}
	return info, nil
}

// kill sends SIGKILL to the server, if whole to every process below it as well, and waits until nothing of them is left.
func (p *process) kill(ctx context.Context, whole bool) error {
	family := family(p.cmd.Process.Pid)
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if whole {
		for _, m := range family {
			m.kill()
		}
	}
	<-p.exited
	return gone(ctx, family)
}

// killBelow sends SIGKILL to every process below the server, which are its database, and waits until nothing of them is left. The
// server goes on.
func (p *process) killBelow(ctx context.Context) (killed int, err error) {
	family := family(p.cmd.Process.Pid)
	if len(family) == 0 {
		return 0, errors.New("the server has no processes below it: nothing to kill")
	}
	for _, m := range family {
		m.kill()
	}
	return len(family), gone(ctx, family)
}

// stop sends SIGTERM, waits, and says how long it took. A server that does not end is killed.
func (p *process) stop(ctx context.Context) (time.Duration, error) {
	family := family(p.cmd.Process.Pid)
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	timeout := time.NewTimer(stopWithin)
	defer timeout.Stop()
	select {
	case <-p.exited:
		return time.Since(begin), errors.Join(p.err, gone(ctx, family))
	case <-timeout.C:
		return time.Since(begin), errors.Join(fmt.Errorf("the server did not end within %s of SIGTERM", stopWithin), p.kill(ctx, false))
	}
}

// gone waits until the processes have ended, which those of a killed server do by themselves.
func gone(ctx context.Context, family []member) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goneWithin)
	defer cancel()
	for {
		left := family[:0:0]
		for _, m := range family {
			if m.alive() {
				left = append(left, m)
			}
		}
		if len(left) == 0 {
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("%d processes of the server are still there after %s, such as %d", len(left), goneWithin, left[0].pid)
		}
	}
}

// pause waits; it is false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// verification is one run of "mailserver verify".
type verification struct {
	After   string          `json:"after"`
	Clean   bool            `json:"clean"`
	Seconds float64         `json:"seconds"`
	Report  json.RawMessage `json:"report,omitempty"` // when not clean
	Error   string          `json:"error,omitempty"`
}

// verify checks the data directory of a server that does not run.
func (p *program) verify(ctx context.Context, after string) verification {
	ctx, cancel := context.WithTimeout(ctx, verifyWithin)
	defer cancel()
	begin := time.Now()
	cmd := exec.CommandContext(ctx, p.path, "verify", "--data", p.data, "--json")
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWithin
	cmd.Stderr = p.log
	out, err := cmd.Output()
	v := verification{After: after, Clean: err == nil, Seconds: round(time.Since(begin))}
	if err != nil {
		v.Error = err.Error()
		if json.Valid(out) {
			v.Report = out
		}
	}
	return v
}

// round gives seconds with two digits behind the point.
func round(d time.Duration) float64 {
	return float64(d.Round(10*time.Millisecond)) / float64(time.Second)
}
