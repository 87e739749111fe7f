package imapd

import (
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// tri is what is known of a message: the lowest of several counts for "and", the highest for "or".
type tri int8

const (
	triNo tri = iota - 1
	triMaybe
	triYes
)

func verdict(b bool) tri {
	if b {
		return triYes
	}
	return triNo
}

// level is how much of a message has been looked at.
type level int8

const (
	levelView     level = iota // number, UID, flags
	levelRow                   // date and size
	levelEnvelope              // the fields that ENVELOPE shows
	levelHeader                // the header in the file
	levelText                  // the text in the file
)

// key is a search key, asked about a message of which so much is known.
type key func(m *candidate, at level) tri

// query is a SEARCH at work.
type query struct {
	c       *conn
	view    *mailbox.View
	now     time.Time
	deepest level // that any key needs
	unknown bool  // a key belongs to an extension that is not offered
	folder  folder
}

// leaf is a key that can be answered from a level on.
func (q *query) leaf(needs level, match func(*candidate) bool) key {
	q.deepest = max(q.deepest, needs)
	return func(m *candidate, at level) tri {
		if at < needs {
			return triMaybe
		}
		return verdict(match(m))
	}
}

// compile joins the criteria, all of which have to match; cheap ones come first.
func (q *query) compile(c *imapwire.Criteria) key {
	q.unknown = q.unknown || len(c.EmailID)+len(c.ThreadID) > 0 || c.ModSeq != nil
	var keys []key
	keys = append(keys, q.sets(c)...)
	keys = append(keys, q.flags(c)...)
	keys = append(keys, q.columns(c)...)
	keys = append(keys, q.sent(c)...)
	keys = append(keys, q.headers(c.Header)...)
	for i := range c.Not {
		not := q.compile(&c.Not[i])
		keys = append(keys, func(m *candidate, at level) tri { return -not(m, at) })
	}
	for i := range c.Or {
		a, b := q.compile(&c.Or[i][0]), q.compile(&c.Or[i][1])
		keys = append(keys, func(m *candidate, at level) tri {
			if first := a(m, at); first == triYes {
				return triYes
			} else {
				return max(first, b(m, at))
			}
		})
	}
	keys = append(keys, q.texts(c)...)
	return func(m *candidate, at level) tri {
		all := triYes
		for _, k := range keys {
			if all = min(all, k(m, at)); all == triNo {
				break
			}
		}
		return all
	}
}

// sets are numbers and UIDs. In a search, numbers that no message has match nothing.
func (q *query) sets(c *imapwire.Criteria) []key {
	var keys []key
	for _, set := range c.SeqNum {
		n := uint32(q.view.Len())
		ranges := make(mailbox.UIDRanges, 0, len(set))
		for _, r := range set {
			ranges = append(ranges, mailbox.UIDRange{First: star(r.Start, n), Last: star(r.Stop, n)})
		}
		ranges = ranges.Normal()
		keys = append(keys, q.leaf(levelView, func(m *candidate) bool { return ranges.Has(uint32(m.i) + 1) }))
	}
	for _, set := range c.UID {
		found, _ := q.c.sel.messages(set)
		ranges := found.uids(q.view)
		keys = append(keys, q.leaf(levelView, func(m *candidate) bool { return ranges.Has(m.e.UID) }))
	}
	return keys
}

// flags are the flags that a message must and must not have. A flag that the mailbox does not know is on no message; so is \Recent,
// whose keys are still asked for (RFC 9051 has left it out).
func (q *query) flags(c *imapwire.Criteria) []key {
	var need, lack mail.FlagSet
	never := false
	for _, f := range c.Flag {
		bits := bitsOf([]mail.Flag{mail.Flag(f)}, q.view.Keywords())
		never = never || bits == 0
		need |= bits
	}
	for _, f := range c.NotFlag {
		lack |= bitsOf([]mail.Flag{mail.Flag(f)}, q.view.Keywords())
	}
	if need == 0 && lack == 0 && !never {
		return nil
	}
	return []key{q.leaf(levelView, func(m *candidate) bool { return !never && m.e.Flags.Has(need) && m.e.Flags&lack == 0 })}
}

// columns are the date of arrival and the size.
func (q *query) columns(c *imapwire.Criteria) []key {
	var keys []key
	add := func(asked bool, match func(row *mailbox.Row) bool) {
		if asked {
			keys = append(keys, q.leaf(levelRow, func(m *candidate) bool { return match(m.row) }))
		}
	}
	add(!c.Since.IsZero(), func(row *mailbox.Row) bool { return !row.InternalDate.Before(c.Since) })
	add(!c.Before.IsZero(), func(row *mailbox.Row) bool { return row.InternalDate.Before(c.Before) })
	add(c.Older > 0, func(row *mailbox.Row) bool { return !row.InternalDate.After(q.now.Add(-seconds(c.Older))) })
	add(c.Younger > 0, func(row *mailbox.Row) bool { return !row.InternalDate.Before(q.now.Add(-seconds(c.Younger))) })
	add(c.Larger > 0, func(row *mailbox.Row) bool { return row.Size > c.Larger })
	add(c.Smaller > 0, func(row *mailbox.Row) bool { return row.Size < c.Smaller })
	return keys
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// sent is the Date field: the day as the sender wrote it, whatever the hour and zone (RFC 9051 §6.4.4).
func (q *query) sent(c *imapwire.Criteria) []key {
	if c.SentSince.IsZero() && c.SentBefore.IsZero() {
		return nil
	}
	return []key{q.leaf(levelEnvelope, func(m *candidate) bool {
		day, known := m.sentDay()
		switch {
		case !known:
			return false
		case !c.SentSince.IsZero() && day.Before(c.SentSince):
			return false
		}
		return c.SentBefore.IsZero() || day.Before(c.SentBefore)
	})}
}

// headers are the keys of header fields. What ENVELOPE shows is taken from it, as RFC 9051 §6.4.4 says of FROM, SUBJECT and their
// like; an empty value asks whether the field is there at all, which only the header can tell.
func (q *query) headers(list []imap.SearchCriteriaHeaderField) []key {
	var keys []key
	for _, h := range list {
		name, needle := h.Key, q.folder.fold(h.Value)
		if shown := envelopePlace(name); shown >= 0 && needle != "" {
			keys = append(keys, q.leaf(levelEnvelope, func(m *candidate) bool { return m.envelopeHas(shown, needle) }))
			continue
		}
		keys = append(keys, q.leaf(levelHeader, func(m *candidate) bool { return m.headerHas(name, needle) }))
	}
	return keys
}

// texts are BODY and TEXT: the text of all text parts, decoded; TEXT also the whole header.
func (q *query) texts(c *imapwire.Criteria) []key {
	var keys []key
	for _, s := range c.Body {
		needle := q.folder.fold(s)
		keys = append(keys, q.leaf(levelText, func(m *candidate) bool { return m.textHas(needle) }))
	}
	for _, s := range c.Text {
		needle := q.folder.fold(s)
		header := q.leaf(levelHeader, func(m *candidate) bool { return m.headerHas("", needle) })
		text := q.leaf(levelText, func(m *candidate) bool { return m.textHas(needle) })
		keys = append(keys, func(m *candidate, at level) tri {
			if first := header(m, at); first == triYes {
				return triYes
			}
			return text(m, at)
		})
	}
	return keys
}
