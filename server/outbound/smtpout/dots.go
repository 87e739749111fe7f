package smtpout

import (
	"bufio"
	"bytes"
	"errors"
)

// errBareBreak says that a message has a CR or LF alone. Somebody behind the remote may take it for the end of a line, and
// what follows for another message (S-1), so it is never sent.
var errBareBreak = errors.New("a bare CR or LF in the message")

// dots writes a message as the text of DATA: with dots stuffed (RFC 5321 §4.5.2) and no line break but CRLF.
type dots struct {
	w *bufio.Writer
	// inLine says that the line has octets; cr that the last one was a CR.
	inLine, cr bool
}

// Write implements io.Writer. After an error nothing more may be written.
func (d *dots) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line := p
		end := bytes.IndexByte(p, '\n')
		if end >= 0 {
			line = p[:end]
		}
		if err := d.line(line); err != nil {
			return 0, err
		}
		if end < 0 {
			return n, nil
		}
		if !d.cr {
			return 0, errBareBreak
		}
		if err := d.w.WriteByte('\n'); err != nil {
			return 0, err
		}
		d.inLine, d.cr = false, false
		p = p[end+1:]
	}
	return n, nil
}

// line writes octets without LF.
func (d *dots) line(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	i := bytes.IndexByte(p, '\r')
	if d.cr || i >= 0 && i < len(p)-1 {
		return errBareBreak
	}
	if !d.inLine && p[0] == '.' {
		if err := d.w.WriteByte('.'); err != nil {
			return err
		}
	}
	d.inLine, d.cr = true, i >= 0
	_, err := d.w.Write(p)
	return err
}

// end completes the last line.
func (d *dots) end() error {
	switch {
	case d.cr:
		return errBareBreak
	case d.inLine:
		_, err := d.w.WriteString("\r\n")
		return err
	}
	return nil
}
