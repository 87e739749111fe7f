package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// copyTree makes a copy of a folder with the owners and rights of everything in it. Files for which link says yes, because nobody
// ever changes them, become further names of the same file. The target must not exist.
func copyTree(from, to string, link func(path string) bool) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, inside)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			if err := os.Mkdir(target, 0o700); err != nil {
				return err
			}
		case entry.Type()&fs.ModeSymlink != 0:
			name, err := os.Readlink(path)
			return errors.Join(err, os.Symlink(name, target))
		case !entry.Type().IsRegular():
			return nil // sockets are made anew
		case link(inside):
			return os.Link(path, target)
		default:
			if err := copyFile(path, target); err != nil {
				return err
			}
		}
		return own(target, info)
	})
}

// own gives a copy the owner and the rights of what it is a copy of.
func own(target string, info fs.FileInfo) error {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := os.Lchown(target, int(s.Uid), int(s.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(target, info.Mode().Perm())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() // it was only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(fmt.Errorf("copy %s: %w", from, err), out.Close())
	}
	return out.Close()
}
