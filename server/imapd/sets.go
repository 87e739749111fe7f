package imapd

import (
	"iter"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// span is a run of messages by their places in the session's view, the last one not included.
type span struct{ from, to int }

// spans are sorted and disjoint.
type spans []span

// all iterates over the messages of the spans, with their places.
func (s spans) all(view *mailbox.View) iter.Seq2[int, mailbox.Entry] {
	return func(yield func(int, mailbox.Entry) bool) {
		for _, run := range s {
			for i, e := range view.From(run.from) {
				if i >= run.to {
					break
				}
				if !yield(i, e) {
					return
				}
			}
		}
	}
}

func (s spans) count() int {
	n := 0
	for _, run := range s {
		n += run.to - run.from
	}
	return n
}

// uids gives the UIDs of the spans as ranges from the first to the last of each. Between two neighbours of a view no message can
// ever appear, so the ranges hold no other.
func (s spans) uids(view *mailbox.View) mailbox.UIDRanges {
	out := make(mailbox.UIDRanges, 0, len(s))
	for _, run := range s {
		out = append(out, mailbox.UIDRange{First: view.At(run.from).UID, Last: view.At(run.to - 1).UID})
	}
	return out
}

// messages finds the messages of a set in the session's view. ok is false for a sequence number that does not exist
// (RFC 9051 §9, seq-number); UIDs that do not exist are passed over (§6.4.9).
func (s *selected) messages(set imap.NumSet) (found spans, ok bool) {
	if imap.IsSearchRes(set) {
		return s.rangesOf(s.saved), true
	}
	switch set := set.(type) {
	case imap.SeqSet:
		return s.numbered(set)
	case imap.UIDSet:
		ranges := make(mailbox.UIDRanges, 0, len(set))
		for _, r := range set {
			ranges = append(ranges, s.uidRange(r))
		}
		return s.rangesOf(ranges.Normal()), true
	}
	return nil, false
}

func (s *selected) numbered(set imap.SeqSet) (spans, bool) {
	n := uint32(s.view.Len())
	ranges := make(mailbox.UIDRanges, 0, len(set))
	for _, r := range set {
		first, last := star(r.Start, n), star(r.Stop, n)
		first, last = min(first, last), max(first, last)
		if first == 0 || last > n {
			return nil, false
		}
		ranges = append(ranges, mailbox.UIDRange{First: first, Last: last})
	}
	ranges = ranges.Normal()
	out := make(spans, len(ranges))
	for i, r := range ranges {
		out[i] = span{int(r.First) - 1, int(r.Last)}
	}
	return out, true
}

// star replaces "*", which is the number of the last message.
func star(n, last uint32) uint32 {
	if n == 0 {
		return last
	}
	return n
}

// uidRange replaces "*" by the highest UID of the view, so that "n:*" holds at least the last message.
func (s *selected) uidRange(r imap.UIDRange) mailbox.UIDRange {
	var last uint32
	if n := s.view.Len(); n > 0 {
		last = s.view.At(n - 1).UID
	}
	return mailbox.UIDRange{First: star(uint32(r.Start), last), Last: star(uint32(r.Stop), last)}
}

// rangesOf finds the messages of UID ranges that are sorted and disjoint.
func (s *selected) rangesOf(ranges mailbox.UIDRanges) spans {
	var out spans
	for _, r := range ranges {
		from, to := s.view.Index(r.First), s.view.Len()
		if r.Last < mailbox.MaxUID {
			to = s.view.Index(r.Last + 1)
		}
		switch n := len(out); {
		case from >= to:
		case n > 0 && out[n-1].to == from:
			out[n-1].to = to
		default:
			out = append(out, span{from, to})
		}
	}
	return out
}
