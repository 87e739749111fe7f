package mail

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Kind names what an id identifies; its Prefix is the first part of the id's text.
type Kind interface{ Prefix() string }

// ID is a UUIDv7 that knows what it identifies. In PostgreSQL it is a uuid; at the edge it is a TypeID such as
// "dom_01h455vb4pex5vsknk084sn02q": the kind's prefix and 26 characters of Crockford base32. The zero ID means "none".
type ID[K Kind] [16]byte

// The kinds of object. A wrong kind fails at parse, so that a domain's id can never be used as a user's.
type (
	domainKind   struct{}
	userKind     struct{}
	keyKind      struct{}
	sessionKind  struct{}
	mailboxKind  struct{}
	messageKind  struct{}
	emailKind    struct{}
	deliveryKind struct{}
	eventKind    struct{}
	auditKind    struct{}
	sinkKind     struct{}
	dkimKeyKind  struct{}
	blobKind     struct{}
)

func (domainKind) Prefix() string   { return "dom" }
func (userKind) Prefix() string     { return "usr" }
func (keyKind) Prefix() string      { return "key" }
func (sessionKind) Prefix() string  { return "ses" }
func (mailboxKind) Prefix() string  { return "mbx" }
func (messageKind) Prefix() string  { return "msg" }
func (emailKind) Prefix() string    { return "eml" }
func (deliveryKind) Prefix() string { return "dlv" }
func (eventKind) Prefix() string    { return "evt" }
func (auditKind) Prefix() string    { return "aud" }
func (sinkKind) Prefix() string     { return "snk" }
func (dkimKeyKind) Prefix() string  { return "dkm" }
func (blobKind) Prefix() string     { return "blb" }

type (
	// DomainID names a hosted domain.
	DomainID = ID[domainKind]
	// UserID names a person's account.
	UserID = ID[userKind]
	// KeyID names an API key.
	KeyID = ID[keyKind]
	// SessionID names a browser session.
	SessionID = ID[sessionKind]
	// MailboxID names a mailbox (folder) of a user.
	MailboxID = ID[mailboxKind]
	// MessageID names a stored message of a user.
	MessageID = ID[messageKind]
	// EmailID names an accepted outgoing email.
	EmailID = ID[emailKind]
	// DeliveryID names one recipient of an accepted email.
	DeliveryID = ID[deliveryKind]
	// EventID names a row of the ledger.
	EventID = ID[eventKind]
	// AuditID names a row of the audit log.
	AuditID = ID[auditKind]
	// SinkID names a message kept by the built-in sink.
	SinkID = ID[sinkKind]
	// DKIMKeyID names a key with which mail of a domain is signed.
	DKIMKeyID = ID[dkimKeyKind]
	// BlobID names a file that was uploaded to be attached.
	BlobID = ID[blobKind]
)

const base32Digits = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID makes a UUIDv7 (RFC 9562 §5.7) of the given time: 48 bits of milliseconds, 74 random bits.
func NewID[K Kind](now time.Time) ID[K] {
	var id ID[K]
	_, _ = rand.Read(id[:]) // never fails since Go 1.24: it ends the program instead
	ms := uint64(now.UnixMilli())
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], ms<<16)
	copy(id[:6], head[:6])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// New gives a fresh id of the same kind, made at the given time: mail.EmailID{}.New(now).
func (ID[K]) New(now time.Time) ID[K] { return NewID[K](now) }

// ParseID reads the TypeID form. The prefix must be that of the kind.
func ParseID[K Kind](s string) (ID[K], error) {
	var zero ID[K]
	var kind K
	rest, ok := strings.CutPrefix(s, kind.Prefix()+"_")
	if !ok {
		return zero, fmt.Errorf("id %q does not begin with %q", clip(s), kind.Prefix()+"_")
	}
	raw, err := decode32(rest)
	if err != nil {
		return zero, fmt.Errorf("id %q: %w", clip(s), err)
	}
	return ID[K](raw), nil
}

// IsZero reports whether the id names nothing.
func (id ID[K]) IsZero() bool { return id == ID[K]{} }

// String gives the TypeID form.
func (id ID[K]) String() string {
	var kind K
	return kind.Prefix() + "_" + encode32(id)
}

// UUID gives the canonical hyphenated form, as PostgreSQL prints it.
func (id ID[K]) UUID() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// Time gives the instant at which the id was made, to the millisecond.
func (id ID[K]) Time() time.Time {
	var head [8]byte
	copy(head[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(head[:]))).UTC()
}

// MarshalText implements encoding.TextMarshaler with the TypeID form; the zero id is empty text.
func (id ID[K]) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return []byte{}, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID[K]) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID[K]{}
		return nil
	}
	parsed, err := ParseID[K](string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// Value implements driver.Valuer: the canonical uuid text, or NULL for the zero id.
func (id ID[K]) Value() (driver.Value, error) {
	if id.IsZero() {
		return nil, nil //nolint:nilnil // NULL is the database's word for "none"
	}
	return id.UUID(), nil
}

// Scan implements sql.Scanner for a uuid column; NULL gives the zero id.
func (id *ID[K]) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*id = ID[K]{}
		return nil
	case [16]byte:
		*id = ID[K](v)
		return nil
	case []byte:
		if len(v) == 16 {
			copy(id[:], v)
			return nil
		}
		return id.scanText(string(v))
	case string:
		return id.scanText(v)
	}
	return fmt.Errorf("cannot read an id from %T", src)
}

func (id *ID[K]) scanText(s string) error {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(raw) != 16 {
		return fmt.Errorf("not a uuid: %q", clip(s))
	}
	copy(id[:], raw)
	return nil
}

// encode32 writes 128 bits as 26 base32 digits, most significant first; the first digit holds 3 bits.
func encode32(raw [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	var out [26]byte
	for i := 25; i >= 0; i-- {
		out[i] = base32Digits[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

func decode32(s string) ([16]byte, error) {
	var raw [16]byte
	if len(s) != 26 {
		return raw, fmt.Errorf("want 26 characters after the prefix, have %d", len(s))
	}
	if s[0] > '7' {
		return raw, fmt.Errorf("the first character after the prefix must be 0 to 7")
	}
	var hi, lo uint64
	for i := range len(s) {
		v := strings.IndexByte(base32Digits, s[i])
		if v < 0 {
			return raw, fmt.Errorf("character %q is not base32", s[i])
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	binary.BigEndian.PutUint64(raw[:8], hi)
	binary.BigEndian.PutUint64(raw[8:], lo)
	return raw, nil
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}
