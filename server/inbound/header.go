package inbound

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mailserver-dev/mailserver/server/mime"
)

// readAhead is how much of a header block is held while it is looked through.
const readAhead = 32 << 10

// headerField is a field of the header block with its place, or a line that is no field.
type headerField struct {
	name       string // in lower case; "" for what is no field
	fold       bool   // it begins with white space: it is the first line and continues nothing
	start, end int64
	raw        []byte // the whole field, if its value was asked for
	whole      bool   // raw has all of it: it is not longer than mime.MaxHeaderField
}

// value is the value of a whole field on one line.
func (f headerField) value() string { return mime.Field{Raw: f.raw}.Value() }

// eachField calls visit for every field in the first end octets of r, split as the scanner of mime does. It holds one field at a
// time, and of that only what wanted asks for, so that a header block of any size costs no memory.
func eachField(r io.ReaderAt, end int64, wanted func(name string) bool, visit func(headerField)) error {
	in := bufio.NewReaderSize(io.NewSectionReader(r, 0, end), int(min(end, readAhead)))
	var f headerField
	keep, open, lineStart := false, false, true
	for {
		piece, err := in.ReadSlice('\n')
		last := err != nil && !errors.Is(err, bufio.ErrBufferFull)
		begins := lineStart && len(piece) > 0 && (!open || !isFold(piece))
		if open && (begins || len(piece) == 0) {
			visit(f)
			open = false
		}
		if len(piece) == 0 || lineStart && isBlank(piece) {
			return headerError(err)
		}
		if begins {
			f = headerField{name: fieldName(piece), fold: isFold(piece), start: f.end, end: f.end, whole: true}
			open, keep = true, wanted(f.name)
		}
		f.end += int64(len(piece))
		switch {
		case keep && len(f.raw)+len(piece) <= mime.MaxHeaderField:
			f.raw = append(f.raw, piece...)
		default:
			f.whole = false
		}
		lineStart = piece[len(piece)-1] == '\n'
		if last {
			visit(f)
			return headerError(err)
		}
	}
}

func headerError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("read the header: %w", err)
}

func isBlank(line []byte) bool {
	return len(line) > 0 && bytes.Equal(bytes.TrimPrefix(line, []byte{'\r'}), []byte{'\n'})
}

// isFold reports whether a line begins with white space and so continues whatever stands before it (RFC 5322 §2.2.3).
func isFold(line []byte) bool { return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') }

// fieldName gives the name of the field that a line begins; white space before the colon is tolerated (RFC 5322 §4.5).
func fieldName(line []byte) string {
	name, _, ok := bytes.Cut(line, []byte{':'})
	name = bytes.TrimRight(name, " \t")
	if !ok || len(name) == 0 || bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	return strings.ToLower(string(name))
}
