package imapwire

import (
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// Command is one command as the client sent it. Nothing in it points into the Reader's buffers.
type Command struct {
	Tag string
	// Name is in upper case and without UID.
	Name string
	// UID says that the command came with the prefix UID: its numbers are UIDs.
	UID bool
	// Args is one of the pointers to the structs of this package, named like the command. It is nil for a command without
	// arguments (CAPABILITY, NOOP, LOGOUT, STARTTLS, NAMESPACE, IDLE, CHECK, CLOSE, UNSELECT, EXPUNGE).
	Args any
}

// UnknownCommand is a command of a name the server does not have. The answer is BAD.
type UnknownCommand struct{}

// ID is what a client says of itself (RFC 2971), in its order: at most 30 fields, keys of 30 and values of 1024 bytes.
type ID struct {
	Fields []IDField
}

// IDField is one field of ID. A value of NIL is Null.
type IDField struct {
	Key   string
	Value string
	Null  bool
}

// Authenticate starts SASL. Initial is the decoded initial response (RFC 4959) and only meant if HasInitial is set: it may be
// empty.
type Authenticate struct {
	Mechanism  string // upper case
	Initial    []byte
	HasInitial bool
}

// Login is LOGIN. Both strings are valid UTF-8 of any length within the limits.
type Login struct {
	User     string
	Password string
}

// Enable names capabilities in upper case, known or not (RFC 5161).
type Enable struct {
	Caps []imap.Cap
}

// Select is SELECT or EXAMINE, told apart by the command's name. Params are CONDSTORE, QRESYNC (...) and what else a client sent.
type Select struct {
	Mailbox string
	Params  []Param
}

// Create is CREATE with the special uses asked for (RFC 6154 §3). A trailing hierarchy delimiter is still in the name.
type Create struct {
	Mailbox    string
	SpecialUse []imap.MailboxAttr
}

// Mailbox is the argument of DELETE, SUBSCRIBE, UNSUBSCRIBE and GETQUOTAROOT.
type Mailbox struct {
	Mailbox string
}

// Rename is RENAME.
type Rename struct {
	From, To string
}

// List is LIST, in its basic or extended form (RFC 5258), and LSUB. Patterns has at least one element; a single empty one asks
// for the hierarchy delimiter. Extended says that the extended form was used. With Options.ReturnStatus set, ExtraStatus are
// status items of names that imap.StatusOptions does not have, in upper case.
type List struct {
	Reference   string
	Patterns    []string
	Options     imap.ListOptions
	Extended    bool
	ExtraStatus []string
}

// Status is STATUS. Extra are items that imap.StatusOptions does not have, in upper case: MAILBOXID and whatever else was sent.
type Status struct {
	Mailbox string
	Options imap.StatusOptions
	Extra   []string
}

// Append is APPEND. Time is zero if the client gave none. Message has to be closed before the message is stored.
type Append struct {
	Mailbox string
	Flags   []imap.Flag
	Time    time.Time
	// UTF8 says that the message came as UTF8 (~{n}), Binary that it may hold NUL (RFC 6855 §4, RFC 3516 §4.4).
	UTF8    bool
	Binary  bool
	Message *Literal
}

// Expunge is UID EXPUNGE (RFC 4315 §2.1).
type Expunge struct {
	UIDs imap.UIDSet
}

// Copy is COPY or MOVE. Set is an imap.UIDSet with UID, else an imap.SeqSet, or the marker of imap.SearchRes.
type Copy struct {
	Set     imap.NumSet
	Mailbox string
}

// Store is STORE. UnchangedSince is nil if the client gave none; zero matches no message (RFC 7162 §3.1.3).
type Store struct {
	Set            imap.NumSet
	Flags          imap.StoreFlags
	UnchangedSince *uint64
}

// Fetch is FETCH. Options.BodyStructure is the item BODYSTRUCTURE; BODY without a section, and the items whose responses carry
// names of their own, are separate. With UID FETCH, Options.UID is set; with CHANGEDSINCE, Options.ModSeq is. The same item asked
// for twice is there once.
type Fetch struct {
	Set     imap.NumSet
	Options imap.FetchOptions
	// Body is the item BODY: the structure without extension data.
	Body bool
	// RFC822, RFC822Header and RFC822Text are BODY[], BODY.PEEK[HEADER] and BODY[TEXT] under their older names.
	RFC822       bool
	RFC822Header bool
	RFC822Text   bool
	// Extra are items of extensions in upper case: EMAILID, THREADID, SAVEDATE.
	Extra []string
	// Modifiers are those behind the items, CHANGEDSINCE included.
	Modifiers []Param
}

// Search is SEARCH. Extended says that the client gave RETURN (...), maybe empty, which means ALL (RFC 4731 §3.1); an empty one
// has ReturnAll set.
type Search struct {
	Return   imap.SearchOptions
	Extended bool
	Charset  string // upper case, empty if not given
	Criteria Criteria
	// ModSeq says that a MODSEQ key is somewhere in the criteria, so that the answer carries the highest one.
	ModSeq bool
}

// Criteria are the keys of a SEARCH, all of which a message has to match. It is imap.SearchCriteria with the keys that one lacks.
type Criteria struct {
	SeqNum []imap.SeqSet
	UID    []imap.UIDSet // imap.SearchRes too, for $

	// Days, at 00:00 UTC; the zone and time of the message's date are not looked at. Since and SentSince include the day.
	Since, Before         time.Time
	SentSince, SentBefore time.Time

	Header []imap.SearchCriteriaHeaderField // an empty value asks for the field to be there
	Body   []string
	Text   []string

	Flag    []imap.Flag // \Recent too
	NotFlag []imap.Flag

	Larger  int64 // bytes, 0 = not asked
	Smaller int64

	// Older and Younger are seconds before now, 0 = not asked (RFC 5032).
	Older, Younger uint32

	EmailID, ThreadID []string // RFC 8474

	ModSeq *imap.SearchCriteriaModSeq

	Not []Criteria
	Or  [][2]Criteria
}

// QuotaRoot is GETQUOTA (RFC 9208).
type QuotaRoot struct {
	Root string
}

// Param is a name with an optional value, as in SELECT parameters and FETCH modifiers (RFC 4466 §2.1). The name is in upper case.
type Param struct {
	Name  string
	Value *Value
}

// Value is a token or a list of values.
type Value struct {
	Text   string
	List   []Value
	IsList bool
}

const cmdAppend = "APPEND"

// head is the start of a command: its tag, its name, and where the rest starts.
type head struct {
	tag  string
	name string
	uid  bool
	pos  int
	verb func(*parser) any // nil if the server has no such command
}

// parseHead reads tag and name. The tag is set in the head even if the rest is bad.
func parseHead(b []byte) (head, *Error) {
	var h head
	n := span(b, isTagChar)
	switch {
	case len(b) == 0:
		return h, bad("Empty command")
	case n == 0 || n < len(b) && b[n] != ' ':
		return h, bad("Bad tag")
	case n > maxTag:
		return h, bad("Tag is too long")
	}
	h.tag = string(b[:n])
	if n == len(b) {
		return h, bad("Command name is missing")
	}
	if h.name, h.pos = headWord(b, n+1); h.name == "" {
		return h, bad("Bad command name")
	}
	if h.name == "UID" && h.pos < len(b) && b[h.pos] == ' ' {
		h.uid = true
		h.name, h.pos = headWord(b, h.pos+1)
	}
	h.verb = verbs[h.name]
	if h.uid && !uidVerb(h.name) {
		h.verb = nil
	}
	return h, nil
}

func headWord(b []byte, from int) (string, int) {
	n := span(b[from:], isAtomChar)
	return strings.ToUpper(string(b[from : from+min(n, maxTag)])), from + n
}

// uidVerb names the commands that exist with UID in front of them.
func uidVerb(name string) bool {
	switch name {
	case "FETCH", "STORE", "SEARCH", "COPY", "MOVE", "EXPUNGE":
		return true
	}
	return false
}

//nolint:gochecknoglobals // immutable table
var verbs = map[string]func(*parser) any{
	"CAPABILITY":   parseNothing,
	"NOOP":         parseNothing,
	"LOGOUT":       parseNothing,
	"STARTTLS":     parseNothing,
	"NAMESPACE":    parseNothing,
	"IDLE":         parseNothing,
	"CHECK":        parseNothing,
	"CLOSE":        parseNothing,
	"UNSELECT":     parseNothing,
	"ID":           parseID,
	"AUTHENTICATE": parseAuthenticate,
	"LOGIN":        parseLogin,
	"ENABLE":       parseEnable,
	"SELECT":       parseSelect,
	"EXAMINE":      parseSelect,
	"CREATE":       parseCreate,
	"DELETE":       parseMailbox,
	"SUBSCRIBE":    parseMailbox,
	"UNSUBSCRIBE":  parseMailbox,
	"GETQUOTAROOT": parseMailbox,
	"GETQUOTA":     parseQuotaRoot,
	"RENAME":       parseRename,
	"LIST":         parseList,
	"LSUB":         parseLsub,
	"STATUS":       parseStatus,
	cmdAppend:      parseAppendLine,
	"EXPUNGE":      parseExpunge,
	"SEARCH":       parseSearch,
	"FETCH":        parseFetch,
	"STORE":        parseStore,
	"COPY":         parseCopy,
	"MOVE":         parseCopy,
}

func parseNothing(*parser) any { return nil }
