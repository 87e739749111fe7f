package smtpd

import "time"

// Limits bound sessions. A zero count, size or time is lifted, except AuthDelay. Rule ids are those of mail-rules.
type Limits struct {
	// MessageBytes is the largest message as transmitted, without dot stuffing (L-1, RFC 1870 §3). A message of exactly this
	// size is accepted, and this number is advertised.
	MessageBytes int64
	// LineBytes is the longest line of a body without its CRLF (L-5).
	LineBytes int
	// RecipientsInbound and RecipientsSubmission bound one message (L-2).
	RecipientsInbound    int
	RecipientsSubmission int

	// Connections bound each listener by itself, so that a flood on port 25 leaves room for sign-ins: in all, of one address, of
	// one /24 or /64 (L-30).
	Connections           int
	ConnectionsPerIP      int
	ConnectionsPerNetwork int

	// ErrorsSlow, ErrorsSoft and ErrorsHard are numbers of wrong commands (5xx below 550): from the first on each answer waits
	// ErrorDelay, from the second on twice that, at the third the session ends. JunkCommands bounds commands that lead to no
	// mail, UnknownUsers recipients that do not exist: answers wait UnknownDelay from half of it on (L-34, I-10, I-53).
	ErrorsSlow   int
	ErrorsSoft   int
	ErrorsHard   int
	JunkCommands int
	UnknownUsers int
	// Commands bounds all commands of a session, SessionMessages its transactions (L-36).
	Commands        int
	SessionMessages int
	// AuthFailures ends a session (L-35).
	AuthFailures int

	// ErrorDelay and UnknownDelay are described above.
	ErrorDelay   time.Duration
	UnknownDelay time.Duration
	// AuthDelay is waited before the first failed sign-in is answered; it doubles with each, up to sixteenfold (S-16). Zero
	// means one second: this one is never lifted.
	AuthDelay time.Duration

	// BannerDelay is waited before the greeting of port 25; who talks meanwhile is refused (I-1).
	BannerDelay time.Duration
	// Handshake bounds a TLS handshake (L-43), Command the wait for a command line to be complete (L-40), Stress the same above
	// 80 % of Connections (L-41), PreAuth the time until sign-in on 587 and 465 (S-13), SessionLife a session (L-36).
	Handshake   time.Duration
	Command     time.Duration
	Stress      time.Duration
	PreAuth     time.Duration
	SessionLife time.Duration
	// DataBlock bounds the wait for a block of a body, DataTotal a whole body, DataGrace the time after which DataRate octets a
	// second must have arrived (X-2, L-40).
	DataBlock time.Duration
	DataTotal time.Duration
	DataGrace time.Duration
	DataRate  int
	// Write bounds the sending of replies, Call one question to a service (a body has DataTotal besides), Stop the grace of a
	// transaction that runs when the server stops (I-55, L-46).
	Write time.Duration
	Call  time.Duration
	Stop  time.Duration
}

// DefaultLimits returns the figures of mail-rules §6.
func DefaultLimits() Limits {
	return Limits{
		MessageBytes: 35 << 20, LineBytes: 10_000, RecipientsInbound: 100, RecipientsSubmission: 500,
		Connections: 1000, ConnectionsPerIP: 20, ConnectionsPerNetwork: 60,
		ErrorsSlow: 3, ErrorsSoft: 10, ErrorsHard: 20, JunkCommands: 100, UnknownUsers: 10,
		Commands: 20_000, SessionMessages: 100, AuthFailures: 3,
		ErrorDelay: time.Second, UnknownDelay: 5 * time.Second, AuthDelay: time.Second,
		Handshake: 10 * time.Second, Command: 5 * time.Minute, Stress: 10 * time.Second, PreAuth: time.Minute,
		SessionLife: 30 * time.Minute,
		DataBlock:   3 * time.Minute, DataTotal: 30 * time.Minute, DataGrace: time.Minute, DataRate: 500,
		Write: time.Minute, Call: 30 * time.Second, Stop: 30 * time.Second,
	}
}

// Lifted returns the limits of `limits.profile: none`: connection, session and error counts and rates are lifted; sizes, times
// and the delay of failed sign-ins stay.
func (l Limits) Lifted() Limits {
	l.Connections, l.ConnectionsPerIP, l.ConnectionsPerNetwork = 0, 0, 0
	l.ErrorsSlow, l.ErrorsSoft, l.ErrorsHard, l.JunkCommands, l.UnknownUsers = 0, 0, 0, 0, 0
	l.Commands, l.SessionMessages, l.AuthFailures, l.DataRate = 0, 0, 0, 0
	return l
}

func (l Limits) authDelay(failures int) time.Duration {
	d := l.AuthDelay
	if d <= 0 {
		d = time.Second
	}
	return d << min(failures-1, 4)
}

// reached reports whether n has come to a limit that is not lifted.
func reached(n, limit int) bool { return limit > 0 && n >= limit }
