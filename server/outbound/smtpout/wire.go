package smtpout

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
)

const (
	readBuffer  = 4 << 10
	writeBuffer = 16 << 10
)

var (
	// errUnasked says that octets came that no command had asked for: what follows cannot be matched with commands (S-2).
	errUnasked = errors.New("the remote speaks without being asked")
	// errCommand says that a command would be more than one line.
	errCommand = errors.New("a command with a control character")
)

// wire is one socket to a remote, in clear or under TLS. Reads are whole replies with one deadline each, so that a dripping
// remote gains nothing; writes have a deadline for each block. It is used by one goroutine; cut and hurry may come from others.
type wire struct {
	raw  net.Conn // the socket
	conn net.Conn // raw, or TLS above it
	r    *bufio.Reader
	w    *bufio.Writer
	// Deadlines of sockets are moments of the system's clock, whatever clock the rest of the program follows.
	sys          clock.Clock
	block, grace time.Duration

	mu sync.Mutex
	// leash is the context whose end cuts the wire. dotted says that the final dot may be out: then nothing cuts it.
	leash  context.Context //nolint:containedctx // one connection, one letter at a time
	dotted bool
	// hurried says that the caller's context has ended.
	hurried bool
}

func newWire(raw net.Conn, t Timeouts) *wire {
	w := &wire{raw: raw, conn: raw, sys: clock.System(), block: t.Block, grace: t.Grace}
	w.r = bufio.NewReaderSize(raw, readBuffer)
	w.w = bufio.NewWriterSize(w, writeBuffer)
	return w
}

// hold ties the wire to the contexts of one letter: the end of inner closes it at once unless the final dot is out; the end of
// outer leaves it the grace to hear the reply to the dot. The returned function unties it and reports whether it may be used on.
func (w *wire) hold(outer, inner context.Context) (release func() bool) {
	w.mu.Lock()
	w.leash, w.dotted, w.hurried = inner, false, false
	w.mu.Unlock()
	stopInner := context.AfterFunc(inner, w.cut)
	stopOuter := context.AfterFunc(outer, w.hurry)
	return func() bool {
		untouched := stopInner()
		untouched = stopOuter() && untouched
		w.mu.Lock()
		defer w.mu.Unlock()
		w.dotted, w.hurried = false, false
		return untouched
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dotted {
		w.raw.Close()
	}
}

func (w *wire) hurry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hurried = true
	if w.dotted {
		w.raw.SetDeadline(w.sys.Now().Add(w.grace))
	}
}

// commit is the last moment at which the end of the context stops the letter: after nil the dot goes out.
func (w *wire) commit() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.leash.Err(); err != nil {
		return err
	}
	w.dotted = true
	return nil
}

// settled says that the reply to the dot is there, or will not come: from now on the end of the context counts again.
func (w *wire) settled() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dotted = false
	if w.leash.Err() != nil {
		w.raw.Close()
	}
}

// limit bounds what is done next.
func (w *wire) limit(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hurried && w.dotted {
		d = min(d, w.grace)
	}
	w.raw.SetDeadline(w.sys.Now().Add(d))
}

// Write sends a block. It is what the buffered writer of the wire empties itself into.
func (w *wire) Write(p []byte) (int, error) {
	w.limit(w.block)
	return w.conn.Write(p)
}

// say puts command lines into the buffer.
func (w *wire) say(lines ...string) error {
	for _, line := range lines {
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return errCommand
		}
		// A fault stays in the writer and comes back from Flush.
		_, _ = w.w.WriteString(line)
		_, _ = w.w.WriteString("\r\n")
	}
	return nil
}

// hear reads one reply, which must be complete in time.
func (w *wire) hear(d time.Duration) (reply, error) {
	w.limit(d)
	return readReply(w.r)
}

// quiet fails when the remote has said something that nobody has asked for. It sees only what has been read already.
func (w *wire) quiet() error {
	if w.r.Buffered() > 0 {
		return errUnasked
	}
	return nil
}

// ask sends one command and reads its reply.
func (w *wire) ask(d time.Duration, line string) (reply, error) {
	err := w.send(line)
	if err != nil {
		return reply{}, err
	}
	return w.hear(d)
}

// send sends command lines, of which each will be answered.
func (w *wire) send(lines ...string) error {
	if err := w.quiet(); err != nil {
		return err
	}
	if err := w.say(lines...); err != nil {
		return err
	}
	return w.w.Flush()
}

// secure puts TLS above the socket. Everything read in clear and not used is forgotten (O-13).
func (w *wire) secure(conn net.Conn) {
	w.conn = conn
	w.r.Reset(conn)
}

func (w *wire) close() { w.raw.Close() }
