package inbound

import (
	"fmt"
	"strings"

	"github.com/mailserver-dev/mailserver/server/mail"
)

// maxTraceText bounds untrusted text in a trace field (mail-rules I-60).
const maxTraceText = 255

// traceText makes untrusted text safe for a header field: printable ASCII only, bounded.
func traceText(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= maxTraceText {
			break
		}
		if r > ' ' && r < 0x7f && !strings.ContainsRune("()<>;\\\"", r) {
			b.WriteRune(r)
		}
	}
	if b.Len() == 0 {
		return "unknown"
	}
	return b.String()
}

// received is the Received field of this hop (RFC 5321 §4.4, types of RFC 3848 and RFC 6531). "for" is given only when there
// is exactly one recipient, since it would show one blind-copied recipient to another (I-58).
func received(hostname string, peer mail.Peer, env mail.Envelope, id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Received: from %s (%s)\r\n\tby %s with %s", traceText(peer.Helo), addressLiteral(peer), hostname, protocolName(peer, env))
	if peer.TLS != "" {
		fmt.Fprintf(&b, " (%s)", traceTLS(peer.TLS))
	}
	fmt.Fprintf(&b, "\r\n\tid %s", id)
	if len(env.Recipients) == 1 {
		fmt.Fprintf(&b, " for <%s>", env.Recipients[0])
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", peer.At.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	return b.String()
}

func traceTLS(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		words[i] = traceText(w)
	}
	return strings.Join(words, " ")
}

// addressLiteral is the client's address as RFC 5321 §4.1.3 writes it.
func addressLiteral(peer mail.Peer) string {
	addr := peer.Addr.Unmap()
	switch {
	case !addr.IsValid():
		return "[unknown]"
	case addr.Is4():
		return "[" + addr.String() + "]"
	}
	return "[IPv6:" + addr.String() + "]"
}

func protocolName(peer mail.Peer, env mail.Envelope) string {
	if !peer.ESMTP && peer.TLS == "" {
		return "SMTP"
	}
	name := "ESMTP"
	if env.UTF8 {
		name = "UTF8SMTP"
	}
	if peer.TLS != "" {
		name += "S"
	}
	if !peer.User.IsZero() {
		name += "A"
	}
	return name
}

// finalFields are the fields that final delivery puts on top (RFC 5321 §4.4, RFC 9228).
func finalFields(from, to mail.Address) string {
	return fmt.Sprintf("Return-Path: <%s>\r\nDelivered-To: %s\r\n", from, to)
}

// authenticationResults says which checks were made. It is written for every arriving letter, also when none was made
// (RFC 8601 §2.2), so that a forged field further down can never be the first.
func authenticationResults(hostname string) string {
	return "Authentication-Results: " + hostname + "; none\r\n"
}
