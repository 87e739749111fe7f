package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// ballast takes up what is left on a volume.
type ballast interface {
	// take takes what is free now; at first it may leave something for the clients, to the last byte nothing.
	take(last bool) error
	// release gives everything back.
	release() error
}

// byteBallast is one file that grows until there is no room.
type byteBallast struct {
	path  string
	spare int64
}

// The ballast is written in large blocks, then in ever smaller ones.
const (
	largestBlock  = 1 << 20
	smallestBlock = 4 << 10
)

func (b *byteBallast) take(last bool) error {
	file, err := os.OpenFile(b.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return noRoomIsFine(err)
	}
	err = b.grow(file, last)
	return errors.Join(err, file.Close())
}

func (b *byteBallast) grow(file *os.File, last bool) error {
	block := make([]byte, largestBlock)
	for len(block) >= smallestBlock {
		if !last && b.spare > 0 {
			free, err := freeBytes(b.path)
			if err != nil || free <= b.spare+int64(len(block)) {
				return err
			}
		}
		if _, err := file.Write(block); err != nil {
			if err = noRoomIsFine(err); err != nil {
				return err
			}
			block = block[:len(block)/4] // what fitted of it stays
		}
	}
	return nil
}

func freeBytes(path string) (int64, error) {
	var st syscall.Statfs_t
	err := syscall.Statfs(path, &st)
	return int64(st.Bavail) * int64(st.Bsize), err //nolint:unconvert // not an int64 on every system
}

func (b *byteBallast) release() error {
	if err := os.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// fileBallast is a folder of empty files that grows until there are no inodes.
type fileBallast struct {
	dir  string
	made int
}

func (b *fileBallast) take(bool) error {
	if err := os.Mkdir(b.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return noRoomIsFine(err)
	}
	for {
		file, err := os.OpenFile(filepath.Join(b.dir, strconv.Itoa(b.made)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return noRoomIsFine(err)
		}
		if err := file.Close(); err != nil {
			return err
		}
		b.made++
	}
}

func (b *fileBallast) release() error { return os.RemoveAll(b.dir) }

func noRoomIsFine(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

// volume is a small file system of ours.
type volume struct{ path string }

// copyTo saves what is on the volume, for somebody who looks for what went wrong.
func (v *volume) copyTo(dir string) error {
	if err := os.CopyFS(dir, os.DirFS(v.path)); err != nil {
		return fmt.Errorf("save %s: %w", v.path, err)
	}
	return nil
}
