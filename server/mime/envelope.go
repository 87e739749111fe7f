package mime

import (
	"net/mail"
	"strconv"
	"strings"
	"time"
)

// Envelope is the ENVELOPE of RFC 3501 §7.4.2. Strings are raw header values on one line, encoded words not decoded. Use
// AppendEnvelope for the wire and DecodeHeader, Decoded and Time for people.
type Envelope struct {
	Date      string            `json:"d,omitempty"`
	Subject   string            `json:"s,omitempty"`
	From      []EnvelopeAddress `json:"f,omitempty"`
	Sender    []EnvelopeAddress `json:"e,omitempty"` // empty stands for From: use SenderOrFrom
	ReplyTo   []EnvelopeAddress `json:"r,omitempty"` // empty stands for From: use ReplyToOrFrom
	To        []EnvelopeAddress `json:"t,omitempty"`
	Cc        []EnvelopeAddress `json:"c,omitempty"`
	Bcc       []EnvelopeAddress `json:"b,omitempty"`
	InReplyTo string            `json:"i,omitempty"` // raw, with angle brackets
	MessageID string            `json:"m,omitempty"` // raw, with angle brackets
	// Blank marks the text fields that are present but empty, which ENVELOPE shows as "" and not as NIL.
	Blank BlankField `json:"k,omitempty"`
}

// BlankField is a set of text fields of an Envelope.
type BlankField uint8

// The text fields of an envelope. The values are stored.
const (
	BlankDate BlankField = 1 << iota
	BlankSubject
	BlankInReplyTo
	BlankMessageID
)

// SenderOrFrom is Sender with its default (RFC 3501 §7.4.2).
func (e *Envelope) SenderOrFrom() []EnvelopeAddress {
	if len(e.Sender) > 0 {
		return e.Sender
	}
	return e.From
}

// ReplyToOrFrom is ReplyTo with its default (RFC 3501 §7.4.2).
func (e *Envelope) ReplyToOrFrom() []EnvelopeAddress {
	if len(e.ReplyTo) > 0 {
		return e.ReplyTo
	}
	return e.From
}

// Time reads the Date field; false if it is no date.
func (e *Envelope) Time() (time.Time, bool) {
	date := e.Date
	if i := strings.IndexByte(date, '('); i > 0 {
		date = strings.TrimSpace(date[:i])
	}
	t, err := mail.ParseDate(date)
	return t, err == nil && t.Year() >= 0 && t.Year() <= 9999
}

// AppendEnvelope renders e as the value of ENVELOPE (RFC 9051 §7.5.2).
func AppendEnvelope(dst []byte, e *Envelope) []byte {
	dst = append(dst, '(')
	dst = appendPresent(dst, e.Date, e.Blank&BlankDate != 0)
	dst = appendPresent(append(dst, ' '), e.Subject, e.Blank&BlankSubject != 0)
	for _, list := range [...][]EnvelopeAddress{e.From, e.SenderOrFrom(), e.ReplyToOrFrom(), e.To, e.Cc, e.Bcc} {
		dst = appendAddresses(append(dst, ' '), list)
	}
	dst = appendPresent(append(dst, ' '), e.InReplyTo, e.Blank&BlankInReplyTo != 0)
	dst = appendPresent(append(dst, ' '), e.MessageID, e.Blank&BlankMessageID != 0)
	return append(dst, ')')
}

func appendAddresses(dst []byte, list []EnvelopeAddress) []byte {
	if len(list) == 0 {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for _, a := range list {
		dst = appendNString(append(dst, '('), a.Name)
		dst = appendNString(append(dst, ' '), a.Route)
		dst = append(dst, ' ')
		switch a.Kind {
		case GroupBegin: // (NIL NIL "name" NIL)
			dst = append(appendString(dst, a.Mailbox), " NIL"...)
		case GroupEnd: // (NIL NIL NIL NIL)
			dst = append(dst, "NIL NIL"...)
		default: // NIL would make a group of it, so what is missing is ""
			dst = appendString(append(appendString(dst, a.Mailbox), ' '), a.Host)
		}
		dst = append(dst, ')')
	}
	return append(dst, ')')
}

func appendPresent(dst []byte, s string, blank bool) []byte {
	if blank {
		return appendString(dst, s)
	}
	return appendNString(dst, s)
}

// appendNString renders s, NIL if it is empty.
func appendNString(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "NIL"...)
	}
	return appendString(dst, s)
}

// appendString renders s as an IMAP string (RFC 9051 §4.3): quoted if it is printable ASCII, else a literal. NUL, which no
// string may hold, is left out.
func appendString(dst []byte, s string) []byte {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	start := len(dst)
	dst = append(dst, '"')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x7f {
			dst = append(dst[:start], '{')
			dst = strconv.AppendInt(dst, int64(len(s)), 10)
			dst = append(dst, "}\r\n"...)
			return append(dst, s...)
		}
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
