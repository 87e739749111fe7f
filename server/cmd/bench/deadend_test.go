package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func dial(t *testing.T, address string) (net.Conn, error) {
	t.Helper()
	return (&dialer{}).open(t.Context(), address, nil)
}

// read reads for a short while and gives what came.
func read(t *testing.T, conn net.Conn, most time.Duration) (string, error) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(most)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	n, err := conn.Read(b)
	return string(b[:n]), err
}

func TestABlackholeSaysNothingUntilItIsRevived(t *testing.T) {
	t.Parallel()
	s, _ := testSink(t)
	end, err := openDeadEnd(t.Context(), blackhole, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end.close)
	conn, err := dial(t, end.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("EHLO x\r\n")); err != nil {
		t.Fatal(err)
	}
	if text, err := read(t, conn, 50*time.Millisecond); text != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("it said %q, %v", text, err)
	}
	end.hangUp()
	if text, err := read(t, conn, patience); text != "" || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("it did not hang up: %q, %v", text, err)
	}
	if again, err := dial(t, end.address); err == nil {
		defer again.Close()
		if text, err := read(t, again, patience); text != "" || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("it did not hang up at once: %q, %v", text, err)
		}
	}
	greets(t, end)
}

// greets revives a dead end and expects a greeting.
func greets(t *testing.T, end *deadEnd) {
	t.Helper()
	if err := end.revive(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := dial(t, end.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if text, err := read(t, conn, patience); len(text) < 4 || text[:4] != "220 " {
		t.Errorf("it said %q, %v", text, err)
	}
}

func TestADeadEndThatRefusesComesBackToo(t *testing.T) {
	t.Parallel()
	s, _ := testSink(t)
	end, err := openDeadEnd(t.Context(), refuse, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end.close)
	if conn, err := dial(t, end.address); !errors.Is(err, syscall.ECONNREFUSED) {
		if err == nil {
			conn.Close()
		}
		t.Fatalf("somebody listens: %v", err)
	}
	greets(t, end)
}

// Each round must begin with the same data: what a server does to a copy must not be done to the original.
func TestACopyIsIndependentOfItsOriginal(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	for name, mode := range map[string]os.FileMode{"postgres/data/base": 0o600, "maildir/out/new/1": 0o640, "owner.key": 0o400} {
		path := filepath.Join(from, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(name), mode)); err != nil {
			t.Fatal(err)
		}
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.WithoutCancel(t.Context()), "unix", filepath.Join(from, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	err = copyTree(from, to, func(path string) bool { return filepath.Dir(path) == filepath.Join("maildir", "out", "new") })
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(to, "postgres/data/base")
	if err := os.WriteFile(base, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(filepath.Join(from, "postgres/data/base")); err != nil || !bytes.Equal(raw, []byte("postgres/data/base")) {
		t.Errorf("the original became %q, %v", raw, err)
	}
	letter, err1 := os.Stat(filepath.Join(from, "maildir/out/new/1"))
	linked, err2 := os.Stat(filepath.Join(to, "maildir/out/new/1"))
	if err1 != nil || err2 != nil || !os.SameFile(letter, linked) {
		t.Errorf("letters are copied: %v, %v", err1, err2)
	}
	if info, err := os.Stat(filepath.Join(to, "owner.key")); err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Join(to, "postgres")); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(to, "socket")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a socket was copied: %v", err)
	}
}

func TestWhatTheDrainIsGivenIsChecked(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-only", "drain", "-dead", "slow"}, {"-only", "drain", "-drain-messages", "-1"}, {"-only", "drain", "-drain-messages", "500"}, {"-only", "drains"},
	} {
		if _, err := parse(args, nil, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	o, err := parse([]string{"-only", "drain", "-quick", "-drain-messages", "2000", "-dead", "refuse", "-rounds", "2"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if w := o.plan().emptying; w.messages != 2000 || w.destinations != 100 || w.pairs != 2 || !o.drains() {
		t.Errorf("%+v", w)
	}
	if o, err = parse(nil, nil, io.Discard); err != nil || o.drains() {
		t.Errorf("the drain takes long and must be asked for: %v", err)
	}
}
