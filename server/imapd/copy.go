package imapd

import (
	"context"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// copyVerbs file messages elsewhere (RFC 9051 §6.4.7, §6.4.8; RFC 6851).
func copyVerbs() map[string]verb {
	return map[string]verb{
		"COPY": {in: inside, run: (*conn).copy},
		"MOVE": {in: inside, run: (*conn).move},
	}
}

func (c *conn) copy(ctx context.Context, cmd *imapwire.Command) answer {
	result, refusal := c.transfer(ctx, cmd, c.srv.config.Mailboxes.Copy)
	if refusal.status != "" {
		return refusal
	}
	return okCode(copyCode(result), "Copied")
}

// move tells where the messages went before it tells that they are gone (RFC 6851 §4.3).
func (c *conn) move(ctx context.Context, cmd *imapwire.Command) answer {
	if c.sel.readOnly {
		return readOnly()
	}
	result, refusal := c.transfer(ctx, cmd, c.srv.config.Mailboxes.Move)
	if refusal.status != "" {
		return refusal
	}
	if code := copyCode(result); code != "" {
		c.w.Status(imap.StatusResponseTypeOK, code, "Moved")
	}
	c.sel.watch.suspect()
	return ok("Done")
}

type transferFunc = func(ctx context.Context, p mail.Principal, from int64, uids mailbox.UIDRanges, to int64) (mailbox.CopyResult, error)

// transfer finds messages and target and does what the command asks for.
func (c *conn) transfer(ctx context.Context, cmd *imapwire.Command, do transferFunc) (mailbox.CopyResult, answer) {
	in := args[imapwire.Copy](cmd)
	found, valid := c.sel.messages(in.Set)
	if !valid {
		return mailbox.CopyResult{}, bad("There is no such message")
	}
	target, err := c.box(ctx, in.Mailbox)
	if err != nil {
		return mailbox.CopyResult{}, c.intoMissing(err)
	}
	if len(found) == 0 {
		return mailbox.CopyResult{}, answer{}
	}
	result, err := do(ctx, c.p, c.sel.box.Key, found.uids(c.sel.view), target.Key)
	if err != nil {
		return mailbox.CopyResult{}, c.intoMissing(err)
	}
	if !cmd.UID && result.Source.Count() < found.count() {
		c.sel.watch.suspect()
		if result.Source.Count() == 0 {
			return result, no(codeExpungeIssued, "The messages no longer exist")
		}
	}
	return result, answer{}
}

// copyCode pairs old and new UIDs (RFC 4315 §3). Nothing copied gives no code: empty sets would break the line.
func copyCode(r mailbox.CopyResult) imap.ResponseCode {
	target := r.Target()
	if target == (mailbox.UIDRange{}) {
		return ""
	}
	data := &imap.CopyData{UIDValidity: r.UIDValidity}
	for _, source := range r.Source {
		data.SourceUIDs = append(data.SourceUIDs, imap.UIDRange{Start: imap.UID(source.First), Stop: imap.UID(source.Last)})
	}
	data.DestUIDs = imap.UIDSet{{Start: imap.UID(target.First), Stop: imap.UID(target.Last)}}
	return imapwire.CodeCopyUID(data)
}
