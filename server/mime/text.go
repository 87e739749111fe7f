package mime

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	utf "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

const (
	sniffSize = 4096
	// maxTextSource bounds how many decoded octets are read for Text, so that HTML without text ends.
	maxTextSource = 8 << 20
	// maxPreviewSource bounds the same for the preview.
	maxPreviewSource = 256 << 10
)

// Text gives the decoded text of all text/* parts in message order, for search: lines end in LF, HTML is reduced to its text,
// control characters are removed. At most limit octets. The error is that of r.
func Text(r io.ReaderAt, m *Message, limit int) (string, error) {
	var all strings.Builder
	var failed error
	source := int64(maxTextSource)
	m.Root.Walk(func(p *Part) bool {
		if p.Type != "text" {
			return true
		}
		if all.Len() > 0 {
			all.WriteByte('\n')
		}
		text, used, err := partText(r, m, p, max(0, limit-all.Len()), source)
		if err != nil {
			failed = fmt.Errorf("read text: %w", err)
			return false
		}
		all.WriteString(text)
		source -= used
		return all.Len() < limit && source > 0
	})
	return truncate(all.String(), max(0, limit)), failed
}

// partText is the text of one text part, at most limit octets, made of at most source decoded octets, of which used were read.
func partText(r io.ReaderAt, m *Message, p *Part, limit int, source int64) (text string, used int64, err error) {
	body := &countingReader{r: io.LimitReader(DecodePart(r, m, p), source)}
	if p.Subtype == "html" || p.Subtype == "xhtml" {
		out := textWriter{limit: limit}
		writeHTML(&out, body)
		return out.String(), body.n, body.err
	}
	raw, err := io.ReadAll(io.LimitReader(body, int64(limit)+utf8.UTFMax))
	if err != nil {
		return "", body.n, err
	}
	return truncate(plainText(string(raw)), limit), body.n, nil
}

// countingReader counts, and remembers an error other than io.EOF, because the HTML tokenizer does not tell.
type countingReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// plainText removes control characters but LF and tab, and what a cut left of a rune.
func plainText(s string) string {
	s = strings.ToValidUTF8(s, "")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// DecodePart reads the body of p with its transfer encoding undone and, for text/*, as UTF-8: by the charset named, or for HTML
// by its meta element, or guessed. Octets that are not of the charset become U+FFFD. Errors are those of r.
func DecodePart(r io.ReaderAt, m *Message, p *Part) io.Reader {
	body := DecodeTransfer(r, m, p)
	if p.Type != "text" {
		return body
	}
	if enc, known := charsetOf(p.Param("charset")); enc != nil {
		return transform.NewReader(body, enc.NewDecoder())
	} else if known && strings.HasPrefix(strings.ToLower(p.Param("charset")), "utf") {
		return transform.NewReader(body, utf.UTF8BOM.NewDecoder())
	}
	buffered := bufio.NewReaderSize(body, sniffSize)
	sample, _ := buffered.Peek(sniffSize) // an error shows again when the body is read
	return transform.NewReader(buffered, sniff(p, sample).NewDecoder())
}

// sniff guesses the charset of a text part that names none, or none that is known.
func sniff(p *Part, sample []byte) encoding.Encoding {
	if p.Subtype == "html" {
		// For these two the octets say more than the meta element, or the lack of one.
		if enc, name, _ := charset.DetermineEncoding(sample[:min(len(sample), 1024)], ""); name != "utf-8" && name != "windows-1252" {
			return enc
		}
	}
	whole := sample
	for i := 1; i < utf8.UTFMax && i <= len(sample) && len(sample) == sniffSize; i++ {
		if c := sample[len(sample)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf {
				whole = sample[:len(sample)-i]
			}
			break
		}
	}
	if utf8.Valid(whole) {
		return utf.UTF8BOM
	}
	return charmap.Windows1252
}

// TextPart is the part a reader of plain text wants: the first text/plain that is no attachment; nil if there is none.
func (m *Message) TextPart() *Part { return m.bodyPart("plain") }

// HTMLPart is the first text/html that is no attachment; nil if there is none.
func (m *Message) HTMLPart() *Part { return m.bodyPart("html") }

func (m *Message) bodyPart(subtype string) *Part {
	var found *Part
	m.Root.Walk(func(p *Part) bool {
		if p.Type == "text" && p.Subtype == subtype && !m.isAttachment(p) {
			found = p
		}
		return found == nil
	})
	return found
}

// isAttachment is Part.IsAttachment, but the text of the message itself is none just because it has a name.
func (m *Message) isAttachment(p *Part) bool {
	if p == m.Root && (p.Type == "text" || p.Type == "message") {
		return p.Disposition == "attachment"
	}
	return p.IsAttachment()
}

// preview fills Message.Preview from the plain text, or from the HTML if there is none.
func (s *scanner) preview(r io.ReaderAt) error {
	for _, p := range [...]*Part{s.msg.TextPart(), s.msg.HTMLPart()} {
		if p == nil {
			continue
		}
		const octets = previewRunes * 8
		text, _, err := partText(r, s.msg, p, octets, maxPreviewSource)
		if err != nil {
			return err
		}
		if s.msg.Preview = collapse(text, previewRunes); s.msg.Preview != "" {
			return nil
		}
	}
	return nil
}

// collapse gives the first runes of text with white space collapsed and without characters that are not seen.
func collapse(text string, runes int) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range text {
		if isSpace(r) {
			space = n > 0
			continue
		}
		if isInvisible(r) {
			continue
		}
		if space && n < runes-1 {
			b.WriteByte(' ')
			n++
		}
		space = false
		if n++; n > runes {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isSpace(r rune) bool {
	return r == '\u00a0' || r == '\u2007' || r == '\u2800' || unicode.IsSpace(r)
}

// isInvisible reports whether a rune is shown as nothing: controls, format characters, and the joiner that newsletters pad
// their previews with. Emoji sequences keep their joiner.
func isInvisible(r rune) bool {
	if r < 0x80 {
		return r < ' ' || r == 0x7f
	}
	return r == '\u034f' || r != '\u200d' && (unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Cc, r))
}
