package imapd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/imapd"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// crafted is a message whose structure or header once ended connections or hid the content.
func crafted() map[string]string {
	deep := strings.Builder{}
	for i := range 200 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	return map[string]string{
		"multipart without parts":  "Content-Type: multipart/mixed; boundary=x\r\n\r\nno part here\r\n",
		"multipart without ending": "Content-Type: multipart/mixed\r\n\r\n",
		"header without colon":     "From: a@example.test\r\nthis line is no field\r\nSubject: x\r\n\r\nbody\r\n",
		"empty header":             "\r\nbody\r\n",
		"no header at all":         "body only",
		"nested too deeply":        deep.String(),
		"quote in a parameter":     "Content-Type: text/plain; charset=\"a\\\"b\\\\\"; name=\"x\ry\"\r\n\r\nbody\r\n",
		"eight bit names":          "Content-Type: text/\xff\xfe; name=\"\xc3\x28\"\r\nContent-ID: \xff)(\r\n\r\nbody\r\n",
		"eight bit subject":        "Subject: \xc3\xa4 {5}\r\nFrom: \"\x80\" <a@b>\r\n\r\nbody\r\n",
		"nul and parentheses":      "Subject: a\x00b)(\r\nFrom: )(<)(@)(>\r\nTo: (((((\r\n\r\nbody\r\n",
		"rfc822 without content":   "Content-Type: message/rfc822\r\n\r\n",
		"rfc822 in base64":         "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==\r\n",
		"report without parts":     "Content-Type: multipart/report; boundary=\"\"\r\n\r\n--\r\n\r\n----\r\n",
		"group without members":    "From: undisclosed:;\r\nTo: nobody\r\n\r\nbody\r\n",
	}
}

func TestBodystructureOfACraftedMessageNeverEndsTheConnection_A7(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	var names []string
	for name, text := range crafted() {
		names = append(names, name)
		w.deliver("INBOX", text)
	}
	c := w.in("INBOX")
	for i, name := range names {
		seq := i + 1
		for _, items := range []string{"BODYSTRUCTURE", "BODY", "ENVELOPE", "FULL", "(UID BODYSTRUCTURE ENVELOPE BODY.PEEK[HEADER] BODY.PEEK[1.MIME])"} {
			lines := c.ok("FETCH %d %s", seq, items)
			if len(lines) != 1 || !strings.HasPrefix(lines[0], fmt.Sprintf("* %d FETCH (", seq)) || !strings.HasSuffix(lines[0], ")") {
				t.Errorf("%s, %s: %q", name, items, lines)
			}
			if depth := balance(lines[0]); depth != 0 {
				t.Errorf("%s, %s: parentheses do not match: %q", name, items, lines[0])
			}
		}
	}
	if got := len(c.ok("FETCH 1:* (FLAGS BODYSTRUCTURE)")); got != len(names) {
		t.Errorf("%d of %d messages shown", got, len(names))
	}
	c.ok("NOOP")
}

// balance counts parentheses outside of quoted strings and literals.
func balance(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case '{':
			var n int
			if _, err := fmt.Sscanf(s[i:], "{%d}", &n); err == nil {
				i += strings.Index(s[i:], "}\r\n") + 2 + n
			}
		case '(':
			depth++
		case ')':
			depth--
		}
	}
	return depth
}

func TestSelectAlwaysAnswersEveryStatusItem_A7(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	c := w.login()
	c.ok("CREATE Empty/Below")
	for _, box := range []string{"INBOX", "Empty", "Empty/Below", "Trash"} {
		for _, verb := range []string{"SELECT", "EXAMINE", "SELECT"} {
			lines := strings.Join(c.ok("%s %s", verb, box), "\n")
			for _, want := range []string{"* FLAGS (", " EXISTS", "* 0 RECENT", "[PERMANENTFLAGS (", "[UIDVALIDITY ", "[UIDNEXT "} {
				if !strings.Contains(lines, want) {
					t.Errorf("%s %s does not tell %q:\n%s", verb, box, want, lines)
				}
			}
		}
		all := []string{"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "APPENDLIMIT"}
		for _, item := range append(all, strings.Join(all, " ")) {
			line := strings.Join(c.ok("STATUS %s (%s)", box, item), "")
			for name := range strings.FieldsSeq(item) {
				if !strings.Contains(line, name+" ") {
					t.Errorf("STATUS %s (%s): %q", box, item, line)
				}
			}
		}
	}
}

func TestContentOfAMessageWithABrokenHeaderIsShownWhole_Trap2(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	text := crafted()["header without colon"]
	w.deliver("INBOX", text)
	c := w.in("INBOX")
	same(t, c.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])"), fmt.Sprintf("* 1 FETCH (RFC822.SIZE %d BODY[] {%d}\r\n%s)", len(text), len(text), text))
}

func TestCopyOfNothingLeavesTheStreamWhole_Trap3(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	c := w.in("INBOX")
	for _, command := range []string{"UID COPY 99 Trash", "UID MOVE 99 Trash", "UID EXPUNGE 99", "UID STORE 99 FLAGS (x)", "UID FETCH 99 BODY[]"} {
		lines, status := c.do("%s", command)
		if len(lines) > 0 || !strings.HasPrefix(status, "OK ") || strings.Contains(status, "[") {
			t.Errorf("%s: %q %q", command, lines, status)
		}
	}
	c.ok("NOOP")
}

func TestFlagsThatAreNoneNeverReachTheWire_Trap4(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	c := w.in("INBOX")
	for _, flag := range []string{`\`, `a"b`, `a]b`, `a(b`, `*`, `\*`, `ä`, strings.Repeat("k", 300)} {
		if _, status := c.do("STORE 1 +FLAGS (%s)", flag); strings.HasPrefix(status, "OK") {
			t.Errorf("%q was stored", flag)
		}
	}
	same(t, c.ok("FETCH 1 FLAGS"), "* 1 FETCH (FLAGS ())")
	for i := range mail.MaxKeywords {
		c.ok("STORE 1 +FLAGS.SILENT (k%d)", i)
	}
	c.want("NO [LIMIT]", "STORE 1 +FLAGS (onemore)")
	lines := c.ok("SELECT INBOX")
	if !strings.Contains(lines[1], "[PERMANENTFLAGS (") || strings.Contains(lines[1], `\*`) {
		t.Errorf("a full mailbox still offers new keywords: %q", lines[1])
	}
}

func TestMissingContentIsOneMessagesFaultOnly_D27_Trap5(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	w.deliver("INBOX", note(2))
	w.deliver("INBOX", note(3))
	w.loseBody(2)
	c := w.in("INBOX")
	lines := c.want("NO [SERVERBUG]", "FETCH 1:3 BODY[TEXT]")
	same(t, lines,
		"* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {16}\r\nbody of note 1\r\n)",
		"* 3 FETCH (FLAGS (\\Seen) BODY[TEXT] {16}\r\nbody of note 3\r\n)")
	same(t, c.want("NO [SERVERBUG]", "UID FETCH 2 BODY.PEEK[]"))
	same(t, c.ok("FETCH 2 (UID FLAGS RFC822.SIZE)"), "* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 155)")
	same(t, c.ok("SEARCH BODY note"), "* SEARCH 1 3")
	if text := metricsText(t, e); !strings.Contains(text, "mailserver_content_missing_total 3") {
		t.Error("missing content is not counted, so nobody is alarmed")
	}
	same(t, c.ok("NOOP"))
}

// loseBody removes the file of the n-th message filed.
func (w *person) loseBody(n int) {
	w.e.t.Helper()
	var file string
	err := w.e.pool.QueryRow(w.e.t.Context(), `SELECT file FROM message WHERE account_id = $1 ORDER BY key OFFSET $2 LIMIT 1`,
		w.id.UUID(), n-1).Scan(&file)
	if err != nil {
		w.e.t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(w.e.dir, "maildir", w.id.String(), "cur", file)); err != nil {
		w.e.t.Fatal(err)
	}
}

func TestATruncatedFileIsNeverShownAsAWholeMessage_D27(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	files, err := filepath.Glob(filepath.Join(e.dir, "maildir", w.id.String(), "cur", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Truncate(files[0], 50); err != nil {
		t.Fatal(err)
	}
	c := w.in("INBOX")
	same(t, c.want("NO [SERVERBUG]", "FETCH 1 BODY[]"))
	c.ok("NOOP")
}

func TestAnExaminedMailboxStaysAsItIs_Trap6(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	other := w.in("INBOX")
	other.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	c := w.login()
	c.ok("EXAMINE INBOX")
	c.want("NO [READ-ONLY]", `STORE 1 -FLAGS (\Deleted)`)
	c.want("NO [READ-ONLY]", "EXPUNGE")
	c.want("NO [READ-ONLY]", "UID EXPUNGE 1")
	c.want("NO [READ-ONLY]", "MOVE 1 Trash")
	same(t, c.ok("FETCH 1 (FLAGS BODY[]<0.1>)"), "* 1 FETCH (FLAGS (\\Deleted) BODY[]<0> {1}\r\nF)")
	c.ok("CLOSE")
	same(t, other.ok("NOOP"))
	same(t, other.ok("FETCH 1 FLAGS"), `* 1 FETCH (FLAGS (\Deleted))`)
}

func TestTwoDeliveriesInOneTransactionAreBothSeen_Trap7(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	c := w.in("INBOX")
	tag := c.start("IDLE")
	if line := c.line(); line != "+ Idling" {
		t.Fatal(line)
	}
	w.deliver("INBOX", note(2), note(3))
	if line := c.line(); line != "* 3 EXISTS" {
		t.Errorf("got %q", line)
	}
	c.send("DONE\r\n")
	c.finish(tag)
	same(t, c.ok("FETCH 2:3 (UID FLAGS)"), "* 2 FETCH (UID 2 FLAGS ())", "* 3 FETCH (UID 3 FLAGS ())")
}

func TestASilentClientIsToldOnceWhatALotHasBecome_Trap8(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	c := w.in("INBOX")
	for i := range 50 {
		w.deliver("INBOX", note(i))
	}
	other := w.in("INBOX")
	for i := range 20 {
		other.ok(`STORE %d +FLAGS.SILENT (\Seen k%d)`, i+1, i%5)
	}
	other.ok(`STORE 1:10 +FLAGS.SILENT (\Deleted)`)
	other.ok("EXPUNGE")
	lines := c.ok("NOOP")
	if len(lines) != 3 || lines[2] != "* 40 EXISTS" {
		t.Errorf("want keywords and one EXISTS, got %q", lines)
	}
}

func TestUnknownWordsAreBad_Trap9(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	c := w.in("INBOX")
	for _, command := range []string{
		"SEARCH FROBNICATE", "SEARCH", "SEARCH SINCE yesterday", "SEARCH CHARSET", "UID", "UID NOOP", "FETCH 1", "FETCH x FLAGS",
		"STORE 1 FLAGS", "LIST", "APPEND INBOX", "SORT (DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "GETQUOTAROOT INBOX",
		"COMPRESS DEFLATE", "NOTIFY NONE", "UNAUTHENTICATE", "SELECT INBOX (QRESYNC (1 2))", "FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
	} {
		c.want("BAD", "%s", command)
	}
	c.ok("NOOP")
}

func TestAnEmptyChallengeIsAPlusAndASpace_Trap10(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	c := e.dial()
	tag := c.start("AUTHENTICATE PLAIN")
	if line := c.line(); line != "+ " {
		t.Fatalf("challenge %q", line)
	}
	c.send("AGFubkBleGFtcGxlLnRlc3QAY29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n")
	if _, status := c.finish(tag); !strings.HasPrefix(status, "OK") {
		t.Fatal(status)
	}
	same(t, c.ok("STATUS INBOX (MESSAGES)"), `* STATUS "INBOX" (MESSAGES 0)`)
	_ = w
}

func TestSeveralMessagesInOneAppendGetAnAnswer_Trap11(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	c := w.in("INBOX")
	tag := c.start("APPEND INBOX {3+}\r\nabc {3+}\r\nabc")
	if _, status := c.finish(tag); !strings.HasPrefix(status, "BAD") {
		t.Error(status)
	}
	same(t, c.ok("NOOP"))
}

func TestARefusedLiteralIsNeverReadAsCommands_Trap12_S11(t *testing.T) {
	t.Parallel()
	e := newEnv(t, limits(func(l *imapd.Limits) { l.MessageBytes = 1 << 10 }))
	w := e.person("ann")
	c := w.login()
	evil := strings.Repeat("x DELETE Trash\r\n", 100)
	tag := c.start("APPEND INBOX {%d+}\r\n%s", len(evil), evil)
	if _, status := c.finish(tag); !strings.HasPrefix(status, "NO [TOOBIG]") {
		t.Error(status)
	}
	tag = c.start("APPEND Missing {%d+}\r\n%s", 160, evil[:160])
	if _, status := c.finish(tag); !strings.HasPrefix(status, "NO [TRYCREATE]") {
		t.Error(status)
	}
	big := strings.Repeat("y DELETE Trash\r\n", 10_000)
	tag = c.start("RENAME a {%d+}\r\n%s", len(big), big)
	if _, status := c.finish(tag); !strings.HasPrefix(status, "BAD [TOOBIG]") {
		t.Error(status)
	}
	c.ok("STATUS Trash (MESSAGES)")
}

func TestEnvelopeShowsGroupsAndOddAddresses_Trap14(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", "Date: yesterday about noon\r\nFrom: broken\r\nTo: team: a@example.test, b;, <c@example.test>\r\nSubject: x\r\n\r\ny\r\n")
	c := w.in("INBOX")
	lines := c.ok("FETCH 1 ENVELOPE")
	for _, want := range []string{`"yesterday about noon"`, `(NIL NIL "team" NIL)`, `(NIL NIL "a" "example.test")`, `(NIL NIL "c" "example.test")`, `(NIL NIL NIL NIL)`} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("no %s in %s", want, lines[0])
		}
	}
}

func TestAPartThatCannotBeDecodedIsSaidToBeSo(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-rot13\r\n\r\nuryyb\r\n", note(2))
	c := w.in("INBOX")
	same(t, c.want("NO [UNKNOWN-CTE]", "FETCH 1:2 BINARY[1]"), "* 2 FETCH (FLAGS (\\Seen) BINARY[1] ~{16}\r\nbody of note 2\r\n)")
	same(t, c.ok("FETCH 1:2 FLAGS"), "* 1 FETCH (FLAGS ())", `* 2 FETCH (FLAGS (\Seen))`)
	c.ok("FETCH 1 (BODY.PEEK[1] BINARY.PEEK[])")
}
