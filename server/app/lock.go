package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockData makes this process the only one that works in the data directory. The kernel ends the lock with the process. Nodes that
// share a database and a body store take none.
func (a *App) lockData() error {
	path := filepath.Join(a.cfg.DataDir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		text, _ := os.ReadFile(path)
		return errors.Join(fmt.Errorf("another mailserver (process %s) already uses %s; stop it, or use another data directory",
			strings.TrimSpace(string(text)), a.cfg.DataDir), file.Close())
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("data_dir: lock: %w", err), file.Close())
	}
	a.onStop("lock", func(context.Context) error {
		return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
	})
	return nil
}

// reset deletes what a mail server made in its data directory, and nothing else. The lock is held.
func (a *App) reset() error {
	dir := a.cfg.DataDir
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	ours := false
	for _, e := range entries {
		ours = ours || e.Name() == "dev.json" || e.Name() == "postgres" || e.Name() == "maildir"
	}
	if !ours {
		return nil
	}
	for _, name := range DataEntries() {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reset: %w", err)
		}
	}
	return nil
}
