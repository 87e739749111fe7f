package body

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// Entry is a file found in a cur directory.
type Entry struct {
	Owner   string
	File    string
	Size    int64 // bytes on disk
	Written time.Time
	// Valid says that the name is one of ours and states the size that the file has.
	Valid bool
}

// Owners lists those who have a directory.
func (s *Store) Owners(ctx context.Context) ([]string, error) {
	var out []string
	err := s.disk.each(maildir, func(e fs.DirEntry) error {
		if e.IsDir() && checkOwner(e.Name()) == nil {
			out = append(out, e.Name())
		}
		return ctx.Err()
	})
	return out, diskFault(err)
}

// Walk calls visit for every file in the cur directory of the owner, in no order. An owner without a directory has no files.
// The first error of visit ends the walk and is returned as it is.
func (s *Store) Walk(ctx context.Context, owner string, visit func(Entry) error) error {
	if err := checkOwner(owner); err != nil {
		return err
	}
	var stop error
	err := s.disk.each(dirOf(owner, "cur"), func(e fs.DirEntry) error {
		if stop = ctx.Err(); stop != nil {
			return stop
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while we read
		}
		if err != nil {
			return err
		}
		name := e.Name()
		stop = visit(Entry{
			Owner: owner, File: name, Size: info.Size(), Written: info.ModTime(),
			Valid: info.Mode().IsRegular() && ValidName(name) && sizeOf(name) == info.Size(),
		})
		return stop
	})
	if stop != nil {
		return stop
	}
	return diskFault(err)
}

// Lose moves a file of cur to lost, durably: it is in one of the two whatever happens (D-22). A file that is not there is
// fault.Gone.
func (s *Store) Lose(ctx context.Context, owner, file string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	from, err := filePath(owner, file)
	if err != nil {
		return err
	}
	dir := lost + "/" + owner
	if _, err := s.disk.makeDir(dir); err != nil {
		return diskFault(err)
	}
	steps := []func() error{
		func() error { return s.disk.syncDir(lost) },
		func() error { return s.disk.touch(from, s.clk.Now()) }, // SweepLost counts from now
		func() error { return s.disk.rename(from, dir+"/"+file) },
		func() error { return s.disk.syncDir(dir) },
		func() error { return s.disk.syncDir(dirOf(owner, "cur")) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return diskFault(err)
		}
	}
	return nil
}

// SweepTemp removes what interrupted writers left under tmp longer than age ago (D-20, D-21: 36 h). It returns how many.
func (s *Store) SweepTemp(ctx context.Context, age time.Duration) (int, error) {
	removed, err := s.sweep(ctx, temp, age)
	if err != nil {
		return removed, err
	}
	owners, err := s.Owners(ctx)
	for _, owner := range owners {
		n, sweepErr := s.sweep(ctx, dirOf(owner, "tmp"), age)
		removed += n
		err = errors.Join(err, sweepErr)
	}
	return removed, err
}

// SweepLost removes what was moved to lost longer than age ago (D-22: 30 days). It returns how many.
func (s *Store) SweepLost(ctx context.Context, age time.Duration) (int, error) {
	var owners []string
	err := s.disk.each(lost, func(e fs.DirEntry) error {
		owners = append(owners, e.Name())
		return ctx.Err()
	})
	if err != nil {
		return 0, diskFault(err)
	}
	removed := 0
	for _, owner := range owners {
		n, sweepErr := s.sweep(ctx, lost+"/"+owner, age)
		removed += n
		err = errors.Join(err, sweepErr)
	}
	return removed, err
}

func (s *Store) sweep(ctx context.Context, dir string, age time.Duration) (int, error) {
	removed := 0
	err := s.disk.each(dir, func(e fs.DirEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		old, err := s.age(e)
		if errors.Is(err, fs.ErrNotExist) || err == nil && (old < age || e.IsDir()) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.disk.remove(dir + "/" + e.Name()); err != nil {
			return err
		}
		removed++
		return nil
	})
	return removed, diskFault(err)
}
