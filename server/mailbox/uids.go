package mailbox

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
)

// MaxUID is the highest uid that a mailbox gives out. A mailbox that has used it up refuses new mail (D-34).
const MaxUID = math.MaxInt32

// UIDRange is a range of uids, both ends included.
type UIDRange struct{ First, Last uint32 }

// UIDRanges is a set of uids. Functions of this package return it sorted, disjoint, and with neighbours joined; they accept any.
type UIDRanges []UIDRange

// UIDs makes a set of single uids.
func UIDs(uids ...uint32) UIDRanges {
	out := make(UIDRanges, 0, len(uids))
	for _, uid := range uids {
		out = append(out, UIDRange{uid, uid})
	}
	return out.Normal()
}

// AllUIDs is the set of every uid there can be.
func AllUIDs() UIDRanges { return UIDRanges{{1, MaxUID}} }

// Normal gives the set sorted, disjoint, with neighbours joined, and within 1 to MaxUID. Ranges given backwards count as meant
// (RFC 9051 §9, seq-range).
func (r UIDRanges) Normal() UIDRanges {
	out := make(UIDRanges, 0, len(r))
	for _, x := range r {
		if x.First > x.Last {
			x.First, x.Last = x.Last, x.First
		}
		x.First, x.Last = max(x.First, 1), min(x.Last, MaxUID)
		if x.First <= x.Last {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b UIDRange) int { return int(int64(a.First) - int64(b.First)) })
	return out.joined()
}

// joined merges the neighbours of a sorted set in place.
func (r UIDRanges) joined() UIDRanges {
	if len(r) == 0 {
		return r
	}
	n := 0
	for _, x := range r[1:] {
		if x.First <= r[n].Last || x.First-r[n].Last == 1 {
			r[n].Last = max(r[n].Last, x.Last)
			continue
		}
		n++
		r[n] = x
	}
	return r[:n+1]
}

// Count is the number of uids in a set that is sorted and disjoint.
func (r UIDRanges) Count() int {
	n := 0
	for _, x := range r {
		n += int(x.Last-x.First) + 1
	}
	return n
}

// Has reports whether a sorted and disjoint set holds the uid.
func (r UIDRanges) Has(uid uint32) bool {
	i, _ := slices.BinarySearchFunc(r, uid, func(x UIDRange, uid uint32) int { return int(int64(x.Last) - int64(uid)) })
	return i < len(r) && r[i].First <= uid
}

// All iterates over the uids of the set.
func (r UIDRanges) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, x := range r {
			for uid := x.First; ; uid++ {
				if !yield(uid) {
					return
				}
				if uid == x.Last {
					break
				}
			}
		}
	}
}

// bytes gives the form of mailbox_change.uids: two 4-byte big-endian numbers per range.
func (r UIDRanges) bytes() []byte {
	out := make([]byte, 0, 8*len(r))
	for _, x := range r {
		out = binary.BigEndian.AppendUint32(out, x.First)
		out = binary.BigEndian.AppendUint32(out, x.Last)
	}
	return out
}

// parseUIDs reads mailbox_change.uids.
func parseUIDs(b []byte) (UIDRanges, error) {
	if len(b)%8 != 0 {
		return nil, fmt.Errorf("a list of uid ranges has %d bytes", len(b))
	}
	out := make(UIDRanges, 0, len(b)/8)
	for ; len(b) > 0; b = b[8:] {
		out = append(out, UIDRange{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])})
	}
	return out.Normal(), nil
}

// adder builds a set from uids that come in ascending order.
type adder struct{ set UIDRanges }

func (a *adder) add(uid uint32) {
	if n := len(a.set); n > 0 && a.set[n-1].Last+1 == uid {
		a.set[n-1].Last = uid
		return
	}
	a.set = append(a.set, UIDRange{uid, uid})
}
