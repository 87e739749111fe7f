package event

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// The types of event. The part before the dot is the kind of the subject.
const (
	MessageReceived = "message.received" // a letter came in and was filed
	EmailAccepted   = "email.accepted"   // an outgoing email was taken
	EmailQueued     = "email.queued"     // a recipient waits for delivery
	EmailDelivered  = "email.delivered"  // a recipient's server has it
	EmailDeferred   = "email.deferred"   // an attempt failed and will be repeated
	EmailBounced    = "email.bounced"    // a recipient can never be delivered
	EmailFailed     = "email.failed"     // a recipient was given up
	EmailCancelled  = "email.cancelled"  // a recipient was taken out of the queue
	EmailHeld       = "email.held"       // a recipient was kept back by a person
	EmailRetried    = "email.retried"    // a person made a recipient due now
	EmailReleased   = "email.released"   // a person ended a hold
	EmailReported   = "email.reported"   // the sender was told of a failure in the mailbox
	DomainCreated   = "domain.created"
	DomainUpdated   = "domain.updated"
	DomainDeleted   = "domain.deleted"
	UserCreated     = "user.created"
	UserUpdated     = "user.updated"
	UserDeleted     = "user.deleted"
	KeyCreated      = "api_key.created"
	KeyRevoked      = "api_key.revoked"
	SessionCreated  = "session.created"
	SessionRevoked  = "session.revoked"
	LoginFailed     = "security.login_failed"
)

// Event is one row of the ledger.
type Event struct {
	// ID is unique and sorts by time. Append fills it when it is zero.
	ID mail.EventID
	// At is when it happened, to the microsecond. Append fills it when it is zero.
	At time.Time
	// Type is one of the constants above or another word of the form "noun.verb".
	Type string
	// Domain and Account say whose event it is; both may be zero.
	Domain  mail.DomainID
	Account mail.UserID
	// Subject is the object that it is about, in TypeID form.
	Subject string
	// Data are details for people and programs. It never holds secrets or content.
	Data map[string]any
	// Cursor is the event's place in the ledger, set when it was read.
	Cursor Cursor
}

// Cursor is a place in the ledger: after the event of this transaction and id. The zero Cursor is the beginning.
type Cursor struct {
	xid uint64
	id  mail.EventID
}

// IsZero reports whether the cursor is the beginning of the ledger.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// Compare orders places as the ledger does: negative when c comes before d.
func (c Cursor) Compare(d Cursor) int {
	if by := cmp.Compare(c.xid, d.xid); by != 0 {
		return by
	}
	return bytes.Compare(c.id[:], d.id[:])
}

func later(c, d Cursor) Cursor {
	if c.Compare(d) < 0 {
		return d
	}
	return c
}

// String gives the opaque text of a cursor; the zero cursor is "".
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	raw := binary.BigEndian.AppendUint64(nil, c.xid)
	return base64.RawURLEncoding.EncodeToString(append(raw, c.id[:]...))
}

// ParseCursor reads the text of a cursor. It gives fault.Malformed "invalid-cursor" for anything else.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != 24 || raw[0] >= 0x80 {
		return Cursor{}, fault.New(fault.Malformed, "invalid-cursor", "this cursor was not given by this list").At("cursor")
	}
	return Cursor{xid: binary.BigEndian.Uint64(raw), id: mail.EventID(raw[8:])}, nil
}

// MarshalText implements encoding.TextMarshaler with String.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseCursor.
func (c *Cursor) UnmarshalText(b []byte) error {
	parsed, err := ParseCursor(string(b))
	*c = parsed
	return err
}

// EncodeData renders details for a jsonb column. PostgreSQL refuses the character NUL in jsonb; it becomes U+FFFD, so that
// nothing a letter contains can make a transaction fail. Nil is the empty object.
func EncodeData(data map[string]any) (string, error) {
	if len(data) == 0 {
		return "{}", nil
	}
	text, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("encode event data: %w", err)
	}
	return string(replaceNUL(text)), nil
}

// replaceNUL turns \u0000 escapes into \ufffd. An escaped backslash before "u0000" is not one.
func replaceNUL(text []byte) []byte {
	if !bytes.Contains(text, []byte(`\u0000`)) {
		return text
	}
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(text[i:], []byte(`\u0000`)) {
			copy(text[i:], `\ufffd`)
		}
		i++ // the escaped character
	}
	return text
}
