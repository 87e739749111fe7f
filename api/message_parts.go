package api

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// bodyLimit bounds each body of a parsed message. Longer ones are had whole as parts.
const bodyLimit = 1 << 20

// Message is a message, parsed.
type Message struct {
	MessageSummary
	UserID      string              `json:"user_id" example:"usr_01h455vb4pex5vsknk084sn02q" doc:"Whose message it is."`
	MailboxIDs  []string            `json:"mailbox_ids" nullable:"false" example:"[\"mbx_01h455vb4pex5vsknk084sn02q\"]" doc:"The mailboxes that show it."`
	Bcc         []Address           `json:"bcc" nullable:"false" doc:"Hidden recipients, in drafts and sent mail."`
	ReplyTo     []Address           `json:"reply_to" nullable:"false" doc:"Where answers should go; empty when that is From."`
	MessageID   string              `json:"message_id" example:"01h455vb4pex5vsknk084sn02q@example.test" doc:"The Message-ID without brackets; empty when there is none."`
	InReplyTo   string              `json:"in_reply_to" example:"first@example.test" doc:"The Message-ID that it answers; empty when there is none."`
	References  []string            `json:"references" nullable:"false" example:"[\"first@example.test\"]" doc:"The Message-IDs of the conversation, oldest first."`
	Text        *string             `json:"text" example:"Thank you." doc:"The plain text as UTF-8; null when there is none, or when the key lacks messages:content."`
	HTML        *string             `json:"html" example:"<p>Thank you.</p>" doc:"The HTML as the sender wrote it, as UTF-8; null when there is none, or when the key lacks messages:content."`
	Truncated   bool                `json:"truncated" example:"false" doc:"Whether text or html is longer than the 1 MiB that is shown; the whole is a part."`
	Attachments []MessageAttachment `json:"attachments" nullable:"false" doc:"The files."`
}

// MessageAttachment is a file in a message.
type MessageAttachment struct {
	Part        string `json:"part" example:"2" doc:"The part's number, for GET /v1/messages/{message_id}/parts/{part}."`
	Filename    string `json:"filename" example:"receipt.pdf" doc:"The name that the sender gave; empty when there is none."`
	ContentType string `json:"content_type" example:"application/pdf" doc:"The media type that the sender gave."`
	ContentID   string `json:"content_id" example:"logo" doc:"The name by which the HTML refers to it as cid:…; empty when there is none."`
	Inline      bool   `json:"inline" example:"false" doc:"Whether it is meant to be shown within the text."`
	SizeBytes   int64  `json:"size_bytes" example:"4096" doc:"The size within the message, still encoded."`
}

type messageOutput struct{ Body Message }

func (a *API) getMessage(ctx context.Context, in *messageInput) (*messageOutput, error) {
	m, err := a.messageByID(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := messageOf(&m)
	if principalOf(ctx).HasScope("messages:content") {
		if err := a.addBodies(ctx, &m, &out); err != nil {
			return nil, err
		}
	}
	return &messageOutput{Body: out}, nil
}

func messageOf(m *mailbox.Message) Message {
	e := m.Structure.Envelope
	out := Message{
		MessageSummary: summaryOf(m.Summary()), UserID: m.Account.String(), Bcc: addressesOf(mime.Decoded(e.Bcc)),
		ReplyTo: addressesOf(mime.Decoded(e.ReplyTo)), MessageID: m.Structure.MessageID(), InReplyTo: m.Structure.InReplyTo(),
		References: orEmpty(m.Structure.References), Attachments: attachmentsOf(m.Structure), MailboxIDs: []string{},
	}
	seen := map[string]bool{}
	for _, at := range m.Places {
		if id := at.Mailbox.String(); !seen[id] {
			seen[id] = true
			out.MailboxIDs = append(out.MailboxIDs, id)
		}
	}
	return out
}

// addBodies reads the bodies from the stored bytes.
func (a *API) addBodies(ctx context.Context, m *mailbox.Message, out *Message) error {
	text, html := m.Structure.TextPart(), m.Structure.HTMLPart()
	if text == nil && html == nil {
		return nil
	}
	file, err := a.Mailboxes.OpenBody(ctx, principalOf(ctx), m.Account, m.File)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, one := range []struct {
		part *mime.Part
		into **string
	}{{text, &out.Text}, {html, &out.HTML}} {
		if one.part == nil {
			continue
		}
		body, cut, err := readText(file, m.Structure, one.part)
		if err != nil {
			return fault.Wrap(err, fault.Unavailable, "unavailable", "the message could not be read; try again later")
		}
		*one.into = &body
		out.Truncated = out.Truncated || cut
	}
	return nil
}

func readText(r io.ReaderAt, m *mime.Message, p *mime.Part) (text string, cut bool, err error) {
	raw, err := io.ReadAll(io.LimitReader(mime.DecodePart(r, m, p), bodyLimit+1))
	if err != nil {
		return "", false, err
	}
	if len(raw) > bodyLimit {
		raw, cut = raw[:bodyLimit], true
	}
	return strings.ToValidUTF8(string(raw), ""), cut, nil
}

// attachmentsOf lists the files of a message, with IMAP part numbers (RFC 9051 §6.4.5). An embedded message is one file.
func attachmentsOf(m *mime.Message) []MessageAttachment {
	out := []MessageAttachment{}
	text, html := m.TextPart(), m.HTMLPart()
	var walk func(p *mime.Part, number string)
	walk = func(p *mime.Part, number string) {
		if p.IsMultipart() {
			for i, child := range p.Children {
				walk(child, strings.TrimPrefix(number+"."+strconv.Itoa(i+1), "."))
			}
			return
		}
		if p == text || p == html || !p.IsAttachment() && p.ID == "" {
			return
		}
		if number == "" {
			number = "1"
		}
		out = append(out, MessageAttachment{
			Part: number, Filename: p.FileName(), ContentType: p.MediaType(), ContentID: strings.Trim(p.ID, "<>"),
			Inline: p.Disposition == "inline" || !p.IsAttachment(), SizeBytes: p.Size(),
		})
	}
	walk(m.Root, "")
	return out
}

func (a *API) getMessageRaw(ctx context.Context, in *messageInput) (*huma.StreamResponse, error) {
	m, err := a.contentOf(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	file, err := a.Mailboxes.OpenBody(ctx, principalOf(ctx), m.Account, m.File)
	if err != nil {
		return nil, err
	}
	return stream(file, file.Size(), "message/rfc822", in.ID+".eml"), nil
}

// contentOf finds a message for somebody who holds messages:content, which includes knowing that it exists.
func (a *API) contentOf(ctx context.Context, id string) (mailbox.Message, error) {
	return a.messageByID(context.WithValue(ctx, principalKey{}, withScope(principalOf(ctx), "messages:read")), id)
}

type messagePartInput struct {
	ID   string `path:"message_id" doc:"The message's id." example:"msg_01h455vb4pex5vsknk084sn02q"`
	Part string `path:"part" doc:"The part's number, as attachments name it." example:"2"`
}

func (a *API) getMessagePart(ctx context.Context, in *messagePartInput) (*huma.StreamResponse, error) {
	m, err := a.contentOf(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	number, err := partNumber(in.Part)
	if err != nil {
		return nil, err
	}
	part := m.Structure.Lookup(number)
	if part == nil || part.IsMultipart() {
		return nil, fault.New(fault.NotFound, "not-found", "the message has no such part")
	}
	file, err := a.Mailboxes.OpenBody(ctx, principalOf(ctx), m.Account, m.File)
	if err != nil {
		return nil, err
	}
	src := struct {
		io.Reader
		io.Closer
	}{mime.DecodeTransfer(file, m.Structure, part), file}
	name := part.FileName()
	if name == "" {
		name = in.ID + "-" + in.Part
	}
	return stream(src, -1, partType(part), name), nil
}

// partNumber reads "2.1" as 2, 1.
func partNumber(text string) ([]int, error) {
	var out []int
	for piece := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(piece, 10, 16)
		if err != nil || n == 0 || len(out) >= 100 {
			return nil, fault.New(fault.Malformed, "invalid-id", "a part's number is one or more numbers with dots between them, such as 2 or 1.3").At("path.part")
		}
		out = append(out, int(n))
	}
	return out, nil
}

// partType is the media type of a part for a header field, where nothing of the sender's may be but tokens (RFC 9110 §5.6.2).
func partType(p *mime.Part) string {
	if !isToken(p.Type) || !isToken(p.Subtype) {
		return "application/octet-stream"
	}
	if charset := p.Param("charset"); p.Type == "text" && isToken(charset) {
		return p.MediaType() + "; charset=" + charset
	}
	return p.MediaType()
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}
