package mailbox

import (
	"context"
	"sync"
)

// sharedRows lets everybody who asks for the row of one mailbox at the same moment share the reading of it: a letter wakes all
// sessions of its mailbox at once, and each of them has to look. Whoever asks gets a row that was read after the question, never
// one whose reading had begun before.
type sharedRows struct {
	mu  sync.Mutex
	row map[int64]*sharedRow
}

// sharedRow is the row of one mailbox while it is being read.
type sharedRow struct {
	running *reading // what changes from now on is not in it
	next    *reading // not begun: whoever joins is served by it
}

type reading struct {
	done chan struct{}
	m    Mailbox
	err  error
	// left says that the one who read went away, which says nothing about the row.
	left bool
}

// get reads the row by read, or shares a reading that begins after the call. An error of another one's context is not passed on.
func (s *sharedRows) get(ctx context.Context, key int64, read func(context.Context) (Mailbox, error)) (Mailbox, error) {
	for {
		r, before, mine := s.join(key)
		if mine {
			return s.lead(ctx, key, r, before, read)
		}
		select {
		case <-r.done:
			if !r.left {
				return r.m, r.err
			}
		case <-ctx.Done():
			return Mailbox{}, ctx.Err()
		}
	}
}

// join gives the reading that has not begun. It is mine to do when nobody had asked for it yet; before is the one to be waited for.
func (s *sharedRows) join(key int64) (r, before *reading, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.row[key]
	if row == nil {
		if s.row == nil {
			s.row = map[int64]*sharedRow{}
		}
		row = &sharedRow{}
		s.row[key] = row
	}
	if row.next != nil {
		return row.next, nil, false
	}
	row.next = &reading{done: make(chan struct{})}
	return row.next, row.running, true
}

// lead waits until the reading before is over, reads, and tells the others. However it ends, they are told.
func (s *sharedRows) lead(ctx context.Context, key int64, r, before *reading, read func(context.Context) (Mailbox, error)) (Mailbox, error) {
	r.left = true // until the row has been read; a panic leaves it so
	defer s.end(key, r)
	if before != nil {
		select {
		case <-before.done:
		case <-ctx.Done():
			return Mailbox{}, ctx.Err()
		}
	}
	s.begin(key, r)
	m, err := read(ctx)
	r.m, r.err, r.left = m, err, err != nil && ctx.Err() != nil
	return m, err
}

func (s *sharedRows) begin(key int64, r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.row[key].next, s.row[key].running = nil, r
}

func (s *sharedRows) end(key int64, r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.row[key]
	if row.running == r {
		row.running = nil
	}
	if row.next == r {
		row.next = nil
	}
	if row.running == nil && row.next == nil {
		delete(s.row, key)
	}
	close(r.done)
}
