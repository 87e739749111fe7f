package mime_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mime"
)

// crlf turns the LF of a Go literal into the CRLF of mail.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func scan(t testing.TB, raw string) *mime.Message {
	t.Helper()
	m, err := mime.Scan(strings.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return m
}

func structureOf(m *mime.Message) string {
	return string(mime.AppendBodyStructure(nil, m.Root, true))
}

// shape writes the tree of types: "mixed(plain html)".
func shape(p *mime.Part) string {
	if len(p.Children) == 0 {
		return p.Subtype
	}
	var kids []string
	for _, child := range p.Children {
		kids = append(kids, shape(child))
	}
	return p.Subtype + "(" + strings.Join(kids, " ") + ")"
}

// atom is a parsed IMAP value: nil, int64, string or []any.
type imapParser struct {
	b   []byte
	err error
}

// parseIMAP reads one value and fails unless it is the whole input and of well-formed IMAP syntax.
func parseIMAP(b []byte) (any, error) {
	p := &imapParser{b: b}
	v := p.value(0)
	if p.err == nil && len(p.b) > 0 {
		p.fail("trailing data")
	}
	return v, p.err
}

func (p *imapParser) fail(what string) {
	if p.err == nil {
		p.err = fmt.Errorf("%s at %q", what, p.b[:min(len(p.b), 40)])
	}
	p.b = nil
}

func (p *imapParser) value(depth int) any {
	switch {
	case len(p.b) == 0 || depth > 500:
		p.fail("no value")
		return nil
	case p.b[0] == '(':
		return p.list(depth)
	case p.b[0] == '"':
		return p.quoted()
	case p.b[0] == '{':
		return p.literal()
	case bytes.HasPrefix(p.b, []byte("NIL")):
		p.b = p.b[3:]
		return nil
	}
	n := 0
	for n < len(p.b) && p.b[n] >= '0' && p.b[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(string(p.b[:n]), 10, 64)
	if err != nil {
		p.fail("no number")
		return nil
	}
	p.b = p.b[n:]
	return v
}

// list reads a parenthesised list; lists may follow each other without a space (bodies of a multipart, addresses).
func (p *imapParser) list(depth int) any {
	p.b = p.b[1:]
	list := []any{}
	for p.err == nil {
		if len(p.b) == 0 {
			p.fail("list not closed")
			break
		}
		if p.b[0] == ')' {
			p.b = p.b[1:]
			break
		}
		if len(list) > 0 && p.b[0] != '(' {
			if p.b[0] != ' ' {
				p.fail("no space")
				break
			}
			p.b = p.b[1:]
		}
		list = append(list, p.value(depth+1))
		if len(p.b) > 1 && p.b[0] == ' ' && p.b[1] == '(' {
			p.b = p.b[1:]
		}
	}
	if len(list) == 0 {
		p.fail("empty list")
	}
	return list
}

func (p *imapParser) quoted() any {
	var out []byte
	for i := 1; i < len(p.b); i++ {
		switch c := p.b[i]; {
		case c == '"':
			p.b = p.b[i+1:]
			return string(out)
		case c == '\\' && i+1 < len(p.b) && (p.b[i+1] == '"' || p.b[i+1] == '\\'):
			i++
			out = append(out, p.b[i])
		case c == '\\' || c < ' ' || c >= 0x7f:
			p.fail("bad octet in a quoted string")
			return nil
		default:
			out = append(out, c)
		}
	}
	p.fail("string not closed")
	return nil
}

func (p *imapParser) literal() any {
	head, rest, ok := bytes.Cut(p.b[1:], []byte("}\r\n"))
	n, err := strconv.Atoi(string(head))
	if !ok || err != nil || n > len(rest) || n < 0 {
		p.fail("bad literal")
		return nil
	}
	out := rest[:n]
	if bytes.IndexByte(out, 0) >= 0 {
		p.fail("NUL in a literal")
	}
	p.b = rest[n:]
	return string(out)
}

func mustIMAP(t testing.TB, b []byte) any {
	t.Helper()
	v, err := parseIMAP(b)
	if err != nil {
		t.Fatalf("not well-formed IMAP: %v\n%s", err, b)
	}
	return v
}
