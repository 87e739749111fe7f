package mailserver

import "strings"

// EmailSend is an email to be sent. From and the lists of recipients take "a@b.test" or "Name <a@b.test>"; NameAddress makes the
// second form of any name.
type EmailSend struct {
	From        string            `json:"from"` // its domain must be hosted and verified
	To          []string          `json:"to,omitempty"`
	Cc          []string          `json:"cc,omitempty"`
	Bcc         []string          `json:"bcc,omitempty"` // nobody else sees them
	ReplyTo     []string          `json:"reply_to,omitempty"`
	Subject     string            `json:"subject,omitempty"`
	Text        string            `json:"text,omitempty"` // the body as plain text; give Text, HTML or both
	HTML        string            `json:"html,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"` // X-…, List-…, In-Reply-To, References and a few more
	Attachments []Attachment      `json:"attachments,omitempty"`
	Tags        []Tag             `json:"tags,omitempty"`     // labels for filters and reports, at most 10
	Metadata    map[string]string `json:"metadata,omitempty"` // comes back with the email, at most 10 KB
}

// Attachment is a file of an email: its Content, or the id of a blob that was uploaded.
type Attachment struct {
	Filename    string `json:"filename"`
	Content     []byte `json:"content,omitzero"`
	BlobID      string `json:"blob_id,omitempty"`
	ContentType string `json:"content_type,omitempty"` // when empty that of the blob, else application/octet-stream
	ContentID   string `json:"content_id,omitempty"`   // lets the HTML refer to the file as cid:…
	Disposition string `json:"disposition,omitempty"`  // attachment or inline; attachment when empty
}

// NameAddress puts a display name before an address.
func NameAddress(name, email string) string {
	if name == "" {
		return email
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `" <` + email + `>`
}
