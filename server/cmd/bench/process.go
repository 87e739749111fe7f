package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// killedWithin is how long processes may take to be gone after SIGKILL.
const killedWithin = 10 * time.Second

// process is a program that we started and that we alone end.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of the exit; valid after exited is closed
}

// command is what is started, with a log for what it prints.
type command struct {
	path string
	args []string
	env  []string
	log  *os.File
}

// launch starts a program and does not wait. The end of ctx does not end it: stop does.
func (c command) launch(ctx context.Context) (*process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.path, c.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, c.log, c.log
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// gone gives an error once the process has ended.
func (p *process) gone() error {
	select {
	case <-p.exited:
		if p.err == nil {
			return errors.New("it ended by itself")
		}
		return fmt.Errorf("it ended by itself: %w", p.err)
	default:
		return nil
	}
}

// stop sends SIGTERM and waits until the process and everything below it has ended. What is left after within is killed.
func (p *process) stop(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	family := tree(p.pid())
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
	}
	if awaitGone(ctx, family) {
		return nil
	}
	for _, m := range family {
		m.kill()
	}
	killed, cancelKilled := context.WithTimeout(context.WithoutCancel(ctx), killedWithin)
	defer cancelKilled()
	if !awaitGone(killed, family) {
		return fmt.Errorf("processes below %d are still there after SIGKILL", p.pid())
	}
	return fmt.Errorf("process %d did not end within %s of SIGTERM and was killed", p.pid(), within)
}

// awaitGone waits until none of the processes is alive; it is false when ctx ended before.
func awaitGone(ctx context.Context, family []member) bool {
	for {
		alive := false
		for _, m := range family {
			alive = alive || m.alive()
		}
		if !alive {
			return true
		}
		if !pause(ctx, 20*time.Millisecond) {
			return false
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
