package main

import (
	"fmt"
	"slices"
	"time"
)

// The classes of what can be wrong.
const (
	classLost       = "lost"       // acknowledged and not there
	classCorrupt    = "corrupt"    // there with other bytes
	classDuplicate  = "duplicate"  // there more often than any broken connection explains
	classUndone     = "undone"     // an acknowledged change of flags, or a removal, is not in effect
	classPhantom    = "phantom"    // there although the server refused it, or before it was sent whole, or never sent by us
	classUID        = "uid"        // UIDs out of order, reused, or UIDVALIDITY changed
	classCounter    = "counter"    // STATUS, SEARCH or the API disagree with FETCH
	classTorn       = "torn"       // a letter reached one of its recipients and not the other
	classUnsettled  = "unsettled"  // an acknowledged email has no final result
	classPermanent  = "permanent"  // a valid letter was refused for good, by us or in the name of a server that takes it
	classReply      = "reply"      // a no that clients must not be told, or one to something that has to work
	classCut        = "cut"        // a stop cut off a letter that it should have let finish
	classUntold     = "untold"     // a bounce of which the sender was not told
	classInternal   = "internal"   // the checker could not do its work
	classUnverified = "unverified" // verify was not clean
	classFew        = "few"        // too little was acknowledged to prove anything
	classSlow       = "slow"       // not ready, not stopped or not sending again in time
)

// violation is one broken promise.
type violation struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

// checker compares the history with the world.
type checker struct {
	h   *history
	w   *world
	d   *deeds
	out []violation

	at       map[place]*message
	used     map[*message]bool
	accounts map[claimKey][]*message // unused messages by account and id
	// allowed counts second copies of letters whose client saw a broken connection, surprise those whose only attempt did.
	allowed, surprise map[string]int // by kind

	// underway are the operations that a SIGTERM met, by the way they came.
	underway map[string]underway

	taken map[route][]*farCopy
	told  map[route]int // how many notices
	sent  sentTable
	// latest is the longest time from a reply to the kill that explains its second copy.
	latest time.Duration
}

// check gives every violation and fills the fates of the acknowledged operations.
func check(h *history, w *world, d *deeds) *checker {
	c := &checker{
		h: h, w: w, d: d, at: map[place]*message{}, used: map[*message]bool{}, accounts: map[claimKey][]*message{},
		allowed: map[string]int{}, surprise: map[string]int{}, taken: map[route][]*farCopy{}, told: map[route]int{}, sent: newSentTable(),
		underway: map[string]underway{},
	}
	for i := range w.messages {
		m := &w.messages[i]
		if c.at[m.place] != nil {
			c.say(classUID, "%s shows uid %d twice", m.box, m.uid)
		}
		c.at[m.place] = m
	}
	c.contents()
	for _, s := range h.order {
		c.copy(s)
	}
	c.group()
	c.moves()
	c.rest()
	c.outside()
	c.refusals()
	c.stops()
	c.uids()
	c.counters()
	c.disk()
	return c
}

func (b boxName) String() string { return b.account + "/" + b.mailbox }

func (c *checker) say(class, format string, args ...any) {
	c.out = append(c.out, violation{class, fmt.Sprintf(format, args...)})
}

// contents holds every message that the server shows against the sum of what was sent.
func (c *checker) contents() {
	for i := range c.w.messages {
		m := &c.w.messages[i]
		sum, known := c.h.sums[m.id]
		switch {
		case m.notice != nil: // see notices
		case !known:
			c.say(classPhantom, "%s uid %d: no client sent a message %q", m.box, m.uid, m.id)
		case !m.holds(sum):
			c.corrupt(m.id, m.box.account, "%s uid %d: %s has other bytes than were sent", m.box, m.uid, m.id)
		case m.size != m.bytes:
			c.corrupt(m.id, m.box.account, "%s uid %d: RFC822.SIZE is %d and %d bytes came", m.box, m.uid, m.size, m.bytes)
		}
	}
}

// corrupt says so and marks the operations that sent the message.
func (c *checker) corrupt(id, account, format string, args ...any) {
	c.say(classCorrupt, format, args...)
	for op, f := range c.h.fates {
		if op.ID == id && op.Sum != "" && (op.Account == "" || op.Account == account) {
			f.corrupt = true
		}
	}
}

// copy checks one message whose place the ledger knows.
func (c *checker) copy(s *copyState) {
	m := c.at[s.place]
	if m != nil && m.id != s.id {
		c.say(classUID, "%s uid %d was given to %s and now shows %s", s.box, s.uid, s.id, m.id)
		m = nil
	}
	if m != nil {
		c.used[m] = true
	}
	switch {
	case s.gone && m != nil:
		c.undone(s, "%s uid %d: %s is there again after an acknowledged removal", s.box, s.uid, s.id)
	case s.gone || m == nil && s.doubt:
		supersede(s.made)
		supersede(s.flagged)
	case m == nil:
		c.lose(s)
	case !slices.ContainsFunc(s.flags, func(want []string) bool { return sameFlags(want, m.flags) }):
		c.say(classUndone, "%s uid %d: %s has the flags %v, acknowledged were %v", s.box, s.uid, s.id, m.flags, s.flags)
		mark(s.flagged, s.made)
	}
}

func (c *checker) undone(s *copyState, format string, args ...any) {
	c.say(classUndone, format, args...)
	mark(s.removed)
}

// lose reports a message that is not there, once.
func (c *checker) lose(s *copyState) {
	by := "seen by an IMAP client"
	if s.made != nil {
		by = fmt.Sprintf("%s acknowledged by entry %d", s.made.op.Kind, s.made.op.end)
	}
	c.say(classLost, "%s uid %d: %s is not there (%s)", s.box, s.uid, s.id, by)
	supersede(s.flagged)
	c.markCopy(s)
}

// markCopy notes the loss of a message with the operation that put it there.
func (c *checker) markCopy(s *copyState) {
	if s.made != nil {
		s.made.superseded = false
		mark(s.made)
	} else if m := c.h.mailings[s.id]; m != nil {
		mark(m.fates...)
	}
}

// mark notes the loss with the first operation that is known.
func mark(fates ...*fate) {
	for _, f := range fates {
		if f != nil {
			f.lost = true
			return
		}
	}
}

// group sorts the messages that no known place explains.
func (c *checker) group() {
	for i := range c.w.messages {
		m := &c.w.messages[i]
		if _, known := c.h.sums[m.id]; known && !c.used[m] { // the others were reported by contents
			k := claimKey{m.box.account, m.id}
			c.accounts[k] = append(c.accounts[k], m)
		}
	}
}

// take removes and gives up to most unexplained messages of an id from a mailbox.
func (c *checker) take(box boxName, id string, most int) int {
	k := claimKey{box.account, id}
	taken := 0
	c.accounts[k] = slices.DeleteFunc(c.accounts[k], func(m *message) bool {
		if taken == most || m.box != box {
			return false
		}
		taken++
		return true
	})
	return taken
}

// moves settles what has no known UID. Moves come first: their message must be in one of two places.
func (c *checker) moves() {
	for _, l := range c.h.loose {
		if l.from != nil && c.at[l.from.place] == nil && c.take(l.box, l.id, 1) == 0 {
			c.say(classLost, "%s: %s is neither in %s nor in %s after a move with an unknown outcome", l.from.box, l.id, l.from.box.mailbox, l.box.mailbox)
			c.markCopy(l.from)
		}
	}
	for _, l := range c.h.loose {
		if l.from != nil {
			continue
		}
		if got := c.take(l.box, l.id, l.max); got < l.min {
			c.say(classLost, "%s: %s is not there (%s acknowledged by entry %d)", l.box, l.id, l.op.op.Kind, l.op.op.end)
			mark(l.op)
		}
	}
}

// rest holds arrivals against their recipients; what is left then has no explanation.
func (c *checker) rest() {
	for _, id := range sortedKeys(c.h.mailings) {
		m := c.h.mailings[id]
		counts := map[string]int{}
		for _, to := range m.recipients {
			if name := account(to); name != "" {
				counts[name] = c.arrived(m, name)
			}
		}
		c.torn(m, counts)
	}
	for _, list := range c.accounts {
		for _, m := range list {
			c.say(classDuplicate, "%s uid %d: one %s too many", m.box, m.uid, m.id)
		}
	}
}

// arrived checks one recipient and gives how many arrived.
func (c *checker) arrived(m *mailing, name string) int {
	claimed := c.h.claims[claimKey{name, m.id}]
	got := claimed + c.take(boxName{name, "INBOX"}, m.id, len(c.w.messages))
	most, least := m.arrival.most(m.keyed), m.arrival.least()
	switch {
	case got < least:
		c.say(classLost, "%s: %s was acknowledged over %s and did not arrive", name, m.id, m.kind)
		mark(m.fates...)
	case got > most && most == 0:
		c.say(classPhantom, "%s: %s arrived %d times although no attempt over %s can have been accepted", name, m.id, got, m.kind)
	case got > most:
		c.say(classDuplicate, "%s: %s arrived %d times over %s, %d can be explained", name, m.id, got, m.kind, most)
	case got > 1:
		c.allowed[m.kind] += got - 1
	}
	if got > 0 && m.arrival.acked == 0 {
		c.surprise[m.kind]++
	}
	return got
}

// torn holds against each other the recipients of one letter, who get it in one step (D-2) or after one acceptance.
func (c *checker) torn(m *mailing, counts map[string]int) {
	names := sortedKeys(counts)
	for _, name := range names {
		if counts[name] != counts[names[0]] {
			c.say(classTorn, "%s over %s: %d for %s and %d for %s", m.id, m.kind, counts[names[0]], names[0], counts[name], name)
			return
		}
	}
}
