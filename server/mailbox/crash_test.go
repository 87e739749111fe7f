package mailbox

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
)

var errPower = errors.New("power cut")

// breakDisk makes every step for which f is true fail, until it is mended.
func (e *env) breakDisk(f func(body.Step) error) { e.hook.Store(&f) }
func (e *env) mendDisk()                         { e.hook.Store(nil) }

// age makes the files of an account old, as time would.
func (w *person) age(sub string, by time.Duration) {
	w.e.t.Helper()
	dir := filepath.Join(w.e.dir, "maildir", w.id.String(), sub)
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.e.t.Fatal(err)
	}
	at := time.Now().Add(-by)
	for _, x := range entries {
		if err := os.Chtimes(filepath.Join(dir, x.Name()), at, at); err != nil {
			w.e.t.Fatal(err)
		}
	}
}

func (e *env) verify(o VerifyOptions) Report {
	e.t.Helper()
	r, err := e.Verify(e.t.Context(), o)
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

func kinds(r Report) map[string]int {
	out := map[string]int{}
	for _, f := range r.Findings {
		out[f.Kind]++
	}
	return out
}

func TestACrashWhileWritingTheBodyHealsByTheSweep_D20_D21(t *testing.T) {
	t.Parallel()
	for _, op := range []body.Op{body.OpWrite, body.OpSync, body.OpRename} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			w := e.person()
			w.deliver(1)
			var dead atomic.Bool
			e.breakDisk(func(st body.Step) error {
				if dead.Load() || st.Op == op {
					dead.Store(true) // nothing is cleaned up after it
					return errPower
				}
				return nil
			})
			if _, err := w.try(e.bodies, sample); !fault.Is(err, fault.Unavailable) {
				t.Fatalf("the sender saw %v, want a temporary failure", err)
			}
			e.mendDisk()
			if r := e.verify(VerifyOptions{Hash: true}); !r.Clean() || r.Files != 1 {
				t.Fatalf("the half-written file is seen: %+v", r)
			}
			w.age("tmp", 37*time.Hour)
			if m, err := e.Maintain(t.Context()); err != nil || m.Temp != 1 {
				t.Fatalf("swept %+v, %v", m, err)
			}
			if got := w.uids(w.inbox); len(got) != 1 {
				t.Fatalf("mail was lost or invented: %v", got)
			}
		})
	}
}

func TestACrashBeforeTheCommitLeavesAnOrphanThatIsPutAside_D22(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(1)
	l := w.letter(sample + "never committed")
	if r := e.verify(VerifyOptions{Fix: true}); !r.Clean() || r.Total != 0 {
		t.Fatalf("a file that may be on its way was touched: %+v", r)
	}
	w.age("cur", 2*time.Hour)
	if r := e.verify(VerifyOptions{}); kinds(r)[KindOrphan] != 1 || r.Clean() || r.Findings[0].File != l.Body.File {
		t.Fatalf("the orphan is not reported: %+v", r)
	}
	if got := w.uids(w.inbox); len(got) != 1 {
		t.Fatal("an orphan was shown as mail; the sender will send it again")
	}
	if r := e.verify(VerifyOptions{Fix: true}); !r.Clean() || r.Fixed != 1 {
		t.Fatalf("not fixed: %+v", r)
	}
	if b, err := os.ReadFile(filepath.Join(e.dir, "lost", w.id.String(), l.Body.File)); err != nil || !strings.HasSuffix(string(b), "never committed") {
		t.Fatalf("the file is not in lost: %v", err)
	}
	if r := e.verify(VerifyOptions{Hash: true}); !r.Clean() || r.Total != 0 || r.Messages != 1 {
		t.Fatalf("not healed: %+v", r)
	}
	if m, err := e.Maintain(t.Context()); err != nil || m.Lost != 0 {
		t.Fatalf("lost files went before their 30 days: %+v, %v", m, err)
	}
}

func TestACrashAfterTheCommitKeepsTheWholeLetter_D23(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	p, through := newProxy(t, e.dsn)
	node := e.node(e.openPool(through), e.bodies, Options{})
	for range 2 { // so that the statements are prepared and the next request is the transaction
		if _, err := node.Deliver(t.Context(), []Letter{w.letter(sample)}); err != nil {
			t.Fatal(err)
		}
	}
	p.mode.Store(proxyLoseAndGo)
	l := w.letter(sample + "the reply got lost")
	_, err := node.Deliver(t.Context(), []Letter{l})
	if !fault.Is(err, fault.Unavailable) {
		t.Fatalf("nobody can know the outcome, and the answer was %v", err)
	}
	if got := w.uids(w.inbox); len(got) != 3 {
		t.Fatalf("the test did not commit: %v", got)
	}
	if r := e.verify(VerifyOptions{Hash: true, Fix: true}); !r.Clean() || r.Total != 0 || r.Messages != 3 {
		t.Fatalf("a committed letter lost its file: %+v", r)
	}
	p.mode.Store(proxyPass)
	if _, err := node.Deliver(t.Context(), []Letter{w.letter(sample)}); err != nil {
		t.Fatalf("the node did not recover: %v", err)
	}
}

func TestALostReplyToTheCommitIsAskedForOnANewConnection_D12(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	p, through := newProxy(t, e.dsn)
	node := e.node(e.openPool(through), e.bodies, Options{})
	for range 2 {
		if _, err := node.Deliver(t.Context(), []Letter{w.letter(sample)}); err != nil {
			t.Fatal(err)
		}
	}
	for i, mode := range []int32{proxyLoseReply, proxyLoseAsk} {
		p.mode.Store(mode)
		filed, err := node.Deliver(t.Context(), []Letter{w.letter(sample)})
		if err != nil {
			t.Fatalf("mode %d: %v", mode, err)
		}
		if want := uint32(3 + i); filed[0].UID != want || filed[0].Key != w.inbox || filed[0].ModSeq == 0 || filed[0].UIDValidity == 0 || filed[0].Mailbox.IsZero() {
			t.Fatalf("mode %d: filed %+v, want uid %d", mode, filed[0], want)
		}
	}
	if got := w.uids(w.inbox); len(got) != 4 {
		t.Fatalf("uids %v: a letter was filed twice or not at all", got)
	}
	e.recount(t)
	if r := e.verify(VerifyOptions{Hash: true, Grace: time.Nanosecond}); !r.Clean() {
		t.Fatalf("%+v", r)
	}
}

func TestAnAppendWhoseCommitIsNotConfirmedIsAskedFor_D12_D39(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	p, through := newProxy(t, e.dsn)
	node := e.node(e.openPool(through), e.bodies, Options{})
	sp := node.NewSpool()
	defer sp.Close()
	if _, err := sp.Write([]byte(sample)); err != nil {
		t.Fatal(err)
	}
	p.mode.Store(proxyLoseCommit)
	filed, err := node.Append(t.Context(), w.p, w.id, Inbox, Item{Body: sp})
	if err != nil || filed[0].UID != 1 {
		t.Fatalf("%+v, %v: the client appends again and has the letter twice", filed, err)
	}
	if p.mode.Load() != proxyPass {
		t.Fatal("the commit went another way")
	}
	if r := e.verify(VerifyOptions{Hash: true, Grace: time.Nanosecond}); !r.Clean() || r.Messages != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestADatabaseThatIsDownGivesATemporaryErrorAndRecovers(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	p, through := newProxy(t, e.dsn)
	node := e.node(e.openPool(through), e.bodies, Options{})
	if _, err := node.Deliver(t.Context(), []Letter{w.letter(sample)}); err != nil {
		t.Fatal(err)
	}
	p.mode.Store(proxyDown)
	p.cut()
	for range 3 {
		if _, err := node.Deliver(t.Context(), []Letter{w.letter(sample)}); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("got %v, want unavailable", err)
		}
		if _, _, err := node.View(t.Context(), w.p, w.inbox); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("got %v, want unavailable", err)
		}
		if _, err := node.Store(t.Context(), w.p, w.inbox, AllUIDs(), FlagChange{}); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("got %v, want unavailable", err)
		}
	}
	p.mode.Store(proxyPass)
	if _, err := node.Deliver(t.Context(), []Letter{w.letter(sample)}); err != nil {
		t.Fatalf("the node did not recover: %v", err)
	}
	if got := w.uids(w.inbox); len(got) != 2 {
		t.Fatalf("uids %v", got)
	}
}

// After a failover to a standby that had not yet got the last transactions, the files are there and the rows are not. A sender
// that was told "accepted" will never send again.
func TestLettersWhoseRowsAFailoverLostAreAdopted_D24(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	old := w.letter(sample + "an old orphan")
	w.age("cur", 3*time.Hour)
	filed := w.deliver(2)
	// What the lost transaction did is undone.
	e.exec(`DELETE FROM mailbox_message WHERE mailbox_key = $1 AND uid = 2`, w.inbox)
	e.exec(`DELETE FROM message WHERE id = $1`, filed[1].Message)
	e.exec(`UPDATE mailbox SET uid_next = 2, total = 1, unseen = 1, bytes = $2, modseq = 2 WHERE key = $1`, w.inbox, len(sample))
	e.exec(`UPDATE account_usage SET messages = 1, bytes = $2 WHERE account_id = $1`, w.id, len(sample))
	r := e.verify(VerifyOptions{Fix: true, AdoptSince: time.Now().Add(-time.Hour), Hash: true})
	if r.Fixed != 2 || !r.Clean() {
		t.Fatalf("%+v", r)
	}
	node := e.node(e.openPool(e.dsn), e.bodies, Options{})
	v, _, err := node.View(t.Context(), w.p, w.inbox)
	if err != nil || v.Len() != 2 {
		t.Fatalf("the letter that was said to be accepted is lost: %v, %v", v, err)
	}
	var got string
	err = e.Rows(t.Context(), w.p, w.inbox, UIDs(2), WantMeta|WantList, func(row *Row) error {
		c, err := e.OpenBody(t.Context(), w.p, w.id, row.File)
		if err != nil {
			return err
		}
		defer c.Close()
		b, err := io.ReadAll(c)
		got = string(b)
		return err
	})
	if err != nil || got != sample {
		t.Fatalf("adopted %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(e.dir, "lost", w.id.String(), old.Body.File)); err != nil {
		t.Fatal("the old orphan was not put aside")
	}
	if r := e.verify(VerifyOptions{Hash: true, Grace: time.Nanosecond}); !r.Clean() || r.Total != 0 || r.Messages != 2 {
		t.Fatalf("not healed: %+v", r)
	}
}

func TestAFailedDirectorySyncFailsOnlyItsOwnLetters_D9_D10(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.person(), e.person()
	a.deliver(1)
	b.deliver(1)
	la, lb := a.letter(sample), b.letter(sample)
	e.breakDisk(func(st body.Step) error {
		if st.Op == body.OpSyncDir && strings.Contains(st.Name, a.id.String()) {
			return syscall.EIO
		}
		return nil
	})
	units := []*unit{}
	for _, l := range []Letter{la, lb} {
		parcels, err := e.prepare(t.Context(), e.pool, []Letter{l})
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, &unit{parcels: parcels, done: make(chan outcome, 1)})
	}
	c := newCommitter(e.Service, 1)
	defer c.dropConn(t.Context())
	c.commitBatch(t.Context(), slices.Clone(units))
	if o := <-units[0].done; !fault.Is(o.err, fault.Unavailable) || o.unknown {
		t.Fatalf("a letter whose directory entry is not durable was answered with %+v", o)
	}
	if o := <-units[1].done; o.err != nil {
		t.Fatalf("the other letter suffered: %v", o.err)
	}
	if len(a.uids(a.inbox)) != 1 || len(b.uids(b.inbox)) != 2 {
		t.Fatal("the wrong letters were stored")
	}
}

// One unit of a shared transaction cannot be stored. The others must be, and each hears about itself.
func TestOneBadUnitSpoilsNoOtherOfItsTransaction(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var folk []*person
	for range 5 {
		folk = append(folk, e.person())
	}
	full, gone := folk[1], folk[2]
	var units []*unit
	for _, w := range folk {
		parcels, err := e.prepare(t.Context(), e.pool, []Letter{w.letter(sample)})
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, &unit{parcels: parcels, done: make(chan outcome, 1)})
	}
	e.exec(`UPDATE mailbox SET uid_next = $2 WHERE key = $1`, full.inbox, int64(MaxUID)+1)
	e.exec(`DELETE FROM mailbox WHERE account_id = $1`, gone.id)
	// This one was committed by an earlier try of which nobody heard.
	if err := commitAlone(t.Context(), e.Service, units[3]); err != nil {
		t.Fatal(err)
	}
	c := newCommitter(e.Service, 1)
	defer c.dropConn(t.Context())
	c.commitBatch(t.Context(), slices.Clone(units))
	for i, want := range []fault.Kind{0, fault.Limited, fault.NotFound, 0, 0} {
		o := <-units[i].done
		if want == 0 && (o.err != nil || o.filed[0].UID != 1) || want != 0 && (!fault.Is(o.err, want) || o.unknown) {
			t.Errorf("unit %d: %+v, want %v", i, o, want)
		}
	}
	for i, n := range map[int]int{0: 1, 1: 0, 3: 1, 4: 1} {
		if got := len(e.rows(folk[i].inbox)); got != n {
			t.Errorf("unit %d: %d letters, want %d", i, got, n)
		}
	}
	if _, err := full.e.Deliver(t.Context(), []Letter{full.letter(sample)}); fault.CodeOf(err) != "uid-limit" {
		t.Fatalf("a used up mailbox answered %v (D-34)", err)
	}
}

func commitAlone(ctx context.Context, s *Service, u *unit) error {
	c := newCommitter(s, 1)
	defer c.dropConn(ctx)
	_, err := c.commit(ctx, []*unit{u})
	return err
}

func TestAMailboxThatIsRemovedUnderALetterSendsItToTheInbox(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	l := w.letter(sample)
	l.Mailbox = "Archive"
	parcels, err := e.prepare(t.Context(), e.pool, []Letter{l})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Delete(t.Context(), w.p, w.box("Archive").Key); err != nil {
		t.Fatal(err)
	}
	o := e.committer.deliver(t.Context(), parcels)
	if o.err != nil || o.filed[0].Key != w.inbox {
		t.Fatalf("%+v", o)
	}
}

func TestALockedMailboxDoesNotHoldUpTheOthersForLong_F10(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.person(), e.person()
	node := e.node(e.openPool(e.dsn+"&lock_timeout=300"), e.bodies, Options{})
	tx, err := e.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), sqlLockMailboxes, []int64{a.inbox}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := node.Deliver(context.Background(), []Letter{a.letter(sample)}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("the locked mailbox: %v, want unavailable", err)
		}
	})
	wg.Go(func() {
		if _, err := node.Deliver(context.Background(), []Letter{b.letter(sample)}); err != nil {
			t.Errorf("the other mailbox: %v", err)
		}
	})
	wg.Wait()
}

// machine plays the memory of a file system: what was not synced is gone after a power cut (F-5).
type machine struct {
	mu      sync.Mutex
	off     bool
	steps   int
	dieAt   int
	synced  map[string]bool   // files whose bytes are durable, by their first name
	entries map[string]string // names that are not durable yet, with the directory that must be synced
	bytes   map[string]bool   // names in cur whose bytes are durable
}

func (m *machine) step(st body.Step) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.steps++; m.off || m.steps >= m.dieAt {
		m.off = true
		return errPower
	}
	switch st.Op {
	case body.OpSync:
		m.synced[st.Name] = true
	case body.OpRename:
		m.entries[st.To] = filepath.Dir(st.To)
		m.bytes[st.To] = m.synced[st.Name]
	case body.OpSyncDir:
		for name, dir := range m.entries {
			if dir == st.Name {
				delete(m.entries, name)
			}
		}
	}
	return nil
}

// cut does to the directory what the power cut does.
func (m *machine) cut(t *testing.T, dir string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off = true
	for name := range m.entries {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	for name, durable := range m.bytes {
		if !durable {
			_ = os.Truncate(filepath.Join(dir, name), 0)
		}
	}
}

// Power cuts at random steps under concurrent deliveries: every letter that was acknowledged is there with its bytes. This is the
// test that catches a missing sync of a file or a directory; kill -9 does not.
func TestAPowerCutLosesNothingThatWasAcknowledged_F5(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(5, seed))
	for cut := range 12 {
		folk := []*person{e.person(), e.person(), e.person()}
		m := &machine{dieAt: 20 + r.IntN(400), synced: map[string]bool{}, entries: map[string]string{}, bytes: map[string]bool{}}
		e.breakDisk(m.step)
		var mu sync.Mutex
		acked := 0
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 12 {
					w := folk[i%3]
					l, err := w.try(e.bodies, sample)
					if err == nil {
						_, err = e.Deliver(context.Background(), []Letter{l})
					}
					if err != nil {
						if !fault.Is(err, fault.Unavailable) {
							t.Errorf("the sender saw %v", err)
						}
						continue
					}
					mu.Lock()
					acked++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		m.cut(t, e.dir)
		e.mendDisk()
		report := e.verify(VerifyOptions{Hash: true})
		if !report.Clean() {
			t.Fatalf("seed %d cut %d at step %d: %d acknowledged, findings %v", seed, cut, m.dieAt, acked, kinds(report))
		}
		stored := 0
		for _, w := range folk {
			stored += len(e.rows(w.inbox))
		}
		if stored != acked {
			t.Fatalf("seed %d cut %d at step %d: %d letters are stored, %d were acknowledged", seed, cut, m.dieAt, stored, acked)
		}
		// The restarted process opens its directories anew.
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.bodies = e.openBodies("n1")
		e.Service = e.node(e.pool, e.bodies, Options{})
	}
}

func TestADiskThatIsFullRefusesForAMomentAndReadingGoesOn_F9(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.person()
	w.deliver(1)
	e.breakDisk(func(st body.Step) error {
		if st.Op == body.OpWrite || st.Op == body.OpCreate {
			return syscall.ENOSPC
		}
		return nil
	})
	if _, err := w.try(e.bodies, sample); !fault.Is(err, fault.Storage) {
		t.Fatalf("got %v, want storage", err)
	}
	sp := e.NewSpool()
	defer sp.Close()
	if _, err := sp.Write([]byte(sample)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Append(t.Context(), w.p, w.id, Inbox, Item{Body: sp}); !fault.Is(err, fault.Storage) {
		t.Fatalf("got %v, want storage", err)
	}
	if _, err := e.Remove(t.Context(), w.p, w.inbox, AllUIDs()); err != nil {
		t.Fatalf("deleting must make room: %v", err)
	}
	e.mendDisk()
	w.deliver(1)
	if r := e.verify(VerifyOptions{Grace: time.Nanosecond}); !r.Clean() {
		t.Fatalf("half-written things are visible: %+v", r)
	}
}
