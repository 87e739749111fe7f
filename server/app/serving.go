package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// servingDir is the folder of a data directory where each running server says at which address it answers.
const servingDir = "serving"

// announce writes the address of the API to <data>/serving for the tools on this machine, and keeps the file locked until this
// process ends, however it ends. Who finds it locked knows that the address is ours, and not that of whoever took the port after
// us: the owner's key goes to no stranger. Without it those tools have to be told address and key; nothing else depends on it.
func (a *App) announce(ctx context.Context) error {
	address := a.localURL()
	if address == "" {
		return nil
	}
	file, err := announcement(filepath.Join(a.cfg.DataDir, servingDir), address)
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "tools on this machine will not find the server by its data directory", slog.Any("error", err))
		return nil
	}
	a.onStop("announcement", func(context.Context) error {
		return errors.Join(os.Remove(file.Name()), file.Close())
	})
	return nil
}

// localURL is where this machine reaches the API, "" when nothing listens.
func (a *App) localURL() string {
	scheme, address := "http", a.listening["http"]
	if address == "" {
		scheme, address = "https", a.listening["https"]
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// announcement makes a locked file. Its text comes after the lock: one without text is not yet locked, one with text and no lock is
// left over from a server that was killed. Nodes that share the data directory have a file each.
func announcement(dir, address string) (file *os.File, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	_, left, err := announced(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	file, err = os.OpenFile(filepath.Join(dir, rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		_, err = fmt.Fprintf(file, "%s\n%s\n", hostname(), address)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(file.Name()), file.Close())
	}
	return file, nil
}

// hostname tells the nodes of a shared data directory apart: their addresses are good on their own machine only.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// ServingURL gives the address of the API of a server that runs in a data directory on this machine, such as
// http://127.0.0.1:8080, or "" when none does. It is an error when the caller's account may not look.
func ServingURL(dataDir string) (string, error) {
	address, _, err := announced(filepath.Join(dataDir, servingDir))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return address, err
}

// announced gives the address of a server of this machine that runs, and the files of those that do not run any more.
func announced(dir string) (address string, left []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		host, text, held, err := readAnnouncement(name)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && host != hostname():
		case err != nil:
			return "", nil, err
		case held:
			address = text
		default:
			left = append(left, name)
		}
	}
	return address, left, nil
}

// readAnnouncement reads a file and whether a server holds it.
func readAnnouncement(name string) (host, address string, held bool, err error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return "", "", false, err
	}
	defer file.Close()
	const most = 1024
	raw := make([]byte, most)
	n, _ := file.ReadAt(raw, 0)
	lines := strings.Split(string(raw[:n]), "\n")
	if len(lines) < 3 {
		return "", "", false, nil // being written
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return lines[0], lines[1], true, nil
	}
	return lines[0], lines[1], false, err
}
