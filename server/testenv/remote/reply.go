package remote

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// answer gives a reply as scripted; code and text are the ordinary ones. An error ends the session.
func (s *session) answer(r Reply, code int, text string) error {
	if r.Code == 0 && r.Text != "" {
		text = r.Text
	}
	if r.Code != 0 {
		code, text = r.Code, r.Text
		if text == "" {
			text = usual(code)
		}
	}
	if r == (Reply{}) { // the fast path
		return s.put(render(code, text))
	}
	if err := s.pause(r.Gate, r.Delay); err != nil {
		return err
	}
	if err := s.write(r, code, text); err != nil {
		return err
	}
	return s.then(r.Then, code)
}

func (s *session) then(then Then, code int) error {
	switch then {
	case ThenDefault:
		if code == 421 {
			return errEnd
		}
		return nil
	case ThenStay:
		return nil
	case ThenClose:
		return errEnd
	case ThenReset:
		_ = s.flush()
		s.cut()
		return net.ErrClosed
	case ThenHang:
		s.hang()
	}
	return errEnd
}

// write writes a reply in its form.
func (s *session) write(r Reply, code int, text string) error {
	line := render(code, text)
	if r.Raw != "" {
		line = []byte(r.Raw)
	}
	switch r.Form {
	case FormPlain:
	case FormSilent:
		s.record.note("S: ", []byte("(nothing)"))
		return nil
	case FormHuge:
		line = append([]byte(strconv.Itoa(code)+" "), bytes.Repeat([]byte("x"), hugeOctets-len("250 \r\n"))...)
		line = append(line, "\r\n"...)
	case FormEndless:
		return s.endless(code, text)
	}
	if r.Drip <= 0 {
		return s.put(line)
	}
	s.record.note("S: ", line)
	for i := range line {
		if err := s.pause(nil, r.Drip); err != nil {
			return err
		}
		_ = s.w.WriteByte(line[i])
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

// endless writes lines of one reply until the client has enough of them.
func (s *session) endless(code int, text string) error {
	line := []byte(strconv.Itoa(code) + "-" + strings.ReplaceAll(text, "\n", " ") + "\r\n")
	s.record.note("S: ", []byte("(endless) "+string(line)))
	for sent := 0; sent < endlessOctets; sent += len(line) {
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.mx.cfg.Idle))
		if _, err := s.w.Write(line); err != nil {
			return err
		}
	}
	return errEnd
}

// put writes a whole reply into the buffer.
func (s *session) put(line []byte) error {
	if !s.record.quiet {
		for part := range bytes.Lines(line) {
			s.record.note("S: ", part[:min(len(part), 512)])
		}
	}
	if len(line) > s.w.Available() {
		if err := s.flush(); err != nil {
			return err
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.mx.cfg.Idle))
	}
	_, err := s.w.Write(line)
	return err
}

// render makes the lines of a reply (RFC 5321 §4.2.1).
func render(code int, text string) []byte {
	var b bytes.Buffer
	for {
		line, rest, more := strings.Cut(text, "\n")
		b.WriteString(strconv.Itoa(code))
		if !more {
			b.WriteString(" " + line + "\r\n")
			return b.Bytes()
		}
		b.WriteString("-" + line + "\r\n")
		text = rest
	}
}

// usual is the text of a code that has none.
func usual(code int) string {
	switch {
	case code == 354:
		return "go on"
	case code < 400:
		return "2.0.0 ok"
	case code == 421:
		return "4.3.2 closing"
	case code < 500:
		return "4.3.0 try again later"
	}
	return "5.0.0 refused"
}

// pause waits for the gate and then for the delay. It ends early with an error when the server or the client does.
func (s *session) pause(gate *Gate, delay time.Duration) error {
	if gate == nil && delay <= 0 {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	gone, stop := s.watch()
	defer stop()
	if gate != nil {
		gate.hit()
		select {
		case <-gate.open:
		case <-gone:
			return net.ErrClosed
		case <-s.mx.done:
			return net.ErrClosed
		}
	}
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-gone:
	case <-s.mx.done:
	}
	return net.ErrClosed
}

// watch tells when the client hangs up. A client that has sent more commands is not watched further. stop must be called
// before the next read.
func (s *session) watch() (gone <-chan struct{}, stop func()) {
	hungUp, ended := make(chan struct{}), make(chan struct{})
	_ = s.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(ended)
		if _, err := s.r.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			close(hungUp)
		}
	}()
	return hungUp, func() {
		_ = s.conn.SetReadDeadline(time.Unix(1, 0))
		<-ended
		_ = s.conn.SetReadDeadline(time.Now().Add(s.mx.cfg.Idle))
	}
}
