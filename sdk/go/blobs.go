package mailserver

import (
	"context"
	"io"

	"github.com/mailserver-dev/mailserver/sdk/go/api"
)

// Blobs are files that were uploaded to be attached to emails.
type Blobs struct{ api *api.ClientWithResponses }

// Upload keeps a file for 24 hours, for BlobID of any number of attachments. A bytes.Buffer, bytes.Reader or strings.Reader is sent
// again when an attempt fails; any other reader can be read once only. A reader that can be closed stays open.
func (b Blobs) Upload(ctx context.Context, contentType string, body io.Reader, options ...CallOption) (*Blob, error) {
	if _, closes := body.(io.Closer); closes {
		body = struct{ io.Reader }{body}
	}
	return made(b.api.CreateBlobWithBodyWithResponse(with(ctx, options, patient), contentType, body))
}

// Get gives what is known of a file that the caller uploaded.
func (b Blobs) Get(ctx context.Context, id string, options ...CallOption) (*Blob, error) {
	return got(b.api.GetBlobWithResponse(with(ctx, options), segment(id)))
}

// Content gives the file as it was uploaded. The caller closes it.
func (b Blobs) Content(ctx context.Context, id string, options ...CallOption) (io.ReadCloser, error) {
	return download(b.api.GetBlobContent(with(ctx, options, streamed), segment(id)))
}

// Delete removes a file before it expires. Emails that were sent with it keep their copy.
func (b Blobs) Delete(ctx context.Context, id string, options ...CallOption) error {
	return done(b.api.DeleteBlobWithResponse(with(ctx, options), segment(id)))
}
