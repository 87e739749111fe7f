package imapd

import (
	"context"
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// searchVerbs find messages (RFC 9051 §6.4.4; RFC 4731, RFC 5182, RFC 5032).
func searchVerbs() map[string]verb {
	return map[string]verb{"SEARCH": {in: inside, quiet: true, streams: true, run: (*conn).search}}
}

func (c *conn) search(ctx context.Context, cmd *imapwire.Command) answer {
	in := args[imapwire.Search](cmd)
	q := &query{c: c, view: c.sel.view, now: c.srv.config.Clock.Now()}
	match := q.compile(&in.Criteria)
	if in.ModSeq || q.unknown {
		return bad("Unknown search key")
	}
	found, err := q.run(ctx, match)
	if err != nil {
		if in.Return.ReturnSave {
			c.sel.saved = nil // RFC 5182 §2.1
			a := c.failed(err)
			a.code = codeNotSaved
			return a
		}
		return c.failed(err)
	}
	c.report(cmd, in, found)
	return ok("Done")
}

// report writes the result: the places of the messages found, in ascending order.
func (c *conn) report(cmd *imapwire.Command, in *imapwire.Search, found []int) {
	nums := make([]uint32, len(found))
	for n, i := range found {
		nums[n] = uint32(i) + 1
		if cmd.UID {
			nums[n] = c.sel.view.At(i).UID
		}
	}
	opt := in.Return
	if opt.ReturnSave {
		c.save(found, &opt)
	}
	switch {
	case !in.Extended && !c.rev2:
		c.w.Search(nums, 0)
		return
	case !in.Extended:
		opt.ReturnAll = true
	}
	if !opt.ReturnMin && !opt.ReturnMax && !opt.ReturnAll && !opt.ReturnCount {
		return // SAVE alone asks for no answer (RFC 5182 §2.1)
	}
	result := &imapwire.SearchResult{UID: cmd.UID, Count: uint32(len(nums)), HasCount: opt.ReturnCount}
	if len(nums) > 0 {
		if opt.ReturnMin {
			result.Min = nums[0]
		}
		if opt.ReturnMax {
			result.Max = nums[len(nums)-1]
		}
		if opt.ReturnAll {
			result.All = numSet(nums, cmd.UID)
		}
	}
	c.w.ESearch(cmd.Tag, result)
}

// save keeps what "$" stands for. With MIN or MAX and nothing that names all, only those are kept (RFC 5182 §2.1).
func (c *conn) save(found []int, opt *imap.SearchOptions) {
	if (opt.ReturnMin || opt.ReturnMax) && !opt.ReturnAll && !opt.ReturnCount && len(found) > 0 {
		var ends []int
		if opt.ReturnMin {
			ends = append(ends, found[0])
		}
		if opt.ReturnMax {
			ends = append(ends, found[len(found)-1])
		}
		found = ends
	}
	uids := make([]uint32, len(found))
	for n, i := range found {
		uids[n] = c.sel.view.At(i).UID
	}
	c.sel.saved = mailbox.UIDs(uids...)
}

// numSet makes ranges of numbers in ascending order.
func numSet(nums []uint32, uid bool) imap.NumSet {
	ranges := mailbox.UIDRanges{}
	for _, n := range nums {
		if last := len(ranges) - 1; last >= 0 && ranges[last].Last+1 == n {
			ranges[last].Last = n
			continue
		}
		ranges = append(ranges, mailbox.UIDRange{First: n, Last: n})
	}
	if uid {
		set := make(imap.UIDSet, len(ranges))
		for i, r := range ranges {
			set[i] = imap.UIDRange{Start: imap.UID(r.First), Stop: imap.UID(r.Last)}
		}
		return set
	}
	set := make(imap.SeqSet, len(ranges))
	for i, r := range ranges {
		set[i] = imap.SeqRange{Start: r.First, Stop: r.Last}
	}
	return set
}

// run finds the messages of the view that match. What the view alone can decide is decided first; for the rest the rows are read,
// and the message itself only when even they leave it open.
func (q *query) run(ctx context.Context, match key) ([]int, error) {
	var found []int
	var open spans
	m := &candidate{q: q}
	for i, e := range q.view.From(0) {
		m.i, m.e = i, e
		switch match(m, levelView) {
		case triYes:
			found = append(found, i)
		case triMaybe:
			if n := len(open); n > 0 && open[n-1].to == i {
				open[n-1].to++
			} else {
				open = append(open, span{i, i + 1})
			}
		case triNo:
		}
	}
	if len(open) == 0 {
		return found, ctx.Err()
	}
	more, err := q.runRows(ctx, match, open)
	if err != nil {
		return nil, err
	}
	found = append(found, more...)
	slices.Sort(found)
	return found, nil
}

func (q *query) runRows(ctx context.Context, match key, open spans) ([]int, error) {
	var found []int
	err := q.c.srv.config.Mailboxes.Rows(ctx, q.c.p, q.c.sel.box.Key, open.uids(q.view), q.wants(), func(row *mailbox.Row) error {
		i, known := q.view.Find(row.UID)
		if !known {
			return nil
		}
		m := &candidate{q: q, i: i, e: q.view.At(i), row: row}
		verdict, err := q.decide(ctx, match, m)
		if verdict == triYes {
			found = append(found, i)
		}
		return err
	})
	return found, err
}

// wants says which columns the keys need.
func (q *query) wants() mailbox.Items {
	switch {
	case q.deepest >= levelHeader:
		return mailbox.WantList | mailbox.WantMeta
	case q.deepest == levelEnvelope:
		return mailbox.WantList
	}
	return 0
}

// decide looks at one message as deeply as it must.
func (q *query) decide(ctx context.Context, match key, m *candidate) (tri, error) {
	defer m.close()
	for at := levelRow; at <= q.deepest; at++ {
		if at == levelHeader {
			select { // so that searches of many sessions do not read all at once
			case q.c.srv.searches <- struct{}{}:
				defer func() { <-q.c.srv.searches }()
			case <-ctx.Done():
				return triNo, ctx.Err()
			}
			m.open(ctx)
		}
		verdict := match(m, at)
		if err := m.fatal(); err != nil {
			return triNo, err
		}
		if verdict != triMaybe {
			return verdict, nil
		}
	}
	return triNo, nil
}
