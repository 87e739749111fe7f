package imapwire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
)

func shortLiteral(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return ErrLiteral
	}
	return fmt.Errorf("%w: %w", ErrLiteral, err)
}

// Tagged ends a command: "tag OK [code] text". Without a tag it is untagged. code is without brackets and may be empty.
func (w *Writer) Tagged(tag string, status imap.StatusResponseType, code imap.ResponseCode, text string) {
	if tag == "" || span([]byte(tag), isTagChar) != len(tag) {
		tag = "*"
	}
	w.str(tag)
	w.byte(' ')
	w.str(string(status))
	w.byte(' ')
	if code = cleanCode(code); code != "" {
		w.byte('[')
		w.str(string(code))
		w.str("] ")
	}
	w.text(text, code != "")
	w.crlf()
}

// Status is an untagged OK, NO, BAD, PREAUTH or BYE.
func (w *Writer) Status(status imap.StatusResponseType, code imap.ResponseCode, text string) {
	w.Tagged("", status, code, text)
}

// Error answers a command that could not be read.
func (w *Writer) Error(e *Error) { w.Tagged(e.Tag, e.Status, e.Code, e.Text) }

// Bye says why the server closes the connection.
func (w *Writer) Bye(code imap.ResponseCode, text string) {
	w.Status(imap.StatusResponseTypeBye, code, text)
}

// Continue asks the client to go on: "+ text".
func (w *Writer) Continue(text string) {
	w.str("+ ")
	w.text(text, false)
	w.crlf()
}

// Challenge is a SASL challenge in base64; an empty one is "+ " and nothing else.
func (w *Writer) Challenge(challenge []byte) {
	w.str("+ ")
	w.str(base64.StdEncoding.EncodeToString(challenge))
	w.crlf()
}

// cleanCode drops a code that would end early or break the line.
func cleanCode(code imap.ResponseCode) imap.ResponseCode {
	for i := range len(code) {
		if !isPrintable(code[i]) || code[i] == ']' {
			return ""
		}
	}
	return code
}

// text writes text for people: no line breaks or control characters, at most 512 bytes, never empty, and no bracket at its start
// that would be read as a response code.
func (w *Writer) text(s string, coded bool) {
	if len(s) > maxText {
		s = s[:maxText]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if r, n := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && n == 1 {
			s = s[:len(s)-1]
		}
	}
	if s == "" {
		s = "Completed"
	}
	eightBit := w.utf8 && utf8.ValidString(s)
	for i := range len(s) {
		switch c := s[i]; {
		case i == 0 && c == '[' && !coded:
			w.byte('(')
		case isPrintable(c), c >= utf8.RuneSelf && eightBit:
			w.byte(c)
		case c >= utf8.RuneSelf:
			w.byte('?')
		default:
			w.byte(' ')
		}
	}
}

// Capability is the untagged list of capabilities.
func (w *Writer) Capability(caps []imap.Cap) { w.caps("* CAPABILITY", caps) }

// Enabled answers ENABLE with what is enabled by it, which may be nothing.
func (w *Writer) Enabled(caps []imap.Cap) { w.caps("* ENABLED", caps) }

func (w *Writer) caps(start string, caps []imap.Cap) {
	w.str(start)
	for _, c := range caps {
		if isAtom(string(c)) {
			w.byte(' ')
			w.str(string(c))
		}
	}
	w.crlf()
}

// ID answers ID; no fields give NIL.
func (w *Writer) ID(fields []IDField) {
	w.str("* ID ")
	if len(fields) == 0 {
		w.str("NIL")
	}
	for i, f := range fields {
		w.str(separator(i))
		w.string(withoutNUL(f.Key))
		w.byte(' ')
		if f.Null {
			w.str("NIL")
		} else {
			w.string(withoutNUL(f.Value))
		}
	}
	if len(fields) > 0 {
		w.byte(')')
	}
	w.crlf()
}

func separator(i int) string {
	if i == 0 {
		return "("
	}
	return " "
}

// Namespace answers NAMESPACE (RFC 2342 §5).
func (w *Writer) Namespace(data *imap.NamespaceData) {
	w.str("* NAMESPACE")
	for _, list := range [][]imap.NamespaceDescriptor{data.Personal, data.Other, data.Shared} {
		w.byte(' ')
		if len(list) == 0 {
			w.str("NIL")
			continue
		}
		w.byte('(')
		for _, ns := range list {
			w.byte('(')
			w.mailbox(ns.Prefix)
			w.byte(' ')
			w.delim(ns.Delim)
			w.byte(')')
		}
		w.byte(')')
	}
	w.crlf()
}

// Flags is the list of flags of the mailbox being selected.
func (w *Writer) Flags(flags []imap.Flag) {
	w.str("* FLAGS ")
	w.flags(flags)
	w.crlf()
}

// Exists is the number of messages.
func (w *Writer) Exists(n uint32) { w.numbered(n, "EXISTS") }

// Recent is the number of recent messages (RFC 3501 §7.3.2).
func (w *Writer) Recent(n uint32) { w.numbered(n, "RECENT") }

// Expunge tells of one message that is gone, by its sequence number.
func (w *Writer) Expunge(seq uint32) { w.numbered(seq, "EXPUNGE") }

func (w *Writer) numbered(n uint32, name string) {
	w.str("* ")
	w.num(uint64(n))
	w.byte(' ')
	w.str(name)
	w.crlf()
}

// Vanished tells of messages that are gone, by UID (RFC 7162 §3.2.10). An empty set writes nothing.
func (w *Writer) Vanished(earlier bool, uids imap.UIDSet) {
	if len(uids) == 0 {
		return
	}
	w.str("* VANISHED ")
	if earlier {
		w.str("(EARLIER) ")
	}
	w.set(uids)
	w.crlf()
}

// List is one line of LIST, with CHILDINFO and OLDNAME if set. The status in it is not written: see Status of mailboxes.
func (w *Writer) List(data *imap.ListData) {
	w.listStart("* LIST ", data)
	child := data.ChildInfo != nil && data.ChildInfo.Subscribed
	if child || data.OldName != "" {
		w.listExtra(child, data.OldName)
	}
	w.crlf()
}

// Lsub is one line of LSUB.
func (w *Writer) Lsub(data *imap.ListData) {
	w.listStart("* LSUB ", data)
	w.crlf()
}

func (w *Writer) listStart(start string, data *imap.ListData) {
	w.str(start)
	w.byte('(')
	first := true
	for _, attr := range data.Attrs {
		if len(attr) < 2 || attr[0] != '\\' || !isAtom(string(attr[1:])) {
			continue
		}
		if !first {
			w.byte(' ')
		}
		first = false
		w.str(string(attr))
	}
	w.str(") ")
	w.delim(data.Delim)
	w.byte(' ')
	w.mailbox(data.Mailbox)
}

// listExtra writes the extended data items (RFC 9051 §7.3.1).
func (w *Writer) listExtra(child bool, oldName string) {
	w.str(" (")
	if child {
		w.str(`"CHILDINFO" ("SUBSCRIBED")`)
	}
	if oldName != "" {
		if child {
			w.byte(' ')
		}
		w.str(`"OLDNAME" (`)
		w.mailbox(oldName)
		w.byte(')')
	}
	w.byte(')')
}

// StatusItem is one item of a STATUS response: a number, NIL, or an object id in parentheses (RFC 8474 §4.3).
type StatusItem struct {
	Name string
	Num  uint64
	Nil  bool
	ID   string
}

// MailboxStatus is a STATUS response.
func (w *Writer) MailboxStatus(mailbox string, items []StatusItem) {
	w.str("* STATUS ")
	w.mailbox(mailbox)
	w.str(" (")
	first := true
	for _, item := range items {
		if !isAtom(item.Name) || item.ID != "" && !isAtom(item.ID) {
			continue
		}
		if !first {
			w.byte(' ')
		}
		first = false
		w.str(item.Name)
		w.byte(' ')
		w.statusValue(item)
	}
	w.byte(')')
	w.crlf()
}

func (w *Writer) statusValue(item StatusItem) {
	switch {
	case item.Nil:
		w.str("NIL")
	case item.ID != "":
		w.byte('(')
		w.str(item.ID)
		w.byte(')')
	default:
		w.num(item.Num)
	}
}

// Search is the SEARCH response of RFC 3501. modSeq is written if it is not 0 and something was found (RFC 7162 §3.1.5).
func (w *Writer) Search(nums []uint32, modSeq uint64) {
	w.str("* SEARCH")
	for _, n := range nums {
		w.byte(' ')
		w.num(uint64(n))
	}
	if modSeq > 0 && len(nums) > 0 {
		w.str(" (MODSEQ ")
		w.num(modSeq)
		w.byte(')')
	}
	w.crlf()
}

// SearchResult is what an ESEARCH response carries (RFC 9051 §7.3.4). Fields of 0 and empty sets are not written; Count is, if
// HasCount is set.
type SearchResult struct {
	UID      bool
	Min, Max uint32
	All      imap.NumSet
	Count    uint32
	HasCount bool
	ModSeq   uint64
}

// ESearch is an ESEARCH response to the command with the tag.
func (w *Writer) ESearch(tag string, res *SearchResult) {
	w.str("* ESEARCH (TAG ")
	w.string(tag)
	w.byte(')')
	if res.UID {
		w.str(" UID")
	}
	w.searchNum(" MIN ", uint64(res.Min), res.Min > 0)
	w.searchNum(" MAX ", uint64(res.Max), res.Max > 0)
	if !emptySet(res.All) {
		w.str(" ALL ")
		w.set(res.All)
	}
	w.searchNum(" COUNT ", uint64(res.Count), res.HasCount)
	w.searchNum(" MODSEQ ", res.ModSeq, res.ModSeq > 0)
	w.crlf()
}

func (w *Writer) searchNum(name string, n uint64, on bool) {
	if on {
		w.str(name)
		w.num(n)
	}
}

// QuotaRoots names the quota roots of a mailbox (RFC 9208 §4.2.2).
func (w *Writer) QuotaRoots(mailbox string, roots []string) {
	w.str("* QUOTAROOT ")
	w.mailbox(mailbox)
	for _, root := range roots {
		w.byte(' ')
		w.string(withoutNUL(root))
	}
	w.crlf()
}

// QuotaResource is one resource of a quota root. STORAGE counts in KiB.
type QuotaResource struct {
	Name         imap.QuotaResourceType
	Usage, Limit uint64
}

// Quota is the use and limit of a quota root (RFC 9208 §4.2.1).
func (w *Writer) Quota(root string, resources []QuotaResource) {
	w.str("* QUOTA ")
	w.string(withoutNUL(root))
	w.str(" (")
	first := true
	for _, res := range resources {
		if !isAtom(string(res.Name)) {
			continue
		}
		if !first {
			w.byte(' ')
		}
		first = false
		w.str(string(res.Name))
		w.byte(' ')
		w.num(res.Usage)
		w.byte(' ')
		w.num(res.Limit)
	}
	w.byte(')')
	w.crlf()
}
