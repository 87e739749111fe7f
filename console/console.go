// Package console holds the web console that the binary serves at "/". It imports nothing of the server and uses only what the
// API offers.
package console

import (
	"embed"
	"net/http"
)

//go:embed page
var page embed.FS

// Handler serves the start page.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/style.css":
			http.ServeFileFS(w, r, page, "page/style.css")
		default:
			http.ServeFileFS(w, r, page, "page/index.html")
		}
	})
}
