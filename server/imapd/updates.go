package imapd

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// watch knows whether the selected mailbox may have changed since it was last looked at. A notice says no more than that.
type watch struct {
	sub    *bus.Sub
	newest *mailbox.View // as last read; the session's own view may be behind it
	dirty  bool
	looked time.Time
}

// suspect makes the next look a real one.
func (w *watch) suspect() { w.dirty = true }

// maybe reports whether there may be news.
func (w *watch) maybe(now time.Time, poll time.Duration) bool {
	select {
	case <-w.sub.C:
		w.dirty = true
	default:
	}
	return w.dirty || now.Sub(w.looked) >= poll
}

// look reads the mailbox if it may have changed. After an error the next look is a real one again, so nothing is missed.
func (c *conn) look(ctx context.Context) error {
	s, now := c.sel, c.srv.config.Clock.Now()
	if !s.watch.maybe(now, c.limits().Poll) {
		return nil
	}
	view, box, err := c.srv.config.Mailboxes.View(ctx, c.p, s.box.Key)
	if err != nil {
		s.watch.suspect()
		return err
	}
	if view.UIDValidity() != s.view.UIDValidity() {
		c.bye(byeRenumbered)
		return nil
	}
	s.box, s.watch.newest, s.watch.dirty, s.watch.looked = box, view, false, now
	return nil
}

// catchUp tells the client what happened in its mailbox since it was last told. Expunges are told only where numbers may shift;
// until then the session keeps the messages in its numbering. It is not an error of the command when the mailbox cannot be read
// now: what is not told is told later.
func (c *conn) catchUp(ctx context.Context, expunges bool) {
	switch err := c.look(ctx); {
	case fault.Is(err, fault.NotFound):
		c.bye(byeDeleted)
	case errors.Is(err, context.Canceled), c.quit:
	case err != nil:
		c.log.WarnContext(ctx, "imap updates not read", slog.String("error", err.Error()))
	default:
		c.tell(expunges, nil)
	}
}

// tell moves the session to the newest view, as far as it may, and tells the difference. Messages in except have been told of
// already.
func (c *conn) tell(expunges bool, except mailbox.UIDRanges) {
	s := c.sel
	older, newer := s.view, s.watch.newest
	if !expunges {
		newer = mailbox.Hold(older, newer)
	}
	if older == newer && len(s.doubtful) == 0 {
		return
	}
	diff := mailbox.Compare(older, newer)
	c.tellKeywords(newer)
	for _, gone := range slices.Backward(diff.Expunged) { // from the highest number, so that none of the others shifts
		c.w.Expunge(uint32(gone.Index) + 1)
	}
	if diff.First < newer.Len() {
		c.w.Exists(uint32(newer.Len()))
	}
	names := namer{keywords: newer.Keywords()}
	for _, i := range diff.Changed {
		e := newer.At(i)
		if j, found := older.Find(e.UID); found && older.At(j).Flags == e.Flags || except.Has(e.UID) || s.doubtful.Has(e.UID) {
			continue
		}
		c.writeFlags(i, e, &names)
	}
	for i, e := range newer.In(s.doubtful) {
		if !except.Has(e.UID) {
			c.writeFlags(i, e, &names)
		}
	}
	s.view, s.doubtful = newer, nil
}

// doubt makes the next look tell the flags of messages even if the session's view has them right: the client was left to assume
// the outcome of its own change, and it could not be read.
func (s *selected) doubt(uids mailbox.UIDRanges) {
	s.doubtful = append(s.doubtful, uids...).Normal()
	s.watch.suspect()
}

// tellKeywords tells of keywords that somebody has made, before they appear on messages.
func (c *conn) tellKeywords(view *mailbox.View) {
	if len(view.Keywords()) > c.sel.keywords {
		c.writeFlagList(view)
	}
}

// writeFlags tells the flags of one message. The UID is always there: it costs little and no client has to count.
func (c *conn) writeFlags(i int, e mailbox.Entry, names *namer) {
	c.w.BeginFetch(uint32(i) + 1)
	c.w.FetchUID(imap.UID(e.UID))
	c.w.FetchFlags(names.of(e.Flags))
	c.w.EndFetch()
}

// namer spells sets of flags out, each set once.
type namer struct {
	keywords []string
	made     map[mail.FlagSet][]imap.Flag
}

func (n *namer) of(set mail.FlagSet) []imap.Flag {
	if flags, have := n.made[set]; have {
		return flags
	}
	names := set.Flags(n.keywords)
	flags := make([]imap.Flag, len(names))
	for i, name := range names {
		flags[i] = imap.Flag(name)
	}
	if n.made == nil {
		n.made = map[mail.FlagSet][]imap.Flag{}
	}
	n.made[set] = flags
	return flags
}
