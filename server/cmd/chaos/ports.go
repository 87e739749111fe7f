package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
)

// The ports lie below those that a system gives to outgoing connections: a client that dials the port of a dead server must
// never be connected to itself.
const (
	firstPort  = 20_000
	portCount  = 12_000
	portsTried = 200
)

// freePorts gives each listener a port of its own, as environment variables. Those that are taken are left out, also while
// nobody listens on them.
func freePorts(ctx context.Context, d dice, taken []string, names ...string) ([]string, error) {
	addresses, err := freeAddresses(ctx, d, taken, len(names))
	if err != nil {
		return nil, err
	}
	env := make([]string, len(names))
	for i, name := range names {
		env[i] = "MAILSERVER_LISTEN_" + name + "=" + addresses[i]
	}
	return env, nil
}

func freeAddresses(ctx context.Context, d dice, taken []string, n int) ([]string, error) {
	var found []string
	for range portsTried {
		if len(found) == n {
			return found, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+d.IntN(portCount)))
		if slices.Contains(taken, address) || slices.Contains(found, address) || !free(ctx, address) {
			continue
		}
		found = append(found, address)
	}
	return nil, errors.New("found no free ports on 127.0.0.1")
}

func free(ctx context.Context, address string) bool {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return ln.Close() == nil
}
