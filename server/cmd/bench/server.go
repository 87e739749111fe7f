package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// The accounts of both servers.
const (
	mailDomain = "bench.test"
	sinkDomain = "sink.test"
	password   = "benchpass"
	users      = 20
	outsider   = "load@sender.test"
	inbox      = "INBOX"
)

// bigUser is the account with the one large mailbox.
const bigUser = "big@" + mailDomain

// account gives the address of the n-th account; they repeat.
func account(n int) string { return "u" + strconv.Itoa(n%users+1) + "@" + mailDomain }

// accounts gives the addresses of all accounts that letters are delivered to.
func accounts() []string {
	list := make([]string, users)
	for n := range list {
		list[n] = account(n)
	}
	return list
}

// server is one of the servers under load, running.
type server struct {
	name       string
	smtp       string
	submission string // STARTTLS
	imaps      string
	secure     *tls.Config
	dialer     *dialer
	processes  []*process
	profiles   string // the URL of its profiles, "" without
	// sends is false when the server cannot deliver to the sink; why says so.
	sends bool
	why   string
}

// roots are the processes that we started.
func (s *server) roots() []int {
	var roots []int
	for _, p := range s.processes {
		roots = append(roots, p.pid())
	}
	return roots
}

// tree lists all processes of the server, its database included.
func (s *server) tree() []member { return tree(s.roots()...) }

// alive gives an error when a part of the server has ended.
func (s *server) alive() error {
	for _, p := range s.processes {
		if err := p.gone(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// A server may bound how many passwords it checks at once and ask the others to come again.
const (
	signInTries = 10
	signInPause = 500 * time.Millisecond
	comeAgain   = "[UNAVAILABLE]" // RFC 9051 §7.1
)

// imap signs in, and tries again when the server asks for it.
func (s *server) imap(ctx context.Context, account string) (*imapClient, error) {
	for try := 1; ; try++ {
		c, err := openIMAP(ctx, s.dialer, s.imaps, s.secure, account, password)
		if err == nil {
			return c, nil
		}
		if try == signInTries || !strings.Contains(err.Error(), comeAgain) || !pause(ctx, signInPause) {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
}

// host starts and stops one of the servers; what it holds survives that.
type host interface {
	// start starts the server and waits until it serves.
	start(ctx context.Context) (*server, error)
	// stop ends it.
	stop(ctx context.Context) error
}

// openLog appends to a log file.
func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}
