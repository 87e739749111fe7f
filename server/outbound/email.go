package outbound

import (
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// Status is the state of an email or of one of its recipients. The words are those of the API.
type Status string

// The states that exist now.
const (
	Held      Status = "held"      // kept back by a person until it is released
	Queued    Status = "queued"    // waits for its next attempt
	Sending   Status = "sending"   // a worker is at it
	Deferred  Status = "deferred"  // an attempt failed for a reason that passes; next_at says when it is tried again
	Delivered Status = "delivered" // filed here, taken by the other server, or kept by the sink
	Bounced   Status = "bounced"   // can never be delivered; last_reply says why
	Failed    Status = "failed"    // given up by us
	Cancelled Status = "cancelled" // taken out of the queue by a person
)

// Final reports whether nothing more will happen.
func (s Status) Final() bool { return s == Delivered || s == Bounced || s == Failed || s == Cancelled }

// Where a recipient's mail went.
const (
	TransportLocal = "local" // a mailbox of this server
	TransportSMTP  = "smtp"  // the recipient's mail exchanger
	TransportRelay = "relay" // a smart host
	TransportSink  = "sink"  // the built-in sink of development mode
	TransportTest  = "test"  // the test network of test keys: nothing was touched
)

// How an email came to us.
const (
	SourceAPI        = "api"
	SourceSubmission = "submission"
)

// Tag is a label of an email, for filters and reports.
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Email is an accepted letter.
type Email struct {
	ID           mail.EmailID
	Domain       mail.DomainID // the sender's domain, to which the email belongs
	Account      mail.UserID   // the submitter, or zero for an API key
	Actor        string        // the principal, as in the audit log
	Source       string        // SourceAPI or SourceSubmission
	Test         bool
	EnvelopeFrom mail.Address
	HeaderFrom   string
	Subject      string
	MessageID    string // with angle brackets
	File         string // name in the outgoing store
	Size         int64  // octets
	SHA256       [32]byte
	Status       Status
	Tags         []Tag
	Metadata     map[string]string
	CreatedAt    time.Time
	ExpiresAt    time.Time // when the last attempt is made (O-20)
	Recipients   []Recipient

	// What goes out before the stored bytes, whether they hold octets above 127, and whether both are known; see prepare.
	Signature string
	EightBit  bool
	Prepared  bool
	fresh     bool // prepared just now, and not stored yet
}

// Recipient is one address of an email and what became of it.
type Recipient struct {
	ID          mail.DeliveryID
	Position    int
	Address     mail.Address
	Kind        string // "to", "cc", "bcc", or "envelope" for submitted mail
	Destination string // where its mail goes: the recipient's domain, or a smart host as host:port
	Local       bool   // hosted here
	Status      Status
	Attempts    int
	NextAt      time.Time
	Transport   string
	LastReply   string
	UpdatedAt   time.Time

	// What the last attempt met: the other server, the TLS version ("" in clear), the class of its answer, and how long it took.
	Host  string
	TLS   string
	Class string
	Took  time.Duration

	warned            bool // the sender knows of the delay
	possibleDuplicate bool // the answer to the last attempt was lost (D-29)
}

// SinkMessage is one delivery that the sink kept instead of sending it.
type SinkMessage struct {
	ID           mail.SinkID
	Email        mail.EmailID
	Recipient    mail.DeliveryID
	EnvelopeFrom string
	EnvelopeTo   string
	Subject      string
	File         string
	Size         int64
	Signature    string // of the email, in front of the file
	CreatedAt    time.Time
}

// summarise derives an email's state from its recipients: it is what the least finished one is, and among finished ones
// the worst.
func summarise(recipients []Recipient) Status {
	rank := map[Status]int{Cancelled: 0, Delivered: 1, Failed: 2, Bounced: 3, Held: 4, Deferred: 5, Sending: 6, Queued: 7}
	worst := Cancelled
	for _, r := range recipients {
		if rank[r.Status] > rank[worst] {
			worst = r.Status
		}
	}
	return worst
}
