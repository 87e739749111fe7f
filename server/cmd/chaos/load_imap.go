package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// owned is a message that one client alone works on. What it knows of the message is certain: after an unknown outcome the
// client lets go of it, and the checker accepts either state.
type owned struct {
	id      string
	mailbox string
	uid     imap.UID
	flags   []string
}

// claims shares out what arrives in the inboxes.
type claims struct {
	mu   sync.Mutex
	last map[string]imap.UID // by account: below this everything was shared out or left alone
}

func newClaims() claims { return claims{last: map[string]imap.UID{}} }

// mailClient is a client that appends to, and works in, the mailboxes of one account.
type mailClient struct {
	*client

	user     login
	folders  []string // its own, made at the first session
	made     bool
	messages []*owned
}

// imapSession is one connection of it.
type imapSession struct {
	*mailClient

	t        *target
	conn     *imapclient.Client
	selected string
	watchdog *time.Timer
}

// mostOwned is how many messages a client keeps to itself.
const mostOwned = 200

// mailboxes works over IMAP.
func (c *client) mailboxes(ctx context.Context, i int) {
	m := &mailClient{client: c, folders: []string{"chaos-" + c.name, "chaos-" + c.name + "-Ablage ü"}}
	c.serve(ctx, func(ctx context.Context, t *target) error {
		m.user = t.Users[i%2]
		s, err := m.dial(t)
		if err != nil {
			return err
		}
		defer s.close()
		for range 5 + c.IntN(60) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.watchdog.Reset(2 * patience)
			if s.conn.State() == imap.ConnStateLogout {
				return errAgain // the server said BYE
			}
			refused := m.refused
			if err := s.work(); err != nil {
				return err
			}
			if m.refused > refused && !pause(ctx, breath) {
				return ctx.Err()
			}
		}
		return s.conn.Logout().Wait()
	})
}

func (m *mailClient) dial(t *target) (*imapSession, error) {
	conn, err := imapclient.DialTLS(t.Listen["imaps"], &imapclient.Options{TLSConfig: t.tls})
	if err != nil {
		return nil, err
	}
	s := &imapSession{mailClient: m, t: t, conn: conn, watchdog: time.AfterFunc(2*patience, func() { conn.Close() })}
	if err := conn.Login(m.user.Email, m.user.Password).Wait(); err != nil {
		s.close()
		return nil, s.heard(kindLogin, err)
	}
	if !conn.Caps().Has(imap.CapMove) || !conn.Caps().Has(imap.CapUIDPlus) {
		s.close()
		return nil, errors.New("the server lacks MOVE or UIDPLUS")
	}
	if !m.made {
		for _, name := range m.folders {
			if err := conn.Create(name, nil).Wait(); err != nil && !has(err, imap.ResponseCodeAlreadyExists) {
				s.close()
				return nil, s.heard(kindRead, err)
			}
		}
		m.made = true
	}
	return s, nil
}

// heard notes the NO or BAD in an error, if it is one, and gives the error back.
func (s *imapSession) heard(kind string, err error) error {
	if event, reply := outcome(err); event == evRefused {
		s.told(s.t, kind, reply)
	}
	return err
}

func (s *imapSession) close() {
	s.watchdog.Stop()
	s.conn.Close()
}

func has(err error, code imap.ResponseCode) bool {
	var no *imap.Error
	return errors.As(err, &no) && no.Code == code
}

// work does one thing by chance.
func (s *imapSession) work() error {
	n := s.IntN(100)
	switch {
	case n < 35 || len(s.messages) == 0:
		return s.append()
	case n < 45 && len(s.messages) < mostOwned:
		return s.claim()
	case n < 65:
		return s.store(pick(s.dice, s.messages...), s.newFlags())
	case n < 77:
		return s.copy(pick(s.dice, s.messages...))
	case n < 90:
		return s.move(pick(s.dice, s.messages...))
	}
	return s.expunge(pick(s.dice, s.messages...))
}

// outcome tells a tagged NO or BAD from a broken connection.
func outcome(err error) (event, reply string) {
	var no *imap.Error
	switch {
	case err == nil:
		return evAck, ""
	case errors.As(err, &no) && no.Type != imap.StatusResponseTypeBye:
		return evRefused, err.Error()
	}
	return evUnknown, err.Error()
}

// certain reports whether a refused change has surely not been made. One of which the server says that it could not find out may
// have been.
func certain(event string, err error) bool {
	return event == evRefused && !has(err, imap.ResponseCodeUnavailable)
}

// append puts a new message into one of our folders, sometimes into the inbox.
func (s *imapSession) append() error {
	box := pick(s.dice, s.folders...)
	if s.chance(15) {
		box = "INBOX"
	}
	p := compose(s.dice, s.nextID(), s.user.Email, []string{s.user.Email})
	m, err := s.put(p, box, s.newFlags())
	if m != nil {
		s.keep(m)
	}
	return err
}

// put appends a message and gives it when the server said where it is. A refusal is no error.
func (s *imapSession) put(p parcel, box string, flags []string) (*owned, error) {
	op := s.begin(s.t, entry{Kind: kindAppend, ID: p.id, Sum: p.sum, Account: s.user.name(), To: box, Flags: flags})
	cmd := s.conn.Append(box, int64(len(p.raw)), &imap.AppendOptions{Flags: wireFlags(flags), Time: time.Now()})
	_, err := cmd.Write(p.raw)
	err = errors.Join(err, cmd.Close())
	data, waited := cmd.Wait()
	cut := err != nil
	if waited != nil || err == nil {
		err = waited // a refusal of the literal shows in the reply
	}
	event, reply := outcome(err)
	told := entry{}
	if event == evAck {
		told.ToUID, told.Validity = uint32(data.UID), data.UIDValidity
	}
	op.end(event, reply, told)
	if event == evAck && data.UID != 0 {
		return &owned{p.id, box, data.UID, flags}, nil
	}
	if event == evRefused && cut {
		return nil, errAgain // refused before the literal: the library then closes its connection
	}
	return nil, unlessRefused(event, err)
}

// keep makes a message ours, unless we have enough.
func (s *imapSession) keep(m *owned) {
	if len(s.messages) < mostOwned {
		s.messages = append(s.messages, m)
	}
}

// drop lets go of a message.
func (s *imapSession) drop(m *owned) {
	s.messages = slices.DeleteFunc(s.messages, func(o *owned) bool { return o == m })
}

// unlessRefused ends the session after a broken connection only.
func unlessRefused(event string, err error) error {
	if event == evRefused {
		return nil
	}
	return err
}

// open selects the mailbox, and writes down what the server says of it.
func (s *imapSession) open(mailbox string) error {
	if s.selected == mailbox {
		return nil
	}
	s.selected = ""
	op := s.begin(s.t, entry{Kind: kindSelect, Account: s.user.name(), Mailbox: mailbox})
	data, err := s.conn.Select(mailbox, nil).Wait()
	event, reply := outcome(err)
	told := entry{}
	if event == evAck {
		told.Validity, told.Next = data.UIDValidity, uint32(data.UIDNext)
		s.selected = mailbox
	}
	op.end(event, reply, told)
	return err
}

// about is the intent of a change of one message.
func (s *imapSession) about(kind string, m *owned) entry {
	return entry{Kind: kind, ID: m.id, Account: s.user.name(), Mailbox: m.mailbox, UID: uint32(m.uid)}
}

// newFlags draws the flags that a message is to have.
func (s *imapSession) newFlags() []string {
	var flags []string
	for _, f := range []string{`\seen`, `\flagged`, `\answered`, `\draft`, "$chaos", "$forwarded"} {
		if s.chance(35) {
			flags = append(flags, f)
		}
	}
	return flags
}

func wireFlags(flags []string) []imap.Flag {
	out := make([]imap.Flag, len(flags))
	for i, f := range flags {
		out[i] = imap.Flag(f)
	}
	return out
}

// store brings the message to the wanted flags by FLAGS, or by the +FLAGS or -FLAGS that leads there.
func (s *imapSession) store(m *owned, want []string) error {
	if err := s.open(m.mailbox); err != nil {
		return err
	}
	change := &imap.StoreFlags{Op: imap.StoreFlagsSet, Flags: wireFlags(want), Silent: s.chance(50)}
	switch add := without(want, m.flags); {
	case len(add) > 0 && s.chance(40):
		change.Op, change.Flags = imap.StoreFlagsAdd, wireFlags(add)
		want = append(slices.Clone(m.flags), add...)
	case len(without(m.flags, want)) > 0 && s.chance(40):
		remove := without(m.flags, want)
		change.Op, change.Flags = imap.StoreFlagsDel, wireFlags(remove)
		want = without(m.flags, remove)
	}
	intent := s.about(kindStore, m)
	intent.Flags = want
	op := s.begin(s.t, intent)
	err := s.conn.Store(imap.UIDSetNum(m.uid), change, nil).Close()
	event, reply := outcome(err)
	op.end(event, reply, entry{})
	switch {
	case event == evAck:
		m.flags = want
	case !certain(event, err):
		s.drop(m)
	}
	return unlessRefused(event, err)
}

// without gives the flags of a that are not in b.
func without(a, b []string) []string {
	var out []string
	for _, f := range a {
		if !slices.Contains(b, f) {
			out = append(out, f)
		}
	}
	return out
}

// elsewhere picks a target for a copy or a move: one of ours, Archive or Trash, never the inbox, where only mail arrives.
func (s *imapSession) elsewhere(mailbox string) string {
	for {
		if box := pick(s.dice, s.folders[0], s.folders[1], s.folders[1], s.folders[0], "Archive", "Trash"); box != mailbox {
			return box
		}
	}
}

func (s *imapSession) copy(m *owned) error {
	to := s.elsewhere(m.mailbox)
	if err := s.open(m.mailbox); err != nil {
		return err
	}
	intent := s.about(kindCopy, m)
	intent.To = to
	op := s.begin(s.t, intent)
	data, err := s.conn.Copy(imap.UIDSetNum(m.uid), to).Wait()
	event, reply := outcome(err)
	told := entry{}
	if event == evAck {
		told.ToUID, told.Validity = uint32(only(data.DestUIDs)), data.UIDValidity
	}
	op.end(event, reply, told)
	if told.ToUID != 0 {
		s.keep(&owned{m.id, to, imap.UID(told.ToUID), m.flags})
	}
	return unlessRefused(event, err)
}

// only gives the single UID of a set, or 0.
func only(set imap.NumSet) imap.UID {
	uids, _ := set.(imap.UIDSet)
	if nums, ok := uids.Nums(); ok && len(nums) == 1 {
		return nums[0]
	}
	return 0
}

func (s *imapSession) move(m *owned) error {
	to := s.elsewhere(m.mailbox)
	if err := s.open(m.mailbox); err != nil {
		return err
	}
	intent := s.about(kindMove, m)
	intent.To = to
	op := s.begin(s.t, intent)
	data, err := s.conn.Move(imap.UIDSetNum(m.uid), to).Wait()
	event, reply := outcome(err)
	told := entry{}
	if event == evAck {
		told.ToUID, told.Validity = uint32(only(data.DestUIDs)), data.UIDValidity
	}
	op.end(event, reply, told)
	switch {
	case told.ToUID != 0:
		m.mailbox, m.uid = to, imap.UID(told.ToUID)
	case !certain(event, err):
		s.drop(m)
	}
	return unlessRefused(event, err)
}

// expunge marks the message as deleted and removes it, by UID EXPUNGE alone: others may have marked theirs.
func (s *imapSession) expunge(m *owned) error {
	if err := s.store(m, append(without(m.flags, []string{`\deleted`}), `\deleted`)); err != nil || !slices.Contains(m.flags, `\deleted`) {
		return err
	}
	op := s.begin(s.t, s.about(kindExpunge, m))
	err := s.conn.UIDExpunge(imap.UIDSetNum(m.uid)).Close()
	event, reply := outcome(err)
	op.end(event, reply, entry{})
	if !certain(event, err) {
		s.drop(m)
	}
	return unlessRefused(event, err)
}

// claim takes about half of what has arrived in the inbox since the last claim, and writes down what it saw.
func (s *imapSession) claim() error {
	if err := s.open("INBOX"); err != nil {
		return err
	}
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	account := s.user.name()
	last := s.claims.last[account]
	header := &imap.FetchItemBodySection{Peek: true, Specifier: imap.PartSpecifierHeader, HeaderFields: []string{idField}}
	set := imap.UIDSet{{Start: last + 1, Stop: 0}}
	list, err := s.conn.Fetch(set, &imap.FetchOptions{UID: true, Flags: true, BodySection: []*imap.FetchItemBodySection{header}}).Collect()
	if err != nil {
		return unlessRefused(firstOf(outcome(err)), s.heard(kindRead, err))
	}
	for _, m := range list {
		if m.UID <= last { // n:* gives the last message also when n is above it
			continue
		}
		s.claims.last[account] = max(s.claims.last[account], m.UID)
		_, id, _ := strings.Cut(string(m.FindBodySection(header)), ":")
		if id = strings.TrimSpace(id); id == "" || s.isAppended(id) || len(s.messages) >= mostOwned || s.chance(50) {
			continue
		}
		flags := plainFlags(m.Flags)
		s.ledger.add(entry{
			Event: evSeen, Kind: kindClaim, Site: s.site, Who: s.name, Life: s.t.life, ID: id, Account: account, Mailbox: "INBOX", UID: uint32(m.UID), Flags: flags,
		})
		s.keep(&owned{id, "INBOX", m.UID, flags})
	}
	return nil
}

// isAppended tells what IMAP clients put into the inbox, which is theirs, from what arrived.
func (s *imapSession) isAppended(id string) bool {
	return strings.HasPrefix(id, fmt.Sprintf("k%d-%si", s.seed, s.tag))
}

func firstOf(event, _ string) string { return event }

// plainFlags gives flags in lower case, without \Recent, which says nothing about the message.
func plainFlags(flags []imap.Flag) []string {
	var out []string
	for _, f := range flags {
		if name := strings.ToLower(string(f)); name != `\recent` {
			out = append(out, name)
		}
	}
	return out
}
