package main

import (
	"context"
	"errors"
	"net"
	"strconv"
)

// The ports lie below those that a system gives to outgoing connections: a client that dials the port of a dead server must
// never be connected to itself.
const (
	firstPort  = 20_000
	portCount  = 12_000
	portsTried = 200
)

// freePorts gives each listener a port of its own, as environment variables.
func freePorts(ctx context.Context, d dice, names ...string) ([]string, error) {
	var env []string
	taken := map[string]bool{}
	for range portsTried {
		if len(env) == len(names) {
			return env, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+d.IntN(portCount)))
		if taken[address] || !free(ctx, address) {
			continue
		}
		taken[address] = true
		env = append(env, "MAILSERVER_LISTEN_"+names[len(env)]+"="+address)
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
