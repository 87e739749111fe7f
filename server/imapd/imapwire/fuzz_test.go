package imapwire_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

// FuzzReadCommand reads whole sessions. Whatever comes, every call makes progress, a refused command ends at the end of a line,
// and after ErrClose nothing is read.
func FuzzReadCommand(f *testing.F) {
	for _, seed := range []string{
		"a LOGIN {3+}\r\njoe {3}\r\nabc\r\nb NOOP\r\n",
		"a APPEND x (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {3+}\r\nabc\r\nb APPEND y {3}\r\nabc {3+}\r\nabc\r\n",
		"a APPEND x UTF8 (~{3+}\r\nabc)\r\n",
		"a FETCH 1:*,5 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From)]<0.9> BINARY.SIZE[1]) (CHANGEDSINCE 3)\r\n",
		"a UID SEARCH RETURN (ALL) CHARSET UTF-8 OR (NOT SEEN SINCE 1-Feb-1994) HEADER x {1+}\r\ny MODSEQ 3\r\n",
		"a LIST (SUBSCRIBED) \"\" (\"*\" %) RETURN (STATUS (MESSAGES))\r\n",
		"a SELECT &ZeVnLIqe- (QRESYNC (1 2 3:4 (1 2)))\r\n",
		"a STORE $ (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Seen x)\r\n",
		"a AUTHENTICATE PLAIN AGEAYg==\r\n", "a ID (\"a\" NIL)\r\n", "a ENABLE CONDSTORE\r\n", "a CREATE x (USE (\\Sent))\r\n",
		"\r\n", "a\r\n", "a \"{5+}\r\n", "a {99999999999999999999+}\r\n", "+ {3+}\r\na\r\nb\r\n", "a X {3+}\r\nabc {3}\r\n",
	} {
		f.Add([]byte(seed), false)
	}
	lim := imapwire.Limits{Command: 2000, Literals: 1000, Depth: 10, SearchKeys: 20, Drain: 3000, AppendDrain: 3000}
	f.Fuzz(func(t *testing.T, input []byte, utf8 bool) {
		source := bytes.NewReader(input)
		var out bytes.Buffer
		w := imapwire.NewWriter(&out)
		r := imapwire.NewReader(source, lim, func(text string) error { w.Continue(text); return w.Flush() })
		r.SetUTF8(utf8)
		at := func() int { return len(input) - source.Len() - r.Buffered() }
		for {
			before := at()
			cmd, err := r.ReadCommand()
			if err == nil && cmd.Args != nil {
				err = finish(cmd)
			}
			var e *imapwire.Error
			switch {
			case errors.As(err, &e) && !e.Fatal:
				w.Error(e)
			case err != nil:
				mustStayClosed(t, r, err)
				return
			case strings.ContainsAny(cmd.Tag, " \r\n+") || cmd.Tag == "":
				t.Fatalf("bad tag %q", cmd.Tag)
			default:
				w.Tagged(cmd.Tag, imap.StatusResponseTypeOK, "", cmd.Name)
			}
			if at() <= before {
				t.Fatalf("no progress at %d", before)
			}
			if input[at()-1] != '\n' {
				t.Fatalf("stopped inside a line at %d: %v", at(), err)
			}
			if err := w.Flush(); err != nil || !bytes.HasSuffix(out.Bytes(), []byte("\r\n")) {
				t.Fatalf("answer %q, %v", out.String(), err)
			}
		}
	})
}

// finish does with a message what an engine does.
func finish(cmd *imapwire.Command) error {
	a, ok := cmd.Args.(*imapwire.Append)
	if !ok {
		return nil
	}
	if a.Message.Size()%2 == 0 {
		if _, err := io.Copy(io.Discard, a.Message); err != nil {
			return err
		}
	}
	return a.Message.Close()
}

func mustStayClosed(t *testing.T, r *imapwire.Reader, err error) {
	t.Helper()
	if errors.Is(err, io.EOF) {
		return
	}
	if _, again := r.ReadCommand(); !errors.Is(again, imapwire.ErrClose) {
		t.Fatalf("went on after %v: %v", err, again)
	}
}

// FuzzWriter puts hostile values into every kind of line and counts the lines.
func FuzzWriter(f *testing.F) {
	f.Add("INBOX", "text", []byte("()"), false)
	f.Add("a\r\n* BYE", "[x] \r\n", []byte("(\"\\\"\r\n)"), true)
	f.Add("\xff\"\\{3}", "]\x00é", []byte("({3}\r\nabc)"), true)
	f.Fuzz(func(t *testing.T, s, text string, raw []byte, utf8 bool) {
		var out bytes.Buffer
		w := imapwire.NewWriter(&out)
		w.SetUTF8(utf8)
		w.Tagged(s, imap.StatusResponseTypeOK, imap.ResponseCode(text), text)
		w.Flags([]imap.Flag{imap.Flag(s), imap.Flag(text)})
		w.Capability([]imap.Cap{imap.Cap(s)})
		w.ID([]imapwire.IDField{{Key: s, Value: text}})
		w.List(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttr(s), "\\" + imap.MailboxAttr(text)}, Mailbox: s, OldName: text})
		w.MailboxStatus(s, []imapwire.StatusItem{{Name: text, ID: s}})
		w.Quota(s, []imapwire.QuotaResource{{Name: imap.QuotaResourceType(text)}})
		w.BeginFetch(1)
		_ = w.FetchRaw("ENVELOPE", raw)
		w.FetchID("EMAILID", s)
		w.FetchSectionBytes(&imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{s, text}}, raw)
		w.EndFetch()
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if n := countLines(t, out.Bytes()); n != 8 {
			t.Fatalf("%d lines: %q", n, out.String())
		}
	})
}

// countLines counts responses as a client would: literals are stepped over, quotes have to end.
func countLines(t *testing.T, b []byte) int {
	t.Helper()
	lines := 0
	for len(b) > 0 {
		end := bytes.Index(b, []byte("\r\n"))
		if end < 0 || bytes.ContainsAny(b[:end], "\r\n\x00") {
			t.Fatalf("broken line %q", b)
		}
		line := b[:end]
		b = b[end+2:]
		open := bytes.LastIndexByte(line, '{')
		if open < 0 || !bytes.HasSuffix(line, []byte("}")) {
			lines++
			continue
		}
		size := 0
		for _, c := range line[open+1 : len(line)-1] {
			if c < '0' || c > '9' {
				size = -1
				break
			}
			size = size*10 + int(c-'0')
		}
		if size < 0 || insideQuotes(line) || lines == 0 {
			lines++
			continue
		}
		b = b[size:]
	}
	return lines
}

func insideQuotes(line []byte) bool {
	in := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && in:
			i++
		case line[i] == '"':
			in = !in
		}
	}
	return in
}
