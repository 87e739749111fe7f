package body

import (
	"context"
	"io"
	"os"
)

// File is an open body. It stays readable when the body is removed meanwhile. Close it.
type File struct {
	f    *os.File
	size int64
}

var (
	_ io.ReadSeekCloser = (*File)(nil)
	_ io.ReaderAt       = (*File)(nil)
)

// Open opens a stored body for reading. One that is not there is fault.Gone with CodeMissing (D-27), see IsMissing.
func (s *Store) Open(ctx context.Context, owner, file string) (*File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, err := filePath(owner, file)
	if err != nil {
		return nil, err
	}
	f, err := s.openFile(owner, file, name)
	if err != nil {
		return nil, diskFault(err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, diskFault(err)
	}
	return &File{f: f, size: info.Size()}, nil
}

// Remove removes a stored body. One that is not there counts as removed. Nothing may refer to it any more (D-13, D-25).
func (s *Store) Remove(ctx context.Context, owner, file string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name, err := filePath(owner, file)
	if err != nil {
		return err
	}
	return diskFault(s.disk.remove(name))
}

// Size is the length in bytes.
func (f *File) Size() int64 { return f.size }

// Read implements io.Reader.
func (f *File) Read(p []byte) (int, error) { return f.f.Read(p) }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

// Seek implements io.Seeker.
func (f *File) Seek(offset int64, whence int) (int64, error) { return f.f.Seek(offset, whence) }

// WriteTo implements io.WriterTo, so that a copy to a socket may stay in the kernel.
func (f *File) WriteTo(w io.Writer) (int64, error) { return f.f.WriteTo(w) }

// Close implements io.Closer.
func (f *File) Close() error { return f.f.Close() }
