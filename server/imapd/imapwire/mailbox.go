package imapwire

import (
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
)

// inbox is the one name whose case does not matter (RFC 9051 §5.1).
const inbox = "INBOX"

// mailbox reads the name of one mailbox: UTF-8 of at most 255 bytes without control characters, INBOX in upper case.
func (p *parser) mailbox() string {
	name := p.name(p.astring())
	if name == "" {
		p.no(imap.ResponseCodeCannot, "Mailbox name is empty")
	}
	if strings.EqualFold(name, inbox) {
		return inbox
	}
	return name
}

// pattern reads a mailbox name with wildcards (RFC 9051 §6.3.9). It may be empty.
func (p *parser) pattern() string {
	if c := p.peek(); c == '"' || c == '{' {
		return p.name(p.string())
	}
	b := p.take(isListChar)
	if len(b) == 0 {
		p.bad("Mailbox pattern is missing")
	}
	return p.name(string(b))
}

// name decodes and checks a mailbox name or a part of one.
func (p *parser) name(wire string) string {
	if len(wire) > maxNameWire {
		p.no(imap.ResponseCodeCannot, "Mailbox name is too long")
		return ""
	}
	name, ok := wire, true
	if !p.utf8 {
		name, ok = DecodeUTF7(rawToUTF7(wire))
	}
	switch {
	case !ok:
		p.no(imap.ResponseCodeCannot, "Mailbox name is not valid modified UTF-7")
	case len(name) > maxName:
		p.no(imap.ResponseCodeCannot, "Mailbox name is too long")
	case !cleanName(name):
		p.no(imap.ResponseCodeCannot, "Mailbox name has characters that are not allowed")
	}
	return name
}

// rawToUTF7 encodes what stands in a name as UTF-8 although the client has not enabled that. Modified UTF-7 has no such octets, so
// nothing can be mistaken; clients send them that take the capability IMAP4rev2 for leave (go-imap's does), or know no better.
func rawToUTF7(wire string) string {
	ascii := func(r rune) bool { return r < utf8.RuneSelf }
	other := func(r rune) bool { return r >= utf8.RuneSelf }
	if !utf8.ValidString(wire) || strings.IndexFunc(wire, other) < 0 {
		return wire
	}
	var out strings.Builder
	for wire != "" {
		start := strings.IndexFunc(wire, other)
		if start < 0 {
			break
		}
		run := wire[start:]
		if end := strings.IndexFunc(run, ascii); end >= 0 {
			run = run[:end]
		}
		out.WriteString(wire[:start])
		out.WriteString(EncodeUTF7(run))
		wire = wire[start+len(run):]
	}
	out.WriteString(wire)
	return out.String()
}

// cleanName refuses what RFC 9051 §5.1 does not want in a name: control characters and line and paragraph separators.
func cleanName(name string) bool {
	if !utf8.ValidString(name) {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029
	}) < 0
}
