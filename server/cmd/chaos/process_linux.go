package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// attributes puts a program into a process group of its own, because Ctrl-C is for us alone, and ends it when we are killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// member is a process below a server. The time of its start tells it from another one that got its number later.
type member struct {
	pid     int
	started string
}

// family lists the processes below pid.
func family(pid int) []member {
	var all []member
	next := []int{pid}
	for len(next) > 0 {
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", next[0]))
		for _, task := range tasks {
			raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", next[0], task.Name()))
			for word := range strings.FieldsSeq(string(raw)) {
				var child int
				if _, err := fmt.Sscan(word, &child); err != nil {
					continue
				}
				if _, started, ok := status(child); ok {
					all, next = append(all, member{child, started}), append(next, child)
				}
			}
		}
		next = next[1:]
	}
	return all
}

// status gives the state and the start time of a process (proc(5), /proc/pid/stat, fields 3 and 22).
func status(pid int) (state, started string, ok bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", "", false
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return "", "", false
	}
	return fields[0], fields[19], true
}

// alive is false for ended processes and for those that only wait to be collected.
func (m member) alive() bool {
	state, started, ok := status(m.pid)
	return ok && started == m.started && state != "Z" && state != "X"
}

// kill ends the process, if it is still the one that we listed.
func (m member) kill() {
	if m.alive() {
		_ = syscall.Kill(m.pid, syscall.SIGKILL) // one that has just ended needs no signal
	}
}
