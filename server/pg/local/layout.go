package local

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// maxSocketPath is the longest socket path that works everywhere: macOS has 104 bytes with the final NUL, Linux 108.
const maxSocketPath = 103

// layout is where one cluster lives, with all links resolved.
type layout struct {
	dir  string // the cluster's directory
	data string // dir/data
	run  string // the socket directory
	// held is whether the account cannot walk to dir and gets open descriptors instead.
	held bool
}

func (l layout) fresh() string   { return filepath.Join(l.dir, "data.new") }
func (l layout) pidFile() string { return filepath.Join(l.data, "postmaster.pid") }
func (l layout) socket() string  { return socketIn(l.run) }

func socketIn(dir string) string { return filepath.Join(dir, ".s.PGSQL."+port) }

// makeDir creates the cluster's directory and returns its real path.
func makeDir(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("private PostgreSQL: create its directory: %w", err)
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("private PostgreSQL: its directory: %w", err)
	}
	return dir, nil
}

// dataOwner returns the uid that owns an existing data directory, -1 when there is none.
func dataOwner(dir string) (int, error) {
	info, err := os.Lstat(filepath.Join(dir, "data"))
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("private PostgreSQL: %w", err)
	}
	if !info.IsDir() {
		return -1, fmt.Errorf("private PostgreSQL: %s is not a directory", filepath.Join(dir, "data"))
	}
	uid, _ := owners(info)
	return uid, nil
}

// arrange finds the socket directory, gives the directories to the account and decides whether it needs descriptors.
func arrange(dir string, cfg Config, acc account) (layout, error) {
	l := layout{dir: dir, data: filepath.Join(dir, "data"), run: filepath.Join(dir, "run")}
	if len(l.socket()) > maxSocketPath {
		l.run = runtimeDir(dir, cfg.RuntimeDir, os.Geteuid())
	}
	if len(l.socket()) > maxSocketPath {
		return layout{}, fmt.Errorf("private PostgreSQL: the socket path %s has %d bytes, the system allows %d: use a shorter runtime directory",
			l.socket(), len(l.socket()), maxSocketPath)
	}
	if err := privateDir(l.run, acc); err != nil {
		return layout{}, err
	}
	if err := acc.own(dir); err != nil {
		return layout{}, fmt.Errorf("private PostgreSQL: give %s to %s: %w", dir, acc.name, err)
	}
	return l, l.decideHeld(acc)
}

func (l *layout) decideHeld(acc account) error {
	if !acc.drop {
		return nil
	}
	for _, dir := range []string{l.dir, l.run} {
		parent, err := acc.blockedParent(dir)
		if err != nil {
			return err
		}
		if parent == "" {
			continue
		}
		if _, err := os.Stat("/proc/self/fd"); runtime.GOOS != "linux" || err != nil {
			return &UnreachableError{Account: acc.name, Parent: parent, Dir: dir}
		}
		l.held = true
	}
	return nil
}

// runtimeDir is a short path that is the same at every start of the same cluster.
func runtimeDir(dir, configured string, euid int) string {
	sum := sha256.Sum256([]byte(dir))
	name := "mailserver-" + hex.EncodeToString(sum[:6])
	switch {
	case configured != "":
		return filepath.Join(configured, name)
	case euid == 0 && isDir("/run"):
		return filepath.Join("/run", name)
	default:
		return filepath.Join(os.TempDir(), name+"-"+strconv.Itoa(euid))
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// privateDir makes a directory that only the account (and root) can use. Its parent may be writable by everybody, so what is
// already there must be a real directory of ours.
func privateDir(path string, acc account) error {
	err := os.Mkdir(path, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("private PostgreSQL: create the socket directory: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("private PostgreSQL: socket directory: %w", err)
	}
	uid, _ := owners(info)
	if !info.IsDir() || (uid != os.Geteuid() && uid != acc.uid) {
		return fmt.Errorf("private PostgreSQL: socket directory %s is not a directory of ours: remove it", path)
	}
	if err := os.Chmod(path, 0o700); err != nil { //nolint:gosec // a directory needs its x
		return fmt.Errorf("private PostgreSQL: socket directory: %w", err)
	}
	if err := acc.own(path); err != nil {
		return fmt.Errorf("private PostgreSQL: give the socket directory to %s: %w", acc.name, err)
	}
	return nil
}

// clusterVersion reads the major version of an existing cluster, 0 when there is none.
func clusterVersion(dir string) (int, error) {
	path := filepath.Join(dir, "data", "PG_VERSION")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if isDir(filepath.Dir(path)) {
			return 0, fmt.Errorf("private PostgreSQL: %s exists but holds no cluster (no PG_VERSION): move it away", filepath.Dir(path))
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("private PostgreSQL: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("private PostgreSQL: %s: %q is not a version", path, strings.TrimSpace(string(text)))
	}
	return major, nil
}

// takeLock makes this process the only owner of the cluster until freeLock or the end of the process.
func takeLock(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("private PostgreSQL: open the lock: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer file.Close()
		text, _ := os.ReadFile(path)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, &LockedError{Dir: dir, PID: pid}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("private PostgreSQL: lock %s: %w", path, err)
	}
	// The number is only for the message of a second starter.
	err = file.Truncate(0)
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("private PostgreSQL: write %s: %w", path, err)
	}
	return file, nil
}

// freeLock gives the cluster free. Closing the file alone would not do while a child that was just forked still has a copy.
func freeLock(lock *os.File) {
	_ = syscall.Flock(int(lock.Fd()), syscall.LOCK_UN) // the close below does it otherwise
	lock.Close()
}

// replaceFile puts a small file into a directory that belongs to the account. It never writes through a link that somebody with
// that account may have left there.
func replaceFile(dir, name, text string, acc account) error {
	file, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return fmt.Errorf("private PostgreSQL: write %s: %w", name, err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		return fmt.Errorf("private PostgreSQL: write %s: %w", name, err)
	}
	if acc.drop {
		if err := file.Chown(acc.uid, acc.gid); err != nil {
			return fmt.Errorf("private PostgreSQL: write %s: %w", name, err)
		}
	}
	if err := os.Rename(file.Name(), filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("private PostgreSQL: write %s: %w", name, err)
	}
	return nil
}

// syncDir makes a rename in the directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
