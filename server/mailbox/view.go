package mailbox

import (
	"iter"
	"slices"
	"sort"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// blockSize is how many messages share a block. A change copies the blocks that it touches and shares the others.
const blockSize = 1024

// Entry is one message of a mailbox: 24 bytes.
type Entry struct {
	UID     uint32
	Flags   mail.FlagSet
	ModSeq  uint64
	Message int64 // key of the message row
}

// View is the list of messages of a mailbox at one moment, in the order of their uids. It never changes: a newer state is
// another View, which shares the blocks that are equal. Any number of sessions may read one at the same time.
type View struct {
	key      int64
	validity uint32
	next     uint32
	modseq   uint64
	keywords []string
	blocks   []*block
	starts   []int // starts[i] is the index of the first message of blocks[i]; one more at the end
	unseen   int
	deleted  int
}

// block is a run of messages. Only the view that is being built may change one.
type block struct {
	entries []Entry
	unseen  int
	deleted int
}

func (b *block) count() {
	b.unseen, b.deleted = 0, 0
	for i := range b.entries {
		if !b.entries[i].Flags.Has(mail.SeenBit) {
			b.unseen++
		}
		if b.entries[i].Flags.Has(mail.DeletedBit) {
			b.deleted++
		}
	}
}

// head is what a view knows besides its messages.
type head struct {
	key      int64
	validity uint32
	next     uint32
	modseq   uint64
	keywords []string
}

// newView makes a view of entries in ascending order of uid. It takes the slice over.
func newView(h head, entries []Entry) *View {
	blocks := make([]*block, 0, len(entries)/blockSize+1)
	for part := range slices.Chunk(entries, blockSize) {
		b := &block{entries: slices.Clip(part)}
		b.count()
		blocks = append(blocks, b)
	}
	return assemble(h, blocks)
}

func assemble(h head, blocks []*block) *View {
	v := &View{
		key: h.key, validity: h.validity, next: h.next, modseq: h.modseq, keywords: h.keywords,
		blocks: blocks, starts: make([]int, 1, len(blocks)+1),
	}
	n := 0
	for _, b := range blocks {
		n += len(b.entries)
		v.starts = append(v.starts, n)
		v.unseen += b.unseen
		v.deleted += b.deleted
	}
	return v
}

func (v *View) head() head {
	return head{key: v.key, validity: v.validity, next: v.next, modseq: v.modseq, keywords: v.keywords}
}

// Mailbox is the key of the mailbox.
func (v *View) Mailbox() int64 { return v.key }

// UIDValidity is the mailbox's UIDVALIDITY.
func (v *View) UIDValidity() uint32 { return v.validity }

// UIDNext is the lowest uid that no message has or had.
func (v *View) UIDNext() uint32 { return v.next }

// ModSeq is the highest mod-sequence of the mailbox (RFC 7162 §3.1.2.1).
func (v *View) ModSeq() uint64 { return v.modseq }

// Keywords names the flag bits from mail.FirstKeyword on. The slice must not be changed.
func (v *View) Keywords() []string { return v.keywords }

// Len is the number of messages.
func (v *View) Len() int { return v.starts[len(v.blocks)] }

// Unseen is the number of messages without \Seen.
func (v *View) Unseen() int { return v.unseen }

// Deleted is the number of messages with \Deleted.
func (v *View) Deleted() int { return v.deleted }

// At gives the message at index i, 0 to Len()-1: the one with sequence number i+1.
func (v *View) At(i int) Entry {
	b := v.blockAt(i)
	return v.blocks[b].entries[i-v.starts[b]]
}

// blockAt is the place of the block that holds index i.
func (v *View) blockAt(i int) int { return sort.SearchInts(v.starts, i+1) - 1 }

// Index is the index of the first message whose uid is at least uid; Len() if there is none.
func (v *View) Index(uid uint32) int {
	b := sort.Search(len(v.blocks), func(i int) bool { return v.blocks[i].last() >= uid })
	if b == len(v.blocks) {
		return v.Len()
	}
	return v.starts[b] + v.blocks[b].index(uid)
}

// Find gives the index of the message with this uid.
func (v *View) Find(uid uint32) (i int, ok bool) {
	i = v.Index(uid)
	return i, i < v.Len() && v.At(i).UID == uid
}

// FirstUnseen is the index of the first message without \Seen.
func (v *View) FirstUnseen() (i int, ok bool) {
	for n, b := range v.blocks {
		if b.unseen == 0 {
			continue
		}
		for j := range b.entries {
			if !b.entries[j].Flags.Has(mail.SeenBit) {
				return v.starts[n] + j, true
			}
		}
	}
	return 0, false
}

// From iterates over the messages from index i on, with their indexes.
func (v *View) From(i int) iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		if i < 0 || i >= v.Len() {
			return
		}
		for n := v.blockAt(i); n < len(v.blocks); n++ {
			entries := v.blocks[n].entries
			for j := max(0, i-v.starts[n]); j < len(entries); j++ {
				if !yield(v.starts[n]+j, entries[j]) {
					return
				}
			}
		}
	}
}

// In iterates over the messages whose uids are in the set, with their indexes. The set must be sorted and disjoint.
func (v *View) In(uids UIDRanges) iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		for _, r := range uids {
			for i, e := range v.From(v.Index(r.First)) {
				if e.UID > r.Last {
					break
				}
				if !yield(i, e) {
					return
				}
			}
		}
	}
}

func (b *block) first() uint32 { return b.entries[0].UID }
func (b *block) last() uint32  { return b.entries[len(b.entries)-1].UID }

// index is the place of the first entry whose uid is at least uid.
func (b *block) index(uid uint32) int {
	return sort.Search(len(b.entries), func(i int) bool { return b.entries[i].UID >= uid })
}
