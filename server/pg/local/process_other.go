//go:build !linux

package local

import (
	"context"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes: a process group of its own keeps a terminal's Ctrl-C from stopping the database before the server has
// drained. There is no death signal here: after a kill the next start finds the old postmaster and ends it.
func childAttributes(acc account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: acc.credential()}
}

// clusterProcesses returns the process of postmaster.pid when it is a postgres.
func clusterProcesses(_ string, pid int) []int {
	if pid <= 0 {
		return nil
	}
	out, err := output(context.Background(), "/bin/ps", "-o", "comm=", "-p", strconv.Itoa(pid))
	if err != nil || !strings.Contains(out, "postgres") {
		return nil
	}
	return []int{pid}
}
