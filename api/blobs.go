package api

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// blobsPath is where files are uploaded.
const blobsPath = "/v1/blobs"

// Blob is a file that was uploaded to be attached to emails.
type Blob struct {
	ID          string    `json:"id" example:"blb_01h455vb4pex5vsknk084sn02q" doc:"The blob's id, for blob_id of an attachment."`
	SizeBytes   int64     `json:"size_bytes" example:"1234" doc:"The size of the file."`
	SHA256      string    `json:"sha256" example:"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" doc:"The SHA-256 of the file, in hexadecimal."`
	ContentType string    `json:"content_type" example:"application/pdf" doc:"The media type that came with the upload."`
	CreatedAt   time.Time `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When it was uploaded."`
	ExpiresAt   time.Time `json:"expires_at" example:"2026-11-26T15:00:00Z" doc:"Until when it can be used. Emails that were sent with it keep their copy."`
}

func blobOf(b outbound.Blob) Blob {
	return Blob{
		ID: b.ID.String(), SizeBytes: b.Size, SHA256: hex.EncodeToString(b.SHA256[:]), ContentType: b.ContentType, CreatedAt: b.CreatedAt.UTC(),
		ExpiresAt: b.ExpiresAt.UTC(),
	}
}

func (a *API) registerBlobs() {
	const tag, scope = "blobs", "emails:send"
	create := uploads(answers(with(scoped(http.MethodPost, blobsPath, "createBlob", tag, scope, "Upload a file",
		"Keeps a file for 24 hours, to be attached with blob_id to any number of emails. The body is the file itself, of any media type: the "+
			"Content-Type of the request is kept. It may have 25 MiB, and all files of a caller 512 MiB, unless the server is configured otherwise. "+
			"Only the caller sees it."),
		http.StatusInsufficientStorage), http.StatusCreated))
	register(a, mayBeTest(create), a.createBlob)
	register(a, with(scoped(http.MethodGet, blobsPath+"/{blob_id}", "getBlob", tag, scope, "Read a blob",
		"Gives what is known of a file that the caller uploaded."), http.StatusBadRequest, http.StatusNotFound), a.getBlob)
	register(a, rawAnswer(with(scoped(http.MethodGet, blobsPath+"/{blob_id}/content", "getBlobContent", tag, scope, "Read a blob's bytes",
		"Gives the file as it was uploaded, under its media type."), http.StatusBadRequest, http.StatusNotFound, http.StatusGone), anyBytes),
		a.getBlobContent)
	register(a, mayBeTest(answers(with(scoped(http.MethodDelete, blobsPath+"/{blob_id}", "deleteBlob", tag, scope, "Delete a blob",
		"Removes a file that the caller uploaded before it expires. Emails that were sent with it keep their copy."), http.StatusBadRequest,
		http.StatusNotFound), http.StatusNoContent)), a.deleteBlob)
	a.effects["blb"] = func(ctx context.Context, ref string) (effect, error) {
		var id mail.BlobID
		if err := parseID(ref, "effect", &id); err != nil {
			return effect{}, err
		}
		b, err := a.Outbound.GetBlob(ctx, principalOf(ctx), id)
		return effect{http.StatusCreated, blobsPath + "/" + ref, "", blobOf(b)}, err
	}
}

type createBlobOutput struct {
	Location string `header:"Location" doc:"Where the blob is."`
	Body     Blob
}

func (a *API) createBlob(ctx context.Context, _ *struct{}) (*createBlobOutput, error) {
	u := uploadOf(ctx)
	b, err := a.Outbound.CreateBlob(ctx, principalOf(ctx), u.contentType, u.content)
	if err != nil {
		return nil, err
	}
	return &createBlobOutput{Location: blobsPath + "/" + b.ID.String(), Body: blobOf(b)}, nil
}

type blobInput struct {
	ID string `path:"blob_id" doc:"The blob's id." example:"blb_01h455vb4pex5vsknk084sn02q"`
}

type blobOutput struct{ Body Blob }

func (a *API) getBlob(ctx context.Context, in *blobInput) (*blobOutput, error) {
	var id mail.BlobID
	if err := parseID(in.ID, "path.blob_id", &id); err != nil {
		return nil, err
	}
	b, err := a.Outbound.GetBlob(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &blobOutput{Body: blobOf(b)}, nil
}

func (a *API) getBlobContent(ctx context.Context, in *blobInput) (*huma.StreamResponse, error) {
	var id mail.BlobID
	if err := parseID(in.ID, "path.blob_id", &id); err != nil {
		return nil, err
	}
	b, file, err := a.Outbound.OpenBlob(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return stream(file, file.Size(), b.ContentType, in.ID), nil
}

func (a *API) deleteBlob(ctx context.Context, in *blobInput) (*struct{}, error) {
	var id mail.BlobID
	if err := parseID(in.ID, "path.blob_id", &id); err != nil {
		return nil, err
	}
	return nil, a.Outbound.DeleteBlob(ctx, principalOf(ctx), id)
}
