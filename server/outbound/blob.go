package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/idem"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/pg"
)

const (
	// BlobLife is how long a blob can be used. An email that was sent with it has its own copy of the bytes.
	BlobLife = 24 * time.Hour
	// maxBlobs is how many blobs one principal may have at a time.
	maxBlobs = 1000
	// defaultType is the media type of bytes of which nothing is known.
	defaultType = "application/octet-stream"
)

// Blob is a file that was uploaded before the emails that carry it. Only the principal who uploaded it sees it.
type Blob struct {
	ID          mail.BlobID
	Actor       string // who uploaded it, as in the audit log
	File        string // name in the body store, under body.Blobs
	Size        int64  // octets
	SHA256      [32]byte
	ContentType string
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// Upload is a file that is being uploaded: in memory while it is small, else on the disk, and gone when it is closed. Write it
// from one goroutine; the caller bounds what is written.
type Upload struct{ spool *body.Spool }

// NewUpload begins an empty upload, for CreateBlob. Close it.
func (s *Service) NewUpload() *Upload { return &Upload{s.bodies.NewSpool()} }

// Write implements io.Writer. Errors have a kind: fault.Storage when there is no room.
func (u *Upload) Write(p []byte) (int, error) { return u.spool.Write(p) }

// Reader reads what was written from the beginning.
func (u *Upload) Reader() io.Reader { return u.spool.Reader() }

// Close implements io.Closer.
func (u *Upload) Close() error { return u.spool.Close() }

// BlobType gives the media type under which a blob is kept: what was said, application/octet-stream for nothing. What is no media
// type is fault.Invalid "validation-failed".
func BlobType(said string) (string, error) {
	if said == "" {
		return defaultType, nil
	}
	if _, ok := majorType(said); !ok {
		return "", fault.New(fault.Invalid, "validation-failed", "must be a media type such as application/pdf, at most %d octets", maxContentType).
			At("header.Content-Type")
	}
	return said, nil
}

// CreateBlob keeps an uploaded file for BlobLife. When it returns without error the bytes are on stable storage. Errors:
// fault.Invalid "validation-failed" for an empty file or a bad type, fault.Limited "blob-limit", fault.Storage.
func (s *Service) CreateBlob(ctx context.Context, p mail.Principal, contentType string, content *Upload) (Blob, error) {
	if err := scope(p, scopeSend); err != nil {
		return Blob{}, err
	}
	contentType, err := BlobType(contentType)
	if err != nil {
		return Blob{}, err
	}
	if content.spool.Size() == 0 {
		return Blob{}, fault.New(fault.Invalid, "validation-failed", "the file is empty; send its bytes as the body").At("body")
	}
	if err := s.blobRoom(ctx, s.pool, p.Actor(), content.spool.Size()); err != nil {
		return Blob{}, pg.Fault(err)
	}
	if err := s.Ready(ctx); err != nil {
		return Blob{}, err
	}
	now := s.clock.Now().Truncate(time.Microsecond)
	b := Blob{ID: mail.BlobID{}.New(now), Actor: p.Actor(), ContentType: contentType, CreatedAt: now, ExpiresAt: now.Add(BlobLife)}
	return b, s.keepBlob(ctx, &b, content.spool.Source())
}

// blobRoom refuses a blob of size octets for which the caller has no room: there are too many of the caller's, or they are too large
// together. Expired ones count until they are swept, for their bytes are on the disk.
func (s *Service) blobRoom(ctx context.Context, q pg.Querier, actor string, size int64) error {
	n, total, err := sumBlobs(ctx, q, actor)
	switch {
	case err != nil:
		return err
	case n >= maxBlobs:
		return fault.New(fault.Limited, "blob-limit", "there are %d blobs of this caller; delete some, or wait until they expire", n)
	case total+size > s.cfg.BlobTotal:
		return fault.New(fault.Limited, "blob-limit",
			"the blobs of this caller would have more than %d octets together; delete some, or wait until they expire", s.cfg.BlobTotal)
	}
	return nil
}

// keepBlob makes the bytes durable, then the row (D-13).
func (s *Service) keepBlob(ctx context.Context, b *Blob, content body.Source) error {
	ref, err := s.bodies.Put(ctx, body.Blobs, content)
	if err != nil {
		return err
	}
	b.File, b.Size, b.SHA256 = ref.File, ref.Size, ref.SHA256
	if err := s.bodies.Sync(ctx, body.Blobs); err != nil {
		s.forget(ctx, body.Blobs, b.File)
		return err
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockBlobs(ctx, tx, b.Actor); err != nil { // of uploads at once each counts the others
			return err
		}
		if err := s.blobRoom(ctx, tx, b.Actor, b.Size); err != nil {
			return err
		}
		idem.SetEffect(ctx, b.ID.String())
		return insertBlob(ctx, tx, *b)
	})
	switch {
	case err == nil:
		return nil
	case pg.CommitUnknown(err):
		return s.confirm(ctx, err, func(ctx context.Context) (bool, error) { return hasBlob(ctx, s.pool, b.ID) })
	}
	s.forget(ctx, body.Blobs, b.File)
	return pg.Fault(err)
}

// GetBlob gives a blob of the principal's own. One that is another's, unknown or expired is fault.NotFound.
func (s *Service) GetBlob(ctx context.Context, p mail.Principal, id mail.BlobID) (Blob, error) {
	if err := scope(p, scopeSend); err != nil {
		return Blob{}, err
	}
	b, err := getBlob(ctx, s.pool, id, p.Actor(), s.clock.Now())
	if errors.Is(err, pgx.ErrNoRows) {
		return Blob{}, noBlob(id)
	}
	return b, pg.Fault(err)
}

// OpenBlob opens the bytes of a blob. The caller closes the file.
func (s *Service) OpenBlob(ctx context.Context, p mail.Principal, id mail.BlobID) (Blob, *body.File, error) {
	b, err := s.GetBlob(ctx, p, id)
	if err != nil {
		return Blob{}, nil, err
	}
	file, err := s.bodies.Open(ctx, body.Blobs, b.File)
	return b, file, err
}

// DeleteBlob removes a blob, row first (D-13). Emails that were sent with it keep their copy.
func (s *Service) DeleteBlob(ctx context.Context, p mail.Principal, id mail.BlobID) error {
	if err := scope(p, scopeSend); err != nil {
		return err
	}
	file, err := deleteBlob(ctx, s.pool, id, p.Actor(), s.clock.Now())
	if errors.Is(err, pgx.ErrNoRows) {
		return noBlob(id)
	}
	if err != nil {
		return pg.Fault(err)
	}
	s.forget(ctx, body.Blobs, file)
	return nil
}

func noBlob(id mail.BlobID) error { return fault.New(fault.NotFound, "not-found", "no blob %s", id) }

// SweepBlobs removes expired blobs, rows first, files when the rows are gone (D-13). It gives how many went. A file that a crash
// leaves behind is found by Verify.
func (s *Service) SweepBlobs(ctx context.Context) (removed int64, err error) {
	for {
		files, err := expireBlobs(ctx, s.pool, s.clock.Now())
		if err != nil {
			return removed, pg.Fault(err)
		}
		for _, name := range files {
			err = errors.Join(err, s.bodies.Remove(ctx, body.Blobs, name))
		}
		removed += int64(len(files))
		if err != nil || len(files) < expireBatch {
			return removed, err
		}
	}
}

// findBlobs gives the attachments that name a blob its bytes, to be read while the message is composed.
func (s *Service) findBlobs(ctx context.Context, p mail.Principal, d *Draft) error {
	var ids []mail.BlobID
	for _, a := range d.Attachments {
		if !a.Blob.IsZero() {
			ids = append(ids, a.Blob)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := listBlobs(ctx, s.pool, ids, p.Actor(), s.clock.Now())
	if err != nil {
		return pg.Fault(err)
	}
	f := &findings{}
	d.Attachments = slices.Clone(d.Attachments) // the list is the caller's
	for i := range d.Attachments {
		a := &d.Attachments[i]
		if a.Blob.IsZero() {
			continue
		}
		at := fmt.Sprintf("body.attachments[%d].blob_id", i)
		b, ok := found[a.Blob]
		if !ok {
			f.add(at, "blob-not-found", blobMissing)
			continue
		}
		if a.ContentType == "" {
			a.ContentType = b.ContentType
		}
		a.reader = &blobReader{left: b.Size, open: func() (*body.File, error) {
			file, err := s.bodies.Open(ctx, body.Blobs, b.File)
			if body.IsMissing(err) { // deleted or expired since
				return nil, fault.Wrap(err, fault.Invalid, "blob-not-found", "%s: %s", at, blobMissing).At(at)
			}
			return file, err
		}}
	}
	return f.err()
}

const blobMissing = "there is no such blob of yours, or it has expired; upload the file with POST /v1/blobs"

// blobReader reads a blob. The file is open from the first read to the end of the file, so that a message of many blobs holds
// one of them open at a time.
type blobReader struct {
	open func() (*body.File, error)
	file *body.File
	left int64
	done bool
}

// Read implements io.Reader.
func (r *blobReader) Read(p []byte) (int, error) {
	if r.done {
		return 0, io.EOF
	}
	if r.file == nil {
		file, err := r.open()
		if err != nil {
			return 0, err
		}
		r.file = file
	}
	n, err := r.file.Read(p)
	r.left -= int64(n)
	if err == nil {
		return n, nil
	}
	r.close()
	if errors.Is(err, io.EOF) && r.left != 0 {
		err = fmt.Errorf("the blob has not the size that its row says: %w", io.ErrUnexpectedEOF)
	}
	return n, err
}

func (r *blobReader) close() {
	if r.file != nil {
		r.file.Close() // it was only read
	}
	r.file, r.done = nil, true
}
