package smtpd

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"
)

// front is the connection as go-smtp sees it: reading gives one screened command line, writing takes the library's replies.
type front struct {
	*session
	handout []byte // of the line that the library is reading
	partial []byte // of the reply that the library is writing
}

// Read implements net.Conn. io.EOF is the end of the session, whatever was the reason; the client has been told already.
func (f *front) Read(p []byte) (int, error) {
	if len(f.handout) == 0 {
		text, ok := f.step()
		if !ok {
			return 0, io.EOF
		}
		f.handout = []byte(text + "\r\n")
	}
	n := copy(p, f.handout)
	f.handout = f.handout[n:]
	return n, nil
}

// step is next with a net under it: go-smtp recovers from panics of handlers, not from those of its connection.
func (f *front) step() (text string, ok bool) {
	if f.dot {
		f.dot = false
		return ".", true
	}
	defer func() {
		if r := recover(); r != nil {
			f.panicked(r) //nolint:errcheck // it has been recorded
			f.end(f.farewell)
			text, ok = "", false
		}
	}()
	return f.next()
}

// Write implements net.Conn.
func (f *front) Write(p []byte) (int, error) {
	f.partial = append(f.partial, p...)
	for {
		text, rest, ok := bytes.Cut(f.partial, []byte("\r\n"))
		if !ok {
			return len(p), nil
		}
		f.relay(string(text))
		f.partial = append(f.partial[:0], rest...)
	}
}

// Close implements net.Conn.
func (f *front) Close() error {
	f.srv.ended(f.session)
	return nil
}

// LocalAddr implements net.Conn.
func (f *front) LocalAddr() net.Addr { return f.wire.raw.LocalAddr() }

// RemoteAddr implements net.Conn.
func (f *front) RemoteAddr() net.Addr { return f.wire.raw.RemoteAddr() }

// SetDeadline implements net.Conn. Deadlines are the wire's.
func (f *front) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (f *front) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (f *front) SetWriteDeadline(time.Time) error { return nil }

// relay passes a reply line of the library on, or our own in its place.
func (s *session) relay(text string) {
	code, last := 0, len(text) > 3 && text[3] == ' '
	for _, digit := range []byte(text[:min(3, len(text))]) {
		code = code*10 + int(digit-'0')
	}
	switch {
	case code == 354: // receive has said it, or will not
	case code == 250 && (s.verb == "EHLO" || s.verb == "HELO"):
		if last {
			s.greeting()
		}
	case code == 250 && s.verb == "MAIL":
		s.say("250 2.1.0 sender ok")
	case code == 250 && s.verb == "RCPT":
		s.say("250 2.1.5 recipient ok")
	case s.verb == "DATA" && s.mute:
		s.mute = !last
	default:
		s.sasl = code == 334
		s.emit(code, text)
	}
	if s.verb == "DATA" && s.chunk != nil && code != 354 {
		s.hang = true // the library refused what we had checked: the chunk must not be read as commands
	}
}

// say queues a reply that is not a refusal.
func (s *session) say(text string) { s.wire.put(text + "\r\n") }

// refuse queues a refusal of our own.
func (s *session) refuse(code int, enh enhanced, text string) {
	s.emit(code, fmt.Sprintf("%d %d.%d.%d %s", code, enh[0], enh[1], enh[2], text))
}

// emit queues a reply. Refusals end in the id of the session, wrong commands slow the session down and finally end it (I-53).
func (s *session) emit(code int, text string) {
	if code >= 400 {
		if !strings.Contains(text, s.id) {
			text += " " + s.id
		}
		s.log.DebugContext(s.ctx, "smtp reply", slog.String("verb", s.verb), slog.String("reply", text))
	}
	if code >= 500 && code < 550 {
		s.slowErrors()
	}
	s.say(text)
	if s.farewell != "" {
		s.end(s.farewell)
	}
}

func (s *session) slowErrors() {
	s.counts.errors++
	limits := s.limits()
	switch n := s.counts.errors; {
	case reached(n, limits.ErrorsHard):
		s.farewell = "421 4.7.0 too many errors, closing connection"
	case reached(n, limits.ErrorsSoft):
		s.pause(2 * limits.ErrorDelay)
	case reached(n, limits.ErrorsSlow):
		s.pause(limits.ErrorDelay)
	}
}

// end queues the last reply of the session.
func (s *session) end(text string) {
	s.farewell, s.hang = "", true
	if !strings.Contains(text, s.id) {
		text += " " + s.id
	}
	s.say(text)
}
