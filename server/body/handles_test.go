package body

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mailserver-dev/mailserver/server/fault"
)

func TestARemadeDirectoryIsReadAndNotTheOneThatWasOpen(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	owner := someone()
	old := mustPut(t, s, owner, "old")
	if content(t, s, old) != "old" {
		t.Fatal("not served")
	}
	if err := os.RemoveAll(filepath.Join(dir, "maildir", owner)); err != nil {
		t.Fatal(err)
	}
	// Another process makes the directory again: this one hears nothing of it.
	other, err := Open(Options{Dir: dir, Node: "n2"}, s.clk, discard())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ref := mustPut(t, other, owner, "new")
	if content(t, s, ref) != "new" {
		t.Fatal("mail that was delivered after the directory was made again is called missing")
	}
	if _, err := s.Open(t.Context(), owner, old.File); !IsMissing(err) {
		t.Fatalf("got %v, want missing", err)
	}
}

func TestADirectoryThatBecomesALinkLeadsNowhere_S34(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	owner, outside := someone(), t.TempDir()
	ref := mustPut(t, s, owner, "x")
	if content(t, s, ref) != "x" {
		t.Fatal("not served")
	}
	secret := s.newName(6)
	if err := os.WriteFile(filepath.Join(outside, secret), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	cur := filepath.Join(dir, "maildir", owner, "cur")
	if err := errors.Join(os.RemoveAll(cur), os.Symlink(outside, cur)); err != nil {
		t.Fatal(err)
	}
	if f, err := s.Open(t.Context(), owner, secret); err == nil {
		f.Close()
		t.Fatal("a link was followed out of the data directory")
	}
	// Nor does a link inside of an open directory lead to another's mail.
	other, link := mustPut(t, s, someone(), "hers"), s.newName(4)
	third := mustPut(t, s, someone(), "x")
	content(t, s, third)
	at := filepath.Join(dir, "maildir", third.Owner, "cur", link)
	if err := os.Symlink("../../"+other.Owner+"/cur/"+other.File, at); err != nil {
		t.Fatal(err)
	}
	if f, err := s.Open(t.Context(), third.Owner, link); err == nil {
		f.Close()
		t.Fatal("a link led to another account's mail")
	}
}

func TestFewDirectoriesStayOpenAndNoReaderNoticesThatOneWasClosed(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	s.handles = newHandles(2)
	refs := make([]Ref, 5)
	for i := range refs {
		refs[i] = mustPut(t, s, someone(), "x")
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 300 {
				ref := refs[(i+j)%len(refs)]
				f, err := s.Open(context.Background(), ref.Owner, ref.File)
				if err != nil {
					t.Error(err)
					return
				}
				f.Close()
			}
		})
	}
	wg.Wait()
	if n := s.handles.order.Len(); n != 2 || len(s.handles.have) != n {
		t.Fatalf("%d directories are open and %d are known, want 2", n, len(s.handles.have))
	}
	root := s.handles.get(s.handles.order.Front().Value.(*handle).owner)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Stat("."); !errors.Is(err, fs.ErrClosed) {
		t.Fatalf("a directory stays open after the store was closed: %v", err)
	}
	if _, err := s.Open(t.Context(), refs[0].Owner, refs[0].File); !fault.Is(err, fault.Unavailable) || s.handles.order.Len() > 0 {
		t.Fatalf("a closed store answered %v and holds %d directories", err, s.handles.order.Len())
	}
}
