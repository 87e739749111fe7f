package imapwire_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/mailserver-dev/mailserver/server/imapd/imapwire"
)

func TestPipelinedCommandsWithLiteralsComeInOrder(t *testing.T) {
	t.Parallel()
	var input strings.Builder
	for i := range 50 {
		fmt.Fprintf(&input, "t%d LOGIN {4+}\r\nus\r\n {%d+}\r\n%s\r\n", i, i, strings.Repeat("\n", i))
	}
	s := newSession(input.String())
	for i := range 50 {
		cmd, err := s.ReadCommand()
		if err != nil {
			t.Fatal(err)
		}
		login := cmd.Args.(*imapwire.Login)
		if cmd.Tag != fmt.Sprintf("t%d", i) || login.User != "us\r\n" || len(login.Password) != i {
			t.Fatalf("command %d: %+v %+v", i, cmd, login)
		}
	}
	if _, err := s.ReadCommand(); !errors.Is(err, io.EOF) || s.conts != 0 {
		t.Errorf("end: %v after %d continuations", err, s.conts)
	}
}

func TestOnlyWaitingClientsAreToldToGoOn(t *testing.T) {
	t.Parallel()
	s := newSession("a LOGIN {1}\r\nx {1}\r\ny\r\nb LOGIN {1+}\r\nx {1}\r\ny\r\n")
	for _, want := range []int{2, 3} {
		if _, err := s.ReadCommand(); err != nil || s.conts != want {
			t.Errorf("%v after %d continuations, want %d", err, s.conts, want)
		}
	}
}

func TestContinuationThatCannotBeWrittenEndsTheSession(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	r := imapwire.NewReader(strings.NewReader("a LOGIN {1}\r\nx y\r\n"), imapwire.LimitsAfterLogin(), func(string) error { return broken })
	if _, err := r.ReadCommand(); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestBareLineFeedEndsALine(t *testing.T) {
	t.Parallel()
	s := newSession("a LOGIN {1+}\nx y\nnext NOOP\n")
	if _, err := s.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	mustBeNext(t, s, "bare LF")
}

// Trap 12 of the library: bytes of a refused literal were run as commands.
func TestRefusedLiteralIsNeverReadAsCommands(t *testing.T) {
	t.Parallel()
	evil := "x DELETE INBOX\r\n"
	big := strings.Repeat(evil, 5000) // 80 kB
	for name, input := range map[string]string{
		"too large":         fmt.Sprintf("a LOGIN {%d+}\r\n%s y\r\n", len(big), big),
		"second too large":  fmt.Sprintf("a LOGIN {40000+}\r\n%s {40000+}\r\n%s\r\n", big[:40000], big[:40000]),
		"two behind bad":    fmt.Sprintf("a LOGIN {%d+}\r\n%s {%d+}\r\n%s {3+}\r\nabc\r\n", len(big), big, len(evil), evil),
		"bad tag":           fmt.Sprintf("+ LOGIN {%d+}\r\n%s\r\n", len(evil), evil),
		"unknown parameter": fmt.Sprintf("a APPEND x (\\Recent) {%d+}\r\n%s\r\n", len(evil), evil),
		"no arguments":      fmt.Sprintf("a NOOP {%d+}\r\n%s\r\n", len(evil), evil),
		"overlong line":     fmt.Sprintf("a LOGIN %s {%d+}\r\n%s\r\n", strings.Repeat("y", 70000), len(evil), evil),
	} {
		if e := refused(t, input); e.Status != imap.StatusResponseTypeBad {
			t.Errorf("%s: %v", name, e)
		}
	}
	s := newSession(fmt.Sprintf("a XYZZY {%d+}\r\n%s\r\nnext NOOP\r\n", len(evil), evil))
	if cmd, err := s.ReadCommand(); err != nil || cmd.Name != "XYZZY" {
		t.Fatal(cmd, err)
	}
	mustBeNext(t, s, "unknown command")
}

func TestTooLargeLiteralIsRefusedBeforeTheClientSendsIt(t *testing.T) {
	t.Parallel()
	for _, input := range []string{"a LOGIN {70000}", "a LOGIN {4294967295}", "a LOGIN {99999999999999999999}", "a SELECT {65537}"} {
		s := newSession(input + "\r\nnext NOOP\r\n")
		_, err := s.ReadCommand()
		var e *imapwire.Error
		if !errors.As(err, &e) || e.Code != imap.ResponseCodeTooBig || e.Tag != "a" || s.conts != 0 {
			t.Errorf("%q: %v after %d continuations", input, err, s.conts)
		}
		mustBeNext(t, s, input)
	}
}

func TestConnectionIsGivenUpWhenTheNextCommandCannotBeFound(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]string{
		"literal of 4 GB":       "a LOGIN {4294967295+}\r\n",
		"literal beyond int64":  "a LOGIN {99999999999999999999+}\r\n",
		"zeros hide the size":   "a LOGIN {" + strings.Repeat("0", 100) + "5+}\r\n",
		"literal in open quote": "a LOGIN \"x {5+}\r\n",
		"append in open quote":  "a APPEND \"x {5+}\r\n",
		"endless line":          "a " + strings.Repeat("x", 3<<20),
		"many literals":         "a LOGIN {70000+}\r\n" + strings.Repeat(strings.Repeat("x", 300000)+" {300000+}\r\n", 5),
		"endless rest":          "a LOGIN {70000+}\r\n" + strings.Repeat("x", 3<<20),
		"unknown and huge":      "a XYZZY {4294967295+}\r\n",
		"append of unknown end": "a APPEND x (\\Recent) {4294967295+}\r\n",
	} {
		s := newSession(input + strings.Repeat("\r\nx DELETE INBOX", 10) + "\r\n")
		_, err := s.ReadCommand()
		var e *imapwire.Error
		if !errors.As(err, &e) || !errors.Is(err, imapwire.ErrClose) || e.Tag != "a" {
			t.Errorf("%s: %v", name, err)
		}
		if cmd, err := s.ReadCommand(); !errors.Is(err, imapwire.ErrClose) {
			t.Errorf("%s: went on with %+v, %v", name, cmd, err)
		}
	}
}

func TestMarkersAreSeenWhereverTheLineIsCut(t *testing.T) {
	t.Parallel()
	for pad := 4060; pad < 4110; pad++ {
		s := newSession("a LOGIN " + strings.Repeat("x", pad) + " {14+}\r\nx DELETE INBOX\r\nnext NOOP\r\n")
		cmd, err := s.ReadCommand()
		if err != nil || cmd.Args.(*imapwire.Login).Password != "x DELETE INBOX" {
			t.Fatalf("%d: %v", pad, err)
		}
		mustBeNext(t, s, "padded line")
	}
	s := newSession("a LOGIN \"\\\"x\" {14+}\r\nx DELETE INBOX\r\nnext NOOP\r\n")
	if cmd, err := s.ReadCommand(); err != nil || cmd.Args.(*imapwire.Login).User != `"x` {
		t.Fatal(cmd, err)
	}
	mustBeNext(t, s, "escaped quote")
}

func TestLiteralsOfACommandShareOneLimit(t *testing.T) {
	t.Parallel()
	const input = "a LOGIN {60+}\r\n%s {60+}\r\n%s\r\nnext NOOP\r\n"
	x := strings.Repeat("x", 60)
	s := newSession(fmt.Sprintf(input, x, x))
	lim := imapwire.LimitsAfterLogin()
	lim.Literals = 100
	s.SetLimits(lim)
	_, err := s.ReadCommand()
	var e *imapwire.Error
	if !errors.As(err, &e) || e.Code != imap.ResponseCodeTooBig || e.Error() != "imapwire: BAD [TOOBIG] Literal is too large" {
		t.Error(err)
	}
	mustBeNext(t, s, "two literals")
}

func TestQuotedBracesAreText(t *testing.T) {
	t.Parallel()
	if e := refused(t, "a LOGIN \"x {5}\r\n"); e.Status != imap.StatusResponseTypeBad {
		t.Error(e)
	}
	s := newSession("a LOGIN \"{5}\" \"\\\"{5+}\"\r\nnext NOOP\r\n")
	cmd, err := s.ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	if login := cmd.Args.(*imapwire.Login); login.User != "{5}" || login.Password != `"{5+}` {
		t.Errorf("%+v", login)
	}
	mustBeNext(t, s, "quoted braces")
}

func TestOverlongLinesAreSkipped_S11(t *testing.T) {
	t.Parallel()
	for _, input := range []string{
		"a LOGIN " + strings.Repeat("y", 70000) + "\r\n",
		"a " + strings.Repeat("y", 70000) + "\r\n",
		"a LOGIN {60000+}\r\n" + strings.Repeat("y", 60000) + " " + strings.Repeat("z", 6000) + "\r\n",
	} {
		if e := refused(t, input); e.Code != imap.ResponseCodeLimit || e.Tag != "a" {
			t.Errorf("%q: %v", clip(input), e)
		}
	}
	if e := refused(t, strings.Repeat("y", 70000)+"\r\n"); e.Tag != "" || e.Code != imap.ResponseCodeLimit {
		t.Error(e)
	}
	before := newSession("a LOGIN x " + strings.Repeat("y", 52000) + "\r\n")
	before.SetLimits(imapwire.LimitsBeforeLogin())
	if _, err := before.ReadCommand(); err == nil {
		t.Error("52 kB were taken before login")
	}
	one(t, "a LOGIN x "+strings.Repeat("y", 60000)+"\r\n")
}

func TestBombsAreRefusedCheaply_S11(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]string{
		"parentheses":       "a SEARCH " + strings.Repeat("(", 60000) + "\r\n",
		"200k parentheses":  "a SEARCH " + strings.Repeat("(", 200000) + "\r\n",
		"deep NOT":          "a SEARCH " + strings.Repeat("NOT ", 60) + "SEEN\r\n",
		"deep OR":           "a SEARCH " + strings.Repeat("OR SEEN ", 60) + "SEEN\r\n",
		"deep parameter":    "a SELECT x (QRESYNC " + strings.Repeat("(", 60) + "\r\n",
		"10,000 keys":       "a SEARCH " + strings.Repeat("SEEN ", 10000) + "\r\n",
		"fetch items":       "a FETCH 1 (" + strings.Repeat("BODY[] ", 600) + "UID)\r\n",
		"parts":             "a FETCH 1 BODY[" + strings.Repeat("1.", 200) + "1]\r\n",
		"patterns":          "a LIST \"\" (" + strings.Repeat("* ", 200) + "*)\r\n",
		"ID fields":         "a ID (" + strings.Repeat(`"a" "b" `, 40) + `"a" "b")` + "\r\n",
		"status items":      "a STATUS x (" + strings.Repeat("FOO ", 200) + "X)\r\n",
		"initial response":  "a AUTHENTICATE PLAIN " + strings.Repeat("AAAA", 4000) + "\r\n",
		"return status 200": "a LIST \"\" * RETURN (STATUS (" + strings.Repeat("FOO ", 200) + "X))\r\n",
	} {
		if e := refused(t, input); e.Code != imap.ResponseCodeLimit {
			t.Errorf("%s: %v", name, e)
		}
	}
	one(t, "a SEARCH "+strings.Repeat("NOT ", 49)+"SEEN\r\n")
	one(t, "a SEARCH "+strings.Repeat("SEEN ", 999)+"SEEN\r\n")
}

func TestNumberSetsStayRanges_S11(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1:4294967295":              "1:4294967295",
		"4294967295:1":              "1:4294967295",
		"1:4294967295,7,9:*":        "1:*",
		"5,4,3,2,1":                 "1:5",
		"1:3,3:7,9":                 "1:7,9",
		"*":                         "*",
		"*,5":                       "5,*",
		"*:5":                       "5:*",
		"*:*":                       "*",
		"3:*,2,*":                   "2:*",
		"10:*,5:10,3":               "3,5:*",
		"4294967295,4294967294":     "4294967294:4294967295",
		"1,3,5":                     "1,3,5",
		"2:2,1:1":                   "1:2",
		"4294967295,*":              "4294967295,*",
		"7:*,4294967295,1":          "1,7:*",
		"1:4294967295,4294967295:*": "1:*",
	} {
		set, ok := imapwire.ParseUIDSet(text)
		if !ok || set.String() != want {
			t.Errorf("%s: got %s", text, set)
		}
		seq, ok := imapwire.ParseSeqSet(text)
		if !ok || seq.String() != want {
			t.Errorf("%s: got %s", text, seq)
		}
	}
	var reversed strings.Builder
	for n := 60000; n > 40000; n -= 2 {
		fmt.Fprintf(&reversed, "%d,", n)
	}
	set := args[*imapwire.Fetch](t, "a FETCH "+reversed.String()+"1 FLAGS\r\n").Set.(imap.SeqSet)
	if len(set) != 10001 {
		t.Errorf("%d ranges", len(set))
	}
	for _, text := range []string{"", ",", "0", "1:", ":1", "a", "1;2", "4294967296", "1,", "$", "1:2:3", "+1"} {
		if set, ok := imapwire.ParseUIDSet(text); ok {
			t.Errorf("%q was taken as %s", text, set)
		}
		if _, ok := imapwire.ParseSeqSet(text); ok {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestAnnouncedLiteralTakesNoMemoryBeforeItComes_S11(t *testing.T) {
	rd, wr := io.Pipe()
	t.Cleanup(func() { wr.Close() })
	go func() { _, _ = wr.Write([]byte("a LOGIN {50000+}\r\nx")) }()
	r := imapwire.NewReader(rd, imapwire.LimitsAfterLogin(), nil)
	if err := r.Wait(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go wr.CloseWithError(errors.New("gone"))
	if _, err := r.ReadCommand(); err == nil {
		t.Fatal("half a command was read")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 20000 {
		t.Errorf("%d bytes were allocated for a literal that never came", got)
	}
}

func TestPlaintextBehindStartTLSIsDropped_S2(t *testing.T) {
	t.Parallel()
	s := newSession("a STARTTLS\r\nb LOGIN evil evil\r\n")
	if cmd, err := s.ReadCommand(); err != nil || cmd.Name != "STARTTLS" {
		t.Fatal(cmd, err)
	}
	if s.Buffered() != len("b LOGIN evil evil\r\n") {
		t.Errorf("%d bytes buffered", s.Buffered())
	}
	if n := s.Reset(strings.NewReader("next NOOP\r\n")); n != len("b LOGIN evil evil\r\n") {
		t.Errorf("%d bytes dropped", n)
	}
	mustBeNext(t, s, "STARTTLS")

	s = newSession("a STARTTLS\r\nb LOGIN evil evil\r\n")
	if _, err := s.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	if n := s.Discard(); n != len("b LOGIN evil evil\r\n") || s.Buffered() != 0 {
		t.Errorf("%d bytes discarded", n)
	}
}

func TestLinesThatAreNoCommands(t *testing.T) {
	t.Parallel()
	s := newSession("a AUTHENTICATE PLAIN\r\nAGEAYg==\r\n*\r\nDONE\r\n" + strings.Repeat("x", 20) + "{3+}\r\nnext NOOP\r\n")
	if _, err := s.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	line, err := s.ReadLine(imapwire.MaxAuthLine)
	if plain, ok := imapwire.DecodeBase64(line); err != nil || !ok || string(plain) != "\x00a\x00b" {
		t.Errorf("%q, %v", line, err)
	}
	for _, want := range []string{"*", "DONE"} {
		if line, err := s.ReadLine(64); err != nil || string(line) != want {
			t.Errorf("%q, %v", line, err)
		}
	}
	var e *imapwire.Error
	if _, err := s.ReadLine(19); !errors.As(err, &e) || e.Fatal || e.Tag != "" {
		t.Error(err)
	}
	mustBeNext(t, s, "overlong line")
	if _, ok := imapwire.DecodeBase64([]byte("AA==\r")); ok {
		t.Error("a line break in base64 was taken")
	}
	s = newSession("a NOOP\r\n" + strings.Repeat("x", 3<<20))
	if _, err := s.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadLine(64); !errors.Is(err, imapwire.ErrClose) {
		t.Error(err)
	}
	if _, err := s.ReadLine(64); !errors.Is(err, imapwire.ErrClose) {
		t.Error(err)
	}
}

func TestEndOfInputIsToldFromACutCommand(t *testing.T) {
	t.Parallel()
	if err := newSession("").Wait(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if _, err := newSession("").ReadCommand(); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	for _, input := range []string{"a", "a NOOP", "a LOGIN {3+}\r\n", "a LOGIN {3+}\r\nab", "a LOGIN {3+}\r\nabc", "a LOGIN {70000+}\r\nabc", "a X {3+}\r\na"} {
		s := newSession(input)
		if _, err := s.ReadCommand(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", input, err)
		}
		if _, err := s.ReadCommand(); !errors.Is(err, imapwire.ErrClose) {
			t.Errorf("%q: went on with %v", input, err)
		}
	}
}

func TestValuesOutliveTheBuffer(t *testing.T) {
	t.Parallel()
	s := newSession("a LOGIN first {6+}\r\nsecond\r\nb LOGIN xxxxx {6+}\r\nyyyyyy\r\n")
	cmd, err := s.ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	if login := cmd.Args.(*imapwire.Login); login.User != "first" || login.Password != "second" || cmd.Tag != "a" {
		t.Errorf("%+v", login)
	}
}
