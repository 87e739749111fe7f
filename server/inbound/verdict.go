package inbound

import (
	"fmt"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// Action is what happens to a letter.
type Action uint8

// The actions.
const (
	// File stores the letter in Verdict.Mailbox.
	File Action = iota
	// Refuse answers the sender with Verdict.Refusal and stores nothing.
	Refuse
)

// Facts are what a verdict is computed from. They are gathered once and hold no content of the letter.
type Facts struct {
	FromFields    int  // From header fields (RFC 5322 §3.6 wants one)
	FromAddresses int  // addresses in them
	Received      int  // Received fields, which count the hops (RFC 5321 §6.3)
	DeliveredHere bool // a Delivered-To of ours names one of the recipients already (RFC 9228 §4)
	MaxHops       int  // from configuration
}

// Verdict is a decision about a letter, for all of its recipients.
type Verdict struct {
	Action  Action
	Mailbox string       // name of the mailbox; "" is INBOX
	Refusal *fault.Error // set with Refuse
	Reason  string       // one word for metrics and the ledger
}

// Decide is the policy on a letter whose bytes are sound. Rules I-34 and I-46.
func Decide(f Facts) Verdict {
	switch {
	case f.FromFields == 0 || f.FromAddresses == 0:
		return refuse("no-from", fault.New(fault.Invalid, "message-rejected", "the message has no From field with an address"))
	case f.FromFields > 1:
		return refuse("several-from", fault.New(fault.Invalid, "message-rejected", "the message has %d From fields; exactly one is allowed", f.FromFields))
	case f.Received > f.MaxHops || f.DeliveredHere:
		return refuse("loop", fault.New(fault.Invalid, "mail-loop", "mail loop detected"))
	}
	return Verdict{Action: File, Reason: "accepted"}
}

func refuse(reason string, err *fault.Error) Verdict {
	return Verdict{Action: Refuse, Refusal: err, Reason: reason}
}

// String is for logs.
func (v Verdict) String() string {
	if v.Action == Refuse {
		return fmt.Sprintf("refuse (%s)", v.Reason)
	}
	return fmt.Sprintf("file in %q (%s)", v.Mailbox, v.Reason)
}
