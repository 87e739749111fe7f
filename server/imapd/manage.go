package imapd

import (
	"context"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

// manageVerbs change names (RFC 9051 §6.3.4 to §6.3.8).
func manageVerbs() map[string]verb {
	return map[string]verb{
		"CREATE":      {in: knownAny, run: (*conn).create},
		"DELETE":      {in: knownAny, run: (*conn).remove},
		"RENAME":      {in: knownAny, run: (*conn).rename},
		"SUBSCRIBE":   {in: knownAny, run: (*conn).subscribe},
		"UNSUBSCRIBE": {in: knownAny, run: (*conn).unsubscribe},
	}
}

// create makes a mailbox, and the levels above it that are missing. A special use may be asked for (RFC 6154 §3).
func (c *conn) create(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.Create](cmd)
	role := ""
	for _, use := range in.SpecialUse {
		name, known := roleOf(use)
		if !known || role != "" && role != name {
			return no(codeUseAttr, "A mailbox cannot have this special use")
		}
		role = name
	}
	if _, err := c.srv.config.Mailboxes.Create(ctx, c.p, c.p.User, in.Mailbox, role); err != nil {
		return c.failed(err)
	}
	return ok("Created")
}

// remove deletes a mailbox. A session that is in it is out of it then.
func (c *conn) remove(ctx context.Context, cmd *imapwire.Command) answer {
	box, err := c.box(ctx, args[imapwire.Mailbox](cmd).Mailbox)
	if err != nil {
		return c.failed(err)
	}
	if err := c.srv.config.Mailboxes.Delete(ctx, c.p, box.Key); err != nil {
		return c.failed(err)
	}
	if c.sel != nil && c.sel.box.Key == box.Key {
		c.leaveBox()
	}
	return ok("Deleted")
}

func (c *conn) rename(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.Rename](cmd)
	box, err := c.box(ctx, in.From)
	if err != nil {
		return c.failed(err)
	}
	if _, err := c.srv.config.Mailboxes.Rename(ctx, c.p, box.Key, in.To); err != nil {
		return c.failed(err)
	}
	return ok("Renamed")
}

func (c *conn) subscribe(ctx context.Context, cmd *imapwire.Command) answer {
	if err := c.srv.config.Mailboxes.Subscribe(ctx, c.p, c.p.User, args[imapwire.Mailbox](cmd).Mailbox); err != nil {
		return c.failed(err)
	}
	return ok("Subscribed")
}

func (c *conn) unsubscribe(ctx context.Context, cmd *imapwire.Command) answer {
	if err := c.srv.config.Mailboxes.Unsubscribe(ctx, c.p, c.p.User, args[imapwire.Mailbox](cmd).Mailbox); err != nil {
		return c.failed(err)
	}
	return ok("Unsubscribed")
}

// leaveBox ends the selection and says so to clients that wait for it (RFC 9051 §7.1, CLOSED).
func (c *conn) leaveBox() {
	if c.sel == nil {
		return
	}
	c.unselect()
	if c.rev2 {
		c.w.Status(imap.StatusResponseTypeOK, codeClosed, "The previous mailbox is closed")
	}
}

// unselect ends the selection without a word.
func (c *conn) unselect() {
	if c.sel != nil {
		c.sel.watch.sub.Close()
		c.sel = nil
	}
}
