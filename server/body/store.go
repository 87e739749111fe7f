package body

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
)

// Options say where and how a store keeps its files.
type Options struct {
	// Dir is the data directory. It is made if absent and belongs to this program alone.
	Dir string
	// Node names this process in file names, so that two that share the directory never make the same one: 1 to 32 of
	// a-z, 0-9 and "-". Empty is "n1".
	Node string
	// LowWater gives, for a file system of so many bytes, the free space below which Ready refuses (L-12). Nil refuses
	// below max(1 GiB, 5 %).
	LowWater func(total int64) int64
	// Hook is called before each step of the file system; an error makes the step fail without being taken. It is for fault
	// tests, and nil in service.
	Hook func(Step) error
}

// Store is a directory of message files. All methods may be called from many goroutines, and several processes may share the
// directory.
type Store struct {
	disk     *disk
	node     string
	lowWater func(int64) int64
	clk      clock.Clock
	log      *slog.Logger

	buffers sync.Pool // *[]byte of writeBuffer
	pieces  sync.Pool // *[spoolPiece]byte
	dirs    sync.Map  // owner → *dirSync; an owner that is here has its directories
	handles *handles  // the directories that bodies are read from
}

const writeBuffer = 64 << 10

// Open opens the store and makes its directories. Close it at the end.
func Open(o Options, clk clock.Clock, log *slog.Logger) (*Store, error) {
	if o.Node == "" {
		o.Node = "n1"
	}
	if !nodePattern.MatchString(o.Node) {
		return nil, fmt.Errorf("node name %q: want 1 to 32 of a-z, 0-9 and -", o.Node)
	}
	if o.LowWater == nil {
		o.LowWater = func(total int64) int64 { return max(1<<30, total/20) }
	}
	d, err := openDisk(o.Dir, o.Hook)
	if err != nil {
		return nil, fmt.Errorf("open the message store: %w", err)
	}
	s := &Store{disk: d, node: o.Node, lowWater: o.LowWater, clk: clk, log: log, handles: newHandles(maxHandles)}
	s.buffers.New = func() any { b := make([]byte, 0, writeBuffer); return &b }
	s.pieces.New = func() any { return new([spoolPiece]byte) }
	if err := s.prepare(); err != nil {
		d.root.Close()
		return nil, fmt.Errorf("open the message store: %w", err)
	}
	return s, nil
}

func (s *Store) prepare() error {
	for _, name := range []string{maildir, lost, temp} {
		if _, err := s.disk.makeDir(name); err != nil {
			return err
		}
	}
	return s.disk.syncDir(".")
}

// Close gives the data directory back. Open files stay readable.
func (s *Store) Close() error {
	s.handles.close()
	return s.disk.root.Close()
}

// Free gives the bytes that may still be written.
func (s *Store) Free(context.Context) (int64, error) {
	free, _, err := s.disk.space()
	return free, diskFault(err)
}

// Ready refuses with fault.Storage when the free space is below the low-water mark (L-12), before a body is taken at all.
func (s *Store) Ready(context.Context) error {
	free, total, err := s.disk.space()
	if err != nil {
		return diskFault(err)
	}
	if mark := s.lowWater(total); free < mark {
		return fault.New(fault.Storage, CodeLow, "the server is short of disk space; try again later")
	}
	return nil
}

// owner makes the directories of an owner, durably, once per process; see forget.
func (s *Store) owner(owner string) (*dirSync, error) {
	if err := checkOwner(owner); err != nil {
		return nil, err
	}
	if d, ok := s.dirs.Load(owner); ok {
		return d.(*dirSync), nil //nolint:forcetypeassert // the map holds nothing else
	}
	home := maildir + "/" + owner
	fresh := false
	for _, name := range []string{home, home + "/tmp", home + "/new", home + "/cur"} {
		made, err := s.disk.makeDir(name)
		if err != nil {
			return nil, err
		}
		fresh = fresh || made
	}
	if fresh {
		if err := s.disk.syncDir(home); err != nil {
			return nil, err
		}
		if err := s.disk.syncDir(maildir); err != nil {
			return nil, err
		}
	}
	d, _ := s.dirs.LoadOrStore(owner, &dirSync{})
	return d.(*dirSync), nil //nolint:forcetypeassert // the map holds nothing else
}

// age is how long ago the entry was last written.
func (s *Store) age(e fs.DirEntry) (time.Duration, error) {
	info, err := e.Info()
	if err != nil {
		return 0, err
	}
	return s.clk.Now().Sub(info.ModTime()), nil
}
