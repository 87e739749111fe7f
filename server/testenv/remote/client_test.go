package remote

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// client speaks raw SMTP and sees every octet.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, m *MX) *client {
	t.Helper()
	conn, err := net.Dial("tcp", m.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
	_ = conn.SetDeadline(time.Now().Add(Patience))
	return c
}

// wantReset wants that a new connection is reset, be it before the dial returns.
func wantReset(t *testing.T, m *MX) {
	t.Helper()
	conn, err := net.Dial("tcp", m.Addr().String())
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a reset", err)
	}
}

// greet is dial with banner and EHLO; it returns the EHLO reply too.
func greet(t *testing.T, m *MX) (c *client, extensions string) {
	t.Helper()
	c = dial(t, m)
	c.want("220")
	return c, c.cmd("EHLO us.test", "250")
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatalf("send %.40q: %v", text, err)
	}
}

// reply reads a whole reply.
func (c *client) reply() (string, error) {
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return all.String(), err
		}
		if len(line) < 4 || line[3] != '-' {
			return all.String(), nil
		}
	}
}

func (c *client) want(prefix string) string {
	c.t.Helper()
	reply, err := c.reply()
	if err != nil || !strings.HasPrefix(reply, prefix) {
		c.t.Fatalf("got %.200q, %v, want %q", reply, err, prefix)
	}
	return reply
}

func (c *client) cmd(line, want string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.want(want)
}

// wantEnd wants no further octet and the kind of end.
func (c *client) wantEnd(reset bool) {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if len(rest) > 0 {
		c.t.Fatalf("got %.200q before the end", rest)
	}
	if was := errors.Is(err, syscall.ECONNRESET); was != reset || err != nil && !was {
		c.t.Fatalf("the connection ended with %v, want a reset: %v", err, reset)
	}
}

// wantSilence wants that nothing comes for a moment.
func (c *client) wantSilence() {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if got, err := c.r.ReadByte(); !isTimeout(err) {
		c.t.Fatalf("got %q, %v, want silence", got, err)
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(Patience))
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// startTLS goes over to TLS and gives the handshake's error.
func (c *client) startTLS(m *MX) error {
	c.t.Helper()
	c.cmd("STARTTLS", "220")
	return c.handshake(m)
}

func (c *client) handshake(m *MX) error {
	conn := tls.Client(c.conn, &tls.Config{RootCAs: m.Roots(), ServerName: "mx.remote.test"})
	err := conn.Handshake()
	c.conn, c.r = conn, bufio.NewReader(conn)
	return err
}

// begin gives sender and one recipient.
func (c *client) begin(to string) {
	c.t.Helper()
	c.cmd("MAIL FROM:<a@us.test>", "250")
	c.cmd("RCPT TO:<"+to+">", "250")
}

const letter = "Message-ID: <1@us.test>\r\nSubject: x\r\n\r\n..a\r\nbody\r\n.\r\n"

// deliver sends the letter and gives the reply to the dot.
func (c *client) deliver(to, want string) {
	c.t.Helper()
	c.begin(to)
	c.cmd("DATA", "354")
	c.send(letter)
	c.want(want)
}
