package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/mailserver-dev/mailserver/server/fault"
	"github.com/mailserver-dev/mailserver/server/mail"
	"github.com/mailserver-dev/mailserver/server/mailbox"
	"github.com/mailserver-dev/mailserver/server/mime"
)

// Address is a display name and an address, as a message has them.
type Address struct {
	Email string `json:"email" example:"alice@example.test" doc:"The address as it stands in the message, valid or not."`
	Name  string `json:"name" example:"Alice" doc:"The decoded display name; empty when there is none."`
}

// MessageSummary is a message in a list.
type MessageSummary struct {
	ID              string    `json:"id" example:"msg_01h455vb4pex5vsknk084sn02q" doc:"The message's id; it stays when the message is moved."`
	From            []Address `json:"from" nullable:"false" doc:"The authors."`
	To              []Address `json:"to" nullable:"false" doc:"The recipients."`
	Cc              []Address `json:"cc" nullable:"false" doc:"Recipients of a copy."`
	Subject         string    `json:"subject" example:"Your receipt" doc:"The decoded subject."`
	Preview         string    `json:"preview" example:"Thank you." doc:"The beginning of the text, at most 200 characters."`
	Date            time.Time `json:"date" example:"2026-11-25T14:59:58Z" doc:"When the author says it was written; when it arrived if the author says nothing readable."`
	ReceivedAt      time.Time `json:"received_at" example:"2026-11-25T15:00:00Z" doc:"When it arrived."`
	SizeBytes       int64     `json:"size_bytes" example:"1234" doc:"The size of the whole message."`
	Flags           []string  `json:"flags" nullable:"false" example:"[\"\\\\Seen\",\"$Forwarded\"]" doc:"All flags and keywords, as IMAP spells them."`
	Seen            bool      `json:"seen" example:"true" doc:"Read."`
	Flagged         bool      `json:"flagged" example:"false" doc:"Marked."`
	Answered        bool      `json:"answered" example:"false" doc:"Answered."`
	Draft           bool      `json:"draft" example:"false" doc:"Not sent yet."`
	AttachmentNames []string  `json:"attachment_names" nullable:"false" example:"[\"receipt.pdf\"]" doc:"The file names of its attachments, at most 50."`
}

// MessageSummaryPage is a page of messages, newest first.
type MessageSummaryPage = Page[MessageSummary]

// MessageUpdate is a merge patch of a message's flags.
type MessageUpdate struct {
	Flags    *[]string `json:"flags,omitempty" nullable:"false" maxItems:"64" example:"[\"\\\\Seen\",\"$Forwarded\"]" doc:"Replaces all flags and keywords. The four fields below are carried out after it."`
	Seen     *bool     `json:"seen,omitempty" example:"true" doc:"Sets or clears \\Seen."`
	Flagged  *bool     `json:"flagged,omitempty" example:"true" doc:"Sets or clears \\Flagged."`
	Answered *bool     `json:"answered,omitempty" example:"false" doc:"Sets or clears \\Answered."`
	Draft    *bool     `json:"draft,omitempty" example:"false" doc:"Sets or clears \\Draft."`
}

// UnmarshalJSON implements json.Unmarshaler: null would remove a field (RFC 7396), and none can be.
func (u *MessageUpdate) UnmarshalJSON(raw []byte) error {
	type plain MessageUpdate
	return noNulls(raw, (*plain)(u))
}

// MessageMove says where a message goes.
type MessageMove struct {
	MailboxID string `json:"mailbox_id" example:"mbx_01h455vb4pex5vsknk084sn02q" doc:"A mailbox of the same user."`
}

func addressesOf(list []mime.Address) []Address {
	out := make([]Address, len(list))
	for i, a := range list {
		out[i] = Address{Email: a.Email, Name: a.Name}
	}
	return out
}

func summaryOf(s mailbox.Summary) MessageSummary {
	out := MessageSummary{
		ID: s.ID.String(), From: addressesOf(s.From), To: addressesOf(s.To), Cc: addressesOf(s.Cc), Subject: s.Subject, Preview: s.Preview,
		Date: s.Date.UTC(), ReceivedAt: s.InternalDate.UTC(), SizeBytes: s.Size, Flags: make([]string, len(s.Flags)),
		AttachmentNames: orEmpty(s.Attachments),
	}
	for i, f := range s.Flags {
		out.Flags[i] = string(f)
		switch f {
		case mail.Seen:
			out.Seen = true
		case mail.Flagged:
			out.Flagged = true
		case mail.Answered:
			out.Answered = true
		case mail.Draft:
			out.Draft = true
		case mail.Deleted: // shown as a flag alone
		}
	}
	return out
}

func (a *API) registerMessages() {
	const tag = "messages"
	const byID = "/v1/messages/{message_id}"
	register(a, with(scoped(http.MethodGet, "/v1/mailboxes/{mailbox_id}/messages", "listMessages", tag, "messages:read", "List messages",
		"Gives the messages of a mailbox, newest first."), http.StatusBadRequest, http.StatusNotFound), a.listMessages)
	register(a, with(scoped(http.MethodGet, byID, "getMessage", tag, "messages:read", "Read a message",
		"Gives a message parsed: decoded addresses and subject, bodies and the list of attachments. The bodies are data from a stranger: never "+
			"put html into a page without cleaning it. A key needs messages:content besides to see text and html."),
		http.StatusBadRequest, http.StatusNotFound, http.StatusGone), a.getMessage)
	register(a, rawAnswer(with(scoped(http.MethodGet, byID+"/raw", "getMessageRaw", tag, "messages:content", "Read a message's bytes",
		"Gives the message as it is stored."), http.StatusBadRequest, http.StatusNotFound, http.StatusGone), "message/rfc822"), a.getMessageRaw)
	register(a, rawAnswer(with(scoped(http.MethodGet, byID+"/parts/{part}", "getMessagePart", tag, "messages:content", "Download a part",
		"Gives one part of a message with its transfer encoding undone, as a download with the part's own media type."), http.StatusBadRequest,
		http.StatusNotFound, http.StatusGone), "application/octet-stream"), a.getMessagePart)
	register(a, with(scoped(http.MethodPatch, byID, "updateMessage", tag, "messages:write", "Change a message's flags",
		"Changes flags in every mailbox that shows the message (JSON merge patch)."), http.StatusNotFound), a.updateMessage)
	register(a, with(scoped(http.MethodPost, byID+"/move", "moveMessage", tag, "messages:write", "Move a message",
		"Moves a message into another mailbox of the same user. Its id stays."), http.StatusNotFound), a.moveMessage)
	register(a, answers(with(scoped(http.MethodDelete, byID, "deleteMessage", tag, "messages:write", "Delete a message",
		"Moves a message into the mailbox with the role trash. One that is only there already, or any with permanent=true, is removed for good."),
		http.StatusBadRequest, http.StatusNotFound, http.StatusConflict), http.StatusNoContent), a.deleteMessage)
}

type listMessagesInput struct {
	MailboxID string `path:"mailbox_id" doc:"The mailbox's id." example:"mbx_01h455vb4pex5vsknk084sn02q"`
	ListInput
	Unseen  bool `query:"unseen" doc:"true: only unread messages."`
	Flagged bool `query:"flagged" doc:"true: only marked messages."`
}

type listMessagesOutput struct{ Body MessageSummaryPage }

func (a *API) listMessages(ctx context.Context, in *listMessagesInput) (*listMessagesOutput, error) {
	var id mail.MailboxID
	if err := parseID(in.MailboxID, "path.mailbox_id", &id); err != nil {
		return nil, err
	}
	fs := filters("messages", in.MailboxID, in.Unseen, in.Flagged)
	text, err := openCursor(in.Cursor, fs)
	if err != nil {
		return nil, err
	}
	q := mailbox.MessageQuery{Limit: in.limit(), Unseen: in.Unseen, Flagged: in.Flagged}
	if text != "" {
		before, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, errCursor()
		}
		q.Before = uint32(before)
	}
	list, next, err := a.Mailboxes.Messages(ctx, principalOf(ctx), id, q)
	if err != nil {
		return nil, err
	}
	items := make([]MessageSummary, len(list))
	for i, s := range list {
		items[i] = summaryOf(s)
	}
	after := ""
	if next > 0 {
		after = strconv.FormatUint(uint64(next), 10)
	}
	return &listMessagesOutput{Body: page(items, after, fs)}, nil
}

type messageInput struct {
	ID string `path:"message_id" doc:"The message's id." example:"msg_01h455vb4pex5vsknk084sn02q"`
}

type messageSummaryOutput struct{ Body MessageSummary }

func (a *API) messageByID(ctx context.Context, text string) (mailbox.Message, error) {
	var id mail.MessageID
	if err := parseID(text, "path.message_id", &id); err != nil {
		return mailbox.Message{}, err
	}
	return a.Mailboxes.Message(ctx, principalOf(ctx), id)
}

func (a *API) messageSummary(ctx context.Context, id mail.MessageID) (*messageSummaryOutput, error) {
	m, err := a.Mailboxes.Message(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &messageSummaryOutput{Body: summaryOf(m.Summary())}, nil
}

type updateMessageInput struct {
	ID   string `path:"message_id" doc:"The message's id." example:"msg_01h455vb4pex5vsknk084sn02q"`
	Body MessageUpdate
}

func (a *API) updateMessage(ctx context.Context, in *updateMessageInput) (*messageSummaryOutput, error) {
	var id mail.MessageID
	if err := parseID(in.ID, "path.message_id", &id); err != nil {
		return nil, err
	}
	change, any, err := in.Body.change()
	if err != nil {
		return nil, err
	}
	if any {
		if err := a.Mailboxes.SetFlags(ctx, principalOf(ctx), id, change); err != nil {
			return nil, err
		}
	}
	return a.messageSummary(ctx, id)
}

// change turns the patch into one change of flags; any is false when it asks for nothing.
func (u *MessageUpdate) change() (c mailbox.FlagChange, any bool, err error) {
	if u.Flags != nil {
		c.Replace, any = true, true
		for _, text := range *u.Flags {
			f, err := mail.ParseFlag(text)
			if err != nil {
				return c, false, fault.New(fault.Invalid, "validation-failed",
					`a flag is \Seen, \Answered, \Flagged, \Deleted, \Draft or a keyword of at most 100 characters without blanks and brackets`).At("body.flags")
			}
			c.Add = append(c.Add, f)
		}
	}
	for _, one := range []struct {
		want *bool
		flag mail.Flag
	}{{u.Seen, mail.Seen}, {u.Flagged, mail.Flagged}, {u.Answered, mail.Answered}, {u.Draft, mail.Draft}} {
		if one.want == nil {
			continue
		}
		any = true
		c.Add = without(c.Add, one.flag)
		switch {
		case *one.want:
			c.Add = append(c.Add, one.flag)
		case !c.Replace:
			c.Remove = append(c.Remove, one.flag)
		}
	}
	return c, any, nil
}

func without(list []mail.Flag, flag mail.Flag) []mail.Flag {
	out := make([]mail.Flag, 0, len(list))
	for _, f := range list {
		if f != flag {
			out = append(out, f)
		}
	}
	return out
}

type moveMessageInput struct {
	ID   string `path:"message_id" doc:"The message's id." example:"msg_01h455vb4pex5vsknk084sn02q"`
	Body MessageMove
}

func (a *API) moveMessage(ctx context.Context, in *moveMessageInput) (*messageSummaryOutput, error) {
	var id mail.MessageID
	if err := parseID(in.ID, "path.message_id", &id); err != nil {
		return nil, err
	}
	var to mail.MailboxID
	if err := bodyID(in.Body.MailboxID, "body.mailbox_id", &to); err != nil {
		return nil, err
	}
	if err := a.Mailboxes.MoveMessage(ctx, principalOf(ctx), id, to); err != nil {
		return nil, err
	}
	return a.messageSummary(ctx, id)
}

type deleteMessageInput struct {
	ID        string `path:"message_id" doc:"The message's id." example:"msg_01h455vb4pex5vsknk084sn02q"`
	Permanent bool   `query:"permanent" doc:"true: remove it for good."`
}

func (a *API) deleteMessage(ctx context.Context, in *deleteMessageInput) (*struct{}, error) {
	m, err := a.messageByID(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	p := principalOf(ctx)
	if in.Permanent {
		return nil, a.Mailboxes.DeleteMessage(ctx, p, m.ID)
	}
	// Who may move messages may know where the trash is.
	trash, err := a.Mailboxes.List(ctx, withScope(p, "mailboxes:read"), m.Account, mailbox.ListFilter{Role: mailbox.RoleTrash})
	if err != nil {
		return nil, err
	}
	if len(trash) == 0 {
		return nil, fault.New(fault.Conflict, "state-conflict", "this user has no mailbox with the role trash; make one, or delete with permanent=true")
	}
	for _, at := range m.Places {
		if at.Key != trash[0].Key {
			return nil, a.Mailboxes.MoveMessage(ctx, p, m.ID, trash[0].ID)
		}
	}
	return nil, a.Mailboxes.DeleteMessage(ctx, p, m.ID)
}
