package body

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/mailserver-dev/mailserver/server/fault"
)

func TestASyncCoversEverythingRenamedBeforeTheCallAndIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			d     dirSync
			begun atomic.Int32
		)
		gate := make(chan struct{})
		slow := func() error {
			begun.Add(1)
			<-gate
			return nil
		}
		var wg sync.WaitGroup
		call := func() { wg.Go(func() { _ = d.do(slow) }) }
		call()
		synctest.Wait() // the first sync runs; what is renamed now is not covered by it
		for range 10 {
			call()
		}
		synctest.Wait()
		if begun.Load() != 1 {
			t.Fatalf("%d syncs ran at once on one directory", begun.Load())
		}
		close(gate)
		wg.Wait()
		if begun.Load() != 2 {
			t.Fatalf("%d syncs for eleven callers, want 2: the first, and one for all who came during it", begun.Load())
		}
		_ = d.do(slow)
		if begun.Load() != 3 {
			t.Fatal("a caller after the syncs was not covered by a sync of its own")
		}
	})
}

func TestAllWhoSharedAFailedSyncAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d dirSync
		fail := errors.New("no")
		gate := make(chan struct{})
		go func() { _ = d.do(func() error { <-gate; return nil }) }()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := d.do(func() error { return fail }); !errors.Is(err, fail) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
	})
}

func TestAFailedDirectorySyncNamesItsOwnerAndSparesTheOthers_D9(t *testing.T) {
	t.Parallel()
	bad, good := someone(), someone()
	armed := false
	s, _ := newStore(t, func(st Step) error {
		if armed && st.Op == OpSyncDir && filepath.Base(filepath.Dir(st.Name)) == bad {
			return syscall.EIO
		}
		return nil
	})
	mustPut(t, s, bad, "x")
	mustPut(t, s, good, "x")
	armed = true
	var failed *SyncError
	if err := s.Sync(t.Context(), good, bad, good); !errors.As(err, &failed) {
		t.Fatalf("got %v, want a SyncError", err)
	}
	if len(failed.Failed) != 1 || !fault.Is(failed.Failed[bad], fault.Unavailable) {
		t.Fatalf("failed: %v", failed.Failed)
	}
	if !fault.Is(failed, fault.Unavailable) {
		t.Fatal("the whole error has no kind")
	}
}
