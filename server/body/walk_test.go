package body

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var errPower = errors.New("power cut")

// crash runs put so that the process dies at op.
func crash(t *testing.T, op Op) (s *Store, dir, owner string) {
	t.Helper()
	armed, dead := false, false
	s, dir = newStore(t, func(st Step) error {
		if armed && (dead || st.Op == op) {
			dead = true
			return errPower
		}
		return nil
	})
	owner = someone()
	mustPut(t, s, owner, "complete")
	armed = true
	if _, err := s.Put(t.Context(), owner, Bytes([]byte("interrupted"))); err == nil {
		t.Fatal("a put that crashed reported success")
	}
	armed = false
	return s, dir, owner
}

func TestCrashesWhileWritingLeaveOnlyTempFilesThatAreSweptLater_D20_D21(t *testing.T) {
	t.Parallel()
	for _, op := range []Op{OpWrite, OpSync, OpRename} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			s, dir, owner := crash(t, op)
			if n := len(files(t, dir, "maildir", owner, "cur")); n != 1 {
				t.Fatalf("%d files in cur, want only the complete one", n)
			}
			left := files(t, dir, "maildir", owner, "tmp")
			if len(left) != 1 {
				t.Fatalf("%d files in tmp, want the interrupted one", len(left))
			}
			if n, err := s.SweepTemp(t.Context(), 36*time.Hour); n != 0 || err != nil {
				t.Fatalf("a file that may still be written was swept (%d, %v)", n, err)
			}
			old := time.Now().Add(-37 * time.Hour)
			if err := os.Chtimes(filepath.Join(dir, "maildir", owner, "tmp", left[0]), old, old); err != nil {
				t.Fatal(err)
			}
			if n, err := s.SweepTemp(t.Context(), 36*time.Hour); n != 1 || err != nil {
				t.Fatalf("swept %d, %v, want 1", n, err)
			}
			if n := len(files(t, dir, "maildir", owner, "cur")); n != 1 {
				t.Fatal("the sweep took mail")
			}
		})
	}
}

func TestLostFilesAreKeptThirtyDaysFromTheMove_D22(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	ref := mustPut(t, s, someone(), "orphan")
	old := time.Now().Add(-90 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "maildir", ref.Owner, "cur", ref.File), old, old); err != nil {
		t.Fatal(err)
	}
	if err := s.Lose(t.Context(), ref.Owner, ref.File); err != nil {
		t.Fatal(err)
	}
	if err := s.Lose(t.Context(), ref.Owner, ref.File); !IsMissing(err) {
		t.Fatalf("a second move: %v, want missing", err)
	}
	if n, err := s.SweepLost(t.Context(), 30*24*time.Hour); n != 0 || err != nil {
		t.Fatalf("the file was deleted at once (%d, %v)", n, err)
	}
	kept := filepath.Join(dir, "lost", ref.Owner, ref.File)
	if b, err := os.ReadFile(kept); err != nil || string(b) != "orphan" {
		t.Fatalf("lost holds %q, %v", b, err)
	}
	old = time.Now().Add(-31 * 24 * time.Hour)
	if err := os.Chtimes(kept, old, old); err != nil {
		t.Fatal(err)
	}
	if n, err := s.SweepLost(t.Context(), 30*24*time.Hour); n != 1 || err != nil {
		t.Fatalf("swept %d, %v, want 1", n, err)
	}
}

func TestWalkSeesEveryFileAndSaysWhichAreStrange_D28(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	owner := someone()
	want := map[string]bool{}
	for range 3 {
		want[mustPut(t, s, owner, "four").File] = true
	}
	cur := filepath.Join(dir, "maildir", owner, "cur")
	truncated := mustPut(t, s, owner, "four").File
	want[truncated], want["stranger"] = false, false
	if err := os.Truncate(filepath.Join(cur, truncated), 2); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cur, "stranger"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	if err := s.Walk(t.Context(), owner, func(e Entry) error { got[e.File] = e.Valid; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("saw %d files, want %d", len(got), len(want))
	}
	for name, valid := range want {
		if got[name] != valid {
			t.Errorf("%s: valid %t, want %t", name, got[name], valid)
		}
	}
	stop := errors.New("enough")
	if err := s.Walk(t.Context(), owner, func(Entry) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	owners, err := s.Owners(t.Context())
	if err != nil || len(owners) != 1 || owners[0] != owner {
		t.Fatalf("owners %v, %v", owners, err)
	}
	if err := s.Walk(t.Context(), someone(), func(Entry) error { return stop }); err != nil {
		t.Fatalf("an owner without a directory: %v", err)
	}
}
