package main

import (
	"cmp"
	"maps"
	"slices"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// given is a UID that a mailbox gave to a message between two entries of the ledger, or a UIDNEXT that it announced: then uid
// is the one below.
type given struct {
	begin, end int64
	uid        uint32
	id         string
}

// uids checks that UIDs ascend in the order of arrival, are never given twice, and that UIDVALIDITY stays (RFC 9051 §2.3.1.1).
func (c *checker) uids() {
	for _, at := range c.h.reused {
		c.say(classUID, "%s uid %d was given twice", at.box, at.uid)
	}
	all := map[boxName][]given{}
	validity := map[boxName]uint32{}
	for _, op := range c.h.ops {
		if op.outcome != evAck {
			continue
		}
		box, g := boxName{op.Account, op.To}, given{op.N, op.end, op.ToUID, op.ID}
		if op.Kind == kindSelect {
			box, g = boxName{op.Account, op.Mailbox}, given{op.N, op.end, op.Next - 1, ""}
			if op.Next == 0 {
				c.say(classUID, "SELECT of %s gave no UIDNEXT", box)
				continue
			}
		}
		if op.Validity != 0 {
			c.sameValidity(validity, box, op.Validity)
		}
		if g.uid != 0 || g.id == "" {
			all[box] = append(all[box], g)
		}
	}
	c.arrivalUIDs(all)
	for _, b := range c.w.mailboxes {
		c.sameValidity(validity, b.boxName, b.validity)
	}
	for box, list := range all {
		c.ascending(box, list)
	}
	c.announced(all)
}

func (c *checker) sameValidity(known map[boxName]uint32, box boxName, v uint32) {
	if before, ok := known[box]; ok && before != v {
		c.say(classUID, "%s: UIDVALIDITY was %d and is %d", box, before, v)
	}
	known[box] = v
}

// arrivalUIDs adds letters that came over port 25 once: they were filed between their intent and their reply.
func (c *checker) arrivalUIDs(all map[boxName][]given) {
	where := map[claimKey][]place{}
	for _, s := range c.h.order {
		if s.made == nil {
			k := claimKey{s.box.account, s.id}
			where[k] = append(where[k], s.place)
		}
	}
	for i := range c.w.messages {
		if m := &c.w.messages[i]; m.box.mailbox == "INBOX" && !c.used[m] {
			k := claimKey{m.box.account, m.id}
			where[k] = append(where[k], m.place)
		}
	}
	for _, op := range c.h.ops {
		if op.Kind != kindSMTP || op.outcome != evAck || c.h.mailings[op.ID].arrival.unknown > 0 {
			continue
		}
		for _, to := range op.Recipients {
			if places := where[claimKey{account(to), op.ID}]; len(places) == 1 {
				all[places[0].box] = append(all[places[0].box], given{op.N, op.end, places[0].uid, op.ID})
			}
		}
	}
}

// ascending: what was given after another one had been acknowledged is higher.
func (c *checker) ascending(box boxName, list []given) {
	byEnd := slices.Clone(list)
	slices.SortFunc(byEnd, func(a, b given) int { return cmp.Compare(a.end, b.end) })
	slices.SortFunc(list, func(a, b given) int { return cmp.Compare(a.begin, b.begin) })
	var high given
	next := 0
	for _, g := range list {
		for next < len(byEnd) && byEnd[next].end < g.begin {
			if byEnd[next].uid > high.uid {
				high = byEnd[next]
			}
			next++
		}
		if g.uid < high.uid || g.uid == high.uid && g.id != "" {
			c.say(classUID, "%s: uid %d of %q (entry %d) came after uid %d of %q (entry %d)", box, g.uid, g.id, g.end, high.uid, high.id, high.end)
		}
	}
}

// announced: UIDNEXT at the end is above everything that was ever given, and every message lies below it.
func (c *checker) announced(all map[boxName][]given) {
	for _, b := range c.w.mailboxes {
		for _, g := range all[b.boxName] {
			if g.uid >= b.next {
				c.say(classUID, "%s: UIDNEXT is %d and uid %d was given before", b.boxName, b.next, g.uid)
			}
		}
	}
	next := map[boxName]uint32{}
	for _, b := range c.w.mailboxes {
		next[b.boxName] = b.next
	}
	for i := range c.w.messages {
		if m := &c.w.messages[i]; m.uid >= next[m.box] {
			c.say(classUID, "%s: UIDNEXT is %d and uid %d is there", m.box, next[m.box], m.uid)
		}
	}
}

// counters holds what a mailbox says of itself against what FETCH shows.
func (c *checker) counters() {
	for _, b := range c.w.mailboxes {
		if b.status != b.fetched {
			c.say(classCounter, "%s: STATUS says %+v and FETCH shows %+v", b.boxName, b.status, b.fetched)
		}
		if int64(b.exists) != b.fetched.messages || int64(b.searched) != b.fetched.messages {
			c.say(classCounter, "%s: EXISTS is %d, SEARCH ALL finds %d, FETCH shows %d", b.boxName, b.exists, b.searched, b.fetched.messages)
		}
		c.overAPI(b)
	}
}

// overAPI compares what the API shows of a mailbox with what IMAP shows: the figures, and the messages in their order.
func (c *checker) overAPI(b mailboxState) {
	a, ok := c.w.api[b.boxName]
	if !ok {
		c.say(classCounter, "%s: the API does not show this mailbox", b.boxName)
		return
	}
	if got := (counters{a.messages, a.unseen, a.bytes}); got != b.fetched {
		c.say(classCounter, "%s: the API says %+v and FETCH shows %+v", b.boxName, got, b.fetched)
	}
	var list []*message
	for at, m := range c.at {
		if at.box == b.boxName {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(x, y *message) int { return cmp.Compare(y.uid, x.uid) })
	if len(list) != len(a.items) {
		c.say(classCounter, "%s: the API lists %d messages, IMAP shows %d", b.boxName, len(a.items), len(list))
		return
	}
	for i, m := range list {
		c.item(m, a.items[i])
	}
}

func (c *checker) item(m *message, item apiItem) {
	shown := m.id
	if m.notice != nil {
		shown = m.notice.subject
	}
	switch {
	case item.id != shown:
		c.say(classCounter, "%s: where IMAP shows uid %d with %s, the API lists %s", m.box, m.uid, shown, item.id)
	case item.size != m.size || !sameFlags(item.flags, m.flags):
		c.say(classCounter, "%s uid %d: the API says %d bytes and %v, IMAP %d and %v", m.box, m.uid, item.size, item.flags, m.size, m.flags)
	case item.sampled && item.content != m.content:
		c.corrupt(m.id, m.box.account, "%s uid %d: the API gives other bytes of %s than IMAP", m.box, m.uid, m.id)
	}
}

// disk counts the files: every message that IMAP shows has one with its bytes in the account's folder, every file is whole and
// holds what some client sent. More files than messages are no fault: a kill between the file and its row leaves one (D-22), and
// the file of a removed message stays for some minutes (D-25).
func (c *checker) disk() {
	have := map[claimKey]int{}
	for _, f := range c.w.files {
		sum, known := c.h.sums[f.id]
		switch {
		case !f.whole:
			c.say(classCorrupt, "file %s of %s has another size than its name says", f.name, f.account)
		case !known && !f.isNotice():
			c.say(classPhantom, "file %s of %s holds %q, which no client sent", f.name, f.account, f.id)
		case known && !f.holds(sum):
			c.say(classCorrupt, "file %s of %s: %s has other bytes than were sent", f.name, f.account, f.id)
		default:
			have[claimKey{f.account, f.id}]++
		}
	}
	missing := map[claimKey]bool{}
	for i := range c.w.messages {
		m := &c.w.messages[i]
		k := claimKey{m.box.account, m.id}
		if _, known := c.h.sums[m.id]; (known || m.isNotice()) && have[k] == 0 && !missing[k] {
			missing[k] = true
			c.say(classLost, "%s uid %d: no file of %s holds %s", m.box, m.uid, m.box.account, m.id)
		}
	}
}
