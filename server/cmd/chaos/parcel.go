package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
)

// idField is the header field that names a message of ours. It is the first field of every message that we send as bytes, so
// that everything above it is the trace of the server.
const idField = "X-Chaos-Id"

// parcel is a message that a client is going to send.
type parcel struct {
	id  string
	raw []byte // for SMTP and APPEND
	// text is the body of an email for the API.
	text string
	// sum names what must come back: see tailSum and textSum.
	sum string
}

// compose makes a message as bytes. The lines hold letters outside ASCII and leading dots on purpose.
func compose(d dice, id, from string, to []string) parcel {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\r\nFrom: <%s>\r\nTo: <%s>\r\nSubject: chaos %s\r\nDate: %s\r\nMessage-ID: <%s@chaos.test>\r\n",
		idField, id, from, strings.Join(to, ">, <"), id, time.Now().UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700"), id)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	writeLines(&b, d, "\r\n", true)
	return parcel{id: id, raw: b.Bytes(), sum: tailSum(b.Bytes())}
}

// composeText makes the body of an email for the API, which the server encodes in its own way.
func composeText(d dice, id string) parcel {
	var b bytes.Buffer
	writeLines(&b, d, "\n", false)
	return parcel{id: id, text: b.String(), sum: "text:" + hash([]byte(plainLines(b.String())))}
}

func writeLines(b *bytes.Buffer, d dice, end string, strange bool) {
	size := 100 + d.IntN(6_000)
	if d.chance(5) {
		size = 100_000 + d.IntN(200_000)
	}
	for n := 0; n < size; n += 64 {
		switch {
		case strange && d.chance(2):
			b.WriteString(".." + end + "." + end)
		case strange && d.chance(5):
			b.WriteString("Grüße aus Köln, 你好 ")
		}
		fmt.Fprintf(b, "%016x %016x %016x", d.Uint64(), d.Uint64(), d.Uint64())
		b.WriteString(end)
	}
}

func hash(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

// found is what a stored message says of itself.
type content struct {
	id string
	// tail is the sum of everything from our first field on, text that of the decoded body. A letter's sum is one of the two.
	tail, text string
}

// holds reports whether the message has the sum that was written into the ledger.
func (c content) holds(sum string) bool { return sum == c.tail || sum == c.text }

// isNotice says that the message is a notice of a mail system, not one of ours.
func (c content) isNotice() bool { return strings.HasPrefix(c.id, noticePrefix) }

// examine reads a stored message. One without our field has no id; a notice of a mail system is named after its bytes.
func examine(raw []byte) content {
	begin := fieldStart(raw)
	if begin < 0 {
		if readNotice(raw) != nil {
			return content{id: noticePrefix + hash(raw)}
		}
		return content{}
	}
	line, _, _ := strings.Cut(string(raw[begin:min(len(raw), begin+200)]), "\r\n")
	_, id, _ := strings.Cut(line, ":")
	return content{id: strings.TrimSpace(id), tail: tailSum(raw), text: textSum(raw)}
}

// fieldStart is where our field begins in the header, or -1.
func fieldStart(raw []byte) int {
	header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	if bytes.HasPrefix(header, []byte(idField+":")) {
		return 0
	}
	if i := bytes.Index(header, []byte("\r\n"+idField+":")); i >= 0 {
		return i + 2
	}
	return -1
}

// tailSum covers our own bytes below the trace that the server put on top.
func tailSum(raw []byte) string {
	begin := fieldStart(raw)
	if begin < 0 {
		return ""
	}
	return "tail:" + hash(raw[begin:])
}

// textSum covers the decoded text of a message of one part; it is empty when it cannot be read.
func textSum(raw []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return ""
	}
	body := m.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return ""
	}
	return "text:" + hash([]byte(plainLines(string(text))))
}

// plainLines is a text with one kind of line end and none at its end.
func plainLines(s string) string { return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n") }
