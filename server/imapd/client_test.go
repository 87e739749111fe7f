package imapd_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// library connects the client of go-imap, which shares no code with our engine but the types.
func (w *person) library(handler *imapclient.UnilateralDataHandler) *imapclient.Client {
	w.e.t.Helper()
	c, err := imapclient.DialTLS(w.e.secure, &imapclient.Options{TLSConfig: w.e.clientTLS, UnilateralDataHandler: handler})
	if err != nil {
		w.e.t.Fatal(err)
	}
	w.e.t.Cleanup(func() { c.Close() })
	if err := c.Authenticate(sasl.NewPlainClient("", w.email, password)); err != nil {
		w.e.t.Fatal(err)
	}
	return c
}

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestTheLibrarysClientUnderstandsEveryAnswer(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	c := w.library(nil)
	if ns := must[*imap.NamespaceData](t)(c.Namespace().Wait()); len(ns.Personal) != 1 || ns.Personal[0].Delim != '/' {
		t.Errorf("namespace %+v", ns)
	}
	if id := must[*imap.IDData](t)(c.ID(&imap.IDData{Name: "test"}).Wait()); id.Name != "mailserver" || id.Version != "1.2.3" {
		t.Errorf("id %+v", id)
	}
	if err := c.Create("Work/Büro", &imap.CreateOptions{}).Wait(); err != nil {
		t.Fatal(err)
	}
	list := must[[]*imap.ListData](t)(c.List("", "*", &imap.ListOptions{
		ReturnSubscribed: true, ReturnChildren: true, ReturnSpecialUse: true,
		ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true, NumUnseen: true, Size: true},
	}).Collect())
	names := make([]string, len(list))
	for i, box := range list {
		names[i] = box.Mailbox
		if box.Status == nil || box.Status.NumMessages == nil || *box.Status.NumMessages != 0 {
			t.Errorf("%s has no status", box.Mailbox)
		}
	}
	if want := []string{"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash", "Work", "Work/Büro"}; !slices.Equal(names, want) {
		t.Errorf("names %q", names)
	}
	letter := strings.ReplaceAll(string(must[[]byte](t)(readFile("testdata/parts.eml"))), "\n", "\r\n")
	appended := w.append(c, "Work/Büro", letter, imap.FlagFlagged)
	selected := must[*imap.SelectData](t)(c.Select("Work/Büro", nil).Wait())
	if selected.NumMessages != 1 || selected.UIDNext != 2 || selected.UIDValidity != appended.UIDValidity {
		t.Errorf("selected %+v", selected)
	}
	messages := must[[]*imapclient.FetchMessageBuffer](t)(c.Fetch(imap.UIDSetNum(appended.UID), &imap.FetchOptions{
		Envelope: true, Flags: true, InternalDate: true, RFC822Size: true, UID: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection: []*imap.FetchItemBodySection{
			{Peek: true}, {Part: []int{2, 1}, Peek: true}, {Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Subject"}, Peek: true},
		},
		BinarySection:     []*imap.FetchItemBinarySection{{Part: []int{2, 1}, Peek: true}},
		BinarySectionSize: []*imap.FetchItemBinarySectionSize{{Part: []int{1}}},
	}).Collect())
	m := messages[0]
	if m.RFC822Size != int64(len(letter)) || !slices.Equal(m.Flags, []imap.Flag{imap.FlagFlagged}) || m.Envelope.Subject != "Grüße an alle" {
		t.Errorf("message %+v %+v", m, m.Envelope)
	}
	if whole := m.FindBodySection(&imap.FetchItemBodySection{Peek: true}); string(whole) != letter {
		t.Errorf("content differs: %q", whole)
	}
	if part := m.FindBinarySection(&imap.FetchItemBinarySection{Part: []int{2, 1}, Peek: true}); string(part) != "hello world" {
		t.Errorf("decoded part %q", part)
	}
	if mp, ok := m.BodyStructure.(*imap.BodyStructureMultiPart); !ok || len(mp.Children) != 3 || mp.Subtype != "mixed" {
		t.Errorf("structure %#v", m.BodyStructure)
	}
	w.libraryChanges(c, appended.UID)
}

// libraryChanges stores, searches, copies, moves and removes.
func (w *person) libraryChanges(c *imapclient.Client, uid imap.UID) {
	t := w.e.t
	t.Helper()
	set := imap.UIDSetNum(uid)
	changed := must[[]*imapclient.FetchMessageBuffer](t)(c.Store(set, &imap.StoreFlags{
		Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen, "$Forwarded"},
	}, nil).Collect())
	if len(changed) != 1 || len(changed[0].Flags) != 3 {
		t.Errorf("stored %+v", changed)
	}
	found := must[*imap.SearchData](t)(c.UIDSearch(&imap.SearchCriteria{
		Flag: []imap.Flag{"$Forwarded"}, Text: []string{"café"}, Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "GRÜSSE"}},
	}, &imap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait())
	if found.Count != 1 || !slices.Equal(found.AllUIDs(), []imap.UID{uid}) {
		t.Errorf("found %+v", found)
	}
	copied := must[*imap.CopyData](t)(c.Copy(set, "Archive").Wait())
	if copied.SourceUIDs.String() != uid2text(uid) || copied.DestUIDs.String() != "1" {
		t.Errorf("copied %+v", copied)
	}
	moved := must[*imapclient.MoveData](t)(c.Move(set, "Trash").Wait())
	if moved.DestUIDs == nil || moved.DestUIDs.String() != "1" {
		t.Errorf("moved %+v", moved)
	}
	must[*imap.SelectData](t)(c.Select("Trash", nil).Wait())
	if err := c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		t.Error(err)
	}
	if gone := must[[]uint32](t)(c.UIDExpunge(imap.UIDSetNum(1)).Collect()); !slices.Equal(gone, []uint32{1}) {
		t.Errorf("expunged %v", gone)
	}
	if err := c.Unselect().Wait(); err != nil {
		t.Error(err)
	}
	status := must[*imap.StatusData](t)(c.Status("Archive", &imap.StatusOptions{NumMessages: true, UIDNext: true, NumDeleted: true, Size: true}).Wait())
	if *status.NumMessages != 1 || status.UIDNext != 2 || *status.NumDeleted != 0 || *status.Size == 0 {
		t.Errorf("status %+v", status)
	}
	if err := c.Logout().Wait(); err != nil {
		t.Error(err)
	}
}

func uid2text(uid imap.UID) string { return fmt.Sprint(uint32(uid)) }

func (w *person) append(c *imapclient.Client, box, text string, flags ...imap.Flag) *imap.AppendData {
	w.e.t.Helper()
	cmd := c.Append(box, int64(len(text)), &imap.AppendOptions{Flags: flags, Time: time.Date(2026, 11, 3, 4, 5, 6, 0, time.UTC)})
	if _, err := cmd.Write([]byte(text)); err != nil {
		w.e.t.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		w.e.t.Fatal(err)
	}
	data, err := cmd.Wait()
	if err != nil {
		w.e.t.Fatal(err)
	}
	return data
}

func TestTheLibrarysClientIsPushedNewMail_A5(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	told := make(chan uint32, 10)
	c := w.library(&imapclient.UnilateralDataHandler{Mailbox: func(data *imapclient.UnilateralDataMailbox) {
		if data.NumMessages != nil {
			told <- *data.NumMessages
		}
	}})
	must[*imap.SelectData](t)(c.Select("INBOX", nil).Wait())
	idle := must[*imapclient.IdleCommand](t)(c.Idle())
	for i := range uint32(3) {
		w.deliver("INBOX", note(int(i)))
		select {
		case n := <-told:
			if n != i+1 {
				t.Errorf("told %d after %d", n, i+1)
			}
		case <-time.After(time.Second):
			t.Fatal("not told within a second")
		}
	}
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := idle.Wait(); err != nil {
		t.Fatal(err)
	}
}

// A client that keeps a copy of a mailbox in step, as mbsync does: by UID, with UIDPLUS, in both directions.
func TestTwoWaySyncMovesEverythingOnceAndNothingTwice(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	rng := rand.New(rand.NewPCG(1, 2))
	const messages = 120
	local := map[imap.UID]string{} // what the client has, by the server's UIDs
	c := w.library(nil)
	must[*imap.SelectData](t)(c.Select("INBOX", nil).Wait())
	for i := range messages {
		text := generated(rng, i)
		if i%2 == 0 {
			w.deliver("INBOX", text)
			continue
		}
		data := w.append(c, "INBOX", text, imap.FlagSeen)
		local[data.UID] = text
	}
	pulled := w.pull(c, local)
	if pulled != messages/2 || len(local) != messages {
		t.Errorf("%d pulled, %d in all", pulled, len(local))
	}
	if again := w.pull(c, local); again != 0 {
		t.Errorf("the second run pulled %d", again)
	}
	w.checkBytes(c, local)
	// The client deletes some, somebody else deletes others.
	if err := c.Store(imap.UIDSetNum(1, 2, 3), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if gone := must[[]uint32](t)(c.UIDExpunge(imap.UIDSetNum(1, 2, 3)).Collect()); len(gone) != 3 {
		t.Errorf("expunged %v", gone)
	}
	other := w.in("INBOX")
	other.ok(`UID STORE 10:12 +FLAGS.SILENT (\Deleted)`)
	other.ok("EXPUNGE")
	if err := c.Noop().Wait(); err != nil { // told of the expunge
		t.Fatal(err)
	}
	found := must[*imap.SearchData](t)(c.UIDSearch(&imap.SearchCriteria{}, nil).Wait())
	if n := len(found.AllUIDs()); n != messages-6 {
		t.Errorf("%d left", n)
	}
}

// pull fetches what the client does not have.
func (w *person) pull(c *imapclient.Client, local map[imap.UID]string) int {
	w.e.t.Helper()
	all := must[[]*imapclient.FetchMessageBuffer](w.e.t)(c.Fetch(imap.UIDSet{{Start: 1}}, &imap.FetchOptions{UID: true, Flags: true}).Collect())
	var missing imap.UIDSet
	for _, m := range all {
		if _, have := local[m.UID]; !have {
			missing.AddNum(m.UID)
		}
	}
	if len(missing) == 0 {
		return 0
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	got := must[[]*imapclient.FetchMessageBuffer](w.e.t)(c.Fetch(missing, &imap.FetchOptions{
		UID: true, Flags: true, InternalDate: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{whole},
	}).Collect())
	for _, m := range got {
		local[m.UID] = string(m.FindBodySection(whole))
	}
	return len(got)
}

func (w *person) checkBytes(c *imapclient.Client, local map[imap.UID]string) {
	w.e.t.Helper()
	whole := &imap.FetchItemBodySection{Peek: true}
	all := must[[]*imapclient.FetchMessageBuffer](w.e.t)(c.Fetch(imap.UIDSet{{Start: 1}}, &imap.FetchOptions{
		UID: true, BodySection: []*imap.FetchItemBodySection{whole},
	}).Collect())
	for _, m := range all {
		if !bytes.Equal(m.FindBodySection(whole), []byte(local[m.UID])) {
			w.e.t.Errorf("UID %d differs", m.UID)
		}
	}
	if len(all) != len(local) {
		w.e.t.Errorf("%d on the server, %d here", len(all), len(local))
	}
}

// generated is a message with any octets but NUL in its body.
func generated(rng *rand.Rand, i int) string {
	var body strings.Builder
	for range rng.IntN(2000) {
		c := byte(rng.IntN(255) + 1)
		if c == '\n' || c == '\r' {
			body.WriteString("\r\n")
			continue
		}
		body.WriteByte(c)
	}
	return fmt.Sprintf("From: a@example.test\r\nSubject: generated %d\r\n\r\n%s", i, body.String())
}

func TestTheLibrarysClientSpeaksRev2(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1), note(2))
	c := w.library(nil)
	enabled := must[*imapclient.EnableData](t)(c.Enable(imap.CapIMAP4rev2).Wait())
	if !enabled.Caps.Has(imap.CapIMAP4rev2) {
		t.Fatal(enabled)
	}
	if err := c.Create("Entwürfe und mehr", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	must[*imap.SelectData](t)(c.Select("Entwürfe und mehr", nil).Wait())
	must[*imap.SelectData](t)(c.Select("INBOX", nil).Wait())
	found := must[*imap.SearchData](t)(c.UIDSearch(&imap.SearchCriteria{Body: []string{"note 2"}}, nil).Wait())
	if !slices.Equal(found.AllUIDs(), []imap.UID{2}) {
		t.Errorf("found %v", found.AllUIDs())
	}
}
