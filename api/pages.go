package api

import (
	"embed"
	"net/http"

	"github.com/go-chi/chi/v5"
)

//go:embed docs
var docs embed.FS

// pagePolicy allows a page its own files and the document, and nothing inline (S-39).
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// mountPages serves the document and what explains it. None of it needs a credential.
func (a *API) mountPages(r chi.Router) error {
	doc, err := document()
	if err != nil {
		return err
	}
	for path, page := range map[string]http.HandlerFunc{
		"/openapi.yaml":    bytesOf("application/yaml; charset=utf-8", doc.yaml),
		"/openapi.json":    bytesOf("application/json", doc.json),
		"/docs":            fileOf("docs/index.html"),
		"/docs/docs.js":    fileOf("docs/docs.js"),
		"/docs/docs.css":   fileOf("docs/docs.css"),
		"/problems":        a.serveCodes,
		"/problems/{code}": a.serveCode,
	} {
		r.Get(path, page)
		r.Head(path, page)
	}
	return nil
}

func bytesOf(mediaType string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(content) // the client may have gone; there is nobody to tell
	}
}

func fileOf(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, docs, name)
	}
}
