package smtpout

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// Bounds of one reply. Within them a remote may say what it likes; beyond them it is not spoken with any longer.
const (
	maxReplyLines  = 100
	maxReplyOctets = 8 << 10
)

// errReply is wrapped by every fault in the form of a reply: after it nothing that comes can be trusted to answer a command.
var errReply = errors.New("not an SMTP reply")

// reply is one answer (RFC 5321 §4.2): its code and the texts of its lines.
type reply struct {
	code  int
	lines []string
	// mixed says that the lines have different codes, against RFC 5321 §4.2.1; the last one counts.
	mixed bool
}

func (r reply) ok() bool { return r.code/100 == 2 }

// readReply reads one reply. Its time is bounded by the deadline of the connection below.
func readReply(r *bufio.Reader) (reply, error) {
	var rep reply
	left := maxReplyOctets
	for range maxReplyLines {
		line, err := readLine(r, left)
		if err != nil {
			return reply{}, err
		}
		left -= len(line)
		code, text, last, ok := parseLine(strings.TrimRight(line, "\r\n"))
		if !ok {
			return reply{}, errReply
		}
		rep.mixed = rep.mixed || rep.code != 0 && rep.code != code
		rep.code = code
		rep.lines = append(rep.lines, text)
		if last {
			return rep, nil
		}
	}
	return reply{}, errReply
}

// readLine reads a line of at most limit octets with its end.
func readLine(r *bufio.Reader, limit int) (string, error) {
	var long []byte
	for {
		piece, err := r.ReadSlice('\n')
		if len(long)+len(piece) > limit {
			return "", errReply
		}
		switch {
		case err == nil && long == nil:
			return string(piece), nil
		case err == nil:
			return string(append(long, piece...)), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) && len(long)+len(piece) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		long = append(long, piece...)
	}
}

// parseLine takes a line apart: code, "-" or a space, text. Codes are 2yz to 5yz.
func parseLine(line string) (code int, text string, last, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !digit(line[1]) || !digit(line[2]) {
		return 0, "", false, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, "", true, true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, "", false, false
	}
	return code, line[4:], line[3] == ' ', true
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// answer returns enhanced status code and text (RFC 3463, RFC 2034 §4). A status code of another class than the reply code
// says nothing and is left out (O-26).
func (r reply) answer() (enhanced, text string) {
	parts := make([]string, 0, len(r.lines))
	for _, line := range r.lines {
		status, rest := cutStatus(line)
		if status == "" || int(status[0]-'0') != r.code/100 {
			parts = append(parts, line)
			continue
		}
		if enhanced == "" {
			enhanced = status
		}
		parts = append(parts, rest)
	}
	return enhanced, printable(strings.Join(parts, " "))
}

// cutStatus splits off a status code such as 5.7.26 at the start of a text.
func cutStatus(s string) (status, rest string) {
	end := strings.IndexByte(s+" ", ' ')
	word := s[:end]
	fields := strings.Split(word, ".")
	if len(fields) != 3 || fields[0] != "2" && fields[0] != "4" && fields[0] != "5" {
		return "", s
	}
	for _, field := range fields[1:] {
		if len(field) == 0 || len(field) > 3 || strings.Trim(field, "0123456789") != "" {
			return "", s
		}
	}
	return word, strings.TrimLeft(s[end:], " ")
}
