package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// volumeSource is what the list of mounts shows as the device of ours.
const volumeSource = "mailserver-chaos"

// mountVolume mounts a file system in memory on a new folder.
func mountVolume(path string, bytes int64, files int) (*volume, error) {
	if err := os.Mkdir(path, 0o755); err != nil { //nolint:gosec // the account of PostgreSQL passes through
		return nil, err
	}
	options := fmt.Sprintf("size=%d,nr_inodes=%d,mode=0755", bytes, files)
	if err := syscall.Mount(volumeSource, path, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, options); err != nil {
		return nil, &os.PathError{Op: "mount", Path: path, Err: err}
	}
	return &volume{path: path}, nil
}

// unmountWithin is how long something on a volume may be open after the last process of the run has ended.
const unmountWithin = 3 * time.Second

// unmount takes the volume away, which is refused while something on it is open. Then it goes when that is closed.
func (v *volume) unmount(ctx context.Context) error {
	if same, err := onSameVolume(v.path, filepath.Dir(v.path)); err != nil || same {
		return err // nothing of ours is mounted there any more
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unmountWithin)
	defer cancel()
	err := syscall.Unmount(v.path, 0)
	for errors.Is(err, syscall.EBUSY) && pause(ctx, breath) {
		err = syscall.Unmount(v.path, 0)
	}
	if errors.Is(err, syscall.EBUSY) {
		err = syscall.Unmount(v.path, syscall.MNT_DETACH)
	}
	if err != nil {
		return &os.PathError{Op: "unmount", Path: v.path, Err: err}
	}
	return nil
}

func onSameVolume(a, b string) (bool, error) {
	var x, y syscall.Stat_t
	if err := errors.Join(syscall.Stat(a, &x), syscall.Stat(b, &y)); err != nil {
		return false, err
	}
	return x.Dev == y.Dev, nil
}

// cannotMount says why this process may not mount anything; "" when it may.
func cannotMount(ctx context.Context) string {
	if os.Geteuid() != 0 {
		return "a small volume can be mounted by root only: run it as root, sudo make chaos ARGS='-only disk'"
	}
	dir, err := os.MkdirTemp("", "chaos-volume")
	if err != nil {
		return err.Error()
	}
	defer os.Remove(dir)
	v, err := mountVolume(filepath.Join(dir, "x"), smallestBlock, 10)
	if err == nil {
		err = v.unmount(ctx)
	}
	_ = os.Remove(filepath.Join(dir, "x")) // gone with what is above otherwise
	if err != nil {
		return fmt.Sprintf("this machine lets root mount nothing (%v): in a container it takes --cap-add SYS_ADMIN", err)
	}
	return ""
}

// insideName is how this program calls itself in the second life that apart gives it.
const insideName = "chaos-inside"

// apart runs this program once more, with mounts of its own: nobody else sees the volumes, and the kernel takes them away when the
// last process of the run has ended, however it ended. It is false when that is not needed or not possible.
func apart(ctx context.Context) (code int, ran bool) {
	if os.Args[0] == insideName || os.Geteuid() != 0 {
		return 0, false
	}
	runtime.LockOSThread() // the signal of our death comes from the thread that started it
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = insideName
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, false
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // one that has ended needs none
			case <-done:
				return
			}
		}
	}()
	err := cmd.Wait()
	close(done)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return exitOK, true
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), true
	}
	return exitFailed, true
}
