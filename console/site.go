package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// start is the file behind "/".
const start = "index.html"

// site serves the files of a folder that never changes. A file is read, hashed and packed when it is first asked for.
type site map[string]func() (*document, error)

// document is one file, ready to be sent.
type document struct {
	contentType string
	tag         string // of the plain form, without quotes
	plain       []byte
	packed      []byte // as gzip; nil when that saves nothing
}

// newSite lists the files; those with a name that begins with a dot are none of the visitors' business.
func newSite(files fs.FS) http.Handler {
	s := site{}
	// A folder that cannot be read has no files: each of them answers 404.
	_ = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		s[name] = sync.OnceValues(func() (*document, error) { return read(files, name) })
		return nil
	})
	return s
}

// ServeHTTP answers GET and HEAD, conditional and of ranges too (RFC 9110 §13, §14).
func (s site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = start
	}
	load := s[name]
	if load == nil {
		http.NotFound(w, r)
		return
	}
	doc, err := load()
	if err != nil {
		http.Error(w, "this file cannot be read", http.StatusInternalServerError)
		return
	}
	doc.send(w, r)
}

func (d *document) send(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", d.contentType)
	content, tag := d.plain, d.tag
	if d.packed != nil {
		header.Add("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Values("Accept-Encoding")) {
			content, tag = d.packed, d.tag+"-gzip"
			header.Set("Content-Encoding", "gzip")
			// ServeContent leaves this out beside a Content-Encoding, because somebody might pack behind its back.
			header.Set("Content-Length", strconv.Itoa(len(content)))
		}
	}
	// Each form has a strong tag of its own (RFC 9110 §8.8.3.3).
	header.Set("ETag", `"`+tag+`"`)
	// Embedded files have no time of change, so the tag alone says whether they did.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func read(files fs.FS, name string) (*document, error) {
	plain, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	sum := sha256.Sum256(plain)
	contentType, text := typeOf(name)
	doc := &document{contentType: contentType, tag: hex.EncodeToString(sum[:12]), plain: plain}
	if text {
		doc.packed = pack(plain)
	}
	return doc, nil
}

// typeOf returns the media type of a file and whether packing pays. The machine's own table would differ from host to host.
func typeOf(name string) (contentType string, text bool) {
	switch strings.ToLower(path.Ext(name)) {
	case ".html":
		return "text/html; charset=utf-8", true
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8", true
	case ".css":
		return "text/css; charset=utf-8", true
	case ".svg":
		return "image/svg+xml", true
	case ".json", ".map":
		return "application/json", true
	case ".webmanifest":
		return "application/manifest+json", true
	case ".txt":
		return "text/plain; charset=utf-8", true
	case ".png":
		return "image/png", false
	case ".ico":
		return "image/x-icon", false
	case ".woff2":
		return "font/woff2", false
	}
	return "application/octet-stream", false
}

// pack returns content as gzip, or nil when that is no shorter.
func pack(content []byte) []byte {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(content); err != nil {
		return nil
	}
	if err := w.Close(); err != nil || packed.Len() >= len(content) {
		return nil
	}
	return packed.Bytes()
}

// takesGzip reads Accept-Encoding: gzip, or anything, with a weight above 0 (RFC 9110 §12.5.3).
func takesGzip(accept []string) bool {
	takes := false
	for _, field := range accept {
		for offer := range strings.SplitSeq(field, ",") {
			coding, weight, _ := strings.Cut(offer, ";")
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return weighs(weight)
			case "*":
				takes = weighs(weight)
			}
		}
	}
	return takes
}

// weighs reports whether the parameters of an offer do not say q=0.
func weighs(parameters string) bool {
	name, value, found := strings.Cut(parameters, "=")
	if !found || strings.ToLower(strings.TrimSpace(name)) != "q" {
		return true
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && q > 0
}
