package outbound

import (
	"fmt"
	stdmime "mime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mailserver-dev/mailserver/server/dns"
	"github.com/mailserver-dev/mailserver/server/fault"
)

// Bounds of a draft (send-api E3).
const (
	maxReplyTo       = 100
	maxTags          = 10
	maxTagLength     = 256
	maxMetadata      = 50
	maxMetadataBytes = 10 << 10
	maxHeaders       = 100
	maxHeaderName    = 64
	maxHeaderLength  = 8 << 10
	maxReferences    = 100
	maxMessageID     = 900
	maxSubject       = 998
	maxAttachments   = 100
	maxFilename      = 255
	maxContentType   = 200
	maxContentID     = 200
	maxFindings      = 50
)

// check refuses a draft that must not be sent, with the first findings located, and folds the domains of its addresses into
// A-labels (mail-rules S-47). maxRecipients bounds all kinds together.
func (d *Draft) check(maxRecipients int) error {
	f := &findings{}
	f.addresses(d, maxRecipients)
	f.line("body.subject", d.Subject, maxSubject)
	if d.Text == "" && d.HTML == "" {
		f.add("body.text", "validation-failed", "give text, html or both")
	}
	f.text("body.text", d.Text)
	f.text("body.html", d.HTML)
	f.headers(d.Headers)
	f.attachments(d.Attachments)
	f.tags(d.Tags)
	f.metadata(d.Metadata)
	return f.err()
}

// findings are what is wrong, each at its place. Values are never quoted back.
type findings struct{ details []fault.Detail }

func (f *findings) add(field, code, text string) {
	if len(f.details) < maxFindings {
		f.details = append(f.details, fault.Detail{Field: field, Code: code, Text: text})
	}
}

func (f *findings) err() error {
	if len(f.details) == 0 {
		return nil
	}
	first := f.details[0]
	return &fault.Error{Kind: fault.Invalid, Code: first.Code, Text: first.Field + ": " + first.Text, Field: first.Field, Details: f.details}
}

// addresses checks and folds the parties. The lists are copied first: they are the caller's.
func (f *findings) addresses(d *Draft, maxRecipients int) {
	f.party("body.from", "validation-failed", &d.From)
	switch n := len(d.To) + len(d.Cc) + len(d.Bcc); {
	case n == 0:
		f.add("body.to", "recipient-invalid", "give at least one recipient in to, cc or bcc")
		return
	case n > maxRecipients:
		f.add("body.to", "validation-failed", fmt.Sprintf("%d recipients in to, cc and bcc together; at most %d are allowed", n, maxRecipients))
		return
	case len(d.ReplyTo) > maxReplyTo:
		f.add("body.reply_to", "validation-failed", fmt.Sprintf("more than %d addresses", maxReplyTo))
		return
	}
	for _, list := range []struct {
		field   string
		parties *[]Party
	}{{"body.to", &d.To}, {"body.cc", &d.Cc}, {"body.bcc", &d.Bcc}, {"body.reply_to", &d.ReplyTo}} {
		*list.parties = slices.Clone(*list.parties)
		for i := range *list.parties {
			f.party(fmt.Sprintf("%s[%d]", list.field, i), "recipient-invalid", &(*list.parties)[i])
		}
	}
}

// party checks a name and an address and folds the domain. code is for a bad address.
func (f *findings) party(field, code string, p *Party) {
	f.line(field, p.Name, maxHeaderLength)
	if p.Address.IsNull() {
		f.add(field, code, "the address is missing or cannot be read")
		return
	}
	name, err := dns.ToASCII(p.Address.Domain)
	if err != nil {
		f.add(field, code, "the domain of the address is not a valid name")
		return
	}
	p.Address.Domain = name
	if !p.Address.IsASCII() {
		f.add(field, code, "addresses with characters outside ASCII before the @ cannot be used yet")
	}
}

// line refuses what would break out of a header field (mail-rules S-5).
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
		if !headerName(h.Name) {
			f.add("body.headers", "validation-failed",
				fmt.Sprintf("the name of a header field has letters, digits and - only, 1 to %d of them", maxHeaderName))
			continue
		}
		field, name := "body.headers."+h.Name, strings.ToLower(h.Name)
		switch {
		case !allowedHeader(name):
			f.add(field, "validation-failed", "this header field cannot be set; allowed are X-…, List-…, In-Reply-To, References, "+
				"Auto-Submitted, Precedence, Importance, Feedback-ID, Comments, Keywords and Organization")
			continue
		case seen[name]:
			f.add(field, "validation-failed", "the header field is given twice")
		case name == "in-reply-to" && !messageIDs(h.Value, 1):
			f.add(field, "validation-failed", "must be one message id in angle brackets")
		case name == "references" && !messageIDs(h.Value, maxReferences):
			f.add(field, "validation-failed", fmt.Sprintf("must be 1 to %d message ids in angle brackets, separated by spaces", maxReferences))
		}
		seen[name] = true
		f.line(field, h.Value, maxHeaderLength)
	}
}

func headerName(s string) bool {
	if s == "" || len(s) > maxHeaderName {
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

// messageIDs reports whether s is 1 to most ids in angle brackets (RFC 5322 §3.6.4).
func messageIDs(s string, most int) bool {
	ids := strings.Fields(s)
	if len(ids) == 0 || len(ids) > most {
		return false
	}
	return !slices.ContainsFunc(ids, func(id string) bool {
		return len(id) < 3 || len(id) > maxMessageID || id[0] != '<' || id[len(id)-1] != '>' || strings.ContainsFunc(id[1:len(id)-1], noID)
	})
}

// noID is true for characters that a message id or Content-ID of ours does not have.
func noID(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>(),;\"`, r) }

func (f *findings) attachments(list []Attachment) {
	if len(list) > maxAttachments {
		f.add("body.attachments", "validation-failed", fmt.Sprintf("more than %d attachments", maxAttachments))
		return
	}
	for i, a := range list {
		at := fmt.Sprintf("body.attachments[%d]", i)
		f.line(at+".filename", a.Filename, maxFilename)
		if a.Filename == "" {
			f.add(at+".filename", "validation-failed", "a file name is missing")
		}
		if a.ContentType != "" && !mediaType(a.ContentType) {
			f.add(at+".content_type", "validation-failed", "must be a media type such as application/pdf, and neither multipart nor message")
		}
		if len(a.ContentID) > maxContentID || strings.ContainsFunc(a.ContentID, noID) {
			f.add(at+".content_id", "validation-failed",
				fmt.Sprintf("must be printable ASCII without spaces, quotes or brackets, at most %d octets", maxContentID))
		}
	}
}

// mediaType reports whether s is type/subtype, with parameters or without, of something that can go out in base64.
func mediaType(s string) bool {
	major, ok := majorType(s)
	return ok && major != "multipart" && major != "message"
}

// majorType gives the first half of a media type. ok is false for what is no media type, with parameters or without.
func majorType(s string) (major string, ok bool) {
	if len(s) > maxContentType || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return "", false
	}
	media, _, err := stdmime.ParseMediaType(s)
	major, minor, ok := strings.Cut(media, "/")
	return major, err == nil && ok && minor != ""
}

func (f *findings) tags(tags []Tag) {
	if len(tags) > maxTags {
		f.add("body.tags", "validation-failed", fmt.Sprintf("more than %d tags", maxTags))
		return
	}
	for i, t := range tags {
		at := fmt.Sprintf("body.tags[%d]", i)
		if t.Name == "" {
			f.add(at+".name", "validation-failed", "a tag needs a name")
		}
		f.line(at+".name", t.Name, maxTagLength)
		f.line(at+".value", t.Value, maxTagLength)
	}
}

func (f *findings) metadata(data map[string]string) {
	size, bad := 0, false
	for k, v := range data {
		size += len(k) + len(v)
		bad = bad || !utf8.ValidString(k+v) || strings.ContainsRune(k+v, 0)
	}
	if len(data) > maxMetadata || size > maxMetadataBytes {
		f.add("body.metadata", "validation-failed", fmt.Sprintf("at most %d keys and %d octets", maxMetadata, maxMetadataBytes))
	} else if bad {
		f.add("body.metadata", "validation-failed", "must be valid UTF-8 without NUL")
	}
}
