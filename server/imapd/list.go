package imapd

import (
	"context"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// listVerbs show names (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154; LSUB of RFC 3501 §6.3.9).
func listVerbs() map[string]verb {
	return map[string]verb{
		"LIST": {in: knownAny, run: (*conn).list},
		"LSUB": {in: knownAny, run: (*conn).lsub},
	}
}

func (c *conn) list(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.List](cmd)
	opt := &in.Options
	if opt.ReturnStatus != nil && unknownStatus(opt.ReturnStatus, in.ExtraStatus) {
		return bad("Unknown status item")
	}
	if !in.Extended && in.Patterns[0] == "" { // a question for the delimiter
		c.w.List(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: separator})
		return ok("Done")
	}
	nodes, err := c.nodes(ctx)
	if err != nil {
		return c.failed(err)
	}
	for i := range nodes {
		n := &nodes[i]
		if !fits(in, n.name) {
			continue
		}
		below := opt.SelectRecursiveMatch && chosenBelow(nodes, n.name, opt)
		if !chosen(n, opt) && !below {
			continue
		}
		c.writeList(n, in, below)
		if opt.ReturnStatus == nil || n.box == nil {
			continue
		}
		if err := c.writeStatus(ctx, n.box, opt.ReturnStatus); err != nil {
			return c.failed(err)
		}
	}
	return ok("Done")
}

// nodes reads all names of the account.
func (c *conn) nodes(ctx context.Context) ([]node, error) {
	boxes, err := c.srv.config.Mailboxes.List(ctx, c.p, c.p.User, mailbox.ListFilter{})
	if err != nil {
		return nil, err
	}
	subscribed, err := c.srv.config.Mailboxes.Subscriptions(ctx, c.p, c.p.User)
	if err != nil {
		return nil, err
	}
	return hierarchy(boxes, subscribed), nil
}

func fits(in *imapwire.List, name string) bool {
	return slices.ContainsFunc(in.Patterns, func(pattern string) bool { return matches(in.Reference+pattern, name) })
}

// chosen applies the selection options to one name. Without any, a name is shown when it is a mailbox or a level above one.
func chosen(n *node, opt *imap.ListOptions) bool {
	switch {
	case opt.SelectSubscribed && !n.subscribed:
		return false
	case opt.SelectSpecialUse && (n.box == nil || n.box.Role == ""):
		return false
	}
	return opt.SelectSubscribed || n.box != nil || n.children
}

// chosenBelow reports whether a name below is chosen (RFC 5258 §3, RECURSIVEMATCH).
func chosenBelow(nodes []node, name string, opt *imap.ListOptions) bool {
	return slices.ContainsFunc(nodes, func(n node) bool {
		return strings.HasPrefix(n.name, name+string(separator)) && chosen(&n, opt)
	})
}

func (c *conn) writeList(n *node, in *imapwire.List, below bool) {
	data := &imap.ListData{Mailbox: n.name, Delim: separator}
	switch {
	case n.box == nil && in.Extended:
		data.Attrs = append(data.Attrs, imap.MailboxAttrNonExistent)
	case n.box == nil:
		data.Attrs = append(data.Attrs, imap.MailboxAttrNoSelect)
	case n.box.Role != "":
		data.Attrs = append(data.Attrs, specialUse(n.box.Role))
	}
	if n.children {
		data.Attrs = append(data.Attrs, imap.MailboxAttrHasChildren)
	} else {
		data.Attrs = append(data.Attrs, imap.MailboxAttrHasNoChildren)
	}
	if n.subscribed && (in.Options.ReturnSubscribed || in.Options.SelectSubscribed) {
		data.Attrs = append(data.Attrs, imap.MailboxAttrSubscribed)
	}
	if below && in.Options.SelectSubscribed {
		data.ChildInfo = &imap.ListDataChildInfo{Subscribed: true}
	}
	c.w.List(data)
}

// lsub shows what is subscribed to. A level above such a name is shown where "%" ends the pattern and hides the name itself.
func (c *conn) lsub(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.List](cmd)
	nodes, err := c.nodes(ctx)
	if err != nil {
		return c.failed(err)
	}
	all := &imap.ListOptions{SelectSubscribed: true}
	levels := strings.HasSuffix(in.Patterns[0], "%")
	for i := range nodes {
		n := &nodes[i]
		if !fits(in, n.name) || !n.subscribed && !(levels && chosenBelow(nodes, n.name, all)) {
			continue
		}
		data := &imap.ListData{Mailbox: n.name, Delim: separator}
		if n.box == nil || !n.subscribed {
			data.Attrs = append(data.Attrs, imap.MailboxAttrNoSelect)
		}
		c.w.Lsub(data)
	}
	return ok("Done")
}

// box finds a mailbox of the user by its name.
func (c *conn) box(ctx context.Context, name string) (mailbox.Mailbox, error) {
	return c.srv.config.Mailboxes.GetByName(ctx, c.p, c.p.User, name)
}
