package imapd

import (
	"context"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// selectVerbs enter and leave mailboxes (RFC 9051 §6.3.2, §6.3.3, §6.4.1, §6.4.2).
func selectVerbs() map[string]verb {
	return map[string]verb{
		"SELECT":   {in: knownAny, still: true, run: (*conn).enterBox},
		"EXAMINE":  {in: knownAny, still: true, run: (*conn).enterBox},
		"CLOSE":    {in: inside, still: true, run: (*conn).closeBox},
		"UNSELECT": {in: inside, still: true, run: (*conn).unselectBox},
	}
}

// enterBox is SELECT and EXAMINE. All that the client has to know is always told (A7). When it fails, no mailbox is selected.
func (c *conn) enterBox(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.Select](cmd)
	if len(in.Params) > 0 {
		return bad("Unknown parameter")
	}
	c.leaveBox()
	box, err := c.box(ctx, in.Mailbox)
	if err != nil {
		return c.failed(err)
	}
	sub := c.srv.config.Bus.Subscribe(bus.Mailbox(box.Key)) // before the state is read: nothing between is missed
	view, box, err := c.srv.config.Mailboxes.View(ctx, c.p, box.Key)
	if err != nil {
		sub.Close()
		return c.failed(err)
	}
	c.sel = &selected{
		box: box, view: view, readOnly: cmd.Name == "EXAMINE",
		watch: &watch{sub: sub, newest: view, looked: c.srv.config.Clock.Now()},
	}
	c.describe()
	if c.sel.readOnly {
		return okCode(codeReadOnly, "Selected, read only")
	}
	return okCode(codeReadWrite, "Selected")
}

// describe writes what RFC 9051 §6.3.2 and RFC 3501 §6.3.1 ask for.
func (c *conn) describe() {
	view := c.sel.view
	c.writeFlagList(view)
	c.w.Exists(uint32(view.Len()))
	if !c.rev2 {
		c.w.Recent(0)
		if i, found := view.FirstUnseen(); found {
			c.w.Status(imap.StatusResponseTypeOK, imapwire.CodeUnseen(uint32(i)+1), "First unseen message")
		}
	}
	c.w.Status(imap.StatusResponseTypeOK, imapwire.CodeUIDValidity(view.UIDValidity()), "UIDs are valid")
	c.w.Status(imap.StatusResponseTypeOK, imapwire.CodeUIDNext(imap.UID(view.UIDNext())), "Predicted next UID")
	if c.rev2 {
		c.w.List(&imap.ListData{Mailbox: c.sel.box.Name, Delim: separator})
	}
}

// writeFlagList tells which flags messages have and which the client may set for good.
func (c *conn) writeFlagList(view *mailbox.View) {
	c.sel.keywords = len(view.Keywords())
	flags := flagList(view.Keywords())
	c.w.Flags(flags)
	permanent := flags
	switch {
	case c.sel.readOnly:
		permanent = nil
	case len(view.Keywords()) < mail.MaxKeywords:
		permanent = append(permanent, imap.FlagWildcard)
	}
	c.w.Status(imap.StatusResponseTypeOK, imapwire.CodePermanentFlags(permanent), "Flags that last")
}

func flagList(keywords []string) []imap.Flag {
	list := make([]imap.Flag, 0, 8+len(keywords))
	for _, f := range []mail.Flag{mail.Answered, mail.Flagged, mail.Deleted, mail.Seen, mail.Draft} {
		list = append(list, imap.Flag(f))
	}
	for _, k := range keywords {
		list = append(list, imap.Flag(k))
	}
	return list
}

// closeBox leaves the mailbox and removes what is marked for it, without telling (RFC 9051 §6.4.1). A mailbox that was examined
// stays as it is.
func (c *conn) closeBox(ctx context.Context, _ *imapwire.Command) answer {
	if !c.sel.readOnly {
		if _, err := c.srv.config.Mailboxes.Expunge(ctx, c.p, c.sel.box.Key, nil); err != nil {
			return c.failed(err)
		}
	}
	c.unselect()
	return ok("Closed")
}

func (c *conn) unselectBox(context.Context, *imapwire.Command) answer {
	c.unselect()
	return ok("Unselected")
}
