package imapd

import (
	"context"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// statusVerbs tell figures of a mailbox (RFC 9051 §6.3.11).
func statusVerbs() map[string]verb {
	return map[string]verb{"STATUS": {in: knownAny, run: (*conn).status}}
}

func (c *conn) status(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.Status](cmd)
	if unknownStatus(&in.Options, in.Extra) {
		return bad("Unknown status item")
	}
	box, err := c.box(ctx, in.Mailbox)
	if err != nil {
		return c.failed(err)
	}
	if err := c.writeStatus(ctx, &box, &in.Options); err != nil {
		return c.failed(err)
	}
	return ok("Done")
}

// unknownStatus reports whether an item belongs to an extension that is not offered.
func unknownStatus(opt *imap.StatusOptions, extra []string) bool {
	return len(extra) > 0 || opt.HighestModSeq || opt.DeletedStorage
}

// writeStatus answers every item that was asked for.
func (c *conn) writeStatus(ctx context.Context, box *mailbox.Mailbox, opt *imap.StatusOptions) error {
	deleted := 0
	if opt.NumDeleted {
		view, now, err := c.srv.config.Mailboxes.View(ctx, c.p, box.Key)
		if err != nil {
			return err
		}
		box, deleted = &now, view.Deleted() // of one moment
	}
	var items []imapwire.StatusItem
	add := func(asked bool, name string, n uint64) {
		if asked {
			items = append(items, imapwire.StatusItem{Name: name, Num: n})
		}
	}
	add(opt.NumMessages, "MESSAGES", uint64(box.Total))
	add(opt.NumRecent, "RECENT", 0)
	add(opt.UIDNext, "UIDNEXT", uint64(box.UIDNext))
	add(opt.UIDValidity, "UIDVALIDITY", uint64(box.UIDValidity))
	add(opt.NumUnseen, "UNSEEN", uint64(box.Unseen))
	add(opt.NumDeleted, "DELETED", uint64(deleted))
	add(opt.Size, "SIZE", uint64(max(box.Bytes, 0)))
	add(opt.AppendLimit, "APPENDLIMIT", uint64(c.limits().MessageBytes))
	c.w.MailboxStatus(box.Name, items)
	return nil
}
