package main

import (
	"fmt"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// readMail reads every mailbox of a user over IMAP.
func (w *world) readMail(t *target, user login) error {
	c, err := imapclient.DialTLS(t.Listen["imaps"], &imapclient.Options{TLSConfig: t.tls})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Login(user.Email, user.Password).Wait(); err != nil {
		return fmt.Errorf("sign in as %s: %w", user.Email, err)
	}
	list, err := c.List("", "*", nil).Collect()
	if err != nil {
		return fmt.Errorf("LIST for %s: %w", user.Email, err)
	}
	for _, box := range list {
		if slices.Contains(box.Attrs, imap.MailboxAttrNoSelect) || slices.Contains(box.Attrs, imap.MailboxAttrNonExistent) {
			continue
		}
		if err := w.readMailbox(c, boxName{user.name(), box.Mailbox}); err != nil {
			return fmt.Errorf("%s of %s: %w", box.Mailbox, user.Email, err)
		}
	}
	return c.Logout().Wait()
}

// readMailbox reads what the mailbox says of itself, and every message in it.
func (w *world) readMailbox(c *imapclient.Client, name boxName) error {
	status, err := c.Status(name.mailbox, &imap.StatusOptions{NumMessages: true, NumUnseen: true, Size: true, UIDNext: true, UIDValidity: true}).Wait()
	if err != nil {
		return err
	}
	if status.NumMessages == nil || status.NumUnseen == nil || status.Size == nil {
		return fmt.Errorf("STATUS leaves out what was asked: %+v", status)
	}
	selected, err := c.Select(name.mailbox, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return err
	}
	b := mailboxState{
		boxName: name, validity: selected.UIDValidity, next: uint32(selected.UIDNext), exists: selected.NumMessages,
		status: counters{int64(*status.NumMessages), int64(*status.NumUnseen), *status.Size},
	}
	if status.UIDNext != selected.UIDNext || status.UIDValidity != selected.UIDValidity {
		return fmt.Errorf("STATUS and EXAMINE differ: %+v and %+v", status, selected)
	}
	hits, err := c.UIDSearch(&imap.SearchCriteria{}, nil).Wait()
	if err != nil {
		return err
	}
	b.searched = uint32(len(hits.AllUIDs()))
	if err := w.fetch(c, &b); err != nil {
		return err
	}
	w.mailboxes = append(w.mailboxes, b)
	return c.Unselect().Wait()
}

// fetch reads the messages of the selected mailbox one after the other.
func (w *world) fetch(c *imapclient.Client, b *mailboxState) error {
	if b.exists == 0 {
		return nil
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	cmd := c.Fetch(imap.UIDSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{
		UID: true, Flags: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{whole},
	})
	defer cmd.Close() // the close that counts is below
	for item := cmd.Next(); item != nil; item = cmd.Next() {
		m, err := item.Collect()
		if err != nil {
			return err
		}
		raw := m.FindBodySection(whole)
		got := message{
			place: place{b.boxName, uint32(m.UID)}, content: examine(raw), flags: plainFlags(m.Flags), size: m.RFC822Size, bytes: int64(len(raw)),
		}
		if got.isNotice() {
			got.notice = readNotice(raw)
		}
		b.fetched.messages++
		b.fetched.bytes += m.RFC822Size
		if !slices.Contains(got.flags, `\seen`) {
			b.fetched.unseen++
		}
		w.messages = append(w.messages, got)
	}
	return cmd.Close()
}

// countNotices counts the recipients about whom the user's inbox has notices.
func countNotices(t *target, user login) (int, error) {
	c, err := imapclient.DialTLS(t.Listen["imaps"], &imapclient.Options{TLSConfig: t.tls})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.Login(user.Email, user.Password).Wait(); err != nil {
		return 0, fmt.Errorf("sign in as %s: %w", user.Email, err)
	}
	if _, err := c.Select("INBOX", &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return 0, err
	}
	from := imap.SearchCriteriaHeaderField{Key: "From", Value: "MAILER-DAEMON"}
	hits, err := c.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{from}}, nil).Wait()
	if err != nil || len(hits.AllUIDs()) == 0 {
		return 0, err
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	list, err := c.Fetch(imap.UIDSetNum(hits.AllUIDs()...), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, m := range list {
		if found := readNotice(m.FindBodySection(whole)); found != nil {
			n += len(found.failed)
		}
	}
	return n, nil
}
