package body

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Op names a step that the store asks of the file system.
type Op string

// The steps, in the order of a file's life.
const (
	OpMakeDir Op = "make_dir"
	OpCreate  Op = "create"
	OpWrite   Op = "write"
	OpSync    Op = "sync"
	OpRename  Op = "rename"
	OpSyncDir Op = "sync_dir"
	OpOpen    Op = "open"
	OpRemove  Op = "remove"
)

// Step is one step that is about to be taken. Names are relative to the data directory.
type Step struct {
	Op   Op
	Name string
	To   string // the new name of a rename
}

// disk is the data directory. Every access goes through an os.Root, so that no name and no link leads out of it, and through
// hook, by which fault tests make a step fail or see what a power cut would leave.
type disk struct {
	root *os.Root
	path string
	hook func(Step) error
}

func openDisk(path string, hook func(Step) error) (*disk, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &disk{root: root, path: path, hook: hook}, nil
}

func (d *disk) before(op Op, name, to string) error {
	if d.hook == nil {
		return nil
	}
	return d.hook(Step{Op: op, Name: name, To: to})
}

// makeDir makes a directory and reports whether it is new.
func (d *disk) makeDir(name string) (made bool, err error) {
	if err := d.before(OpMakeDir, name, ""); err != nil {
		return false, err
	}
	err = d.root.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// create opens a new file for writing; a file or link that is there already is an error.
func (d *disk) create(name string) (*os.File, error) {
	if err := d.before(OpCreate, name, ""); err != nil {
		return nil, err
	}
	return d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
}

func (d *disk) write(f *os.File, name string, b []byte) error {
	if err := d.before(OpWrite, name, ""); err != nil {
		return err
	}
	n, err := f.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

func (d *disk) sync(f *os.File, name string) error {
	if err := d.before(OpSync, name, ""); err != nil {
		return err
	}
	return f.Sync()
}

func (d *disk) rename(name, to string) error {
	if err := d.before(OpRename, name, to); err != nil {
		return err
	}
	return d.root.Rename(name, to)
}

// syncDir makes the entries of a directory durable.
func (d *disk) syncDir(name string) error {
	if err := d.before(OpSyncDir, name, ""); err != nil {
		return err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *disk) open(name string) (*os.File, error) {
	if err := d.before(OpOpen, name, ""); err != nil {
		return nil, err
	}
	return openIn(d.root, name)
}

// openIn opens for reading below root, but not through a link at the end.
func openIn(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
}

// touch sets the time at which a file was last written.
func (d *disk) touch(name string, at time.Time) error { return d.root.Chtimes(name, at, at) }

// remove removes a file; one that is not there counts as removed.
func (d *disk) remove(name string) error {
	if err := d.before(OpRemove, name, ""); err != nil {
		return err
	}
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// each calls visit for every entry of a directory, reading it in pieces. A directory that is not there has no entries.
func (d *disk) each(name string, visit func(fs.DirEntry) error) error {
	f, err := d.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(1000)
		for _, e := range entries {
			if err := visit(e); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// space gives the bytes that we may still write and the size of the file system.
func (d *disk) space() (free, total int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.path, &st); err != nil {
		return 0, 0, err
	}
	block := int64(st.Bsize) //nolint:unconvert // not an int64 on every system
	return int64(st.Bavail) * block, int64(st.Blocks) * block, nil
}
