package mime

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	stdmime "mime"
	"mime/quotedprintable"
	"slices"
	"strings"
)

// node is one part of a message being written: a leaf with content, or a multipart with children.
type node struct {
	header   headerWriter
	boundary string
	children []*node
	content  func(*mailWriter)
}

// mailWriter keeps the first error and whether the last line is complete.
type mailWriter struct {
	w         *bufio.Writer
	err       error
	lineStart bool
}

func (m *mailWriter) write(s string) {
	if m.err == nil && s != "" {
		_, m.err = m.w.WriteString(s)
		m.lineStart = s[len(s)-1] == '\n'
	}
}

// Write implements io.Writer for the encoders of the standard library.
func (m *mailWriter) Write(p []byte) (int, error) {
	if m.err != nil || len(p) == 0 {
		return 0, m.err
	}
	var n int
	n, m.err = m.w.Write(p)
	m.lineStart = p[len(p)-1] == '\n'
	return n, m.err
}

func (n *node) write(out *mailWriter) {
	out.write(n.header.b.String())
	out.write("\r\n")
	if n.content != nil {
		n.content(out)
		return
	}
	for _, child := range n.children {
		out.write("--" + n.boundary + "\r\n")
		child.write(out)
		out.write("\r\n")
	}
	out.write("--" + n.boundary + "--\r\n")
}

// body makes the tree of parts: mixed(alternative(text, related(html, inline files)), files), each level only where needed.
func (d *Draft) body() (*node, error) {
	related, attached, err := d.files()
	if err != nil {
		return nil, err
	}
	root := textNode("plain", d.Text)
	if d.HTML != "" {
		root = textNode("html", d.HTML)
		if len(related) > 0 {
			if root, err = d.multipart("related", `; type="text/html"`, append([]*node{root}, related...)); err != nil {
				return nil, err
			}
		}
		if d.Text != "" {
			if root, err = d.multipart("alternative", "", []*node{textNode("plain", d.Text), root}); err != nil {
				return nil, err
			}
		}
	}
	if len(attached) > 0 {
		return d.multipart("mixed", "", append([]*node{root}, attached...))
	}
	return root, nil
}

// files makes the parts of the attachments: those that belong beside the HTML, and the others.
func (d *Draft) files() (related, attached []*node, err error) {
	for i, a := range d.Attachments {
		n, err := fileNode(fmt.Sprintf("attachments[%d]", i), a)
		if err != nil {
			return nil, nil, err
		}
		if a.Inline && a.ContentID != "" && d.HTML != "" {
			related = append(related, n)
		} else {
			attached = append(attached, n)
		}
	}
	return related, attached, nil
}

func (d *Draft) multipart(subtype, params string, children []*node) (*node, error) {
	var seed [18]byte
	if _, err := io.ReadFull(d.Random, seed[:]); err != nil {
		return nil, fmt.Errorf("compose: boundary: %w", err)
	}
	// "=_" appears in neither quoted-printable nor base64 (RFC 2045 §6.7).
	n := &node{boundary: "=_" + hex.EncodeToString(seed[:]), children: children}
	n.header.field("Content-Type", []string{"multipart/" + subtype + params + ";", `boundary="` + n.boundary + `"`})
	return n, nil
}

func textNode(subtype, text string) *node {
	n := &node{}
	n.header.field("Content-Type", []string{"text/" + subtype + ";", "charset=utf-8"})
	if isSevenBit(text) {
		n.header.field("Content-Transfer-Encoding", []string{"7bit"})
		n.content = func(out *mailWriter) {
			for line := range strings.Lines(text) {
				bare := strings.TrimRight(line, "\r\n")
				out.write(bare)
				if len(bare) < len(line) {
					out.write("\r\n")
				}
			}
		}
		return n
	}
	n.header.field("Content-Transfer-Encoding", []string{"quoted-printable"})
	n.content = func(out *mailWriter) {
		enc := quotedprintable.NewWriter(out)
		_, err := io.WriteString(enc, text)
		if closing := enc.Close(); err == nil {
			err = closing
		}
		if out.err == nil {
			out.err = err
		}
	}
	return n
}

// isSevenBit reports whether text can go out as it is: printable ASCII in short lines without white space at their ends.
func isSevenBit(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if len(line) > 78 || strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") {
			return false
		}
		for i := range len(line) {
			if c := line[i]; c >= 0x7f || c < ' ' && c != '\t' {
				return false
			}
		}
	}
	return true
}

func fileNode(field string, a Attachment) (*node, error) {
	n := &node{}
	contentType, err := typeAtoms(a.ContentType)
	if err != nil {
		return nil, &DraftError{field + ".content_type", err.Error()}
	}
	n.header.field("Content-Type", contentType)
	n.header.field("Content-Transfer-Encoding", []string{"base64"})
	disposition := "attachment"
	if a.Inline {
		disposition = "inline"
	}
	atoms := []string{disposition}
	if a.FileName != "" {
		atoms = appendParamAtoms(atoms, "filename", a.FileName)
	}
	n.header.field("Content-Disposition", atoms)
	if a.ContentID != "" {
		id, reason := checkID(a.ContentID)
		if reason != "" {
			return nil, &DraftError{field + ".content_id", reason}
		}
		n.header.field("Content-ID", []string{"<" + id + ">"})
	}
	if n.header.tooLong != "" {
		return nil, &DraftError{field, "longer than a header may be"}
	}
	n.content = func(out *mailWriter) { writeBase64(out, a.Content) }
	return n, nil
}

// typeAtoms checks a content type and writes it anew. A container type becomes application/octet-stream, because containers
// must not be in base64 (RFC 2046 §5.2.1).
func typeAtoms(s string) ([]string, error) {
	if s == "" {
		return []string{"application/octet-stream"}, nil
	}
	media, params, err := stdmime.ParseMediaType(s)
	if err != nil {
		return nil, fmt.Errorf("not a content type: %w", err)
	}
	major, minor, ok := strings.Cut(media, "/")
	if !ok || !isToken(major) || !isToken(minor) || len(media) > maxType {
		return nil, fmt.Errorf("not of the form type/subtype")
	}
	if major == "multipart" || major == "message" {
		return []string{"application/octet-stream"}, nil
	}
	atoms := []string{media}
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !isToken(name) || strings.ContainsAny(name, "*'%") || badText(params[name]) != "" {
			return nil, fmt.Errorf("a parameter that cannot be written")
		}
		atoms = appendParamAtoms(atoms, name, params[name])
	}
	return atoms, nil
}

// appendParamAtoms writes a parameter: quoted if it is short ASCII, else in the form of RFC 2231, in pieces if it is long.
func appendParamAtoms(atoms []string, name, value string) []string {
	const longest = 60
	add := func(atom string) {
		atoms[len(atoms)-1] += ";"
		atoms = append(atoms, atom)
	}
	if isASCII(value) && len(value) <= longest && !strings.Contains(value, "=?") {
		add(name + "=" + quoted(value))
		return atoms
	}
	encoded := string(appendPercent([]byte("utf-8''"), value))
	if len(encoded) <= longest {
		add(name + "*=" + encoded)
		return atoms
	}
	for i := 0; encoded != ""; i++ {
		n := min(longest, len(encoded))
		for n < len(encoded) && (encoded[n-1] == '%' || encoded[n-2] == '%') {
			n-- // not inside %XX
		}
		add(fmt.Sprintf("%s*%d*=%s", name, i, encoded[:n]))
		encoded = encoded[n:]
	}
	return atoms
}

func writeBase64(out *mailWriter, content io.Reader) {
	if content == nil {
		return
	}
	enc := base64.NewEncoder(base64.StdEncoding, &lineBreaker{out: out})
	_, err := io.Copy(enc, content)
	if closing := enc.Close(); err == nil {
		err = closing
	}
	if out.err == nil {
		out.err = err
	}
}

// lineBreaker writes lines of 76 octets (RFC 2045 §6.8).
type lineBreaker struct {
	out    *mailWriter
	column int
}

// Write implements io.Writer.
func (l *lineBreaker) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if l.column == softLine {
			l.out.write("\r\n")
			l.column = 0
		}
		n := min(softLine-l.column, len(p))
		_, _ = l.out.Write(p[:n]) // the error stays in out
		l.column += n
		written += n
		p = p[n:]
	}
	return written, l.out.err
}
