package mailserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxBlock bounds a line of an event stream and the data of one event, in bytes.
const maxBlock = 1 << 20

var errBlockTooLong = errors.New("the event stream has a line or an event of more than 1 MiB")

// block is one event of a stream as it came.
type block struct {
	kind    string // the field event
	id      string // the field id
	data    []byte // the fields data, joined by line feeds
	hasID   bool
	hasData bool // one without is no event
}

// blockReader takes an event stream apart (HTML Living Standard §9.2.6).
type blockReader struct {
	src   *bufio.Reader
	line  []byte
	begun bool // the first line, which may have a byte order mark, was read
	cr    bool // the last line ended with a carriage return, to which a line feed may belong
	// retry is the last pause that the server asked for; below 0 before it did.
	retry time.Duration
}

func newBlockReader(src io.Reader) *blockReader {
	return &blockReader{src: bufio.NewReader(src), retry: -1}
}

// next gives the next block that its blank line ends. At the end of the stream the error is io.EOF, and what had no end is dropped.
func (r *blockReader) next() (block, error) {
	var b block
	for {
		line, err := r.readLine()
		switch {
		case err != nil:
			return block{}, err
		case len(line) > 0:
			if err := r.field(&b, line); err != nil {
				return block{}, err
			}
		case b.hasID || b.hasData:
			return b, nil
		default:
			b = block{}
		}
	}
}

// field takes up one line of a block.
func (r *blockReader) field(b *block, line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		b.kind = string(value)
	case "data":
		if b.hasData {
			b.data = append(b.data, '\n')
		}
		if len(b.data)+len(value) > maxBlock {
			return errBlockTooLong
		}
		b.data, b.hasData = append(b.data, value...), true
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			b.id, b.hasID = string(value), true
		}
	case "retry":
		if pause, ok := digits(string(value)); ok {
			r.retry = pause
		}
	}
	return nil
}

// digits reads milliseconds, as many as a day has at most.
func digits(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms > aDay.Milliseconds() {
		return aDay, true
	}
	return time.Duration(ms) * time.Millisecond, true
}

// readLine gives a line without its end, which is CR, LF or both. The line is good until the next call.
func (r *blockReader) readLine() ([]byte, error) {
	r.line = r.line[:0]
	for {
		if _, err := r.src.Peek(1); err != nil {
			return nil, err
		}
		piece, err := r.src.Peek(r.src.Buffered())
		if err != nil {
			return nil, err
		}
		if r.cr && piece[0] == '\n' {
			r.cr = false
			r.drop(1)
			continue
		}
		r.cr = false
		end := bytes.IndexAny(piece, "\r\n")
		line := piece
		if end >= 0 {
			line = piece[:end]
		}
		if len(r.line)+len(line) > maxBlock {
			return nil, errBlockTooLong
		}
		r.line = append(r.line, line...)
		if end < 0 {
			r.drop(len(piece))
			continue
		}
		r.cr = piece[end] == '\r'
		r.drop(end + 1)
		if !r.begun {
			r.begun = true
			return bytes.TrimPrefix(r.line, []byte("\ufeff")), nil
		}
		return r.line, nil
	}
}

// drop forgets bytes that were looked at.
func (r *blockReader) drop(n int) {
	_, _ = r.src.Discard(n) // they are buffered: it cannot fail
}
