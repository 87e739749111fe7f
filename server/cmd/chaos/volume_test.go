package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func smallVolume(t *testing.T) *volume {
	t.Helper()
	if why := cannotMount(t.Context()); why != "" {
		t.Skip(why)
	}
	v, err := mountVolume(filepath.Join(t.TempDir(), "small"), 4<<20, 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.unmount(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return v
}

func TestBallastFillsAVolumeAndGivesItBack_F9(t *testing.T) {
	t.Parallel()
	v := smallVolume(t)
	file := filepath.Join(v.path, "letter")
	b := &byteBallast{path: filepath.Join(v.path, "ballast"), spare: 1 << 20}
	if err := b.take(false); err != nil {
		t.Fatal(err)
	}
	if free, err := freeBytes(v.path); err != nil || free < 1<<20 || free > 3<<20 {
		t.Errorf("%d bytes are left to the clients, %v", free, err)
	}
	for range 2 { // what becomes free meanwhile is taken as well
		if err := b.take(true); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, make([]byte, smallestBlock), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a letter fits on the full volume: %v", err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.release(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, make([]byte, 3<<20), 0o600); err != nil {
		t.Errorf("there is no room again: %v", err)
	}
}

func TestBallastOfFilesLeavesNoInode_F9(t *testing.T) {
	t.Parallel()
	v := smallVolume(t)
	b := &fileBallast{dir: filepath.Join(v.path, "ballast")}
	file := filepath.Join(v.path, "letter")
	if err := errors.Join(b.take(false), b.take(true)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("one more file fits: %v", err)
	}
	if err := b.release(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Errorf("there is no inode again: %v", err)
	}
}

func TestVolumeIsTakenAwayAlsoWhileAFileOnItIsOpenAndNothingElseIsTouched(t *testing.T) {
	t.Parallel()
	v := smallVolume(t)
	file, err := os.Create(filepath.Join(v.path, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 2 { // the second time there is nothing of ours
		if err := v.unmount(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), v.path) {
		t.Errorf("still mounted, %v", err)
	}
}
