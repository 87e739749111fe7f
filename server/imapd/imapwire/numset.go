package imapwire

import (
	"cmp"
	"math"
	"slices"

	"github.com/emersion/go-imap/v2"
)

// numRange is start:stop with start <= stop. A stop of 0 is "*", and 0:0 is "*" alone, as in go-imap.
type numRange struct {
	start, stop uint32
}

// ParseUIDSet reads a set like "1:3,7,9:*". It is kept as ranges, sorted and merged, and never expanded.
func ParseUIDSet(text string) (imap.UIDSet, bool) {
	ranges, ok := parseRanges([]byte(text))
	if !ok {
		return nil, false
	}
	return uidSet(ranges), true
}

// ParseSeqSet is ParseUIDSet for sequence numbers.
func ParseSeqSet(text string) (imap.SeqSet, bool) {
	ranges, ok := parseRanges([]byte(text))
	if !ok {
		return nil, false
	}
	return seqSet(ranges), true
}

func uidSet(ranges []numRange) imap.UIDSet {
	set := make(imap.UIDSet, len(ranges))
	for i, r := range ranges {
		set[i] = imap.UIDRange{Start: imap.UID(r.start), Stop: imap.UID(r.stop)}
	}
	return set
}

func seqSet(ranges []numRange) imap.SeqSet {
	set := make(imap.SeqSet, len(ranges))
	for i, r := range ranges {
		set[i] = imap.SeqRange{Start: r.start, Stop: r.stop}
	}
	return set
}

// numSet reads a set of sequence numbers, or of UIDs, or the marker of the last search result (RFC 5182).
func (p *parser) numSet(uid bool) imap.NumSet {
	if p.accept('$') {
		return imap.SearchRes()
	}
	ranges, ok := parseRanges(p.take(isSetChar))
	if !ok {
		p.bad("Bad message set")
		return nil
	}
	if uid {
		return uidSet(ranges)
	}
	return seqSet(ranges)
}

func isSetChar(c byte) bool { return isDigit(c) || c == ':' || c == ',' || c == '*' }

func parseRanges(b []byte) ([]numRange, bool) {
	ranges := make([]numRange, 0, 4)
	for {
		start, rest, ok := parseSetNum(b)
		if !ok {
			return nil, false
		}
		stop := start
		if len(rest) > 0 && rest[0] == ':' {
			if stop, rest, ok = parseSetNum(rest[1:]); !ok {
				return nil, false
			}
		}
		ranges = append(ranges, newRange(start, stop))
		if len(rest) == 0 {
			return mergeRanges(ranges), true
		}
		if rest[0] != ',' {
			return nil, false
		}
		b = rest[1:]
	}
}

// parseSetNum reads an nz-number, or "*" as 0.
func parseSetNum(b []byte) (n uint32, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '*' {
		return 0, b[1:], true
	}
	digits := span(b, isDigit)
	v := saturate(b[:digits])
	if digits == 0 || b[0] == '0' || v > math.MaxUint32 {
		return 0, nil, false
	}
	return uint32(v), b[digits:], true
}

func newRange(a, b uint32) numRange {
	if b != 0 && (a > b || a == 0) {
		a, b = b, a
	}
	return numRange{start: a, stop: b}
}

// mergeRanges sorts the ranges and joins those that touch. "n:*" takes in what it touches: which messages it stands for does not
// change by that, since it always holds the last one.
func mergeRanges(ranges []numRange) []numRange {
	slices.SortFunc(ranges, func(a, b numRange) int { return cmp.Compare(last(a.start), last(b.start)) })
	out := ranges[:1]
	for _, r := range ranges[1:] {
		top := &out[len(out)-1]
		switch {
		case last(top.stop) == math.MaxUint64:
			// holds everything behind its start
		case last(r.start) > last(top.stop)+1:
			out = append(out, r)
		case last(r.stop) > last(top.stop):
			top.stop = r.stop
		}
	}
	return out
}

// last makes "*" the largest number.
func last(n uint32) uint64 {
	if n == 0 {
		return math.MaxUint64
	}
	return uint64(n)
}
