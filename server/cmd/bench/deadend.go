package main

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// The ways to be dead.
const (
	blackhole = "blackhole" // accepts connections and never says a word
	refuse    = "refuse"    // nobody listens
)

// mostHeld bounds the connections that a blackhole keeps.
const mostHeld = 1_000

// deadEnd is the mail server of the dead destination.
type deadEnd struct {
	address string
	kind    string
	sink    *sink
	wait    sync.WaitGroup

	mu    sync.Mutex
	ln    net.Listener
	alive bool
	short bool // it hangs up at once
	held  map[net.Conn]bool
	came  int // connections
	most  int // of them at once
}

// openDeadEnd makes one that will hand its connections to the sink when it is revived.
func openDeadEnd(ctx context.Context, kind string, s *sink) (*deadEnd, error) {
	ports, err := freePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	d := &deadEnd{address: ports[0], kind: kind, sink: s, held: map[net.Conn]bool{}}
	if kind == refuse {
		return d, nil
	}
	return d, d.listen(ctx)
}

func (d *deadEnd) listen(ctx context.Context) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", d.address)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.ln = ln
	d.mu.Unlock()
	d.wait.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			d.admit(conn)
		}
	})
	return nil
}

func (d *deadEnd) admit(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.came++
	switch {
	case d.alive:
		d.sink.admit(conn)
	case d.short || len(d.held) >= mostHeld:
		conn.Close()
	default:
		d.held[conn] = true
		d.most = max(d.most, len(d.held))
	}
}

// hangUp ends the connections that were left hanging, and from now on each one at once.
func (d *deadEnd) hangUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.short = true
	for conn := range d.held {
		conn.Close()
	}
	clear(d.held)
}

// revive makes it a mail server like the others.
func (d *deadEnd) revive(ctx context.Context) error {
	d.mu.Lock()
	d.alive = true
	d.mu.Unlock()
	d.hangUp()
	if d.kind == refuse {
		return d.listen(ctx)
	}
	return nil
}

func (d *deadEnd) close() {
	d.mu.Lock()
	if d.ln != nil {
		d.ln.Close()
	}
	d.mu.Unlock()
	d.hangUp()
	d.wait.Wait()
}

// String tells what came.
func (d *deadEnd) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprintf("%d connections came, %d at once", d.came, d.most)
}
