package mailbox

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// Two sessions on two nodes have seen the same state and change the same messages. For each message one of them wins and the other
// is told that it lost, whichever way the messages were named.
func TestOfTwoConditionalChangesOneWinsEachMessage_D38(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(12)
	second := e.node(e.openPool(e.dsn), e.openBodies("n2"), Options{})
	nodes := []*Service{e.Service, second}
	flags := []mail.Flag{mail.Flagged, mail.Answered}
	bits := []mail.FlagSet{mail.FlaggedBit, mail.AnsweredBit}
	sets := [][]UIDRanges{
		{AllUIDs(), AllUIDs()},
		{UIDRanges{{1, 8}}, UIDRanges{{5, 12}}},
		{UIDs(1, 3, 5, 7), UIDs(3, 4, 5, 6)},
		{UIDs(6), UIDs(6)},
	}
	for round := range 40 {
		since := w.view(w.inbox).ModSeq()
		both := sets[round%len(sets)]
		var results [2]StoreResult
		var wg sync.WaitGroup
		for i, node := range nodes {
			wg.Go(func() {
				var err error
				change := FlagChange{Add: flags[i : i+1], Replace: true, UnchangedSince: &since}
				if results[i], err = node.Store(context.Background(), w.p, w.inbox, both[i], change); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, x := range e.rows(w.inbox) {
			w.oneWinner(t, x, both, results, bits)
		}
		if _, err := e.Store(t.Context(), w.p, w.inbox, AllUIDs(), FlagChange{Replace: true}); err != nil {
			t.Fatal(err)
		}
	}
	e.recount(t)
}

// oneWinner holds a message against what the two who wanted it were told.
func (w *person) oneWinner(t *testing.T, x Entry, asked []UIDRanges, results [2]StoreResult, bits []mail.FlagSet) {
	t.Helper()
	wanted, won := 0, -1
	for i, r := range results {
		switch in, yes, no := asked[i].Normal().Has(x.UID), r.Changed.Has(x.UID), r.Modified.Has(x.UID); {
		case !in && (yes || no), in && yes == no:
			t.Fatalf("uid %d, writer %d: asked for it %t, was told changed %t, modified %t", x.UID, i, in, yes, no)
		case !in:
			continue
		case yes && won >= 0:
			t.Fatalf("uid %d was changed by both: one of them overwrote what it had not seen", x.UID)
		case yes:
			won = i
		}
		wanted++
	}
	switch {
	case wanted > 0 && won < 0:
		t.Fatalf("uid %d: nobody was let", x.UID)
	case wanted == 0 && x.Flags != 0, wanted > 0 && x.Flags != bits[won]:
		t.Fatalf("uid %d has flags %b, and writer %d was told that it won", x.UID, x.Flags, won)
	case wanted > 0 && x.ModSeq != results[won].ModSeq:
		t.Fatalf("uid %d has modseq %d, its writer was told %d", x.UID, x.ModSeq, results[won].ModSeq)
	}
}

func TestTheLastUidsOfAMailboxAreGivenOnce_D34(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	second := e.node(e.openPool(e.dsn), e.openBodies("n2"), Options{})
	archive := w.box("Archive").Key
	filed := w.deliver(1)
	e.exec(`UPDATE mailbox SET uid_next = $2 WHERE key = $1`, archive, int64(MaxUID)-3)
	var mu sync.Mutex
	var given []uint32
	take := func(uids UIDRanges, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil && fault.CodeOf(err) != "uid-limit" {
			t.Errorf("got %v, want uid-limit", err)
		}
		given = slices.AppendSeq(given, uids.All())
	}
	var wg sync.WaitGroup
	for i := range 12 {
		node := []*Service{e.Service, second}[i%2]
		wg.Go(func() {
			if i%3 == 0 {
				r, err := node.Copy(context.Background(), w.p, w.inbox, UIDs(filed[0].UID), archive)
				var uids UIDRanges
				if r.Source.Count() > 0 {
					uids = UIDRanges{r.Target()}
				}
				take(uids, err)
				return
			}
			l, err := w.try(node.bodies, sample)
			if err != nil {
				t.Error(err)
				return
			}
			l.Mailbox = "Archive"
			done, err := node.Deliver(context.Background(), []Letter{l})
			var uids UIDRanges
			for _, f := range done {
				uids = append(uids, UIDRange{f.UID, f.UID})
			}
			take(uids, err)
		})
	}
	wg.Wait()
	slices.Sort(given)
	if want := []uint32{MaxUID - 3, MaxUID - 2, MaxUID - 1, MaxUID}; !slices.Equal(given, want) || !slices.Equal(w.uids(archive), want) {
		t.Fatalf("given %v, there are %v, want %v once each", given, w.uids(archive), want)
	}
	e.recount(t)
}
