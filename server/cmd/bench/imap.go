package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// mostLiteral bounds one literal that a server may send us.
const mostLiteral = 64 << 20

// response is one line of a server with the literals that it carried; in the text each literal is cut out.
type response struct {
	text     string
	literals [][]byte
}

// imapClient is one connection to an IMAP server over TLS, signed in.
type imapClient struct {
	conn  net.Conn
	r     *bufio.Reader
	w     *bufio.Writer
	tags  int
	keep  bool  // hand out literals; otherwise they are read and dropped
	bytes int64 // of literals read
}

// openIMAP connects with implicit TLS and signs in.
func openIMAP(ctx context.Context, d *dialer, address string, secure *tls.Config, user, password string) (*imapClient, error) {
	conn, err := d.open(ctx, address, secure)
	if err != nil {
		return nil, err
	}
	c := &imapClient{conn: conn, r: bufio.NewReaderSize(conn, 4<<10), w: bufio.NewWriterSize(conn, 4<<10), keep: true}
	hurry(conn)
	greeting, err := c.read()
	if err == nil && !strings.HasPrefix(greeting.text, "* OK") {
		err = fmt.Errorf("greeting: %s", greeting.text)
	}
	if err == nil {
		err = c.do("LOGIN "+quote(user)+" "+quote(password), nil)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("sign in as %s: %w", user, err)
	}
	return c, nil
}

// quote makes a quoted string (RFC 9051 §4.3) of a text of ours, which has no line ends.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// read reads one response.
func (c *imapClient) read() (response, error) {
	var text strings.Builder
	var list [][]byte
	for {
		line, err := c.line()
		if err != nil {
			return response{}, err
		}
		size, begin, ok := literalSize(line)
		if !ok {
			text.Write(line)
			return response{text.String(), list}, nil
		}
		if size > mostLiteral {
			return response{}, fmt.Errorf("a literal of %d bytes", size)
		}
		text.Write(line[:begin])
		literal, err := c.literal(size)
		if err != nil {
			return response{}, err
		}
		if c.keep {
			list = append(list, literal)
		}
	}
}

// line reads up to a line end, which it cuts off. The bytes are valid until the next read.
func (c *imapClient) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) && len(long) < mostLiteral {
			line, err = c.r.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	return bytes.TrimRight(line, "\r\n"), err
}

func (c *imapClient) literal(size int64) ([]byte, error) {
	c.bytes += size
	if !c.keep {
		_, err := io.CopyN(io.Discard, c.r, size)
		return nil, err
	}
	literal := make([]byte, size)
	_, err := io.ReadFull(c.r, literal)
	return literal, err
}

// literalSize finds {123} at the end of a line and where it begins (RFC 9051 §4.3).
func literalSize(line []byte) (size int64, begin int, ok bool) {
	if len(line) == 0 || line[len(line)-1] != '}' {
		return 0, 0, false
	}
	begin = bytes.LastIndexByte(line, '{')
	if begin < 0 {
		return 0, 0, false
	}
	size, err := strconv.ParseInt(string(line[begin+1:len(line)-1]), 10, 64)
	return size, begin, err == nil && size >= 0
}

// begin sends a command line with a new tag.
func (c *imapClient) begin(line string) (tag string, err error) {
	c.tags++
	tag = "t" + strconv.Itoa(c.tags)
	hurry(c.conn)
	_, _ = c.w.WriteString(tag + " " + line + "\r\n") // the buffer keeps its error for Flush
	return tag, c.w.Flush()
}

// do carries out a command and gives every untagged response to each.
func (c *imapClient) do(line string, each func(response)) error {
	tag, err := c.begin(line)
	if err != nil {
		return err
	}
	return c.end(tag, each)
}

// end reads up to the tagged response, which must be OK.
func (c *imapClient) end(tag string, each func(response)) error {
	for {
		hurry(c.conn)
		r, err := c.read()
		if err != nil {
			return err
		}
		if rest, ok := strings.CutPrefix(r.text, tag+" "); ok {
			if !strings.HasPrefix(rest, "OK") {
				return errors.New(rest)
			}
			return nil
		}
		if each != nil {
			each(r)
		}
	}
}

// boxState is what STATUS or SELECT say of a mailbox.
type boxState struct{ messages, next int64 }

func (c *imapClient) status(box string) (boxState, error) {
	var s boxState
	err := c.do("STATUS "+quote(box)+" (MESSAGES UIDNEXT)", func(r response) {
		if strings.HasPrefix(r.text, "* STATUS ") {
			s.messages, s.next = after(r.text, "MESSAGES "), after(r.text, "UIDNEXT ")
		}
	})
	return s, err
}

func (c *imapClient) selectBox(box string) (boxState, error) {
	var s boxState
	err := c.do("SELECT "+quote(box), func(r response) {
		if n, ok := exists(r.text); ok {
			s.messages = n
		}
		if strings.Contains(r.text, "[UIDNEXT ") {
			s.next = after(r.text, "[UIDNEXT ")
		}
	})
	return s, err
}

// after gives the number that follows a word.
func after(text, word string) int64 {
	_, rest, _ := strings.Cut(text, word)
	end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
	if end >= 0 {
		rest = rest[:end]
	}
	return number(rest)
}

// exists reads "* 12 EXISTS".
func exists(text string) (int64, bool) {
	rest, ok := strings.CutPrefix(text, "* ")
	count, isExists := strings.CutSuffix(rest, " EXISTS")
	return number(count), ok && isExists
}

// idle begins IDLE (RFC 9051 §6.3.13); from then on the server speaks without being asked.
func (c *imapClient) idle() error {
	tag, err := c.begin("IDLE")
	if err != nil {
		return err
	}
	for {
		r, err := c.read()
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(r.text, "+"):
			return nil
		case strings.HasPrefix(r.text, tag+" "):
			return errors.New(r.text)
		}
	}
}

// appendLetter stores a letter in a mailbox (RFC 9051 §6.3.12).
func (c *imapClient) appendLetter(box string, l letter) error {
	header, first := l.header(), l.firstLine()
	size := len(header) + len(first) + len(l.filler.plain)
	tag, err := c.begin(fmt.Sprintf("APPEND %s {%d}", quote(box), size))
	if err != nil {
		return err
	}
	r, err := c.read()
	for err == nil && !strings.HasPrefix(r.text, "+") {
		if strings.HasPrefix(r.text, tag+" ") {
			return errors.New(r.text)
		}
		r, err = c.read()
	}
	if err != nil {
		return err
	}
	_, _ = c.w.WriteString(header + first) // the buffer keeps its error for Flush
	_, _ = c.w.Write(l.filler.plain)
	_, _ = c.w.WriteString("\r\n")
	if err := c.w.Flush(); err != nil {
		return err
	}
	return c.end(tag, nil)
}

// letters reads all messages of a mailbox from a UID on.
func (c *imapClient) letters(box, account string, from int64) ([]finding, error) {
	if _, err := c.selectBox(box); err != nil {
		return nil, err
	}
	var found []finding
	wrong := 0
	line := fmt.Sprintf("UID FETCH %d:* (UID BODY.PEEK[])", max(from, 1))
	err := c.do(line, func(r response) {
		if !strings.Contains(r.text, " FETCH ") || after(r.text, "UID ") < from {
			return // n:* gives the last message even when it is below n (RFC 9051 §9, seq-range)
		}
		if len(r.literals) != 1 {
			wrong++
			return
		}
		found = append(found, recognise(account, r.literals[0]))
	})
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%d answers to FETCH without a body", wrong)
	}
	return found, err
}

// close says goodbye and does not insist.
func (c *imapClient) close() {
	if _, err := c.begin("LOGOUT"); err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(c.r, 4<<10)) // it is the end in any case
	}
	c.conn.Close()
}
