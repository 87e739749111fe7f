package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

const script = "assets/index-1f2e3d.js"

func files(names ...string) fstest.MapFS {
	all := fstest.MapFS{".keep": {}}
	for _, name := range names {
		all[name] = &fstest.MapFile{Data: []byte(strings.Repeat("the content of "+name+"\n", 50))}
	}
	return all
}

func built() http.Handler {
	return handler(files("index.html", script, "icon.svg", "logo.png"), files("index.html", "style.css"))
}

// ask sends a request; the headers are pairs of name and value.
func ask(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func unpack(t *testing.T, packed io.Reader) string {
	t.Helper()
	r, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestTheConsoleIsServedWhenItWasBuilt(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		code        int
		contentType string
		body        string
	}{
		"/":                    {200, "text/html; charset=utf-8", "content of index.html"},
		"/index.html":          {200, "text/html; charset=utf-8", "content of index.html"},
		"/" + script:           {200, "text/javascript; charset=utf-8", "content of " + script},
		"/icon.svg":            {200, "image/svg+xml", "content of icon.svg"},
		"/logo.png":            {200, "image/png", "content of logo.png"},
		"/assets/index-old.js": {404, "text/plain; charset=utf-8", "not found"},
		"/assets":              {404, "text/plain; charset=utf-8", "not found"},
		"/style.css":           {404, "text/plain; charset=utf-8", "not found"},
		"/.keep":               {404, "text/plain; charset=utf-8", "not found"},
		"/../console.go":       {404, "text/plain; charset=utf-8", "not found"},
	} {
		rec := ask(built(), http.MethodGet, path)
		if rec.Code != want.code || rec.Header().Get("Content-Type") != want.contentType || !strings.Contains(rec.Body.String(), want.body) {
			t.Errorf("%s: %d %v %.60q", path, rec.Code, rec.Header(), rec.Body)
		}
	}
}

func TestWithoutTheConsoleAPageSaysHowToBuildIt(t *testing.T) {
	t.Parallel()
	h := handler(fstest.MapFS{".keep": {}}, below(page, "page"))
	rec := ask(h, http.MethodGet, "/")
	if rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	for _, want := range []string{"make build", "Node 20.19", `href="/docs"`, `href="/openapi.yaml"`, `href="/health/detailed"`} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, path := range []string{"/style.css", "/icon.svg"} {
		if !strings.Contains(ask(h, http.MethodGet, "/").Body.String(), `"`+path+`"`) || ask(h, http.MethodGet, path).Code != http.StatusOK {
			t.Errorf("the page does not get its %s", path)
		}
	}
}

func TestWhatIsEmbeddedIsAlwaysAPage(t *testing.T) {
	t.Parallel()
	if rec := ask(Handler(), http.MethodGet, "/"); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "<title>") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestTextTravelsPackedToThoseWhoTakeIt(t *testing.T) {
	t.Parallel()
	h := built()
	plain := ask(h, http.MethodGet, "/"+script)
	packed := ask(h, http.MethodGet, "/"+script, "Accept-Encoding", "br;q=1.0, gzip;q=0.8")
	if got := packed.Header().Get("Content-Encoding"); got != "gzip" || packed.Body.Len() >= plain.Body.Len() {
		t.Fatalf("%q, %d of %d bytes", got, packed.Body.Len(), plain.Body.Len())
	}
	if packed.Header().Get("Content-Length") == "" || packed.Header().Get("Content-Type") != plain.Header().Get("Content-Type") {
		t.Errorf("%v", packed.Header())
	}
	if got := unpack(t, packed.Body); got != plain.Body.String() {
		t.Errorf("unpacked it is %.60q", got)
	}
	for _, rec := range []*httptest.ResponseRecorder{plain, packed} {
		if rec.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("a cache would give one form to everybody: %v", rec.Header())
		}
	}
	if plain.Header().Get("Content-Encoding") != "" || plain.Header().Get("ETag") == packed.Header().Get("ETag") {
		t.Errorf("two forms with one tag: %v", plain.Header())
	}
	if image := ask(h, http.MethodGet, "/logo.png", "Accept-Encoding", "gzip"); image.Header().Get("Content-Encoding") != "" {
		t.Error("an image was packed once more")
	}
}

func TestWhatABrowserHasIsNotSentAgain(t *testing.T) {
	t.Parallel()
	h := built()
	for _, accept := range []string{"identity", "gzip"} {
		first := ask(h, http.MethodGet, "/", "Accept-Encoding", accept)
		tag := first.Header().Get("ETag")
		again := ask(h, http.MethodGet, "/", "Accept-Encoding", accept, "If-None-Match", tag)
		if tag == "" || again.Code != http.StatusNotModified || again.Body.Len() != 0 || again.Header().Get("ETag") != tag {
			t.Errorf("%s: %q, then %d with %d bytes", accept, tag, again.Code, again.Body.Len())
		}
		if other := ask(h, http.MethodGet, "/", "Accept-Encoding", accept, "If-None-Match", `"other"`); other.Code != http.StatusOK {
			t.Errorf("%s: a new version is not sent: %d", accept, other.Code)
		}
	}
	changed := handler(files("index.html", "x"), nil)
	if ask(changed, http.MethodGet, "/").Header().Get("ETag") != ask(h, http.MethodGet, "/").Header().Get("ETag") {
		t.Error("the same content has another tag in the next build")
	}
	if ask(h, http.MethodGet, "/icon.svg").Header().Get("ETag") == ask(h, http.MethodGet, "/").Header().Get("ETag") {
		t.Error("two contents have one tag")
	}
}

func TestHeadSaysWhatGetWouldAndOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	h := built()
	for _, accept := range []string{"identity", "gzip"} {
		get, head := ask(h, http.MethodGet, "/", "Accept-Encoding", accept), ask(h, http.MethodHead, "/", "Accept-Encoding", accept)
		if head.Code != http.StatusOK || head.Body.Len() != 0 {
			t.Errorf("%d, %d bytes", head.Code, head.Body.Len())
		}
		for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "ETag", "Vary"} {
			if got, want := head.Header().Get(name), get.Header().Get(name); got != want {
				t.Errorf("%s: %q, by GET %q", name, got, want)
			}
		}
	}
	if rec := ask(h, http.MethodPost, "/"); rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
}

func TestGzipIsSentToThoseWhoSayThatTheyTakeIt(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"":                       false,
		"gzip":                   true,
		"gzip, deflate, br":      true,
		"deflate , GZIP":         true,
		"gzip;q=0":               false,
		"gzip; q=0.0, *":         false,
		"gzip; Q=0.5":            true,
		"*":                      true,
		"*;q=0":                  false,
		"identity":               false,
		"identity, *;q=0.1":      true,
		"gzip;q=nonsense":        false,
		"gzipped, not-gzip;q=1":  false,
		"br;q=1.0, x-gzip;q=0.3": true,
	} {
		if got := takesGzip([]string{accept}); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
	if !takesGzip([]string{"br", "gzip"}) {
		t.Error("the second line of the header was not read")
	}
}

func TestWhatPackingDoesNotShortenStaysPlain(t *testing.T) {
	t.Parallel()
	if got := pack([]byte("x")); got != nil {
		t.Errorf("%d bytes for one", len(got))
	}
	if got := pack(bytes.Repeat([]byte("x"), 1000)); got == nil {
		t.Error("not packed")
	}
}
