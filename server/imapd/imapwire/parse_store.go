package imapwire

import (
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// parseExpunge reads EXPUNGE and UID EXPUNGE, whose set cannot be the marker of another kind of number (RFC 4315 §2.1).
func parseExpunge(p *parser) any {
	if !p.uid {
		return nil
	}
	p.sp()
	set, _ := p.numSet(true).(imap.UIDSet)
	return &Expunge{UIDs: set}
}

// parseCopy reads COPY and MOVE.
func parseCopy(p *parser) any {
	p.sp()
	c := &Copy{Set: p.numSet(p.uid)}
	p.sp()
	c.Mailbox = p.mailbox()
	return c
}

// parseStore reads STORE with the modifier UNCHANGEDSINCE (RFC 9051 §6.4.6, RFC 7162 §3.1.3).
func parseStore(p *parser) any {
	p.sp()
	s := &Store{Set: p.numSet(p.uid)}
	p.sp()
	if p.peek() == '(' {
		s.UnchangedSince = p.storeModifiers()
		p.sp()
	}
	switch {
	case p.accept('+'):
		s.Flags.Op = imap.StoreFlagsAdd
	case p.accept('-'):
		s.Flags.Op = imap.StoreFlagsDel
	}
	switch p.word() {
	case "FLAGS":
	case "FLAGS.SILENT":
		s.Flags.Silent = true
	default:
		p.bad("Unknown item of STORE")
	}
	p.sp()
	s.Flags.Flags = p.storeFlags()
	return s
}

// storeFlags reads the flags with or without parentheses.
func (p *parser) storeFlags() []imap.Flag {
	if p.peek() == '(' {
		return p.flagList()
	}
	flags := []imap.Flag{p.flag()}
	for p.accept(' ') && p.pos < len(p.b) {
		flags = append(flags, p.flag())
	}
	return flags
}

func (p *parser) storeModifiers() *uint64 {
	var since *uint64
	for _, param := range p.params() {
		n, ok := modSeq(param)
		if param.Name != "UNCHANGEDSINCE" || !ok {
			p.bad("Unknown modifier of STORE")
			return nil
		}
		since = &n
	}
	return since
}

// modSeq is the value of a modifier that takes a mod-sequence: a number of 63 bits (RFC 7162 §7).
func modSeq(param Param) (uint64, bool) {
	if param.Value == nil || param.Value.IsList || strings.HasPrefix(param.Value.Text, "+") {
		return 0, false
	}
	n, err := strconv.ParseUint(param.Value.Text, 10, 63)
	return n, err == nil
}
