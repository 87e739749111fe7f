package imapd

import (
	"context"
	"errors"
	"io"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// appendVerbs take messages in (RFC 9051 §6.3.12).
func appendVerbs() map[string]verb {
	return map[string]verb{"APPEND": {in: knownAny, streams: true, run: (*conn).append}}
}

// append refuses what can be refused before the client sends the message (S-12), and says OK when the message is on stable storage
// (D-39).
func (c *conn) append(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.Append](cmd)
	flags, refusal := c.appendable(in)
	if refusal.status != "" {
		return c.refuseAppend(in, refusal)
	}
	release, err := c.srv.config.Mailboxes.Admit(ctx, c.p, c.p.User, in.Mailbox, in.Message.Size())
	if err != nil {
		return c.refuseAppend(in, c.intoMissing(err))
	}
	defer release()
	spool := c.srv.config.Mailboxes.NewSpool()
	defer spool.Close()
	if failure, whole := c.receive(in, spool); !whole {
		return failure
	}
	item := mailbox.Item{Body: spool, Flags: flags, Date: in.Time}
	filed, err := c.srv.config.Mailboxes.Append(ctx, c.p, c.p.User, in.Mailbox, item)
	if err != nil {
		return c.intoMissing(err)
	}
	if c.sel != nil && c.sel.box.Key == filed[0].Key {
		c.sel.watch.suspect()
	}
	return okCode(imapwire.CodeAppendUID(filed[0].UIDValidity, imap.UID(filed[0].UID)), "Stored")
}

// appendable checks what the command line says of the message.
func (c *conn) appendable(in *imapwire.Append) ([]mail.Flag, answer) {
	switch size := in.Message.Size(); {
	case size > c.limits().MessageBytes:
		return nil, no(imap.ResponseCodeTooBig, "The message is too large")
	case size == 0:
		return nil, no(imap.ResponseCodeCannot, "The message is empty")
	case in.UTF8 && !c.utf8 && !c.rev2:
		return nil, bad("Enable UTF8=ACCEPT first")
	}
	return mailFlags(in.Flags)
}

// refuseAppend skips a message that is on its way already. One that cannot be skipped ends the connection.
func (c *conn) refuseAppend(in *imapwire.Append, a answer) answer {
	if err := in.Message.Close(); errors.Is(err, imapwire.ErrClose) {
		a.last = byeBroken
	}
	return a
}

// receive takes the message to its end. A message that did not arrive whole is never stored.
func (c *conn) receive(in *imapwire.Append, spool io.Writer) (failure answer, whole bool) {
	to := &sink{w: spool}
	if _, err := io.Copy(to, in.Message); err != nil {
		if to.err != nil {
			return c.refuseAppend(in, c.failed(to.err)), false
		}
		c.lost(err)
		return answer{}, false
	}
	err := in.Message.Close()
	var refused *imapwire.Error
	switch {
	case errors.As(err, &refused):
		a := answer{status: refused.Status, code: refused.Code, text: refused.Text}
		if refused.Fatal {
			a.last = byeBroken
		}
		return a, false
	case err != nil:
		c.lost(err)
		return answer{}, false
	}
	return answer{}, true
}

// sink remembers that it was the writing that failed.
type sink struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}
