package imapwire_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

var update = flag.Bool("update", false, "write the golden files")

// written runs write against a Writer and gives what reached the client.
func written(t *testing.T, write func(w *imapwire.Writer)) string {
	t.Helper()
	var out bytes.Buffer
	w := imapwire.NewWriter(&out)
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEveryResponseLooksAsAgreed(t *testing.T) {
	t.Parallel()
	got := written(t, func(w *imapwire.Writer) {
		writeGreeting(w)
		writeMailboxes(w)
		writeMessages(w)
		w.SetUTF8(true)
		writeMailboxes(w)
	})
	const golden = "testdata/responses.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func writeGreeting(w *imapwire.Writer) {
	caps := []imap.Cap{imap.CapIMAP4rev1, imap.CapIMAP4rev2, "bad cap", imap.CapIdle}
	w.Status(imap.StatusResponseTypeOK, imapwire.CodeCapability(caps), "Ready")
	w.Capability(caps)
	w.Enabled([]imap.Cap{imap.CapCondStore})
	w.Enabled(nil)
	w.ID(nil)
	w.ID([]imapwire.IDField{{Key: "name", Value: `our "server"`}, {Key: "os", Null: true}, {Key: "v", Value: "1\x00\r\n"}})
	w.Namespace(&imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: '/'}}, Shared: []imap.NamespaceDescriptor{{Prefix: "Shared/", Delim: '/'}}})
	w.Continue("")
	w.Continue("idling")
	w.Challenge(nil)
	w.Challenge([]byte("\x00\x01"))
	w.Tagged("a1", imap.StatusResponseTypeNo, imap.ResponseCodeAuthenticationFailed, "Wrong password")
	w.Error(&imapwire.Error{Status: imap.StatusResponseTypeBad, Text: "Bad tag"})
	w.Error(&imapwire.Error{Tag: "a", Status: imap.StatusResponseTypeBad, Code: imap.ResponseCodeLimit, Text: "Too long"})
	w.Bye(imap.ResponseCodeUnavailable, "Going down")
}

func writeMailboxes(w *imapwire.Writer) {
	flags := []imap.Flag{imap.FlagSeen, "bad flag", "", "\\", "work", "x\r\ny", "a]b"}
	w.Flags(flags)
	w.Status(imap.StatusResponseTypeOK, imapwire.CodePermanentFlags(append(flags, imap.FlagWildcard)), "Flags")
	w.Status(imap.StatusResponseTypeOK, imapwire.CodeUIDValidity(7), "")
	w.Status(imap.StatusResponseTypeOK, imapwire.CodeUIDNext(8), "")
	w.Status(imap.StatusResponseTypeOK, imapwire.CodeUnseen(3), "")
	w.Status(imap.StatusResponseTypeOK, imapwire.CodeHighestModSeq(1<<62), "")
	w.Status(imap.StatusResponseTypeOK, imapwire.CodeMailboxID("F123"), "")
	w.List(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrHasChildren, "Bad", "\\", imap.MailboxAttrSent}, Delim: '/', Mailbox: `Ge"sendet/é&`})
	w.List(&imap.ListData{Mailbox: "x", ChildInfo: &imap.ListDataChildInfo{Subscribed: true}, OldName: "日本"})
	w.List(&imap.ListData{Mailbox: "x", Delim: '\\', OldName: "y"})
	w.List(&imap.ListData{Mailbox: "x", Delim: '"', ChildInfo: &imap.ListDataChildInfo{}})
	w.Lsub(&imap.ListData{Mailbox: "INBOX", Delim: '/'})
	w.MailboxStatus("INBOX", []imapwire.StatusItem{
		{Name: "MESSAGES"},
		{Name: "UIDNEXT", Num: 9},
		{Name: "APPENDLIMIT", Nil: true},
		{Name: "MAILBOXID", ID: "F1"},
		{Name: "bad name", Num: 1},
		{Name: "MAILBOXID", ID: "a)b"},
	})
	w.QuotaRoots("Entwürfe", []string{"user"})
	w.Quota("", []imapwire.QuotaResource{{Name: imap.QuotaResourceStorage, Usage: 1, Limit: 2}, {Name: "a b"}, {Name: imap.QuotaResourceMessage}})
}

func writeMessages(w *imapwire.Writer) {
	w.Exists(4294967295)
	w.Recent(0)
	w.Expunge(3)
	w.Vanished(true, uids(1, 3, 5, 5))
	w.Vanished(false, uids(9, 9))
	w.Vanished(false, nil)
	w.Search(nil, 0)
	w.Search([]uint32{2, 84}, 9)
	w.ESearch("a]1", &imapwire.SearchResult{UID: true, Min: 1, Max: 5, All: uids(1, 3, 5, 5), Count: 4, HasCount: true, ModSeq: 8})
	w.ESearch("a", &imapwire.SearchResult{All: imap.SeqSet{}, HasCount: true})
	w.ESearch("a", &imapwire.SearchResult{})
	w.ESearch("a", &imapwire.SearchResult{All: seqs(1, 1, 3, 0)})

	w.BeginFetch(12)
	w.FetchUID(34)
	w.FetchFlags([]imap.Flag{imap.FlagSeen, "a b"})
	w.FetchInternalDate(time.Date(2024, 2, 3, 4, 5, 6, 0, time.FixedZone("", -5400)))
	w.FetchSize(1 << 40)
	w.FetchModSeq(77)
	w.FetchID("EMAILID", "M1")
	w.FetchID("THREADID", "")
	w.FetchSaveDate(time.Date(20240, 1, 1, 0, 0, 0, 0, time.UTC))
	w.EndFetch()
	w.BeginFetch(13)
	w.FetchInternalDate(time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC))
	w.EndFetch()

	w.BeginFetch(1)
	_ = w.FetchRaw("ENVELOPE", []byte("(NIL \"a\\\"b\" {3}\r\n)\r\n ((NIL)))"))
	w.FetchSectionBytes(&imap.FetchItemBodySection{Part: []int{1, 2}, Specifier: imap.PartSpecifierMIME, Peek: true}, []byte("x\r\n"))
	w.FetchSectionBytes(&imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"From", "a(b"}}, nil)
	w.FetchSectionBytes(&imap.FetchItemBodySection{Part: []int{1}, Specifier: imap.PartSpecifierHeader, HeaderFieldsNot: []string{"X"}}, nil)
	_ = w.FetchSection(&imap.FetchItemBodySection{Partial: &imap.SectionPartial{Offset: 5, Size: 9}}, 3, strings.NewReader("abcdef"))
	w.FetchSectionNil(&imap.FetchItemBodySection{Part: []int{9}})
	w.FetchLiteralBytes("RFC822.HEADER", []byte("h"))
	_ = w.FetchLiteral("RFC822", 2, strings.NewReader("ab"))
	_ = w.FetchBinary(&imap.FetchItemBinarySection{Part: []int{1}, Partial: &imap.SectionPartial{}}, 1, strings.NewReader("\x00"))
	w.FetchBinarySize([]int{2, 1}, 6)
	w.EndFetch()
}

// Trap 3 of the library: an empty COPYUID broke the line and every one after it.
func TestUIDCodesAreNeverHalf(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]*imap.CopyData{
		"nil":          nil,
		"nothing":      {UIDValidity: 1},
		"no source":    {UIDValidity: 1, DestUIDs: uids(1, 1)},
		"no target":    {UIDValidity: 1, SourceUIDs: uids(1, 1)},
		"do not pair":  {UIDValidity: 1, SourceUIDs: uids(1, 2), DestUIDs: uids(1, 1)},
		"open ended":   {UIDValidity: 1, SourceUIDs: uids(1, 0), DestUIDs: uids(1, 0)},
		"search":       {UIDValidity: 1, SourceUIDs: imap.SearchRes(), DestUIDs: imap.SearchRes()},
		"not validity": {SourceUIDs: uids(1, 1), DestUIDs: uids(1, 1)},
	} {
		if code := imapwire.CodeCopyUID(data); code != "" {
			t.Errorf("%s: %q", name, code)
		}
	}
	if code := imapwire.CodeCopyUID(&imap.CopyData{UIDValidity: 5, SourceUIDs: uids(1, 2, 7, 7), DestUIDs: uids(10, 12)}); code != "COPYUID 5 1:2,7 10:12" {
		t.Error(code)
	}
	if code := imapwire.CodeAppendUID(5, 9); code != "APPENDUID 5 9" {
		t.Error(code)
	}
	if imapwire.CodeAppendUID(0, 9) != "" || imapwire.CodeAppendUID(5, 0) != "" || imapwire.CodeModified(uids()) != "" || imapwire.CodeMailboxID("a b") != "" {
		t.Error("half a code was made")
	}
	if code := imapwire.CodeModified(uids(3, 4)); code != "MODIFIED 3:4" {
		t.Error(code)
	}
}

func TestTextNeverBreaksTheLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "* OK Completed\r\n",
		"a\r\nx DELETE\x00":      "* OK a  x DELETE \r\n",
		"[ALERT] fake":           "* OK (ALERT] fake\r\n",
		"é":                      "* OK ??\r\n",
		"Ärger[]":                "* OK ??rger[]\r\n",
		strings.Repeat("a", 600): "* OK " + strings.Repeat("a", 512) + "\r\n",
	} {
		if got := written(t, func(w *imapwire.Writer) { w.Status(imap.StatusResponseTypeOK, "", text) }); got != want {
			t.Errorf("%q gives %q", clip(text), got)
		}
	}
	long := "* OK " + strings.Repeat("é", 255) + "\r\n"
	if got := written(t, func(w *imapwire.Writer) {
		w.SetUTF8(true)
		w.Status(imap.StatusResponseTypeOK, "", strings.Repeat("é", 600))
	}); got != long {
		t.Errorf("%q", got)
	}
	for _, code := range []imap.ResponseCode{"A]B", "A\r\nB", "é"} {
		if got := written(t, func(w *imapwire.Writer) { w.Tagged("x y", imap.StatusResponseTypeOK, code, "t") }); got != "* OK t\r\n" {
			t.Errorf("%q gives %q", code, got)
		}
	}
}

// Traps 4 and 5 of the library: half a literal was followed by the next response.
func TestShortLiteralStopsTheWriter(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for name, source := range map[string]io.Reader{
		"short":  strings.NewReader("abc"),
		"broken": iotest.ErrReader(broken),
		"stuck":  stuck{},
	} {
		var out bytes.Buffer
		w := imapwire.NewWriter(&out)
		w.BeginFetch(1)
		err := w.FetchSection(&imap.FetchItemBodySection{}, 100000, source)
		if !errors.Is(err, imapwire.ErrLiteral) || name == "broken" && !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
		w.EndFetch()
		w.Tagged("a", imap.StatusResponseTypeOK, "", "Done")
		if err := w.Flush(); !errors.Is(err, imapwire.ErrLiteral) || w.Err() == nil || strings.Contains(out.String(), "Done") {
			t.Errorf("%s: %v, %q", name, err, out.String())
		}
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestLargeLiteralsComeWhole(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789abcdef", 20000)
	want := "* 1 FETCH (BODY[] {320000}\r\n" + body + " BODY[1] {320000}\r\n" + body + ")\r\n"
	for _, source := range []io.Reader{strings.NewReader(body), iotest.HalfReader(strings.NewReader(body)), iotest.DataErrReader(strings.NewReader(body))} {
		got := written(t, func(w *imapwire.Writer) {
			w.BeginFetch(1)
			if err := w.FetchSection(&imap.FetchItemBodySection{}, int64(len(body)), source); err != nil {
				t.Error(err)
			}
			w.FetchSectionBytes(&imap.FetchItemBodySection{Part: []int{1}}, []byte(body))
			w.EndFetch()
		})
		if got != want {
			t.Errorf("got %d bytes, want %d", len(got), len(want))
		}
	}
}

func TestMalformedRenderedValuesAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"", "NIL", "(", ")", ")(", "()x", "(a)(b)", "(\"a)", "(\"a\r\n\")", "(\"a\\\n\")", "(a\r\n)", "({3}\r\nab)", "({3}ab)", "({}\r\n)", "(\xff)", "(\"\\\")",
		"({99999999999999999999}\r\n)", "(a\x00)",
	} {
		got := written(t, func(w *imapwire.Writer) {
			w.BeginFetch(1)
			if err := w.FetchRaw("ENVELOPE", []byte(value)); !errors.Is(err, imapwire.ErrRaw) {
				t.Errorf("%q: %v", value, err)
			}
			w.FetchUID(1)
			w.EndFetch()
		})
		if got != "* 1 FETCH (UID 1)\r\n" {
			t.Errorf("%q gives %q", value, got)
		}
	}
}

type brokenWriter struct{ calls int }

func (w *brokenWriter) Write([]byte) (int, error) {
	w.calls++
	return 0, io.ErrClosedPipe
}

func TestNothingIsWrittenAfterAnError(t *testing.T) {
	t.Parallel()
	var out brokenWriter
	w := imapwire.NewWriter(&out)
	for range 100000 {
		w.Exists(1)
	}
	w.FetchSectionBytes(&imap.FetchItemBodySection{}, make([]byte, 1<<20))
	if err := w.Flush(); !errors.Is(err, io.ErrClosedPipe) || out.calls != 1 || w.Buffered() != 0 {
		t.Errorf("%v after %d writes", err, out.calls)
	}
	var good bytes.Buffer
	w.Reset(&good)
	w.Exists(1)
	if err := w.Flush(); err != nil || good.String() != "* 1 EXISTS\r\n" {
		t.Errorf("%v, %q", err, good.String())
	}
}

func TestResponsesWaitForFlush(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := imapwire.NewWriter(&out)
	for range 100 {
		w.Exists(1)
	}
	if out.Len() > 0 || w.Buffered() != 100*len("* 1 EXISTS\r\n") {
		t.Errorf("%d bytes went out, %d wait", out.Len(), w.Buffered())
	}
	for range 10000 {
		w.Exists(1)
	}
	if out.Len() == 0 || w.Buffered() > 32<<10 {
		t.Errorf("%d bytes went out, %d wait", out.Len(), w.Buffered())
	}
}

func TestFlagListsOfOneMessageTakeNoMemory(t *testing.T) {
	w := imapwire.NewWriter(io.Discard)
	line := fetchLine()
	line(w)
	if n := testing.AllocsPerRun(100, func() { line(w) }); n > 0 {
		t.Errorf("%v allocations for a FETCH line", n)
	}
}

// fetchLine writes what a client asks for when it opens a mailbox.
func fetchLine() func(w *imapwire.Writer) {
	flags := []imap.Flag{imap.FlagSeen, "$Forwarded"}
	envelope := []byte(`("Mon, 7 Feb 1994 21:52:25 -0800" "afternoon meeting" (("Fred Foobar" NIL "foobar" "owatagu.example")) NIL NIL NIL NIL NIL NIL "<B27397-0100000@x.example>")`)
	header := []byte("From: a@example.org\r\nSubject: hello\r\n\r\n")
	item := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"From", "Subject"}}
	date := time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)
	return func(w *imapwire.Writer) {
		w.BeginFetch(123456)
		w.FetchUID(234567)
		w.FetchFlags(flags)
		w.FetchInternalDate(date)
		w.FetchSize(4096)
		w.FetchModSeq(987654321)
		_ = w.FetchRaw("ENVELOPE", envelope)
		w.FetchSectionBytes(item, header)
		w.EndFetch()
	}
}

func BenchmarkFetchLine(b *testing.B) {
	w := imapwire.NewWriter(io.Discard)
	line := fetchLine()
	b.ReportAllocs()
	for b.Loop() {
		line(w)
	}
}

func BenchmarkFetchFlagsLine(b *testing.B) {
	w := imapwire.NewWriter(io.Discard)
	flags := []imap.Flag{imap.FlagSeen, "$Forwarded"}
	b.ReportAllocs()
	for b.Loop() {
		w.BeginFetch(123456)
		w.FetchUID(234567)
		w.FetchFlags(flags)
		w.EndFetch()
	}
}

func BenchmarkReadFetchCommand(b *testing.B) {
	const command = "a123 UID FETCH 1:500,600,700:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (From To Subject Date)])\r\n"
	r := imapwire.NewReader(&endless{text: command}, imapwire.LimitsAfterLogin(), nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ReadCommand(); err != nil {
			b.Fatal(err)
		}
	}
}

// endless repeats its text.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}
