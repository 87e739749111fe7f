package imapwire_test

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

func TestEveryCommandIsReadAsTheClientMeantIt(t *testing.T) {
	t.Parallel()
	since := func(n uint64) *uint64 { return &n }
	for input, want := range map[string]imapwire.Command{
		"a CAPABILITY":    {Name: "CAPABILITY"},
		"a noop":          {Name: "NOOP"},
		"a NOOP ":         {Name: "NOOP"},
		"a LOGOUT":        {Name: "LOGOUT"},
		"a STARTTLS":      {Name: "STARTTLS"},
		"a NAMESPACE":     {Name: "NAMESPACE"},
		"a IDLE":          {Name: "IDLE"},
		"a CHECK":         {Name: "CHECK"},
		"a CLOSE":         {Name: "CLOSE"},
		"a UNSELECT":      {Name: "UNSELECT"},
		"a EXPUNGE":       {Name: "EXPUNGE"},
		"a XYZZY 1 (2":    {Name: "XYZZY", Args: &imapwire.UnknownCommand{}},
		"a UID LOGIN x y": {Name: "LOGIN", UID: true, Args: &imapwire.UnknownCommand{}},
		"a UID":           {Name: "UID", Args: &imapwire.UnknownCommand{}},
		"a ID NIL":        {Name: "ID", Args: &imapwire.ID{}},
		"a ID ()":         {Name: "ID", Args: &imapwire.ID{}},
		`a ID ("n" "x" "v" NIL)`: {Name: "ID", Args: &imapwire.ID{Fields: []imapwire.IDField{
			{Key: "n", Value: "x"}, {Key: "v", Null: true},
		}}},
		"a AUTHENTICATE plain":          {Name: "AUTHENTICATE", Args: &imapwire.Authenticate{Mechanism: "PLAIN"}},
		"a AUTHENTICATE PLAIN =":        {Name: "AUTHENTICATE", Args: &imapwire.Authenticate{Mechanism: "PLAIN", HasInitial: true}},
		"a AUTHENTICATE PLAIN AGEAYg==": {Name: "AUTHENTICATE", Args: &imapwire.Authenticate{Mechanism: "PLAIN", HasInitial: true, Initial: []byte("\x00a\x00b")}},
		"a LOGIN joe pass]word":         {Name: "LOGIN", Args: &imapwire.Login{User: "joe", Password: "pass]word"}},
		`a LOGIN "j\"o\\e" ""`:          {Name: "LOGIN", Args: &imapwire.Login{User: `j"o\e`}},
		`a LOGIN joe "pässwörd"`:        {Name: "LOGIN", Args: &imapwire.Login{User: "joe", Password: "pässwörd"}},
		"a LOGIN {3}\r\njoe {8+}\r\n{2}\r\na b": {Name: "LOGIN", Args: &imapwire.Login{
			User: "joe", Password: "{2}\r\na b",
		}},
		"a ENABLE condstore UTF8=ACCEPT": {Name: "ENABLE", Args: &imapwire.Enable{Caps: []imap.Cap{"CONDSTORE", "UTF8=ACCEPT"}}},
		"a SELECT inBox":                 {Name: "SELECT", Args: &imapwire.Select{Mailbox: "INBOX"}},
		"a EXAMINE &ZeVnLIqe-":           {Name: "EXAMINE", Args: &imapwire.Select{Mailbox: "日本語"}},
		"a SELECT x (CONDSTORE QRESYNC (1 2 41,43:* (1,2 3:4)))": {Name: "SELECT", Args: &imapwire.Select{
			Mailbox: "x",
			Params: []imapwire.Param{{Name: "CONDSTORE"}, {Name: "QRESYNC", Value: &imapwire.Value{IsList: true, List: []imapwire.Value{
				{Text: "1"},
				{Text: "2"},
				{Text: "41,43:*"},
				{IsList: true, List: []imapwire.Value{{Text: "1,2"}, {Text: "3:4"}}},
			}}}},
		}},
		"a CREATE a/b/": {Name: "CREATE", Args: &imapwire.Create{Mailbox: "a/b/"}},
		`a CREATE x (USE (\archive \Foo))`: {Name: "CREATE", Args: &imapwire.Create{
			Mailbox: "x", SpecialUse: []imap.MailboxAttr{imap.MailboxAttrArchive, "\\Foo"},
		}},
		`a DELETE "R&-D"`:      {Name: "DELETE", Args: &imapwire.Mailbox{Mailbox: "R&D"}},
		"a SUBSCRIBE x":        {Name: "SUBSCRIBE", Args: &imapwire.Mailbox{Mailbox: "x"}},
		"a UNSUBSCRIBE x":      {Name: "UNSUBSCRIBE", Args: &imapwire.Mailbox{Mailbox: "x"}},
		"a GETQUOTAROOT inbox": {Name: "GETQUOTAROOT", Args: &imapwire.Mailbox{Mailbox: "INBOX"}},
		`a GETQUOTA ""`:        {Name: "GETQUOTA", Args: &imapwire.QuotaRoot{}},
		`a RENAME "a b" c`:     {Name: "RENAME", Args: &imapwire.Rename{From: "a b", To: "c"}},
		"a STATUS x (messages UIDNEXT SIZE DELETED HIGHESTMODSEQ APPENDLIMIT MAILBOXID)": {Name: "STATUS", Args: &imapwire.Status{
			Mailbox: "x",
			Options: imap.StatusOptions{NumMessages: true, UIDNext: true, Size: true, NumDeleted: true, HighestModSeq: true, AppendLimit: true},
			Extra:   []string{"MAILBOXID"},
		}},
		"a STATUS x (RECENT UIDVALIDITY UNSEEN DELETED-STORAGE)": {Name: "STATUS", Args: &imapwire.Status{
			Mailbox: "x", Options: imap.StatusOptions{NumRecent: true, UIDValidity: true, NumUnseen: true, DeletedStorage: true},
		}},
		"a UID EXPUNGE 3,1:2": {Name: "EXPUNGE", UID: true, Args: &imapwire.Expunge{UIDs: uids(1, 3)}},
		"a COPY 2:4 x":        {Name: "COPY", Args: &imapwire.Copy{Set: seqs(2, 4), Mailbox: "x"}},
		"a UID MOVE 9:* x":    {Name: "MOVE", UID: true, Args: &imapwire.Copy{Set: uids(9, 0), Mailbox: "x"}},
		`a STORE 1 +FLAGS (\seen $Junk)`: {Name: "STORE", Args: &imapwire.Store{
			Set: seqs(1, 1), Flags: imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen, imap.FlagJunk}},
		}},
		`a UID STORE 1 (UNCHANGEDSINCE 0) -FLAGS.SILENT \Deleted work`: {Name: "STORE", UID: true, Args: &imapwire.Store{
			Set: uids(1, 1), UnchangedSince: since(0),
			Flags: imap.StoreFlags{Op: imap.StoreFlagsDel, Silent: true, Flags: []imap.Flag{imap.FlagDeleted, "work"}},
		}},
		"a STORE * FLAGS ()": {Name: "STORE", Args: &imapwire.Store{Set: seqs(0, 0), Flags: imap.StoreFlags{Flags: []imap.Flag{}}}},
	} {
		want.Tag = "a"
		got := one(t, input+"\r\n")
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%q: %s", input, diff)
		}
	}
}

func TestListIsReadInBothForms(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]imapwire.List{
		`LIST "" ""`:       {Patterns: []string{""}},
		`LIST "" *`:        {Patterns: []string{"*"}},
		`LIST a/ &AOk-%`:   {Reference: "a/", Patterns: []string{"é%"}},
		`LSUB "" "*"`:      {Patterns: []string{"*"}},
		`LIST () "" (% a)`: {Patterns: []string{"%", "a"}, Extended: true},
		`LIST (SUBSCRIBED REMOTE RECURSIVEMATCH) "" "*"`: {
			Patterns: []string{"*"}, Extended: true,
			Options: imap.ListOptions{SelectSubscribed: true, SelectRemote: true, SelectRecursiveMatch: true},
		},
		`LIST (special-use) "" "*" RETURN (CHILDREN SUBSCRIBED SPECIAL-USE STATUS (MESSAGES MAILBOXID))`: {
			Patterns: []string{"*"}, Extended: true,
			Options: imap.ListOptions{
				SelectSpecialUse: true, ReturnChildren: true, ReturnSubscribed: true, ReturnSpecialUse: true,
				ReturnStatus: &imap.StatusOptions{NumMessages: true},
			},
			ExtraStatus: []string{"MAILBOXID"},
		},
		`LIST (RECURSIVEMATCH SPECIAL-USE) "" %`: {
			Patterns: []string{"%"}, Extended: true, Options: imap.ListOptions{SelectRecursiveMatch: true, SelectSpecialUse: true},
		},
		`LIST "" % RETURN ()`: {Patterns: []string{"%"}, Extended: true},
	} {
		if diff := cmp.Diff(&want, args[*imapwire.List](t, "a "+input+"\r\n")); diff != "" {
			t.Errorf("%q: %s", input, diff)
		}
	}
}

func TestFetchIsReadWithEveryItem(t *testing.T) {
	t.Parallel()
	section := func(s imap.FetchItemBodySection) imap.FetchOptions {
		return imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{&s}}
	}
	fast := imap.FetchOptions{Flags: true, InternalDate: true, RFC822Size: true}
	all := fast
	all.Envelope = true
	for input, want := range map[string]imapwire.Fetch{
		"FAST": {Options: fast},
		"all":  {Options: all},
		"FULL": {Options: all, Body: true},
		"(UID FLAGS INTERNALDATE ENVELOPE RFC822.SIZE MODSEQ)": {
			Options: imap.FetchOptions{UID: true, Flags: true, InternalDate: true, Envelope: true, RFC822Size: true, ModSeq: true},
		},
		"(BODY BODYSTRUCTURE)":               {Body: true, Options: imap.FetchOptions{BodyStructure: &imap.FetchItemBodyStructure{Extended: true}}},
		"(RFC822 RFC822.HEADER RFC822.TEXT)": {RFC822: true, RFC822Header: true, RFC822Text: true},
		"BODY[]":                             {Options: section(imap.FetchItemBodySection{})},
		"body.peek[header]":                  {Options: section(imap.FetchItemBodySection{Peek: true, Specifier: "HEADER"})},
		"BODY[1.2.MIME]":                     {Options: section(imap.FetchItemBodySection{Part: []int{1, 2}, Specifier: "MIME"})},
		"BODY[3.TEXT]<5.10>":                 {Options: section(imap.FetchItemBodySection{Part: []int{3}, Specifier: "TEXT", Partial: &imap.SectionPartial{Offset: 5, Size: 10}})},
		`BODY[HEADER.FIELDS (From "To")]`:    {Options: section(imap.FetchItemBodySection{Specifier: "HEADER", HeaderFields: []string{"From", "To"}})},
		"BODY[2.HEADER.FIELDS.NOT (X)]": {Options: section(imap.FetchItemBodySection{
			Part: []int{2}, Specifier: "HEADER", HeaderFieldsNot: []string{"X"},
		})},
		"BODY[]<9223372036854775806.9223372036854775807>": {
			Options: section(imap.FetchItemBodySection{Partial: &imap.SectionPartial{Offset: 9223372036854775806, Size: 1}}),
		},
		"(BODY.PEEK[] BODY[] BODY.PEEK[])": {Options: section(imap.FetchItemBodySection{})},
		"(BINARY[1] BINARY.PEEK[2.1]<0.9> BINARY.SIZE[1] BINARY.SIZE[1] BINARY.PEEK[1])": {Options: imap.FetchOptions{
			BinarySection: []*imap.FetchItemBinarySection{
				{Part: []int{1}},
				{Part: []int{2, 1}, Peek: true, Partial: &imap.SectionPartial{Size: 9}},
			},
			BinarySectionSize: []*imap.FetchItemBinarySectionSize{{Part: []int{1}}},
		}},
		"(EMAILID THREADID EMAILID)": {Extra: []string{"EMAILID", "THREADID"}},
		"FLAGS (CHANGEDSINCE 12 VANISHED)": {
			Options:   imap.FetchOptions{Flags: true, ModSeq: true, ChangedSince: 12},
			Modifiers: []imapwire.Param{{Name: "CHANGEDSINCE", Value: &imapwire.Value{Text: "12"}}, {Name: "VANISHED"}},
		},
	} {
		want.Set = seqs(1, 3)
		if diff := cmp.Diff(&want, args[*imapwire.Fetch](t, "a FETCH 1:3 "+input+"\r\n")); diff != "" {
			t.Errorf("%q: %s", input, diff)
		}
	}
	if f := args[*imapwire.Fetch](t, "a UID FETCH $ FLAGS\r\n"); !f.Options.UID || !imap.IsSearchRes(f.Set) {
		t.Errorf("UID FETCH of the saved result: %+v", f)
	}
}

func TestSearchKeysMeanWhatTheRFCsSay(t *testing.T) {
	t.Parallel()
	header := func(key, value string) []imap.SearchCriteriaHeaderField {
		return []imap.SearchCriteriaHeaderField{{Key: key, Value: value}}
	}
	for input, want := range map[string]imapwire.Criteria{
		"ALL":                       {},
		"SEEN UNDELETED":            {Flag: []imap.Flag{imap.FlagSeen}, NotFlag: []imap.Flag{imap.FlagDeleted}},
		"NEW":                       {Flag: []imap.Flag{"\\Recent"}, NotFlag: []imap.Flag{imap.FlagSeen}},
		"OLD":                       {NotFlag: []imap.Flag{"\\Recent"}},
		"KEYWORD $Junk UNKEYWORD a": {Flag: []imap.Flag{imap.FlagJunk}, NotFlag: []imap.Flag{"a"}},
		"ANSWERED DRAFT FLAGGED RECENT UNSEEN": {
			Flag: []imap.Flag{imap.FlagAnswered, imap.FlagDraft, imap.FlagFlagged, "\\Recent"}, NotFlag: []imap.Flag{imap.FlagSeen},
		},
		"FROM a":                                {Header: header("From", "a")},
		`subject "a b"`:                         {Header: header("Subject", "a b")},
		"BCC {3+}\r\na b":                       {Header: header("Bcc", "a b")},
		`HEADER Message-ID ""`:                  {Header: header("Message-ID", "")},
		"BODY x TEXT y":                         {Body: []string{"x"}, Text: []string{"y"}},
		"ON 1-Feb-1994":                         {Since: day("1994-02-01"), Before: day("1994-02-02")},
		`SINCE "01-feb-1994" SINCE 2-Feb-1994`:  {Since: day("1994-02-02")},
		"BEFORE 3-Mar-2024 BEFORE 29-Feb-2024":  {Before: day("2024-02-29")},
		"SENTON 31-Dec-1999":                    {SentSince: day("1999-12-31"), SentBefore: day("2000-01-01")},
		"SENTSINCE 1-Jan-2000":                  {SentSince: day("2000-01-01")},
		"SENTBEFORE 1-Jan-2000":                 {SentBefore: day("2000-01-01")},
		"LARGER 5 LARGER 7 SMALLER 9 SMALLER 8": {Larger: 7, Smaller: 8},
		"SMALLER 0":                             {Not: []imapwire.Criteria{{}}},
		"LARGER 0":                              {Not: []imapwire.Criteria{{Smaller: 1}}},
		"OLDER 60 YOUNGER 9 YOUNGER 8":          {Older: 60, Younger: 8},
		"UID 7:5 3":                             {UID: []imap.UIDSet{uids(5, 7)}, SeqNum: []imap.SeqSet{seqs(3, 3)}},
		"EMAILID M1 THREADID T1":                {EmailID: []string{"M1"}, ThreadID: []string{"T1"}},
		"NOT SEEN":                              {Not: []imapwire.Criteria{{Flag: []imap.Flag{imap.FlagSeen}}}},
		"(SEEN (DRAFT))":                        {Flag: []imap.Flag{imap.FlagSeen, imap.FlagDraft}},
		"OR (SEEN OLDER 3) NOT 1": {Or: [][2]imapwire.Criteria{{
			{Flag: []imap.Flag{imap.FlagSeen}, Older: 3}, {Not: []imapwire.Criteria{{SeqNum: []imap.SeqSet{seqs(1, 1)}}}},
		}}},
		"MODSEQ 5 MODSEQ 4": {ModSeq: &imap.SearchCriteriaModSeq{ModSeq: 5}},
		`MODSEQ "/flags/\\draft" ALL 620162338`: {ModSeq: &imap.SearchCriteriaModSeq{
			ModSeq: 620162338, MetadataName: "/flags/\\draft", MetadataType: "all",
		}},
	} {
		got := args[*imapwire.Search](t, "a SEARCH "+input+"\r\n")
		if diff := cmp.Diff(want, got.Criteria); diff != "" {
			t.Errorf("%q: %s", input, diff)
		}
		if got.ModSeq != (want.ModSeq != nil) {
			t.Errorf("%q: ModSeq is %v", input, got.ModSeq)
		}
	}
}

func TestSearchOptionsAreKept(t *testing.T) {
	t.Parallel()
	got := args[*imapwire.Search](t, "a UID SEARCH RETURN (MIN COUNT SAVE) CHARSET utf-8 OR 1 $\r\n")
	want := imap.SearchOptions{ReturnMin: true, ReturnCount: true, ReturnSave: true}
	if got.Return != want || !got.Extended || got.Charset != "UTF-8" || !imap.IsSearchRes(got.Criteria.Or[0][1].UID[0]) {
		t.Errorf("%+v", got)
	}
	if got := args[*imapwire.Search](t, "a SEARCH RETURN () ALL\r\n"); !got.Return.ReturnAll || !got.Extended {
		t.Errorf("RETURN () must mean ALL: %+v", got)
	}
	if got := args[*imapwire.Search](t, "a SEARCH ALL\r\n"); got.Extended || got.Return.ReturnAll {
		t.Errorf("a plain SEARCH is extended: %+v", got)
	}
	if got := args[*imapwire.Search](t, "a SEARCH NOT MODSEQ 5\r\n"); !got.ModSeq {
		t.Error("a MODSEQ key below NOT is not noticed")
	}
}

func TestBadCommandsAreRefusedAndTheNextOneIsRead(t *testing.T) {
	t.Parallel()
	for _, input := range []string{
		"a", "a ", "a  NOOP", "a NOOP x", "a NOOP\r", "a CAPABILITY x", "a ID", "a ID x", `a ID ("a")`, `a ID ("a" b)`,
		"a AUTHENTICATE", "a AUTHENTICATE PLAIN !!!!", "a AUTHENTICATE PLAIN = x", "a AUTHENTICATE PLAIN AGEAYh==",
		"a LOGIN", "a LOGIN x", "a LOGIN x ", "a LOGIN x y z", `a LOGIN "x y`, `a LOGIN "x\y" z`, "a LOGIN \"x\ry\" z", "a LOGIN (x) y",
		"a LOGIN x \"\xff\"", "a LOGIN x {3}\r\n\x00\x00\x00", "a LOGIN x {2+}\r\n\xc3\x28", "a LOGIN {3}foo {3}bar", "a LOGIN {3-} x",
		"a LOGIN x {1}\r\nyz", "a NOOP {3+}\r\nabc", "a ENABLE", "a ENABLE (x)",
		"a SELECT", "a SELECT x ()", "a SELECT x (CONDSTORE", "a SELECT x CONDSTORE", "a SELECT *", "a SELECT x (QRESYNC (1 2)", "a SELECT x (QRESYNC (1  2))",
		`a CREATE x (USE \Sent)`, "a CREATE x (FOO (a))", "a CREATE x (USE (Sent))", "a RENAME x", "a DELETE",
		"a LIST", `a LIST ""`, `a LIST "" (`, `a LIST "" ()`, `a LIST (FOO) "" *`, `a LIST (RECURSIVEMATCH) "" *`,
		`a LIST (REMOTE RECURSIVEMATCH) "" *`, `a LIST "" * RETURN`, `a LIST "" * RETURN (FOO)`, `a LIST "" * FOO (CHILDREN)`, `a LIST "" * RETURN (STATUS)`,
		"a STATUS x", "a STATUS x ()", "a STATUS x MESSAGES", "a APPEND x", "a APPEND x (\\Seen)", `a APPEND x (\Recent) {3}`,
		`a APPEND x "tomorrow" {3}`, "a APPEND x UTF8 {3+}\r\nabc", "a APPEND x UTF8 ({3+}\r\nabc)", `a APPEND x (\Seen){3}`, "a APPEND {1}\r\nx",
		`a APPEND x "31-Feb-2020 00:00:00 +0000" {3}`, "a APPEND ~{3+}\r\nabc", "a APPEND x (a {3+}\r\nabc)",
		"a UID EXPUNGE", "a UID EXPUNGE 0", "a EXPUNGE 1", "a COPY 1", "a COPY x y", "a COPY 1: y", "a COPY 1,,2 y", "a COPY 1:2:3 y", "a COPY 01 y",
		"a COPY 4294967296 y", "a COPY $,1 y", "a COPY -1 y",
		"a STORE 1", "a STORE 1 FLAGS", "a STORE 1 FLAG (x)", `a STORE 1 FLAGS (\)`, `a STORE 1 FLAGS (\*)`, `a STORE 1 FLAGS (\Recent)`,
		"a STORE 1 FLAGS (x", "a STORE 1 (FOO 1) FLAGS (x)", "a STORE 1 (UNCHANGEDSINCE) FLAGS (x)", "a STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (x)",
		"a FETCH", "a FETCH 1", "a FETCH 1 ()", "a FETCH 1 (ALL)", "a FETCH 1 FOO", "a FETCH 1 FLAGS[]", "a FETCH 1 BODY[", "a FETCH 1 BODY[0]",
		"a FETCH 1 BODY[MIME]", "a FETCH 1 BODY[1.]", "a FETCH 1 BODY[1.FOO]", "a FETCH 1 BODY[TEXT.1]", "a FETCH 1 BODY[HEADER.FIELDS]",
		"a FETCH 1 BODY[HEADER.FIELDS ()]", `a FETCH 1 BODY[HEADER.FIELDS ("a b")]`, "a FETCH 1 BODY[]<1>", "a FETCH 1 BODY[]<0.0>",
		"a FETCH 1 BODY[]<-1.1>", "a FETCH 1 BODY.PEEK", "a FETCH 1 BINARY", "a FETCH 1 BINARY[TEXT]", "a FETCH 1 BINARY.SIZE[1]<0.1>",
		"a FETCH 1 FLAGS (CHANGEDSINCE x)", "a FETCH 1 FLAGS (CHANGEDSINCE)", "a FETCH 1 FLAGS FLAGS", "a FETCH 1 (FLAGS  UID)",
		"a SEARCH", "a SEARCH FOO", "a SEARCH ()", "a SEARCH (SEEN", "a SEARCH NOT", "a SEARCH OR SEEN", "a SEARCH BODY", "a SEARCH SINCE 30-Feb-2020",
		"a SEARCH SINCE 1-1-2020", `a SEARCH SINCE "1-Jan-2020`, "a SEARCH LARGER x", "a SEARCH LARGER 9223372036854775808", "a SEARCH OLDER 0",
		"a SEARCH RETURN (FOO) ALL", "a SEARCH RETURN ALL", "a SEARCH CHARSET UTF-8", "a SEARCH MODSEQ", `a SEARCH MODSEQ "/x" foo 1`, "a SEARCH UID x",
		"a SEARCH HEADER x", "a SEARCH KEYWORD", "a SEARCH 1:", "a SEARCH BODY \xc3\xa4", "a SEARCH ALL ALL)", "a SEARCH OLDER 4294967296", "a FETCH 1 BODY[4294967296]", "a STORE 1 FLAGS (" + strings.Repeat("x", 300) + ")",
		"a LOGIN {x} y", "a LOGIN { y", "a SELECT x (FOO (\"a\" {1+}\r\n\x00))", `a APPEND x "01-Jan-0000 00:00:00 +0000" {3}`,
	} {
		e := refused(t, input+"\r\n")
		if e.Tag != "a" || e.Status != imap.StatusResponseTypeBad || e.Text == "" {
			t.Errorf("%q: answer is %q %v", input, e.Tag, e)
		}
	}
}

func TestCommandWithoutAReadableTagIsAnsweredUntagged(t *testing.T) {
	t.Parallel()
	for _, input := range []string{"", " NOOP", "a+b NOOP", "* NOOP", "(", "\x00\x01\x02", "\"a\" NOOP", "{5}", strings.Repeat("a", 200) + " NOOP"} {
		if e := refused(t, input+"\r\n"); e.Tag != "" || e.Status != imap.StatusResponseTypeBad {
			t.Errorf("%q: answer is %q %v", input, e.Tag, e)
		}
	}
}

func TestUnknownCharsetNamesTheKnownOnes(t *testing.T) {
	t.Parallel()
	e := refused(t, "a SEARCH CHARSET KOI8-R TEXT x\r\n")
	if e.Status != imap.StatusResponseTypeNo || e.Code != "BADCHARSET (UTF-8 US-ASCII)" {
		t.Error(e)
	}
}

func TestMailboxNamesThatCannotBeAreRefused_S34(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		`""`, "R&D", "&AC4ALgAv-", "&AGE-", "&2AA-", "&AAA-", "&AAo-", "&Jjo-&Jjo-", "&AOk", "&A-", "&AOl-x&", "\"a\tb\"",
		"{3}\r\na\nb", "{7}\r\n\xc3\xa9&AOk-", "&IC4-&ICg-", "&ICk-", "&ICg-", `"` + strings.Repeat("a", 256) + `"`, strings.Repeat("&-", 700),
	} {
		e := refused(t, "a SELECT "+name+"\r\n")
		if e.Status != imap.StatusResponseTypeNo || e.Code != imap.ResponseCodeCannot {
			t.Errorf("%q: %v", name, e)
		}
	}
	if got := args[*imapwire.Select](t, "a SELECT "+strings.Repeat("a", 255)+"\r\n"); len(got.Mailbox) != 255 {
		t.Error("a name of 255 bytes was changed")
	}
}

func TestNamesInUTF8AreUnderstoodBeforeItIsEnabled(t *testing.T) {
	t.Parallel()
	for wire, want := range map[string]string{"\"Büro\"": "Büro", "\"Büro &- mehr\"": "Büro & mehr", "\"a日本b\"": "a日本b", "\"é&-&AOk-\"": "é&é"} {
		if got := args[*imapwire.Select](t, "a SELECT "+wire+"\r\n"); got.Mailbox != want {
			t.Errorf("%s: got %q", wire, got.Mailbox)
		}
	}
}

func TestMailboxNamesAreUTF8OnceEnabled(t *testing.T) {
	t.Parallel()
	s := newSession("a SELECT \"R&D é\"\r\na SELECT \"a\u0085b\"\r\n")
	s.SetUTF8(true)
	cmd, err := s.ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	if got := cmd.Args.(*imapwire.Select).Mailbox; got != "R&D é" {
		t.Errorf("got %q", got)
	}
	if _, err := s.ReadCommand(); err == nil {
		t.Error("a control character got through")
	}
}

func TestAppendTimeKeepsItsZone(t *testing.T) {
	t.Parallel()
	got := args[*imapwire.Append](t, `a APPEND x (\Seen a) " 7-Feb-1994 21:52:25 -0800" {3}`+"\r\n")
	want := time.Date(1994, 2, 7, 21, 52, 25, 0, time.FixedZone("", -8*3600))
	if !got.Time.Equal(want) || got.Time.Format(time.RFC3339) != want.Format(time.RFC3339) {
		t.Errorf("got %v", got.Time)
	}
	if diff := cmp.Diff([]imap.Flag{imap.FlagSeen, "a"}, got.Flags); diff != "" {
		t.Error(diff)
	}
}
