package obs

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
)

// idKind is the key of an id in a context.
type idKind int

const (
	requestID idKind = iota
	connID
	messageID
)

// WithRequestID returns a context whose log lines carry request_id. An HTTP
// request has one, and so has a command line call.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestID, id)
}

// RequestID returns the request id of ctx, "" if it has none.
func RequestID(ctx context.Context) string { return id(ctx, requestID) }

// WithConnID returns a context whose log lines carry conn_id: one SMTP or IMAP
// connection.
func WithConnID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, connID, id)
}

// ConnID returns the connection id of ctx, "" if it has none.
func ConnID(ctx context.Context) string { return id(ctx, connID) }

// WithMessageID returns a context whose log lines carry msg_id: the id that
// this server gave to a message, not the Message-ID field.
func WithMessageID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, messageID, id)
}

// MessageID returns the message id of ctx, "" if it has none.
func MessageID(ctx context.Context) string { return id(ctx, messageID) }

// NewRequestID returns a fresh request id, req_ and 26 lower-case letters and
// digits with 128 random bits.
func NewRequestID() string { return "req_" + strings.ToLower(rand.Text()) }

// NewConnID returns a fresh connection id, con_ and the same.
func NewConnID() string { return "con_" + strings.ToLower(rand.Text()) }

func id(ctx context.Context, kind idKind) string {
	text, _ := ctx.Value(kind).(string)
	return text
}

// contextAttrs are the attributes that ctx adds to every line.
func contextAttrs(ctx context.Context) []slog.Attr {
	var attrs []slog.Attr
	for kind, key := range [...]string{requestID: "request_id", connID: "conn_id", messageID: "msg_id"} {
		if text := id(ctx, idKind(kind)); text != "" {
			attrs = append(attrs, slog.String(key, text))
		}
	}
	return attrs
}
