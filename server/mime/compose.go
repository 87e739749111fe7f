package mime

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Draft is a message to be written by Compose. There is no Bcc on purpose: blind recipients exist in the envelope only.
type Draft struct {
	From    []Address // at least one
	Sender  *Address  // required when From has several
	ReplyTo []Address
	To      []Address
	Cc      []Address
	Subject string
	Date    time.Time // required
	// MessageID, InReplyTo and References are ids with or without angle brackets; MessageID is required.
	MessageID  string
	InReplyTo  string
	References []string
	// Headers are more fields, written in this order. The fields above, Bcc, MIME fields and the fields servers write are refused.
	Headers []HeaderField
	// Text and HTML are the body; with both they are alternatives. Line ends may be LF or CRLF.
	Text        string
	HTML        string
	Attachments []Attachment
	// Random gives the boundaries; required.
	Random io.Reader
}

// HeaderField is a header field of a draft: its name and its value on one line.
type HeaderField struct {
	Name  string
	Value string
}

// Attachment is a file of a draft. Its content is written in base64.
type Attachment struct {
	FileName    string
	ContentType string // "" means application/octet-stream; may have parameters
	// ContentID, with or without angle brackets, lets the HTML refer to the file as cid:ContentID.
	ContentID string
	// Inline asks to show the file in the body; with a ContentID and HTML it goes beside the HTML (multipart/related).
	Inline  bool
	Content io.Reader
}

// DraftError says what is wrong with a draft. Field names it the way the API does, such as "to[1].email".
type DraftError struct {
	Field  string
	Reason string
}

// Error gives field and reason.
func (e *DraftError) Error() string { return e.Field + ": " + e.Reason }

const (
	softLine = 76  // RFC 2047 §2 for lines with encoded words, RFC 5322 §2.1.1 recommends 78
	maxExtra = 500 // fields of the caller's own
	maxAtom  = 900 // what cannot be folded must stay under the 998 of RFC 5322 §2.1.1
)

// Compose writes d as a message with CRLF line ends and no line over 998 octets. Headers and text are 7-bit. A draft that
// cannot be written as it is gives a *DraftError before anything is written; other errors are those of w, Random and the
// contents of attachments, and may leave half a message in w.
func Compose(w io.Writer, d Draft) error {
	if d.Random == nil {
		return errors.New("compose: no source of randomness")
	}
	if err := d.checkStrings(); err != nil {
		return err
	}
	head, err := d.header()
	if err != nil {
		return err
	}
	root, err := d.body()
	if err != nil {
		return err
	}
	out := &mailWriter{w: bufio.NewWriter(w)}
	out.write(head)
	root.write(out)
	if !out.lineStart {
		out.write("\r\n")
	}
	if out.err == nil {
		out.err = out.w.Flush()
	}
	if out.err != nil {
		return fmt.Errorf("compose: %w", out.err)
	}
	return nil
}

// checkStrings refuses control characters and bad UTF-8 in everything that goes into a header (mail-rules S-5).
func (d *Draft) checkStrings() error {
	check := func(field, value string) error {
		if reason := badText(value); reason != "" {
			return &DraftError{field, reason}
		}
		return nil
	}
	errs := []error{
		check("subject", d.Subject), check("message_id", d.MessageID), check("in_reply_to", d.InReplyTo),
		checkUTF8("text", d.Text), checkUTF8("html", d.HTML),
	}
	for i, id := range d.References {
		errs = append(errs, check(fmt.Sprintf("references[%d]", i), id))
	}
	for i, h := range d.Headers {
		errs = append(errs, check(fmt.Sprintf("headers[%d].name", i), h.Name), check(fmt.Sprintf("headers[%d].value", i), h.Value))
	}
	for i, a := range d.Attachments {
		field := fmt.Sprintf("attachments[%d].", i)
		errs = append(errs, check(field+"filename", a.FileName), check(field+"content_type", a.ContentType),
			check(field+"content_id", a.ContentID))
	}
	for _, list := range d.addressFields() {
		for i, a := range list.addresses {
			field := fmt.Sprintf("%s[%d].", list.field, i)
			errs = append(errs, check(field+"name", a.Name), check(field+"email", a.Email))
		}
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkUTF8(field, text string) error {
	if !utf8.ValidString(text) {
		return &DraftError{field, "not valid UTF-8"}
	}
	return nil
}

// badText says why a string cannot go into a header, "" if it can.
func badText(s string) string {
	if !utf8.ValidString(s) {
		return "not valid UTF-8"
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return fmt.Sprintf("control character 0x%02X", s[i])
		}
	}
	return ""
}

// addressField is one address list of a draft.
type addressField struct {
	name      string // of the header field
	field     string // in errors
	addresses []Address
}

func (d *Draft) addressFields() []addressField {
	var sender []Address
	if d.Sender != nil {
		sender = []Address{*d.Sender}
	}
	return []addressField{
		{"From", "from", d.From},
		{"Sender", "sender", sender},
		{"Reply-To", "reply_to", d.ReplyTo},
		{"To", "to", d.To},
		{"Cc", "cc", d.Cc},
	}
}

// header makes the header block without the MIME fields of the body.
func (d *Draft) header() (string, error) {
	if reason := d.missing(); reason != nil {
		return "", reason
	}
	var h headerWriter
	for _, list := range d.addressFields() {
		if err := h.addresses(list); err != nil {
			return "", err
		}
	}
	if len(d.To) == 0 && len(d.Cc) == 0 {
		h.field("To", []string{"undisclosed-recipients:;"})
	}
	if subject := strings.TrimSpace(d.Subject); subject != "" {
		h.field("Subject", textAtoms(subject, strings.Contains(subject, "=?"), len("Subject:")))
	}
	h.field("Date", []string{d.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700")})
	if err := h.ids("Message-ID", "message_id", d.MessageID); err != nil {
		return "", err
	}
	if d.InReplyTo != "" {
		if err := h.ids("In-Reply-To", "in_reply_to", d.InReplyTo); err != nil {
			return "", err
		}
	}
	if len(d.References) > 0 {
		if err := h.ids("References", "references", d.References...); err != nil {
			return "", err
		}
	}
	if len(d.Headers) > maxExtra {
		return "", &DraftError{"headers", fmt.Sprintf("more than %d fields", maxExtra)}
	}
	for i, field := range d.Headers {
		if err := h.extra(fmt.Sprintf("headers[%d]", i), field); err != nil {
			return "", err
		}
	}
	h.field("MIME-Version", []string{"1.0"})
	if h.tooLong != "" {
		return "", &DraftError{h.tooLong, "longer than a header may be"}
	}
	return h.b.String(), nil
}

// missing names what every message must have (RFC 5322 §3.6).
func (d *Draft) missing() error {
	switch {
	case len(d.From) == 0:
		return &DraftError{"from", "missing"}
	case len(d.From) > 1 && d.Sender == nil:
		return &DraftError{"sender", "missing: there are several authors"}
	case d.Date.IsZero() || d.Date.Year() < 1900 || d.Date.Year() > 9999:
		return &DraftError{"date", "missing or out of range"}
	case d.MessageID == "":
		return &DraftError{"message_id", "missing"}
	}
	return nil
}
