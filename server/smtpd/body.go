package smtpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/mailserver-dev/mailserver/server/fault"
)

// source gives the octets of one message as they were sent, without dot stuffing and chunk lines.
type source interface {
	// next gives some octets, valid until the next call; errEnd means that the message is complete.
	next() ([]byte, error)
	// skip reads on, without looking, to the place where the next command begins. It gives errBudget when that is further than
	// budget octets away.
	skip(budget int64) error
}

// errEnd is the end of a whole message. It is not io.EOF, so that no end of a connection can pass for it.
var errEnd = errors.New("end of message")

// errBudget says that the rest of a refused message is too long to be read politely (I-18).
var errBudget = errors.New("the rest of the message is too long")

// dots is the source of DATA. The message ends at CR LF "." CR LF and nowhere else (RFC 5321 §4.1.1.4, mail-rules S-1). A line
// that ends in CR CR LF does not count as ended: servers differ about it, and what follows could then be read as commands here
// that another server took for content.
type dots struct {
	w     *wire
	last  [3]byte // octets
	begun bool
}

func (d *dots) next() ([]byte, error) {
	piece, err := d.w.br.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	if d.lineStart() && piece[0] == '.' {
		if string(piece) == ".\r\n" {
			return nil, errEnd
		}
		d.note(piece)
		return piece[1:], nil
	}
	d.note(piece)
	return piece, nil
}

// lineStart reports whether what comes next begins a line.
func (d *dots) lineStart() bool {
	return !d.begun || d.last[1] == '\r' && d.last[2] == '\n' && d.last[0] != '\r'
}

func (d *dots) note(piece []byte) {
	d.begun = true
	for _, b := range piece[max(0, len(piece)-3):] {
		d.last = [3]byte{d.last[1], d.last[2], b}
	}
}

func (d *dots) skip(budget int64) error {
	for {
		piece, err := d.next()
		if errors.Is(err, errEnd) {
			return nil
		}
		if err != nil {
			return err
		}
		if budget -= int64(len(piece)); budget < 0 {
			return errBudget
		}
	}
}

// chunks is the source of BDAT (RFC 3030 §2). A chunk that ends before its announced size is an error, also after an orderly
// close of TLS.
type chunks struct {
	w    *wire
	left int64 // of the chunk that is being read
	last bool
	// more answers the chunk that has been read and gives the next one.
	more func() (size int64, last bool, err error)
}

func (c *chunks) next() ([]byte, error) {
	for c.left == 0 {
		if c.last {
			return nil, errEnd
		}
		size, last, err := c.more()
		if err != nil {
			return nil, err
		}
		c.left, c.last = size, last
	}
	piece, err := c.w.piece(c.left)
	if err != nil {
		return nil, truncated(err)
	}
	c.left -= int64(len(piece))
	return piece, nil
}

func (c *chunks) skip(budget int64) error {
	if c.left > budget {
		return errBudget
	}
	for c.left > 0 {
		piece, err := c.w.piece(c.left)
		if err != nil {
			return truncated(err)
		}
		c.left -= int64(len(piece))
	}
	return nil
}

func truncated(err error) error {
	if fault.CodeOf(err) == codeLost {
		return lost(codeTruncated, err)
	}
	return err
}

// body is the reader that a flow gets. It checks as it reads (I-33, L-1, L-5); a violation is a *fault.Error and is final.
type body struct {
	src   source
	clean cleaner
	limit int64 // 0 is none
	total int64
	ready []byte // checked octets that wait to be read
	ended bool   // the source has been read to its end
	whole bool   // and nothing is wrong with the message
	err   error  // final; io.EOF when whole
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	for len(b.ready) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

func (b *body) fill() {
	piece, err := b.src.next()
	if errors.Is(err, errEnd) {
		b.ended = true
		if b.err = b.clean.end(); b.err == nil {
			b.ready, b.whole, b.err = b.clean.out, true, io.EOF
		}
		return
	}
	if errors.Is(err, io.EOF) {
		err = lost(codeLost, err) // a reader's io.EOF is kept for whole messages
	}
	if err != nil {
		b.err = err
		return
	}
	if b.total += int64(len(piece)); b.limit > 0 && b.total > b.limit {
		b.err = tooLarge(b.limit)
		return
	}
	b.ready, b.err = b.clean.feed(piece)
}

func tooLarge(limit int64) *fault.Error {
	return fault.New(fault.TooLarge, codeTooLarge, "message size exceeds %d bytes", limit)
}

// settle is called when the flow is done. It reads on to the end of the message or chunk, so that the next command is found,
// and gives what was wrong with the message; usable is false when the connection cannot be used any more.
func (b *body) settle() (usable bool, finding error) {
	switch {
	case b.whole:
		return true, nil
	case b.ended || fault.CodeOf(b.err) == codeAborted:
		return true, b.err
	case lastWord(b.err):
		return false, b.err
	}
	budget := 2*b.limit - b.total
	if b.limit == 0 {
		budget = 1 << 30
	}
	skipped := b.src.skip(budget)
	if skipped != nil && !errors.Is(skipped, errBudget) {
		return false, skipped
	}
	return skipped == nil, b.err
}

// lastWord reports whether an error of reading means that the connection is lost.
func lastWord(err error) bool { return fault.Is(err, fault.Unavailable) }

// cleaner checks the octets of a message. On port 25 a CR or LF that is not part of CR LF is refused; from a signed-in user it
// becomes CR LF, before anything is stored or signed (I-33, X-4). NUL and endless lines are refused from both.
type cleaner struct {
	strict  bool
	maxLine int // 0 is none
	column  int
	cr      bool // a CR has been seen and not yet written
	out     []byte
}

// feed gives the checked octets; they are valid until the next call, or until piece is written over.
func (c *cleaner) feed(piece []byte) ([]byte, error) {
	if c.clean(piece) {
		return piece, nil
	}
	return c.octets(piece)
}

// octets is feed for any piece.
func (c *cleaner) octets(piece []byte) ([]byte, error) {
	c.out = c.out[:0]
	for _, b := range piece {
		if c.cr {
			if b == '\r' && !c.strict {
				continue // a run of CR is one line end
			}
			c.cr = false
			if b != '\n' && c.strict {
				return nil, bareNewline()
			}
			c.newline()
			if b == '\n' {
				continue
			}
		}
		switch b {
		case '\r':
			c.cr = true
		case '\n':
			if c.strict {
				return nil, bareNewline()
			}
			c.newline()
		case 0:
			return nil, fault.New(fault.Invalid, codeNUL, "NUL octet in message")
		default:
			c.out = append(c.out, b)
			if c.column++; c.maxLine > 0 && c.column > c.maxLine {
				return nil, fault.New(fault.Invalid, codeLineTooLong, "a line of the message is longer than %d octets", c.maxLine)
			}
		}
	}
	return c.out, nil
}

// clean reports whether nothing in the piece has to be looked at octet by octet: lines of a lawful length, all ended by CR LF, and
// maybe the beginning of another one. Nearly everything is like that.
func (c *cleaner) clean(piece []byte) bool {
	if c.cr || bytes.IndexByte(piece, 0) >= 0 {
		return false
	}
	column := c.column
	for rest := piece; len(rest) > 0; {
		var line []byte
		end := bytes.IndexByte(rest, '\n')
		switch {
		case end < 0:
			line, rest = rest, nil
		case end == 0 || rest[end-1] != '\r':
			return false
		default:
			line, rest = rest[:end-1], rest[end+1:]
		}
		column += len(line)
		if bytes.IndexByte(line, '\r') >= 0 || c.maxLine > 0 && column > c.maxLine {
			return false
		}
		if end >= 0 {
			column = 0
		}
	}
	c.column = column
	return true
}

// end is told that the message is complete; out then holds what was still to be written.
func (c *cleaner) end() error {
	c.out = c.out[:0]
	if !c.cr {
		return nil
	}
	if c.strict {
		return bareNewline()
	}
	c.newline()
	return nil
}

func (c *cleaner) newline() {
	c.out = append(c.out, '\r', '\n')
	c.column = 0
}

func bareNewline() *fault.Error {
	return fault.New(fault.Invalid, codeBareNewline, "bare CR or LF in message")
}
