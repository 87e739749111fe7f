package body

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newStore opens a store in a directory of its own.
func newStore(tb testing.TB, hook func(Step) error) (*Store, string) {
	tb.Helper()
	dir := tb.TempDir()
	s, err := Open(Options{Dir: dir, Hook: hook}, clock.System(), discard())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s, dir
}

func someone() string { return mail.UserID{}.New(time.Unix(1, 0)).String() }

func mustPut(tb testing.TB, s *Store, owner, text string) Ref {
	tb.Helper()
	ref, err := s.Put(tb.Context(), owner, Bytes([]byte(text)))
	if err != nil {
		tb.Fatal(err)
	}
	return ref
}

func content(tb testing.TB, s *Store, ref Ref) string {
	tb.Helper()
	f, err := s.Open(context.Background(), ref.Owner, ref.File)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// files lists what lies in a directory below the data directory.
func files(tb testing.TB, dir string, parts ...string) []string {
	tb.Helper()
	entries, err := os.ReadDir(filepath.Join(append([]string{dir}, parts...)...))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestAMessageIsServedByteForByteAsStored_D8(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	owner := someone()
	for _, size := range []int{0, 1, writeBuffer - 1, writeBuffer, writeBuffer + 1, 3*writeBuffer + 7} {
		want := bytes.Repeat([]byte("0123456789abcdef\r\n"), size/18+1)[:size]
		trace := []byte("Return-Path: <>\r\n")
		ref, err := s.Put(t.Context(), owner, Bytes(trace), Source{R: bytes.NewReader(want), Size: int64(size)})
		if err != nil {
			t.Fatal(err)
		}
		whole := string(trace) + string(want)
		if got := content(t, s, ref); got != whole {
			t.Fatalf("a body of %d octets came back with %d, or others", len(whole), len(got))
		}
		if ref.SHA256 != sha256.Sum256([]byte(whole)) || ref.Size != int64(len(whole)) {
			t.Fatal("the hash or size in the row would not be that of the stored bytes")
		}
	}
	home := filepath.Join(dir, "maildir", owner)
	if len(files(t, home, "tmp"))+len(files(t, home, "new")) != 0 {
		t.Fatal("tmp and new must be empty")
	}
	for _, name := range []string{dir + "/maildir", home, home + "/cur", home + "/tmp"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o700 {
			t.Fatalf("%s: mode %v, want 0700: others on the machine could read mail", name, info.Mode())
		}
	}
	for _, name := range files(t, home, "cur") {
		if info, _ := os.Stat(filepath.Join(home, "cur", name)); info.Mode().Perm() != 0o600 {
			t.Fatalf("mode of a message is %v, want 0600", info.Mode())
		}
	}
}

func TestABodyThatIsShorterThanAnnouncedIsNotStored_X3(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	owner := someone()
	if _, err := s.Put(t.Context(), owner, Source{R: strings.NewReader("short"), Size: 50}); err == nil {
		t.Fatal("a truncated body was stored as whole")
	}
	if left := append(files(t, dir, "maildir", owner, "cur"), files(t, dir, "maildir", owner, "tmp")...); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestNamesFromOutsideNeverBecomePaths_S34(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	owner := someone()
	ref := mustPut(t, s, owner, "x")
	for _, name := range []string{"../../../secret", "..", ".", "", "a/b", ref.File + "/..", ref.File + "\x00", "../cur/" + ref.File, strings.ToUpper(ref.File)} {
		if _, err := s.Open(t.Context(), owner, name); !IsMissing(err) {
			t.Errorf("open %q: %v, want missing", name, err)
		}
		if err := s.Remove(t.Context(), owner, name); err == nil {
			t.Errorf("remove %q was tried", name)
		}
	}
	for _, bad := range []string{"", "..", "../lost", "usr_x", "usr_" + strings.Repeat("/", 26), "tmp", "dom_01h455vb4pex5vsknk084sn02q"} {
		if _, err := s.Put(t.Context(), bad, Bytes([]byte("x"))); err == nil {
			t.Errorf("owner %q got a directory", bad)
		}
		if _, err := s.Open(t.Context(), bad, ref.File); err == nil {
			t.Errorf("owner %q was opened", bad)
		}
	}
	if got := content(t, s, ref); got != "x" {
		t.Fatal("the message itself suffered")
	}
	// A link planted in the directory leads nowhere.
	link := s.newName(6)
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "maildir", owner, "cur", link)); err != nil {
		t.Fatal(err)
	}
	if f, err := s.Open(t.Context(), owner, link); err == nil {
		f.Close()
		t.Fatal("a symbolic link was followed out of the directory")
	}
}

func TestRemovingTwiceIsSuccessAndReadingAfterItIsGone_D25_D27(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	ref := mustPut(t, s, someone(), "x")
	open, err := s.Open(t.Context(), ref.Owner, ref.File)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for range 2 {
		if err := s.Remove(t.Context(), ref.Owner, ref.File); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := io.ReadAll(open); err != nil || string(b) != "x" {
		t.Fatal("a reader lost the message under its hands")
	}
	_, err = s.Open(t.Context(), ref.Owner, ref.File)
	if !fault.Is(err, fault.Gone) || fault.CodeOf(err) != "content_missing" {
		t.Fatalf("got %v, want gone with content_missing", err)
	}
}

func TestStepsHappenInTheOrderThatSurvivesAPowerCut_D9_D10(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		steps []string
	)
	s, _ := newStore(t, func(st Step) error {
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, string(st.Op)+" "+filepath.Base(filepath.Dir(st.Name)))
		return nil
	})
	owner := someone()
	mustPut(t, s, owner, "first") // makes the directories
	mu.Lock()
	steps = nil
	mu.Unlock()
	mustPut(t, s, owner, "second")
	if err := s.Sync(t.Context(), owner, owner, owner); err != nil {
		t.Fatal(err)
	}
	want := "create tmp, write tmp, sync tmp, rename tmp, sync_dir " + owner
	if got := strings.Join(steps, ", "); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestNewDirectoriesAreSyncedIntoTheirParents(t *testing.T) {
	t.Parallel()
	var synced []string
	s, _ := newStore(t, func(st Step) error {
		if st.Op == OpSyncDir {
			synced = append(synced, st.Name)
		}
		return nil
	})
	owner := someone()
	mustPut(t, s, owner, "x")
	if got, want := strings.Join(synced, " "), ". maildir/"+owner+" maildir"; got != want {
		t.Fatalf("synced %q, want %q: a power cut would take the whole account's directory", got, want)
	}
}

func TestOurDiskFaultsAreNeverTheSendersFault_I43(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		op   Op
		err  error
		kind fault.Kind
		code string
	}{
		{"no space", OpWrite, syscall.ENOSPC, fault.Storage, CodeFull},
		{"disk quota", OpWrite, syscall.EDQUOT, fault.Storage, CodeFull},
		{"no inode", OpCreate, syscall.ENOSPC, fault.Storage, CodeFull},
		{"no space for the directory", OpMakeDir, syscall.ENOSPC, fault.Storage, CodeFull},
		{"device error", OpWrite, syscall.EIO, fault.Unavailable, CodeDown},
		{"failed sync", OpSync, syscall.EIO, fault.Unavailable, CodeDown},
		{"no space at sync", OpSync, syscall.ENOSPC, fault.Storage, CodeFull},
		{"read only", OpCreate, syscall.EROFS, fault.Unavailable, CodeDown},
		{"rename", OpRename, syscall.EIO, fault.Unavailable, CodeDown},
		{"too many files", OpCreate, syscall.EMFILE, fault.Unavailable, CodeDown},
		{"directory gone for good", OpCreate, syscall.ENOENT, fault.Unavailable, CodeDown},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			armed := false
			s, dir := newStore(t, func(st Step) error {
				if armed && st.Op == c.op {
					return &fs.PathError{Op: string(st.Op), Path: st.Name, Err: c.err}
				}
				return nil
			})
			armed = true
			owner := someone()
			_, err := s.Put(t.Context(), owner, Bytes([]byte("x")))
			if !fault.Is(err, c.kind) || fault.CodeOf(err) != c.code {
				t.Fatalf("got %v (%v %s), want %v %s", err, fault.KindOf(err), fault.CodeOf(err), c.kind, c.code)
			}
			if left := append(files(t, dir, "maildir", owner, "cur"), files(t, dir, "maildir", owner, "tmp")...); len(left) > 0 {
				t.Fatalf("half-written files are left: %v", left)
			}
		})
	}
}

func TestAFailedSyncIsNotTriedAgainOnTheSameFile_D9(t *testing.T) {
	t.Parallel()
	tries := map[string]int{}
	s, _ := newStore(t, func(st Step) error {
		if st.Op == OpSync {
			tries[st.Name]++
			return syscall.EIO
		}
		return nil
	})
	if _, err := s.Put(t.Context(), someone(), Bytes([]byte("x"))); err == nil {
		t.Fatal("a body whose sync failed was called durable")
	}
	for name, n := range tries {
		if n != 1 {
			t.Fatalf("%s was synced %d times", name, n)
		}
	}
}

func TestARemovedDirectoryIsMadeAgainForTheNextMessage(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	owner := someone()
	mustPut(t, s, owner, "x")
	if err := os.RemoveAll(filepath.Join(dir, "maildir", owner)); err != nil {
		t.Fatal(err)
	}
	if got := content(t, s, mustPut(t, s, owner, "y")); got != "y" {
		t.Fatal("the account lost its mail store for good")
	}
}

func TestLittleFreeSpaceRefusesBeforeTheBody_L12(t *testing.T) {
	t.Parallel()
	mark := int64(0)
	s, err := Open(Options{Dir: t.TempDir(), LowWater: func(int64) int64 { return mark }}, clock.System(), discard())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	mark = 1 << 62
	if err := s.Ready(t.Context()); !fault.Is(err, fault.Storage) || fault.CodeOf(err) != CodeLow {
		t.Fatalf("got %v, want storage-low", err)
	}
	if free, err := s.Free(t.Context()); err != nil || free <= 0 {
		t.Fatalf("free %d, %v", free, err)
	}
}

func TestConcurrentWritersNeverShareAFile(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	owner := someone()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 8 {
				if _, err := s.Put(context.Background(), owner, Bytes([]byte("x"))); err != nil {
					t.Error(err)
				}
				if err := s.Sync(context.Background(), owner); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(files(t, dir, "maildir", owner, "cur")); n != 128 {
		t.Fatalf("%d files for 128 messages", n)
	}
}
