//go:build !linux

package main

import "syscall"

// attributes puts a program into a process group of its own, because Ctrl-C is for us alone.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// member is a process below a server; elsewhere than on Linux we cannot list them.
type member struct{ pid int }

func family(int) []member { return nil }

func (member) alive() bool { return false }

func (member) kill() {}
