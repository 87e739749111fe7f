package mailbox

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// letterModel is what one mailbox should hold: by uid, a message's number and its flags.
type boxModel struct {
	key  int64
	next uint32
	have map[uint32]placed
}

type placed struct {
	message mail.MessageID
	flags   map[mail.Flag]bool
}

// system is two nodes on one database, and the picture of it.
type system struct {
	t     *rapid.T
	w     *person
	nodes []*Service
	boxes []*boxModel
}

func (s *system) node() *Service { return rapid.SampledFrom(s.nodes).Draw(s.t, "node") }
func (s *system) box() *boxModel { return rapid.SampledFrom(s.boxes).Draw(s.t, "box") }
func (s *system) must(err error) {
	if err != nil {
		s.t.Fatalf("%v", err)
	}
}

func (s *system) ranges(b *boxModel) UIDRanges {
	first := rapid.Uint32Range(1, b.next).Draw(s.t, "first")
	out := UIDRanges{{first, first + rapid.Uint32Range(0, 4).Draw(s.t, "width")}}
	if rapid.Bool().Draw(s.t, "two") {
		out = append(out, UIDRange{1, rapid.Uint32Range(1, 3).Draw(s.t, "low")})
	}
	return out.Normal()
}

func (s *system) flags() []mail.Flag {
	all := []mail.Flag{mail.Seen, mail.Answered, mail.Flagged, mail.Deleted, mail.Draft, "$Junk", "work", "$a"}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 3, rapid.ID[mail.Flag]).Draw(s.t, "flags")
}

func (s *system) deliver(t *rapid.T) {
	b := s.box()
	names := map[int64]string{}
	for _, name := range []string{Inbox, "Archive", "Junk"} {
		names[s.w.box(name).Key] = name
	}
	var letters []Letter
	flags := s.flags()
	for range rapid.IntRange(1, 3).Draw(t, "letters") {
		l := s.w.letter(sample)
		l.Mailbox, l.Flags = names[b.key], flags
		letters = append(letters, l)
	}
	filed, err := s.node().Deliver(context.Background(), letters)
	s.must(err)
	for _, f := range filed {
		if f.UID != b.next || f.Key != b.key {
			t.Fatalf("filed under uid %d of mailbox %d, want %d of %d", f.UID, f.Key, b.next, b.key)
		}
		b.put(f.Message, set(flags))
	}
}

func set(flags []mail.Flag) map[mail.Flag]bool {
	out := map[mail.Flag]bool{}
	for _, f := range flags {
		out[f] = true
	}
	return out
}

func (b *boxModel) put(id mail.MessageID, flags map[mail.Flag]bool) {
	b.have[b.next] = placed{id, flags}
	b.next++
}

func (b *boxModel) in(uids UIDRanges) []uint32 {
	var out []uint32
	for uid := range b.have {
		if uids.Has(uid) {
			out = append(out, uid)
		}
	}
	slices.Sort(out)
	return out
}

func (s *system) store(t *rapid.T) {
	b, uids := s.box(), s.ranges(s.boxes[0])
	change := FlagChange{Add: s.flags(), Replace: rapid.Bool().Draw(t, "replace")}
	if rapid.Bool().Draw(t, "remove") {
		change = FlagChange{Remove: s.flags()}
	}
	node := s.node()
	before, _, err := node.View(context.Background(), s.w.p, b.key)
	s.must(err)
	if rapid.Bool().Draw(t, "conditional") {
		since := before.ModSeq() - min(before.ModSeq(), rapid.Uint64Range(0, 3).Draw(t, "age"))
		change.UnchangedSince = &since
	}
	result, err := node.Store(context.Background(), s.w.p, b.key, uids, change)
	s.must(err)
	count := 0
	for _, uid := range b.in(uids) {
		i, _ := before.Find(uid)
		if change.UnchangedSince != nil && before.At(i).ModSeq > *change.UnchangedSince {
			if !result.Modified.Has(uid) {
				t.Fatalf("uid %d failed the test and is not called modified", uid)
			}
			continue
		}
		if b.have[uid].change(change) {
			count++
		}
	}
	if result.Count != count || (result.ModSeq == 0) != (count == 0) || change.UnchangedSince != nil && result.Changed.Count() != count {
		t.Fatalf("result %+v, want %d changes", result, count)
	}
}

func (p placed) change(c FlagChange) bool {
	before := len(p.flags)
	lost := 0
	for f := range p.flags {
		if c.Replace && !slices.Contains(c.Add, f) || !c.Replace && slices.Contains(c.Remove, f) {
			delete(p.flags, f)
			lost++
		}
	}
	for _, f := range c.Add {
		p.flags[f] = true
	}
	return lost > 0 || len(p.flags) != before
}

func (s *system) transfer(t *rapid.T) {
	from, to := s.box(), s.box()
	uids, move := s.ranges(from), rapid.Bool().Draw(t, "move")
	node := s.node()
	do := node.Copy
	if move {
		do = node.Move
	}
	result, err := do(context.Background(), s.w.p, from.key, uids, to.key)
	s.must(err)
	moved := from.in(uids)
	if got := slices.Collect(result.Source.All()); !slices.Equal(got, moved) {
		t.Fatalf("source uids %v, want %v", got, moved)
	}
	first := to.next
	for i, uid := range moved {
		x := from.have[uid]
		if move {
			delete(from.have, uid)
		}
		flags := map[mail.Flag]bool{}
		for f := range x.flags {
			flags[f] = true
		}
		to.put(x.message, flags)
		for old, now := range result.Pairs() {
			if old == uid && now != first+uint32(i) {
				t.Fatalf("uid %d became %d, want %d", uid, now, first+uint32(i))
			}
		}
	}
}

func (s *system) expunge(t *rapid.T) {
	b := s.box()
	var uids UIDRanges
	if rapid.Bool().Draw(t, "some") {
		uids = s.ranges(b)
	}
	result, err := s.node().Expunge(context.Background(), s.w.p, b.key, uids)
	s.must(err)
	if uids == nil {
		uids = AllUIDs()
	}
	var gone []uint32
	for _, uid := range b.in(uids) {
		if b.have[uid].flags[mail.Deleted] {
			gone = append(gone, uid)
			delete(b.have, uid)
		}
	}
	if got := slices.Collect(result.UIDs.All()); !slices.Equal(got, gone) {
		t.Fatalf("expunged %v, want %v", got, gone)
	}
}

// check compares both nodes' views, the listing, and every counter with the picture.
func (s *system) check(t *rapid.T) {
	for _, b := range s.boxes {
		want := make([]uint32, 0, len(b.have))
		for uid := range b.have {
			want = append(want, uid)
		}
		slices.Sort(want)
		rows := s.w.e.rows(b.key)
		for _, node := range s.nodes {
			v, m, err := node.View(context.Background(), s.w.p, b.key)
			s.must(err)
			checkView(t, v, rows)
			if v.Len() != len(want) || m.UIDNext != b.next || v.UIDNext() != b.next || m.Total != len(want) {
				t.Fatalf("%d messages and UIDNEXT %d, want %d and %d", v.Len(), v.UIDNext(), len(want), b.next)
			}
			for i, uid := range want {
				x := v.At(i)
				got := set(x.Flags.Flags(v.Keywords()))
				if x.UID != uid || !sameFlags(got, b.have[uid].flags) {
					t.Fatalf("uid %d has flags %v, want uid %d with %v", x.UID, got, uid, b.have[uid].flags)
				}
			}
		}
	}
	s.w.e.recount(t)
}

func sameFlags(a, b map[mail.Flag]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for f := range a {
		if !b[f] {
			return false
		}
	}
	return true
}

// Whatever two nodes do to three mailboxes in whatever order, what every node shows is what was done, and all counters are true.
func TestEveryNodeShowsWhatWasDoneAndAllCountersAreTrue(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	second := e.node(e.openPool(e.dsn), e.openBodies("n2"), Options{})
	rapid.Check(t, func(t *rapid.T) {
		w := e.person()
		s := &system{t: t, w: w, nodes: []*Service{e.Service, second}}
		for _, name := range []string{Inbox, "Archive", "Junk"} {
			s.boxes = append(s.boxes, &boxModel{key: w.box(name).Key, next: 1, have: map[uint32]placed{}})
		}
		steps := []func(*rapid.T){s.deliver, s.deliver, s.store, s.store, s.transfer, s.expunge}
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			for range rapid.IntRange(1, 8).Draw(t, "steps") {
				rapid.SampledFrom(steps).Draw(t, "step")(t)
			}
			s.check(t)
		}
	})
	if n := e.rereads.Load(); n > 0 {
		t.Fatalf("%d times the log did not lead from one state to the next", n)
	}
	report, err := e.Verify(t.Context(), VerifyOptions{Hash: true})
	if err != nil || !report.Clean() {
		t.Fatalf("verify: %+v, %v", report, err)
	}
	if n := scan[int](e, `SELECT count(*) FROM body_garbage b JOIN message g ON g.file = b.file`); n > 0 {
		t.Fatalf("%d files of living messages would be removed", n)
	}
}

func TestKeywordsAreLimitedPerMailboxAndNamedWithoutCase(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(2)
	for i := range mail.MaxKeywords {
		if _, err := e.Store(t.Context(), w.p, w.inbox, UIDs(1), FlagChange{Add: []mail.Flag{mail.Flag("k" + string(rune('a'+i)))}}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := e.Store(t.Context(), w.p, w.inbox, UIDs(1), FlagChange{Add: []mail.Flag{"one-more"}})
	if !fault.Is(err, fault.Limited) || fault.CodeOf(err) != "keyword-limit" {
		t.Fatalf("got %v, want keyword-limit", err)
	}
	if r, err := e.Store(t.Context(), w.p, w.inbox, UIDs(1, 2), FlagChange{Add: []mail.Flag{"KA", "kz"}}); err != nil || r.Count != 1 {
		t.Fatalf("%+v, %v: the same keyword in capitals is another one", r, err)
	}
	if r, err := e.Store(t.Context(), w.p, w.inbox, AllUIDs(), FlagChange{Remove: []mail.Flag{"unknown"}}); err != nil || r.Count != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, bad := range []mail.Flag{`\Recent`, "a b", "", `\Unknown`} {
		if _, err := e.Store(t.Context(), w.p, w.inbox, AllUIDs(), FlagChange{Add: []mail.Flag{bad}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("flag %q: %v", bad, err)
		}
	}
	// A letter with a keyword too many is delivered without it, an append is refused before anything is written.
	l := w.letter(sample)
	l.Flags = []mail.Flag{"one-more", "ka"}
	filed, err := e.Deliver(t.Context(), []Letter{l})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := e.Message(t.Context(), w.p, filed[0].Message)
	if err != nil || !slices.Equal(msg.Places[0].Flags, []mail.Flag{"ka"}) {
		t.Fatalf("flags %v, %v", msg.Places, err)
	}
	sp := e.NewSpool()
	defer sp.Close()
	if _, err := e.Append(t.Context(), w.p, w.id, Inbox, Item{Body: sp, Flags: []mail.Flag{"one-more"}}); !fault.Is(err, fault.Limited) {
		t.Fatalf("got %v", err)
	}
	// A copy into a mailbox without room for the keyword keeps the other flags.
	for i := range mail.MaxKeywords {
		if _, err := e.Store(t.Context(), w.p, w.box("Archive").Key, UIDs(1), FlagChange{Add: []mail.Flag{mail.Flag("x" + string(rune('a'+i)))}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Store(t.Context(), w.p, w.inbox, UIDs(1), FlagChange{Add: []mail.Flag{mail.Flagged}}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Copy(t.Context(), w.p, w.inbox, UIDs(1), w.box("Archive").Key); err != nil {
		t.Fatal(err)
	}
	v := w.view(w.box("Archive").Key)
	if got := v.At(0).Flags.Flags(v.Keywords()); !slices.Equal(got, []mail.Flag{mail.Flagged}) {
		t.Fatalf("flags %v", got)
	}
}
