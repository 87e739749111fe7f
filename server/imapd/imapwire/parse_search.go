package imapwire

import (
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// flagRecent is gone from RFC 9051, but its search keys are still asked for.
const flagRecent imap.Flag = "\\Recent"

// flagKey is a search key that asks for flags to be set or not.
type flagKey struct {
	set, unset imap.Flag
}

//nolint:gochecknoglobals // immutable table
var flagKeys = map[string]flagKey{
	"ANSWERED":   {set: imap.FlagAnswered},
	"DELETED":    {set: imap.FlagDeleted},
	"DRAFT":      {set: imap.FlagDraft},
	"FLAGGED":    {set: imap.FlagFlagged},
	"SEEN":       {set: imap.FlagSeen},
	"RECENT":     {set: flagRecent},
	"NEW":        {set: flagRecent, unset: imap.FlagSeen},
	"UNANSWERED": {unset: imap.FlagAnswered},
	"UNDELETED":  {unset: imap.FlagDeleted},
	"UNDRAFT":    {unset: imap.FlagDraft},
	"UNFLAGGED":  {unset: imap.FlagFlagged},
	"UNSEEN":     {unset: imap.FlagSeen},
	"OLD":        {unset: flagRecent},
}

// parseSearch reads SEARCH (RFC 9051 §6.4.4 and what RFC 3501 has besides).
func parseSearch(p *parser) any {
	p.sp()
	s := &Search{}
	if p.optionalWord("RETURN") {
		s.Extended = true
		p.sp()
		p.list(func() { p.searchReturn(&s.Return) })
		s.Return.ReturnAll = s.Return.ReturnAll || s.Return == (imap.SearchOptions{})
		p.sp()
	}
	if p.optionalWord("CHARSET") {
		p.sp()
		s.Charset = strings.ToUpper(p.astring())
		if s.Charset != "UTF-8" && s.Charset != "US-ASCII" && p.err == nil {
			p.no("BADCHARSET (UTF-8 US-ASCII)", "Charset is not known")
		}
		p.sp()
	}
	p.searchKey(s, &s.Criteria)
	for p.accept(' ') && p.pos < len(p.b) {
		p.searchKey(s, &s.Criteria)
	}
	return s
}

// optionalWord takes the word if it is the next one.
func (p *parser) optionalWord(word string) bool {
	n := span(p.b[p.pos:], isAtomChar)
	if !strings.EqualFold(string(p.b[p.pos:p.pos+n]), word) {
		return false
	}
	p.pos += n
	return true
}

func (p *parser) searchReturn(opt *imap.SearchOptions) {
	switch p.word() {
	case "MIN":
		opt.ReturnMin = true
	case "MAX":
		opt.ReturnMax = true
	case "ALL":
		opt.ReturnAll = true
	case "COUNT":
		opt.ReturnCount = true
	case "SAVE":
		opt.ReturnSave = true
	default:
		p.bad("Unknown return option")
	}
}

// searchKey reads one key and what belongs to it, and adds it to the criteria.
func (p *parser) searchKey(s *Search, c *Criteria) {
	if p.keys++; p.keys > p.lim.SearchKeys {
		p.fail(tooMuch("Too many search keys"))
		return
	}
	switch next := p.peek(); {
	case next == '(':
		p.searchList(s, c)
		return
	case isDigit(next), next == '*', next == '$':
		p.addSet(c, false)
		return
	}
	name := p.word()
	switch {
	case p.flagSearchKey(c, name), p.textKey(c, name), p.dateKey(c, name), p.valueKey(s, c, name), p.logicKey(s, c, name):
	default:
		p.bad("Unknown search key")
	}
}

// searchList reads keys in parentheses, which are as many more keys that have to match.
func (p *parser) searchList(s *Search, c *Criteria) {
	count := p.keys
	p.list(func() { p.searchKey(s, c) })
	if p.keys == count {
		p.bad("Search key is missing")
	}
}

func (p *parser) addSet(c *Criteria, uid bool) {
	switch set := p.numSet(uid).(type) {
	case imap.UIDSet:
		c.UID = append(c.UID, set)
	case imap.SeqSet:
		c.SeqNum = append(c.SeqNum, set)
	}
}

func (p *parser) flagSearchKey(c *Criteria, name string) bool {
	key, ok := flagKeys[name]
	switch name {
	case "KEYWORD":
		p.sp()
		key, ok = flagKey{set: p.flag()}, true
	case "UNKEYWORD":
		p.sp()
		key, ok = flagKey{unset: p.flag()}, true
	case "ALL":
		return true
	}
	if key.set != "" {
		c.Flag = append(c.Flag, key.set)
	}
	if key.unset != "" {
		c.NotFlag = append(c.NotFlag, key.unset)
	}
	return ok
}

func (p *parser) textKey(c *Criteria, name string) bool {
	switch name {
	case "BODY":
		p.sp()
		c.Body = append(c.Body, p.astring())
	case "TEXT":
		p.sp()
		c.Text = append(c.Text, p.astring())
	case "FROM", "TO", "CC", "BCC", "SUBJECT":
		p.addHeader(c, name[:1]+strings.ToLower(name[1:]))
	case "HEADER":
		p.sp()
		p.addHeader(c, p.astring())
	case "EMAILID":
		p.sp()
		c.EmailID = append(c.EmailID, p.astring())
	case "THREADID":
		p.sp()
		c.ThreadID = append(c.ThreadID, p.astring())
	default:
		return false
	}
	return true
}

func (p *parser) addHeader(c *Criteria, key string) {
	p.sp()
	c.Header = append(c.Header, imap.SearchCriteriaHeaderField{Key: key, Value: p.astring()})
}

func (p *parser) dateKey(c *Criteria, name string) bool {
	since, before := &c.Since, &c.Before
	if sent, ok := strings.CutPrefix(name, "SENT"); ok {
		name, since, before = sent, &c.SentSince, &c.SentBefore
	}
	switch name {
	case "SINCE":
		p.sp()
		notBefore(since, p.date())
	case "BEFORE":
		p.sp()
		notAfter(before, p.date())
	case "ON":
		p.sp()
		day := p.date()
		notBefore(since, day)
		notAfter(before, day.AddDate(0, 0, 1))
	default:
		return false
	}
	return true
}

func notBefore(field *time.Time, t time.Time) {
	if t.After(*field) {
		*field = t
	}
}

func notAfter(field *time.Time, t time.Time) {
	if field.IsZero() || t.Before(*field) {
		*field = t
	}
}

// valueKey reads the keys with a number or a set.
func (p *parser) valueKey(s *Search, c *Criteria, name string) bool {
	switch name {
	case "LARGER":
		p.sp()
		c.addLarger(p.num64())
	case "SMALLER":
		p.sp()
		c.addSmaller(p.num64())
	case "OLDER":
		p.sp()
		c.Older = max(c.Older, p.nz())
	case "YOUNGER":
		p.sp()
		if n := p.nz(); c.Younger == 0 || n < c.Younger {
			c.Younger = n
		}
	case "UID":
		p.sp()
		p.addSet(c, true)
	case "MODSEQ":
		p.sp()
		s.ModSeq = true
		p.modSeqKey(c)
	default:
		return false
	}
	return true
}

// addLarger says "larger than 0" as "not smaller than 1", because a field of 0 is one that was not asked for.
func (c *Criteria) addLarger(n int64) {
	if n == 0 {
		c.Not = append(c.Not, Criteria{Smaller: 1})
		return
	}
	c.Larger = max(c.Larger, n)
}

// addSmaller says "smaller than 0" as "not everything".
func (c *Criteria) addSmaller(n int64) {
	if n == 0 {
		c.Not = append(c.Not, Criteria{})
		return
	}
	if c.Smaller == 0 || n < c.Smaller {
		c.Smaller = n
	}
}

// modSeqKey reads MODSEQ with the name and type of the entry that nobody uses (RFC 7162 §3.1.5). Of two keys the higher counts.
func (p *parser) modSeqKey(c *Criteria) {
	key := &imap.SearchCriteriaModSeq{}
	if p.peek() == '"' {
		key.MetadataName = p.string()
		p.sp()
		key.MetadataType = imap.SearchCriteriaMetadataType(strings.ToLower(p.atom()))
		switch key.MetadataType {
		case imap.SearchCriteriaMetadataAll, imap.SearchCriteriaMetadataPrivate, imap.SearchCriteriaMetadataShared:
		default:
			p.bad("Bad entry type of MODSEQ")
		}
		p.sp()
	}
	key.ModSeq = uint64(p.num64())
	if c.ModSeq == nil || c.ModSeq.ModSeq < key.ModSeq {
		c.ModSeq = key
	}
}

func (p *parser) logicKey(s *Search, c *Criteria, name string) bool {
	p.enter()
	defer p.leave()
	switch name {
	case "NOT":
		p.sp()
		var not Criteria
		p.searchKey(s, &not)
		c.Not = append(c.Not, not)
	case "OR":
		var or [2]Criteria
		p.sp()
		p.searchKey(s, &or[0])
		p.sp()
		p.searchKey(s, &or[1])
		c.Or = append(c.Or, or)
	default:
		return false
	}
	return true
}
