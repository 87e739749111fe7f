package imapwire

import (
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

func parseMailbox(p *parser) any {
	p.sp()
	return &Mailbox{Mailbox: p.mailbox()}
}

func parseRename(p *parser) any {
	p.sp()
	r := &Rename{From: p.mailbox()}
	p.sp()
	r.To = p.mailbox()
	return r
}

// parseSelect reads SELECT and EXAMINE with select-params (RFC 4466 §2.4).
func parseSelect(p *parser) any {
	p.sp()
	s := &Select{Mailbox: p.mailbox()}
	if p.accept(' ') && p.peek() == '(' {
		s.Params = p.params()
	}
	return s
}

// parseCreate reads CREATE with the parameter USE (RFC 6154 §3).
func parseCreate(p *parser) any {
	p.sp()
	c := &Create{Mailbox: p.mailbox()}
	if !p.accept(' ') || p.peek() != '(' {
		return c
	}
	p.list(func() {
		if p.word() != "USE" {
			p.bad("Unknown parameter of CREATE")
			return
		}
		p.sp()
		p.list(func() {
			p.expect('\\', "Special use is missing")
			c.SpecialUse = append(c.SpecialUse, specialUse(p.atom()))
		})
	})
	return c
}

func specialUse(name string) imap.MailboxAttr {
	for _, attr := range []imap.MailboxAttr{
		imap.MailboxAttrAll, imap.MailboxAttrArchive, imap.MailboxAttrDrafts, imap.MailboxAttrFlagged,
		imap.MailboxAttrJunk, imap.MailboxAttrSent, imap.MailboxAttrTrash, imap.MailboxAttrImportant,
	} {
		if strings.EqualFold(string(attr[1:]), name) {
			return attr
		}
	}
	return imap.MailboxAttr("\\" + name)
}

func parseStatus(p *parser) any {
	p.sp()
	s := &Status{Mailbox: p.mailbox()}
	p.sp()
	s.Extra = p.statusItems(&s.Options)
	return s
}

// statusItems reads a list of STATUS items and returns those without a field.
func (p *parser) statusItems(opt *imap.StatusOptions) []string {
	var extra []string
	count := 0
	p.list(func() {
		name := p.word()
		count++
		if field := statusField(opt, name); field != nil {
			*field = true
		} else if extra = append(extra, name); len(extra) > maxPatterns {
			p.fail(tooMuch("Too many items"))
		}
	})
	if count == 0 {
		p.bad("Item is missing")
	}
	return extra
}

func statusField(opt *imap.StatusOptions, name string) *bool {
	switch name {
	case "MESSAGES":
		return &opt.NumMessages
	case "RECENT":
		return &opt.NumRecent
	case "UIDNEXT":
		return &opt.UIDNext
	case "UIDVALIDITY":
		return &opt.UIDValidity
	case "UNSEEN":
		return &opt.NumUnseen
	case "DELETED":
		return &opt.NumDeleted
	case "SIZE":
		return &opt.Size
	case "APPENDLIMIT":
		return &opt.AppendLimit
	case "DELETED-STORAGE":
		return &opt.DeletedStorage
	case "HIGHESTMODSEQ":
		return &opt.HighestModSeq
	}
	return nil
}

// parseAppendLine is an APPEND whose line ended before a message was announced.
func parseAppendLine(p *parser) any {
	p.bad("Message literal is missing")
	return nil
}

// parseAppend reads APPEND up to its literal (RFC 9051 §6.3.12, RFC 6855 §4).
func parseAppend(p *parser) *Append {
	p.sp()
	a := &Append{Mailbox: p.mailbox()}
	p.sp()
	if p.peek() == '(' {
		a.Flags = p.flagList()
		p.sp()
	}
	if p.peek() == '"' {
		a.Time = p.appendTime()
		p.sp()
	}
	if p.peek() == 'U' || p.peek() == 'u' {
		a.UTF8 = p.word() == "UTF8"
		p.sp()
		p.expect('(', "Message literal is missing")
	}
	a.Binary = p.accept('~')
	if p.pos < len(p.b) || a.UTF8 && !a.Binary {
		p.bad("Message literal is missing")
	}
	return a
}

// appendTime keeps years that can be written again.
func (p *parser) appendTime() time.Time {
	t := p.dateTime()
	if t.Year() < 1 {
		p.bad("Bad date and time")
	}
	return t
}

// params reads a list of names with optional values (RFC 4466 §2.1). A value is a number, a message set or a list, so that a name
// is never taken for the value of the one before.
func (p *parser) params() []Param {
	var params []Param
	p.list(func() {
		param := Param{Name: p.word()}
		if p.pos+1 < len(p.b) && p.peek() == ' ' && startsValue(p.b[p.pos+1]) {
			p.pos++
			v := p.value()
			param.Value = &v
		}
		params = append(params, param)
	})
	if len(params) == 0 {
		p.bad("Parameter is missing")
	}
	return params
}

func startsValue(c byte) bool { return isSetChar(c) || c == '(' || c == '$' || c == '"' || c == '{' }

func (p *parser) value() Value {
	switch p.peek() {
	case '(':
		v := Value{IsList: true}
		p.list(func() { v.List = append(v.List, p.value()) })
		return v
	case '"', '{':
		return Value{Text: p.string()}
	}
	b := p.take(func(c byte) bool { return isAtomChar(c) || c == '*' })
	if len(b) == 0 {
		p.bad("Value is missing")
	}
	return Value{Text: string(b)}
}
