package domain

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// signedFields are the fields that a signature covers (mail-rules O-52), in the order of the h= tag. One that is over-signed stands
// in h= once more than in the message, so that nobody can add another one (X-7, RFC 6376 §8.15); one that is absent stands there once.
// Trace fields, Bcc, results and other signatures are never signed.
func signedFields() []signedField {
	return []signedField{
		{"From", true},
		{"To", true},
		{"Cc", true},
		{"Subject", true},
		{"Date", true},
		{"Message-ID", true},
		{"Reply-To", true},
		{"In-Reply-To", false},
		{"References", false},
		{"MIME-Version", false},
		{"Content-Type", true},
		{"Content-Transfer-Encoding", false},
		{"List-Unsubscribe", false},
		{"List-Unsubscribe-Post", false},
		{"List-Id", false},
		{"Auto-Submitted", false},
		{"Sender", true},
		{"Feedback-ID", false},
	}
}

// resentFields are signed where they are. A program that sends a message again adds them on top, which must not break our signature
// (RFC 5322 §3.6.6).
func resentFields() []string {
	return []string{"Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Date", "Resent-Message-ID"}
}

type signedField struct {
	name string
	over bool
}

// keysMostText bounds the h= tag, which stands in one line (RFC 5322 §2.1.1: 998 characters).
const keysMostText = 900

// signedHeader is the part of a message's header that a signature covers.
type signedHeader struct {
	// text has one line for each field that is signed, in the order of the message.
	text []byte
	// names are the names for h=.
	names []string
	// body is where the body begins.
	body int64
}

// Signable refuses a header that Sign would refuse, whatever the key: with fault.Invalid "message-rejected". Ask it before a message is
// taken; afterwards it could only bounce. header may end with its last field.
func Signable(header io.ReaderAt, size int64) error {
	_, err := readSigned(header, size)
	return err
}

// readSigned reads the header of a message. It gives fault.Invalid for a header that is too large, or in which fields that may
// occur once occur very often.
func readSigned(message io.ReaderAt, size int64) (signedHeader, error) {
	var h signedHeader
	wanted := map[string]bool{}
	for _, f := range signedFields() {
		wanted[strings.ToLower(f.name)] = true
	}
	for _, name := range resentFields() {
		wanted[strings.ToLower(name)] = true
	}
	count := map[string]int{}
	taking := false
	r := bufio.NewReader(io.NewSectionReader(message, 0, size))
	for {
		line, err := readLine(r, mime.MaxHeaderBlock-int(h.body))
		h.body += int64(len(line))
		text := bytes.TrimRight(line, "\r\n")
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return h, err
		case len(text) == 0: // the end of the header, or of a message without a body
			if taking {
				h.text = append(h.text, "\r\n"...)
			}
			h.names, err = keysOf(count)
			return h, err
		case line[0] == ' ' || line[0] == '\t':
			if taking { // unfolded: in the relaxed form it is the same (RFC 6376 §3.4.2)
				h.text = append(h.text, text...)
			}
			continue
		}
		if taking {
			h.text = append(h.text, "\r\n"...)
		}
		name := fieldName(text)
		if taking = wanted[name]; taking {
			count[name]++
			h.text = append(h.text, text...)
		}
	}
}

// readLine gives a line with its end. At the end of the message it gives what is left with io.EOF.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > most:
			return line, fault.New(fault.Invalid, "message-rejected", "the header of the message is too large to be signed")
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		}
	}
}

// fieldName gives the name of a field in lower case, "" for a line that is none.
func fieldName(line []byte) string {
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return ""
	}
	return strings.ToLower(string(bytes.TrimRight(name, " \t")))
}

// keysOf gives the names for h=; count says how often each field occurs. Of several the last one is signed first (RFC 6376 §5.4.2),
// so a name has to stand there as often as the field occurs, and once more to be over-signed.
func keysOf(count map[string]int) ([]string, error) {
	var names []string
	size := 0
	add := func(name string, times int) {
		for range min(times, keysMostText) {
			names = append(names, name)
			size += len(name) + 1
		}
	}
	for _, f := range signedFields() {
		n := count[strings.ToLower(f.name)]
		switch {
		case f.over && n > 0:
			add(f.name, n+1)
		default:
			add(f.name, max(n, 1))
		}
	}
	for _, name := range resentFields() {
		add(name, count[strings.ToLower(name)])
	}
	if size > keysMostText {
		return nil, fault.New(fault.Invalid, "message-rejected", "fields that may occur once occur many times in the header of the message")
	}
	return names, nil
}
