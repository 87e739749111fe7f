package imapd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

// idleVerbs wait for news (RFC 2177, RFC 9051 §6.3.13).
func idleVerbs() map[string]verb {
	return map[string]verb{"IDLE": {in: knownAny, streams: true, run: (*conn).idle}}
}

// doneLine bounds what the client may send to end IDLE.
const doneLine = 1 << 10

// idle tells news as they happen until the client says DONE. A second goroutine waits for that and touches nothing else; all
// writing is done here. What happens between two looks is found by the next one, and what happens after the last look is told by the
// catch-up that ends every command: there is no queue from which anything could be taken away (A7).
func (c *conn) idle(ctx context.Context, _ *imapwire.Command) answer {
	c.w.Continue("Idling")
	if c.sel != nil {
		c.catchUp(ctx, true)
	}
	c.flush()
	if c.quit {
		return answer{}
	}
	c.link.expect(c.srv.config.Clock.Now().Add(c.limits().Idle), 0)
	line := make(chan idleEnd, 1)
	go func() { line <- c.readDone() }()
	for {
		end, over := c.idleWait(ctx, line)
		if !over {
			continue
		}
		if c.quit {
			c.link.interrupt()
			if end == nil {
				<-line // the reader must be gone before the connection is closed by its owner
			}
			return answer{}
		}
		c.link.expect(noMoment(), c.limits().Block)
		return end.answer
	}
}

// idleEnd is what ended the waiting.
type idleEnd struct {
	answer answer
	err    error // the connection gives nothing more
}

// readDone reads the line that ends IDLE.
func (c *conn) readDone() idleEnd {
	line, err := c.r.ReadLine(doneLine)
	var refused *imapwire.Error
	switch {
	case errors.As(err, &refused):
		if refused.Fatal {
			return idleEnd{err: err}
		}
		return idleEnd{answer: badCode(refused.Code, refused.Text)}
	case err != nil:
		return idleEnd{err: err}
	case !bytes.EqualFold(line, []byte("DONE")):
		return idleEnd{answer: bad("Expected DONE")}
	}
	return idleEnd{answer: ok("Done")}
}

// idleWait waits for one thing to happen. over says that IDLE has ended; end is nil when the reader is still at work.
func (c *conn) idleWait(ctx context.Context, line <-chan idleEnd) (end *idleEnd, over bool) {
	var news <-chan struct{}
	if c.sel != nil {
		news = c.sel.watch.sub.C
	}
	poll := c.srv.config.Clock.NewTimer(c.limits().Poll)
	defer poll.Stop()
	select {
	case e := <-line:
		if e.err != nil {
			c.lost(e.err)
		}
		return &e, true
	case <-c.stopping:
		c.bye(c.why)
		return nil, true
	case <-ctx.Done():
		c.quit = true
		return nil, true
	case <-news:
		c.sel.watch.suspect()
	case <-poll.C():
		if c.sel == nil {
			return nil, false
		}
		c.sel.watch.suspect()
	}
	c.pushNews(ctx)
	return nil, c.quit
}

// pushNews tells what is new. When the mailbox cannot be read, the session stays and the next look finds everything.
func (c *conn) pushNews(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.limits().Command)
	defer cancel()
	switch err := c.look(ctx); {
	case fault.Is(err, fault.NotFound):
		c.bye(byeDeleted)
		return
	case err != nil:
		c.log.WarnContext(ctx, "imap updates not read", slog.String("error", err.Error()))
		c.w.Status(imap.StatusResponseTypeOK, "", "Still here, updates are late")
	case !c.quit:
		c.tell(true, nil)
	}
	c.flush()
}
