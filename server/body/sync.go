package body

import (
	"context"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// SyncError says which owners' directories could not be synced. The entries of files put before are not durable and never will
// be known to be: whoever put them gives them up (D-9).
type SyncError struct {
	Failed map[string]error // by owner
}

// Error names the owners.
func (e *SyncError) Error() string {
	var names []string
	for owner, err := range e.Failed {
		names = append(names, owner+": "+err.Error())
	}
	slices.Sort(names)
	return "sync message directories: " + strings.Join(names, "; ")
}

// Unwrap gives the causes.
func (e *SyncError) Unwrap() []error {
	out := make([]error, 0, len(e.Failed))
	for _, err := range e.Failed {
		out = append(out, err)
	}
	return out
}

// maxSyncs is how many directories are synced at once.
const maxSyncs = 8

// Sync makes the directory entries of everything durable that was put for these owners before the call. Each distinct
// directory is synced once, and callers that come while a sync runs share the next one. The error is a *SyncError whose causes
// have a kind.
func (s *Store) Sync(ctx context.Context, owners ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(owners)))
	failed := make(map[string]error)
	if len(distinct) == 1 {
		if err := s.syncOwner(distinct[0]); err != nil {
			failed[distinct[0]] = err
		}
	} else {
		s.syncAll(distinct, failed)
	}
	if len(failed) > 0 {
		return &SyncError{Failed: failed}
	}
	return nil
}

func (s *Store) syncAll(owners []string, failed map[string]error) {
	var (
		mu sync.Mutex
		g  errgroup.Group
	)
	g.SetLimit(maxSyncs)
	for _, owner := range owners {
		g.Go(func() error {
			if err := s.syncOwner(owner); err != nil {
				mu.Lock()
				failed[owner] = err
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // the failures are in the map
}

func (s *Store) syncOwner(owner string) error {
	d, err := s.owner(owner)
	if err != nil {
		return diskFault(unavailable(err))
	}
	return diskFault(unavailable(d.do(func() error { return s.disk.syncDir(dirOf(owner, "cur")) })))
}

// dirSync lets concurrent callers share the syncs of one directory.
type dirSync struct {
	mu      sync.Mutex
	running *syncRound // syncing now: what was renamed after it began is not covered
	next    *syncRound // not begun: whoever joins is covered
}

type syncRound struct {
	done chan struct{}
	err  error
}

// do returns the result of a sync that began after the call.
func (d *dirSync) do(sync func() error) error {
	d.mu.Lock()
	if round := d.next; round != nil {
		d.mu.Unlock()
		<-round.done
		return round.err
	}
	round := &syncRound{done: make(chan struct{})}
	before := d.running
	d.next = round
	d.mu.Unlock()

	if before != nil {
		<-before.done
	}
	d.mu.Lock()
	d.next, d.running = nil, round
	d.mu.Unlock()

	round.err = sync()
	close(round.done)

	d.mu.Lock()
	if d.running == round {
		d.running = nil
	}
	d.mu.Unlock()
	return round.err
}
