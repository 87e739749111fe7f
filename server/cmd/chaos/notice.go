package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"regexp"
	"strings"
)

// noticePrefix begins the ids of notices; see examine.
const noticePrefix = "notice:"

// origin is what a message itself tells about the accepted email that it is a copy of: the server's own id in the trace of a
// submitted message, else the Message-ID, which the server makes for each email of the API.
type origin struct{ email, messageID string }

var traced = regexp.MustCompile(`\bid (eml_[0-9a-z]+)`)

// originOf reads the header of a message; its body may be missing.
func originOf(raw []byte) origin {
	m, err := mail.ReadMessage(io.MultiReader(bytes.NewReader(raw), strings.NewReader("\r\n\r\n")))
	if err != nil {
		return origin{}
	}
	o := origin{messageID: m.Header.Get("Message-ID")}
	if trace := m.Header["Received"]; len(trace) > 0 {
		if found := traced.FindStringSubmatch(trace[0]); found != nil {
			o.email = found[1]
		}
	}
	return o
}

// notice is a delivery status notification as its reader finds it (RFC 3464).
type notice struct {
	subject string
	letter  string // the id of ours in the returned message
	mark    origin
	failed  []string
	fault   string // what is wrong with its form
}

// readNotice gives nil for what is no notice of a mail system.
func readNotice(raw []byte) *notice {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil
	}
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || media != "multipart/report" {
		return nil
	}
	n := &notice{subject: m.Header.Get("Subject")}
	if err := n.parts(multipart.NewReader(m.Body, params["boundary"])); err != nil {
		n.fault = err.Error()
	}
	return n
}

func (n *notice) parts(parts *multipart.Reader) error {
	var kinds []string
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")) // an empty kind is told below
		kinds = append(kinds, kind)
		switch kind {
		case "message/delivery-status":
			if err := n.statuses(content); err != nil {
				return err
			}
		case "message/rfc822", "text/rfc822-headers":
			n.letter, n.mark = examine(content).id, originOf(content)
		}
	}
	if len(kinds) != 3 || kinds[1] != "message/delivery-status" || n.letter == "" {
		return fmt.Errorf("the parts are %s", strings.Join(kinds, ", "))
	}
	return nil
}

// statuses reads the groups of fields: one about the message, then one for each recipient (RFC 3464 §2.1).
func (n *notice) statuses(content []byte) error {
	groups := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(content, "\r\n\r\n"...))))
	for i := 0; ; i++ {
		g, err := groups.ReadMIMEHeader()
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case len(g) == 0 && i > 0:
			return nil
		case i == 0 && g.Get("Reporting-MTA") == "":
			return errors.New("no Reporting-MTA")
		case i == 0:
			continue
		}
		kind, address, _ := strings.Cut(g.Get("Final-Recipient"), ";")
		address = strings.TrimSpace(address)
		if !strings.EqualFold(strings.TrimSpace(kind), "rfc822") || address == "" {
			return fmt.Errorf("Final-Recipient is %q", g.Get("Final-Recipient"))
		}
		n.failed = append(n.failed, address)
		if g.Get("Action") != "failed" || g.Get("Status") != "5.1.1" || !strings.Contains(g.Get("Diagnostic-Code"), "550 "+textRefused) {
			return fmt.Errorf("%s: action %q, status %q, diagnostic %q", address, g.Get("Action"), g.Get("Status"), g.Get("Diagnostic-Code"))
		}
	}
}
