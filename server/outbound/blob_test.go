package outbound_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mailserver-dev/mailserver/server/body"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
	"github.com/mailserver-dev/mailserver/server/pg"
)

func keyPrincipal(n byte) mail.Principal {
	return mail.Principal{Key: mail.KeyID{n}, Scopes: []string{"emails:send"}}
}

// blob uploads a file.
func (w *world) blob(ctx context.Context, p mail.Principal, text, contentType string) (outbound.Blob, error) {
	w.t.Helper()
	content := w.out.NewUpload()
	defer content.Close()
	if _, err := io.WriteString(content, text); err != nil {
		w.t.Fatal(err)
	}
	return w.out.CreateBlob(ctx, p, contentType, content)
}

func (w *world) mustBlob(text, contentType string) outbound.Blob {
	w.t.Helper()
	b, err := w.blob(w.t.Context(), keyPrincipal(1), text, contentType)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// attach names blobs in a draft.
func (w *world) attach(blobs ...outbound.Blob) outbound.Draft {
	w.t.Helper()
	d := w.draft("x@far.test")
	for _, b := range blobs {
		d.Attachments = append(d.Attachments, outbound.Attachment{Filename: "a.bin", Blob: b.ID})
	}
	return d
}

func TestAnUploadedFileGoesOutByteForByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	content := strings.Repeat("0123456789abcdef", 40_000)
	b := w.mustBlob(content, "application/pdf")
	if b.Size != int64(len(content)) || b.SHA256 != sha256.Sum256([]byte(content)) || !b.ExpiresAt.Equal(b.CreatedAt.Add(outbound.BlobLife)) {
		t.Errorf("got %+v", b)
	}
	got, err := w.out.GetBlob(t.Context(), keyPrincipal(1), b.ID)
	if err != nil || got != b {
		t.Errorf("got %+v, %v, want %+v", got, err, b)
	}
	small := w.mustBlob("small", "")
	d := w.attach(b, small)
	d.Attachments[1].ContentType = "text/csv"
	for range 2 { // as often as one likes
		e, err := w.out.Accept(t.Context(), keyPrincipal(1), d)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(w.stored(body.Outbound, w.get(e.ID).File), "\r\n", "")
		if !strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(content))) || !strings.Contains(text, "Content-Type: application/pdf") ||
			!strings.Contains(text, base64.StdEncoding.EncodeToString([]byte("small"))) || !strings.Contains(text, "Content-Type: text/csv") {
			t.Fatal("the message does not carry the files under their types")
		}
	}
	if d.Attachments[0].ContentType != "" {
		t.Error("the caller's draft was changed")
	}
}

func TestOnlyWhoUploadedABlobHasIt_S43(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	b := w.mustBlob("mine", "")
	ann := w.user("ann@d.test")
	for name, p := range map[string]mail.Principal{"another key": keyPrincipal(2), "a user": principal(ann), "the system": system()} {
		if _, err := w.out.GetBlob(t.Context(), p, b.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s reads: %v", name, err)
		}
		if _, _, err := w.out.OpenBlob(t.Context(), p, b.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s opens: %v", name, err)
		}
		if err := w.out.DeleteBlob(t.Context(), p, b.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s deletes: %v", name, err)
		}
		d := w.attach(b)
		d.From.Address = address(t, "ann@d.test")
		if _, err := w.out.Accept(t.Context(), p, d); places(err) != "invalid blob-not-found, body.attachments[0].blob_id blob-not-found" {
			t.Errorf("%s sends: %s", name, places(err))
		}
	}
	for name, p := range map[string]mail.Principal{"a key without the scope": {Key: mail.KeyID{1}, Scopes: []string{"emails:read"}}, "nobody": {}} {
		_, read := w.out.GetBlob(t.Context(), p, b.ID)
		_, made := w.blob(t.Context(), p, "x", "")
		if read == nil || made == nil || w.out.DeleteBlob(t.Context(), p, b.ID) == nil {
			t.Errorf("%s: %v, %v", name, read, made)
		}
	}
	if _, err := w.out.Accept(t.Context(), keyPrincipal(1), w.attach(b)); err != nil {
		t.Errorf("its owner: %v", err)
	}
}

func TestABlobEndsAfterADayAndTheEmailKeepsItsCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	old := w.mustBlob("old", "")
	e, err := w.out.Accept(t.Context(), keyPrincipal(1), w.attach(old))
	if err != nil {
		t.Fatal(err)
	}
	w.clk.Advance(outbound.BlobLife - time.Minute)
	young := w.mustBlob("young", "")
	if n, err := w.out.SweepBlobs(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d went before their time, %v", n, err)
	}
	w.clk.Advance(time.Minute)
	if _, err := w.out.GetBlob(t.Context(), keyPrincipal(1), old.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("an expired blob: %v", err)
	}
	if _, err := w.out.Accept(t.Context(), keyPrincipal(1), w.attach(young, old)); places(err) != "invalid blob-not-found, body.attachments[1].blob_id blob-not-found" {
		t.Errorf("sending it: %s", places(err))
	}
	if n, err := w.out.SweepBlobs(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d went, %v", n, err)
	}
	if got := w.files(body.Blobs); len(got) != 1 || got[0] != "cur/"+young.File {
		t.Errorf("files %v", got)
	}
	if !strings.Contains(w.stored(body.Outbound, w.get(e.ID).File), base64.StdEncoding.EncodeToString([]byte("old"))) {
		t.Error("the email lost its copy")
	}
	if err := w.out.DeleteBlob(t.Context(), keyPrincipal(1), young.ID); err != nil || len(w.files(body.Blobs)) != 0 {
		t.Errorf("deleted: %v, files %v", err, w.files(body.Blobs))
	}
	if err := w.out.DeleteBlob(t.Context(), keyPrincipal(1), young.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestBadUploadsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	for name, c := range map[string]struct{ text, contentType, field string }{
		"an empty file":       {"", "text/plain", "body"},
		"no media type":       {"x", "text", "header.Content-Type"},
		"a line break":        {"x", "text/plain\r\nX: y", "header.Content-Type"},
		"a type without end":  {"x", "text/" + strings.Repeat("x", 300), "header.Content-Type"},
		"broken parameters":   {"x", "text/plain; charset", "header.Content-Type"},
		"a type beyond ASCII": {"x", "text/plän", "header.Content-Type"},
	} {
		_, err := w.blob(t.Context(), keyPrincipal(1), c.text, c.contentType)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.exec(`INSERT INTO blob (id, actor, file, size, sha256, content_type, created_at, expires_at)
		SELECT gen_random_uuid(), $1, 'f', 1, '', '', now(), now() FROM generate_series(1, 1000)`, keyPrincipal(1).Actor())
	if _, err := w.blob(t.Context(), keyPrincipal(1), "x", ""); fault.CodeOf(err) != "blob-limit" {
		t.Errorf("one too many: %v", err)
	}
	if _, err := w.blob(t.Context(), keyPrincipal(2), "x", ""); err != nil {
		t.Errorf("another caller: %v", err)
	}
}

// The row that makes room scarce is there already; of many uploads at once as many are kept as have room.
func TestACallersBlobsAreBoundedAlsoWhenManyComeAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows, size int
		kept       int
	}{
		"by their octets": {1, 512<<20 - 15, 3},
		"by their number": {998, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, settings{})
			w.exec(`INSERT INTO blob (id, actor, file, size, sha256, content_type, created_at, expires_at)
				SELECT gen_random_uuid(), $1, 'f', $2, '', '', now(), now() FROM generate_series(1, $3)`, keyPrincipal(1).Actor(), c.size, c.rows)
			var kept atomic.Int64
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					switch _, err := w.blob(t.Context(), keyPrincipal(1), "12345", ""); {
					case err == nil:
						kept.Add(1)
					case fault.CodeOf(err) != "blob-limit":
						t.Error(err)
					}
				})
			}
			all.Wait()
			if int(kept.Load()) != c.kept || len(w.files(body.Blobs)) != c.kept {
				t.Errorf("%d were kept, and %d files; want %d", kept.Load(), len(w.files(body.Blobs)), c.kept)
			}
			if _, err := w.blob(t.Context(), keyPrincipal(2), "12345", ""); err != nil {
				t.Errorf("another caller: %v", err)
			}
		})
	}
}

func TestAFailedUploadLeavesNothing_I43(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	for _, op := range []body.Op{body.OpMakeDir, body.OpCreate, body.OpWrite, body.OpSync, body.OpRename, body.OpSyncDir} {
		w.failing(op, body.Blobs, syscall.ENOSPC)
		if _, err := w.blob(t.Context(), keyPrincipal(1), "x", ""); !fault.Is(err, fault.Storage) {
			t.Errorf("%s: %v", op, err)
		}
		w.healed()
	}
	boom := errors.New("boom")
	if _, err := w.blob(pg.BeforeCommit(t.Context(), func(context.Context, pgx.Tx) error { return boom }), keyPrincipal(1), "x", ""); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if n := query[int](w, `SELECT count(*) FROM blob`); n != 0 || len(w.files(body.Blobs)) != 0 {
		t.Errorf("%d rows, files %v", n, w.files(body.Blobs))
	}
}

// What happens to the file of a blob between the look at its row and the composing.
func TestABlobWhoseBytesAreNotThereSendsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	gone, short := w.mustBlob("gone", ""), w.mustBlob("short", "")
	at := func(b outbound.Blob) string { return filepath.Join(w.dir, "maildir", body.Blobs, "cur", b.File) }
	if err := errors.Join(os.Remove(at(gone)), os.WriteFile(at(short), []byte("s"), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := w.out.Accept(t.Context(), keyPrincipal(1), w.attach(gone))
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != "blob-not-found" || f.Field != "body.attachments[0].blob_id" {
		t.Errorf("a missing file: %v", err)
	}
	if _, err = w.out.Accept(t.Context(), keyPrincipal(1), w.attach(short)); !errors.Is(err, io.ErrUnexpectedEOF) || fault.KindOf(err) != fault.Internal {
		t.Errorf("a file that is too short: %v", err)
	}
	items := []outbound.BatchItem{{Draft: w.draft("x@far.test")}, {Draft: w.attach(gone)}}
	if _, err := w.out.AcceptBatch(t.Context(), keyPrincipal(1), items, outbound.AllOrNothing); places(err) != "invalid blob-not-found, body[1].attachments[0].blob_id blob-not-found" {
		t.Errorf("in a batch: %s", places(err))
	}
	w.nothingIsLeft("a blob without bytes")
}

// D-28 for uploads: damage is found, orphans are moved, nothing is deleted.
func TestVerifyKnowsUploads_D28(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	sound, gone, changed := w.mustBlob("sound", ""), w.mustBlob("gone", ""), w.mustBlob("changed", "")
	at := func(name string) string { return filepath.Join(w.dir, "maildir", body.Blobs, "cur", name) }
	orphan, err := w.bodies.Put(t.Context(), body.Blobs, body.Bytes([]byte("orphan")))
	if err != nil {
		t.Fatal(err)
	}
	old := w.clk.Now().Add(-2 * time.Hour)
	if err := errors.Join(os.Remove(at(gone.File)), os.WriteFile(at(changed.File), []byte("CHANGED"), 0o600), os.Chtimes(at(orphan.File), old, old)); err != nil {
		t.Fatal(err)
	}
	report, err := w.out.Verify(t.Context(), outbound.VerifyOptions{Hash: true, Fix: true})
	if err != nil || report.Blobs != 3 || report.Emails != 0 || len(report.Findings) != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	got := map[string]outbound.Finding{}
	for _, f := range report.Findings {
		got[f.Kind] = f
	}
	if got["missing"].Blob != gone.ID || got["hash"].Blob != changed.ID || got["orphan"].File != orphan.File || got["orphan"].Fixed == "" {
		t.Errorf("found %+v", report.Findings)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "lost", body.Blobs, orphan.File)); err != nil {
		t.Error(err)
	}
	if _, err := w.out.GetBlob(t.Context(), keyPrincipal(1), sound.ID); err != nil {
		t.Error(err)
	}
}
