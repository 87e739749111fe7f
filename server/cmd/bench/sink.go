package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"
)

// mostSinkBytes bounds what the sink takes of one letter.
const mostSinkBytes = 4 << 20

// arrival is a letter that a server brought to the sink.
type arrival struct {
	finding

	at     time.Time // when the final dot came
	signed bool      // by DKIM
}

// sink is the mail server of sink.test: it accepts everything and keeps what it saw, by series.
type sink struct {
	ln     net.Listener
	take   func(to string, raw []byte) // is given each letter instead of got, unless it is nil
	wait   sync.WaitGroup
	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
	got    map[string][]arrival
}

// openSink listens on the address.
func openSink(ctx context.Context, address string) (*sink, error) {
	return openSinkFor(ctx, address, nil)
}

// openSinkFor listens on the address and gives each letter away, once per recipient. raw is valid during the call only.
func openSinkFor(ctx context.Context, address string, take func(to string, raw []byte)) (*sink, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &sink{ln: ln, take: take, conns: map[net.Conn]bool{}, got: map[string][]arrival{}}
	s.wait.Go(func() { s.accept(ln) })
	return s, nil
}

// accept serves what comes to the listener until that is closed.
func (s *sink) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		s.admit(conn)
	}
}

// admit serves a connection.
func (s *sink) admit(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	s.conns[conn] = true
	s.wait.Go(func() {
		newSinkSession(s, conn).serve()
		conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
	})
}

// close ends all connections and waits for them.
func (s *sink) close() {
	s.ln.Close()
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
}

func (s *sink) add(a arrival) {
	name := seriesOf(a.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got[name] = append(s.got[name], a)
}

// of gives what has come of a series.
func (s *sink) of(name string) []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]arrival(nil), s.got[name]...)
}

// sinkSession is one connection to the sink.
type sinkSession struct {
	sink *sink
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	to   []string
}

func newSinkSession(s *sink, conn net.Conn) *sinkSession {
	return &sinkSession{sink: s, conn: conn, r: bufio.NewReaderSize(conn, 16<<10), w: bufio.NewWriter(conn)}
}

// sinkIdle is how long a server may keep a connection for its next letter.
const sinkIdle = 5 * time.Minute

func (c *sinkSession) serve() {
	if c.say("220 sink.test ESMTP") != nil {
		return
	}
	for {
		if c.conn.SetDeadline(time.Now().Add(sinkIdle)) != nil {
			return
		}
		line, err := c.r.ReadString('\n')
		if err != nil || !c.command(strings.TrimSpace(line)) {
			return
		}
	}
}

// say writes a reply; it is sent when no further command waits (RFC 2920 §3.2).
func (c *sinkSession) say(reply string) error {
	if _, err := c.w.WriteString(reply + "\r\n"); err != nil {
		return err
	}
	if c.r.Buffered() > 0 {
		return nil
	}
	return c.w.Flush()
}

// command carries out one command; it is false when the session is over.
func (c *sinkSession) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	var err error
	switch strings.ToUpper(verb) {
	case "EHLO":
		err = c.say("250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 4194304")
	case "HELO", "NOOP":
		err = c.say("250 2.0.0 ok")
	case "MAIL", "RSET":
		c.to = nil
		err = c.say("250 2.0.0 ok")
	case "RCPT":
		c.to = append(c.to, pathOf(rest))
		err = c.say("250 2.1.5 ok")
	case "DATA":
		err = c.data()
	case "QUIT":
		_ = c.say("221 2.0.0 bye") // it is the end in any case
		return false
	default:
		err = c.say("502 5.5.1 not here")
	}
	return err == nil
}

// pathOf finds the address in "TO:<a@b> ...".
func pathOf(text string) string {
	_, rest, _ := strings.Cut(text, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}

func (c *sinkSession) data() error {
	if err := c.say("354 go on"); err != nil {
		return err
	}
	raw, err := readDotted(c.r)
	if err != nil {
		return err
	}
	at := time.Now()
	for _, to := range c.to {
		if c.sink.take != nil {
			c.sink.take(to, raw)
			continue
		}
		header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		signed := bytes.Contains(header, []byte("DKIM-Signature:"))
		c.sink.add(arrival{recognise(to, raw), at, signed})
	}
	c.to = nil
	return c.say("250 2.0.0 kept")
}

// readDotted reads up to the line with the single dot and undoes the doubled dots (RFC 5321 §4.5.2).
func readDotted(r *bufio.Reader) ([]byte, error) {
	var b bytes.Buffer
	begin := true // of a line
	for b.Len() < mostSinkBytes {
		piece, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if begin && piece[0] == '.' {
			if string(piece) == ".\r\n" {
				return b.Bytes(), nil
			}
			piece = piece[1:]
		}
		b.Write(piece)
		begin = err == nil
	}
	return nil, errors.New("a letter without an end")
}
