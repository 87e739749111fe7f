package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The volumes of the part with the full disk. They are in memory, and what fills them as well.
const (
	bodiesBytes    = 128 << 20
	bodiesFiles    = 12_000
	databaseBytes  = 384 << 20
	databaseFiles  = 50_000
	spareBytes     = 2 << 20 // left by us, for the clients to fill
	topUpEvery     = 100 * time.Millisecond
	diskWarmUp     = 3 * time.Second
	keptToRead     = 12 // messages that are read and removed while a volume is full
	fullWithin     = 20 * time.Second
	readEvery      = time.Second
	betweenFilling = 2 * time.Second
)

// smallDisk is a site whose messages lie on one small volume and whose database on another.
type smallDisk struct {
	*site

	bodies, database *volume
}

// newSmallDisk mounts the volumes below dir. The reserve of the server is turned off, so that it meets the end of the disk itself.
func (r *runner) newSmallDisk(dir string) (*smallDisk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the account of PostgreSQL passes through
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	d := &smallDisk{}
	if d.bodies, err = mountVolume(filepath.Join(abs, "data"), bodiesBytes, bodiesFiles); err != nil {
		return nil, err
	}
	r.volumes = append(r.volumes, d.bodies)
	if d.database, err = mountVolume(filepath.Join(abs, "database"), databaseBytes, databaseFiles); err != nil {
		return nil, err
	}
	r.volumes = append(r.volumes, d.database)
	if err := os.Symlink(d.database.path, filepath.Join(d.bodies.path, "postgres")); err != nil {
		return nil, err
	}
	d.site, err = r.newSite("disk", "d", dir, "MAILSERVER_LIMITS_DISK_LOW_WATER_BYTES=1")
	if err != nil {
		return nil, err
	}
	d.load.mild.Store(true)
	return d, nil
}

// run fills the volumes in turn, each time under load (F-9).
func (d *smallDisk) run(ctx context.Context) error {
	if err := d.open(ctx); err != nil {
		return err
	}
	if err := d.serve(ctx, diskWarmUp); err != nil {
		return err
	}
	for i, f := range planFillings(d.seed, d.fillings) {
		res, err := d.fill(ctx, f)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, "  %2d of %d: no %s for %.0f s at %.0f s, read and removed %d times meanwhile, every way of mail again %.2f s after there was room\n",
			i+1, d.fillings, f.what, res.Lasts, res.After, res.Reads, res.Slowest)
		if err := d.serve(ctx, betweenFilling); err != nil {
			return err
		}
	}
	return d.leave()
}

// fill takes what the filling says, keeps it for its time, and gives it back.
func (d *smallDisk) fill(ctx context.Context, f filling) (*troubleResult, error) {
	t := d.gate.pass(ctx)
	if t == nil {
		return nil, context.Cause(ctx)
	}
	kept, err := d.watch.store(t, keptToRead)
	if err != nil {
		return nil, err
	}
	res := &troubleResult{After: since(d.begin)}
	lacking := trouble{span: span{from: time.Now()}, what: f.what}
	b := d.ballast(f.what)
	err = d.keepFull(ctx, t, f, b, kept, res)
	res.Lasts = since(lacking.from)
	if err := errors.Join(err, b.release()); err != nil {
		return nil, d.orDead(err)
	}
	res.comeback, err = d.watch.await(ctx, t, time.Now())
	lacking.to = time.Now()
	d.note(lacking, res)
	return res, d.orDead(err)
}

func (d *smallDisk) ballast(what lack) ballast {
	switch what {
	case lackFiles:
		return &fileBallast{dir: filepath.Join(d.bodies.path, "ballast")}
	case lackDatabaseRoom:
		return &byteBallast{path: filepath.Join(d.database.path, "ballast")}
	case lackRoom, lackDatabase:
	}
	return &byteBallast{path: filepath.Join(d.bodies.path, "ballast"), spare: spareBytes}
}

// keepFull fills the volume, at first not to the last byte, and takes what becomes free. With a database that has room, people
// can read and remove mail all the time.
func (d *smallDisk) keepFull(ctx context.Context, t *target, f filling, b ballast, kept []stored, res *troubleResult) error {
	if err := b.take(false); err != nil {
		return err
	}
	end, read := time.Now().Add(f.hold), time.Now().Add(readEvery)
	for time.Now().Before(end) {
		if f.kill && res.Processes == 0 && time.Until(end) < f.hold/2 {
			var err error
			if res.Processes, err = d.proc.killBelow(ctx); err != nil {
				return err
			}
		}
		if err := d.serve(ctx, topUpEvery); err != nil {
			return err
		}
		if err := b.take(time.Until(end) < f.hold*2/3); err != nil {
			return err
		}
		if f.what == lackDatabaseRoom || time.Now().Before(read) || len(kept) < 2 {
			continue
		}
		read = time.Now().Add(readEvery)
		if err := d.watch.readAndRemove(ctx, t, kept[0], kept[1]); err != nil {
			d.res.violate(violation{classReply, fmt.Sprintf("without %s: %v", f.what, err)})
		} else {
			res.Reads++
		}
		kept = append(kept[2:], kept[0])
	}
	return nil
}
