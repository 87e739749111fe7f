//go:build !linux

package main

import (
	"context"
	"errors"
)

func mountVolume(string, int64, int) (*volume, error) { return nil, errors.ErrUnsupported }

func (v *volume) unmount(context.Context) error { return nil }

// cannotMount says why this process may not mount anything.
func cannotMount(context.Context) string {
	return "small volumes are mounted on Linux only; on another system run it in a Linux container"
}

// apart is for systems with mounts of their own for each process.
func apart(context.Context) (code int, ran bool) { return 0, false }
