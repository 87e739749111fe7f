package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// triedPorts is how many ports after a busy one are looked at.
const triedPorts = 100

// listen binds every listener before anything else is started, so that a busy port is known at once and two servers that start
// together cannot take each other's. Clients that connect meanwhile wait until the server is ready.
func (a *App) listen(ctx context.Context) error {
	a.onStop("listeners", func(context.Context) error {
		for _, ln := range a.listeners {
			if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				return err
			}
		}
		return nil
	})
	for _, l := range a.cfg.Listen.All() {
		if l.Address == "" || !a.cfg.HasRole(role(l.Name)) {
			continue
		}
		ln, err := a.bind(ctx, l.Name, l.Address)
		if err != nil {
			return fmt.Errorf("listen.%s: %w; set it to another address:port, or to nothing to turn it off", l.Name, err)
		}
		a.listeners[l.Name], a.listening[l.Name] = ln, ln.Addr().String()
	}
	return nil
}

// bind takes the address, or a near one when its port is busy and nobody asked for this very port.
func (a *App) bind(ctx context.Context, name, address string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) || !a.opts.MovePorts || a.cfg.Explicit("listen."+name) {
		return ln, err
	}
	host, portText, splitErr := net.SplitHostPort(address)
	port, numberErr := strconv.Atoi(portText)
	if splitErr != nil || numberErr != nil {
		return nil, err
	}
	for p := port + 1; p <= min(port+triedPorts, 65535); p++ {
		next := net.JoinHostPort(host, strconv.Itoa(p))
		if a.wanted(next) {
			continue
		}
		if ln, err := lc.Listen(ctx, "tcp", next); err == nil {
			a.moved = append(a.moved, fmt.Sprintf("%s is busy, so %s listens on %s", address, name, next))
			return ln, nil
		}
	}
	return nil, fmt.Errorf("%s and the %d ports after it are busy", address, triedPorts)
}

// wanted reports whether another listener of ours has or will ask for the address.
func (a *App) wanted(address string) bool {
	for _, l := range a.cfg.Listen.All() {
		if l.Address == address {
			return true
		}
	}
	return false
}
