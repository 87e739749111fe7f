package imapd

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// contents shows messages of which more is asked than their rows hold.
func (f *fetcher) contents(ctx context.Context) error {
	defer f.closeBatch()
	f.whole = f.wantsWhole()
	want := f.wantList()
	if !f.whole {
		want |= mailbox.WantMeta
	}
	err := f.read(ctx, want, func(row *mailbox.Row) error {
		l, err := f.open(ctx, row)
		if err != nil {
			return f.unopened(row, err)
		}
		if l.made.undecodable {
			f.undecodable++
			l.content.Close()
			return nil
		}
		f.held += l.made.octets
		if f.batch = append(f.batch, l); len(f.batch) < openBatch && f.held < openOctets {
			return nil
		}
		return f.showBatch(ctx)
	})
	if err != nil {
		return err
	}
	return f.showBatch(ctx)
}

func (f *fetcher) wantList() mailbox.Items {
	if f.in.Options.Envelope || f.in.Options.BodyStructure != nil {
		return mailbox.WantList
	}
	return 0
}

// wantsWhole reports whether whole messages are asked for and nothing that their structure tells, as programs do that copy a mailbox.
// The structure is then neither read nor decoded.
func (f *fetcher) wantsWhole() bool {
	if f.in.RFC822Header || f.in.RFC822Text || f.in.Body || f.wantList() != 0 ||
		len(f.in.Options.BinarySection)+len(f.in.Options.BinarySectionSize) > 0 {
		return false
	}
	return !slices.ContainsFunc(f.in.Options.BodySection, func(item *imap.FetchItemBodySection) bool {
		return len(item.Part)+len(item.HeaderFields)+len(item.HeaderFieldsNot) > 0 || item.Specifier != imap.PartSpecifierNone
	})
}

// unopened tells a message that is not there from a store that cannot be reached, which would say the same of all others, and from
// a question that is too large.
func (f *fetcher) unopened(row *mailbox.Row, err error) error {
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Limited) || ctxOver(err) {
		return err
	}
	f.damaged(row, err)
	return nil
}

// open opens a message and does what can fail, so that a message that is marked as seen is shown. One whose file is not as long as
// its row says is damaged: nothing of it is shown, because nothing is invented (D-27).
func (f *fetcher) open(ctx context.Context, row *mailbox.Row) (*letter, error) {
	meta, err := f.structure(row)
	if err != nil {
		return nil, err
	}
	content, err := f.c.srv.config.Mailboxes.OpenBody(ctx, f.c.p, row.Account, row.File)
	if err != nil {
		return nil, err
	}
	if content.Size() != row.Size || meta.Size != row.Size {
		content.Close()
		return nil, fault.New(fault.Gone, "content_missing", "the content is %d octets long and should be %d", content.Size(), row.Size)
	}
	l := &letter{row: *row, meta: meta, content: content}
	if l.made, err = f.prepare(l); err != nil {
		content.Close()
		return nil, err
	}
	l.row.Meta = nil
	l.row.List = append([]byte(nil), row.List...)
	return l, nil
}

// structure gives what is known of a message. Of one that is shown as a whole no more than its size has to be known.
func (f *fetcher) structure(row *mailbox.Row) (*mime.Message, error) {
	if f.whole {
		return &mime.Message{Size: row.Size}, nil
	}
	return row.Structure()
}

func (f *fetcher) closeBatch() {
	for _, l := range f.batch {
		l.content.Close()
	}
	f.batch, f.held = f.batch[:0], 0
}

// showBatch writes the messages that are open.
func (f *fetcher) showBatch(ctx context.Context) error {
	defer f.closeBatch()
	if err := f.mark(ctx); err != nil {
		return err
	}
	for _, l := range f.batch {
		if f.c.w.Err() != nil {
			return nil
		}
		if err := f.show(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// mark sets \Seen on those of the batch that do not have it, and tells what else is new meanwhile. Their own new flags come with
// their content.
func (f *fetcher) mark(ctx context.Context) error {
	if !f.marks() {
		return nil
	}
	s := f.c.sel
	var uids []uint32
	for _, l := range f.batch {
		if i, found := s.view.Find(l.row.UID); found && !s.view.At(i).Flags.Has(mail.SeenBit) {
			l.marked = true
			uids = append(uids, l.row.UID)
		}
	}
	if len(uids) == 0 {
		return nil
	}
	set := mailbox.UIDs(uids...)
	if _, err := f.c.srv.config.Mailboxes.Store(ctx, f.c.p, s.box.Key, set, mailbox.FlagChange{Add: []mail.Flag{mail.Seen}}); err != nil {
		return err
	}
	s.watch.suspect()
	if err := f.c.look(ctx); err != nil {
		// What became of them is told when the mailbox can be read again.
		for _, l := range f.batch {
			l.marked = false
		}
		s.doubt(set)
		return nil
	}
	f.c.tell(false, set)
	return nil
}

// show writes one message.
func (f *fetcher) show(ctx context.Context, l *letter) error {
	i, found := f.c.sel.view.Find(l.row.UID)
	if !found {
		return nil
	}
	e := f.c.sel.view.At(i)
	f.begin(i, e, l.marked)
	f.writeRow(&l.row, f.lettersValues(l))
	f.writeSections(l, l.made)
	f.c.w.EndFetch()
	return ctx.Err()
}

func (f *fetcher) lettersValues(l *letter) values {
	var v values
	if f.wantList() != 0 {
		list, err := mailbox.ParseList(l.row.List)
		if err != nil {
			list.Envelope = mime.AppendEnvelope(nil, l.meta.Envelope)
			list.BodyStructure = mime.AppendBodyStructure(nil, l.meta.Root, true)
		}
		v.envelope, v.structure = list.Envelope, list.BodyStructure
	}
	if f.in.Body {
		v.body = mime.AppendBodyStructure(nil, l.meta.Root, false)
	}
	return v
}

// prepared is what has to be computed before the line is begun, because it can fail.
type prepared struct {
	headers     map[*imap.FetchItemBodySection][]byte
	sizes       map[*mime.Part]int64
	octets      int // held by headers
	undecodable bool
}

// maxPrepared bounds what the headers asked for in one FETCH may hold of one message.
const maxPrepared = 16 << 20

func (f *fetcher) prepare(l *letter) (prepared, error) {
	var p prepared
	for _, item := range f.in.Options.BodySection {
		if len(item.HeaderFields)+len(item.HeaderFieldsNot) == 0 {
			continue
		}
		part := l.meta.HeaderPart(item.Part)
		if part == nil {
			continue
		}
		names, not := item.HeaderFields, false
		if len(names) == 0 {
			names, not = item.HeaderFieldsNot, true
		}
		header, err := mime.HeaderSubset(l.content, l.meta, part, names, not)
		if err != nil {
			return p, err
		}
		if p.headers == nil {
			p.headers = map[*imap.FetchItemBodySection][]byte{}
		}
		p.headers[item] = header
		if p.octets += len(header); p.octets > maxPrepared {
			return p, fault.New(fault.Limited, "fetch-limit", "the headers asked for are too large, ask for fewer at once")
		}
	}
	for _, item := range f.in.Options.BinarySection {
		if err := p.measure(l, item.Part); err != nil {
			return p, err
		}
	}
	for _, item := range f.in.Options.BinarySectionSize {
		if err := p.measure(l, item.Part); err != nil {
			return p, err
		}
	}
	return p, nil
}

// measure finds the decoded size of a part, which a literal has to announce.
func (p *prepared) measure(l *letter, path []int) error {
	part := l.meta.Lookup(path)
	if part == nil || len(path) == 0 {
		return nil
	}
	if !part.KnownEncoding() && !part.IsMultipart() && !part.IsMessage() {
		p.undecodable = true
		return nil
	}
	if _, done := p.sizes[part]; done {
		return nil
	}
	n, err := io.Copy(io.Discard, mime.DecodeTransfer(l.content, l.meta, part))
	if err != nil {
		return fmt.Errorf("decode a part: %w", err)
	}
	if p.sizes == nil {
		p.sizes = map[*mime.Part]int64{}
	}
	p.sizes[part] = n
	return nil
}

func (f *fetcher) writeSections(l *letter, made prepared) {
	for _, item := range f.in.Options.BodySection {
		f.writeSection(l, item, made.headers[item])
	}
	for _, old := range []struct {
		asked      bool
		name, spec string
	}{{f.in.RFC822, "RFC822", ""}, {f.in.RFC822Header, "RFC822.HEADER", mime.SpecHeader}, {f.in.RFC822Text, "RFC822.TEXT", mime.SpecText}} {
		if old.asked {
			start, end, _ := l.meta.Section(nil, old.spec)
			f.c.w.FetchLiteral(old.name, end-start, io.NewSectionReader(l.content, start, end-start)) //nolint:errcheck // the Writer keeps it
		}
	}
	for _, item := range f.in.Options.BinarySection {
		f.writeBinary(l, item, made)
	}
	for _, item := range f.in.Options.BinarySectionSize {
		size := l.row.Size
		if len(item.Part) > 0 {
			size = made.sizes[l.meta.Lookup(item.Part)]
		}
		f.c.w.FetchBinarySize(item.Part, size)
	}
}

// writeSection copies a stretch of the file, found by the offsets that were stored when the message arrived.
func (f *fetcher) writeSection(l *letter, item *imap.FetchItemBodySection, header []byte) {
	w := f.c.w
	if len(item.HeaderFields)+len(item.HeaderFieldsNot) > 0 {
		if header == nil {
			w.FetchSectionNil(item)
			return
		}
		from, n := cut(item.Partial, int64(len(header)))
		w.FetchSectionBytes(item, header[from:from+n])
		return
	}
	start, end, found := l.meta.Section(item.Part, string(item.Specifier))
	if !found {
		w.FetchSectionNil(item)
		return
	}
	from, n := cut(item.Partial, end-start)
	w.FetchSection(item, n, io.NewSectionReader(l.content, start+from, n)) //nolint:errcheck // the Writer keeps it
}

// writeBinary writes a decoded part (RFC 3516 §4.2). Without a part it is the whole message, which has no encoding.
func (f *fetcher) writeBinary(l *letter, item *imap.FetchItemBinarySection, made prepared) {
	var decoded io.Reader = io.NewSectionReader(l.content, 0, l.row.Size)
	size := l.row.Size
	if len(item.Part) > 0 {
		part := l.meta.Lookup(item.Part)
		if size = made.sizes[part]; part != nil {
			decoded = mime.DecodeTransfer(l.content, l.meta, part)
		}
	}
	from, n := cut(item.Partial, size)
	io.CopyN(io.Discard, decoded, from) //nolint:errcheck // what is short is found by the next read
	f.c.w.FetchBinary(item, n, decoded) //nolint:errcheck // the Writer keeps it
}

// cut applies a partial to a size: an offset behind the end gives nothing (RFC 9051 §6.4.5).
func cut(partial *imap.SectionPartial, size int64) (from, n int64) {
	if partial == nil {
		return 0, size
	}
	from = min(partial.Offset, size)
	return from, min(partial.Size, size-from)
}
