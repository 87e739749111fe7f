package audit

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// Entry is what a service reports of a change.
type Entry struct {
	// Action is what was done, as "noun.verb" ("domain.create").
	Action string
	// Target is the object in TypeID form.
	Target string
	// Domain is the tenant that the change belongs to; zero for changes of the whole server.
	Domain mail.DomainID
	// Data are the details, never secrets or content.
	Data map[string]any
}

// Row is an entry as it was recorded.
type Row struct {
	ID mail.AuditID
	At time.Time
	// Actor is the principal: a user's or key's id, "system:job" or "anonymous".
	Actor string
	Entry
	// Remote is the client's address, or "".
	Remote string
	// RequestID joins the row with the log, or "".
	RequestID string
	// Cursor is the row's place, to go on with older rows.
	Cursor Cursor
}

// Cursor is a place in the record. The zero Cursor is the newest end.
type Cursor struct {
	xid uint64
	id  mail.AuditID
}

// IsZero reports whether the cursor is the newest end.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// String gives the opaque text; the zero cursor is "".
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
	if err != nil || len(raw) != 24 || binary.BigEndian.Uint64(raw) > math.MaxInt64 {
		return Cursor{}, fault.New(fault.Malformed, "invalid-cursor", "this cursor was not given by this list").At("cursor")
	}
	return Cursor{xid: binary.BigEndian.Uint64(raw), id: mail.AuditID(raw[8:])}, nil
}

type requestKey struct{}

// WithRequest gives a context whose entries carry the request's id. Edges call it once per request or session.
func WithRequest(ctx context.Context, requestID string) context.Context {
	return context.WithValue(ctx, requestKey{}, requestID)
}

func requestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
