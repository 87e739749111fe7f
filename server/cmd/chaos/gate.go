package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"sync"
)

// target is a running server as clients see it.
type target struct {
	devInfo

	life int
	tls  *tls.Config
}

// newTarget trusts the server's own authority and nobody else.
func newTarget(info devInfo, life int) (*target, error) {
	pem, err := os.ReadFile(info.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the server's ca_file holds no certificate")
	}
	return &target{devInfo: info, life: life, tls: &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}}, nil
}

// gate holds clients back while there is no server.
type gate struct {
	mu      sync.Mutex
	current *target
	opened  chan struct{}
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) open(t *target) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current == nil {
		close(g.opened)
	}
	g.current = t
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current != nil {
		g.current, g.opened = nil, make(chan struct{})
	}
}

// pass waits for a server. It gives nil when ctx ends.
func (g *gate) pass(ctx context.Context) *target {
	for ctx.Err() == nil {
		g.mu.Lock()
		t, opened := g.current, g.opened
		g.mu.Unlock()
		if t != nil {
			return t
		}
		select {
		case <-opened:
		case <-ctx.Done():
		}
	}
	return nil
}
