package imapd

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// fetchVerbs show messages (RFC 9051 §6.4.5).
func fetchVerbs() map[string]verb {
	return map[string]verb{"FETCH": {in: inside, quiet: true, streams: true, run: (*conn).fetch}}
}

// openBatch is how many bodies are open at once: few, and yet few transactions when all become \Seen.
const openBatch = 16

// openOctets is how much a batch may hold in memory before it is shown.
const openOctets = 1 << 20

func (c *conn) fetch(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.Fetch](cmd)
	found, valid := c.sel.messages(in.Set)
	switch {
	case !valid:
		return bad("There is no such message")
	case len(in.Extra) > 0 || len(in.Modifiers) > 0 || in.Options.ModSeq:
		return bad("Unknown item or modifier")
	}
	f := &fetcher{c: c, in: in, found: found}
	err := f.run(ctx)
	switch {
	case err != nil:
		return c.failed(err)
	case f.broken > 0:
		return no(imap.ResponseCodeServerBug, fmt.Sprintf("The content of %d of the messages is missing or damaged", f.broken))
	case f.undecodable > 0:
		return no(imap.ResponseCodeUnknownCTE, "The encoding of a part is not known")
	case f.gone > 0 && !cmd.UID:
		return no(codeExpungeIssued, "Some of the messages no longer exist")
	}
	return ok("Done")
}

// fetcher is one FETCH at work. It opens what it needs before it begins a line, so that no line is left half written.
type fetcher struct {
	c     *conn
	in    *imapwire.Fetch
	found spans
	whole bool // the structure of messages is not needed
	batch []*letter
	held  int // octets that the batch holds in memory
	names namer

	gone        int // messages that somebody else expunged and no mailbox has: they are not shown (D-37)
	broken      int // messages without their content (D-27)
	undecodable int // messages with a part that BINARY cannot decode
}

// letter is a message whose content is needed.
type letter struct {
	row     mailbox.Row
	meta    *mime.Message
	content mailbox.Content
	made    prepared
	marked  bool // \Seen by this command, so that its flags are told
}

func (f *fetcher) run(ctx context.Context) error {
	opt := &f.in.Options
	f.in.Set = nil
	switch {
	case f.needsContent():
		return f.contents(ctx)
	case f.in.Body:
		return f.rows(ctx, mailbox.WantList|mailbox.WantMeta)
	case opt.Envelope || opt.BodyStructure != nil:
		return f.rows(ctx, mailbox.WantList)
	case opt.InternalDate || opt.RFC822Size:
		return f.rows(ctx, 0)
	}
	view := f.c.sel.view
	for i, e := range f.found.all(view) {
		f.begin(i, e, false)
		f.c.w.EndFetch()
		if f.c.w.Err() != nil {
			break
		}
	}
	return nil
}

func (f *fetcher) needsContent() bool {
	opt := &f.in.Options
	return len(opt.BodySection)+len(opt.BinarySection)+len(opt.BinarySectionSize) > 0 || f.in.RFC822 || f.in.RFC822Header || f.in.RFC822Text
}

// marks reports whether the command sets \Seen (RFC 9051 §6.4.5, BODY[section]).
func (f *fetcher) marks() bool {
	if f.c.sel.readOnly {
		return false
	}
	if f.in.RFC822 || f.in.RFC822Text {
		return true
	}
	for _, item := range f.in.Options.BodySection {
		if !item.Peek {
			return true
		}
	}
	for _, item := range f.in.Options.BinarySection {
		if !item.Peek {
			return true
		}
	}
	return false
}

// read gives the rows of the messages, also of those that somebody else moved to another mailbox, counts those that are no longer
// there, and stops when nobody listens.
func (f *fetcher) read(ctx context.Context, want mailbox.Items, yield func(*mailbox.Row) error) error {
	if len(f.found) == 0 {
		return nil
	}
	var seen mailbox.UIDRanges
	n, view, key := 0, f.c.sel.view, f.c.sel.box.Key
	take := func(row *mailbox.Row) error {
		if err := f.c.w.Err(); err != nil {
			return context.Canceled // nobody listens
		}
		if last := len(seen) - 1; last >= 0 && seen[last].Last+1 == row.UID {
			seen[last].Last = row.UID
		} else {
			seen = append(seen, mailbox.UIDRange{First: row.UID, Last: row.UID})
		}
		n++
		return yield(row)
	}
	err := f.c.srv.config.Mailboxes.Rows(ctx, f.c.p, key, f.found.uids(view), want, take)
	if err != nil || n == f.found.count() {
		return err
	}
	var missing []mailbox.Entry
	for _, e := range f.found.all(view) {
		if !seen.Has(e.UID) {
			missing = append(missing, e)
		}
	}
	err = f.c.srv.config.Mailboxes.RowsElsewhere(ctx, f.c.p, key, missing, want|mailbox.WantMeta, take)
	f.gone = f.found.count() - n
	return err
}

// rows shows what the rows hold.
func (f *fetcher) rows(ctx context.Context, want mailbox.Items) error {
	return f.read(ctx, want, func(row *mailbox.Row) error {
		values, err := f.values(ctx, row)
		if err != nil {
			f.damaged(row, err)
			return nil
		}
		i, found := f.c.sel.view.Find(row.UID)
		if !found {
			return nil
		}
		e := f.c.sel.view.At(i)
		f.begin(i, e, false)
		f.writeRow(row, values)
		f.c.w.EndFetch()
		return nil
	})
}

// damaged counts a message that cannot be shown; the others are (D-27).
func (f *fetcher) damaged(row *mailbox.Row, err error) {
	f.broken++
	if fault.Is(err, fault.Gone) {
		f.c.srv.config.Metrics.ContentMissing()
	}
	f.c.log.ErrorContext(f.c.ctx, "imap message not shown", slog.String("message", row.ID.String()), slog.String("error", err.Error()))
}

// values are the pieces of a row that were rendered when the message arrived, or are now.
type values struct {
	envelope, structure, body []byte
}

func (f *fetcher) values(ctx context.Context, row *mailbox.Row) (values, error) {
	var v values
	opt := &f.in.Options
	if !opt.Envelope && opt.BodyStructure == nil && !f.in.Body {
		return v, nil
	}
	list, err := mailbox.ParseList(row.List)
	v.envelope, v.structure = list.Envelope, list.BodyStructure
	if err == nil && !f.in.Body {
		return v, nil
	}
	if row.Meta == nil {
		return f.valuesAnew(ctx, row.UID)
	}
	meta, failed := row.Structure()
	if failed != nil {
		return v, failed
	}
	v.body = mime.AppendBodyStructure(nil, meta.Root, false)
	if err != nil {
		v.envelope = mime.AppendEnvelope(nil, meta.Envelope)
		v.structure = mime.AppendBodyStructure(nil, meta.Root, true)
	}
	return v, nil
}

// valuesAnew renders a message whose list column was written by another version.
func (f *fetcher) valuesAnew(ctx context.Context, uid uint32) (values, error) {
	var v values
	const both = mailbox.WantList | mailbox.WantMeta
	err := f.c.srv.config.Mailboxes.Rows(ctx, f.c.p, f.c.sel.box.Key, mailbox.UIDs(uid), both, func(row *mailbox.Row) error {
		meta, err := row.Structure()
		if err != nil {
			return err
		}
		v.envelope = mime.AppendEnvelope(nil, meta.Envelope)
		v.structure = mime.AppendBodyStructure(nil, meta.Root, true)
		return nil
	})
	return v, err
}

// begin starts a line with what the view knows. Flags are told when they were asked for, or are new to the client.
func (f *fetcher) begin(i int, e mailbox.Entry, marked bool) {
	w := f.c.w
	w.BeginFetch(uint32(i) + 1)
	if f.in.Options.UID {
		w.FetchUID(imap.UID(e.UID))
	}
	if f.in.Options.Flags || marked {
		w.FetchFlags(f.spell(e.Flags))
	}
}

func (f *fetcher) spell(flags mail.FlagSet) []imap.Flag {
	if keywords := f.c.sel.view.Keywords(); len(keywords) != len(f.names.keywords) {
		f.names = namer{keywords: keywords}
	}
	return f.names.of(flags)
}

// writeRow writes what the row knows.
func (f *fetcher) writeRow(row *mailbox.Row, v values) {
	w, opt := f.c.w, &f.in.Options
	if opt.InternalDate {
		w.FetchInternalDate(row.InternalDate)
	}
	if opt.RFC822Size {
		w.FetchSize(row.Size)
	}
	for _, item := range []struct {
		asked bool
		name  string
		value []byte
	}{
		{opt.Envelope, "ENVELOPE", v.envelope},
		{opt.BodyStructure != nil, "BODYSTRUCTURE", v.structure},
		{f.in.Body, "BODY", v.body},
	} {
		if !item.asked {
			continue
		}
		if err := w.FetchRaw(item.name, item.value); err != nil {
			f.damaged(row, err)
		}
	}
}
