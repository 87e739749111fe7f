package imapwire

import "github.com/emersion/go-imap/v2"

// parseLsub reads LSUB (RFC 3501 §6.3.9), which is a LIST of subscribed names under an older name.
func parseLsub(p *parser) any {
	p.sp()
	l := &List{Reference: p.name(p.astring())}
	p.sp()
	l.Patterns = []string{p.pattern()}
	return l
}

// parseList reads LIST in the basic and the extended form (RFC 9051 §6.3.9, RFC 5258 §6).
func parseList(p *parser) any {
	p.sp()
	l := &List{}
	if p.peek() == '(' {
		l.Extended = true
		p.list(func() { p.listSelect(&l.Options) })
		p.sp()
	}
	l.Reference = p.name(p.astring())
	p.sp()
	p.listPatterns(l)
	if p.accept(' ') && p.pos < len(p.b) {
		l.Extended = true
		if p.word() != "RETURN" {
			p.bad("Unknown argument of LIST")
		}
		p.sp()
		p.list(func() { p.listReturn(l) })
	}
	if l.Options.SelectRecursiveMatch && !l.Options.SelectSubscribed && !l.Options.SelectSpecialUse {
		p.bad("RECURSIVEMATCH needs another selection option")
	}
	return l
}

func (p *parser) listPatterns(l *List) {
	if p.peek() != '(' {
		l.Patterns = []string{p.pattern()}
		return
	}
	l.Extended = true
	p.list(func() {
		if l.Patterns = append(l.Patterns, p.pattern()); len(l.Patterns) > maxPatterns {
			p.fail(tooMuch("Too many patterns"))
		}
	})
	if len(l.Patterns) == 0 {
		p.bad("Mailbox pattern is missing")
	}
}

func (p *parser) listSelect(opt *imap.ListOptions) {
	switch p.word() {
	case "SUBSCRIBED":
		opt.SelectSubscribed = true
	case "REMOTE":
		opt.SelectRemote = true
	case "RECURSIVEMATCH":
		opt.SelectRecursiveMatch = true
	case "SPECIAL-USE":
		opt.SelectSpecialUse = true
	default:
		p.bad("Unknown selection option")
	}
}

func (p *parser) listReturn(l *List) {
	switch p.word() {
	case "SUBSCRIBED":
		l.Options.ReturnSubscribed = true
	case "CHILDREN":
		l.Options.ReturnChildren = true
	case "SPECIAL-USE":
		l.Options.ReturnSpecialUse = true
	case "STATUS":
		p.sp()
		l.Options.ReturnStatus = &imap.StatusOptions{}
		l.ExtraStatus = p.statusItems(l.Options.ReturnStatus)
	default:
		p.bad("Unknown return option")
	}
}
