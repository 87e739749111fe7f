// Package console holds the web console that the binary serves at "/". It imports nothing of the server and uses only what the
// API offers.
//
// `make build` puts the console into dist before the compiler embeds it. In a binary that was built without Node, dist holds
// nothing but .keep, and page stands in: it says how to build the console. Which paths are pages of the console, and how long
// an answer may be kept, is decided by webd.
package console

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed all:dist
var dist embed.FS

//go:embed page
var page embed.FS

// Handler serves the files of the console, or the page that stands in for it: index.html at "/", 404 for a file that is not
// there. Answers have an ETag, and text travels as gzip to those who take it.
func Handler() http.Handler { return handler(below(dist, "dist"), below(page, "page")) }

// handler serves built when there is a console in it, else standIn.
func handler(built, standIn fs.FS) http.Handler {
	if _, err := fs.Stat(built, start); err == nil {
		return newSite(built)
	}
	return newSite(standIn)
}

// below is fs.Sub for a folder that the compiler has put there.
func below(files embed.FS, dir string) fs.FS {
	sub, err := fs.Sub(files, dir)
	if err != nil {
		return files
	}
	return sub
}
