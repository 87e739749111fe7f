package api

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"

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
	table, err := template.ParseFS(docs, "docs/problems.html")
	if err != nil {
		return fmt.Errorf("read the page of the problem codes: %w", err)
	}
	for path, page := range map[string]http.HandlerFunc{
		"/openapi.yaml":    bytesOf("application/yaml; charset=utf-8", doc.yaml),
		"/openapi.json":    bytesOf("application/json", doc.json),
		"/docs":            fileOf("docs/index.html"),
		"/docs/docs.js":    fileOf("docs/docs.js"),
		"/docs/docs.css":   fileOf("docs/docs.css"),
		"/problems":        a.explain(table),
		"/problems/{code}": a.explain(table),
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

// explain serves all codes or one, as a page for people and as JSON for programs.
func (a *API) explain(table *template.Template) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list := Codes()
		var content any = map[string][]Code{"items": list}
		if code := chi.URLParam(r, "code"); code != "" {
			one, ok := findCode(code)
			if !ok {
				a.Problem(w, r, http.StatusNotFound, "not-found")
				return
			}
			list, content = []Code{one}, one
		}
		var out bytes.Buffer
		var err error
		w.Header().Add("Vary", "Accept")
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			w.Header().Set("Content-Security-Policy", pagePolicy)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			err = table.Execute(&out, list)
		} else {
			w.Header().Set("Content-Type", "application/json")
			enc := json.NewEncoder(&out)
			enc.SetIndent("", "  ")
			err = enc.Encode(content)
		}
		if err != nil {
			a.Problem(w, r, http.StatusInternalServerError, "internal")
			return
		}
		_, _ = w.Write(out.Bytes()) // the client may have gone; there is nobody to tell
	}
}
