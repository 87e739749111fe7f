package smtpout

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// maxText bounds the text of a result, in octets.
const maxText = 1000

// Letter is a message for recipients of one destination.
type Letter struct {
	// From is the envelope sender; the null address for "<>".
	From mail.Address
	// To are 1 to 50 recipients.
	To []mail.Address
	// Size is the number of octets that Open gives, as announced by SIZE (RFC 1870). When it is not 0 and another number
	// comes, the letter is not sent: a truncated file must not look like a message.
	Size int64
	// EightBit says that the message has octets above 127, so that the remote must offer 8BITMIME (RFC 6152).
	EightBit bool
	// Attempt counts from 1 the attempts for these recipients; 0 counts as 1. On the first one a refusal with 5.7.x is tried
	// once more over the other family of addresses (O-4).
	Attempt int
	// Open gives the exact octets with CRLF line ends; dots are stuffed here. It may be called more than once, one reader at
	// a time.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Proceed, when set, is asked before DATA and again right before the final dot. With an error the connection is cut
	// before the dot: no recipient has got the letter.
	Proceed func() error
}

// Outcome is what a carrying was for one recipient.
type Outcome uint8

// The outcomes. The zero Outcome is none of them.
const (
	Delivered Outcome = iota + 1 // the remote has taken responsibility
	Deferred                     // try again later
	Refused                      // permanent: nothing is gained by trying again
	Aborted                      // ended on our side before anything was decided; costs no attempt
)

// String returns the outcome as a word for logs.
func (o Outcome) String() string {
	switch o {
	case Delivered:
		return "delivered"
	case Deferred:
		return "deferred"
	case Refused:
		return "refused"
	case Aborted:
		return "aborted"
	}
	return "undecided"
}

// The classes of results (mail-rules §3.5). A delivered recipient has none.
const (
	ClassHardRecipient = "hard_recipient" // the address takes no mail: suppress it
	ClassQuota         = "quota"          // the mailbox is full
	ClassMessage       = "message"        // this message, whoever it is for
	ClassReputation    = "reputation"     // our address or domain is on a list
	ClassGreylist      = "greylist"       // come back at the stated time
	ClassThrottle      = "throttle"       // too much or too fast
	ClassConfiguration = "configuration"  // our DNS, keys or credentials are wrong
	ClassNetwork       = "network"        // no connection, or it was lost
	ClassTLS           = "tls"            // no TLS where there must be
	ClassRouting       = "routing"        // no host to go to
	ClassOther         = "other"
)

// Result is what a carrying was for one recipient.
type Result struct {
	Outcome Outcome
	// Code, Enhanced and Text are the remote's last answer, or ours when it gave none. Enhanced is "" when the remote's
	// answer has none of the code's class; see Status. Text has printable characters and at most 1,000 octets.
	Code           int
	Enhanced, Text string
	// Class is one of the Class constants, "" when delivered. Rule is the rule behind it, such as "O-31".
	Class, Rule string
	// Host and Addr are whom we spoke with, or tried to. TLS is "" for clear, "TLS1.2", "TLS1.3".
	Host string
	Addr netip.AddrPort
	TLS  string
	// Took is the time of the whole carrying.
	Took time.Duration
	// HostTrouble says that the destination's breaker counts this (O-42).
	HostTrouble bool
	// MaybeDelivered says that the reply to the final dot was lost (D-29): the next attempt may make a duplicate.
	MaybeDelivered bool
	// RetryAfter is how long the remote, or the rule of its answer, asks to wait (O-35..O-40); 0 when nothing is said.
	RetryAfter time.Duration
	// Err is the cause for the log: a fault of network, DNS, TLS or of our own.
	Err error
}

// Reply returns the answer in one line, such as "250 2.0.0 ok".
func (r Result) Reply() string {
	parts := []string{strconv.Itoa(r.Code)}
	for _, part := range []string{r.Enhanced, r.Text} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}

// Status returns the enhanced status code for a report: the remote's when it gave one that agrees with its reply code, else
// one derived from that code (O-26).
func (r Result) Status() string {
	if r.Enhanced != "" {
		return r.Enhanced
	}
	switch {
	case r.Code >= 500:
		return "5.0.0"
	case r.Code >= 400:
		return "4.0.0"
	}
	return "2.0.0"
}

// failure is an end without a decision for the recipients that are still open: their result, and what may be done about it.
type failure struct {
	Result
	// next says that another host of the destination may do better.
	next bool
	// clear says that the host's TLS is broken, and that a connection in clear may do better (O-11).
	clear bool
	// stale says that a connection kept from the letter before ended before it answered MAIL.
	stale bool
	// spoke says that Code is the remote's and not ours.
	spoke bool
}

// own makes a result of ours.
func own(o Outcome, code int, enhanced, class string, err error, format string, args ...any) Result {
	return Result{
		Outcome: o, Code: code, Enhanced: enhanced, Class: class, Err: err,
		Text: printable(fmt.Sprintf(format, args...)),
	}
}

// stop is own as a failure that no other host can mend.
func stop(o Outcome, code int, enhanced, class string, err error, format string, args ...any) *failure {
	return &failure{Result: own(o, code, enhanced, class, err, format, args...)}
}

// printable replaces what could harm a terminal, a log or a report, and cuts at maxText octets (S-38).
func printable(s string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, s)
	if len(clean) > maxText {
		clean = strings.ToValidUTF8(clean[:maxText], "")
	}
	return strings.TrimSpace(clean)
}
