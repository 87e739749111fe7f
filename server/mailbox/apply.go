package mailbox

import (
	"slices"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// The kinds of a change. The values are stored.
const (
	changeFlags   = 1
	changeExpunge = 2
)

// change is a row of mailbox_change: what one command did to messages that were there.
type change struct {
	modseq uint64
	kind   int
	uids   UIDRanges // sorted and disjoint
	add    mail.FlagSet
	del    mail.FlagSet
}

// apply gives the view after the changes, in the order of their modseq, and after the arrival of the added messages, all of
// which have uids from v.UIDNext() on. A change that touches a message without altering it leaves its modseq alone, as the SQL
// of the command did, so that replaying the log gives exactly the rows of the database.
func (v *View) apply(h head, changes []change, added []Entry) *View {
	e := editor{blocks: slices.Clone(v.blocks), owned: make([]bool, len(v.blocks))}
	for _, c := range changes {
		e.change(c)
	}
	e.add(added)
	return assemble(h, e.blocks)
}

// editor builds the blocks of a new view. Blocks that are not owned belong to older views too.
type editor struct {
	blocks []*block
	owned  []bool
}

func (e *editor) change(c change) {
	uids := c.uids
	emptied := false
	for i, b := range e.blocks {
		for len(uids) > 0 && uids[0].Last < b.first() {
			uids = uids[1:]
		}
		if len(uids) == 0 {
			break
		}
		if uids[0].First > b.last() {
			continue
		}
		if c.kind == changeExpunge {
			e.expunge(i, uids)
			emptied = emptied || len(e.blocks[i].entries) == 0
		} else {
			e.flags(i, uids, c)
		}
	}
	if emptied {
		e.dropEmpty()
	}
}

// own makes block i changeable.
func (e *editor) own(i int) *block {
	if !e.owned[i] {
		old := e.blocks[i]
		e.blocks[i] = &block{entries: slices.Clone(old.entries), unseen: old.unseen, deleted: old.deleted}
		e.owned[i] = true
	}
	return e.blocks[i]
}

func (e *editor) flags(i int, uids UIDRanges, c change) {
	changed := false
	for _, r := range uids {
		b := e.blocks[i]
		if r.First > b.last() {
			break
		}
		for j := b.index(r.First); j < len(b.entries) && b.entries[j].UID <= r.Last; j++ {
			have := b.entries[j].Flags
			want := have&^c.del | c.add
			if want == have {
				continue
			}
			b = e.own(i)
			b.entries[j].Flags, b.entries[j].ModSeq = want, c.modseq
			changed = true
		}
	}
	if changed {
		e.blocks[i].count()
	}
}

func (e *editor) expunge(i int, uids UIDRanges) {
	gone := func(x Entry) bool {
		for len(uids) > 0 && uids[0].Last < x.UID {
			uids = uids[1:]
		}
		return len(uids) > 0 && uids[0].First <= x.UID
	}
	b := e.own(i)
	kept := slices.DeleteFunc(b.entries, gone)
	if len(kept) < len(b.entries) {
		b.entries = kept
		b.count()
	}
}

func (e *editor) dropEmpty() {
	n := 0
	for i, b := range e.blocks {
		if len(b.entries) > 0 {
			e.blocks[n], e.owned[n] = b, e.owned[i]
			n++
		}
	}
	e.blocks, e.owned = e.blocks[:n], e.owned[:n]
}

// add appends messages, filling the last block first.
func (e *editor) add(added []Entry) {
	if n := len(e.blocks); n > 0 && len(added) > 0 {
		last := e.blocks[n-1]
		if room := min(blockSize-len(last.entries), len(added)); room > 0 {
			grown := &block{entries: append(slices.Clip(last.entries), added[:room]...)}
			grown.count()
			e.blocks[n-1] = grown
			added = added[room:]
		}
	}
	for part := range slices.Chunk(added, blockSize) {
		b := &block{entries: slices.Clone(part)}
		b.count()
		e.blocks = append(e.blocks, b)
		e.owned = append(e.owned, true)
	}
	e.compact()
}

// compact rebuilds a list of blocks that expunges have made much too long.
func (e *editor) compact() {
	total := 0
	for _, b := range e.blocks {
		total += len(b.entries)
	}
	if len(e.blocks) <= 4*(total/blockSize)+8 {
		return
	}
	all := make([]Entry, 0, total)
	for _, b := range e.blocks {
		all = append(all, b.entries...)
	}
	e.blocks = newView(head{}, all).blocks
}
