package inbound

import (
	"strings"

	"github.com/mailserver-dev/mailserver/server/account"
	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

const (
	// maxDropped is how many fields are taken out of one letter; more are no accident, and the letter is refused.
	maxDropped = 1000
	// maxDelivered is how many Delivered-To fields are looked at.
	maxDelivered = 1000
)

// letter is an arriving message between its last byte and its filing.
type letter struct {
	id    mail.EventID // names it in logs, in Received and in the reply, and is the id of its first event
	peer  mail.Peer
	env   mail.Envelope
	spool *body.Spool
	meta  *mime.Message
	parts []body.Source // its bytes without what must not be believed
}

// examine reads the letter once and gathers the facts. It leaves out what only we may write: results in our own name (I-57) and
// Return-Path (RFC 5321 §4.4); and a first line that begins with white space, which would continue the last field of ours.
func (s *Service) examine(l *letter) (Facts, error) {
	meta, err := mime.Scan(l.spool, l.spool.Size())
	if err != nil {
		return Facts{}, err
	}
	facts := Facts{FromFields: 1, FromAddresses: len(meta.Envelope.From), Received: meta.Received, MaxHops: s.cfg.MaxHops}
	if meta.Faults.Has(mime.FaultNoFrom) {
		facts.FromFields = 0
	}
	if meta.Faults.Has(mime.FaultSeveralFrom) {
		facts.FromFields = 2
	}
	if meta.Faults.Has(mime.FaultFromNoAddress) {
		facts.FromAddresses = 0
	}
	names := l.names()
	dropped, delivered, from := 0, 0, int64(0)
	err = eachField(l.spool, meta.Root.BodyStart, wanted, func(f headerField) {
		if f.name == "delivered-to" && f.whole && delivered < maxDelivered {
			delivered++
			facts.DeliveredHere = facts.DeliveredHere || names[foldText(f.value())]
		}
		if dropped >= maxDropped || !s.unbelievable(f) {
			return
		}
		dropped++
		if f.start > from {
			l.parts = append(l.parts, body.Section(l.spool, from, f.start))
		}
		from = f.end
	})
	if err != nil {
		return Facts{}, err
	}
	if dropped >= maxDropped {
		return Facts{}, fault.New(fault.Invalid, "message-rejected", "too many trace fields")
	}
	l.parts, l.meta = append(l.parts, body.Section(l.spool, from, l.spool.Size())), meta
	if dropped == 0 {
		return facts, nil
	}
	joined := join(l.parts) // the offsets have moved
	l.meta, err = mime.Scan(joined, joined.size())
	return facts, err
}

// wanted names the fields whose value examine looks at.
func wanted(name string) bool { return name == "authentication-results" || name == "delivered-to" }

func (s *Service) unbelievable(f headerField) bool {
	switch f.name {
	case "return-path":
		return true
	case "authentication-results":
		return !f.whole || strings.EqualFold(outbound.AuthservID(f.value()), s.cfg.Hostname)
	}
	return f.fold
}

// names are the recipients, folded. A Delivered-To with one of them means that the letter has been here before.
func (l *letter) names() map[string]bool {
	out := make(map[string]bool, len(l.env.Recipients))
	for _, to := range l.env.Recipients {
		out[account.Fold(to)] = true
	}
	return out
}

// foldText gives an address of a header field in the form of names, or "" for what is none.
func foldText(value string) string {
	a, err := mail.ParseAddress(strings.TrimSpace(value))
	if err != nil {
		return ""
	}
	return account.Fold(a)
}
