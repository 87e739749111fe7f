package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/mailserver-dev/mailserver/server/clock"
	"github.com/mailserver-dev/mailserver/server/fault"
)

const (
	// maxLine is the longest command line, AUTH the longest of them (L-4, RFC 4954 §4); both with CRLF.
	maxLine     = 2048
	maxAuthLine = 12288
	// maxDiscard is how much of an overlong line is skipped before the connection is given up.
	maxDiscard = 64 << 10
	// readBuffer also is the largest piece of a body that is handled at once.
	readBuffer = 8 << 10
	// maxReplies is how much may wait to be sent while a client pipelines commands.
	maxReplies = 32 << 10
)

// halt says how urgently a connection has to end.
type halt uint8

const (
	running halt = iota
	finish       // after the transaction whose body is being read
	now          // at once
)

// wire reads lines and octets from a connection and sends replies, within deadlines. It is used by one goroutine; stop is the
// exception. The first read error is sticky: nothing that arrives later is ever interpreted.
type wire struct {
	raw    net.Conn
	nc     net.Conn // raw, or the TLS connection over it
	br     *bufio.Reader
	clk    clock.Clock
	limits *Limits
	out    []byte // replies that wait for the next read
	broken error  // a *fault.Error once reading has failed
	deaf   error  // why the client cannot be told anything any more

	due    time.Time // for the command line that is being read; zero means never
	dueWhy string
	began  time.Time // of the body that is being read
	got    int64     // octets of it

	mu     sync.Mutex
	halted halt
	inBody bool
}

func newWire(nc net.Conn, clk clock.Clock, limits *Limits) *wire {
	w := &wire{raw: nc, nc: nc, clk: clk, limits: limits}
	w.br = bufio.NewReaderSize(readerFunc(w.fill), readBuffer)
	return w
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// fill reads from the connection. Replies that wait are sent first, so pipelined commands are answered together (RFC 2920 §3.2).
func (w *wire) fill(p []byte) (int, error) {
	if w.broken != nil {
		return 0, w.broken
	}
	if err := w.flush(); err != nil {
		w.broken = lost(codeLost, err)
		return 0, w.broken
	}
	due, why := w.deadline()
	w.arm(due)
	n, err := w.nc.Read(p)
	w.got += int64(n)
	if err != nil {
		w.broken = w.classify(err, why)
	}
	return n, w.broken
}

// deadline gives the end of the wait for the next octets: for a command line a fixed moment, so that it cannot be dripped; for a
// body the block, the total and the minimum rate, whichever is first.
func (w *wire) deadline() (time.Time, string) {
	if !w.inBody {
		return w.due, w.dueWhy
	}
	at, why := time.Time{}, codeDataTimeout
	if w.limits.DataBlock > 0 {
		at = w.clk.Now().Add(w.limits.DataBlock)
	}
	if w.limits.DataTotal > 0 {
		at, why = sooner(at, why, w.began.Add(w.limits.DataTotal), codeDataTimeout)
	}
	if rate := w.limits.DataRate; rate > 0 {
		earned := time.Duration(w.got) * time.Second / time.Duration(rate)
		at, why = sooner(at, why, w.began.Add(w.limits.DataGrace+earned), codeDataSlow)
	}
	return at, why
}

// sooner gives the earlier of two moments, where zero means never.
func sooner(a time.Time, aWhy string, b time.Time, bWhy string) (time.Time, string) {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b, bWhy
	}
	return a, aWhy
}

// arm sets the read deadline, unless the connection has to end.
func (w *wire) arm(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ending() {
		at = past()
	}
	w.nc.SetReadDeadline(at)
}

// ending reports whether reading must stop now. w.mu is held.
func (w *wire) ending() bool { return w.halted == now || w.halted == finish && !w.inBody }

// stop tells the connection to end; it may be called from any goroutine.
func (w *wire) stop(h halt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.halted = max(w.halted, h)
	if w.ending() {
		w.raw.SetReadDeadline(past())
	}
}

// stopping reports whether the connection has to end: for good, when a body is being read.
func (w *wire) stopping() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ending()
}

// past is a moment that has passed by every clock.
func past() time.Time { return time.Unix(1, 0) }

func (w *wire) classify(err error, why string) error {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return lost(codeLost, err)
	case w.stopping():
		return lost(codeStopping, err)
	}
	return lost(why, err)
}

// lost is the error of a connection that is not read from any more.
func lost(word string, cause error) *fault.Error {
	text := "connection lost before the end of the message"
	switch word {
	case codeStopping:
		text = "shutting down"
	case codeIdle, codeDataTimeout:
		text = "timeout"
	case codeDataSlow:
		text = "timeout, the message came too slowly"
	case codeSessionLife:
		text = "session too long, reconnect"
	case codeTruncated:
		text = "connection lost before the end of the chunk"
	case codeFlood:
		text = "line too long, closing connection"
	}
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF // who looks for io.EOF in the chain looks for the end of a message
	}
	return fault.Wrap(cause, fault.Unavailable, word, "%s", text)
}

// readLine reads a command line of at most maxAuthLine octets until due and gives it without its CRLF (RFC 5321 §2.3.8). An
// error of kind Malformed concerns this line only; any other is final.
func (w *wire) readLine(due time.Time, why string) (string, error) {
	w.due, w.dueWhy = due, why
	if w.broken == nil && w.stopping() {
		w.broken = lost(codeStopping, os.ErrDeadlineExceeded)
	}
	if w.broken != nil {
		return "", w.broken
	}
	var line []byte
	for seen := 0; ; {
		piece, err := w.br.ReadSlice('\n')
		seen += len(piece)
		if len(line) <= maxAuthLine {
			line = append(line, piece...)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		if seen > maxDiscard {
			w.broken = lost(codeFlood, err)
			return "", w.broken
		}
	}
	switch text, ok := bytes.CutSuffix(line, []byte("\r\n")); {
	case len(line) > maxAuthLine:
		return "", fault.New(fault.Malformed, codeBadLine, "line too long")
	case !ok:
		return "", fault.New(fault.Malformed, codeBadLine, "a line must end in CR LF")
	default:
		return string(text), nil
	}
}

// piece gives up to max octets that have arrived, at least one. They are valid until the next read.
func (w *wire) piece(limit int64) ([]byte, error) {
	if _, err := w.br.Peek(1); err != nil {
		return nil, err
	}
	b, err := w.br.Peek(int(min(int64(w.br.Buffered()), limit)))
	if err != nil {
		return nil, err
	}
	_, err = w.br.Discard(len(b))
	return b, err
}

// open reports whether the client may still be sending.
func (w *wire) open() bool { return w.broken == nil || fault.CodeOf(w.broken) == codeFlood }

// body switches between the deadlines of commands and those of a body.
func (w *wire) body(on bool) {
	w.began, w.got = w.clk.Now(), 0
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inBody = on
}

// put queues a reply line.
func (w *wire) put(line string) {
	w.out = append(w.out, line...)
	if len(w.out) > maxReplies {
		w.flush() //nolint:errcheck // the connection's next read reports it
	}
}

// flush sends the queued replies. After the first failure nothing is sent any more.
func (w *wire) flush() error {
	if w.deaf == nil && len(w.out) > 0 {
		if w.limits.Write > 0 {
			w.nc.SetWriteDeadline(w.clk.Now().Add(w.limits.Write))
		}
		_, w.deaf = w.nc.Write(w.out)
	}
	w.out = w.out[:0]
	return w.deaf
}

// startTLS makes the connection a TLS server. What the client sent in clear beyond its last command is dropped unread, so that
// it can never pass as sent under TLS (RFC 3207 §4.2, mail-rules S-2).
func (w *wire) startTLS(ctx context.Context, config *tls.Config) error {
	if err := w.flush(); err != nil {
		return err
	}
	if w.limits.Handshake > 0 {
		w.due = w.clk.Now().Add(w.limits.Handshake)
	}
	w.arm(w.due)
	w.raw.SetWriteDeadline(w.due)
	secure := tls.Server(w.raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		w.broken = lost(codeLost, err)
		return err
	}
	w.raw.SetWriteDeadline(time.Time{})
	w.nc = secure
	w.br.Reset(readerFunc(w.fill))
	return nil
}

// talksEarly waits for d and reports whether the client sent anything meanwhile (I-1).
func (w *wire) talksEarly(d time.Duration) (bool, error) {
	w.arm(w.clk.Now().Add(d))
	n, err := w.raw.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) && !w.stopping() {
		return false, nil
	}
	return n > 0, err
}

// secure gives the TLS state; ok is false in clear.
func (w *wire) secure() (tls.ConnectionState, bool) {
	c, ok := w.nc.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, false
	}
	return c.ConnectionState(), true
}

// close sends what is queued and closes. With linger it first says that it is done and then takes what the client is still
// sending for a moment: a close with octets unread would reset the connection and destroy the last reply.
func (w *wire) close(linger bool) {
	if err := w.flush(); err == nil && linger {
		w.linger()
	}
	w.nc.Close()
}

func (w *wire) linger() {
	half, ok := w.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	w.raw.SetReadDeadline(w.clk.Now().Add(time.Second))
	io.CopyN(io.Discard, w.raw, 1<<20) //nolint:errcheck // whatever comes is dropped
}
