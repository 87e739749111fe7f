package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// bout is one measure on one server.
type bout struct {
	ctx    context.Context //nolint:containedctx // a bout is one call, spread over many functions
	server *server
	values values
	ledger *ledger
	judged *verdict
	// profiler is nil unless profiles of this server were asked for; profiled are those that were taken.
	profiler *profiler
	profiled []stretch
	running  *span // begun and not finished
}

// senders shares letters out among connections. Every one of them is sent at most once.
type senders struct {
	connections int
	letters     int
	most        time.Duration // nothing is begun after it
	per         int           // letters on one connection
	open        func(ctx context.Context, worker int) (*smtpClient, error)
	letter      func(worker, n int) letter
}

// mostFailures ends a worker whose connections keep breaking; reopenPause is before the next one.
const (
	mostFailures = 5
	reopenPause  = 100 * time.Millisecond
)

// run sends the letters and returns when all workers are done. The error is that of connections which could not be opened.
func (s senders) run(ctx context.Context, l *ledger) error {
	var next atomic.Int64
	var failed errorList
	var wait sync.WaitGroup
	until := time.Now().Add(s.most)
	take := func() (int, bool) {
		if ctx.Err() != nil || time.Now().After(until) {
			return 0, false
		}
		n := int(next.Add(1)) - 1
		return n, n < s.letters
	}
	for worker := range s.connections {
		wait.Go(func() {
			for failures := 0; failures < mostFailures; {
				more, err := s.session(ctx, worker, take, l)
				if err != nil {
					failures++
					failed.add(fmt.Errorf("connection %d: %w", worker, err))
				}
				if !more || err != nil && !pause(ctx, reopenPause) {
					return
				}
			}
		})
	}
	wait.Wait()
	return failed.err()
}

// session opens one connection and sends letters over it; more is false when none are left.
func (s senders) session(ctx context.Context, worker int, take func() (int, bool), l *ledger) (more bool, err error) {
	c, err := s.open(ctx, worker)
	if err != nil {
		return ctx.Err() == nil, err
	}
	for range s.per {
		n, ok := take()
		if !ok {
			c.close()
			return false, nil
		}
		sent, err := c.send(s.letter(worker, n))
		l.add(sent)
		if err != nil {
			c.conn.Close()
			return ctx.Err() == nil, err
		}
	}
	c.close()
	return true, nil
}

// errorList keeps the first few errors of many goroutines.
type errorList struct {
	mu   sync.Mutex
	list []error
}

func (e *errorList) add(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil && len(e.list) < mostSamples {
		e.list = append(e.list, err)
	}
}

func (e *errorList) err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return errors.Join(e.list...)
}

// parallel runs f for 0 to n-1, a few at once, and gives the first errors.
func parallel(ctx context.Context, n, atOnce int, f func(i int) error) error {
	var next atomic.Int64
	var failed errorList
	var wait sync.WaitGroup
	for range min(n, atOnce) {
		wait.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				failed.add(f(i))
			}
		})
	}
	wait.Wait()
	failed.add(ctx.Err())
	return failed.err()
}

// loginsAtOnce is how many connections are being opened at the same time; firstLoginsAtOnce when the server may have to check
// the password, which rightly costs it much.
const (
	loginsAtOnce      = 8
	firstLoginsAtOnce = 2
)

// watchers look into the mailboxes of all accounts.
type watchers struct {
	clients []*imapClient
	before  []boxState
}

// watch opens a connection per account and notes where each INBOX stands.
func watch(ctx context.Context, s *server) (*watchers, error) {
	w := &watchers{clients: make([]*imapClient, users), before: make([]boxState, users)}
	err := parallel(ctx, users, firstLoginsAtOnce, func(i int) error {
		c, err := s.imap(ctx, account(i))
		if err != nil {
			return err
		}
		w.clients[i] = c
		w.before[i], err = c.status(inbox)
		return err
	})
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *watchers) close() {
	for _, c := range w.clients {
		if c != nil {
			c.close()
		}
	}
}

// pollPause is between two looks at the mailboxes.
const pollPause = 20 * time.Millisecond

// await waits until so many messages more than before are shown, at most the given time. What is missing then, verify finds.
func (w *watchers) await(ctx context.Context, want int, most time.Duration) error {
	deadline := time.Now().Add(most)
	for {
		var shown int64
		for i, c := range w.clients {
			state, err := c.status(inbox)
			if err != nil {
				return err
			}
			shown += state.messages - w.before[i].messages
		}
		if shown >= int64(want) || time.Now().After(deadline) {
			return nil
		}
		if !pause(ctx, pollPause) {
			return ctx.Err()
		}
	}
}

// found reads everything that came since watch.
func (w *watchers) found(ctx context.Context) ([]finding, error) {
	lists := make([][]finding, len(w.clients))
	err := parallel(ctx, len(w.clients), 2, func(i int) error {
		var err error
		lists[i], err = w.clients[i].letters(inbox, account(i), w.before[i].next)
		return err
	})
	return slices.Concat(lists...), err
}
