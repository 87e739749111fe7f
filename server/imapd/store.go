package imapd

import (
	"context"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// storeVerbs change flags (RFC 9051 §6.4.6).
func storeVerbs() map[string]verb {
	return map[string]verb{"STORE": {in: inside, quiet: true, run: (*conn).store}}
}

func (c *conn) store(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.Store](cmd)
	found, valid := c.sel.messages(in.Set)
	switch {
	case !valid:
		return bad("There is no such message")
	case in.UnchangedSince != nil:
		return bad("Unknown modifier")
	case c.sel.readOnly:
		return readOnly()
	}
	flags, refusal := mailFlags(in.Flags.Flags)
	if refusal.status != "" {
		return refusal
	}
	if len(found) == 0 {
		return ok("There was nothing to change")
	}
	own := ownChange{op: in.Flags.Op, flags: flags, silent: in.Flags.Silent}
	return c.storeFlags(ctx, found.uids(c.sel.view), own, cmd.UID)
}

func readOnly() answer { return no(codeReadOnly, "The mailbox was opened read only") }

// ownChange is what a command of this session does to flags.
type ownChange struct {
	op     imap.StoreFlagsOp
	flags  []mail.Flag
	silent bool
}

func (o ownChange) change() mailbox.FlagChange {
	switch o.op {
	case imap.StoreFlagsAdd:
		return mailbox.FlagChange{Add: o.flags}
	case imap.StoreFlagsDel:
		return mailbox.FlagChange{Remove: o.flags}
	case imap.StoreFlagsSet:
	}
	return mailbox.FlagChange{Add: o.flags, Replace: true}
}

// on gives what the change makes of flags, as far as nobody else changed them at the same time.
func (o ownChange) on(have mail.FlagSet, keywords []string) mail.FlagSet {
	bits := bitsOf(o.flags, keywords)
	switch o.op {
	case imap.StoreFlagsAdd:
		return have | bits
	case imap.StoreFlagsDel:
		return have &^ bits
	case imap.StoreFlagsSet:
	}
	return bits
}

func bitsOf(flags []mail.Flag, keywords []string) mail.FlagSet {
	var bits mail.FlagSet
	for _, f := range flags {
		if bit, system := mail.SystemBit(f); system {
			bits |= bit
			continue
		}
		for i, k := range keywords {
			if strings.EqualFold(k, string(f)) {
				bits |= 1 << (mail.FirstKeyword + i)
			}
		}
	}
	return bits
}

// mailFlags checks flags of a client. What is no flag never gets into an answer again (a half written line would be the end of the
// connection).
func mailFlags(in []imap.Flag) ([]mail.Flag, answer) {
	out := make([]mail.Flag, 0, len(in))
	for _, f := range in {
		flag, err := mail.ParseFlag(string(f))
		if err != nil {
			return nil, no(imap.ResponseCodeCannot, "One of the flags cannot be stored")
		}
		out = append(out, flag)
	}
	return out, answer{}
}

// storeFlags carries out a change, tells its outcome and everything else that is new, but no expunges.
func (c *conn) storeFlags(ctx context.Context, uids mailbox.UIDRanges, own ownChange, byUID bool) answer {
	if _, err := c.srv.config.Mailboxes.Store(ctx, c.p, c.sel.box.Key, uids, own.change()); err != nil {
		return c.failed(err)
	}
	c.sel.watch.suspect()
	if err := c.look(ctx); err != nil {
		// It is done; what became of it is told when the mailbox can be read again.
		c.sel.doubt(uids)
		return ok("Done")
	}
	if gone := c.tellOwn(uids, own); gone && !byUID {
		return no(codeExpungeIssued, "Some of the messages no longer exist")
	}
	return ok("Done")
}

// tellOwn tells the flags of the messages that a command of this session changed. With SILENT it tells only what the client cannot
// know: that somebody else changed the flags as well (RFC 9051 §6.4.6). It reports whether some of the messages are gone.
func (c *conn) tellOwn(uids mailbox.UIDRanges, own ownChange) (gone bool) {
	before, newest := c.sel.view, c.sel.watch.newest
	after := mailbox.Hold(before, newest)
	c.tellKeywords(after)
	names := namer{keywords: after.Keywords()}
	same := after == newest
	for i, e := range after.In(uids) {
		j, known := before.Find(e.UID)
		if !known {
			continue
		}
		if !same {
			if _, alive := newest.Find(e.UID); !alive {
				gone = true
				continue
			}
		}
		if !own.silent || c.sel.doubtful.Has(e.UID) || e.Flags != own.on(before.At(j).Flags, after.Keywords()) {
			c.writeFlags(i, e, &names)
		}
	}
	c.tell(false, uids)
	return gone
}
