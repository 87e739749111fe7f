package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// binaries are the programs of one PostgreSQL installation.
type binaries struct {
	dir   string
	major int
}

func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// finder looks for installations. Its fields are what a test changes.
type finder struct {
	// globs are the places of distributions, tried in this order after an explicit directory.
	globs []string
	// lookPath finds a program by name, as exec.LookPath does.
	lookPath func(string) (string, error)
	// root is whether this process may install packages without sudo.
	root bool
}

func systemFinder() finder {
	return finder{
		globs: []string{
			"/usr/lib/postgresql/*/bin",
			"/usr/pgsql-*/bin",
			"/opt/homebrew/opt/postgresql@*/bin",
			"/usr/local/opt/postgresql@*/bin",
			"/opt/homebrew/opt/postgresql/bin",
		},
		lookPath: exec.LookPath,
		root:     os.Geteuid() == 0,
	}
}

// find returns the installation to use: of major version want when that is not 0, else the newest.
func (f finder) find(ctx context.Context, explicit string, want int) (binaries, error) {
	found, looked, err := f.installed(ctx, explicit)
	if err := errors.Join(ctx.Err(), err); err != nil {
		return binaries{}, err
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })
	if len(found) == 0 || found[0].major < minMajor {
		missing := &NotInstalledError{Command: f.installCommand(0), Looked: looked}
		if len(found) > 0 {
			missing.TooOld = found[0].major
		}
		return binaries{}, missing
	}
	if want == 0 {
		return found[0], nil
	}
	for _, b := range found {
		if b.major == want {
			return b, nil
		}
	}
	return binaries{}, &VersionError{Cluster: want, Installed: found[0].major, Command: f.installCommand(want)}
}

// installed lists the usable installations and the places that were looked at. An explicit directory is the only one tried and
// must be usable.
func (f finder) installed(ctx context.Context, explicit string) (found []binaries, looked []string, err error) {
	if explicit != "" {
		b, err := inspect(ctx, explicit)
		if err != nil {
			return nil, nil, fmt.Errorf("private PostgreSQL: bin_dir %s: %w", explicit, err)
		}
		return []binaries{b}, []string{explicit}, nil
	}
	for _, dir := range f.candidates(ctx) {
		looked = append(looked, dir)
		if b, err := inspect(ctx, dir); err == nil {
			found = append(found, b)
		}
	}
	return found, append(looked, f.globs...), nil
}

// candidates lists directories that may hold an installation. pg_config and PATH are asked only when no distribution's place
// has anything, because they usually point at one of those.
func (f finder) candidates(ctx context.Context) []string {
	var dirs []string
	for _, pattern := range f.globs {
		matches, err := filepath.Glob(pattern)
		if err == nil {
			dirs = append(dirs, matches...)
		}
	}
	if len(dirs) > 0 {
		return dirs
	}
	if tool, err := f.lookPath("pg_config"); err == nil {
		if out, err := output(ctx, tool, "--bindir"); err == nil {
			dirs = append(dirs, strings.TrimSpace(out))
		}
	}
	if tool, err := f.lookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(tool))
	}
	return dirs
}

var versionText = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect asks the postgres program in dir for its version and makes sure that initdb is beside it.
func inspect(ctx context.Context, dir string) (binaries, error) {
	b := binaries{dir: dir}
	if _, err := os.Stat(b.program("initdb")); err != nil {
		return binaries{}, fmt.Errorf("no initdb: %w", err)
	}
	out, err := output(ctx, b.program("postgres"), "--version")
	if err != nil {
		return binaries{}, fmt.Errorf("ask for the version: %w", err)
	}
	match := versionText.FindStringSubmatch(out)
	if match == nil {
		return binaries{}, fmt.Errorf("cannot read the version from %q", strings.TrimSpace(out))
	}
	b.major, err = strconv.Atoi(match[1])
	if err != nil {
		return binaries{}, fmt.Errorf("cannot read the version from %q: %w", strings.TrimSpace(out), err)
	}
	return b, nil
}

// output runs a short program with a clean environment.
func output(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = childEnvironment()
	out, err := cmd.Output()
	return string(out), err
}

// childEnvironment is all that the programs of PostgreSQL see: no PG* variable and no locale of the caller reaches them.
func childEnvironment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}

// installCommand names the command that installs PostgreSQL: a certain major version, or any when major is 0. It is empty when
// no known package manager is here.
func (f finder) installCommand(major int) string {
	sudo := "sudo "
	if f.root {
		sudo = ""
	}
	if runtime.GOOS == "darwin" {
		if major == 0 {
			major = 17
		}
		return fmt.Sprintf("brew install postgresql@%d", major)
	}
	managers := []struct{ program, command, versioned string }{
		{"apt-get", "apt-get install postgresql", "apt-get install postgresql-%d"},
		{"dnf", "dnf install postgresql-server", "dnf install postgresql%d-server"},
		{"apk", "apk add postgresql", "apk add postgresql%d"},
		{"zypper", "zypper install postgresql-server", "zypper install postgresql%d-server"},
		{"pacman", "pacman -S postgresql", ""},
	}
	for _, m := range managers {
		if _, err := f.lookPath(m.program); err != nil {
			continue
		}
		if major == 0 {
			return sudo + m.command
		}
		if m.versioned != "" {
			return sudo + fmt.Sprintf(m.versioned, major)
		}
		return ""
	}
	return ""
}
