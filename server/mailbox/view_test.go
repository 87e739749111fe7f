package mailbox

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// model is the plain picture of a mailbox that a view must agree with.
type model struct {
	next    uint32
	modseq  uint64
	entries map[uint32]Entry
}

func (m *model) arrive(n int) []Entry {
	m.modseq++
	var added []Entry
	for range n {
		e := Entry{UID: m.next, ModSeq: m.modseq, Message: int64(m.next) * 10}
		m.entries[e.UID] = e
		added = append(added, e)
		m.next++
	}
	return added
}

func (m *model) change(c change) {
	m.modseq = c.modseq
	for uid, e := range m.entries {
		if !c.uids.Has(uid) {
			continue
		}
		if c.kind == changeExpunge {
			delete(m.entries, uid)
			continue
		}
		if want := e.Flags&^c.del | c.add; want != e.Flags {
			e.Flags, e.ModSeq = want, c.modseq
			m.entries[uid] = e
		}
	}
}

func (m *model) sorted() []Entry {
	out := make([]Entry, 0, len(m.entries))
	for _, uid := range slices.Sorted(maps.Keys(m.entries)) {
		out = append(out, m.entries[uid])
	}
	return out
}

// checkView compares a view with the plain list of its messages, by every way of reading it.
func checkView(t interface{ Fatalf(string, ...any) }, v *View, want []Entry) {
	if v.Len() != len(want) {
		t.Fatalf("the view has %d messages, want %d", v.Len(), len(want))
	}
	unseen, deleted, first := 0, 0, -1
	for i, e := range want {
		if got := v.At(i); got != e {
			t.Fatalf("message %d is %+v, want %+v", i, got, e)
		}
		if at, ok := v.Find(e.UID); !ok || at != i {
			t.Fatalf("uid %d is found at %d (%t), want %d", e.UID, at, ok, i)
		}
		if !e.Flags.Has(mail.SeenBit) {
			unseen++
			if first < 0 {
				first = i
			}
		}
		if e.Flags.Has(mail.DeletedBit) {
			deleted++
		}
	}
	at, ok := v.FirstUnseen()
	if v.Unseen() != unseen || v.Deleted() != deleted || ok != (first >= 0) || ok && at != first {
		t.Fatalf("unseen %d deleted %d first unseen %d (%t), want %d %d %d", v.Unseen(), v.Deleted(), at, ok, unseen, deleted, first)
	}
	n := 0
	for i, e := range v.From(0) {
		if i != n || e != want[i] {
			t.Fatalf("iteration gives %+v at %d", e, i)
		}
		n++
	}
	if n != len(want) {
		t.Fatalf("iteration gave %d messages of %d", n, len(want))
	}
	for _, b := range v.blocks {
		if len(b.entries) == 0 || len(b.entries) > blockSize {
			t.Fatalf("a block has %d entries", len(b.entries))
		}
	}
}

func drawRanges(t *rapid.T, next uint32) UIDRanges {
	var out UIDRanges
	for range rapid.IntRange(1, 4).Draw(t, "ranges") {
		a := rapid.Uint32Range(1, max(1, next)).Draw(t, "first")
		out = append(out, UIDRange{a, a + rapid.Uint32Range(0, 1500).Draw(t, "width")})
	}
	return out.Normal()
}

// A view that replays changes must equal the mailbox, whatever the order; older views must not move; the difference between any
// two views must lead from one to the other.
func TestAViewAlwaysEqualsTheMailboxAndOlderViewsNeverMove(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{next: 1, modseq: 1, entries: map[uint32]Entry{}}
		v := newView(head{key: 1, next: 1, modseq: 1}, nil)
		views, states := []*View{v}, [][]Entry{nil}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			var changes []change
			known := m.next
			for range rapid.IntRange(0, 2).Draw(t, "changes") {
				c := change{modseq: m.modseq + 1, kind: rapid.IntRange(1, 2).Draw(t, "kind"), uids: drawRanges(t, known)}
				if c.kind == changeFlags {
					c.add = mail.FlagSet(rapid.IntRange(0, 31).Draw(t, "add"))
					c.del = mail.FlagSet(rapid.IntRange(0, 31).Draw(t, "del"))
				}
				m.change(c)
				changes = append(changes, c)
			}
			added := m.arrive(rapid.SampledFrom([]int{0, 1, 3, 900, 1024, 2500}).Draw(t, "arrivals"))
			v = v.apply(head{key: 1, next: m.next, modseq: m.modseq}, changes, added)
			views, states = append(views, v), append(states, m.sorted())
		}
		for i, v := range views {
			checkView(t, v, states[i])
			checkDiff(t, v, views[len(views)-1])
		}
		checkView(t, newView(v.head(), m.sorted()), m.sorted())
		checkDiff(t, views[0], newView(v.head(), m.sorted()))
		i := rapid.IntRange(0, len(views)-1).Draw(t, "older")
		checkDiff(t, views[i], newView(v.head(), m.sorted()))
		checkHold(t, views[i], v)
	})
}

// checkDiff carries a difference out on the older view and expects the newer one.
func checkDiff(t interface{ Fatalf(string, ...any) }, older, newer *View) {
	d := Compare(older, newer)
	gone := map[uint32]bool{}
	for _, g := range d.Expunged {
		if older.At(g.Index).UID != g.UID {
			t.Fatalf("expunged index %d is uid %d, not %d", g.Index, older.At(g.Index).UID, g.UID)
		}
		gone[g.UID] = true
	}
	changed := map[uint32]bool{}
	for _, i := range d.Changed {
		changed[newer.At(i).UID] = true
	}
	var have []Entry
	for _, e := range older.From(0) {
		if gone[e.UID] {
			continue
		}
		if changed[e.UID] {
			i, _ := newer.Find(e.UID)
			if newer.At(i) == e {
				t.Fatalf("uid %d is called changed and is not", e.UID)
			}
			e = newer.At(i)
		}
		have = append(have, e)
	}
	for i, e := range newer.From(d.First) {
		if i == d.First && e.UID < older.UIDNext() {
			t.Fatalf("uid %d is called new", e.UID)
		}
		have = append(have, e)
	}
	checkView(t, newer, have)
}

func checkHold(t interface{ Fatalf(string, ...any) }, older, newer *View) {
	held := Hold(older, newer)
	d := Compare(older, held)
	if len(d.Expunged) != 0 {
		t.Fatalf("%d messages vanished under a session that may not be told (D-36)", len(d.Expunged))
	}
	for i, e := range older.From(0) {
		if held.At(i).UID != e.UID {
			t.Fatalf("sequence number %d now means uid %d, not %d", i+1, held.At(i).UID, e.UID)
		}
		if at, ok := newer.Find(e.UID); ok && held.At(i) != newer.At(at) {
			t.Fatalf("uid %d is not current in the held view", e.UID)
		}
	}
	if got, want := len(Compare(held, newer).Expunged), len(Compare(older, newer).Expunged); got != want {
		t.Fatalf("%d expunges remain to be told, want %d", got, want)
	}
	checkDiff(t, held, newer)
}

func TestOneChangeCopiesOneBlock(t *testing.T) {
	t.Parallel()
	m := &model{next: 1, entries: map[uint32]Entry{}}
	v := newView(head{}, m.arrive(10*blockSize))
	after := v.apply(head{next: m.next}, []change{{modseq: 9, kind: changeFlags, uids: UIDs(3000), add: mail.SeenBit}}, nil)
	shared := 0
	for i := range v.blocks {
		if v.blocks[i] == after.blocks[i] {
			shared++
		}
	}
	if shared != 9 {
		t.Fatalf("%d of 10 blocks are shared, want 9", shared)
	}
	same := v.apply(head{next: m.next}, []change{{modseq: 9, kind: changeFlags, uids: AllUIDs(), del: mail.SeenBit}}, nil)
	for i := range v.blocks {
		if v.blocks[i] != same.blocks[i] {
			t.Fatal("a change that alters nothing copied a block")
		}
	}
}

func TestManyExpungesDoNotLeaveManyTinyBlocks(t *testing.T) {
	t.Parallel()
	m := &model{next: 1, entries: map[uint32]Entry{}}
	v := newView(head{}, m.arrive(100*blockSize))
	var uids UIDRanges
	for i := uint32(1); i < m.next; i++ {
		if i%blockSize != 0 {
			uids = append(uids, UIDRange{i, i})
		}
	}
	c := change{modseq: 2, kind: changeExpunge, uids: uids.Normal()}
	m.change(c)
	v = v.apply(head{next: m.next}, []change{c}, nil)
	checkView(t, v, m.sorted())
	if len(v.blocks) > 8 {
		t.Fatalf("100 messages lie in %d blocks", len(v.blocks))
	}
}

func TestRangesAreTidiedAndBounded(t *testing.T) {
	t.Parallel()
	cases := []struct{ in, want UIDRanges }{
		{UIDRanges{{5, 3}, {4, 9}, {1, 1}, {2, 2}}, UIDRanges{{1, 9}}},
		{UIDRanges{{7, 7}, {1, 4294967295}}, UIDRanges{{1, MaxUID}}},
		{UIDRanges{{0, 0}}, UIDRanges{}},
		{UIDRanges{{4294967295, 4294967290}}, UIDRanges{}},
		{nil, UIDRanges{}},
		{UIDs(3, 1, 2, 9), UIDRanges{{1, 3}, {9, 9}}},
	}
	for _, c := range cases {
		got := c.in.Normal()
		if !slices.Equal(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
		back, err := parseUIDs(got.bytes())
		if err != nil || !slices.Equal(back, got) {
			t.Errorf("%v stored and read is %v, %v", got, back, err)
		}
	}
	set := UIDs(3, 4, 9)
	if set.Count() != 3 || !slices.Equal(slices.Collect(set.All()), []uint32{3, 4, 9}) {
		t.Errorf("the set is %v", slices.Collect(set.All()))
	}
	for uid, want := range map[uint32]bool{2: false, 3: true, 4: true, 5: false, 9: true, 10: false} {
		if set.Has(uid) != want {
			t.Errorf("has %d: %t", uid, !want)
		}
	}
	if _, err := parseUIDs([]byte{1, 2, 3}); err == nil {
		t.Error("a damaged list was read")
	}
}

func BenchmarkView(b *testing.B) {
	m := &model{next: 1, entries: map[uint32]Entry{}}
	entries := m.arrive(50_000)
	v := newView(head{next: m.next}, entries)
	b.Run("one change", func(b *testing.B) {
		for b.Loop() {
			uid := rand.Uint32N(50_000) + 1
			v.apply(v.head(), []change{{modseq: 9, kind: changeFlags, uids: UIDs(uid), add: mail.SeenBit}}, nil)
		}
	})
	b.Run("all changed", func(b *testing.B) {
		for b.Loop() {
			v.apply(v.head(), []change{{modseq: 9, kind: changeFlags, uids: AllUIDs(), add: mail.SeenBit}}, nil)
		}
	})
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("compare after %d", n), func(b *testing.B) {
			uids := make([]uint32, n)
			for i := range uids {
				uids[i] = rand.Uint32N(50_000) + 1
			}
			after := v.apply(v.head(), []change{{modseq: 9, kind: changeFlags, uids: UIDs(uids...), add: mail.SeenBit}}, nil)
			for b.Loop() {
				Compare(v, after)
			}
		})
	}
}
