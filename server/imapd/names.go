package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// separator stands between the levels of a name.
const separator = '/'

// matches reports whether a name fits a pattern of LIST: "*" is anything, "%" anything within a level (RFC 9051 §6.3.9). INBOX is
// the one name without case. The work is bounded by the product of both lengths.
func matches(pattern, name string) bool {
	if level, _, _ := strings.Cut(name, string(separator)); level == mailbox.Inbox {
		first, below, more := strings.Cut(pattern, string(separator))
		if first = strings.ToUpper(first); more {
			first += string(separator) + below
		}
		pattern = first
	}
	return wild(pattern, name)
}

// wild matches by the set of places in the name that the pattern read so far can end at.
func wild(pattern, name string) bool {
	at := make([]bool, len(name)+1)
	at[0] = true
	for i := range len(pattern) {
		switch c := pattern[i]; c {
		case '*', '%':
			for j := 1; j <= len(name); j++ {
				at[j] = at[j] || at[j-1] && (c == '*' || name[j-1] != separator)
			}
		default:
			for j := len(name); j > 0; j-- {
				at[j] = at[j-1] && name[j-1] == c
			}
			at[0] = false
		}
	}
	return at[len(name)]
}

// node is one name of the hierarchy: a mailbox, a name that is only subscribed to, or a level above one of these.
type node struct {
	name       string
	box        *mailbox.Mailbox // nil if there is none of this name
	subscribed bool
	children   bool // mailboxes below
}

// hierarchy is all names of an account in their order, with the levels that only exist because of what is below them.
func hierarchy(boxes []mailbox.Mailbox, subscribed []string) []node {
	have := map[string]*node{}
	at := func(name string) *node {
		n := have[name]
		if n == nil {
			n = &node{name: name}
			have[name] = n
		}
		return n
	}
	for i := range boxes {
		n := at(boxes[i].Name)
		n.box = &boxes[i]
		n.subscribed = n.subscribed || boxes[i].Subscribed
		for _, parent := range above(boxes[i].Name) {
			at(parent).children = true
		}
	}
	for _, name := range subscribed {
		at(name).subscribed = true
		for _, parent := range above(name) {
			at(parent)
		}
	}
	list := make([]node, 0, len(have))
	for _, n := range have {
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b node) int { return byName(a.name, b.name) })
	return list
}

// byName puts INBOX first and the rest in order of octets.
func byName(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == mailbox.Inbox:
		return -1
	case b == mailbox.Inbox:
		return 1
	}
	return strings.Compare(a, b)
}

// above gives the names above a name.
func above(name string) []string {
	var out []string
	for i := range len(name) {
		if name[i] == separator {
			out = append(out, name[:i])
		}
	}
	return out
}

// specialUse is the attribute of a role (RFC 6154 §2), "" for none.
func specialUse(role string) imap.MailboxAttr {
	switch role {
	case mailbox.RoleDrafts:
		return imap.MailboxAttrDrafts
	case mailbox.RoleSent:
		return imap.MailboxAttrSent
	case mailbox.RoleJunk:
		return imap.MailboxAttrJunk
	case mailbox.RoleTrash:
		return imap.MailboxAttrTrash
	case mailbox.RoleArchive:
		return imap.MailboxAttrArchive
	}
	return ""
}

// roleOf is the role of an attribute.
func roleOf(attr imap.MailboxAttr) (role string, found bool) {
	for _, role := range []string{mailbox.RoleDrafts, mailbox.RoleSent, mailbox.RoleJunk, mailbox.RoleTrash, mailbox.RoleArchive} {
		if specialUse(role) == attr {
			return role, true
		}
	}
	return "", false
}
