//go:build !linux

package main

import (
	"syscall"
	"time"
)

// attributes makes a program the head of a session of its own, because Ctrl-C is for us alone.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// member is a process; elsewhere than on Linux we cannot list them, and CPU time and memory stay unknown.
type member struct{ pid int }

func tree(...int) []member { return nil }

func (member) alive() bool { return false }

func (member) kill() {}

func cpuTime([]member) time.Duration { return 0 }

func ownTime([]int) time.Duration { return 0 }

func selfTime() time.Duration { return 0 }

func machineTime() time.Duration { return 0 }

func pss([]member) int64 { return 0 }
