package local

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

func TestLongDataPathsGetAShortSocket(t *testing.T) {
	t.Parallel()
	me := account{name: "me", uid: os.Geteuid(), gid: os.Getegid()}
	base := t.TempDir()
	dir := filepath.Join(base, strings.Repeat("long/", 30), "postgres")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	short, err := os.MkdirTemp("/tmp", "ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	l, err := arrange(dir, Config{RuntimeDir: short}, me)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(l.run) != short || len(l.socket()) > maxSocketPath {
		t.Errorf("socket %s", l.socket())
	}
	again, err := arrange(dir, Config{RuntimeDir: short}, me)
	if err != nil || again.run != l.run {
		t.Errorf("a second start uses %s, %v instead of %s", again.run, err, l.run)
	}
	if _, err := arrange(dir, Config{RuntimeDir: dir}, me); err == nil || !strings.Contains(err.Error(), "socket path") {
		t.Errorf("a runtime directory that is too long as well: %v", err)
	}
	if run := runtimeDir(dir, "", 1000); !strings.HasSuffix(run, "-1000") {
		t.Errorf("users share %s", run)
	}
}

func TestSocketDirectoryOfSomebodyElseIsNotUsed(t *testing.T) {
	t.Parallel()
	me := account{name: "me", uid: os.Geteuid(), gid: os.Getegid()}
	dir := t.TempDir()
	link := filepath.Join(dir, "run")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := privateDir(link, me); err == nil {
		t.Error("a link was taken for the socket directory")
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := privateDir(open, me); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(open)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAccountThatPostgreSQLRefusesIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no account nobody here")
	}
	acc, err := fromUser(nobody, true)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		configured  string
		euid, owner int
		want        string
	}{
		"root configured":          {"root", 0, -1, "is root"},
		"unknown account":          {"no-such-account", 0, -1, "no such account"},
		"files of somebody else":   {"nobody", 0, 54321, "chown"},
		"user, files of another":   {"", 54321, acc.uid, "belongs to nobody"},
		"uid without an entry":     {"", 54321, -1, "/etc/passwd"},
		"root, owner has no entry": {"", 0, 54321, "/etc/passwd"},
	} {
		_, err := chooseAccount(test.configured, test.euid, test.owner)
		var refused *AccountError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	got, err := chooseAccount("", 0, acc.uid)
	if err != nil || got != acc {
		t.Errorf("root does not run an existing cluster as its owner: %+v, %v", got, err)
	}
	got, err = chooseAccount("postgres", acc.uid, acc.uid)
	if err != nil || got.uid != acc.uid || got.drop {
		t.Errorf("a user starts it as itself: %+v, %v", got, err)
	}
}

func TestParentThatTheAccountCannotEnterIsFound(t *testing.T) {
	t.Parallel()
	stranger := account{name: "stranger", uid: 54321, gid: 54321, drop: true}
	base, err := os.MkdirTemp("/tmp", "ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	closed := filepath.Join(base, "closed")
	dir := filepath.Join(closed, "postgres")
	if err := errors.Join(os.Chmod(base, 0o711), os.MkdirAll(dir, 0o755), os.Chmod(closed, 0o700)); err != nil {
		t.Fatal(err)
	}
	if parent, err := stranger.blockedParent(dir); err != nil || parent != closed {
		t.Errorf("got %q, %v, want %s", parent, err, closed)
	}
	if err := os.Chmod(closed, 0o711); err != nil {
		t.Fatal(err)
	}
	if parent, err := stranger.blockedParent(dir); err != nil || parent != "" {
		t.Errorf("got %q, %v, want none", parent, err)
	}
	text := (&UnreachableError{Account: "stranger", Parent: closed, Dir: dir}).Error()
	if !strings.Contains(text, "chmod o+x "+closed) {
		t.Errorf("the text does not say what to do: %s", text)
	}
}

func TestPidFileIsReadLineByLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pidFile{
		"12\n/d\n1\n5432\n/r\n\n  1 2\nready   \n": {pid: 12, ready: true},
		"12\n/d\n1\n5432\n/r\n\n  1 2\nstarting\n": {pid: 12},
		"12\n/d\n":           {pid: 12},
		"-12\n/d\n1\n5432\n": {pid: 12},
		"12\n/d\n1\n5432\n/r\nready\n  1 2\nstopping": {pid: 12},
	} {
		path := filepath.Join(t.TempDir(), "postmaster.pid")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readPidFile(path); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestWhatTheUserMustInstallIsToldApartFromFaults(t *testing.T) {
	t.Parallel()
	for _, err := range []error{&NotInstalledError{}, &VersionError{}, &AccountError{}, &UnreachableError{}} {
		if !Missing(fmt.Errorf("start: %w", err)) {
			t.Errorf("%T does not count", err)
		}
	}
	for _, err := range []error{nil, &LockedError{}, errors.New("x")} {
		if Missing(err) {
			t.Errorf("%T counts", err)
		}
	}
}
