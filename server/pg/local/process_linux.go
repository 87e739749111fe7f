package local

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes: a process group of its own keeps a terminal's Ctrl-C from stopping the database before the server has
// drained; the death signal makes PostgreSQL shut down fast and cleanly when this process is killed.
func childAttributes(acc account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT, Credential: acc.credential()}
}

// clusterProcesses lists the processes that work in a data directory: PostgreSQL's all have it as working directory (an
// administrator's shell may too). The pid of postmaster.pid is one of them or has been given to somebody else.
func clusterProcesses(data string, _ int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		cwd, err := os.Readlink(filepath.Join("/proc", entry.Name(), "cwd"))
		if err != nil || cwd != data {
			continue
		}
		name, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "comm"))
		if err == nil && strings.HasPrefix(string(name), "postgres") {
			found = append(found, pid)
		}
	}
	return found
}
