package body

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// sample gives octets of which no two stretches look alike.
func sample(size int) []byte {
	text := make([]byte, size)
	for i := range text {
		text[i] = byte(i*7 + i>>8*13 + i>>16*31)
	}
	return text
}

// ways are how a message comes into a spool.
func ways() map[string]func(*Spool, []byte) error {
	return map[string]func(*Spool, []byte) error{
		"written": func(sp *Spool, text []byte) error {
			for piece := range slices.Chunk(text, 100_000) {
				if _, err := sp.Write(piece); err != nil {
					return err
				}
			}
			return nil
		},
		"copied line by line": func(sp *Spool, text []byte) error {
			_, err := io.Copy(sp, struct{ io.Reader }{io.MultiReader(lines(text)...)})
			return err
		},
		"copied and written": func(sp *Spool, text []byte) error {
			half := len(text) / 2
			_, err := io.Copy(sp, iotest.HalfReader(io.MultiReader(lines(text[:half])...)))
			if err == nil {
				_, err = sp.Write(text[half:])
			}
			return err
		},
		"written and copied": func(sp *Spool, text []byte) error {
			_, err := sp.Write(text[:len(text)/3])
			if err == nil {
				_, err = io.Copy(sp, io.MultiReader(lines(text[len(text)/3:])...))
			}
			return err
		},
	}
}

func lines(text []byte) []io.Reader {
	var list []io.Reader
	for line := range slices.Chunk(text, 78) {
		list = append(list, io.NewSectionReader(bytesAt(line), 0, int64(len(line))))
	}
	return list
}

func TestSpoolsUseAFileAboveOneMebibyteAndLeaveNothing_D7(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t, nil)
	for _, size := range []int{0, 10, spoolPiece, spoolPiece + 1, 3*spoolPiece - 1, spoolMemory, spoolMemory + 1, 3 * spoolMemory} {
		for way, write := range ways() {
			name := fmt.Sprintf("%d octets, %s", size, way)
			sp, text := s.NewSpool(), sample(size)
			if err := write(sp, text); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if inFile := sp.file != nil; inFile != (size > spoolMemory) || inFile && sp.mem != nil {
				t.Fatalf("%s: in a file %t, %d pieces in memory", name, inFile, len(sp.mem))
			}
			ref, err := s.Put(t.Context(), Outbound, sp.Source())
			if err != nil {
				t.Fatal(err)
			}
			if got := content(t, s, ref); got != string(text) || sp.Size() != int64(size) {
				t.Fatalf("%s: the spool gave other bytes or size", name)
			}
			if left := files(t, dir, "tmp"); len(left) > 0 {
				t.Fatalf("a crash would leave %v", left)
			}
			if err := sp.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestASpoolIsReadFromAnyPlace(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	text := sample(3*spoolPiece + 100)
	sp := s.NewSpool()
	if _, err := sp.Write(text); err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	if err := iotest.TestReader(sp.Reader(), text); err != nil {
		t.Error(err)
	}
	for _, off := range []int{0, 1, spoolPiece - 1, spoolPiece, 2*spoolPiece - 10, 3 * spoolPiece, len(text) - 1, len(text), len(text) + spoolPiece} {
		for _, n := range []int{1, 20, spoolPiece, 2*spoolPiece + 5, len(text)} {
			p := make([]byte, n)
			got, err := sp.ReadAt(p, int64(off))
			want := text[min(off, len(text)):min(off+n, len(text))]
			if string(p[:got]) != string(want) || (err == nil) != (len(want) == n) || err != nil && !errors.Is(err, io.EOF) {
				t.Errorf("%d octets from %d: %d, %v; want %d", n, off, got, err, len(want))
			}
		}
	}
	if _, err := sp.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("something lies before the beginning")
	}
}

// What one sender wrote must never be seen in the message of another, although the memory is used again.
func TestAClosedSpoolShowsNothing(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	first := s.NewSpool()
	if _, err := first.Write([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	r := first.Reader()
	for range 2 { // closing it again gives nothing back twice
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	second, third := s.NewSpool(), s.NewSpool()
	for _, sp := range []*Spool{second, third} {
		defer sp.Close()
		if _, err := sp.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if &second.mem[0][0] == &third.mem[0][0] {
		t.Error("two spools share their memory")
	}
	if got, err := io.ReadAll(r); len(got) > 0 || err != nil {
		t.Errorf("a closed spool gave %q, %v", got, err)
	}
	if got, err := io.ReadAll(second.Reader()); string(got) != "x" || err != nil {
		t.Errorf("the next one gave %q, %v", got, err)
	}
}

// An end that is none must not pass for the end of the message: half a letter would be stored.
func TestAMessageThatBreaksOffIsNotSpooledAsWhole_X3(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, nil)
	for name, cause := range map[string]error{
		"lost": io.ErrUnexpectedEOF, "wrapped end": fmt.Errorf("no end: %w", io.EOF), "other": errors.New("reset"),
	} {
		sp := s.NewSpool()
		n, err := io.Copy(sp, io.MultiReader(io.NewSectionReader(bytesAt("half"), 0, 4), iotest.ErrReader(cause)))
		if n != 4 || err != cause { //nolint:errorlint // the very error
			t.Errorf("%s: %d octets, %v", name, n, err)
		}
		sp.Close()
	}
}

func TestASpoolWithoutRoomSaysSo_I43(t *testing.T) {
	t.Parallel()
	full := false
	s, _ := newStore(t, func(st Step) error {
		if full && st.Op == OpWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	full = true
	sp := s.NewSpool()
	defer sp.Close()
	_, err := sp.Write(make([]byte, spoolMemory+1))
	if !fault.Is(err, fault.Storage) {
		t.Fatalf("got %v, want storage-full", err)
	}
}
