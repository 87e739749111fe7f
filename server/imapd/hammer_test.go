package imapd_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// mirror is what a client knows of its mailbox from what it was told, and nothing else.
type mirror struct {
	c        *client
	rng      *rand.Rand
	messages []known
	log      []string
}

// known is a message as the client knows it. Its UID is 0 until it was told.
type known struct {
	uid   int
	flags map[string]bool // nil until it was told
}

var errMirror = errors.New("the client was told something that cannot be")

func (m *mirror) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
	if len(m.log) > 60 {
		m.log = m.log[1:]
	}
}

// command sends a command and follows everything that comes back.
func (m *mirror) command(format string, args ...any) (status string, err error) {
	m.c.tag++
	tag := fmt.Sprintf("t%d", m.c.tag)
	text := fmt.Sprintf(format, args...)
	m.note("C: %s %s", tag, text)
	if _, err := m.c.nc.Write([]byte(tag + " " + text + "\r\n")); err != nil {
		return "", err
	}
	words := strings.Fields(text)
	quiet := words[0] == "FETCH" || words[0] == "STORE" || words[0] == "SEARCH"
	for {
		line, err := m.c.tryLine()
		if err != nil {
			return "", err
		}
		m.note("S: %s", line)
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			return rest, m.fill()
		}
		if strings.HasPrefix(line, "+ ") { // IDLE
			<-time.After(time.Duration(m.rng.IntN(20)) * time.Millisecond)
			if _, err := m.c.nc.Write([]byte("DONE\r\n")); err != nil {
				return "", err
			}
			continue
		}
		if err := m.told(line, quiet); err != nil {
			return "", err
		}
	}
}

// told follows one untagged response.
func (m *mirror) told(line string, quiet bool) error {
	var n int
	var word string
	if _, err := fmt.Sscanf(line, "* %d %s", &n, &word); err != nil {
		if strings.HasPrefix(line, "* BYE") {
			return fmt.Errorf("%w: %s", errMirror, line)
		}
		return nil
	}
	switch word {
	case "EXISTS":
		if n < len(m.messages) {
			return fmt.Errorf("%w: %s with %d messages", errMirror, line, len(m.messages))
		}
		for len(m.messages) < n {
			m.messages = append(m.messages, known{})
		}
	case "EXPUNGE":
		if quiet || n > len(m.messages) {
			return fmt.Errorf("%w: %s with %d messages, quiet %v", errMirror, line, len(m.messages), quiet)
		}
		m.messages = slices.Delete(m.messages, n-1, n)
	case "FETCH":
		return m.fetched(line, n)
	}
	return nil
}

func (m *mirror) fetched(line string, n int) error {
	if n > len(m.messages) {
		return fmt.Errorf("%w: %s with %d messages", errMirror, line, len(m.messages))
	}
	msg := &m.messages[n-1]
	if _, after, found := strings.Cut(line, "UID "); found {
		digits := after[:strings.IndexFunc(after+" ", func(r rune) bool { return r < '0' || r > '9' })]
		uid, err := strconv.Atoi(digits)
		if err != nil || msg.uid != 0 && msg.uid != uid {
			return fmt.Errorf("%w: %s is not UID %d", errMirror, line, msg.uid)
		}
		msg.uid = uid
	}
	if _, after, found := strings.Cut(line, "FLAGS ("); found {
		list, _, _ := strings.Cut(after, ")")
		msg.flags = map[string]bool{}
		for f := range strings.FieldsSeq(list) {
			msg.flags[f] = true
		}
	}
	return nil
}

// fill asks about messages that are new.
func (m *mirror) fill() error {
	for i, msg := range m.messages {
		if msg.uid == 0 || msg.flags == nil {
			_, err := m.command("FETCH %d:* (UID FLAGS)", i+1)
			return err
		}
	}
	return nil
}

// step does one thing at random.
func (m *mirror) step() error {
	if len(m.messages) == 0 {
		_, err := m.command("%s", []string{"NOOP", "IDLE", "APPEND Box {6+}\r\na: b\r\n"}[m.rng.IntN(3)])
		return err
	}
	i := m.rng.IntN(len(m.messages))
	j := min(len(m.messages)-1, i+m.rng.IntN(3))
	seqs, uids := fmt.Sprintf("%d:%d", i+1, j+1), fmt.Sprintf("%d:%d", m.messages[i].uid, m.messages[j].uid)
	var err error
	switch m.rng.IntN(16) {
	case 0, 1, 2, 3, 4:
		return m.store(i, j)
	case 5:
		_, err = m.command("FETCH %s BODY[TEXT]", seqs)
	case 6:
		_, err = m.command("UID FETCH %s (FLAGS BODY[])", uids)
	case 7:
		_, err = m.command("NOOP")
	case 8:
		_, err = m.command("IDLE")
	case 9:
		_, err = m.command("SEARCH UNSEEN")
	case 10:
		_, err = m.command("UID SEARCH SUBJECT note")
	case 11:
		_, err = m.command("UID COPY %s Box", uids)
	case 12:
		_, err = m.command("UID MOVE %s Other", uids)
	case 13:
		_, err = m.command("MOVE %s Box", seqs)
	case 14:
		_, err = m.command("APPEND Box {6+}\r\na: b\r\n")
	case 15:
		_, err = m.command("%s", []string{"EXPUNGE", "UID EXPUNGE " + uids}[m.rng.IntN(2)])
	}
	return err
}

// store changes flags. With SILENT the client assumes the outcome, as clients do.
func (m *mirror) store(i, j int) error {
	flag := []string{`\Seen`, `\Flagged`, `\Deleted`, "work", "$Forwarded"}[m.rng.IntN(5)]
	op := []string{"+", "-", ""}[m.rng.IntN(3)]
	silent := m.rng.IntN(2) == 0
	verb, set := "STORE", fmt.Sprintf("%d:%d", i+1, j+1)
	if m.rng.IntN(2) == 0 {
		verb, set = "UID STORE", fmt.Sprintf("%d:%d", m.messages[i].uid, m.messages[j].uid)
	}
	item := "FLAGS"
	if silent {
		item = "FLAGS.SILENT"
		for k := i; k <= j; k++ {
			switch op {
			case "+":
				m.messages[k].flags[flag] = true
			case "-":
				delete(m.messages[k].flags, flag)
			default:
				m.messages[k].flags = map[string]bool{flag: true}
			}
		}
	}
	_, err := m.command("%s %s %s%s (%s)", verb, set, op, item, flag)
	return err
}

// Twenty sessions of one mailbox do everything at random. Each keeps the mailbox as it was told; in the end, when nothing moves
// any more, all of them must have it as it is (mail-rules F-21).
func TestEverySessionKnowsTheMailboxAfterAStorm_F21(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person("ann")
	first := w.login()
	first.ok("CREATE Box")
	first.ok("CREATE Other")
	for i := range 10 {
		w.deliver("Box", note(i))
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const sessions = 20
	duration := 3 * time.Second
	if testing.Short() {
		duration = time.Second
	}
	all := make([]*mirror, sessions)
	for i := range all {
		all[i] = &mirror{c: w.login(), rng: rand.New(rand.NewPCG(seed, uint64(i)))}
	}
	var wg sync.WaitGroup
	steps := make([]int, sessions)
	failed := make([]error, sessions)
	for i, m := range all {
		wg.Go(func() {
			_, failed[i] = m.command("SELECT Box")
			for end := time.Now().Add(duration); failed[i] == nil && time.Now().Before(end); steps[i]++ {
				failed[i] = m.step()
			}
		})
	}
	for i := range 40 {
		w.deliver("Box", note(100+i), note(200+i))
	}
	wg.Wait()
	sum := 0
	for i, m := range all {
		sum += steps[i]
		if failed[i] != nil {
			t.Fatalf("session %d: %v\n%s", i, failed[i], strings.Join(m.log, "\n"))
		}
	}
	t.Logf("%d commands", sum)
	for i, m := range all {
		if _, err := m.command("NOOP"); err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
		w.compare(t, i, m)
	}
	same(t, nil, w.verify()...)
}

// compare holds what a client knows against the mailbox.
func (w *person) compare(t *testing.T, n int, m *mirror) {
	t.Helper()
	view, _, err := w.e.mailboxes.View(t.Context(), w.p, w.box("Box").Key)
	if err != nil {
		t.Fatal(err)
	}
	if view.Len() != len(m.messages) {
		t.Fatalf("session %d knows %d messages of %d\n%s", n, len(m.messages), view.Len(), strings.Join(m.log, "\n"))
	}
	for i, have := range view.From(0) {
		got := m.messages[i]
		want := map[string]bool{}
		for _, f := range have.Flags.Flags(view.Keywords()) {
			want[string(f)] = true
		}
		if got.uid != int(have.UID) || fmt.Sprint(got.flags) != fmt.Sprint(want) {
			t.Fatalf("session %d, message %d: knows UID %d %v, it is UID %d %v\n%s", n, i+1, got.uid, got.flags, have.UID, want,
				strings.Join(m.log, "\n"))
		}
	}
}

// verify counts rows that contradict each other.
func (w *person) verify() []string {
	w.e.t.Helper()
	var problems []string
	for _, check := range []string{
		`SELECT count(*) FROM mailbox m WHERE total <> (SELECT count(*) FROM mailbox_message WHERE mailbox_key = m.key)`,
		`SELECT count(*) FROM mailbox m WHERE unseen <> (SELECT count(*) FROM mailbox_message WHERE mailbox_key = m.key AND flags & 1 = 0)`,
		`SELECT count(*) FROM message g WHERE refs <> (SELECT count(*) FROM mailbox_message WHERE message_key = g.key)`,
	} {
		var n int
		if err := w.e.pool.QueryRow(w.e.t.Context(), check).Scan(&n); err != nil {
			w.e.t.Fatal(err)
		}
		if n > 0 {
			problems = append(problems, fmt.Sprintf("%d by %s", n, check))
		}
	}
	return problems
}
