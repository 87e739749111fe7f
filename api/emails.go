package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/outbound"
)

// EmailSend is an email to be sent. Fields that name an address take "a@b.test", "Name <a@b.test>" or an object; to, cc, bcc and
// reply_to take one of these or a list.
type EmailSend struct {
	From        AddressInput      `json:"from" doc:"The sender; the domain must be hosted and verified here."`
	To          AddressesInput    `json:"to,omitempty" doc:"The recipients."`
	Cc          AddressesInput    `json:"cc,omitempty" doc:"Recipients of a copy."`
	Bcc         AddressesInput    `json:"bcc,omitempty" doc:"Recipients that nobody else sees."`
	ReplyTo     AddressesInput    `json:"reply_to,omitempty" doc:"Where answers should go."`
	Subject     string            `json:"subject,omitempty" example:"Your receipt" maxLength:"998" doc:"The subject."`
	Text        string            `json:"text,omitempty" example:"Thank you." doc:"The body as plain text. Give text, html or both."`
	HTML        string            `json:"html,omitempty" example:"<p>Thank you.</p>" doc:"The body as HTML."`
	Headers     HeadersInput      `json:"headers,omitempty" doc:"More header fields: X-…, List-…, In-Reply-To, References, Auto-Submitted, Precedence, Importance, Feedback-ID."`
	Attachments []AttachmentInput `json:"attachments,omitempty" nullable:"false" maxItems:"100" doc:"Files."`
	Tags        TagsInput         `json:"tags,omitempty" doc:"Labels for filters and reports, at most 10."`
	Metadata    map[string]string `json:"metadata,omitempty" example:"{\"order\":\"42\"}" doc:"Your own data, at most 50 keys and 10 KB; it comes back with the email."`
}

// AttachmentInput is a file of an email.
type AttachmentInput struct {
	Filename    string  `json:"filename" example:"receipt.txt" minLength:"1" maxLength:"255" doc:"The name that recipients see."`
	Content     *string `json:"content,omitempty" example:"VGhhbmsgeW91Lg==" doc:"The bytes in base64. Give content or blob_id."`
	BlobID      string  `json:"blob_id,omitempty" example:"blb_01h455vb4pex5vsknk084sn02q" doc:"A file of the caller's that was uploaded with POST /v1/blobs."`
	ContentType string  `json:"content_type,omitempty" example:"text/plain" maxLength:"200" doc:"The media type; when absent that of the blob, else application/octet-stream."`
	ContentID   string  `json:"content_id,omitempty" example:"logo" maxLength:"200" doc:"Lets the HTML refer to the file as cid:content_id."`
	Disposition string  `json:"disposition,omitempty" enum:"attachment,inline" example:"attachment" doc:"attachment when absent."`
}

// EmailAccepted says that an email is on stable storage for every recipient.
type EmailAccepted struct {
	ID         string              `json:"id" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"The email's id."`
	Status     string              `json:"status" enum:"scheduled,held,queued,sending,deferred,delivered,bounced,suppressed,cancelled,failed" example:"queued" doc:"The state of the whole email."`
	Recipients []RecipientAccepted `json:"recipients" nullable:"false" doc:"One entry for each recipient."`
}

// RecipientAccepted is one recipient of an accepted email.
type RecipientAccepted struct {
	Email      string `json:"email" example:"alice@example.test" doc:"The address."`
	DeliveryID string `json:"delivery_id" example:"dlv_01h455vb4pex5vsknk084sn02q" doc:"Names this recipient's delivery."`
	Status     string `json:"status" enum:"scheduled,held,queued,sending,deferred,delivered,bounced,suppressed,cancelled,failed" example:"queued" doc:"The state of this recipient."`
}

// Email is a sent email and what became of it.
type Email struct {
	ID         string            `json:"id" example:"eml_01h455vb4pex5vsknk084sn02q" doc:"The email's id."`
	DomainID   string            `json:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"The sender's domain."`
	Status     string            `json:"status" enum:"scheduled,held,queued,sending,deferred,delivered,bounced,suppressed,cancelled,failed" example:"delivered" doc:"The state of the whole email: that of its least finished recipient."`
	Source     string            `json:"source" enum:"api,submission" example:"api" doc:"How it came: through the API or from a mail client."`
	Test       bool              `json:"test" example:"false" doc:"Sent with a test key."`
	From       string            `json:"from" example:"Shop <shop@example.test>" doc:"The sender as recipients see it."`
	Subject    string            `json:"subject" example:"Your receipt" doc:"The subject."`
	MessageID  string            `json:"message_id" example:"<01h455vb4pex5vsknk084sn02q@example.test>" doc:"The Message-ID field."`
	SizeBytes  int64             `json:"size_bytes" example:"1234" doc:"The size of the message."`
	Tags       []Tag             `json:"tags" nullable:"false" doc:"The labels."`
	Metadata   map[string]string `json:"metadata" example:"{\"order\":\"42\"}" doc:"Your own data."`
	Recipients []Recipient       `json:"recipients" nullable:"false" doc:"The recipients and their results."`
	CreatedAt  time.Time         `json:"created_at" example:"2026-11-25T15:00:00Z" doc:"When it was accepted."`
}

// Recipient is one recipient of an email and the result so far.
type Recipient struct {
	DeliveryID    string     `json:"delivery_id" example:"dlv_01h455vb4pex5vsknk084sn02q" doc:"Names this delivery."`
	Email         string     `json:"email" example:"alice@example.test" doc:"The address."`
	Kind          string     `json:"kind" enum:"to,cc,bcc,envelope" example:"to" doc:"Where the address stood; envelope for mail from a mail client."`
	Status        string     `json:"status" enum:"scheduled,held,queued,sending,deferred,delivered,bounced,suppressed,cancelled,failed" example:"delivered" doc:"The state."`
	Attempts      int        `json:"attempts" example:"1" doc:"How many attempts were made."`
	Transport     string     `json:"transport" example:"smtp" doc:"smtp: the recipient's mail exchanger; relay: a smart host; local: a mailbox here; sink: kept by development mode; test: the test network; empty before the first attempt."`
	Destination   string     `json:"destination" example:"elsewhere.test" doc:"Where it goes: the recipient's domain, or a smart host as host:port."`
	LastHost      string     `json:"last_host" example:"mx1.elsewhere.test" doc:"The server that gave the answer; empty when none was asked."`
	LastTLS       string     `json:"last_tls" example:"TLS1.3" doc:"The TLS version of the connection; empty in clear."`
	LastReply     string     `json:"last_reply" example:"250 2.0.0 filed" doc:"The answer to the last attempt."`
	NextAttemptAt *time.Time `json:"next_attempt_at" example:"2026-11-25T15:05:00Z" doc:"When the next attempt is due; null when the state is final."`
	UpdatedAt     time.Time  `json:"updated_at" example:"2026-11-25T15:00:00Z" doc:"When the state last changed."`
}

// Tag is a label.
type Tag struct {
	Name  string `json:"name" example:"kind" doc:"The label's name."`
	Value string `json:"value" example:"receipt" doc:"The label's value; empty when it has none."`
}

// EmailPage is a page of emails, newest first.
type EmailPage = Page[Email]

func acceptedOf(e *outbound.Email) EmailAccepted {
	out := EmailAccepted{ID: e.ID.String(), Status: string(e.Status), Recipients: make([]RecipientAccepted, len(e.Recipients))}
	for i, r := range e.Recipients {
		out.Recipients[i] = RecipientAccepted{Email: r.Address.String(), DeliveryID: r.ID.String(), Status: string(r.Status)}
	}
	return out
}

func emailOf(e *outbound.Email) Email {
	out := Email{
		ID: e.ID.String(), DomainID: e.Domain.String(), Status: string(e.Status), Source: e.Source, Test: e.Test, From: e.HeaderFrom,
		Subject: e.Subject, MessageID: e.MessageID, SizeBytes: e.Size + int64(len(e.Signature)), Tags: make([]Tag, len(e.Tags)), Metadata: e.Metadata,
		Recipients: make([]Recipient, len(e.Recipients)), CreatedAt: e.CreatedAt.UTC(),
	}
	if out.Metadata == nil {
		out.Metadata = map[string]string{}
	}
	for i, t := range e.Tags {
		out.Tags[i] = Tag(t)
	}
	for i, r := range e.Recipients {
		out.Recipients[i] = recipientOf(r)
	}
	return out
}

func recipientOf(r outbound.Recipient) Recipient {
	out := Recipient{
		DeliveryID: r.ID.String(), Email: r.Address.String(), Kind: r.Kind, Status: string(r.Status), Attempts: r.Attempts,
		Transport: r.Transport, Destination: r.Destination, LastReply: r.LastReply, LastHost: r.Host, LastTLS: r.TLS, UpdatedAt: r.UpdatedAt.UTC(),
	}
	if !r.Status.Final() {
		next := r.NextAt.UTC()
		out.NextAttemptAt = &next
	}
	return out
}

func (a *API) registerEmails() {
	const tag = "emails"
	send := answers(with(scoped(http.MethodPost, "/v1/emails", "sendEmail", tag, "emails:send", "Send an email",
		"Accepts an email. The answer 202 means that it is on stable storage for every recipient; what becomes of each shows under "+
			"GET /v1/emails/{email_id} and in the events."), http.StatusInsufficientStorage), http.StatusAccepted)
	send.MaxBodyBytes = a.maxBody()
	send.BodyReadTimeout = sendTimeout
	register(a, patient(mayBeTest(send), sendTimeout), a.sendEmail)
	register(a, with(scoped(http.MethodGet, "/v1/emails", "listEmails", tag, "emails:read", "List emails",
		"Gives the emails that the caller may see, newest first."), http.StatusBadRequest), a.listEmails)
	register(a, with(scoped(http.MethodGet, "/v1/emails/{email_id}", "getEmail", tag, "emails:read", "Read an email",
		"Gives an email with its recipients and their results."), http.StatusBadRequest, http.StatusNotFound), a.getEmail)
	register(a, with(scoped(http.MethodGet, "/v1/emails/{email_id}/events", "listEmailEvents", tag, "emails:read", "List an email's events",
		"Gives what happened to an email, in order."), http.StatusBadRequest, http.StatusNotFound), a.listEmailEvents)
	register(a, rawAnswer(with(scoped(http.MethodGet, "/v1/emails/{email_id}/raw", "getEmailRaw", tag, "emails:read", "Read an email's bytes",
		"Gives the message as it goes out: as it was accepted, with its DKIM signatures on top once it was first tried."), http.StatusBadRequest, http.StatusNotFound, http.StatusGone), "message/rfc822"), a.getEmailRaw)
	register(a, with(scoped(http.MethodPost, "/v1/emails/{email_id}/cancel", "cancelEmail", tag, "emails:send", "Cancel an email",
		"Takes every recipient out of the queue who is not finished and not being sent right now. When there is none the answer is 409 state-conflict."),
		http.StatusNotFound), a.cancelEmail)
	a.effects["eml"] = func(ctx context.Context, ref string) (effect, error) {
		e, err := a.emailByID(ctx, ref, "effect")
		if err != nil {
			return effect{}, err
		}
		return effect{http.StatusAccepted, "/v1/emails/" + ref, "", acceptedOf(e)}, nil
	}
}

// sendTimeout is for 10 MiB from a slow client.
const sendTimeout = 2 * time.Minute

type sendEmailInput struct{ Body EmailSend }

type sendEmailOutput struct {
	Location string `header:"Location" doc:"Where the email is."`
	Body     EmailAccepted
}

func (a *API) sendEmail(ctx context.Context, in *sendEmailInput) (*sendEmailOutput, error) {
	draft, err := in.Body.draft()
	if err != nil {
		return nil, err
	}
	e, err := a.Outbound.Accept(ctx, principalOf(ctx), draft)
	if err != nil {
		return nil, err
	}
	return &sendEmailOutput{Location: "/v1/emails/" + e.ID.String(), Body: acceptedOf(e)}, nil
}

// draft turns the body into what the flow takes. Addresses were parsed with the JSON.
func (b *EmailSend) draft() (outbound.Draft, error) {
	d := outbound.Draft{
		From: outbound.Party(b.From), To: b.To.parties(), Cc: b.Cc.parties(), Bcc: b.Bcc.parties(), ReplyTo: b.ReplyTo.parties(),
		Subject: b.Subject, Text: b.Text, HTML: b.HTML, Headers: b.Headers, Tags: b.Tags, Metadata: b.Metadata,
	}
	for i := range b.Attachments {
		file, err := b.Attachments[i].attachment(fmt.Sprintf("body.attachments[%d]", i))
		if err != nil {
			return d, err
		}
		d.Attachments = append(d.Attachments, file)
	}
	return d, nil
}

// attachment turns a file of the body, which stands at place, into what the flow takes.
func (in *AttachmentInput) attachment(place string) (outbound.Attachment, error) {
	out := outbound.Attachment{
		Filename: in.Filename, ContentType: in.ContentType, ContentID: in.ContentID, Inline: in.Disposition == "inline",
	}
	switch {
	case (in.Content == nil) == (in.BlobID == ""):
		return out, located(place, "give either content or blob_id")
	case in.BlobID != "":
		return out, bodyID(in.BlobID, place+".blob_id", &out.Blob)
	}
	content, err := base64.StdEncoding.DecodeString(*in.Content)
	if err != nil {
		return out, located(place+".content", "the content is not base64")
	}
	out.Content = content
	return out, nil
}

// located is what is wrong at one place of the body.
func located(place, text string) *fault.Error {
	return &fault.Error{
		Kind: fault.Invalid, Code: "validation-failed", Text: place + ": " + text, Field: place,
		Details: []fault.Detail{{Field: place, Code: "validation-failed", Text: text}},
	}
}

type listEmailsInput struct {
	ListInput
	DomainID  string `query:"domain_id" example:"dom_01h455vb4pex5vsknk084sn02q" doc:"Only emails of this domain."`
	Status    string `query:"status" enum:"scheduled,held,queued,sending,deferred,delivered,bounced,suppressed,cancelled,failed" doc:"Only emails in this state."`
	Recipient string `query:"recipient" maxLength:"320" doc:"Only emails to this address."`
}

type listEmailsOutput struct{ Body EmailPage }

func (a *API) listEmails(ctx context.Context, in *listEmailsInput) (*listEmailsOutput, error) {
	fs := filters("emails", in.DomainID, in.Status, in.Recipient)
	before, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	q := outbound.ListQuery{Limit: in.limit(), Status: outbound.Status(in.Status)}
	if err := optionalID(before, "query.cursor", &q.Before); err != nil {
		return nil, err
	}
	if err := optionalID(in.DomainID, "query.domain_id", &q.Domain); err != nil {
		return nil, err
	}
	if in.Recipient != "" {
		address, err := mail.ParseAddress(in.Recipient)
		if err != nil {
			return nil, fault.New(fault.Invalid, "validation-failed", "recipient must be an address").At("query.recipient")
		}
		q.Recipient = address.String()
	}
	list, more, err := a.Outbound.List(ctx, principalOf(ctx), q)
	if err != nil {
		return nil, err
	}
	items := make([]Email, len(list))
	next := ""
	for i, e := range list {
		items[i] = emailOf(e)
		if more {
			next = e.ID.String()
		}
	}
	return &listEmailsOutput{Body: page(items, next, fs)}, nil
}

type emailInput struct {
	ID string `path:"email_id" doc:"The email's id." example:"eml_01h455vb4pex5vsknk084sn02q"`
}

type emailOutput struct{ Body Email }

func (a *API) emailByID(ctx context.Context, text, where string) (*outbound.Email, error) {
	var id mail.EmailID
	if err := parseID(text, where, &id); err != nil {
		return nil, err
	}
	return a.Outbound.Get(ctx, principalOf(ctx), id)
}

func (a *API) getEmail(ctx context.Context, in *emailInput) (*emailOutput, error) {
	e, err := a.emailByID(ctx, in.ID, "path.email_id")
	if err != nil {
		return nil, err
	}
	return &emailOutput{Body: emailOf(e)}, nil
}

func (a *API) cancelEmail(ctx context.Context, in *emailInput) (*emailOutput, error) {
	var id mail.EmailID
	if err := parseID(in.ID, "path.email_id", &id); err != nil {
		return nil, err
	}
	e, err := a.Outbound.Cancel(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &emailOutput{Body: emailOf(e)}, nil
}

func (a *API) getEmailRaw(ctx context.Context, in *emailInput) (*huma.StreamResponse, error) {
	var id mail.EmailID
	if err := parseID(in.ID, "path.email_id", &id); err != nil {
		return nil, err
	}
	file, err := a.Outbound.Raw(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return stream(file, file.Size, "message/rfc822", in.ID+".eml"), nil
}
