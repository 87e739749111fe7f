package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/outbound"
)

// uploadTimeout is for the largest bodies from a slow client.
const uploadTimeout = 5 * time.Minute

// Bounds of large bodies when the configuration names none.
const (
	mostBlob  = 25 << 20
	mostBatch = 50 << 20
)

// uploads marks an operation whose body is a file of any media type: it goes to the disk as it comes, is never held in memory, and
// counts against no budget.
func uploads(op huma.Operation) huma.Operation {
	op.Metadata[metaUpload] = true
	op.RequestBody = &huma.RequestBody{
		Required: true, Description: "The bytes of the file.",
		Content: map[string]*huma.MediaType{anyBytes: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}
	return patient(op, uploadTimeout)
}

// anyBytes stands in the document for a body of any media type.
const anyBytes = "application/octet-stream"

func isUpload(op *huma.Operation) bool { return op.Metadata[metaUpload] == true }

// bodyBound gives the largest body of a request, and whether it goes to the disk.
func (a *API) bodyBound(r *http.Request) (most int64, upload bool) {
	switch {
	case r.Method != http.MethodPost:
	case r.URL.Path == batchPath:
		return a.maxBatch(), false
	case r.URL.Path == blobsPath:
		return a.maxBlob(), true
	}
	return a.maxBody(), false
}

func (a *API) maxBatch() int64 {
	if n := int64(a.Limits.API.BatchBytes); n > 0 {
		return n
	}
	return mostBatch
}

func (a *API) maxBlob() int64 {
	if n := int64(a.Limits.BlobBytes); n > 0 {
		return n
	}
	return mostBlob
}

type (
	uploadKey struct{}
	wholeKey  struct{}
)

// upload is a body that lies on the disk.
type upload struct {
	contentType string
	content     *outbound.Upload
}

// uploadOf gives the upload of a request, or nil.
func uploadOf(ctx context.Context) *upload {
	u, _ := ctx.Value(uploadKey{}).(*upload)
	return u
}

// wholeOf gives the body of an operation that reads its JSON itself. It is never changed.
func wholeOf(ctx context.Context) []byte {
	text, _ := ctx.Value(wholeKey{}).([]byte)
	return text
}

// receive takes the bodies that the library does not read, once, before anything is done with them: the hash can be part of an
// Idempotency-Key's request, and a large body is held once.
func (a *API) receive(ctx huma.Context, next func(huma.Context)) {
	switch op := ctx.Operation(); {
	case isUpload(op):
		a.receiveUpload(ctx, next)
	case op.Metadata[metaWhole] == true:
		text, err := readWhole(ctx)
		if err != nil {
			a.refuse(ctx, err)
			return
		}
		next(huma.WithContext(ctx, context.WithValue(ctx.Context(), wholeKey{}, text)))
	default:
		next(ctx)
	}
}

func (a *API) receiveUpload(ctx huma.Context, next func(huma.Context)) {
	if err := a.Outbound.Ready(ctx.Context()); err != nil {
		a.refuse(ctx, err)
		return
	}
	u := &upload{contentType: ctx.Header("Content-Type"), content: a.Outbound.NewUpload()}
	defer u.content.Close() // nothing is kept in it
	err := readWithin(ctx, uploadTimeout)
	if err == nil {
		_, err = io.Copy(u.content, ctx.BodyReader())
	}
	if err != nil {
		a.refuse(ctx, unread(err))
		return
	}
	next(huma.WithContext(ctx, context.WithValue(ctx.Context(), uploadKey{}, u)))
}

// readWithin bounds the time that the body may take to arrive.
func readWithin(ctx huma.Context, timeout time.Duration) error {
	//nolint:forbidigo // a deadline of the connection, which knows only the machine's clock
	if err := ctx.SetReadDeadline(time.Now().Add(timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
