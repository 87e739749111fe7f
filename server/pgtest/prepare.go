package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/pg/local"
	"github.com/mailserver-dev/mailserver/server/schema"
)

// cacheFormat changes when prepared clusters of an older form of this package must not be used.
const cacheFormat = "1"

// cacheBase is the place of prepared clusters, one directory per user.
func cacheBase() string {
	return filepath.Join(os.TempDir(), "mailserver-pgtest-"+strconv.Itoa(os.Getuid()))
}

// makeBase creates a directory that only this user can write. It may lie in a place that everybody can write, so what is there
// must be ours. The cluster's account must be able to pass through.
func makeBase(dir string) error {
	err := os.Mkdir(dir, 0o711)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of ours: remove it", dir)
	}
	return nil
}

// prepare returns the directory of an initialised, migrated, stopped cluster, which it makes when no process has before. It must
// not be changed.
func prepare(ctx context.Context) (string, error) {
	base := cacheBase()
	if err := makeBase(base); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(base, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	fingerprint, err := schema.Fingerprint()
	if err != nil {
		return "", err
	}
	name := "prepared-" + cacheFormat + "-" + fingerprint
	done := filepath.Join(base, name)
	if _, err := os.Stat(filepath.Join(done, "data", "PG_VERSION")); err == nil {
		now := time.Now()
		return done, os.Chtimes(done, now, now)
	}
	removeOld(base, name)
	fresh := done + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return "", err
	}
	if err := build(ctx, fresh); err != nil {
		return "", fmt.Errorf("prepare a cluster: %w", errors.Join(err, os.RemoveAll(fresh)))
	}
	return done, os.Rename(fresh, done)
}

// keepPrepared is how long a cluster of other migrations stays after its last use: somebody may work on two branches.
const keepPrepared = time.Hour

func removeOld(base, keep string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "prepared-") || entry.Name() == keep {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > keepPrepared {
			os.RemoveAll(filepath.Join(base, entry.Name()))
		}
	}
}

func build(ctx context.Context, dir string) (err error) {
	c, err := startLocal(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop(ctx)) }()
	return migrateTemplate(ctx, c)
}

func migrateTemplate(ctx context.Context, c *local.Cluster) error {
	admin, err := pgx.Connect(ctx, withDatabase(c.DSN(), "postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "create database "+string(migrated)); err != nil {
		return err
	}
	if _, err := schema.Up(ctx, withDatabase(c.DSN(), string(migrated)), slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	// A session in the template would keep copies from being made.
	_, err = admin.Exec(ctx, "alter database "+string(migrated)+" with is_template true allow_connections false")
	return err
}

// copyTree copies a stopped cluster with its owners and modes.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, rest)
		switch {
		case info.IsDir():
			err = os.Mkdir(target, info.Mode().Perm())
		case info.Mode().IsRegular():
			err = copyFile(path, target, info.Mode().Perm())
		default:
			return nil // a socket of a run that is over
		}
		if err != nil {
			return err
		}
		return sameOwner(target, info)
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

func sameOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(stat.Uid), int(stat.Gid))
}
