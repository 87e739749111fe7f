package imapwire

import (
	"io"
	"slices"

	"github.com/emersion/go-imap/v2"
)

// Literal is the message of an APPEND, read by the engine while it arrives. It is an imap.LiteralReader. The engine may refuse
// the message before reading any of it: it then calls Close and answers.
type Literal struct {
	r       *Reader
	head    head
	size    int64
	left    int64
	sync    bool
	started bool
	closed  bool
	utf8    bool // inside UTF8 (~{n}), RFC 6855 §4
}

var _ imap.LiteralReader = (*Literal)(nil)

// Size is the number of bytes the client announced. It may be anything up to math.MaxInt64.
func (l *Literal) Size() int64 { return l.size }

// NonSync says that the client sends the bytes without waiting.
func (l *Literal) NonSync() bool { return !l.sync }

// Accept tells a waiting client to send the message. Read does so too.
func (l *Literal) Accept() error {
	if l.started || l.closed {
		return nil
	}
	l.started = true
	if !l.sync {
		return nil
	}
	return l.r.cont("Ready for literal data")
}

// Read gives the bytes of the message, then io.EOF. A connection that ends before gives io.ErrUnexpectedEOF.
func (l *Literal) Read(p []byte) (int, error) {
	if l.closed || l.r.dead {
		return 0, ErrClose
	}
	if err := l.Accept(); err != nil {
		return 0, err
	}
	if l.left == 0 {
		return 0, io.EOF
	}
	n, err := l.r.in.buffer().Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	if err != nil && l.left > 0 {
		l.r.dead = true
		return n, midway(err)
	}
	return n, nil
}

// Close reads to the end of the command, skipping what was not read of the message. The message may only be stored if Close
// gives nil: an *Error says that something else than the end of the line came after it, as from a client that appends several
// messages at once. The command gets one answer, so an *Error that does not wrap ErrClose is dropped by an engine that has
// refused the message for its own reason. A message that is neither accepted nor already on its way costs nothing to close.
func (l *Literal) Close() error {
	if l.closed {
		return nil
	}
	l.closed, l.r.lit = true, nil
	if l.r.dead {
		return ErrClose
	}
	if l.sync && !l.started {
		return nil
	}
	if l.left > l.r.lim.AppendDrain {
		return l.r.failed(l.head, tooBig("Message is too large to be skipped"), ErrClose)
	}
	if err := l.r.skip(l.left); err != nil {
		return l.r.failed(l.head, bad("Message ended early"), err)
	}
	return l.rest()
}

// rest reads what follows the message on its line, which has to be nothing.
func (l *Literal) rest() error {
	l.r.clear()
	m, over, err := l.r.keepLine(l.r.lim.Command)
	if err != nil {
		return l.r.failed(l.head, bad("Command ended early"), err)
	}
	want := ""
	if l.utf8 {
		want = ")"
	}
	if !over && string(l.r.buf) == want {
		return nil
	}
	return l.r.refuse(l.head, bad("Only one message can be appended by a command"), m)
}

// isMessage says whether the announced literal is the message of an APPEND, not the name of the mailbox.
func (r *Reader) isMessage(h head, m marker) bool {
	return h.name == cmdAppend && len(r.buf)-m.len != h.pos+1
}

// startAppend parses everything in front of the message, so that a bad command is refused before the client sends it.
func (r *Reader) startAppend(h head, m marker) (*Command, error) {
	if m.kind == markerUnsure {
		return nil, r.refuse(h, bad("Quoted string does not end"), m)
	}
	p := r.parser(h, r.buf[:len(r.buf)-m.len])
	args := parseAppend(p)
	p.end()
	if p.err != nil {
		return nil, r.refuse(h, p.err, m)
	}
	r.lit = &Literal{r: r, head: h, size: m.size, left: m.size, sync: m.kind == markerSync, utf8: args.UTF8}
	args.Message = r.lit
	return &Command{Tag: h.tag, Name: h.name, Args: args}, nil
}

// checkLiteral says why an announced literal is refused, or nil.
func (r *Reader) checkLiteral(m marker) *Error {
	switch {
	case m.kind == markerUnsure:
		return bad("Quoted string does not end")
	case m.size > int64(r.lim.Literals-r.inLits), m.size > int64(r.lim.Command-len(r.buf)):
		return tooBig("Literal is too large")
	}
	return nil
}

// readLiteral takes the bytes of a literal into the buffer. The buffer grows with what has arrived, not with what was announced.
func (r *Reader) readLiteral(m marker) error {
	if m.kind == markerSync {
		if err := r.cont("Ready for literal data"); err != nil {
			return err
		}
	}
	r.lits = append(r.lits, len(r.buf))
	r.inLits += int(m.size)
	for left := int(m.size); left > 0; {
		step := min(left, readBufferSize)
		r.buf = slices.Grow(r.buf, step)
		n, err := r.in.buffer().Read(r.buf[len(r.buf) : len(r.buf)+step])
		r.buf = r.buf[:len(r.buf)+n]
		if left -= n; err != nil {
			r.dead = true
			return midway(err)
		}
	}
	return nil
}
