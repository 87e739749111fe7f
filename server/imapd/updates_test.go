package imapd_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/bus"
	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/imapd"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
)

// countExists follows EXISTS and EXPUNGE.
func countExists(t testing.TB, n int, lines []string) int {
	t.Helper()
	for _, line := range lines {
		var k int
		var word string
		if _, err := fmt.Sscanf(line, "* %d %s", &k, &word); err != nil {
			continue
		}
		switch word {
		case "EXISTS":
			if k <= n {
				t.Errorf("EXISTS %d after %d messages", k, n)
			}
			n = k
		case "EXPUNGE":
			if k > n {
				t.Errorf("EXPUNGE %d of %d messages", k, n)
			}
			n--
		}
	}
	return n
}

// Several sessions of one mailbox go in and out of IDLE while mail arrives: each has to be told of each message.
func TestIdleUpdateIsNeverTakenAwayFromTheSession_A7(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	const sessions, letters = 4, 60
	all := make([]*client, sessions)
	for i := range all {
		all[i] = w.in("INBOX")
	}
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() {
			n := 0
			for n < letters {
				tag := c.start("IDLE")
				for first := true; ; first = false {
					line, err := c.tryLine()
					if err != nil {
						t.Errorf("with %d of %d messages: %v", n, letters, err)
						return
					}
					n = countExists(t, n, []string{line})
					if !first && strings.HasPrefix(line, "* ") || n == letters {
						break
					}
				}
				c.send("DONE\r\n")
				for {
					line, err := c.tryLine()
					if err != nil {
						t.Error(err)
						return
					}
					if strings.HasPrefix(line, tag+" ") {
						break
					}
					n = countExists(t, n, []string{line})
				}
			}
		})
	}
	for i := range letters {
		w.deliver("INBOX", note(i))
	}
	wg.Wait()
}

func TestNumbersNeverShiftUnderASessionThatWasNotTold_D36_D37(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1), note(2), note(3), note(4))
	a, b := w.in("INBOX"), w.in("INBOX")
	a.ok(`STORE 2 +FLAGS.SILENT (\Deleted)`)
	a.ok("EXPUNGE")

	// By number: nothing shifts, what is gone is said to be gone, the rest is served.
	same(t, b.want("NO [EXPUNGEISSUED]", "FETCH 1:3 (UID BODY.PEEK[TEXT])"),
		"* 1 FETCH (UID 1 BODY[TEXT] {16}\r\nbody of note 1\r\n)",
		"* 3 FETCH (UID 3 BODY[TEXT] {16}\r\nbody of note 3\r\n)")
	// What the session knew it still answers. The deletion mark is no news: whoever set it has gone with it.
	if lines := b.ok("FETCH 1:* (UID)"); len(lines) != 4 {
		t.Errorf("%q", lines)
	}
	same(t, b.ok("SEARCH ALL"), "* SEARCH 1 2 3 4")
	if _, status := b.do(`STORE 2 +FLAGS (\Flagged)`); !strings.HasPrefix(status, "NO [EXPUNGEISSUED]") {
		t.Error(status)
	}
	same(t, b.ok(`STORE 3 +FLAGS (\Flagged)`), `* 3 FETCH (UID 3 FLAGS (\Flagged))`)
	// By UID: what is gone is passed over, and told.
	same(t, b.ok("UID FETCH 2:3 BODY.PEEK[]<0.1>"), "* 3 FETCH (UID 3 BODY[]<0> {1}\r\nF)", "* 2 EXPUNGE")
	same(t, b.ok("FETCH 2 (UID FLAGS)"), `* 2 FETCH (UID 3 FLAGS (\Flagged))`)
}

func TestWhatAnotherSessionMovedAwayIsStillServed_D37(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1), note(2), note(3), note(4))
	a, b := w.in("INBOX"), w.in("INBOX")
	a.ok("MOVE 2:3 Archive")
	a.ok("CREATE Other")
	a.ok("SELECT Archive")
	a.ok("UID MOVE 2 Other")

	same(t, b.ok("FETCH 1:3 (UID BODY.PEEK[TEXT])"),
		"* 1 FETCH (UID 1 BODY[TEXT] {16}\r\nbody of note 1\r\n)",
		"* 2 FETCH (UID 2 BODY[TEXT] {16}\r\nbody of note 2\r\n)",
		"* 3 FETCH (UID 3 BODY[TEXT] {16}\r\nbody of note 3\r\n)")
	same(t, b.ok("FETCH 2:4 RFC822.SIZE"), fmt.Sprintf("* 4 FETCH (RFC822.SIZE %d)", len(note(4))),
		fmt.Sprintf("* 2 FETCH (RFC822.SIZE %d)", len(note(2))), fmt.Sprintf("* 3 FETCH (RFC822.SIZE %d)", len(note(3))))
	if lines := b.ok("FETCH 2 (ENVELOPE BODYSTRUCTURE BODY[])"); len(lines) != 1 || !strings.Contains(lines[0], `"note 2"`) {
		t.Errorf("%q", lines)
	}
	// What is in no mailbox any more is said to be gone, as before.
	a.ok("SELECT Other")
	a.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	a.ok("EXPUNGE")
	b.want("NO [EXPUNGEISSUED]", "FETCH 2:3 BODY.PEEK[]")
	same(t, b.ok("NOOP"), "* 3 EXPUNGE", "* 2 EXPUNGE")
}

func TestOwnChangesAreToldOnceAndThoseOfOthersAreTold(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1), note(2), note(3))
	a, b := w.in("INBOX"), w.in("INBOX")
	same(t, a.ok(`STORE 1 +FLAGS (\Seen)`), `* 1 FETCH (UID 1 FLAGS (\Seen))`)
	same(t, a.ok("NOOP"))
	same(t, a.ok(`STORE 2 +FLAGS.SILENT (\Seen)`))
	same(t, a.ok("NOOP"))
	same(t, a.ok(`UID STORE 3 FLAGS.SILENT (\Draft)`))
	same(t, a.ok("NOOP"))
	same(t, b.ok("NOOP"), `* 1 FETCH (UID 1 FLAGS (\Seen))`, `* 2 FETCH (UID 2 FLAGS (\Seen))`, `* 3 FETCH (UID 3 FLAGS (\Draft))`)
	// Both change one message, silently: the later one cannot know the other's flag, and is told.
	a.ok(`STORE 1 +FLAGS.SILENT (\Flagged)`)
	same(t, b.ok(`STORE 1 +FLAGS.SILENT (\Answered)`), `* 1 FETCH (UID 1 FLAGS (\Seen \Answered \Flagged))`)
	same(t, a.ok("NOOP"), `* 1 FETCH (UID 1 FLAGS (\Seen \Answered \Flagged))`)
	same(t, b.ok("NOOP"))
}

func TestConcurrentFlagChangesAllStay(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	const sessions = 8
	all := make([]*client, sessions)
	for i := range all {
		all[i] = w.in("INBOX")
	}
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Go(func() {
			for range 10 {
				tag := c.start("STORE 1 +FLAGS.SILENT (k%d)", i)
				for {
					line, err := c.tryLine()
					if err != nil {
						t.Error(err)
						return
					}
					if strings.HasPrefix(line, tag+" OK") {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	line := w.in("INBOX").ok("FETCH 1 FLAGS")[0]
	for i := range sessions {
		if !strings.Contains(line, fmt.Sprintf("k%d", i)) {
			t.Errorf("k%d was lost: %s", i, line)
		}
	}
}

func TestMovedMessagesAreNeverInTwoPlacesNorInNone(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	const messages, sessions = 30, 4
	texts := make([]string, messages)
	for i := range texts {
		texts[i] = note(i)
	}
	w.deliver("INBOX", texts...)
	var wg sync.WaitGroup
	moved := make([]int, sessions)
	for i := range sessions {
		c := w.in("INBOX")
		wg.Go(func() {
			for uid := range messages {
				tag := c.start("UID MOVE %d Archive", uid+1)
				for {
					line, err := c.tryLine()
					if err != nil {
						t.Error(err)
						return
					}
					if strings.HasPrefix(line, "* OK [COPYUID ") {
						moved[i]++
					}
					if strings.HasPrefix(line, tag+" ") {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range moved {
		sum += n
	}
	if sum != messages || w.box("INBOX").Total != 0 || w.box("Archive").Total != messages {
		t.Errorf("%d moves, %d left, %d arrived", sum, w.box("INBOX").Total, w.box("Archive").Total)
	}
}

func TestAMailboxThatIsDeletedUnderASessionEndsIt(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	owner := w.login()
	owner.ok("CREATE Temp")
	idle, working := w.in("Temp"), w.in("Temp")
	idle.start("IDLE")
	if line := idle.line(); line != "+ Idling" {
		t.Fatal(line)
	}
	renamed := w.in("Temp")
	owner.ok("RENAME Temp Other")
	renamed.ok("NOOP")
	owner.ok("DELETE Other")
	if line := idle.line(); !strings.HasPrefix(line, "* BYE [NONEXISTENT]") {
		t.Error(line)
	}
	lines, _ := working.do("NOOP")
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "* BYE [NONEXISTENT]") {
		t.Errorf("%q", lines)
	}
}

func TestPipelinedCommandsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	c := w.in("INBOX")
	var all strings.Builder
	for i := range 50 {
		fmt.Fprintf(&all, "p%d %s\r\n", i, []string{"NOOP", "FETCH 1 FLAGS", "ID NIL", "STATUS INBOX (MESSAGES)", "BOGUS"}[i%5])
	}
	c.send(all.String())
	for i := range 50 {
		_, status := c.finish(fmt.Sprintf("p%d", i))
		if want := map[bool]string{true: "BAD", false: "OK"}[i%5 == 4]; !strings.HasPrefix(status, want) {
			t.Errorf("p%d: %s", i, status)
		}
	}
}

func TestALargeMailboxIsListedWhole(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	const total = 2500 // more than two of the pieces in which rows are read
	for part := range slices.Chunk(slices.Collect(seq(total)), 250) {
		letters := make([]mailbox.Letter, len(part))
		for i, n := range part {
			letters[i] = w.letter("INBOX", note(n))
		}
		if _, err := e.mailboxes.Deliver(t.Context(), letters); err != nil {
			t.Fatal(err)
		}
	}
	c := w.in("INBOX")
	c.ok(`STORE 100,1200:1300 +FLAGS.SILENT (\Deleted)`)
	c.ok("EXPUNGE")
	left := total - 102
	for _, items := range []string{"FLAGS", "(UID RFC822.SIZE)", "(UID ENVELOPE BODYSTRUCTURE)", "(UID BODY.PEEK[TEXT])"} {
		lines := c.ok("FETCH 1:* %s", items)
		if len(lines) != left {
			t.Fatalf("%s: %d of %d", items, len(lines), left)
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, fmt.Sprintf("* %d FETCH (", i+1)) {
				t.Fatalf("%s: line %d is %q", items, i, line)
			}
		}
	}
	same(t, c.ok(`SEARCH SUBJECT "note 2499"`), fmt.Sprintf("* SEARCH %d", left))
	same(t, c.ok(`UID FETCH 5,1000,2400 UID`), "* 5 FETCH (UID 5)", "* 999 FETCH (UID 1000)", "* 2298 FETCH (UID 2400)")
}

func seq(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// Another process changes the mailbox and no notice reaches this one.
func TestALostNoticeCostsTimeAndNothingElse(t *testing.T) {
	t.Parallel()
	e := newEnv(t, limits(func(l *imapd.Limits) { l.Poll = 100 * time.Millisecond }))
	w := e.person("ann")
	w.deliver("INBOX", note(1))
	c := w.in("INBOX")
	tag := c.start("IDLE")
	if line := c.line(); line != "+ Idling" {
		t.Fatal(line)
	}
	elsewhere := mailbox.New(e.pool, e.bodies, bus.New(), clock.System(), slog.New(slog.DiscardHandler), mailbox.Options{})
	change := mailbox.FlagChange{Add: []mail.Flag{mail.Flagged}}
	if _, err := elsewhere.Store(t.Context(), w.p, w.box("INBOX").Key, mailbox.AllUIDs(), change); err != nil {
		t.Fatal(err)
	}
	if line := c.line(); line != `* 1 FETCH (UID 1 FLAGS (\Flagged))` {
		t.Error(line)
	}
	c.send("DONE\r\n")
	c.finish(tag)
}
