package mime

import (
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxToken is the largest single HTML token that is read; embedded pictures make long ones.
const maxToken = 4 << 20

// writeHTML writes what a reader of the HTML would see as text, one line per block, until out is full. What follows a token of
// more than maxToken octets is not seen.
func writeHTML(out *textWriter, r io.Reader) {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(maxToken)
	var hidden atom.Atom // the element whose content is not shown
	for !out.full() {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.TextToken:
			if hidden == 0 {
				out.words(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			tag := atom.Lookup(name)
			if hidden == 0 && isHidden(tag) {
				hidden = tag
			}
			if hidden == 0 {
				out.tag(tag)
				if tag == atom.Img && more {
					out.words(altText(z))
				}
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			tag := atom.Lookup(name)
			if hidden != 0 && (tag == hidden || tag == atom.Body || tag == atom.Html) {
				hidden = 0
			} else if hidden == 0 {
				out.tag(tag)
			}
		}
	}
}

// isHidden reports whether the content of an element is no text for readers. Only elements that the tokenizer reads as one raw
// text are here: of others the end tag may be missing, and all that follows would be lost.
func isHidden(tag atom.Atom) bool {
	switch tag {
	case atom.Script, atom.Style, atom.Title, atom.Noscript, atom.Iframe:
		return true
	}
	return false
}

func altText(z *html.Tokenizer) []byte {
	for {
		key, value, more := z.TagAttr()
		if string(key) == "alt" {
			return value
		}
		if !more {
			return nil
		}
	}
}

// tag writes the space or line end that a tag stands for.
func (w *textWriter) tag(tag atom.Atom) {
	switch tag {
	case atom.Br, atom.P, atom.Div, atom.Tr, atom.Li, atom.Ul, atom.Ol, atom.Table, atom.H1, atom.H2, atom.H3, atom.H4,
		atom.H5, atom.H6, atom.Blockquote, atom.Pre, atom.Hr, atom.Section, atom.Article, atom.Header, atom.Footer,
		atom.Body, atom.Dl, atom.Dt, atom.Dd, atom.Address, atom.Form, atom.Center:
		w.newline()
	case atom.Td, atom.Th, atom.Option:
		w.space = true
	}
}

// textWriter collects text with white space collapsed, up to limit octets.
type textWriter struct {
	b     strings.Builder
	limit int
	space bool // white space is due before the next word
	line  bool // a line end is due before the next word
}

func (w *textWriter) full() bool { return w.b.Len() >= w.limit }

func (w *textWriter) newline() { w.line = true }

// words writes text word by word. The text may begin or end inside a word.
func (w *textWriter) words(text []byte) {
	for _, r := range string(text) {
		switch {
		case isSpace(r):
			w.space = true
			continue
		case isInvisible(r):
			continue
		}
		w.separate()
		if w.full() {
			return
		}
		w.b.WriteRune(r)
	}
}

func (w *textWriter) separate() {
	if w.b.Len() > 0 {
		if w.line {
			w.b.WriteByte('\n')
		} else if w.space {
			w.b.WriteByte(' ')
		}
	}
	w.line, w.space = false, false
}

func (w *textWriter) String() string { return truncate(w.b.String(), w.limit) }
