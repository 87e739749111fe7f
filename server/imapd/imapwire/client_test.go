package imapwire_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

const message = "Subject: hello\r\n\r\nbody with {3}\r\n) in it\r\n"

// canned answers every command with fixed data through the Reader and the Writer, so that a foreign client judges both.
type canned struct {
	r        *imapwire.Reader
	w        *imapwire.Writer
	caps     []imap.Cap
	appended string
	login    imapwire.Login
	search   imapwire.Criteria
}

func startCanned(t *testing.T, caps ...imap.Cap) (*canned, *imapclient.Client) {
	t.Helper()
	mine, theirs := net.Pipe()
	c := &canned{w: imapwire.NewWriter(mine)}
	c.r = imapwire.NewReader(mine, imapwire.LimitsAfterLogin(), func(text string) error {
		c.w.Continue(text)
		return c.w.Flush()
	})
	c.caps = append([]imap.Cap{
		imap.CapIMAP4rev1, imap.CapUIDPlus, imap.CapMove, imap.CapESearch, imap.CapListExtended, imap.CapListStatus,
		imap.CapSpecialUse, imap.CapCondStore, imap.CapID, imap.CapNamespace, imap.CapQuota,
	}, caps...)
	done := make(chan error, 1)
	go func() {
		defer mine.Close()
		done <- c.serve()
	}()
	client := imapclient.New(theirs, nil)
	t.Cleanup(func() {
		client.Close()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return c, client
}

func (c *canned) serve() error {
	c.w.Status(imap.StatusResponseTypeOK, imapwire.CodeCapability(c.caps), "Ready")
	for {
		if err := c.w.Flush(); err != nil {
			return ignoreClosed(err)
		}
		cmd, err := c.r.ReadCommand()
		if err != nil {
			return ignoreClosed(err)
		}
		code, err := c.answer(cmd)
		if err != nil {
			return err
		}
		c.w.Tagged(cmd.Tag, imap.StatusResponseTypeOK, code, "")
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (c *canned) answer(cmd *imapwire.Command) (imap.ResponseCode, error) {
	switch args := cmd.Args.(type) {
	case *imapwire.Login:
		c.login = *args
	case *imapwire.Select:
		c.w.Flags([]imap.Flag{imap.FlagSeen})
		c.w.Exists(3)
		c.w.Status("OK", imapwire.CodeUIDNext(10), "")
		c.w.Status("OK", imapwire.CodeUIDValidity(7), "")
		c.w.Status("OK", imapwire.CodePermanentFlags([]imap.Flag{imap.FlagSeen, imap.FlagWildcard}), "")
		c.w.Status("OK", imapwire.CodeHighestModSeq(99), "")
		return "READ-WRITE", nil
	case *imapwire.Append:
		body, err := io.ReadAll(args.Message)
		if err != nil {
			return "", err
		}
		c.appended = string(body)
		return imapwire.CodeAppendUID(7, 9), args.Message.Close()
	case *imapwire.Fetch:
		return "", c.fetch(args)
	case *imapwire.Search:
		c.search = args.Criteria
		if args.Extended {
			c.w.ESearch(cmd.Tag, &imapwire.SearchResult{UID: cmd.UID, Min: 1, Max: 8, Count: 3, HasCount: true, All: uids(1, 2, 8, 8)})
		} else {
			c.w.Search([]uint32{1, 2, 8}, 0)
		}
	case *imapwire.List:
		c.w.List(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrSent}, Delim: '/', Mailbox: "Entwürfe & Co"})
		c.w.MailboxStatus("Entwürfe & Co", []imapwire.StatusItem{{Name: "MESSAGES", Num: 3}, {Name: "UNSEEN", Num: 2}})
	case *imapwire.Copy:
		return imapwire.CodeCopyUID(&imap.CopyData{UIDValidity: 7, SourceUIDs: args.Set.(imap.UIDSet), DestUIDs: uids(20, 21)}), nil
	case *imapwire.ID:
		c.w.ID([]imapwire.IDField{{Key: "name", Value: "server"}})
	case *imapwire.Mailbox:
		c.w.QuotaRoots("INBOX", []string{""})
		c.w.Quota("", []imapwire.QuotaResource{{Name: imap.QuotaResourceStorage, Usage: 5, Limit: 10}})
	case nil:
		c.plain(cmd.Name)
	}
	return "", nil
}

func (c *canned) plain(name string) {
	switch name {
	case "CAPABILITY":
		c.w.Capability(c.caps)
	case "NAMESPACE":
		c.w.Namespace(&imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: '/'}}})
	case "EXPUNGE":
		c.w.Expunge(3)
		c.w.Expunge(1)
	case "LOGOUT":
		c.w.Bye("", "Bye")
	}
}

func (c *canned) fetch(args *imapwire.Fetch) error {
	c.w.BeginFetch(1)
	c.w.FetchUID(5)
	c.w.FetchFlags([]imap.Flag{imap.FlagSeen, "work"})
	c.w.FetchInternalDate(time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC))
	c.w.FetchSize(int64(len(message)))
	c.w.FetchModSeq(77)
	if err := c.w.FetchRaw("ENVELOPE", []byte(`(NIL "hello" NIL NIL NIL NIL NIL NIL NIL "<a@b>")`)); err != nil {
		return err
	}
	if err := c.w.FetchRaw("BODYSTRUCTURE", []byte(`("TEXT" "PLAIN" NIL NIL NIL "7BIT" 20 2 NIL NIL NIL NIL)`)); err != nil {
		return err
	}
	for _, item := range args.Options.BodySection {
		if err := c.w.FetchSection(item, int64(len(message)), strings.NewReader(message)); err != nil {
			return err
		}
	}
	c.w.EndFetch()
	return nil
}

func TestForeignClientUnderstandsEveryAnswer(t *testing.T) {
	t.Parallel()
	for _, caps := range [][]imap.Cap{nil, {imap.CapLiteralPlus}} {
		server, client := startCanned(t, caps...)
		if err := client.Login("jöe", `pa"ss\wörd`).Wait(); err != nil {
			t.Fatal(err)
		}
		if server.login.User != "jöe" || server.login.Password != `pa"ss\wörd` {
			t.Errorf("%+v", server.login)
		}
		clientSelects(t, client)
		clientFetches(t, client)
		clientSearches(t, server, client)
		clientLists(t, client)
		clientAppends(t, server, client)
		clientAsks(t, client)
		if err := client.Logout().Wait(); err != nil {
			t.Error(err)
		}
	}
}

func clientSelects(t *testing.T, client *imapclient.Client) {
	t.Helper()
	data, err := client.Select("Entwürfe & Co", &imap.SelectOptions{CondStore: true}).Wait()
	if err != nil {
		t.Fatal(err)
	}
	if data.NumMessages != 3 || data.UIDNext != 10 || data.UIDValidity != 7 || data.HighestModSeq != 99 || len(data.PermanentFlags) != 2 {
		t.Errorf("%+v", data)
	}
}

func clientFetches(t *testing.T, client *imapclient.Client) {
	t.Helper()
	section := &imap.FetchItemBodySection{Part: []int{1}, Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Subject", "X-Odd"}, Peek: true, Partial: &imap.SectionPartial{Offset: 3, Size: 9000}}
	whole := &imap.FetchItemBodySection{}
	msgs, err := client.Fetch(uids(1, 5), &imap.FetchOptions{
		UID: true, Flags: true, Envelope: true, InternalDate: true, RFC822Size: true, ModSeq: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{whole, section}, ChangedSince: 4,
	}).Collect()
	if err != nil || len(msgs) != 1 {
		t.Fatal(msgs, err)
	}
	m := msgs[0]
	if m.UID != 5 || len(m.Flags) != 2 || m.Envelope.Subject != "hello" || m.ModSeq != 77 || m.RFC822Size != int64(len(message)) || m.InternalDate.Year() != 2024 {
		t.Errorf("%+v", m)
	}
	if m.BodyStructure.MediaType() != "text/plain" || string(m.FindBodySection(whole)) != message || string(m.FindBodySection(section)) != message {
		t.Errorf("body: %+v", m)
	}
}

func clientSearches(t *testing.T, server *canned, client *imapclient.Client) {
	t.Helper()
	criteria := &imap.SearchCriteria{
		Since: day("2024-01-02"), Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "hällo"}}, Larger: 5,
		Not: []imap.SearchCriteria{{Flag: []imap.Flag{imap.FlagSeen}}},
		Or:  [][2]imap.SearchCriteria{{{Body: []string{"a b"}}, {UID: []imap.UIDSet{uids(3, 0)}}}},
	}
	data, err := client.UIDSearch(criteria, &imap.SearchOptions{ReturnAll: true, ReturnMin: true, ReturnMax: true, ReturnCount: true}).Wait()
	if err != nil {
		t.Fatal(err)
	}
	if data.Min != 1 || data.Max != 8 || data.Count != 3 || data.All.String() != "1:2,8" {
		t.Errorf("%+v", data)
	}
	got := server.search
	if !got.Since.Equal(criteria.Since) || got.Header[0].Value != "hällo" || got.Larger != 5 || len(got.Not) != 1 || got.Or[0][0].Body[0] != "a b" || got.Or[0][1].UID[0].String() != "3:*" {
		t.Errorf("%+v", got)
	}
	if data, err := client.Search(&imap.SearchCriteria{}, nil).Wait(); err != nil || len(data.AllSeqNums()) != 3 {
		t.Errorf("%+v, %v", data, err)
	}
}

func clientLists(t *testing.T, client *imapclient.Client) {
	t.Helper()
	list, err := client.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, NumUnseen: true}}).Collect()
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if l := list[0]; l.Mailbox != "Entwürfe & Co" || l.Delim != '/' || l.Attrs[0] != imap.MailboxAttrSent || *l.Status.NumMessages != 3 || *l.Status.NumUnseen != 2 {
		t.Errorf("%+v", l)
	}
}

func clientAppends(t *testing.T, server *canned, client *imapclient.Client) {
	t.Helper()
	cmd := client.Append("INBOX", int64(len(message)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}, Time: time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)})
	if _, err := io.WriteString(cmd, message); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := cmd.Wait(); err != nil || data.UID != 9 || data.UIDValidity != 7 || server.appended != message {
		t.Errorf("%+v, %v, %q", data, err, server.appended)
	}
	copied, err := client.Copy(uids(3, 4), "Entwürfe").Wait()
	if err != nil || copied.DestUIDs.String() != "20:21" {
		t.Errorf("%+v, %v", copied, err)
	}
	if _, err := client.Store(uids(3, 4), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, &imap.StoreOptions{UnchangedSince: 3}).Collect(); err != nil {
		t.Error(err)
	}
}

func clientAsks(t *testing.T, client *imapclient.Client) {
	t.Helper()
	if seqs, err := client.Expunge().Collect(); err != nil || len(seqs) != 2 {
		t.Error(seqs, err)
	}
	if ns, err := client.Namespace().Wait(); err != nil || len(ns.Personal) != 1 {
		t.Error(ns, err)
	}
	if id, err := client.ID(&imap.IDData{Name: "tester"}).Wait(); err != nil || id.Name != "server" {
		t.Error(id, err)
	}
	if quota, err := client.GetQuotaRoot("INBOX").Wait(); err != nil || len(quota) != 1 || quota[0].Resources[imap.QuotaResourceStorage].Limit != 10 {
		t.Error(quota, err)
	}
}
