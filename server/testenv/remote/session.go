package remote

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// errEnd says that the connection has come to its scripted end.
var errEnd = errors.New("the session ends here")

// session is one connection. Everything but record belongs to its goroutine; cut may be called by others.
type session struct {
	mx   *MX
	raw  *net.TCPConn
	conn net.Conn // raw, or TLS over it
	r    *bufio.Reader
	w    *bufio.Writer
	step SessionStep

	record  record
	cutOnce sync.Once

	greeted  bool // EHLO or HELO was answered with 2xx
	extended bool // it was EHLO
	version  string
	user     string
	messages int
	mail     *transaction
	body     []byte
}

// transaction is from MAIL to the reply to the final dot.
type transaction struct {
	from, params string
	to           []string
	attempts     []int
	steps        []Step
}

func newSession(m *MX, conn *net.TCPConn, number int) *session {
	s := &session{mx: m, raw: conn}
	s.record.quiet = m.cfg.Discard
	s.record.info = Session{Number: number, Remote: addrPort(conn.RemoteAddr()), Start: time.Now()}
	s.use(conn)
	return s
}

// use makes conn what is read from and written to; what was buffered is gone.
func (s *session) use(conn net.Conn) {
	s.conn = conn
	s.r, s.w = bufio.NewReaderSize(conn, bufferSize), bufio.NewWriterSize(conn, 4096)
}

// cut ends the connection with RST.
func (s *session) cut() {
	s.cutOnce.Do(func() {
		_ = s.raw.SetLinger(0)
		s.raw.Close()
	})
}

// finish ends the connection in the ordinary way.
func (s *session) finish() {
	_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	s.cutOnce.Do(func() { s.conn.Close() })
}

// run is the whole life of a session.
func (s *session) run() {
	defer s.finish()
	switch {
	case s.step.Drop:
		return
	case s.step.Reset:
		s.cut()
		return
	case s.step.Hang:
		s.hang()
		return
	}
	if s.mx.cfg.ImplicitTLS && s.step.TLS != TLSAbsent {
		if s.handshake() != nil {
			return
		}
	}
	err := s.answer(s.ruled(StageBanner), 220, s.mx.cfg.Hostname+" ESMTP remote")
	for err == nil {
		var line []byte
		if line, err = s.line(); err == nil {
			err = s.command(line)
		}
	}
	if !errors.Is(err, net.ErrClosed) {
		_ = s.flush()
	}
}

// hang reads what comes until the client or the server ends.
func (s *session) hang() {
	_ = s.flush()
	_ = s.conn.SetReadDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, s.r)
}

// ruled is what the session's script says about a stage.
func (s *session) ruled(stage Stage) Reply {
	if s.messages < s.step.After {
		return Reply{}
	}
	return s.step.Replies[stage]
}

// line reads a command line. What was written is flushed before the client is waited for.
func (s *session) line() ([]byte, error) {
	if err := s.settle(); err != nil {
		return nil, err
	}
	line, err := s.r.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	if len(line) > maxLine {
		s.record.fault("command line of more than %d octets", maxLine)
		_ = s.answer(Reply{}, 500, "5.5.2 line too long")
		return nil, errEnd
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		s.record.fault("command line that ends in LF without CR")
		text = bytes.TrimSuffix(line, []byte("\n"))
	}
	return text, nil
}

// settle flushes and sets the deadline when no whole line is waiting.
func (s *session) settle() error {
	waiting, _ := s.r.Peek(s.r.Buffered())
	if bytes.IndexByte(waiting, '\n') >= 0 {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	return s.conn.SetReadDeadline(time.Now().Add(s.mx.cfg.Idle))
}

func (s *session) flush() error {
	if s.w.Buffered() == 0 {
		return nil
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.mx.cfg.Idle)); err != nil {
		return err
	}
	return s.w.Flush()
}

// command answers one command line.
func (s *session) command(line []byte) error {
	verb, rest, _ := strings.Cut(string(line), " ")
	verb = strings.ToUpper(verb)
	rest = strings.TrimSpace(rest)
	if verb == "AUTH" {
		mechanism, _, _ := strings.Cut(rest, " ")
		s.record.note("C: ", []byte("AUTH "+mechanism+" ***"))
		return s.authenticate(rest)
	}
	s.record.note("C: ", line)
	if s.step.NoPipelining && s.r.Buffered() > 0 && verb != "DATA" {
		s.record.fault("commands behind %s although PIPELINING was not offered", verb)
	}
	switch verb {
	case "EHLO", "HELO":
		return s.hello(verb, rest)
	case "STARTTLS":
		return s.startTLS()
	case "MAIL":
		return s.from(rest)
	case "RCPT":
		return s.rcpt(rest)
	case "DATA":
		return s.data()
	case "RSET":
		s.mail = nil
		return s.answer(s.ruled(StageRset), 250, "2.0.0 ok")
	case "NOOP":
		return s.answer(s.ruled(StageNoop), 250, "2.0.0 ok")
	case "QUIT":
		return s.quit()
	case "VRFY":
		return s.answer(Reply{}, 252, "2.5.0 send and see")
	}
	s.record.fault("unknown command %.40q", line)
	return s.answer(Reply{}, 500, "5.5.1 unknown command")
}

func (s *session) quit() error {
	reply := s.ruled(StageQuit)
	if reply == (Reply{}) {
		s.mx.goodbye(s)
	}
	if err := s.answer(reply, 221, "2.0.0 bye"); err != nil {
		return err
	}
	return errEnd
}
