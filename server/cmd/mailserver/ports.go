package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/mailserver-dev/mailserver/server/config"
)

// triedPorts is how many ports after a busy one are looked at.
const triedPorts = 100

// freePorts moves listeners whose default port is busy to the next free one and says so. A port that the user chose is never
// moved: the start fails with its name instead.
func freePorts(ctx context.Context, cfg *config.Config) (notes []string, err error) {
	taken := map[string]bool{}
	for _, l := range cfg.Listen.All() {
		if l.Address != "" {
			taken[l.Address] = true
		}
	}
	for _, l := range cfg.Listen.All() {
		if l.Address == "" || cfg.Explicit("listen."+l.Name) || free(ctx, l.Address) {
			continue
		}
		next, err := nextFree(ctx, l.Address, taken)
		if err != nil {
			return nil, err
		}
		taken[next] = true
		notes = append(notes, fmt.Sprintf("%s is busy, so %s listens on %s", l.Address, l.Name, next))
		cfg.Listen.Set(l.Name, next)
	}
	return notes, nil
}

func nextFree(ctx context.Context, address string, taken map[string]bool) (string, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return "", err
	}
	for p := port + 1; p <= min(port+triedPorts, 65535); p++ {
		next := net.JoinHostPort(host, strconv.Itoa(p))
		if !taken[next] && free(ctx, next) {
			return next, nil
		}
	}
	return "", fmt.Errorf("%s and the %d ports after it are busy", address, triedPorts)
}

func free(ctx context.Context, address string) bool {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return ln.Close() == nil
}
