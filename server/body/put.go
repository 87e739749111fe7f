package body

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Ref names a stored body. Size and SHA256 are those of the stored bytes (D-8).
type Ref struct {
	Owner  string
	File   string
	Size   int64
	SHA256 [32]byte
}

// Source is a piece of a body: Size bytes from the beginning of R.
type Source struct {
	R    io.ReaderAt
	Size int64
}

// Bytes makes a piece of b.
func Bytes(b []byte) Source { return Source{R: bytesAt(b), Size: int64(len(b))} }

// Section makes a piece of r: the octets from one offset up to another.
func Section(r io.ReaderAt, from, to int64) Source {
	return Source{R: io.NewSectionReader(r, from, to-from), Size: to - from}
}

type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Put writes a body of the given pieces: created under tmp, written, synced, renamed into cur (D-7 to D-10). The bytes are
// then durable but the directory entry is not: Sync the owner before any row refers to the file. On an error nothing is left
// but, at worst, a file under tmp. After a failed sync the file is given up and never synced again: the kernel reports lost
// pages once (D-9).
func (s *Store) Put(ctx context.Context, owner string, parts ...Source) (Ref, error) {
	if err := ctx.Err(); err != nil {
		return Ref{}, err
	}
	var size int64
	for _, p := range parts {
		size += p.Size
	}
	ref := Ref{Owner: owner, File: s.newName(size), Size: size}
	err := s.put(&ref, parts)
	if errors.Is(err, fs.ErrNotExist) {
		// The owner's directory was removed after it was seen: make it again, once.
		s.dirs.Delete(owner)
		s.handles.forget(owner)
		err = s.put(&ref, parts)
	}
	if err != nil {
		return Ref{}, diskFault(unavailable(err))
	}
	return ref, nil
}

// unavailable hides that a path was missing: for a body that is being written it does not mean that content is gone.
func unavailable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("directory vanished: %v", err) //nolint:errorlint // the cause must not be found by errors.Is
	}
	return err
}

func (s *Store) put(ref *Ref, parts []Source) error {
	if _, err := s.owner(ref.Owner); err != nil {
		return err
	}
	tmp := dirOf(ref.Owner, "tmp") + "/" + ref.File
	f, err := s.disk.create(tmp)
	if err != nil {
		return err
	}
	if err := s.fill(f, tmp, ref, parts); err != nil {
		_ = s.disk.remove(tmp)
		return err
	}
	if err := s.disk.rename(tmp, dirOf(ref.Owner, "cur")+"/"+ref.File); err != nil {
		_ = s.disk.remove(tmp)
		return err
	}
	return nil
}

// fill writes, hashes, syncs and closes the file.
func (s *Store) fill(f *os.File, name string, ref *Ref, parts []Source) error {
	err := s.copyParts(f, name, ref, parts)
	if err == nil {
		err = s.disk.sync(f, name)
	}
	return errors.Join(err, f.Close())
}

// copyParts gathers the pieces in one buffer, so that a small message costs one write.
func (s *Store) copyParts(f *os.File, name string, ref *Ref, parts []Source) error {
	held := s.buffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer s.buffers.Put(held)
	sum := sha256.New()
	buf := (*held)[:0]
	flush := func() error {
		sum.Write(buf)
		err := s.disk.write(f, name, buf)
		buf = buf[:0]
		return err
	}
	for _, p := range parts {
		for off := int64(0); off < p.Size; {
			room := min(int64(cap(buf)-len(buf)), p.Size-off)
			piece := buf[len(buf) : int64(len(buf))+room]
			if err := readFull(p.R, piece, off); err != nil {
				return err
			}
			buf = buf[:int64(len(buf))+room]
			off += room
			if len(buf) == cap(buf) {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	if len(buf) > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	sum.Sum(ref.SHA256[:0])
	return nil
}

// readFull fills p from off; a source that is shorter than it said is an error, since the name already states the size.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read the body to be stored: %w", err)
}
