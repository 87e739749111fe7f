package mailbox

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// reads is a row that is read when the test lets it.
type reads struct {
	begun   chan struct{}
	release chan error
	n       atomic.Int64
	change  atomic.Uint64 // mod-sequence of the row
}

func newReads() *reads { return &reads{begun: make(chan struct{}), release: make(chan error)} }

func (r *reads) read(ctx context.Context) (Mailbox, error) {
	r.n.Add(1)
	m := Mailbox{ModSeq: r.change.Load()}
	r.begun <- struct{}{}
	select {
	case err := <-r.release:
		return m, err
	case <-ctx.Done():
		return Mailbox{}, ctx.Err()
	}
}

// Twenty-five sessions that a letter wakes must all see it, and need not ask the database twenty-five times.
func TestSessionsThatAreWokenTogetherShareOneLookAndSeeWhatWokeThem(t *testing.T) {
	t.Parallel()
	var s sharedRows
	r := newReads()
	var all sync.WaitGroup
	get := func(least uint64) {
		m, err := s.get(t.Context(), 7, r.read)
		if err != nil || m.ModSeq < least {
			t.Errorf("got a row of mod-sequence %d, %v; want one from %d on", m.ModSeq, err, least)
		}
	}
	all.Go(func() { get(0) })
	<-r.begun // the first look has begun before the change
	r.change.Store(1)
	for range 25 {
		all.Go(func() { get(1) })
	}
	joined := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.row[7].next != nil
	}
	for !joined() {
		runtime.Gosched()
	}
	r.release <- nil
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-r.begun:
			r.release <- nil
		case <-done:
			over = true
		}
	}
	if n := r.n.Load(); n < 2 || n > 4 { // some may have come after the second look
		t.Errorf("%d looks for 26 sessions", n)
	}
	if len(s.row) != 0 {
		t.Errorf("%d rows are kept for nobody", len(s.row))
	}
}

// A session that goes away while it reads for others must not make them believe that the mailbox cannot be read.
func TestWhoLeavesInTheMiddleOfALookTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	var s sharedRows
	r := newReads()
	ctx, leave := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.get(ctx, 7, r.read)
		first <- err
	}()
	<-r.begun
	waiting, giveUp := context.WithCancel(t.Context())
	third := make(chan error, 1)
	go func() {
		_, err := s.get(waiting, 7, r.read)
		third <- err
	}()
	go func() {
		_, err := s.get(t.Context(), 7, r.read)
		second <- err
	}()
	giveUp()
	if err := <-third; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	<-r.begun
	broken := errors.New("broken")
	r.release <- broken
	if err := <-second; !errors.Is(err, broken) { // errors of the row itself are everybody's
		t.Errorf("who stayed: %v", err)
	}
	if len(s.row) != 0 {
		t.Errorf("%d rows are kept for nobody", len(s.row))
	}
}
