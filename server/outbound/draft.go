package outbound

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// Party is a name and an address in a header field. Name may be empty.
type Party struct {
	Name    string
	Address mail.Address
}

// Attachment is a file of a draft.
type Attachment struct {
	Filename    string
	ContentType string // empty: application/octet-stream
	ContentID   string // without angle brackets; empty for an ordinary attachment
	Inline      bool
	Content     []byte
	Blob        mail.BlobID // a file that was uploaded before, instead of Content

	reader *blobReader // of the blob, when it was found
}

// content gives the bytes of the attachment, to be read once.
func (a *Attachment) content() io.Reader {
	if a.reader != nil {
		return a.reader
	}
	return bytes.NewReader(a.Content)
}

// Header is an additional header field of a draft. In-Reply-To and References hold ids in angle brackets.
type Header struct{ Name, Value string }

// Draft is what POST /v1/emails says, with its addresses already parsed.
type Draft struct {
	From        Party
	To, Cc, Bcc []Party
	ReplyTo     []Party
	Subject     string
	Text, HTML  string
	Headers     []Header
	Attachments []Attachment
	Tags        []Tag
	Metadata    map[string]string
}

// recipients lists the recipients of the draft with the field in which each stood. An address that stands twice counts once, under
// its first field; route drops what only then turns out to be the same.
func (d *Draft) recipients() []Recipient {
	seen := map[string]bool{}
	var out []Recipient
	for _, list := range []struct {
		kind    string
		parties []Party
	}{{"to", d.To}, {"cc", d.Cc}, {"bcc", d.Bcc}} {
		for _, p := range list.parties {
			if key := p.Address.String(); !seen[key] {
				seen[key] = true
				out = append(out, Recipient{Kind: list.kind, Address: p.Address})
			}
		}
	}
	return out
}

// message is the draft as it is composed. Ids have their own place there.
func (d *Draft) message(e *Email) mime.Draft {
	out := mime.Draft{
		Random: rand.Reader, From: composeAddresses([]Party{d.From}), To: composeAddresses(d.To), Cc: composeAddresses(d.Cc),
		ReplyTo: composeAddresses(d.ReplyTo), Subject: d.Subject, Date: e.CreatedAt, MessageID: e.MessageID, Text: d.Text, HTML: d.HTML,
	}
	for _, h := range d.Headers {
		switch strings.ToLower(h.Name) {
		case "in-reply-to":
			out.InReplyTo = strings.TrimSpace(h.Value)
		case "references":
			out.References = strings.Fields(h.Value)
		default:
			out.Headers = append(out.Headers, mime.HeaderField{Name: h.Name, Value: h.Value})
		}
	}
	for i := range d.Attachments {
		a := &d.Attachments[i]
		out.Attachments = append(out.Attachments, mime.Attachment{
			FileName: a.Filename, ContentType: a.ContentType, ContentID: a.ContentID, Inline: a.Inline, Content: a.content(),
		})
	}
	return out
}

// closeBlobs closes what the composer has not read to its end.
func (d *Draft) closeBlobs() {
	for i := range d.Attachments {
		if r := d.Attachments[i].reader; r != nil {
			r.close()
		}
	}
}

func composeAddresses(parties []Party) []mime.Address {
	out := make([]mime.Address, len(parties))
	for i, p := range parties {
		out[i] = mime.Address{Name: p.Name, Email: p.Address.String()}
	}
	return out
}

func printParty(p Party) string {
	if p.Name == "" {
		return p.Address.String()
	}
	return p.Name + " <" + p.Address.String() + ">"
}

// tooLargeError is what the writer of a message gives above the limit.
type tooLargeError struct{ limit int64 }

func (e tooLargeError) Error() string { return fmt.Sprintf("message larger than %d octets", e.limit) }

// capped refuses to write more than left octets.
type capped struct {
	w           io.Writer
	left, limit int64
}

func (c *capped) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		return 0, tooLargeError{c.limit}
	}
	n, err := c.w.Write(p)
	c.left -= int64(n)
	return n, err
}

// composeFault gives an error of Compose its kind and its place in the request.
func composeFault(err error) error {
	var large tooLargeError
	if errors.As(err, &large) {
		return fault.New(fault.TooLarge, "message-too-large", "the message with its attachments encoded is larger than %d octets", large.limit)
	}
	var draft *mime.DraftError
	if errors.As(err, &draft) {
		field := draftField(draft.Field)
		return fault.Wrap(err, fault.Invalid, "validation-failed", "%s: %s", field, draft.Reason).At(field)
	}
	return err
}

// draftField turns the composer's name of a place into that of the request. Header fields have many names there and one here.
func draftField(name string) string {
	word := name
	if i := strings.IndexAny(name, ".["); i >= 0 {
		word = name[:i]
	}
	switch word {
	case "from", "to", "cc", "reply_to", "subject", "text", "html", "attachments":
		return "body." + name
	}
	return "body.headers"
}
