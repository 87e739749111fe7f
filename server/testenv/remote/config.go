package remote

import "time"

// Config says what a server is, apart from its script. The zero value serves on a free port of 127.0.0.1.
type Config struct {
	// Addr is where to listen, "127.0.0.1:0" when empty.
	Addr string
	// Hostname is what the banner and the EHLO reply say and what the certificate is for; "mx.remote.test" when empty.
	Hostname string
	// Names are more names of the certificate. It always has localhost, 127.0.0.1 and ::1.
	Names []string
	// Authority signs the certificates; nil makes one.
	Authority *Authority
	// ImplicitTLS makes each connection begin with the handshake (RFC 8314 §3.3) and never offers STARTTLS.
	ImplicitTLS bool
	// Users are the passwords by user name. With any, AUTH PLAIN and LOGIN are offered under TLS and MAIL needs one of them.
	Users map[string]string
	// Script is what happens at first; SetScript replaces it.
	Script Script
	// Discard keeps the number and the ids of messages, not the messages: no Received, no transcripts.
	Discard bool
	// LedgerFile, when set, is appended to: one line of JSON for each accepted message (Line), on stable storage before the
	// reply to the final dot is written.
	LedgerFile string
	// IDHeader is the header field whose value is the id of a message; "Message-ID" when empty.
	IDHeader string

	// MaxSize is the largest message in octets, 50 MiB when 0. SIZE announces it.
	MaxSize int64
	// MaxSessions is how many connections may be open at a time, 2,000 when 0; others get 421.
	MaxSessions int
	// MaxMessages is how many messages are accepted in all, 2,000,000 when 0; then the answer is 452.
	MaxMessages int
	// MaxKept is how many octets of messages are kept, 512 MiB when 0; then the answer is 452.
	MaxKept int64
	// Idle is how long a silent or unreading client is kept, 5 minutes when 0.
	Idle time.Duration
}

const (
	maxLine       = 12288    // of a command; AUTH needs as much (RFC 4954 §4)
	maxRecipients = 1000     // of one transaction
	maxTranscript = 64 << 10 // octets kept of one session
	maxFaults     = 50       // kept of one session
	maxRecords    = 10000    // sessions that are remembered
	maxAttempts   = 4_000_000
	bufferSize    = 32 << 10
	endlessOctets = 64 << 20 // what an endless reply ends at
	hugeOctets    = 64 << 10
)

func (c *Config) defaults() {
	setDefault(&c.Addr, "127.0.0.1:0")
	setDefault(&c.Hostname, "mx.remote.test")
	setDefault(&c.IDHeader, "Message-ID")
	setDefault(&c.MaxSize, 50<<20)
	setDefault(&c.MaxSessions, 2000)
	setDefault(&c.MaxMessages, 2_000_000)
	setDefault(&c.MaxKept, 512<<20)
	setDefault(&c.Idle, 5*time.Minute)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
