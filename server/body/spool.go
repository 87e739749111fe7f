package body

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"
)

// spoolMemory is how much of a message is held in memory before a file is used (D-7).
const spoolMemory = 1 << 20

// Spool holds a message that is arriving: in memory up to 1 MiB, above that in a temporary file without a name. Write it from
// one goroutine, then read it from many. The limit of the size is the writer's business. Close it.
type Spool struct {
	disk *disk
	mem  []byte
	file *os.File
	name string
	size int64
	sum  hash.Hash
}

// NewSpool begins an empty spool.
func (s *Store) NewSpool() *Spool { return &Spool{disk: s.disk, sum: sha256.New()} }

// Write appends to the spool. Errors have a kind: fault.Storage when there is no room.
func (s *Spool) Write(p []byte) (int, error) {
	if s.file == nil && len(s.mem)+len(p) > spoolMemory {
		if err := s.toFile(); err != nil {
			return 0, diskFault(unavailable(err))
		}
	}
	if s.file == nil {
		s.mem = append(s.mem, p...)
	} else if err := s.disk.write(s.file, s.name, p); err != nil {
		return 0, diskFault(err)
	}
	s.sum.Write(p)
	s.size += int64(len(p))
	return len(p), nil
}

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
	if err := s.disk.write(f, name, s.mem); err != nil {
		f.Close()
		return err
	}
	s.file, s.name, s.mem = f, name, nil
	return nil
}

// Size is the number of bytes written.
func (s *Spool) Size() int64 { return s.size }

// SHA256 is the hash of the bytes written.
func (s *Spool) SHA256() (sum [32]byte) {
	s.sum.Sum(sum[:0])
	return sum
}

// Source gives the whole spool as a piece for Put.
func (s *Spool) Source() Source { return Source{R: s, Size: s.size} }

// ReadAt implements io.ReaderAt.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	if s.file == nil {
		return bytesAt(s.mem).ReadAt(p, off)
	}
	return s.file.ReadAt(p, off)
}

// Reader reads the spool from its beginning.
func (s *Spool) Reader() io.Reader { return io.NewSectionReader(s, 0, s.size) }

// Close gives memory and file back. The spool must not be used after it.
func (s *Spool) Close() error {
	s.mem = nil
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
