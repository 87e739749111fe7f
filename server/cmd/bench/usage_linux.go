package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU times in proc(5): user space sees a hundredth of a second on every architecture.
const tick = 10 * time.Millisecond

// attributes makes a program the head of a session of its own, because Ctrl-C is for us alone and Postfix wants to be one, and
// ends it when we are killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// member is a process. The time of its start tells it from another one that got its number later.
type member struct {
	pid     int
	started string
}

// stat gives the fields of /proc/pid/stat that follow the name of the program: the state, the parent and so on (proc(5), from
// field 3 on).
func stat(pid int) []string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	text := string(raw)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// tree lists the processes and everything below them.
func tree(roots ...int) []member {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	children := map[int][]member{}
	var all []member
	for _, dir := range dirs {
		pid := int(number(filepath.Base(dir)))
		fields := stat(pid)
		if fields == nil {
			continue // ended meanwhile
		}
		m := member{pid, fields[19]}
		parent := int(number(fields[1]))
		children[parent] = append(children[parent], m)
		for _, root := range roots {
			if root == pid {
				all = append(all, m)
			}
		}
	}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	return all
}

// alive is false for ended processes and for those that only wait to be collected.
func (m member) alive() bool {
	fields := stat(m.pid)
	return fields != nil && fields[19] == m.started && fields[0] != "Z" && fields[0] != "X"
}

// kill ends the process, if it is still the one that we listed.
func (m member) kill() {
	if m.alive() {
		_ = syscall.Kill(m.pid, syscall.SIGKILL) // one that has just ended needs no signal
	}
}

// cpuTime is the time that the processes have used, with that of their children that were waited for.
func cpuTime(family []member) time.Duration {
	var ticks int64
	for _, m := range family {
		fields := stat(m.pid)
		if fields == nil {
			continue
		}
		for _, f := range fields[11:15] {
			ticks += number(f)
		}
	}
	return time.Duration(ticks) * tick
}

// ownTime is the time that the processes themselves have used.
func ownTime(roots []int) time.Duration {
	var ticks int64
	for _, pid := range roots {
		if fields := stat(pid); fields != nil {
			ticks += number(fields[11]) + number(fields[12])
		}
	}
	return time.Duration(ticks) * tick
}

// selfTime is the time that this program has used.
func selfTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// machineTime is the time that all processors together worked: user, nice, system, irq, softirq and stolen (proc(5), /proc/stat).
func machineTime() time.Duration {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0
	}
	var ticks int64
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		ticks += number(fields[i])
	}
	return time.Duration(ticks) * tick
}

// pss is the memory of the processes in bytes; what several of them share is counted once.
func pss(family []member) int64 {
	var sum int64
	for _, m := range family {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", m.pid))
		if err != nil {
			continue
		}
		sum += kilobytes(string(raw), "Pss")
	}
	return sum
}
