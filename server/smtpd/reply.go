package smtpd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// The codes of errors that reading a body can end with. A flow may wrap them; the reply does not depend on it.
const (
	codeBareNewline   = "bare-newline"
	codeNUL           = "nul-in-message"
	codeLineTooLong   = "line-too-long"
	codeTooLarge      = "message-too-large"
	codeLost          = "connection-lost"
	codeTruncated     = "truncated-chunk"
	codeDataTimeout   = "data-timeout"
	codeDataSlow      = "data-too-slow"
	codeAborted       = "transaction-aborted"
	codeStopping      = "shutting-down"
	codeIdle          = "idle-timeout"
	codeSessionLife   = "session-expired"
	codeFlood         = "line-flood"
	codeBadLine       = "bad-command-line"
	codeWrongPassword = "authentication-failed"
)

// enhanced is short for the code of RFC 3463.
type enhanced = smtp.EnhancedCode

// stage is the command that an error answers; the same kind of error has different replies to AUTH and to RCPT.
type stage uint8

const (
	stageMail stage = iota
	stageRcpt
	stageData
	stageAuth
)

// answerTo is the only place where an error becomes a reply. It is always a bare *smtp.SMTPError, since go-smtp looks for
// nothing else and would make anything wrapped a 554 with its text (trap 1). Our own fault is never a 5xx; the id comes last,
// so that support finds the log line.
func answerTo(at stage, err error, id string) *smtp.SMTPError {
	var f *fault.Error
	if !errors.As(err, &f) {
		f = fault.Wrap(err, fault.Internal, "", "temporary failure")
	}
	code, enh := kindReply(at, f.Kind)
	if c, e, ok := wordReply(f.Code); ok && at != stageAuth && f.Kind != fault.Internal && (c < 500 || !ownFault(f.Kind)) {
		code, enh = c, e
	}
	text := cleanText(f.Text)
	switch {
	case at == stageAuth:
		text = authText(code)
	case code == 451 && enh == (enhanced{4, 3, 0}):
		text = "temporary failure"
	}
	return &smtp.SMTPError{Code: code, EnhancedCode: enh, Message: text + " " + id}
}

// ownFault reports whether a kind is our fault and not the sender's or the recipient's.
func ownFault(k fault.Kind) bool {
	return k == fault.Internal || k == fault.Unavailable || k == fault.Storage
}

// authText is the same for unknown user and wrong password (mail-rules S-21).
func authText(code int) string {
	if code == 535 {
		return "authentication failed"
	}
	return "temporary authentication failure, try later"
}

// kindReply gives the reply of a kind without a code of its own (RFC 5321 §4.2, RFC 3463, RFC 4954 §6).
func kindReply(at stage, k fault.Kind) (int, enhanced) {
	if at == stageAuth {
		if k.Temporary() {
			return 454, enhanced{4, 7, 0}
		}
		return 535, enhanced{5, 7, 8}
	}
	switch k {
	case fault.Invalid, fault.Malformed:
		return invalidReply(at)
	case fault.Unauthenticated:
		return 530, enhanced{5, 7, 0}
	case fault.Forbidden:
		return 550, enhanced{5, 7, 1}
	case fault.NotFound, fault.Gone:
		return 550, enhanced{5, 1, 1}
	case fault.TooLarge:
		return 552, enhanced{5, 3, 4}
	case fault.OverQuota:
		return 452, enhanced{4, 2, 2}
	case fault.Limited:
		return 450, enhanced{4, 7, 1}
	case fault.Storage:
		return 452, enhanced{4, 3, 1}
	case fault.Internal, fault.Unavailable, fault.Conflict, fault.Stale:
	}
	return 451, enhanced{4, 3, 0}
}

func invalidReply(at stage) (int, enhanced) {
	switch at {
	case stageMail:
		return 553, enhanced{5, 1, 7}
	case stageRcpt:
		return 553, enhanced{5, 1, 3}
	case stageData, stageAuth:
	}
	return 550, enhanced{5, 6, 0}
}

// wordReply gives the reply of an error's code, where the kind alone would not say enough (mail-rules §2.2).
func wordReply(word string) (int, enhanced, bool) {
	if code, enh, ok := bodyReply(word); ok {
		return code, enh, true
	}
	switch word {
	case "no-such-user":
		return 550, enhanced{5, 1, 1}, true // I-10
	case "relaying-denied", "sender-not-owned", "dmarc-rejected", "not-our-bounce", "not-accepted", "sieve-rejected":
		return 550, enhanced{5, 7, 1}, true // I-11, S-6, I-28, I-37, I-38, I-39
	case "domain-disabled", "recipient-flooded":
		return 450, enhanced{4, 2, 1}, true // I-12, I-23
	case "mailbox-disabled":
		return 550, enhanced{5, 2, 1}, true // I-13
	case "mailbox-full":
		return 452, enhanced{4, 2, 2}, true // I-16
	case "mailbox-full-for-days":
		return 552, enhanced{5, 2, 2}, true // I-16
	case "too-many-recipients":
		return 452, enhanced{4, 5, 3}, true // I-19, I-35
	case "greylisted":
		return 451, enhanced{4, 7, 1}, true // I-20
	case "rate-limited":
		return 450, enhanced{4, 7, 1}, true // I-22
	case "sender-domain-missing":
		return 550, enhanced{5, 1, 8}, true // I-24
	case "sender-domain-no-mail":
		return 550, enhanced{5, 7, 27}, true // I-25
	case "spf-failed":
		return 550, enhanced{5, 7, 23}, true // I-26
	case "spf-unavailable":
		return 451, enhanced{4, 7, 24}, true // I-27
	case "authentication-checks-failed":
		return 550, enhanced{5, 7, 26}, true // I-30
	case "dkim-key-unavailable":
		return 451, enhanced{4, 7, 5}, true // I-32
	case "dns-unavailable":
		return 451, enhanced{4, 4, 3}, true // I-24, I-45
	case "mail-loop":
		return 554, enhanced{5, 4, 6}, true // I-34
	case "message-rejected":
		return 550, enhanced{5, 6, 0}, true // I-46
	case "content-rejected":
		return 554, enhanced{5, 7, 1}, true // I-56
	case "tls-required":
		return 530, enhanced{5, 7, 0}, true // I-48
	case "utf8-required":
		return 553, enhanced{5, 6, 7}, true // RFC 6531 §3.5
	}
	return 0, enhanced{}, false
}

// bodyReply gives the replies to what reading a body can end with (I-18, I-33, I-52, I-55, L-5).
func bodyReply(word string) (int, enhanced, bool) {
	switch word {
	case codeBareNewline, codeNUL:
		return 550, enhanced{5, 6, 0}, true
	case codeLineTooLong:
		return 500, enhanced{5, 5, 2}, true
	case codeTooLarge:
		return 552, enhanced{5, 3, 4}, true
	case codeLost, codeTruncated, codeDataTimeout, codeDataSlow, codeFlood:
		return 451, enhanced{4, 4, 2}, true
	case codeStopping:
		return 421, enhanced{4, 3, 2}, true
	}
	return 0, enhanced{}, false
}

// maxReplyText keeps a reply line within the 512 octets of RFC 5321 §4.5.3.1.5 with its codes and id.
const maxReplyText = 420

// cleanText makes a text safe for a reply line: printable ASCII on one line, bounded.
func cleanText(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= maxReplyText {
			break
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// line prints a reply as one line.
func line(e *smtp.SMTPError) string {
	return fmt.Sprintf("%d %d.%d.%d %s\r\n", e.Code, e.EnhancedCode[0], e.EnhancedCode[1], e.EnhancedCode[2], e.Message)
}
