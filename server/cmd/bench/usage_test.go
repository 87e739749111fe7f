package main

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"
)

func TestKilobytesAreFoundByTheirName(t *testing.T) {
	t.Parallel()
	text := "Rss:    900 kB\nPss:       120 kB\nPss_Dirty:  80 kB\n"
	if got := kilobytes(text, "Pss"); got != 120<<10 {
		t.Errorf("%d", got)
	}
	if got := kilobytes(text, "Swap"); got != 0 {
		t.Errorf("%d", got)
	}
}

func TestATreeOfProcessesIsSeenAndEnded(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("processes are listed on Linux only")
	}
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// The shell does not hand SIGTERM on: its child has to be found and ended by us.
	c := command{path: "/bin/sh", args: []string{"-c", "trap '' TERM; sleep 60 & wait; wait"}, env: []string{"PATH=/usr/bin:/bin"}, log: log}
	p, err := c.launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for len(tree(p.pid())) < 2 {
		if !pause(ctx, 5*time.Millisecond) {
			t.Fatal("the child was not seen")
		}
	}
	family := tree(p.pid())
	if pss(family) == 0 {
		t.Error("the processes have no memory")
	}
	if err := p.stop(t.Context(), 100*time.Millisecond); err == nil {
		t.Error("nobody was told that the process had to be killed")
	}
	for _, m := range family {
		if m.alive() {
			t.Errorf("process %d is still there", m.pid)
		}
	}
	if p.gone() == nil {
		t.Error("the end of the process was not noticed")
	}
}
