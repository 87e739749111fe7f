package mailbox

// Diff says what a session that knows the older of two views of a mailbox has to be told.
type Diff struct {
	// Expunged are the messages that are gone, in ascending order.
	Expunged []Gone
	// Changed are the indexes, in the newer view, of messages that both views have and whose flags or modseq differ.
	Changed []int
	// First is the index, in the newer view, of the first message that the older one does not have; the newer view's length
	// if there is none.
	First int
}

// Gone is a message that was expunged: its index in the older view, and its uid.
type Gone struct {
	Index int
	UID   uint32
}

// Compare gives the difference between two views of one mailbox. Blocks that the views share are not looked at, so that the
// cost is that of the change. The views may come from different loads.
func Compare(older, newer *View) Diff {
	d := Diff{First: newer.Index(older.next)}
	a, b := cursor{v: older}, cursor{v: newer}
	for {
		for skipShared(&a, &b) {
		}
		x, okX := a.entry()
		y, okY := b.entry()
		if okY && y.UID >= older.next {
			okY = false
		}
		switch {
		case !okX && !okY:
			return d
		case okX && (!okY || x.UID < y.UID):
			d.Expunged = append(d.Expunged, Gone{Index: a.index(), UID: x.UID})
			a.step()
		case okX && x.UID == y.UID:
			if x.Flags != y.Flags || x.ModSeq != y.ModSeq {
				d.Changed = append(d.Changed, b.index())
			}
			a.step()
			b.step()
		default:
			b.step() // below the older view's UIDNEXT and unknown to it: cannot be, and must not stop us
		}
	}
}

// Hold gives the newer view with the messages kept that the older one has and the newer one no longer has. A session answers
// with it while it may not tell of expunges (RFC 9051 §7.5.1, D-36): numbers do not shift, flags and arrivals are current.
// Compare(held, newer) later gives the expunges that were held back.
func Hold(older, newer *View) *View {
	if len(Compare(older, newer).Expunged) == 0 {
		return newer
	}
	var blocks []*block
	var run []Entry
	flush := func() {
		if len(run) > 0 {
			blocks = append(blocks, newView(head{}, run).blocks...)
			run = nil
		}
	}
	a, b := cursor{v: older}, cursor{v: newer}
	for {
		x, okX := a.entry()
		y, okY := b.entry()
		switch {
		case !okX && !okY:
			flush()
			return assemble(newer.head(), blocks)
		case okX && okY && a.atStart() && b.atStart() && a.current() == b.current():
			flush()
			blocks = append(blocks, a.current())
			a.skip()
			b.skip()
		case okX && (!okY || x.UID < y.UID):
			run = append(run, x)
			a.step()
		case okX && x.UID == y.UID:
			run = append(run, y)
			a.step()
			b.step()
		default:
			run = append(run, y)
			b.step()
		}
	}
}

// cursor walks a view entry by entry or block by block.
type cursor struct {
	v     *View
	block int
	i     int // in the block
}

func (c *cursor) entry() (Entry, bool) {
	if c.block == len(c.v.blocks) {
		return Entry{}, false
	}
	return c.v.blocks[c.block].entries[c.i], true
}

func (c *cursor) index() int      { return c.v.starts[c.block] + c.i }
func (c *cursor) atStart() bool   { return c.i == 0 }
func (c *cursor) current() *block { return c.v.blocks[c.block] }

func (c *cursor) step() {
	if c.i++; c.i == len(c.v.blocks[c.block].entries) {
		c.skip()
	}
}

func (c *cursor) skip() { c.block, c.i = c.block+1, 0 }

// skipShared steps over a block that both cursors are about to read.
func skipShared(a, b *cursor) bool {
	if a.block == len(a.v.blocks) || b.block == len(b.v.blocks) || !a.atStart() || !b.atStart() || a.current() != b.current() {
		return false
	}
	a.skip()
	b.skip()
	return true
}
