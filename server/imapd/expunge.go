package imapd

import (
	"context"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// expungeVerbs remove what is marked (RFC 9051 §6.4.3, §6.4.9).
func expungeVerbs() map[string]verb {
	return map[string]verb{"EXPUNGE": {in: inside, run: (*conn).expunge}}
}

// expunge is EXPUNGE and UID EXPUNGE. The removed messages are told with all other news at its end.
func (c *conn) expunge(ctx context.Context, cmd *imapwire.Command) answer {
	if c.sel.readOnly {
		return readOnly()
	}
	var uids mailbox.UIDRanges
	if cmd.UID {
		found, _ := c.sel.messages(args[imapwire.Expunge](cmd).UIDs)
		if uids = found.uids(c.sel.view); len(uids) == 0 {
			return ok("There was nothing to remove")
		}
	}
	if _, err := c.srv.config.Mailboxes.Expunge(ctx, c.p, c.sel.box.Key, uids); err != nil {
		return c.failed(err)
	}
	c.sel.watch.suspect()
	return ok("Removed")
}
