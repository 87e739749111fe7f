package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	// mostReplyLines bounds one reply.
	mostReplyLines = 100
	// writeBuffer takes a small letter whole, which then leaves in one piece with its dot.
	writeBuffer = 32 << 10
)

// replyError is a reply that was not the one we wanted.
type replyError struct{ line string }

func (e *replyError) Error() string { return e.line }

// smtpClient is one connection to an SMTP server.
type smtpClient struct {
	conn       net.Conn
	r          *bufio.Reader
	w          *bufio.Writer
	pipelining bool
}

// openSMTP connects and greets; with a TLS configuration it does STARTTLS.
func openSMTP(ctx context.Context, d *dialer, address string, secure *tls.Config) (*smtpClient, error) {
	conn, err := d.open(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	c := &smtpClient{}
	c.use(conn)
	if err := c.greet(ctx, secure); err != nil {
		c.conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *smtpClient) use(conn net.Conn) {
	c.conn, c.r, c.w = conn, bufio.NewReader(conn), bufio.NewWriterSize(conn, writeBuffer)
	hurry(conn)
}

func (c *smtpClient) greet(ctx context.Context, secure *tls.Config) error {
	if _, err := c.reply('2'); err != nil {
		return err
	}
	if err := c.hello(); err != nil || secure == nil {
		return err
	}
	if _, err := c.ask('2', "STARTTLS"); err != nil {
		return err
	}
	conn, err := handshake(ctx, c.conn, secure)
	if err != nil {
		return err
	}
	c.use(conn)
	return c.hello()
}

func (c *smtpClient) hello() error {
	text, err := c.ask('2', "EHLO client.bench.invalid")
	c.pipelining = strings.Contains(text, "PIPELINING")
	return err
}

// login authenticates (RFC 4954, RFC 4616).
func (c *smtpClient) login(user, password string) error {
	_, err := c.ask('2', "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
	return err
}

// ask sends one command and reads its reply.
func (c *smtpClient) ask(want byte, line string) (string, error) {
	c.put(line)
	if err := c.flush(); err != nil {
		return "", err
	}
	return c.reply(want)
}

// put writes a line into the buffer, whose error flush gives.
func (c *smtpClient) put(line string) {
	_, _ = c.w.WriteString(line) // the buffer keeps its error for Flush
	_, _ = c.w.WriteString("\r\n")
}

func (c *smtpClient) flush() error {
	hurry(c.conn)
	return c.w.Flush()
}

// reply reads one reply, which must begin with the digit.
func (c *smtpClient) reply(want byte) (string, error) {
	var text strings.Builder
	for range mostReplyLines {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		text.Write(line)
		if len(line) < 4 {
			return "", fmt.Errorf("not a reply: %q", line)
		}
		if line[3] != '-' {
			if line[0] != want {
				return "", &replyError{strings.TrimSpace(string(line))}
			}
			return text.String(), nil
		}
	}
	return "", errors.New("a reply without an end")
}

// send transfers one letter and says what became of it. After an error other than a refusal the connection is of no use.
func (c *smtpClient) send(l letter) (sending, error) {
	s := sending{letter: l, fate: unsent, begun: time.Now()}
	err := c.transfer(&s)
	var no *replyError
	if errors.As(err, &no) {
		s.fate, s.reply = refused, no.line
		_, err = c.ask('2', "RSET")
	} else if err != nil {
		s.reply = err.Error()
	}
	return s, err
}

func (c *smtpClient) transfer(s *sending) error {
	commands := []string{"MAIL FROM:<" + s.letter.from + ">", "RCPT TO:<" + s.letter.to + ">", "DATA"}
	if err := c.envelope(commands); err != nil {
		return err
	}
	header := s.letter.header()
	_, _ = c.w.WriteString(header) // the buffer keeps its error for Flush
	_, _ = c.w.WriteString(s.letter.firstLine())
	_, _ = c.w.Write(s.letter.filler.wire)
	hurry(c.conn)
	if len(s.letter.filler.wire) > writeBuffer { // the time begins when the server can have all of it but the dot
		if err := c.w.Flush(); err != nil {
			return err
		}
	}
	_, _ = c.w.WriteString(".\r\n")
	s.dot = time.Now()
	// From here on the server may have the whole letter.
	s.fate = unknown
	if err := c.flush(); err != nil {
		return err
	}
	if _, err := c.reply('2'); err != nil {
		return err
	}
	s.fate, s.took = accepted, time.Since(s.dot)
	return nil
}

// envelope sends the commands up to DATA, at once where the server allows it (RFC 2920 §3.1).
func (c *smtpClient) envelope(commands []string) error {
	if !c.pipelining {
		for i, line := range commands {
			if _, err := c.ask(wanted(i, commands), line); err != nil {
				return err
			}
		}
		return nil
	}
	for _, line := range commands {
		c.put(line)
	}
	if err := c.flush(); err != nil {
		return err
	}
	var first error
	for i := range commands {
		_, err := c.reply(wanted(i, commands))
		var no *replyError
		if err != nil && !errors.As(err, &no) {
			return err
		}
		if first == nil {
			first = err
		}
		if err == nil && i == len(commands)-1 && first != nil {
			return fmt.Errorf("DATA was taken after %w", errors.New(first.Error()))
		}
	}
	return first
}

// wanted is the first digit of the reply to the i-th command.
func wanted(i int, commands []string) byte {
	if i == len(commands)-1 {
		return '3'
	}
	return '2'
}

// close says goodbye without waiting for an answer.
func (c *smtpClient) close() {
	c.put("QUIT")
	if c.flush() == nil {
		_, _ = c.reply('2') // it is the end in any case
	}
	c.conn.Close()
}
