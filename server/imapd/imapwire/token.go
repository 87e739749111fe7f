package imapwire

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
)

// parser reads the arguments of one command out of memory. The first error sticks and moves the position to the end, so that
// every loop that goes on while there is input stops.
type parser struct {
	b     []byte
	pos   int
	lits  []int
	lim   Limits
	utf8  bool
	uid   bool
	depth int
	keys  int
	err   *Error
}

func (p *parser) fail(e *Error) {
	if p.err == nil {
		p.err = e
	}
	p.pos = len(p.b)
}

func (p *parser) bad(text string) { p.fail(bad(text)) }

func (p *parser) no(code imap.ResponseCode, text string) {
	p.fail(&Error{Status: imap.StatusResponseTypeNo, Code: code, Text: text})
}

// peek gives the next byte, or 0 at the end: a 0 in the input is no start of any token.
func (p *parser) peek() byte {
	if p.pos >= len(p.b) {
		return 0
	}
	return p.b[p.pos]
}

func (p *parser) accept(c byte) bool {
	if p.pos >= len(p.b) || p.b[p.pos] != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) expect(c byte, text string) {
	if !p.accept(c) {
		p.bad(text)
	}
}

func (p *parser) sp() { p.expect(' ', "Space or argument is missing") }

// end takes the end of the command. Spaces in front of it are tolerated: some clients leave one.
func (p *parser) end() {
	for p.accept(' ') {
	}
	if p.pos < len(p.b) {
		p.bad("Unexpected text after the arguments")
	}
}

func (p *parser) take(is func(byte) bool) []byte {
	n := span(p.b[p.pos:], is)
	p.pos += n
	return p.b[p.pos-n : p.pos]
}

// atom reads one or more ATOM-CHARs.
func (p *parser) atom() string {
	b := p.take(isAtomChar)
	if len(b) == 0 {
		p.bad("Atom is missing")
	}
	return string(b)
}

// word reads an atom of the grammar in upper case.
func (p *parser) word() string { return strings.ToUpper(p.atom()) }

// astring is an atom that may hold "]", or a string.
func (p *parser) astring() string {
	if c := p.peek(); c == '"' || c == '{' {
		return p.string()
	}
	b := p.take(isAstringChar)
	if len(b) == 0 {
		p.bad("String is missing")
	}
	return string(b)
}

// string is a quoted string or a literal. It has to be UTF-8, whatever the session has enabled: a quoted string may say in UTF-8
// what RFC 3501 wants a literal for, because a client of RFC 9051 sends its password so before it can enable anything.
func (p *parser) string() string {
	var b []byte
	switch p.peek() {
	case '"':
		b = p.quoted()
	case '{':
		b = p.literal()
	default:
		p.bad("String is missing")
	}
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		p.bad("String is not valid UTF-8")
	}
	return string(b)
}

// nstring is a string or NIL.
func (p *parser) nstring() (text string, isNil bool) {
	if c := p.peek(); c == '"' || c == '{' {
		return p.string(), false
	}
	if !strings.EqualFold(string(p.take(isAtomChar)), "NIL") {
		p.bad("String or NIL is missing")
	}
	return "", true
}

func (p *parser) quoted() []byte {
	p.pos++
	start := p.pos
	var out []byte
	for p.pos < len(p.b) {
		switch p.b[p.pos] {
		case '"':
			out = append(out, p.b[start:p.pos]...)
			p.pos++
			return out
		case '\\':
			out = append(out, p.b[start:p.pos]...)
			p.pos++
			if c := p.peek(); c != '"' && c != '\\' {
				p.bad("Bad escape in a quoted string")
				return nil
			}
			start = p.pos
		case '\r':
			p.bad("Line break in a quoted string")
			return nil
		}
		p.pos++
	}
	p.bad("Quoted string does not end")
	return nil
}

// literal takes the bytes behind a marker. Braces in the middle of a line are no marker: only what the Reader read as a literal is
// one.
func (p *parser) literal() []byte {
	i := bytes.IndexByte(p.b[p.pos:], '}')
	if i < 0 {
		p.bad("Bad literal")
		return nil
	}
	digits, _ := cutLast(p.b[p.pos+1:p.pos+i], '+')
	start := p.pos + i + 1
	n := saturate(digits)
	if _, ok := slices.BinarySearch(p.lits, start); !ok || n > int64(len(p.b)-start) {
		p.bad("Bad literal")
		return nil
	}
	p.pos = start + int(n)
	return p.b[start:p.pos]
}

// list reads "(" [item *(SP item)] ")".
func (p *parser) list(item func()) {
	p.enter()
	defer p.leave()
	p.expect('(', "List is missing")
	if p.accept(')') {
		return
	}
	for p.err == nil {
		item()
		if !p.accept(' ') {
			p.expect(')', "List does not end")
			return
		}
	}
}

func (p *parser) enter() {
	if p.depth++; p.depth > p.lim.Depth {
		p.fail(tooMuch("Command is nested too deeply"))
	}
}

func (p *parser) leave() { p.depth-- }

// num64 is a number64 of RFC 9051 §9: up to 2^63-1.
func (p *parser) num64() int64 {
	digits := p.take(isDigit)
	n := saturate(digits)
	if len(digits) == 0 || n == math.MaxInt64 && string(digits) != "9223372036854775807" {
		p.bad("Number is missing or too large")
	}
	return n
}

// num is a number of 32 bits.
func (p *parser) num() uint32 {
	n := p.num64()
	if n > math.MaxUint32 {
		p.bad("Number is too large")
		return 0
	}
	return uint32(n)
}

// nz is an nz-number.
func (p *parser) nz() uint32 {
	if p.peek() == '0' {
		p.bad("Number must not start with 0")
	}
	return p.num()
}

// flag reads one flag and gives system flags their usual spelling. \Recent cannot be set by clients and is no flag here
// (RFC 3501 §2.3.2).
func (p *parser) flag() imap.Flag {
	start := p.pos
	system := p.accept('\\')
	name := p.atom()
	switch {
	case len(name) >= maxFlag:
		p.bad("Flag is too long")
	case system && strings.EqualFold(name, "Recent"):
		p.bad("\\Recent cannot be changed")
	case system:
		return systemFlag(name)
	}
	return imap.Flag(p.b[start:p.pos])
}

func systemFlag(name string) imap.Flag {
	for _, f := range []imap.Flag{imap.FlagSeen, imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagDraft} {
		if strings.EqualFold(string(f[1:]), name) {
			return f
		}
	}
	return imap.Flag("\\" + name)
}

func (p *parser) flagList() []imap.Flag {
	flags := []imap.Flag{}
	p.list(func() { flags = append(flags, p.flag()) })
	return flags
}

// date is a day in English, quoted or not (RFC 9051 §9, date).
func (p *parser) date() time.Time {
	quoted := p.accept('"')
	text := string(p.take(isDateChar))
	if quoted {
		p.expect('"', "Quoted date does not end")
	}
	t, err := time.Parse("2-Jan-2006", text)
	if err != nil {
		p.bad("Bad date")
	}
	return t
}

// dateTime is the quoted moment of APPEND (RFC 9051 §9, date-time).
func (p *parser) dateTime() time.Time {
	t, err := time.ParseInLocation("_2-Jan-2006 15:04:05 -0700", p.string(), time.UTC)
	if err != nil {
		p.bad("Bad date and time")
	}
	return t
}

func span(b []byte, is func(byte) bool) int {
	for i, c := range b {
		if !is(c) {
			return i
		}
	}
	return len(b)
}

// isAtomChar is ATOM-CHAR of RFC 9051 §9.
func isAtomChar(c byte) bool {
	switch c {
	case '(', ')', '{', '%', '*', '"', '\\', ']':
		return false
	}
	return c > ' ' && c < 0x7f
}

func isAstringChar(c byte) bool { return isAtomChar(c) || c == ']' }

func isTagChar(c byte) bool { return isAstringChar(c) && c != '+' }

func isListChar(c byte) bool { return isAstringChar(c) || c == '%' || c == '*' }

func isDateChar(c byte) bool { return isAtomChar(c) }
