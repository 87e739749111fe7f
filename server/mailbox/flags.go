package mailbox

import (
	"slices"
	"strings"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// allFlags are the bits that the signed column can hold.
const allFlags mail.FlagSet = 1<<31 - 1

// FlagChange says what STORE does to the flags of messages. Without Replace, Add and Remove are carried out, Remove first;
// with it, Add becomes all that the messages have.
type FlagChange struct {
	Add     []mail.Flag
	Remove  []mail.Flag
	Replace bool
	// UnchangedSince, when not nil, leaves messages alone whose modseq is above it (RFC 7162 §3.1.3, D-38).
	UnchangedSince *uint64
}

// bitsOf gives the bits of flags in a mailbox, and the keywords that the mailbox does not know yet. Keywords are compared
// without case; the spelling that came first stays (RFC 9051 §2.3.2).
func bitsOf(flags []mail.Flag, keywords []string) (bits mail.FlagSet, unknown []string) {
	for _, f := range flags {
		if bit, ok := mail.SystemBit(f); ok {
			bits |= bit
			continue
		}
		if i := keywordIndex(keywords, string(f)); i >= 0 {
			bits |= 1 << (mail.FirstKeyword + i)
		} else if keywordIndex(unknown, string(f)) < 0 {
			unknown = append(unknown, string(f))
		}
	}
	return bits, unknown
}

func keywordIndex(keywords []string, name string) int {
	return slices.IndexFunc(keywords, func(k string) bool { return strings.EqualFold(k, name) })
}

// withKeywords adds names to a mailbox's list, as many as fit. all is false when some did not.
func withKeywords(have, names []string) (list []string, all bool) {
	list = slices.Clone(have)
	for _, name := range names {
		switch {
		case keywordIndex(list, name) >= 0:
		case len(list) >= mail.MaxKeywords:
			return list, false
		default:
			list = append(list, name)
		}
	}
	return list, true
}

func keywordLimit() error {
	return fault.New(fault.Limited, "keyword-limit", "this mailbox already has %d keywords; remove one from all messages or use another mailbox",
		mail.MaxKeywords)
}

// checkFlags refuses what is not a flag. The error is fault.Invalid.
func checkFlags(flags []mail.Flag) ([]mail.Flag, error) {
	out := make([]mail.Flag, 0, len(flags))
	for _, f := range flags {
		clean, err := mail.ParseFlag(string(f))
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "invalid-flag", "%v", err)
		}
		out = append(out, clean)
	}
	return out, nil
}

// bitMap says which bits of one mailbox become which of another: from[i] becomes to[i].
type bitMap struct{ from, to []int32 }

// mapKeywords pairs the keyword bits in used, as the source names them, with those of the target. What the target does not
// name is left out.
func mapKeywords(used mail.FlagSet, source, target []string) bitMap {
	var m bitMap
	for i, name := range source {
		bit := mail.FlagSet(1) << (mail.FirstKeyword + i)
		if i >= mail.MaxKeywords || used&bit == 0 {
			continue
		}
		if j := keywordIndex(target, name); j >= 0 {
			m.from = append(m.from, int32(bit))
			m.to = append(m.to, 1<<(mail.FirstKeyword+j))
		}
	}
	return m
}

// keywordNames gives the names of the keyword bits in used.
func keywordNames(used mail.FlagSet, keywords []string) []string {
	var out []string
	for i, name := range keywords {
		if i < mail.MaxKeywords && used&(1<<(mail.FirstKeyword+i)) != 0 {
			out = append(out, name)
		}
	}
	return out
}
