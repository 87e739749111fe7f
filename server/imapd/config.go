package imapd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/obs"
)

// Kind is a kind of listener.
type Kind uint8

// The kinds of listener.
const (
	// Plain begins in clear and offers STARTTLS; nobody signs in before it (port 143).
	Plain Kind = iota + 1
	// ImplicitTLS begins with TLS (port 993, RFC 8314 §3.2).
	ImplicitTLS
)

// String gives the name used in logs.
func (p Kind) String() string {
	switch p {
	case Plain:
		return "imap"
	case ImplicitTLS:
		return "imaps"
	}
	return "unknown"
}

// Accounts checks passwords. Errors: fault.Unauthenticated for a wrong user or password (told apart by nothing, after at least a
// second), fault.Limited and fault.Unavailable for "later".
type Accounts interface {
	Authenticate(ctx context.Context, protocol, username, password string, remote netip.Addr) (mail.Principal, error)
	// Recheck gives fault.Unauthenticated for a user who may no longer come in.
	Recheck(ctx context.Context, p mail.Principal) (mail.Principal, error)
}

// Config is what a Server is made of. All fields but TLS and Metrics must be set.
type Config struct {
	// Hostname is our name in the greeting.
	Hostname string
	// Version is told to signed-in clients by ID (RFC 2971).
	Version string
	// TLS is offered on Plain and spoken on ImplicitTLS; versions below 1.2 are refused whatever it says. Without it nobody can
	// sign in on Plain, and ImplicitTLS is not served.
	TLS *tls.Config
	// Limits bound sessions; a zero count is lifted.
	Limits Limits
	// Clock must run with real time: it also sets the deadlines of sockets.
	Clock  clock.Clock
	Logger *slog.Logger
	// Metrics counts connections and messages without content; nil counts nothing. Sign-ins are counted by Accounts.
	Metrics *obs.Metrics

	Accounts  Accounts
	Mailboxes *mailbox.Service
	// Bus wakes sessions whose mailbox changed, and ends those whose credentials did (S-24).
	Bus *bus.Bus
}

// Limits bound sessions. A zero count is lifted; a zero size or time is its default. Rule ids are those of mail-rules.
type Limits struct {
	// MessageBytes is the largest message of APPEND (L-1). It is advertised (RFC 7889).
	MessageBytes int64
	// Connections in all, of one user, and not yet signed in of one address or /64 (L-31).
	Connections        int
	ConnectionsPerUser int
	PreAuthPerIP       int
	// CommandsPerMinute of one user, all sessions together (L-32). Who is faster is slowed down, not refused.
	CommandsPerMinute int
	// AuthFailures after which a session ends with BYE (L-35).
	AuthFailures int
	// BadCommands is how many commands of a session may be answered with BAD before it ends.
	BadCommands int

	// Handshake bounds a TLS handshake (L-43), PreAuth the time until sign-in, Idle the silence after it (L-42; RFC 9051 §5.4
	// asks for at least 30 minutes).
	Handshake time.Duration
	PreAuth   time.Duration
	Idle      time.Duration
	// Block bounds the wait for the next octets inside a command, Write the sending of a piece of an answer.
	Block time.Duration
	Write time.Duration
	// Command bounds the work of a command that streams nothing.
	Command time.Duration
	// Poll is how often a session in IDLE looks without being woken, and how often users are checked again: a lost notice costs
	// time and nothing else.
	Poll time.Duration
}

// DefaultLimits returns the figures of mail-rules §6.
func DefaultLimits() Limits {
	return Limits{
		MessageBytes: 35 << 20,
		Connections:  5000, ConnectionsPerUser: 20, PreAuthPerIP: 10,
		CommandsPerMinute: 2000, AuthFailures: 3, BadCommands: 100,
		Handshake: 10 * time.Second, PreAuth: time.Minute, Idle: 35 * time.Minute,
		Block: time.Minute, Write: time.Minute, Command: 2 * time.Minute, Poll: time.Minute,
	}
}

// Lifted returns the limits of `limits.profile: none`: connection, session and error counts and rates are lifted, sizes and times
// stay.
func (l Limits) Lifted() Limits {
	l.Connections, l.ConnectionsPerUser, l.PreAuthPerIP = 0, 0, 0
	l.CommandsPerMinute, l.AuthFailures, l.BadCommands = 0, 0, 0
	return l
}

// complete fills in sizes and times that are not set.
func (l Limits) complete() Limits {
	d := DefaultLimits()
	if l.MessageBytes <= 0 {
		l.MessageBytes = d.MessageBytes
	}
	for _, t := range []struct {
		have *time.Duration
		want time.Duration
	}{
		{&l.Handshake, d.Handshake},
		{&l.PreAuth, d.PreAuth},
		{&l.Idle, d.Idle},
		{&l.Block, d.Block},
		{&l.Write, d.Write},
		{&l.Command, d.Command},
		{&l.Poll, d.Poll},
	} {
		if *t.have <= 0 {
			*t.have = t.want
		}
	}
	return l
}

// reached reports whether n has come to a limit that is not lifted.
func reached(n, limit int) bool { return limit > 0 && n >= limit }
