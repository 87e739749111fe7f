package main

import (
	"context"
	"strings"
	"time"
)

// usage is what a tree of processes has used, and the machine as a whole.
type usage struct {
	server  time.Duration // CPU time of the server's tree, that of its ended children included
	process time.Duration // of the programs that we started, without their children
	self    time.Duration // of this program
	machine time.Duration // of everything on the machine
	at      time.Time
}

// used reads the usage of the tree of a server.
func used(s *server) usage {
	return usage{server: cpuTime(s.tree()), process: ownTime(s.roots()), self: selfTime(), machine: machineTime(), at: time.Now()}
}

// since gives the CPU time of the server since an earlier reading, and how many cores somebody else used meanwhile.
func (u usage) since(before usage) (cpu time.Duration, others float64) {
	cpu = u.server - before.server
	rest := (u.machine - before.machine) - cpu - (u.self - before.self)
	if elapsed := u.at.Sub(before.at); elapsed > 0 {
		others = max(0, float64(rest)/float64(elapsed))
	}
	return cpu, others
}

// The measures of a machine at rest.
const (
	quietShare = 0.35 // most of the machine that may be at work
	quietProbe = 300 * time.Millisecond
)

// awaitQuiet waits until the machine is mostly idle, at most the given time, so that a measure does not begin in what another
// one left behind. Elsewhere than on Linux it does not wait.
func awaitQuiet(ctx context.Context, most time.Duration, cores int) {
	deadline := time.Now().Add(most)
	for time.Now().Before(deadline) {
		before, begin := machineTime(), time.Now()
		if before == 0 || !pause(ctx, quietProbe) {
			return
		}
		busy := float64(machineTime()-before) / (float64(time.Since(begin)) * float64(cores))
		if busy < quietShare {
			return
		}
	}
}

// The measures of memory that has settled.
const (
	settleProbe  = 500 * time.Millisecond
	settleStable = 4    // probes in a row
	settleChange = 0.01 // of the memory between two probes
)

// settled waits until the memory of the tree hardly changes, at most the given time, and gives its PSS in bytes. Zero means that
// it cannot be known here.
func settled(ctx context.Context, s *server, most time.Duration) int64 {
	deadline := time.Now().Add(most)
	last := pss(s.tree())
	for stable := 0; stable < settleStable && time.Now().Before(deadline); {
		if !pause(ctx, settleProbe) {
			return last
		}
		now := pss(s.tree())
		if change := float64(now-last) / float64(max(last, 1)); change > -settleChange && change < settleChange {
			stable++
		} else {
			stable = 0
		}
		last = now
	}
	return last
}

// kilobytes finds a line like "Pss:  123 kB" and gives the bytes.
func kilobytes(text, name string) int64 {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		if words := strings.Fields(rest); len(words) > 0 {
			return number(words[0]) << 10
		}
	}
	return 0
}

// number reads a decimal number; anything else is 0.
func number(text string) int64 {
	var n int64
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<55 {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
