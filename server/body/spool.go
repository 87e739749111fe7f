package body

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"sync"
)

const (
	// spoolMemory is how much of a message is held in memory before a file is used (D-7).
	spoolMemory = 1 << 20
	// spoolPiece is in what pieces. They are used again: letters come and go much faster than memory is collected.
	spoolPiece = 32 << 10
)

// Spool holds a message that is arriving: in memory up to 1 MiB, above that in a temporary file without a name. Write it from
// one goroutine, then read it from many. The limit of the size is the writer's business. Close it.
type Spool struct {
	disk   *disk
	pieces *sync.Pool // of *[spoolPiece]byte
	mem    [][]byte   // all of spoolPiece, but for the last one
	file   *os.File
	name   string
	size   int64
}

// NewSpool begins an empty spool.
func (s *Store) NewSpool() *Spool { return &Spool{disk: s.disk, pieces: &s.pieces} }

// Write appends to the spool. Errors have a kind: fault.Storage when there is no room.
func (s *Spool) Write(p []byte) (int, error) {
	if err := s.makeRoom(len(p)); err != nil {
		return 0, err
	}
	if s.file == nil {
		s.keep(p)
	} else if err := s.disk.write(s.file, s.name, p); err != nil {
		return 0, diskFault(err)
	}
	s.size += int64(len(p))
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom, so that io.Copy needs no buffer of its own. An error of r is returned as it is.
func (s *Spool) ReadFrom(r io.Reader) (n int64, err error) {
	for {
		piece := s.piece()
		got, failed := fill(r, piece)
		n += int64(got)
		if err := s.take(piece[:got]); err != nil {
			return n, err
		}
		if failed == io.EOF { //nolint:errorlint // as io.Copy does: an error that only wraps io.EOF is no end of a message
			return n, nil
		}
		if failed != nil {
			return n, failed
		}
	}
}

// fill reads until p is full or r has no more.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var got int
		got, err = r.Read(p[n:])
		n += got
	}
	return n, err
}

// take appends what lies in a piece, which the spool owns from now on.
func (s *Spool) take(piece []byte) error {
	if err := s.makeRoom(len(piece)); err != nil {
		return err
	}
	if s.file == nil && len(piece) > 0 && s.size%spoolPiece == 0 {
		s.mem = append(s.mem, piece)
		s.size += int64(len(piece))
		return nil
	}
	_, err := s.Write(piece)
	s.giveBack(piece)
	return err
}

// makeRoom moves what is held into a file when n octets more are too much for memory.
func (s *Spool) makeRoom(n int) error {
	if s.file != nil || s.size+int64(n) <= spoolMemory {
		return nil
	}
	return diskFault(unavailable(s.toFile()))
}

// keep copies p behind what is held in memory.
func (s *Spool) keep(p []byte) {
	for len(p) > 0 {
		last := len(s.mem) - 1
		if last < 0 || len(s.mem[last]) == spoolPiece {
			s.mem = append(s.mem, s.piece()[:0])
			last++
		}
		held := s.mem[last]
		n := copy(held[len(held):spoolPiece], p)
		s.mem[last], p = held[:len(held)+n], p[n:]
	}
}

func (s *Spool) piece() []byte {
	p, _ := s.pieces.Get().(*[spoolPiece]byte) // nothing else is ever put in
	return p[:]
}

func (s *Spool) giveBack(piece []byte) { s.pieces.Put((*[spoolPiece]byte)(piece[:spoolPiece])) }

// toFile moves what is held into a file that loses its name at once, so that a crash leaves nothing behind.
func (s *Spool) toFile() error {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24: it ends the program instead
	name := temp + "/" + hex.EncodeToString(raw[:])
	f, err := s.disk.create(name)
	if err != nil {
		return err
	}
	if err := s.disk.remove(name); err != nil {
		f.Close()
		return err
	}
	for _, piece := range s.mem {
		if err := s.disk.write(f, name, piece); err != nil {
			f.Close()
			return err
		}
	}
	s.file, s.name = f, name
	s.forget()
	return nil
}

// forget gives the memory back. Nobody reads: the spool is being written or closed.
func (s *Spool) forget() {
	for _, piece := range s.mem {
		s.giveBack(piece)
	}
	s.mem = nil
}

// Size is the number of bytes written.
func (s *Spool) Size() int64 { return s.size }

// Source gives the whole spool as a piece for Put.
func (s *Spool) Source() Source { return Source{R: s, Size: s.size} }

// ReadAt implements io.ReaderAt.
func (s *Spool) ReadAt(p []byte, off int64) (n int, err error) {
	if s.file != nil {
		return s.file.ReadAt(p, off)
	}
	for n < len(p) {
		at := off + int64(n)
		i := at / spoolPiece
		if at < 0 || i >= int64(len(s.mem)) || at%spoolPiece >= int64(len(s.mem[i])) {
			return n, io.EOF
		}
		n += copy(p[n:], s.mem[i][at%spoolPiece:])
	}
	return n, nil
}

// Reader reads the spool from its beginning.
func (s *Spool) Reader() io.Reader { return io.NewSectionReader(s, 0, s.size) }

// Close gives memory and file back. The spool must not be used after it.
func (s *Spool) Close() error {
	s.forget()
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
