package main

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

// patience is how long one reply may take.
const patience = 60 * time.Second

// The ports lie below those that a system gives to outgoing connections.
const (
	firstPort  = 20_000
	portCount  = 12_000
	portsTried = 400
)

// freePorts gives n addresses on 127.0.0.1 that were free a moment ago.
func freePorts(ctx context.Context, n int) ([]string, error) {
	var list []string
	taken := map[string]bool{}
	for range portsTried {
		if len(list) == n {
			return list, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(portCount))) //nolint:gosec // a port is no secret
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", address)
		if taken[address] || err != nil {
			continue
		}
		ln.Close()
		taken[address] = true
		list = append(list, address)
	}
	return nil, errors.New("found no free ports on 127.0.0.1")
}

// dialer opens connections from ever other addresses of 127.0.0.0/8 where that is possible, because a server rightly limits what
// comes from one address or one network, and load on the internet comes from many.
type dialer struct{ opened atomic.Uint32 }

// source gives the n-th local address; a network of 256 returns after 62,500 connections.
func source(n uint32) net.IP {
	return net.IPv4(127, byte(2+n%250), byte(1+n/250%250), byte(1+n/62_500%250))
}

// open connects; with a TLS configuration it speaks TLS from the first byte.
func (d *dialer) open(ctx context.Context, address string, secure *tls.Config) (net.Conn, error) {
	nd := net.Dialer{Timeout: patience}
	if runtime.GOOS == "linux" {
		nd.LocalAddr = &net.TCPAddr{IP: source(d.opened.Add(1))}
	}
	conn, err := nd.DialContext(ctx, "tcp", address)
	if err != nil || secure == nil {
		return conn, err
	}
	return handshake(ctx, conn, secure)
}

// handshake turns a connection into a TLS one, or closes it.
func handshake(ctx context.Context, conn net.Conn, secure *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := tls.Client(conn, secure)
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

// hurry gives the next exchange its deadline.
func hurry(conn net.Conn) { conn.SetDeadline(time.Now().Add(patience)) }
