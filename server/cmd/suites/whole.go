package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// testWhole runs the test of a whole server as root or as a normal user, whoever runs the suites: the private PostgreSQL
// behaves differently for each. The test is compiled once more and started from a folder that the other account may read.
func testWhole(ctx context.Context, r *recorder, asRoot bool) {
	root := os.Geteuid() == 0
	if asRoot == root {
		r.goTest(ctx, "-count=1", "-timeout", "4m", wholePackage)
		return
	}
	if asRoot && exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
		r.skip("needs root, or a sudo that asks no password")
		return
	}
	if _, err := exec.LookPath("setpriv"); !asRoot && err != nil {
		r.skip("needs setpriv to become a normal user: apt-get install -y util-linux")
		return
	}
	dir, err := os.MkdirTemp("", "whole-")
	if err != nil {
		r.fail("temporary folder", []string{err.Error()})
		return
	}
	defer os.RemoveAll(dir)
	binary, err := compileWhole(ctx, r, dir)
	if err != nil || binary == "" {
		return
	}
	cmd := prepared(ctx, "go", "tool", "test2json", "-t", "-p", modulePath+"/server/testenv")
	if asRoot {
		cmd.Args = append(cmd.Args, "sudo", "-n", "env", "TMPDIR="+dir, "HOME="+dir)
	} else {
		account, err := unprivileged()
		if err != nil {
			r.fail("an unprivileged account", []string{err.Error()})
			return
		}
		if err := give(dir, account); err != nil {
			r.fail("temporary folder", []string{err.Error()})
			return
		}
		cmd.Args = append(cmd.Args, "setpriv", "--reuid="+account.Uid, "--regid="+account.Gid, "--clear-groups",
			"env", "TMPDIR="+dir, "HOME="+dir, "USER="+account.Username, "LOGNAME="+account.Username)
	}
	cmd.Args = append(cmd.Args, binary, "-test.v=test2json", "-test.timeout=4m")
	cmd.Dir = dir
	r.goStream(cmd)
}

// compileWhole builds the test binary and puts the package's testdata beside it. It returns "" after recording a failure.
func compileWhole(ctx context.Context, r *recorder, dir string) (string, error) {
	binary := filepath.Join(dir, "whole.test")
	var said []string
	cmd := prepared(ctx, "go", "test", "-c", "-vet=off", "-o", binary, wholePackage)
	if err := lines(cmd, func(line string) { said = keep(said, line); fmt.Fprintln(r.log, line) }); err != nil {
		r.fail("the test of a whole server does not build", append(said, err.Error()))
		return "", err
	}
	data := filepath.Join(wholePackage, "testdata")
	if isDir(data) {
		if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS(data)); err != nil {
			r.fail("testdata", []string{err.Error()})
			return "", err
		}
	}
	return binary, nil
}

// unprivileged returns an account that owns nothing. It must have a passwd entry, or initdb refuses to run.
func unprivileged() (*user.User, error) {
	account, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("find the account to run as: %w", err)
	}
	if account.Uid == "0" {
		return nil, errors.New("the account nobody is root here")
	}
	return account, nil
}

// give hands a folder and everything in it to an account.
func give(dir string, account *user.User) error {
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return fmt.Errorf("read the user id of %s: %w", account.Username, err)
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return fmt.Errorf("read the group id of %s: %w", account.Username, err)
	}
	return filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syscall.Chown(name, uid, gid)
	})
}
