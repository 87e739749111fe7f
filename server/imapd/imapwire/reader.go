package imapwire

import (
	"bufio"
	"errors"
	"io"

	"github.com/emersion/go-imap/v2"
)

// Reader reads commands one at a time. It is not safe for concurrent use.
type Reader struct {
	in     input
	lim    Limits
	utf8   bool
	cont   func(text string) error
	buf    []byte // the command, its literals in place behind their markers
	lits   []int  // where in buf the bytes of each literal start
	inLits int    // bytes of literals in buf
	lit    *Literal
	dead   bool
}

// NewReader reads from rd within lim. The Reader calls cont when the client may send a synchronising literal; cont has to write
// the continuation and flush it.
func NewReader(rd io.Reader, lim Limits, cont func(text string) error) *Reader {
	return &Reader{in: input{rd: rd}, lim: lim, cont: cont}
}

// Share takes buffers from those of the server instead of making them.
func (r *Reader) Share(b *Buffers) { r.in.buffers = b }

// SetLimits replaces the limits from the next command on.
func (r *Reader) SetLimits(lim Limits) { r.lim = lim }

// SetUTF8 says whether mailbox names come in UTF-8 (after ENABLE UTF8=ACCEPT or IMAP4rev2) instead of modified UTF-7.
func (r *Reader) SetUTF8(on bool) { r.utf8 = on }

// Buffered is the number of bytes received and not yet read. After STARTTLS anything but zero is an injection (S-2).
func (r *Reader) Buffered() int { return r.in.buffered() }

// Reset drops every byte received so far and reads from rd, which is how plaintext is forgotten at STARTTLS (S-2). It returns
// how many bytes were dropped.
func (r *Reader) Reset(rd io.Reader) int {
	n := r.in.drop()
	r.in.rd, r.in.err = rd, nil
	r.clear()
	r.lit, r.dead = nil, false
	return n
}

// Discard drops the bytes received and not yet read, and returns how many there were.
func (r *Reader) Discard() int { return r.in.drop() }

// Wait returns when at least one byte of the next command is there. With it the engine can give an idle client more time than
// one in the middle of a command. No buffer is held meanwhile.
func (r *Reader) Wait() error {
	r.clear()
	return r.in.rest()
}

// ReadCommand reads the next command. Its error is an *Error to answer, io.EOF if the client went away between commands, or
// what the connection returned. An APPEND whose message the engine left unfinished is closed first, and the error of that
// returned.
func (r *Reader) ReadCommand() (*Command, error) {
	if r.dead {
		return nil, ErrClose
	}
	if r.lit != nil {
		if err := r.lit.Close(); err != nil {
			return nil, err
		}
	}
	r.clear()
	m, over, err := r.keepLine(r.lim.Command)
	if err != nil {
		return nil, err
	}
	h, refused := parseHead(r.buf)
	if over {
		refused = tooMuch("Command line is too long")
	}
	if refused != nil {
		return nil, r.refuse(h, refused, m)
	}
	return r.readRest(h, m)
}

// readRest reads the literals of a command and the lines after them, then parses the whole.
func (r *Reader) readRest(h head, m marker) (*Command, error) {
	for m.kind != markerNone {
		if h.verb == nil {
			return r.unknown(h, m)
		}
		if r.isMessage(h, m) {
			return r.startAppend(h, m)
		}
		if refused := r.checkLiteral(m); refused != nil {
			return nil, r.refuse(h, refused, m)
		}
		if err := r.readLiteral(m); err != nil {
			return nil, err
		}
		var over bool
		var err error
		if m, over, err = r.keepLine(r.lim.Command - len(r.buf)); err != nil {
			return nil, r.failed(h, bad("Command ended early"), err)
		}
		if over {
			return nil, r.refuse(h, tooMuch("Command is too long"), m)
		}
	}
	return r.parse(h)
}

// parse turns the whole command in the buffer into its values.
func (r *Reader) parse(h head) (*Command, error) {
	if h.verb == nil {
		return r.unknown(h, marker{})
	}
	p := r.parser(h, r.buf)
	args := h.verb(p)
	p.end()
	if p.err != nil {
		p.err.Tag = h.tag
		return nil, p.err
	}
	return &Command{Tag: h.tag, Name: h.name, UID: h.uid, Args: args}, nil
}

func (r *Reader) parser(h head, b []byte) *parser {
	return &parser{b: b, pos: h.pos, lits: r.lits, lim: r.lim, utf8: r.utf8, uid: h.uid}
}

// unknown is a command of a name the server does not have. Its literals are skipped.
func (r *Reader) unknown(h head, m marker) (*Command, error) {
	if err := r.resync(m); err != nil {
		return nil, r.failed(h, bad("Unknown command"), err)
	}
	return &Command{Tag: h.tag, Name: h.name, UID: h.uid, Args: &UnknownCommand{}}, nil
}

// refuse skips what the client sends for a refused command and gives the error to answer.
func (r *Reader) refuse(h head, e *Error, m marker) error {
	if err := r.resync(m); err != nil {
		return r.failed(h, e, err)
	}
	e.Tag = h.tag
	return e
}

// failed is a command after which the Reader is out of step: to be answered if the client still listens.
func (r *Reader) failed(h head, e *Error, err error) error {
	r.dead = true
	if !errors.Is(err, ErrClose) {
		return midway(err)
	}
	e.Tag, e.Fatal = h.tag, true
	return e
}

// resync skips the literal a refused line announced, and everything of the same command after it. Bytes of a refused literal
// are never read as commands. After a synchronising literal there is nothing to skip: the client was not told to send it.
func (r *Reader) resync(m marker) error {
	budget := r.lim.Drain
	for m.kind == markerNonSync {
		if m.size > budget {
			return ErrClose
		}
		budget -= m.size
		if err := r.skip(m.size); err != nil {
			return err
		}
		var err error
		if m, err = r.skipLine(&budget); err != nil {
			return err
		}
	}
	if m.kind == markerUnsure {
		return ErrClose
	}
	return nil
}

// keepLine appends the next line without its end to the buffer, at most room bytes of it. What is over is skipped.
func (r *Reader) keepLine(room int) (m marker, over bool, err error) {
	var scan lineScan
	start, skipped := len(r.buf), int64(0)
	for {
		chunk, err := r.in.buffer().ReadSlice('\n')
		scan.feed(chunk)
		if free := room - (len(r.buf) - start); over || len(trimEOL(chunk)) > free {
			over = true
			chunk, skipped = chunk[:max(free, 0)], skipped+int64(len(chunk))
		}
		r.buf = append(r.buf, chunk...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return marker{}, over, r.cut(err, over || len(r.buf) > start)
		}
		if skipped > r.lim.Drain {
			return marker{kind: markerUnsure}, true, nil
		}
	}
	if !over {
		r.buf = r.buf[:start+len(trimEOL(r.buf[start:]))]
	}
	return scan.end(), over, nil
}

// cut is the error of a line that did not end.
func (r *Reader) cut(err error, begun bool) error {
	if !begun {
		return err
	}
	r.dead = true
	return midway(err)
}

// skipLine reads a line and forgets it.
func (r *Reader) skipLine(budget *int64) (marker, error) {
	var scan lineScan
	for {
		chunk, err := r.in.buffer().ReadSlice('\n')
		scan.feed(chunk)
		*budget -= int64(len(chunk))
		if err == nil {
			return scan.end(), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return marker{}, err
		}
		if *budget < 0 {
			return marker{}, ErrClose
		}
	}
}

func (r *Reader) skip(n int64) error {
	for n > 0 {
		step := int(min(n, 1<<20))
		if _, err := r.in.buffer().Discard(step); err != nil {
			return err
		}
		n -= int64(step)
	}
	return nil
}

// ReadLine reads one line that is not a command, without its end: the DONE of IDLE, the answers of AUTHENTICATE. It may have at
// most limit bytes; a longer one is skipped and gives an *Error without a tag. The bytes are valid until the next call.
func (r *Reader) ReadLine(limit int) ([]byte, error) {
	if r.dead {
		return nil, ErrClose
	}
	r.clear()
	if err := r.in.rest(); err != nil {
		return nil, err
	}
	m, over, err := r.keepLine(limit)
	if err != nil {
		return nil, err
	}
	if !over {
		return r.buf, nil
	}
	e := tooMuch("Line is too long")
	if m.kind == markerUnsure {
		e.Fatal, r.dead = true, true
	}
	return nil, e
}

// clear makes the buffer ready for a command, and gives a large one back.
func (r *Reader) clear() {
	if cap(r.buf) > keepReadBuffer {
		r.buf = nil
	}
	r.buf, r.lits, r.inLits = r.buf[:0], r.lits[:0], 0
}

// midway turns the end of the input inside a command into an error of its own.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func tooBig(text string) *Error {
	return &Error{Status: imap.StatusResponseTypeBad, Code: imap.ResponseCodeTooBig, Text: text}
}
