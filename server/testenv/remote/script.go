package remote

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Script is all that a server does out of the ordinary. The zero Script accepts everything.
type Script struct {
	// Sessions are what the connections do, in the order in which they come; the last one is for all that follow.
	Sessions []SessionStep
	// Session, when set, is asked instead, with the number of the connection from 1. It runs on many goroutines.
	Session func(n int) SessionStep
	// Recipients are what happens to an address at its first, second ... RCPT; the last step is for all that follow.
	// Addresses are compared without case.
	Recipients map[string][]Step
	// Recipient, when set, is asked for the addresses that are not in Recipients; attempt counts from 1. It runs on many
	// goroutines.
	Recipient func(address string, attempt int) Step
	// DropAll closes every connection as soon as it is made.
	DropAll bool
	// Blackhole takes every connection, reads what comes and never answers.
	Blackhole bool
}

// Then is what happens to the connection after a reply.
type Then uint8

// The values of Then.
const (
	ThenDefault Then = iota // close after 421, else go on
	ThenStay                // go on, also after 421
	ThenClose               // close
	ThenReset               // close with RST: what the peer has not read yet may be lost to it
	ThenHang                // read on and never answer again
)

// Form is how a reply looks on the wire.
type Form uint8

// The values of Form.
const (
	FormPlain   Form = iota
	FormSilent       // nothing is written
	FormEndless      // lines of a reply whose last line never comes; after 64 MiB the connection is closed
	FormHuge         // one line of 64 KiB
)

// Reply is an answer and the way it is given. The zero Reply is the ordinary answer at once.
type Reply struct {
	// Code is the reply code; 0 is the ordinary one.
	Code int
	// Text goes behind the code, "\n" between the lines; empty is a text that fits the code. An enhanced status code is part
	// of it.
	Text string
	// Raw is written as it is instead of Code and Text; Code still decides what follows.
	Raw string
	// Gate, when set, holds the reply until it is opened; Delay holds it after that.
	Gate  *Gate
	Delay time.Duration
	// Drip is the pause after each octet.
	Drip time.Duration
	Form Form
	Then Then
}

// Step is what happens to one recipient at one attempt. Of several recipients in a transaction the first one with a Data, a
// Dot or a Cut decides about those.
type Step struct {
	// Rcpt answers RCPT.
	Rcpt Reply
	// Data answers DATA. With a code other than 354 the server is back in command mode.
	Data Reply
	// Cut, when not 0, ends the connection when so many octets of the message have come, or its dot if that comes first;
	// the message is not accepted. CutReset does it with RST.
	Cut      int
	CutReset bool
	// Dot answers the final dot. With a code of 2xx the message is in the ledger before the gate, the delay and the reply.
	Dot Reply
	// Lose leaves the message out of the ledger whatever Dot says: a server that says 250 and loses it.
	Lose bool
}

// Stage is a place in a session at which a reply is due.
type Stage string

// The stages. StageRcpt, StageData and StageDot go before what a recipient's step says.
const (
	StageBanner   Stage = "BANNER"
	StageEHLO     Stage = "EHLO"
	StageHELO     Stage = "HELO"
	StageStartTLS Stage = "STARTTLS"
	StageAuth     Stage = "AUTH"
	StageMail     Stage = "MAIL"
	StageRcpt     Stage = "RCPT"
	StageData     Stage = "DATA"
	StageDot      Stage = "DOT"
	StageRset     Stage = "RSET"
	StageNoop     Stage = "NOOP"
	StageQuit     Stage = "QUIT"
)

// TLSMode is what comes of STARTTLS, or of the handshake of an ImplicitTLS server.
type TLSMode uint8

// The values of TLSMode.
const (
	TLSGood      TLSMode = iota // offered, with a certificate for the host name
	TLSAbsent                   // not offered, STARTTLS is unknown; also on an ImplicitTLS server, which then speaks in clear
	TLSRefused                  // offered, then 454
	TLSInjected                 // 220 and, in the same write, replies in clear that a client must not take for ones under TLS
	TLSReset                    // RST when the ClientHello has come
	TLSClosed                   // closed when the ClientHello has come
	TLSStalled                  // the ClientHello is never answered
	TLSGarbage                  // the ClientHello is answered with octets that are no TLS
	TLSWrongName                // a certificate of the authority for another host
	TLSExpired                  // a certificate of the authority that has ended
	TLSUntrusted                // a certificate of an authority that nobody knows
	TLSOld                      // TLS 1.0 and nothing newer
)

// SessionStep is what one connection does. The zero SessionStep offers PIPELINING, SIZE, 8BITMIME, ENHANCEDSTATUSCODES and
// STARTTLS.
type SessionStep struct {
	// Replies are the answers that are not the ordinary ones.
	Replies map[Stage]Reply
	// After makes Replies count only when the session has so many accepted messages.
	After int
	// Drop and Reset end the connection as soon as it is made, Reset perhaps before the client's dial has returned; Hang never
	// answers on it.
	Drop, Reset, Hang bool
	TLS               TLSMode
	// NoPipelining, NoSize and No8BitMIME leave these out of the EHLO reply.
	NoPipelining, NoSize, No8BitMIME bool
	// Size is announced instead of the server's limit, and kept to.
	Size int64
	// Extensions are more lines of the EHLO reply, such as "SMTPUTF8".
	Extensions []string
	// AuthInClear offers AUTH without TLS, as a trap for passwords.
	AuthInClear bool
	// Messages, when not 0, is how many messages the connection takes; then MAIL gets 421 and the connection ends.
	Messages int
}

// Accept is the ordinary step.
func Accept() Step { return Step{} }

// RefuseRcpt answers RCPT with a code and a text.
func RefuseRcpt(code int, text string) Step { return Step{Rcpt: Reply{Code: code, Text: text}} }

// RefuseData answers DATA with a code and a text.
func RefuseData(code int, text string) Step { return Step{Data: Reply{Code: code, Text: text}} }

// RefuseDot answers the final dot with a code and a text.
func RefuseDot(code int, text string) Step { return Step{Dot: Reply{Code: code, Text: text}} }

// DropBeforeDot closes the connection at the first octet of the message.
func DropBeforeDot() Step { return Step{Cut: 1} }

// ResetBeforeDot is DropBeforeDot with RST.
func ResetBeforeDot() Step { return Step{Cut: 1, CutReset: true} }

// DropAfterDot accepts the message and closes the connection without the reply.
func DropAfterDot() Step { return Step{Dot: Reply{Form: FormSilent, Then: ThenClose}} }

// ResetAfterDot is DropAfterDot with RST.
func ResetAfterDot() Step { return Step{Dot: Reply{Form: FormSilent, Then: ThenReset}} }

// HoldDot accepts the message and gives the reply when the gate opens.
func HoldDot(gate *Gate) Step { return Step{Dot: Reply{Gate: gate}} }

// LieAtData says 354 and closes the connection.
func LieAtData() Step { return Step{Data: Reply{Then: ThenClose}} }

// OKAtData answers DATA with 250 instead of 354.
func OKAtData() Step { return Step{Data: Reply{Code: 250, Text: "2.0.0 ok"}} }

// LoseMessage says 250 to a message and forgets it.
func LoseMessage() Step { return Step{Lose: true} }

// At is a session with one reply out of the ordinary.
func At(stage Stage, reply Reply) SessionStep {
	return SessionStep{Replies: map[Stage]Reply{stage: reply}}
}

// Gate holds replies until a test opens it.
type Gate struct {
	open, arrived     chan struct{}
	openOnce, hitOnce sync.Once
}

// NewGate makes a closed gate.
func NewGate() *Gate { return &Gate{open: make(chan struct{}), arrived: make(chan struct{})} }

// Open lets everybody through, now and later. It may be called more than once.
func (g *Gate) Open() { g.openOnce.Do(func() { close(g.open) }) }

// Arrived is closed when the first session stands before the gate.
func (g *Gate) Arrived() <-chan struct{} { return g.arrived }

func (g *Gate) hit() { g.hitOnce.Do(func() { close(g.arrived) }) }

// clone makes the script independent of what the caller does with its maps and slices.
func (s Script) clone() Script {
	s.Sessions = cloneSessions(s.Sessions)
	own := make(map[string][]Step, len(s.Recipients))
	for address, steps := range s.Recipients {
		own[strings.ToLower(address)] = slices.Clone(steps)
	}
	s.Recipients = own
	return s
}

func cloneSessions(steps []SessionStep) []SessionStep {
	own := slices.Clone(steps)
	for i := range own {
		own[i].Replies = maps.Clone(own[i].Replies)
		own[i].Extensions = slices.Clone(own[i].Extensions)
	}
	return own
}

// pick gives step n (from 0), the last one when there are fewer, the zero step when there is none.
func pick[T any](steps []T, n int) T {
	var zero T
	if len(steps) == 0 {
		return zero
	}
	return steps[min(n, len(steps)-1)]
}
