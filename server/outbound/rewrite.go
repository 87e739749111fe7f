package outbound

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// dateLayout is the date of a header field (RFC 5322 §3.3).
const dateLayout = "Mon, 2 Jan 2006 15:04:05 -0700"

// rewrite gives the header fields as they leave: our trace on top without the client's address (I-59); Date and Message-ID
// added when missing (RFC 6409 §8); gone are blind recipients, also of a resent message (RFC 5322 §3.6.3, §3.6.6), what only
// final delivery writes, and results in our own name (I-57). Everything else stays byte for byte.
func (s *Service) rewrite(e *Email, peer mail.Peer, env mail.Envelope, l *submitted) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Received: by %s with %s\r\n\tid %s;\r\n\t%s\r\n", s.cfg.Hostname, submissionProtocol(peer, env), e.ID, headerDate(e.CreatedAt))
	fresh := l.meta.Faults.Has(mime.FaultNoMessageID)
	e.MessageID = clip("<" + l.meta.MessageID() + ">")
	if fresh {
		e.MessageID = newMessageID(e.ID, cmp.Or(e.EnvelopeFrom.Domain, s.cfg.Hostname))
		fmt.Fprintf(&b, "Message-ID: %s\r\n", e.MessageID)
	}
	if l.meta.Faults.Has(mime.FaultNoDate) {
		fmt.Fprintf(&b, "Date: %s\r\n", headerDate(e.CreatedAt))
	}
	for i, f := range l.fields {
		switch name := strings.ToLower(f.Name); {
		case i == 0 && isFold(f.Raw): // it would continue the last field of ours
		case name == "bcc", name == "resent-bcc", name == "return-path", name == "delivered-to":
		case name == "message-id" && fresh:
		case name == "authentication-results" && strings.EqualFold(AuthservID(f.Value()), s.cfg.Hostname):
		default:
			b.Write(f.Raw)
		}
	}
	return b.Bytes()
}

// isFold reports whether a line begins with white space and so continues whatever stands before it.
func isFold(line []byte) bool { return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') }

func headerDate(t time.Time) string { return t.Format(dateLayout) }

// submissionProtocol is the "with" of RFC 3848 and RFC 6531 §4.3.
func submissionProtocol(peer mail.Peer, env mail.Envelope) string {
	name := "ESMTP"
	if env.UTF8 {
		name = "UTF8SMTP"
	}
	if peer.TLS != "" {
		name += "S"
	}
	return name + "A"
}

// AuthservID gives the authserv-id of an Authentication-Results field's value, in lower case (RFC 8601 §2.2): comments left
// out, quotes and backslashes removed, up to the version or the semicolon. A value without one gives "".
func AuthservID(value string) string {
	var out strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\':
			if i++; i < len(value) && depth == 0 {
				out.WriteByte(value[i])
			}
		case depth > 0:
			depth += nesting(c)
		case c == '"':
			quoted = !quoted
		case quoted:
			out.WriteByte(c)
		case c == '(':
			depth = 1
			out.WriteByte(' ') // a comment separates words
		case c == ';':
			return firstWord(out.String())
		default:
			out.WriteByte(c)
		}
	}
	return firstWord(out.String())
}

func nesting(c byte) int {
	switch c {
	case '(':
		return 1
	case ')':
		return -1
	}
	return 0
}

func firstWord(s string) string {
	words := strings.Fields(s)
	if len(words) == 0 {
		return ""
	}
	return strings.ToLower(words[0])
}
