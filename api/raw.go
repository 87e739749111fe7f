package api

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// rawAnswer documents an answer that is not JSON.
func rawAnswer(op huma.Operation, mediaType string) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The bytes.",
		Content:     map[string]*huma.MediaType{mediaType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
		Headers: map[string]*huma.Param{
			"Content-Disposition": {Description: "Always attachment, with a file name.", Schema: &huma.Schema{Type: huma.TypeString}},
		},
	}}
	return op
}

// stream sends bytes as they are and closes their source. A stranger wrote them: the browser may keep them but must not run them.
func stream(src io.ReadCloser, size int64, mediaType, filename string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer src.Close()
		ctx.SetHeader("Content-Type", mediaType)
		if size >= 0 {
			ctx.SetHeader("Content-Length", strconv.FormatInt(size, 10))
		}
		ctx.SetHeader("Content-Disposition", "attachment; filename=\""+safeName(filename)+"\"")
		ctx.SetHeader("Content-Security-Policy", "sandbox; default-src 'none'")
		ctx.SetHeader("X-Content-Type-Options", "nosniff")
		ctx.SetStatus(http.StatusOK)
		_, _ = io.Copy(ctx.BodyWriter(), src) // the client may have gone; a short body shows against Content-Length
	}}
}

// safeName makes a name that can stand in a header between quotes.
func safeName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '/' {
			return '_'
		}
		return r
	}, name)
}
