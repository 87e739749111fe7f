package mailbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// A client asks for "uid > last" again and again while eight writers on two nodes deliver. Whoever hands out uids from a sequence
// lets it miss mail for ever.
func TestAClientThatAsksForNewerUidsNeverMissesALetter_D30(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	second := e.node(e.openPool(e.dsn), e.openBodies("n2"), Options{})
	const writers, each = 8, 30
	var done atomic.Bool
	var seen []uint32
	var reader sync.WaitGroup
	reader.Go(func() {
		last := uint32(0)
		for {
			finished := done.Load()
			rows, err := e.pool.Query(context.Background(), `SELECT uid FROM mailbox_message WHERE mailbox_key = $1 AND uid > $2 ORDER BY uid`, w.inbox, int64(last))
			if err != nil {
				t.Error(err)
				return
			}
			for rows.Next() {
				if err := rows.Scan(&last); err != nil {
					t.Error(err)
				}
				seen = append(seen, last)
			}
			rows.Close()
			if finished {
				return
			}
		}
	})
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			node := []*Service{e.Service, second}[i%2]
			for range each {
				l, err := w.try(node.bodies, sample)
				if err == nil {
					_, err = node.Deliver(context.Background(), []Letter{l})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	done.Store(true)
	reader.Wait()
	if len(seen) != writers*each || !slices.IsSorted(seen) {
		t.Fatalf("the client saw %d of %d letters", len(seen), writers*each)
	}
	e.recount(t)
}

// Fifty writers on two nodes change flags, expunge and deliver; a reader on each node follows by views and by differences, and
// must end with exactly what is in the database.
func TestAReaderOfChangesEndsWithTheExactFinalState_D31(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(40)
	second := e.node(e.openPool(e.dsn), e.openBodies("n2"), Options{})
	nodes := []*Service{e.Service, second}
	var done atomic.Bool
	var readers, writers sync.WaitGroup
	final := make([][]Entry, len(nodes))
	for i, node := range nodes {
		readers.Go(func() { final[i] = followBy(t, node, w, &done) })
	}
	for i := range 50 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(31, uint64(i)))
			for range 12 {
				if err := randomChange(r, nodes[r.IntN(2)], w); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
	if n := e.rereads.Load(); n > 0 {
		t.Fatalf("%d times the log did not lead from one state to the next", n)
	}
	want := e.rows(w.inbox)
	for i := range nodes {
		if !slices.Equal(final[i], want) {
			t.Fatalf("node %d ended with %d messages in another state than the %d of the database", i+1, len(final[i]), len(want))
		}
	}
	e.recount(t)
}

// followBy keeps a list by the differences between views, as an IMAP session does.
func followBy(t *testing.T, s *Service, w *person, done *atomic.Bool) []Entry {
	t.Helper()
	var state []Entry
	var known *View
	for {
		finished := done.Load()
		v, _, err := s.View(context.Background(), w.p, w.inbox)
		if err != nil {
			t.Error(err)
			return nil
		}
		if known == nil {
			known = newView(head{key: v.key, validity: v.validity, next: 1}, nil)
		}
		if v.ModSeq() < known.ModSeq() {
			t.Errorf("the mod-sequence went from %d to %d", known.ModSeq(), v.ModSeq())
		}
		d := Compare(known, v)
		for _, g := range slices.Backward(d.Expunged) {
			state = slices.Delete(state, g.Index, g.Index+1)
		}
		for _, i := range d.Changed {
			state[i] = v.At(i)
		}
		for _, x := range v.From(d.First) {
			state = append(state, x)
		}
		known = v
		if finished {
			return state
		}
	}
}

func randomChange(r *rand.Rand, s *Service, w *person) error {
	ctx := context.Background()
	first := r.Uint32N(60) + 1
	uids := UIDRanges{{first, first + r.Uint32N(5)}}
	var err error
	switch r.IntN(8) {
	case 0:
		var l Letter
		if l, err = w.try(s.bodies, sample); err == nil {
			_, err = s.Deliver(ctx, []Letter{l})
		}
	case 1:
		if r.IntN(3) == 0 {
			_, err = s.Remove(ctx, w.p, w.inbox, UIDs(first))
		} else {
			_, err = s.Expunge(ctx, w.p, w.inbox, nil)
		}
	case 2:
		_, err = s.Store(ctx, w.p, w.inbox, uids, FlagChange{Remove: []mail.Flag{mail.Seen, mail.Deleted, "$a"}})
	case 3:
		_, err = s.Store(ctx, w.p, w.inbox, uids, FlagChange{Add: []mail.Flag{mail.Flagged}, Replace: true})
	case 4:
		since := r.Uint64N(200)
		_, err = s.Store(ctx, w.p, w.inbox, uids, FlagChange{Add: []mail.Flag{mail.Answered}, UnchangedSince: &since})
	case 5:
		_, err = s.Store(ctx, w.p, w.inbox, UIDs(first), FlagChange{Add: []mail.Flag{mail.Deleted}})
	default:
		_, err = s.Store(ctx, w.p, w.inbox, uids, FlagChange{Add: []mail.Flag{mail.Seen, "$a", "$b"}})
	}
	return err
}

func TestMovesInBothDirectionsNeverDeadlockNorLoseMail_D26(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	second := e.node(e.openPool(e.dsn), e.openBodies("n2"), Options{})
	archive := w.box("Archive").Key
	w.deliver(30)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			node := []*Service{e.Service, second}[i%2]
			from, to := w.inbox, archive
			if i%4 < 2 {
				from, to = to, from
			}
			for range 25 {
				var err error
				switch i {
				case 6:
					_, err = node.Copy(context.Background(), w.p, from, UIDRanges{{1, 3}}, to)
				case 7:
					var l Letter
					if l, err = w.try(node.bodies, sample); err == nil {
						l2 := l
						l2.Mailbox = "Archive"
						_, err = node.Deliver(context.Background(), []Letter{l})
					}
				default:
					_, err = node.Move(context.Background(), w.p, from, AllUIDs(), to)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	e.recount(t)
	total := len(e.rows(w.inbox)) + len(e.rows(archive))
	if distinct := scan[int](e, `SELECT count(*) FROM message`); distinct != 55 || total < 55 {
		t.Fatalf("%d messages in %d places, want 55 messages", distinct, total)
	}
	for _, key := range []int64{w.inbox, archive} {
		if v := w.view(key); !slices.Equal(slices.Collect(values(v)), e.rows(key)) {
			t.Fatal("the view is not the mailbox")
		}
	}
}

func values(v *View) func(func(Entry) bool) {
	return func(yield func(Entry) bool) {
		for _, x := range v.From(0) {
			if !yield(x) {
				return
			}
		}
	}
}

func TestParallelAppendsNeverGoOverTheQuota_S12(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	e.exec(`UPDATE account SET quota_bytes = $2 WHERE id = $1`, w.id, int64(10*len(sample)+5))
	var stored, full atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			sp := e.NewSpool()
			defer sp.Close()
			if _, err := sp.Write([]byte(sample)); err != nil {
				t.Error(err)
			}
			_, err := e.Append(context.Background(), w.p, w.id, "inbox", Item{Body: sp})
			switch {
			case err == nil:
				stored.Add(1)
			case fault.Is(err, fault.OverQuota):
				full.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if stored.Load() != 10 || full.Load() != 40 {
		t.Fatalf("%d stored, %d refused, want 10 and 40", stored.Load(), full.Load())
	}
	e.recount(t)
	report, err := e.Verify(t.Context(), VerifyOptions{Grace: time.Nanosecond})
	if err != nil || !report.Clean() || report.Files != 10 {
		t.Fatalf("report %+v, %v: files of refused appends are left", report, err)
	}
	release, err := e.Admit(t.Context(), w.p, w.id, "INBOX", 5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Admit(t.Context(), w.p, w.id, "INBOX", 1); !fault.Is(err, fault.OverQuota) {
		t.Fatalf("room that is promised already was promised again: %v", err)
	}
	release()
	release()
	again, err := e.Admit(t.Context(), w.p, w.id, "INBOX", 5)
	if err != nil {
		t.Fatal("released room stays taken")
	}
	again()
	if _, err := e.Admit(t.Context(), w.p, w.id, "nowhere", 5); !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestADeliveryThatIsGivenUpWhileItWaitsIsNotStored(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	idle := New(e.pool, e.bodies, e.bus, e.clk, e.log, Options{Queue: 1})
	l := w.letter(sample)
	if _, err := idle.Deliver(t.Context(), []Letter{l}); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a service that was not started took a delivery: %v", err)
	}
	idle.committer.begun = true // queues, but nobody works
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 1)
	go func() {
		_, err := idle.Deliver(ctx, []Letter{w.letter(sample)})
		results <- err
	}()
	for len(idle.committer.queue) == 0 {
		select {
		case err := <-results:
			t.Fatalf("a delivery that should wait was answered with %v", err)
		default:
			runtime.Gosched() // nothing announces a queued unit
		}
	}
	if _, err := idle.Deliver(t.Context(), []Letter{w.letter(sample)}); !fault.Is(err, fault.Unavailable) || fault.CodeOf(err) != "busy" {
		t.Fatalf("a full queue answered %v", err)
	}
	cancel()
	if err := <-results; !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Unavailable) {
		t.Fatalf("got %v", err)
	}
	idle.committer.begun = false
	idle.Start(t.Context())
	if err := idle.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(e.rows(w.inbox)); n != 0 {
		t.Fatalf("%d letters were stored after the sender was told no", n)
	}
}

func TestStoppingCommitsWhatWaitsAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	const n = 60
	errs := make(chan error, n)
	for range n {
		l := w.letter(sample)
		go func() {
			_, err := e.Deliver(context.Background(), []Letter{l})
			errs <- err
		}()
	}
	for len(e.rows(w.inbox)) == 0 {
	}
	for range 2 {
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stored := 0
	for range n {
		switch err := <-errs; {
		case err == nil:
			stored++
		case !fault.Is(err, fault.Unavailable):
			t.Error(err)
		}
	}
	if got := len(e.rows(w.inbox)); got != stored {
		t.Fatalf("%d letters are stored, %d were acknowledged", got, stored)
	}
	e.recount(t)
}
