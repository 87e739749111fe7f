package mail

import (
	"fmt"
	"strings"
)

// Flag is an IMAP flag or keyword (RFC 9051 §2.3.2), in its canonical spelling: "\Seen", "$Forwarded", "work".
type Flag string

// The system flags.
const (
	Seen     Flag = `\Seen`
	Answered Flag = `\Answered`
	Flagged  Flag = `\Flagged`
	Deleted  Flag = `\Deleted`
	Draft    Flag = `\Draft`
)

// FlagSet is a set of flags as bits. The low bits are the system flags; from bit FirstKeyword on, a bit's meaning is the name at
// that place in the mailbox's keyword list.
type FlagSet uint32

// The bits of the system flags.
const (
	SeenBit FlagSet = 1 << iota
	AnsweredBit
	FlaggedBit
	DeletedBit
	DraftBit
)

// Keywords of a mailbox occupy bits FirstKeyword to FirstKeyword+MaxKeywords-1.
const (
	FirstKeyword = 5
	MaxKeywords  = 26 // a signed 32-bit column holds 31 bits
)

// SystemFlags lists the system flags in the order of their bits.
func SystemFlags() []Flag { return []Flag{Seen, Answered, Flagged, Deleted, Draft} }

// Has reports whether all bits of f are in the set.
func (s FlagSet) Has(f FlagSet) bool { return s&f == f }

// Flags spells the set out, with the mailbox's keywords.
func (s FlagSet) Flags(keywords []string) []Flag {
	out := make([]Flag, 0, 4)
	for i, f := range SystemFlags() {
		if s&(1<<i) != 0 {
			out = append(out, f)
		}
	}
	for i, k := range keywords {
		if i < MaxKeywords && s&(1<<(FirstKeyword+i)) != 0 {
			out = append(out, Flag(k))
		}
	}
	return out
}

// SystemBit gives the bit of a system flag, compared without case; ok is false for keywords.
func SystemBit(f Flag) (bit FlagSet, ok bool) {
	for i, sys := range SystemFlags() {
		if strings.EqualFold(string(f), string(sys)) {
			return 1 << i, true
		}
	}
	return 0, false
}

// ParseFlag checks a flag's text: a system flag, or a keyword of atom characters of at most 100 octets. \Recent and unknown
// backslash flags are refused.
func ParseFlag(s string) (Flag, error) {
	if bit, ok := SystemBit(Flag(s)); ok {
		for i, sys := range SystemFlags() {
			if bit == 1<<i {
				return sys, nil
			}
		}
	}
	if s == "" || len(s) > 100 || s[0] == '\\' {
		return "", fmt.Errorf("flag %q is neither a system flag nor a keyword", clip(s))
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return "", fmt.Errorf("flag %q has a character that keywords may not have", clip(s))
		}
	}
	return Flag(s), nil
}
