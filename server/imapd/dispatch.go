package imapd

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

// state is where a session stands (RFC 9051 §3).
type state uint8

const (
	stranger state = 1 << iota // not authenticated
	signedIn                   // authenticated, no mailbox selected
	inside                     // a mailbox is selected
)

const (
	anyState = stranger | signedIn | inside
	knownAny = signedIn | inside
)

// verb is what a command is to the engine.
type verb struct {
	in state // where it is allowed
	// quiet commands leave the client's numbering alone: expunges are not told at their end (RFC 9051 §7.5.1, D-36). With UID they
	// are told all the same.
	quiet bool
	// still commands tell nothing at their end: they have no mailbox, or have told everything themselves.
	still bool
	// streams for as long as it takes, so that no moment ends it.
	streams bool
	run     func(*conn, context.Context, *imapwire.Command) answer
}

// verbs joins what the files of the package offer.
func verbs() map[string]verb {
	all := map[string]verb{}
	for _, some := range []map[string]verb{
		sessionVerbs(), authVerbs(), listVerbs(), manageVerbs(), selectVerbs(), statusVerbs(), appendVerbs(),
		fetchVerbs(), storeVerbs(), searchVerbs(), copyVerbs(), expungeVerbs(), idleVerbs(),
	} {
		maps.Copy(all, some)
	}
	return all
}

func (c *conn) state() state {
	switch {
	case c.user == nil:
		return stranger
	case c.sel == nil:
		return signedIn
	}
	return inside
}

// execute carries out a command and answers it.
func (c *conn) execute(cmd *imapwire.Command) {
	c.current.Store(cmd.Name)
	began := c.srv.config.Clock.Now()
	a := c.run(cmd)
	if c.w.Err() != nil {
		c.quit = true
		return
	}
	if a.status != "" {
		c.w.Tagged(cmd.Tag, a.status, a.code, a.text)
	}
	c.current.Store("")
	c.log.DebugContext(c.ctx, "imap command", slog.String("command", cmd.Name), slog.Bool("uid", cmd.UID), slog.String("status", string(a.status)),
		slog.String("code", string(a.code)), slog.Duration("took", c.srv.config.Clock.Now().Sub(began)))
	if a.status == imap.StatusResponseTypeBad {
		c.countJunk()
	}
	if a.last != (bye{}) && !c.quit {
		c.bye(a.last)
	}
}

func (c *conn) run(cmd *imapwire.Command) answer {
	v, known := c.srv.verbs[cmd.Name]
	if _, unknown := cmd.Args.(*imapwire.UnknownCommand); unknown || !known {
		return bad("Unknown command")
	}
	if now := c.state(); v.in&now == 0 {
		return misplaced(v.in, now)
	}
	if c.user != nil {
		c.user.pace(c.ctx, c.limits(), c.srv.config.Clock)
	}
	ctx, cancel := c.bounded(v.streams)
	defer cancel()
	a := v.run(c, ctx, cmd)
	if c.sel != nil && !v.still && c.w.Err() == nil && !c.quit {
		c.catchUp(ctx, !v.quiet || cmd.UID)
	}
	return a
}

// bounded gives the context of a command.
func (c *conn) bounded(streams bool) (context.Context, context.CancelFunc) {
	if streams {
		return context.WithCancel(c.ctx)
	}
	return context.WithTimeout(c.ctx, c.limits().Command)
}

// misplaced is the answer to a command that the state does not allow (RFC 9051 §6).
func misplaced(allowed, now state) answer {
	switch {
	case now == stranger:
		return bad("Sign in first")
	case allowed == stranger:
		return bad("Somebody has signed in already")
	}
	return bad("Select a mailbox first")
}

// sessionVerbs are those of any state (RFC 9051 §6.1).
func sessionVerbs() map[string]verb {
	return map[string]verb{
		"CAPABILITY": {in: anyState, run: (*conn).capability},
		"NOOP":       {in: anyState, run: (*conn).noop},
		"CHECK":      {in: inside, run: (*conn).noop},
		"LOGOUT":     {in: anyState, still: true, run: (*conn).logout},
		"ID":         {in: anyState, run: (*conn).id},
		"ENABLE":     {in: knownAny, run: (*conn).enable},
		"NAMESPACE":  {in: knownAny, run: (*conn).namespace},
	}
}

// noop looks for news even when nobody has said that there are any.
func (c *conn) noop(context.Context, *imapwire.Command) answer {
	if c.sel != nil {
		c.sel.watch.suspect()
	}
	return ok("Done")
}

// logout says BYE before its answer (RFC 9051 §6.1.3).
func (c *conn) logout(context.Context, *imapwire.Command) answer {
	c.unselect()
	c.bye(byeLogout)
	return ok("Logged out")
}

// id tells who we are (RFC 2971). Before sign-in nobody learns a version (S-50).
func (c *conn) id(ctx context.Context, cmd *imapwire.Command) answer {
	if said := args[imapwire.ID](cmd); len(said.Fields) > 0 {
		names := make([]any, 0, len(said.Fields))
		for _, f := range said.Fields {
			names = append(names, slog.String(f.Key, f.Value))
		}
		c.log.DebugContext(ctx, "imap client", slog.Group("client", names...))
	}
	fields := []imapwire.IDField{{Key: "name", Value: "mailserver"}}
	if c.user != nil {
		fields = append(fields, imapwire.IDField{Key: "version", Value: c.srv.config.Version})
	}
	c.w.ID(fields)
	return ok("Pleased to meet you")
}

// namespace is one personal name space without a prefix (RFC 2342).
func (c *conn) namespace(context.Context, *imapwire.Command) answer {
	c.w.Namespace(&imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: separator}}})
	return ok("Done")
}

// args gives the arguments of a command, which the reader has made of its name.
func args[T any](cmd *imapwire.Command) *T {
	a, _ := cmd.Args.(*T)
	if a == nil {
		a = new(T)
	}
	return a
}

// noMoment is the end of a wait that has none.
func noMoment() time.Time { return time.Time{} }
