package mailbox

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// reads is a row that is read when the test lets it.
type reads struct {
	sharedRows

	release chan error
	begun   atomic.Int64
	change  atomic.Uint64 // mod-sequence of the row
}

// ask lets somebody ask for the row and gives where his answer will be.
func (r *reads) ask(ctx context.Context) <-chan answered {
	out := make(chan answered, 1)
	go func() {
		m, err := r.get(ctx, 7, func(ctx context.Context) (Mailbox, error) {
			r.begun.Add(1)
			m := Mailbox{ModSeq: r.change.Load()}
			select {
			case err := <-r.release:
				return m, err
			case <-ctx.Done():
				return Mailbox{}, ctx.Err()
			}
		})
		out <- answered{m.ModSeq, err}
	}()
	synctest.Wait()
	return out
}

type answered struct {
	modseq uint64
	err    error
}

// Twenty-five sessions that a letter wakes must all see it, and need not ask the database twenty-five times.
func TestSessionsThatAreWokenTogetherShareOneLookAndSeeWhatWokeThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reads{release: make(chan error)}
		early := r.ask(t.Context()) // looks before the change
		r.change.Store(1)
		var woken []<-chan answered
		for range 25 {
			woken = append(woken, r.ask(t.Context()))
		}
		r.release <- nil
		if got := <-early; got != (answered{0, nil}) {
			t.Errorf("the first one saw %+v", got)
		}
		r.release <- nil
		for _, one := range woken {
			if got := <-one; got != (answered{1, nil}) {
				t.Errorf("a session that was woken by mod-sequence 1 saw %+v", got)
			}
		}
		if n := r.begun.Load(); n != 2 {
			t.Errorf("%d looks for 26 sessions", n)
		}
		if len(r.row) != 0 {
			t.Errorf("%d rows are kept for nobody", len(r.row))
		}
	})
}

// A session that goes away while it reads for others, or waits to, must not make them believe that the mailbox cannot be read.
func TestWhoLeavesInTheMiddleOfALookTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reads{release: make(chan error)}
		first := r.ask(t.Context())
		leaving, leave := context.WithCancel(t.Context())
		reader := r.ask(leaving) // of the next look
		waiting, giveUp := context.WithCancel(t.Context())
		impatient := r.ask(waiting)
		patient := r.ask(t.Context())
		giveUp()
		if got := <-impatient; !errors.Is(got.err, context.Canceled) {
			t.Errorf("who gave up got %+v", got)
		}
		r.release <- nil
		if got := <-first; got.err != nil {
			t.Error(got.err)
		}
		synctest.Wait()
		leave()
		if got := <-reader; !errors.Is(got.err, context.Canceled) {
			t.Errorf("who left got %+v", got)
		}
		synctest.Wait()
		leaving, leave = context.WithCancel(t.Context())
		next, last := r.ask(leaving), r.ask(t.Context())
		leave() // while it waits for the look that the patient one has begun
		if got := <-next; !errors.Is(got.err, context.Canceled) {
			t.Errorf("who left while waiting got %+v", got)
		}
		broken := errors.New("broken")
		r.release <- broken
		if got := <-patient; !errors.Is(got.err, broken) { // errors of the row itself are everybody's
			t.Errorf("who stayed got %+v", got)
		}
		r.release <- nil
		if got := <-last; got.err != nil {
			t.Errorf("who came last got %+v", got)
		}
		if len(r.row) != 0 {
			t.Errorf("%d rows are kept for nobody", len(r.row))
		}
	})
}
