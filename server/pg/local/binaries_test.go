package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// install writes an installation that answers --version.
func install(t *testing.T, root, name, version string) string {
	t.Helper()
	dir := filepath.Join(root, name, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	for _, program := range []string{"postgres", "initdb"} {
		if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func nothingInPath(string) (string, error) { return "", os.ErrNotExist }

func aptOnly(name string) (string, error) {
	if name == "apt-get" {
		return "/usr/bin/apt-get", nil
	}
	return "", os.ErrNotExist
}

func TestNewestInstallationIsUsedUnlessTheClusterNeedsAnother(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	install(t, root, "9", "9.6.24")
	fifteen := install(t, root, "15", "15.18 (Debian 15.18-0+deb12u1)")
	seventeen := install(t, root, "17", "17rc1")
	f := finder{globs: []string{root + "/*/bin"}, lookPath: nothingInPath}
	for want, dir := range map[int]string{0: seventeen, 15: fifteen, 17: seventeen} {
		b, err := f.find(t.Context(), "", want)
		if err != nil || b.dir != dir {
			t.Errorf("major %d: got %s, %v, want %s", want, b.dir, err, dir)
		}
	}
	b, err := f.find(t.Context(), fifteen, 0)
	if err != nil || b.major != 15 {
		t.Errorf("explicit directory: %+v, %v", b, err)
	}
	if _, err := f.find(t.Context(), filepath.Join(root, "none"), 0); err == nil {
		t.Error("a bin_dir without PostgreSQL was accepted")
	}
}

func TestMissingPostgreSQLNamesTheOneCommandToType(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	f := finder{globs: []string{root + "/*/bin"}, lookPath: aptOnly}
	var missing *NotInstalledError
	_, err := f.find(t.Context(), "", 0)
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "\n    sudo apt-get install postgresql\n") {
		t.Errorf("as a user: %v", err)
	}
	f.root = true
	if _, err = f.find(t.Context(), "", 0); !strings.Contains(err.Error(), "\n    apt-get install postgresql\n") {
		t.Errorf("as root: %v", err)
	}
	install(t, root, "13", "13.4")
	if _, err = f.find(t.Context(), "", 0); !errors.As(err, &missing) || missing.TooOld != 13 {
		t.Errorf("version 13: %v", err)
	}
	f.lookPath = nothingInPath
	if _, err = f.find(t.Context(), "", 0); !strings.Contains(err.Error(), "bin_dir") || !strings.Contains(err.Error(), root) {
		t.Errorf("unknown system: %v", err)
	}
}

func TestClusterOfAnotherMajorVersionIsNotTouched(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	install(t, root, "17", "17.2")
	f := finder{globs: []string{root + "/*/bin"}, lookPath: aptOnly, root: true}
	_, err := f.find(t.Context(), "", 15)
	var version *VersionError
	if !errors.As(err, &version) || version.Cluster != 15 || version.Installed != 17 {
		t.Fatalf("got %v", err)
	}
	version.Dir = "/x/data"
	for _, want := range []string{"/x/data", "PostgreSQL 15", "PostgreSQL 17", "apt-get install postgresql-15"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the text lacks %q: %s", want, err)
		}
	}
}
