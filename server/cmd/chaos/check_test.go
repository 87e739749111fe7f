package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// scene is a small run with everything in order: a ledger and a world that agrees with it.
type scene struct {
	n   int64
	ops []*operation
	w   world
	d   deeds
}

// op adds an operation that ended with the outcome.
func (s *scene) op(outcome string, e entry) *operation {
	s.n += 2
	e.N, e.At = s.n-1, second(float64(s.n))
	op := &operation{entry: e, outcome: outcome, took: 100 * time.Millisecond, end: s.n}
	s.ops = append(s.ops, op)
	return op
}

func alice(box string) boxName { return boxName{"alice", box} }

func sumOf(id string) content { return content{id: id, tail: "tail:" + id, text: "text:" + id} }

// show puts a message into the world, with its file and its place in the counters.
func (s *scene) show(box boxName, uid uint32, id string, flags ...string) {
	s.w.messages = append(s.w.messages, message{place: place{box, uid}, content: sumOf(id), flags: flags, size: 10, bytes: 10})
	s.w.files = append(s.w.files, diskFile{account: box.account, name: id, content: sumOf(id), whole: true})
}

// finish makes the counters fit the messages.
func (s *scene) finish() {
	boxes := map[boxName]*mailboxState{}
	for _, name := range []boxName{alice("INBOX"), alice("A"), alice("B"), {"bob", "INBOX"}} {
		boxes[name] = &mailboxState{boxName: name, validity: 7, next: 100}
	}
	s.w.api = map[boxName]apiBox{}
	for _, m := range s.w.messages {
		b := boxes[m.box]
		b.fetched.messages++
		b.fetched.bytes += m.size
		if !slices.Contains(m.flags, `\seen`) {
			b.fetched.unseen++
		}
	}
	for _, name := range []boxName{alice("INBOX"), alice("A"), alice("B"), {"bob", "INBOX"}} {
		b := boxes[name]
		b.status, b.exists, b.searched = b.fetched, uint32(b.fetched.messages), uint32(b.fetched.messages)
		s.w.mailboxes = append(s.w.mailboxes, *b)
		a := apiBox{messages: b.fetched.messages, unseen: b.fetched.unseen, bytes: b.fetched.bytes}
		for _, m := range newestFirst(s.w.messages) {
			if m.box == name {
				shown := m.id
				if m.notice != nil {
					shown = m.notice.subject
				}
				a.items = append(a.items, apiItem{shown, m.size, m.flags, true, m.content})
			}
		}
		s.w.api[name] = a
	}
}

func newestFirst(list []message) []message {
	return slices.SortedFunc(slices.Values(list), func(a, b message) int { return cmp.Compare(b.uid, a.uid) })
}

func inbound(kind, id string, to ...string) entry {
	return entry{Kind: kind, ID: id, Sum: "tail:" + id, Recipients: to}
}

func appended(id, box string, uid uint32, flags ...string) entry {
	return entry{Kind: kindAppend, ID: id, Sum: "tail:" + id, Account: "alice", To: box, ToUID: uid, Validity: 7, Flags: flags}
}

func changed(kind, id, box string, uid uint32) entry {
	return entry{Kind: kind, ID: id, Account: "alice", Mailbox: box, UID: uid}
}

// good is a scene with one of each.
func good() *scene {
	s := newScene()
	s.op(evAck, inbound(kindSMTP, "both", "alice@demo.test", "bob@demo.test"))
	s.show(alice("INBOX"), 1, "both")
	s.show(boxName{"bob", "INBOX"}, 1, "both")
	s.op(evUnknown, inbound(kindSMTP, "twice", "alice@demo.test"))
	s.op(evAck, inbound(kindSMTP, "twice", "alice@demo.test"))
	s.show(alice("INBOX"), 2, "twice")
	s.show(alice("INBOX"), 3, "twice")
	s.op(evAck, inbound(kindSMTP, "single", "alice@demo.test"))
	s.show(alice("INBOX"), 4, "single")

	api := inbound(kindAPI, "keyed", "keyed@far0.test")
	api.From, api.Sum, api.Key = "app@demo.test", "text:keyed", "key"
	s.op(evUnknown, api)
	s.op(evAck, api).EmailID = "eml_1"
	s.email(kindAPI, "eml_1", "keyed", "keyed@far0.test", "delivered")
	s.arrive("eml_1", "keyed", "app@demo.test", 1, "keyed@far0.test")

	s.op(evRefused, inbound(kindSMTP, "later", "bob@demo.test")).Reply = "451 4.3.0 later"
	s.op(evUnsent, inbound(kindSMTP, "broken", "bob@demo.test"))

	s.op(evAck, appended("kept", "A", 1, `\seen`))
	s.show(alice("A"), 1, "kept", `\seen`)
	s.op(evAck, appended("moved", "A", 2))
	move := changed(kindMove, "moved", "A", 2)
	move.To, move.ToUID, move.Validity = "B", 1, 7
	s.op(evAck, move)
	s.show(alice("B"), 1, "moved")
	s.op(evAck, appended("expunged", "A", 3))
	s.op(evAck, changed(kindExpunge, "expunged", "A", 3))
	s.op(evAck, appended("unsure", "A", 4))
	maybe := changed(kindMove, "unsure", "A", 4)
	maybe.To = "B"
	s.op(evUnknown, maybe)
	s.show(alice("B"), 2, "unsure")
	s.op(evAck, appended("flagged", "A", 5))
	store := changed(kindStore, "flagged", "A", 5)
	store.Flags = []string{`\flagged`}
	s.op(evUnknown, store)
	s.show(alice("A"), 5, "flagged")
	return s
}

// judge replays and checks, and gives the classes of what is wrong.
func (s *scene) judge() (*history, *checker, []string) {
	h := replay(s.ops, s.d.troubles)
	c := check(h, &s.w, &s.d)
	classes := map[string]bool{}
	for _, v := range c.out {
		classes[v.Class] = true
	}
	return h, c, slices.Sorted(maps.Keys(classes))
}

func TestARunInOrderHasNoViolation(t *testing.T) {
	t.Parallel()
	s := good()
	s.finish()
	h, c, classes := s.judge()
	if len(classes) > 0 {
		t.Fatalf("violations: %v", c.out)
	}
	r := newResult(&options{})
	r.tabulate(h, c)
	if r.Total.Acknowledged != r.Total.Present+r.Total.Superseded || r.Total.Acknowledged == 0 {
		t.Errorf("the table does not add up: %+v", r.Total)
	}
	if r.Total.Duplicate != 1 || c.allowed[kindSMTP] != 1 {
		t.Errorf("the second copy after a broken connection was not counted: %+v", r.Total)
	}
}

// remove takes the message away from mailbox, disk (unless another mailbox shows it) and counters.
func (s *scene) remove(box boxName, uid uint32) {
	s.w.messages = slices.DeleteFunc(s.w.messages, func(m message) bool { return m.box == box && m.uid == uid })
}

func (s *scene) overAPI(box string, change func(*apiBox)) {
	b := s.w.api[alice(box)]
	change(&b)
	s.w.api[alice(box)] = b
}

func (s *scene) message(box boxName, uid uint32) *message {
	for i := range s.w.messages {
		if m := &s.w.messages[i]; m.box == box && m.uid == uid {
			return m
		}
	}
	panic("no such message in the scene")
}

func (s *scene) find(kind, id string) *operation {
	for _, op := range s.ops {
		if op.Kind == kind && op.ID == id {
			return op
		}
	}
	panic("no such operation in the scene")
}

func TestPlantedFaultsAreFound_F1(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		plant func(*scene) // before the counters are made to fit
		after func(*scene) // afterwards
		want  string
		lost  int // operations that the table must count as lost
	}{
		"letter for one recipient lost": {plant: func(s *scene) { s.remove(alice("INBOX"), 4) }, want: "lost", lost: 1},
		"letter for one of two lost":    {plant: func(s *scene) { s.remove(boxName{"bob", "INBOX"}, 1) }, want: "lost torn", lost: 1},
		"appended message lost":         {plant: func(s *scene) { s.remove(alice("A"), 1) }, want: "lost", lost: 1},
		"moved message lost":            {plant: func(s *scene) { s.remove(alice("B"), 1) }, want: "lost", lost: 1},
		"message lost in an unknown move": {
			plant: func(s *scene) { s.remove(alice("B"), 2) }, want: "lost", lost: 1,
		},
		"message doubled by an unknown move": {
			plant: func(s *scene) { s.show(alice("A"), 4, "unsure") }, want: "duplicate",
		},
		"appended without a UID and lost": {
			plant: func(s *scene) { s.op(evAck, appended("nouid", "A", 0)) }, want: "lost", lost: 1,
		},
		"seen by a client and lost": {plant: func(s *scene) {
			s.op(evSeen, entry{Kind: kindClaim, ID: "single", Account: "alice", Mailbox: "INBOX", UID: 4})
			s.remove(alice("INBOX"), 4)
		}, want: "lost", lost: 1},
		"file gone": {after: func(s *scene) { s.w.files = s.w.files[1:] }, want: "lost"},
		"email said to be delivered that never left": {plant: func(s *scene) { s.w.copies = nil }, want: "lost", lost: 1},
		"email unknown to the API": {
			plant: func(s *scene) { s.w.emails = nil }, want: "lost phantom", lost: 1,
		},
		"email still queued": {plant: func(s *scene) { s.status("eml_1", 0, "queued") }, want: "unsettled"},
		"bytes changed":      {plant: func(s *scene) { s.message(alice("INBOX"), 4).tail = "tail:other" }, want: "corrupt"},
		"bytes of an appended message changed": {
			plant: func(s *scene) { m := s.message(alice("A"), 1); m.tail, m.text = "", "" }, want: "corrupt",
		},
		"bytes that left changed": {plant: func(s *scene) { s.w.copies[0].text = "text:other" }, want: "corrupt"},
		"size wrong":              {plant: func(s *scene) { s.message(alice("A"), 1).bytes = 9 }, want: "corrupt"},
		"file cut short":          {after: func(s *scene) { s.w.files[0].whole = false }, want: "corrupt lost"},
		"file changed":            {after: func(s *scene) { s.w.files[0].tail, s.w.files[0].text = "", "" }, want: "corrupt lost"},
		"strange file":            {after: func(s *scene) { s.w.files = append(s.w.files, diskFile{account: "alice", whole: true}) }, want: "phantom"},
		"doubled without a broken connection": {
			plant: func(s *scene) { s.show(alice("INBOX"), 9, "single") }, want: "duplicate",
		},
		"more copies than broken connections": {
			plant: func(s *scene) { s.show(alice("INBOX"), 9, "twice") }, want: "duplicate",
		},
		"one key with two effects": {plant: func(s *scene) {
			s.w.copies = append(s.w.copies, s.w.copies[0])
		}, want: "duplicate"},
		"one key with two emails": {plant: func(s *scene) {
			again := s.find(kindAPI, "keyed").entry
			s.op(evAck, again).EmailID = "eml_2"
			s.email(kindAPI, "eml_2", "keyed", "keyed@far0.test", "delivered")
			s.arrive("eml_2", "keyed", "app@demo.test", 2, "keyed@far0.test")
		}, want: "duplicate"},
		"refused and there": {plant: func(s *scene) { s.show(boxName{"bob", "INBOX"}, 9, "later") }, want: "phantom"},
		"cut short and there": {
			plant: func(s *scene) { s.show(boxName{"bob", "INBOX"}, 9, "broken") }, want: "phantom",
		},
		"never sent": {plant: func(s *scene) { s.show(alice("INBOX"), 9, "stranger") }, want: "phantom"},
		"valid letter refused for good": {
			plant: func(s *scene) { s.find(kindSMTP, "later").Reply = "554 5.0.0 no" }, want: "permanent",
		},
		"flags lost": {plant: func(s *scene) { s.message(alice("A"), 1).flags = nil }, want: "undone", lost: 1},
		"flags that nobody set": {
			plant: func(s *scene) { s.message(alice("A"), 5).flags = []string{`\deleted`} }, want: "undone", lost: 1,
		},
		"expunge undone": {plant: func(s *scene) { s.show(alice("A"), 3, "expunged") }, want: "undone", lost: 1},
		"move undone":    {plant: func(s *scene) { s.show(alice("A"), 2, "moved") }, want: "undone"},
		"uid given to another message": {plant: func(s *scene) {
			s.remove(alice("A"), 1)
			s.show(alice("A"), 1, "moved")
		}, want: "duplicate lost uid", lost: 1},
		"uid given twice": {plant: func(s *scene) {
			s.op(evAck, appended("second", "A", 3))
			s.show(alice("A"), 3, "second")
		}, want: "duplicate uid"},
		"uid below an earlier one": {plant: func(s *scene) {
			s.op(evAck, appended("first", "B", 50))
			s.op(evAck, appended("second", "B", 49))
			s.show(alice("B"), 50, "first")
			s.show(alice("B"), 49, "second")
		}, want: "uid"},
		"arrival below an earlier one": {plant: func(s *scene) {
			s.op(evAck, inbound(kindSMTP, "third", "alice@demo.test"))
			s.show(alice("INBOX"), 8, "third")
			s.op(evAck, inbound(kindSMTP, "fourth", "alice@demo.test"))
			s.show(alice("INBOX"), 7, "fourth")
		}, want: "uid"},
		"UIDNEXT that promised more": {plant: func(s *scene) {
			s.op(evAck, entry{Kind: kindSelect, Account: "alice", Mailbox: "B", Validity: 7, Next: 60})
			s.op(evAck, appended("first", "B", 59))
			s.show(alice("B"), 59, "first")
		}, want: "uid"},
		"UIDNEXT below a uid": {after: func(s *scene) { s.w.mailboxes[1].next = 5 }, want: "uid"},
		"UIDVALIDITY changed": {after: func(s *scene) { s.w.mailboxes[1].validity = 8 }, want: "uid"},
		"STATUS wrong":        {after: func(s *scene) { s.w.mailboxes[1].status.unseen++ }, want: "counter"},
		"bytes of STATUS wrong": {
			after: func(s *scene) { s.w.mailboxes[0].status.bytes++ }, want: "counter",
		},
		"EXISTS wrong": {after: func(s *scene) { s.w.mailboxes[1].exists++ }, want: "counter"},
		"SEARCH wrong": {after: func(s *scene) { s.w.mailboxes[1].searched-- }, want: "counter"},
		"API lacks a message": {after: func(s *scene) {
			s.overAPI("A", func(b *apiBox) { b.items = b.items[1:] })
		}, want: "counter"},
		"API shows other flags": {after: func(s *scene) {
			s.overAPI("A", func(b *apiBox) { b.items[0].flags = []string{`\answered`} })
		}, want: "counter"},
		"API in another order": {after: func(s *scene) {
			s.overAPI("A", func(b *apiBox) { slices.Reverse(b.items) })
		}, want: "counter"},
		"API gives other bytes": {after: func(s *scene) {
			s.overAPI("A", func(b *apiBox) { b.items[0].content.tail = "tail:other" })
		}, want: "corrupt"},
		"API counts wrong": {after: func(s *scene) {
			s.overAPI("A", func(b *apiBox) { b.bytes++ })
		}, want: "counter"},
		"API lacks a mailbox": {after: func(s *scene) { delete(s.w.api, alice("B")) }, want: "counter"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good()
			if c.plant != nil {
				c.plant(s)
			}
			s.finish()
			if c.after != nil {
				c.after(s)
			}
			h, checked, classes := s.judge()
			if got := strings.Join(classes, " "); got != c.want {
				t.Fatalf("classes %q, want %q: %v", got, c.want, checked.out)
			}
			r := newResult(&options{})
			r.tabulate(h, checked)
			if r.OK {
				t.Error("the report says that all is well")
			}
			if r.Total.Lost != c.lost {
				t.Errorf("the table counts %d lost, want %d", r.Total.Lost, c.lost)
			}
			if total := r.Total; total.Acknowledged != total.Present+total.Superseded+total.Lost+total.Corrupt {
				t.Errorf("the table does not add up: %+v", total)
			}
		})
	}
}

func TestWhatNobodyAcknowledgedMayBeThereOrNot(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} {
		s := good()
		s.op(evUnknown, inbound(kindSMTP, "open", "alice@demo.test", "bob@demo.test"))
		lone := appended("lone", "A", 0)
		s.op(evUnknown, lone)
		copied := changed(kindCopy, "kept", "A", 1)
		copied.To = "B"
		s.op(evUnknown, copied)
		s.op(evUnknown, changed(kindExpunge, "flagged", "A", 5))
		if there {
			s.show(alice("INBOX"), 9, "open")
			s.show(boxName{"bob", "INBOX"}, 9, "open")
			s.show(alice("A"), 9, "lone")
			s.show(alice("B"), 9, "kept", `\seen`)
			s.remove(alice("A"), 5)
		}
		s.finish()
		_, c, classes := s.judge()
		if len(classes) > 0 {
			t.Errorf("there %v: %v", there, c.out)
		}
		if want := map[bool]int{true: 2}[there]; c.surprise[kindSMTP] != want {
			t.Errorf("there %v: %d unacknowledged arrivals, want %d", there, c.surprise[kindSMTP], want)
		}
	}
}
