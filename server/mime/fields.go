package mime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Field is one field of a header block, or a line that is no field (Name is "").
type Field struct {
	// Name as written, without the colon.
	Name string
	// Start and End are octets of the stored message, Prefix counted.
	Start, End int64
	// Raw is the whole field with name, folds and line end.
	Raw []byte
}

// Value is the value of the field on one line, as valid UTF-8, encoded words not decoded.
func (f Field) Value() string {
	_, value, _ := bytes.Cut(f.Raw, []byte{':'})
	return clean(value)
}

// Header gives the fields of the header block of a part in message order. Of a block that is larger than MaxHeaderBlock (the
// prefix not counted) only the beginning is seen. The error is that of r.
func Header(r io.ReaderAt, m *Message, p *Part) ([]Field, error) {
	start, end := m.headerRange(p)
	end = min(end, m.Prefix+p.HeaderStart+MaxHeaderBlock)
	block := make([]byte, end-start)
	if n, err := r.ReadAt(block, start); n < len(block) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read header: %w", err)
	}
	return splitFields(block, start), nil
}

func splitFields(block []byte, at int64) []Field {
	var list []Field
	for len(block) > 0 && !isBlank(block) {
		n := fieldLength(block)
		raw := block[:n:n]
		list = append(list, Field{Name: string(raw[:fieldName(raw)]), Start: at, End: at + int64(n), Raw: raw})
		block = block[n:]
		at += int64(n)
	}
	return list
}

// fieldLength is the length of the field at the start of block, folded lines included.
func fieldLength(block []byte) int {
	n := 0
	for {
		i := bytes.IndexByte(block[n:], '\n')
		if i < 0 {
			return len(block)
		}
		n += i + 1
		if n == len(block) || block[n] != ' ' && block[n] != '\t' {
			return n
		}
	}
}

// HeaderSubset gives the fields of a header block whose names are in names, or with not those whose names are not, in message
// order and as they are, followed by a blank line (RFC 9051 §6.4.5.1). Lines that are no field count as not named. The error
// is that of r.
func HeaderSubset(r io.ReaderAt, m *Message, p *Part, names []string, not bool) ([]byte, error) {
	fields, err := Header(r, m, p)
	if err != nil {
		return nil, err
	}
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[strings.ToLower(name)] = true
	}
	var out []byte
	for _, f := range fields {
		named := f.Name != "" && wanted[strings.ToLower(f.Name)]
		if named != not {
			out = append(out, f.Raw...)
			if !bytes.HasSuffix(out, []byte{'\n'}) {
				out = append(out, "\r\n"...)
			}
		}
	}
	return append(out, "\r\n"...), nil
}
