package outbound

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
)

// Bounds of a draft (send-api E3).
const (
	maxTags          = 10
	maxTagLength     = 256
	maxMetadata      = 50
	maxMetadataBytes = 10 << 10
	maxHeaders       = 100
	maxHeaderLength  = 8 << 10
	maxSubject       = 998
	maxAttachments   = 100
	maxFilename      = 255
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
}

// Header is an additional header field of a draft.
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

// kinds lists the recipients of the draft with the field in which each stood.
func (d *Draft) kinds() []Recipient {
	var out []Recipient
	add := func(kind string, parties []Party) {
		for _, p := range parties {
			same := func(r Recipient) bool { return r.Address.Key() == p.Address.Key() }
			if !slices.ContainsFunc(out, same) {
				out = append(out, Recipient{Kind: kind, Address: p.Address})
			}
		}
	}
	add("to", d.To)
	add("cc", d.Cc)
	add("bcc", d.Bcc)
	return out
}

// check refuses a draft that must not be sent, with every finding located. maxRecipients bounds all kinds together.
func (d *Draft) check(maxRecipients int) error {
	f := &findings{}
	f.addresses(d)
	if n := len(d.To) + len(d.Cc) + len(d.Bcc); n == 0 {
		f.add("body.to", "recipient-invalid", "give at least one recipient in to, cc or bcc")
	} else if n > maxRecipients {
		f.add("body.to", "validation-failed", fmt.Sprintf("%d recipients in to, cc and bcc together; at most %d are allowed", n, maxRecipients))
	}
	f.line("body.subject", d.Subject, maxSubject)
	if d.Text == "" && d.HTML == "" {
		f.add("body.text", "validation-failed", "give text, html or both")
	}
	f.text("body.text", d.Text)
	f.text("body.html", d.HTML)
	f.headers(d.Headers)
	f.attachments(d.Attachments)
	f.labels(d)
	return f.err()
}

type findings struct{ details []fault.Detail }

func (f *findings) add(field, code, text string) {
	f.details = append(f.details, fault.Detail{Field: field, Code: code, Text: text})
}

func (f *findings) err() error {
	if len(f.details) == 0 {
		return nil
	}
	first := f.details[0]
	return &fault.Error{Kind: fault.Invalid, Code: first.Code, Text: first.Field + ": " + first.Text, Field: first.Field, Details: f.details}
}

func (f *findings) addresses(d *Draft) {
	f.party("body.from", &d.From)
	for _, list := range []struct {
		field   string
		parties []Party
	}{{"body.to", d.To}, {"body.cc", d.Cc}, {"body.bcc", d.Bcc}, {"body.reply_to", d.ReplyTo}} {
		for i := range list.parties {
			f.party(fmt.Sprintf("%s[%d]", list.field, i), &list.parties[i])
		}
	}
}

// party checks a name and folds the address's domain into A-labels (mail-rules S-47).
func (f *findings) party(field string, p *Party) {
	f.line(field, p.Name, maxHeaderLength)
	if p.Address.IsNull() {
		f.add(field, "recipient-invalid", "an address is missing")
		return
	}
	name, err := dns.ToASCII(p.Address.Domain)
	if err != nil {
		f.add(field, "recipient-invalid", "the domain of the address is not a valid name")
		return
	}
	p.Address.Domain = name
	if !p.Address.IsASCII() {
		f.add(field, "recipient-invalid", "addresses with characters outside ASCII before the @ cannot be sent to yet")
	}
}

// line refuses what would break out of a header field (mail-rules S-5). The value itself is never quoted back.
func (f *findings) line(field, s string, limit int) {
	switch {
	case !utf8.ValidString(s):
		f.add(field, "validation-failed", "not valid UTF-8")
	case len(s) > limit:
		f.add(field, "validation-failed", fmt.Sprintf("longer than %d octets", limit))
	case strings.ContainsFunc(s, breaksLine):
		f.add(field, "validation-failed", "contains a line break or another control character; remove it")
	}
}

// breaksLine is true for C0, C1 and DEL, and for the line and paragraph separators that some programs take for line breaks.
func breaksLine(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

func (f *findings) text(field, s string) {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		f.add(field, "validation-failed", "must be valid UTF-8 without NUL")
	}
}

func (f *findings) headers(headers []Header) {
	if len(headers) > maxHeaders {
		f.add("body.headers", "validation-failed", fmt.Sprintf("more than %d header fields", maxHeaders))
		return
	}
	seen := map[string]bool{}
	for _, h := range headers {
		field := "body.headers." + clipName(h.Name)
		name := strings.ToLower(h.Name)
		switch {
		case !headerName(h.Name):
			f.add("body.headers", "validation-failed", "a header field's name may have letters, digits and - only, 1 to 76 of them")
			continue
		case !allowedHeader(name):
			f.add(field, "validation-failed", "this header field cannot be set; allowed are X-…, List-…, In-Reply-To, References, "+
				"Auto-Submitted, Precedence, Importance, Feedback-ID, Comments, Keywords and Organization")
		case seen[name]:
			f.add(field, "validation-failed", "the header field is given twice")
		}
		seen[name] = true
		f.line(field, h.Value, maxHeaderLength)
	}
}

func headerName(s string) bool {
	if s == "" || len(s) > 76 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// allowedHeader is an allow-list: what names a sender, a recipient, a signature or a hop is ours to write.
func allowedHeader(lower string) bool {
	if strings.HasPrefix(lower, "x-") || strings.HasPrefix(lower, "list-") {
		return true
	}
	switch lower {
	case "in-reply-to", "references", "auto-submitted", "precedence", "importance", "feedback-id", "comments", "keywords", "organization":
		return true
	}
	return false
}

func (f *findings) attachments(list []Attachment) {
	if len(list) > maxAttachments {
		f.add("body.attachments", "validation-failed", fmt.Sprintf("more than %d attachments", maxAttachments))
	}
	for i, a := range list {
		at := fmt.Sprintf("body.attachments[%d]", i)
		f.line(at+".filename", a.Filename, maxFilename)
		if a.Filename == "" {
			f.add(at+".filename", "validation-failed", "a file name is missing")
		}
		if a.ContentType != "" && !mediaType(a.ContentType) {
			f.add(at+".content_type", "validation-failed", "must be a media type such as application/pdf")
		}
		if strings.ContainsFunc(a.ContentID, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("<>\"\\()", r) }) ||
			len(a.ContentID) > 200 {
			f.add(at+".content_id", "validation-failed", "must be printable ASCII without spaces, quotes or brackets, at most 200 octets")
		}
	}
}

func mediaType(s string) bool {
	major, minor, ok := strings.Cut(s, "/")
	token := func(t string) bool {
		return t != "" && len(t) <= 100 && !strings.ContainsFunc(t, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?=", r)
		})
	}
	return ok && token(major) && token(minor) && !strings.EqualFold(major, "multipart") && !strings.EqualFold(major, "message")
}

func (f *findings) labels(d *Draft) {
	if len(d.Tags) > maxTags {
		f.add("body.tags", "validation-failed", fmt.Sprintf("more than %d tags", maxTags))
	}
	for i, t := range d.Tags {
		if t.Name == "" {
			f.add(fmt.Sprintf("body.tags[%d].name", i), "validation-failed", "a tag needs a name")
		}
		f.line(fmt.Sprintf("body.tags[%d].name", i), t.Name, maxTagLength)
		f.line(fmt.Sprintf("body.tags[%d].value", i), t.Value, maxTagLength)
	}
	size := 0
	for k, v := range d.Metadata {
		size += len(k) + len(v)
		f.text("body.metadata", k+v)
	}
	if len(d.Metadata) > maxMetadata || size > maxMetadataBytes {
		f.add("body.metadata", "validation-failed", fmt.Sprintf("at most %d keys and %d octets", maxMetadata, maxMetadataBytes))
	}
}

func clipName(s string) string {
	if len(s) > 76 {
		return s[:76]
	}
	return s
}
