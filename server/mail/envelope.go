package mail

import (
	"net/netip"
	"time"
)

// Envelope is what SMTP says about a message, apart from the message (RFC 5321 §2.3.1).
type Envelope struct {
	From       Address   // null for bounces
	Recipients []Address // as given, at least one when a body follows
	UTF8       bool      // SMTPUTF8 was asked for (RFC 6531)
	Body8Bit   bool      // BODY=8BITMIME (RFC 6152)
}

// Peer is the other side of an SMTP session, as far as it concerns a message's trace.
type Peer struct {
	Addr    netip.Addr // client address
	Helo    string     // name given in EHLO, unverified
	TLS     string     // "TLS1.3 TLS_AES_128_GCM_SHA256"; empty in clear
	ESMTP   bool       // EHLO rather than HELO
	User    UserID     // authenticated submitter, or zero
	Session string     // connection id, for the log and for replies
	At      time.Time  // when the message began
}
